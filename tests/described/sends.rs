//! What a description may send: only what reads, whatever it hides and whatever its arguments are
//! set to.

use perijove::collector::described::check_operation;
use perijove::config::Source;
use perijove::poll::registry;

use crate::common::temporary::Directory;
use crate::{file_systems, refused};

#[test]
fn what_a_description_may_send_is_decided_when_it_is_read() {
    let right = file_systems("mine");
    for rpc in [
        "<command>show x | save y</command>",
        "<command>show x|save y</command>",
        "<command>show x | no-more | tee y</command>",
        "<command>show x\\nclear arp</command>",
        "<command>show x\\u000Bclear arp</command>",
        "<command>show x\\u2028clear arp</command>",
        "<command>Show x</command>",
        "<COMMAND>show x</COMMAND>",
        "<command>show x</command><command>clear arp</command>",
        "<command>show <![CDATA[x | save y]]></command>",
        "<command>show x <!-- | save y --></command>",
        "<command>show x <?a | save y?></command>",
        "<command>show x &#124; save y</command>",
        "<command>show x</command><!-- --><clear/>",
        "<get-x/><clear-x/>",
        "<get-x/ ><clear-x/>",
        "<get-x></get-x><get-x></get-x>",
        "<get-x></rpc><rpc><clear-x/></get-x>",
        "</rpc><rpc><clear-x/>",
        "<!-- --><get-x/>",
        "<!DOCTYPE x><get-x/>",
        "<?xml version='1.0'?><get-x/>",
        "<get-x><![CDATA[<clear/>]]></get-x>",
        "<get-x><edit-config/></get-x>",
        "<get-x><a><b><set-x/></b></a></get-x>",
        "<get-x>&e;</get-x>",
        "<get-x>&#60;clear/&#62;</get-x>",
        "<get-x nc:operation='delete'/>",
        "<get-x xmlns='urn:x'/>",
        "<get-x Format='xml'/>",
        "<get-x format='&#120;ml'/>",
        "<get-x format=xml/>",
        "<x:get-x/>",
        "<get:x/>",
        "<Get-x/>",
        "<GET-X/>",
        " ]]>]]><get-x/>",
        "<get-x/>]]>]]><clear-x/>",
        "\\n#8\\n<clear/>",
        "\\uFEFF<get-x/>",
    ] {
        let text = right.replace("<get-system-storage/>", rpc);
        let said = refused("mine", &text);
        assert!(said.starts_with("FILE:5: query.rpc: "), "{rpc}: {said}");
    }
    // What the program's own collectors send is allowed too, but for an element that elsewhere is
    // an operation, text and another verb.
    let odd = ["commits", "connections", "nat2"];
    for entry in registry::collectors().iter().filter(|entry| !odd.contains(&entry.name)) {
        let poll = entry.poll();
        for query in 0..poll.queries() {
            let rpc = poll.rpc_shown(query);
            assert_eq!(check_operation(rpc), Ok(()), "{}", entry.name);
        }
    }
}

/// A description whose RPC has the argument `word`.
fn with_argument(rpc: &str, values: &[&str]) -> String {
    let argument = format!(
        "[[argument]]\nname = \"word\"\nhelp = \"Which.\"\nvalues = {values:?}\n\
         default = {:?}\n\n[[query]]\n",
        values[0]
    );
    file_systems("mine").replace("[[query]]\n", &argument).replace("<get-system-storage/>", rpc)
}

/// An argument is a word of what is asked, never a part of the operation: so it does not matter
/// which of its values is the default.
#[test]
fn no_value_of_an_argument_makes_another_operation() {
    for (rpc, values) in [
        ("<{word}/>", ["get-x", "request-system-reboot"]),
        ("<get-{word}/>", ["x", "y"]),
        ("<get-x><{word}/></get-x>", ["brief", "edit-config"]),
        ("<get-x><e{word}/></get-x>", ["xtensive", "dit-config"]),
        ("<get-x {word}='xml'/>", ["format", "operation"]),
        ("<get-x format='{word}'/>", ["xml", "text"]),
        ("<{word}>show x</{word}>", ["command", "clear"]),
        ("<command>{word} arp</command>", ["show", "clear"]),
        ("<command>{word}ow arp</command>", ["sh", "x"]),
        ("<command>show arp | {word}</command>", ["no-more", "save"]),
        ("<command>show arp | no-{word}</command>", ["more", "x"]),
    ] {
        let said = refused("mine", &with_argument(rpc, &values));
        let expected = "FILE:11: query.rpc: an argument stands in an element's text, or in a \
                        command behind `show`";
        assert_eq!(said, expected, "{rpc}");
    }
    for value in ["x | save y", "x</a><clear/>", "{word}", "a b", "a&b", "é", ""] {
        let said = refused("mine", &with_argument("<get-x>{word}</get-x>", &["x", value]));
        let expected = format!("FILE:7: argument.values: `{value}` is not a word");
        assert!(said.starts_with(&expected), "{said}");
    }
}

/// The names of logical systems are free words of an operator's: they stay words.
#[test]
fn logical_systems_are_asked_as_they_are_called() {
    let directory = Directory::new();
    std::fs::create_dir(directory.join("collectors.d")).unwrap();
    let right = file_systems("mine").replace("roots = ", "logical_systems = true\nroots = ");
    directory.write("collectors.d/mine.toml", &right);
    let text = "collectors = [\"mine\"]\n[collector.mine]\n\
                logical_systems = [\"a\", \"</logical-system><clear/>\"]\n";
    let source = Source::parse(Some(directory.join("perijove.toml")), text.into());
    let config = source.into_config().unwrap();
    let rpcs = config.routers[0].collectors[0].configured.start(&Default::default()).rpcs(0);
    let of = |name: &str| {
        format!("<get-system-storage><logical-system>{name}</logical-system></get-system-storage>")
    };
    let hostile = of("&lt;/logical-system&gt;&lt;clear/&gt;");
    assert_eq!(rpcs, ["<get-system-storage/>".to_string(), of("a"), hostile]);
    let command = right.replace("<get-system-storage/>", "<command>show system storage</command>");
    assert!(refused("mine", &command).contains("a command takes no <logical-system>"));
}

/// Arguments go into the RPC, and only values that the description lists.
#[test]
fn arguments_are_settings() {
    let directory = Directory::new();
    std::fs::create_dir(directory.join("collectors.d")).unwrap();
    for (rpc, before, behind) in [
        ("<get-x><member>{word}</member></get-x>", "<get-x><member>", "</member></get-x>"),
        ("<command>show x {word}</command>", "<command>show x ", "</command>"),
    ] {
        directory.write("collectors.d/mine.toml", with_argument(rpc, &["all", "0", "fpc0.*"]));
        let rpcs = |set: &str| {
            let text = format!("collectors = [\"mine\"]\n[collector.mine]\n{set}\n");
            let source = Source::parse(Some(directory.join("perijove.toml")), text);
            let config = source.into_config()?;
            let polled = &config.routers[0].collectors[0];
            Ok(polled.configured.start(&Default::default()).rpcs(0)[0].to_string())
        };
        let sent = |value: &str| Ok(format!("{before}{value}{behind}"));
        assert_eq!(rpcs(""), sent("all"));
        assert_eq!(rpcs("word = \"0\""), sent("0"));
        assert_eq!(rpcs("word = \"fpc0.*\""), sent("fpc0.*"));
        for value in ["<clear/>", "", "ALL", "all ", "fpc0.1", "x | save y", "{word}"] {
            let said: Result<String, String> = rpcs(&format!("word = \"{value}\""));
            let expected = format!("`{value}` is not one of `all`, `0`, `fpc0.*`");
            let said = said.unwrap_err();
            assert!(said.contains(":3: collector.mine.word: "), "{said}");
            assert!(said.contains(&expected), "{said}");
        }
        for value in ["0", "true", "[\"all\"]", "{ all = 1 }", "1979-05-27"] {
            let said: Result<String, String> = rpcs(&format!("word = {value}"));
            let said = said.unwrap_err();
            assert!(said.contains(":3: collector.mine.word: "), "{said}");
            assert!(said.contains("expected a string"), "{said}");
        }
    }
}
