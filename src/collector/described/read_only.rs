//! Which operations a description may send: those that read, and no others.
//!
//! The list says what is allowed, not what is forbidden: one `<get-…>` element, or one `show`
//! command. What could hide another operation in either is refused: entities, comments, CDATA,
//! instructions, line breaks, prefixes, pipes.

use quick_xml::events::{BytesStart, Event};

const OPERATION_BYTES_MAX: usize = 4096;

/// What is allowed, for errors.
const ALLOWED: &str = "an operation is one <get-…> element, or <command>show …</command>";

/// Attributes that change what a reading operation says, and nothing else.
const ATTRIBUTES: &[&str] = &["format", "database", "inherit", "compare", "rollback", "type"];

/// Pipes that leave the reply as it is.
const PIPES: &[&str] = &["display xml", "no-more"];

/// Stands for a word that is not known yet: it is allowed where any word would be, and is neither a
/// name, nor the value of an attribute, nor a verb, nor a pipe.
pub const ANY_WORD: &str = "*";

/// Elements whose names begin so are operations; none stands within one that reads.
const OPERATIONS: &[&str] = &[
    "append",
    "clear",
    "close",
    "command",
    "commit",
    "copy",
    "delete",
    "destination-file",
    "discard",
    "edit",
    "kill",
    "load",
    "lock",
    "op-script",
    "rename",
    "replace",
    "request",
    "restart",
    "rollback",
    "rpc",
    "save",
    "set",
    "tee",
    "unlock",
    "validate",
];

/// Whether an operation only reads; an error says what it has that is not allowed.
pub fn check(operation: &str) -> Result<(), String> {
    check_parts(operation).map_err(|why| format!("{why}: {ALLOWED}"))
}

fn check_parts(operation: &str) -> Result<(), String> {
    if operation.len() > OPERATION_BYTES_MAX {
        return Err(format!("it has more than {OPERATION_BYTES_MAX} bytes"));
    }
    if let Some(odd) = operation.chars().find(|c| !matches!(c, ' '..='~')) {
        return Err(format!("it has the character {odd:?}"));
    }
    for hidden in ["&", "<!", "<?", "]]>"] {
        if operation.contains(hidden) {
            return Err(format!("it has `{hidden}`"));
        }
    }
    let mut reader = quick_xml::Reader::from_str(operation);
    let (mut open, mut command) = (0, None);
    let mut roots = 0;
    loop {
        match reader.read_event().map_err(|err| format!("it is not well-formed ({err})"))? {
            Event::Start(tag) | Event::Empty(tag) if open == 0 && roots > 0 => {
                return Err(format!("it has a second operation, <{}>", name(&tag)));
            }
            Event::Start(tag) | Event::Empty(tag) if command.is_some() => {
                return Err(format!("it has <{}> in its command", name(&tag)));
            }
            Event::Start(tag) => {
                element(&tag, open)?;
                if open == 0 && name(&tag) == "command" {
                    command = Some(String::new());
                }
                (open, roots) = (open + 1, 1);
            }
            Event::Empty(tag) => {
                element(&tag, open)?;
                if open == 0 && name(&tag) == "command" {
                    return Err("its command is empty".into());
                }
                roots = 1;
            }
            Event::End(_) => open -= 1,
            Event::Text(text) => match &mut command {
                Some(command) if open == 1 => command.push_str(&text.into_inner()),
                _ if open == 0 => return Err("it has text beside its element".into()),
                _ => {}
            },
            Event::Eof => break,
            other => return Err(format!("it has {other:?}")),
        }
    }
    if open > 0 || roots == 0 {
        return Err("it is not one whole element".into());
    }
    command.map_or(Ok(()), |command| show(&command))
}

fn name<'a>(tag: &'a BytesStart) -> &'a str {
    tag.name().0
}

/// An element at that depth, and its attributes.
fn element(tag: &BytesStart, depth: usize) -> Result<(), String> {
    let name = name(tag);
    // Some arguments of Junos have an underscore: `session_addr`.
    let is_joint = |c: char| c == '-' || depth > 0 && c == '_';
    let is_plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || is_joint(c);
    let is_name = name.starts_with(|c: char| c.is_ascii_lowercase()) && name.chars().all(is_plain);
    if !is_name {
        return Err(format!("<{name}> is not in lower case and without a prefix"));
    }
    let is_command = depth == 0 && name == "command";
    match depth {
        0 if !is_command && !name.starts_with("get-") => {
            return Err(format!("<{name}> may do more than read"));
        }
        0 => {}
        _ => {
            let is = |operation: &&&str| {
                name.strip_prefix(**operation)
                    .is_some_and(|rest| rest.is_empty() || rest.starts_with(['-', '_']))
            };
            if OPERATIONS.iter().any(|operation| is(&operation)) {
                return Err(format!("<{name}> within it may do more than read"));
            }
        }
    }
    for attribute in tag.attributes() {
        let attribute = attribute.map_err(|err| format!("it is not well-formed ({err})"))?;
        let (key, value) = (attribute.key.0, &*attribute.value);
        if !ATTRIBUTES.contains(&key) {
            return Err(format!("the attribute `{key}` may do more than read"));
        }
        let is_plain = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
        if value.is_empty() || !value.chars().all(is_plain) {
            return Err(format!("the attribute `{key}` is not one word"));
        }
        if is_command && (key, value) != ("format", "xml") {
            return Err("a command has no attribute but format=\"xml\"".into());
        }
    }
    Ok(())
}

/// A command of the CLI that only shows.
fn show(command: &str) -> Result<(), String> {
    let mut parts = command.split('|');
    let shown = parts.next().unwrap_or_default().trim();
    if shown.strip_prefix("show ").is_none_or(|rest| rest.trim().is_empty()) {
        return Err(format!("`{shown}` does not begin with `show` in lower case"));
    }
    if let Some(odd) = command.chars().find(|c| ";`\\?!{}<>$".contains(*c)) {
        return Err(format!("the command has `{odd}`"));
    }
    for pipe in parts {
        let words: Vec<&str> = pipe.split(' ').filter(|word| !word.is_empty()).collect();
        if !PIPES.contains(&&*words.join(" ")) {
            let allowed = PIPES.join("`, `");
            return Err(format!("the pipe `{}` is not one of `{allowed}`", words.join(" ")));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_reads_is_allowed() {
        for operation in [
            "<get-lacp-interface-information/>",
            "<get-vrrp-information><summary/></get-vrrp-information>",
            "<get-route-information><table>inet.0</table><extensive/></get-route-information>",
            "<get-interface-information><interface-name>ge-0/0/*</interface-name>\
             </get-interface-information>",
            "<get-configuration database=\"committed\" inherit=\"inherit\"><configuration>\
             <security><ipsec/></security></configuration></get-configuration>",
            "<get-config><source><running/></source></get-config>",
            "<command>show krt queue</command>",
            "<command format=\"xml\">show interfaces ge-0/0/0 Extensive</command>",
            "<command>show lacp interfaces | display xml | no-more</command>",
            "<get-x><y_z>1</y_z></get-x>",
            "<get-route-information><destination>192.0.2.1</destination></get-route-information>",
        ] {
            assert_eq!(check(operation), Ok(()), "{operation}");
        }
    }

    #[test]
    fn everything_else_is_refused() {
        for operation in [
            "",
            " ",
            "text",
            "<get-x>",
            "<get-x></get-y>",
            "get-x",
            "<getx/>",
            "<get/>",
            "<GET-x/>",
            "<get-X/>",
            "<nc:get-x/>",
            "<get-x/><clear-x/>",
            "<get-x/><get-y/>",
            "<get-x/> <request-reboot/>",
            "<get-x/>]]>]]>",
            "<get-x/>text",
            "<request-system-reboot/>",
            "<request-shell-execute><command>id</command></request-shell-execute>",
            "<clear-arp-table/>",
            "<edit-config/>",
            "<lock-configuration/>",
            "<load-configuration/>",
            "<commit/>",
            "<kill-session/>",
            "<rpc><get-x/></rpc>",
            "<file-delete><path>/x</path></file-delete>",
            "<op-script><script>x</script></op-script>",
            "<get-x><edit-config/></get-x>",
            "<get-x><a><edit-config><b/></edit-config></a></get-x>",
            "<get-x><request-system-reboot/></get-x>",
            "<get-x><clear/></get-x>",
            "<get-x><request_system_reboot/></get-x>",
            "<get_x/>",
            "<get-x><command>request system reboot</command></get-x>",
            "<get-x><save>/x</save></get-x>",
            "<get-x><destination-file>/x</destination-file></get-x>",
            "<get-x action=\"replace\"/>",
            "<get-x operation=\"delete\"/>",
            "<get-x xmlns=\"urn:other\"/>",
            "<get-x xmlns:nc=\"urn:other\"/>",
            "<get-x format=\"a&quot;b\"/>",
            "<get-x format=\"\"/>",
            "<get-x format='xml' format='text'/>",
            "<!DOCTYPE a [<!ENTITY e 'x'>]><get-x/>",
            "<get-x>&e;</get-x>",
            "<get-x>&lt;clear/&gt;</get-x>",
            "<get-x>&#60;</get-x>",
            "<get-x><![CDATA[</get-x><clear-x/>]]></get-x>",
            "<get-x><!-- --></get-x>",
            "<!-- --><get-x/>",
            "<?xml version=\"1.0\"?><get-x/>",
            "<get-x><?op?></get-x>",
            "<get-x>\n</get-x>",
            "<get-x>\u{0}</get-x>",
            "<get-x>\u{ff1c}clear/\u{ff1e}</get-x>",
            "<command/>",
            "<command></command>",
            "<command>show</command>",
            "<command>show </command>",
            "<command>SHOW version</command>",
            "<Command>show version</Command>",
            "<command>request system reboot</command>",
            "<command>clear arp</command>",
            "<command>configure</command>",
            "<command>start shell</command>",
            "<command>showx y</command>",
            "<command>show x | save y</command>",
            "<command>show x|save y</command>",
            "<command>show x | no-more | save y</command>",
            "<command>show x | append y</command>",
            "<command>show x | tee y</command>",
            "<command>show x | SAVE y</command>",
            "<command>show x | display xml save y</command>",
            "<command>show x | match a | save y</command>",
            "<command>show x |</command>",
            "<command>show x; clear arp</command>",
            "<command>show x\nclear arp</command>",
            "<command>show x\rclear arp</command>",
            "<command>show x\tclear arp</command>",
            "<command>show `id`</command>",
            "<command>show $(id)</command>",
            "<command>show x &#124; save y</command>",
            "<command>show x &#10; clear arp</command>",
            "<command>show <b/>x</command>",
            "<command>show x<command>clear arp</command></command>",
            "<command format=\"text\">show x</command>",
            "<command database=\"candidate\">show x</command>",
            "<command>show x</command><command>show y</command>",
        ] {
            assert!(check(operation).is_err(), "{operation}");
        }
        assert!(check(&format!("<get-x>{}</get-x>", "a".repeat(5000))).is_err());
    }
}
