//! A fleet: logins that routers share, tags, lists of routers that come and go.

mod common;

use std::collections::BTreeSet;

use common::http_stub::{HttpStub, Reply};
use common::influxd::Influxd;
use common::lines::Line;
use common::list_server::ListServer;
use common::needs::{ROOT, skips};
use common::perijove::{Daemon, FAST, alarm_polls, local_router, own, run_with};
use common::process::descendants;
use common::sshd::{Sshd, password};
use common::temporary::Directory;
use common::victoria_metrics::VictoriaMetrics;
use common::{answer, free_port, http_agent, wait_for};

#[test]
fn a_secret_that_was_changed_is_read_at_the_next_login() {
    if skips(&["ssh-keygen", "sshd", ROOT]) {
        return;
    }
    let sshd = Sshd::with_router("");
    let key = sshd.user_key("ed25519", "correct horse");
    let directory = Directory::new();
    let files = ["password", "passphrase"].map(|name| directory.write_secret(name, "wrong"));
    let settings = format!(
        "collectors = [\"alarm\"]\n{FAST}[router_defaults]\nlogin = \"password\"\n\
         [login.password]\nusername = {:?}\nknown_hosts = {known:?}\npassword_file = {:?}\n\
         [login.key]\nusername = {:?}\nknown_hosts = {known:?}\nprivate_key = {key:?}\n\
         passphrase_file = {:?}\n\
         [[router]]\nname = \"by-password\"\ntarget = \"127.0.0.1:{port}\"\n\
         [[router]]\nname = \"by-key\"\ntarget = \"127.0.0.1:{port}\"\nlogin = \"key\"\n",
        common::sshd::USER,
        files[0],
        common::sshd::USER,
        files[1],
        known = sshd.known_hosts(),
        port = sshd.port,
    );
    let mut daemon = Daemon::start_in(directory, &settings, &[]);
    daemon.process.wait_stderr("refused user");
    daemon.process.wait_stderr("the passphrase does not open");
    for (name, file, secret) in
        [("by-password", "password", password()), ("by-key", "passphrase", "correct horse".into())]
    {
        daemon.directory.write_secret(file, &secret);
        daemon.wait_lines(&format!("polls of {name}"), |lines| {
            let polled = |line: &&common::lines::Line| line.tag("host") == name;
            let own: Vec<_> = lines.iter().filter(polled).cloned().collect();
            (alarm_polls(&own) > 0).then_some(())
        });
    }
    let finished = daemon.stop();
    assert_eq!(finished.code, 0, "{}", finished.stderr);
}

/// One router with tags of its own, of its login and of the defaults.
fn tagged() -> String {
    format!(
        "collectors = [\"alarm\", \"interfaces\"]\n{FAST}[output.stdout]\n{}\
         tags = {{ site = \"fra 1\", role = \"core, \\\"x\\\"\" }}\n\
         [router_defaults]\ntags = {{ role = \"edge\", region = \"eu\" }}\n",
        local_router("r1", "")
    )
}

const TAGS: [(&str, &str); 3] = [("site", "fra 1"), ("role", "core, \"x\""), ("region", "eu")];

/// What points are about: readings of the router, and what perijove says of it.
const ABOUT: [&str; 3] = ["alarms", "interface", "perijove_session"];

#[test]
fn tags_are_in_line_protocol_json_and_the_exposition() {
    let port = free_port();
    let mut daemon = Daemon::start(&format!(
        "{}[output.file]\npath = \"DIRECTORY/points.json\"\nformat = \"json\"\n\
         [output.prometheus]\nlisten = \"127.0.0.1:{port}\"\n",
        tagged()
    ));
    let lines = daemon.wait_lines("points of each kind", |lines| {
        let has = |name: &&str| lines.iter().any(|line| line.measurement == **name);
        ABOUT.iter().all(has).then(|| lines.to_vec())
    });
    for line in lines.iter().filter(|line| ABOUT.contains(&&*line.measurement)) {
        assert!(TAGS.iter().all(|(name, value)| line.tag(name) == *value), "{line:?}");
    }
    let is_about_itself = |line: &&common::lines::Line| line.measurement == "perijove_process";
    for line in lines.iter().filter(is_about_itself) {
        assert_eq!(line.tag("site"), "", "what is about the program has no router's tags");
    }
    wait_for("records of each kind in the file", || {
        let text = std::fs::read_to_string(daemon.directory.join("points.json")).ok()?;
        let mut seen = BTreeSet::new();
        for record in text.rsplit_once('\n')?.0.lines() {
            let record: serde_json::Value = serde_json::from_str(record).expect("JSON");
            let measurement = record["measurement"].as_str().expect("a measurement");
            if ABOUT.contains(&measurement) {
                seen.insert(measurement.to_string());
                let is_tagged = |(name, value): &(&str, &str)| record["tags"][name] == *value;
                assert!(TAGS.iter().all(is_tagged), "{record}");
            }
        }
        (seen.len() == ABOUT.len()).then_some(())
    });
    let url = format!("http://127.0.0.1:{port}/metrics");
    let metrics =
        ["junos_alarms_yellow_count", "junos_interface_up", "junos_up", "perijove_session_up"];
    let samples_of = |text: &str, metric: &str| -> Vec<String> {
        let start = format!("{metric}{{");
        text.lines().filter(|line| line.starts_with(&start)).map(str::to_string).collect()
    };
    let text = wait_for("samples of each metric", || {
        let scraped = answer(http_agent().get(&url).call().expect("an answer"));
        let (status, text) = scraped.expect("text");
        assert_eq!(status, 200);
        metrics.iter().all(|metric| !samples_of(&text, metric).is_empty()).then_some(text)
    });
    let labels = "role=\"core, \\\"x\\\"\",site=\"fra 1\"";
    for metric in metrics {
        let samples = samples_of(&text, metric);
        assert!(samples[0].contains("region=\"eu\""), "{samples:?}");
        assert!(samples.iter().all(|sample| sample.contains(labels)), "{samples:?}");
    }
    assert_eq!(daemon.stop().code, 0);
}

#[test]
fn tags_are_in_influxdb() {
    if skips(&["influxd"]) {
        return;
    }
    let influxd = Influxd::start();
    let daemon = Daemon::start(&format!("{}{}", tagged(), influxd.output()));
    influxd.wait_points("points with tags", |points| {
        let has_all =
            |line: &common::lines::Line| TAGS.iter().all(|(name, value)| line.tag(name) == *value);
        let about = |name: &&str| {
            let mut about = points.iter().filter(|line| line.measurement == **name).peekable();
            about.peek().is_some() && about.all(has_all)
        };
        ABOUT.iter().all(about).then_some(())
    });
    assert_eq!(daemon.stop().code, 0);
}

#[test]
fn tags_are_in_remote_write() {
    if skips(&["victoria-metrics"]) {
        return;
    }
    let server = VictoriaMetrics::start();
    let daemon = Daemon::start(&format!(
        "{}[output.remote_write]\nurl = \"{}/api/v1/write\"\nflush_interval = \"100ms\"\n",
        tagged(),
        server.url()
    ));
    for metric in ["junos_interface_up", "junos_up", "perijove_session_up"] {
        let series = wait_for(metric, || {
            let series = server.series(metric);
            (!series.is_empty()).then_some(series)
        });
        for series in series {
            let has =
                |(name, value): &(&str, &str)| series.labels.get(*name).is_some_and(|v| v == value);
            assert!(TAGS.iter().all(has), "{:?}", series.labels);
        }
    }
    assert_eq!(daemon.stop().code, 0);
}

#[cfg(feature = "kafka")]
#[test]
fn tags_are_in_kafka() {
    if skips(&[common::needs::PYTHON]) {
        return;
    }
    use common::broker::{self, Noida, Reader};
    let noida = Noida::start();
    let mut reader = Reader::new(&noida.brokers(), &[]);
    let daemon = Daemon::start(&(tagged() + &broker::output(&noida.brokers())));
    wait_for("records with tags", || {
        let records = reader.read();
        let about = |name: &&str| {
            let mut about = records.iter().filter(|r| r.headers["schema"] == **name).peekable();
            about.peek().is_some()
                && about.all(|record| {
                    let record: serde_json::Value =
                        serde_json::from_str(&record.value).expect("JSON");
                    TAGS.iter().all(|(name, value)| record["tags"][name] == *value)
                })
        };
        ABOUT.iter().all(about).then_some(())
    });
    assert_eq!(daemon.stop().code, 0);
}

#[test]
fn a_tag_cannot_take_the_place_of_what_a_collector_says() {
    let refused = |collectors: &str, tags: &str, why: &str| {
        let settings = format!(
            "collectors = [{collectors}]\n{}tags = {{ {tags} }}\n[output.influxdb]\n\
             url = \"http://127.0.0.1:1\"\nhost_tag = \"router\"\n",
            local_router("r1", "")
        );
        let finished = run_with(&settings, &["once"]);
        assert_eq!(finished.code, 2, "{finished:?}");
        assert!(finished.stderr.contains(why), "{}", finished.stderr);
    };
    let alarm = "\"alarm\"";
    refused(alarm, "host = \"x\"", "the tag `host` has a name that outputs use");
    refused(alarm, "instance = \"x\"", "the tag `instance` has a name that outputs use");
    refused(alarm, "class = \"x\"", "the tag `class` has the name of a tag or a field of alarm");
    refused(alarm, "collector = \"x\"", "has a name that outputs use");
    refused(alarm, "losses_total = \"x\"", "has the name of a tag or a field of perijove");
    refused("\"bgp\"", "description = \"x\"", "the tag `description` has the name of a tag or a");
    refused(alarm, "router = \"x\"", "host_tag `router` has the name of a tag of r1");
    // A description cannot set it either.
    let stub = HttpStub::accepting();
    let settings = format!(
        "collectors = [\"interfaces\"]\n{}tags = {{ customer = \"ours\" }}\n\
         [output.influxdb]\nurl = \"{}\"\n",
        local_router("r1", ""),
        stub.url()
    );
    assert_eq!(run_with(&settings, &["once"]).code, 0);
    let lines = stub.accepted();
    assert!(!lines.is_empty() && lines.iter().all(|line| line.tag("customer") == "ours"));
}

/// A list of routers behind one server, each with a name of its own.
fn list(sshd: &Sshd, names: &[&str]) -> String {
    let port = sshd.port;
    let group = |name: &&str| {
        format!(
            "{{\"targets\": [\"127.0.0.1:{port}\"], \"labels\": {{\"__meta_name\": \"{name}\", \
             \"site\": \"at {name}\", \"__meta_secret\": \"unwanted\", \"job\": \"x\"}}}}"
        )
    };
    format!("[{}]", names.iter().map(group).collect::<Vec<_>>().join(", "))
}

/// Settings with a login for these routers.
fn login(sshd: &Sshd) -> String {
    format!(
        "collectors = [\"alarm\"]\n{FAST}[login.all]\nusername = {:?}\nknown_hosts = {:?}\n\
         private_key = {:?}\n",
        common::sshd::USER,
        sshd.known_hosts(),
        sshd.user_key("ed25519", "")
    )
}

fn polls_of(lines: &[Line], name: &str) -> usize {
    let own: Vec<_> = lines.iter().filter(|line| line.tag("host") == name).cloned().collect();
    alarm_polls(&own)
}

/// Waits for another poll of each of these routers.
fn wait_polls(daemon: &mut Daemon, names: &[&str]) {
    let before = common::perijove::whole_lines(&daemon.process.stdout());
    for name in names {
        let known = polls_of(&before, name);
        daemon.wait_lines(&format!("another poll of {name}"), |lines| {
            (polls_of(lines, name) > known + 1).then_some(())
        });
    }
}

#[test]
fn routers_come_and_go_with_a_server_s_list() {
    if skips(&["ssh-keygen", "sshd", ROOT]) {
        return;
    }
    let sshd = Sshd::with_router("");
    let server = ListServer::start();
    let other = HttpStub::start(|_, _| Reply::message(200, "[]"));
    let directory = Directory::new();
    let token = directory.write_secret("token", "tok\n");
    let settings = format!(
        "{}[[router]]\nname = \"inline\"\ntarget = \"127.0.0.1:{}\"\nlogin = \"all\"\n\
         [[routers]]\nhttp = \"{}/devices?token=x\"\ntoken_file = {token:?}\n\
         refresh_interval = \"200ms\"\ntimeout = \"1s\"\nbytes_max = \"100kB\"\n\
         login = \"all\"\nname_label = \"__meta_name\"\nlabels = {{ place = \"site\" }}\n\
         tags = {{ place = \"nowhere\", from = \"list\" }}\n",
        login(&sshd),
        sshd.port,
        server.stub.url(),
    );
    let mut daemon = Daemon::start_in(directory, &settings, &[]);
    let list_name = format!("{}/devices", server.stub.url());
    let of_list = |lines: &[Line], field: &str| own(lines, ("list", &list_name), field);
    daemon.wait_lines("a list that cannot be read", |lines| {
        (of_list(lines, "success") == Some(0.0)).then_some(())
    });
    wait_polls(&mut daemon, &["inline"]);

    server.lists(list(&sshd, &["a", "b", "c", "inline", "b"]));
    wait_polls(&mut daemon, &["inline", "a", "b", "c"]);
    let lines = daemon.wait_lines("the list's figures", |lines| {
        (of_list(lines, "routers") == Some(3.0)).then(|| lines.to_vec())
    });
    assert_eq!(of_list(&lines, "duplicate_targets"), Some(2.0));
    let of_a = lines.iter().filter(|line| line.tag("host") == "a");
    for line in of_a {
        let names: BTreeSet<&str> = line.tags.keys().map(String::as_str).collect();
        assert_eq!((line.tag("place"), line.tag("from")), ("at a", "list"), "{line:?}");
        assert!(names.is_disjoint(&["site", "job", "__meta_name", "__meta_secret"].into()));
    }
    // What is set here is not the list's.
    let inline = lines.iter().filter(|line| line.tag("host") == "inline");
    assert!(inline.into_iter().all(|line| line.tag("from").is_empty()));

    // What a list cannot be changes nothing.
    let away: &'static str = format!("{}/list", other.url()).leak();
    let away: &'static [(&str, &str)] = vec![("Location", away)].leak();
    let whole = list(&sshd, &["x", "y"]);
    for (what, reply) in [
        ("500", Reply::status(500)),
        ("empty", Reply::message(200, "[]")),
        ("nothing", Reply::message(200, "")),
        ("no target", Reply::message(200, "[{\"targets\": []}]")),
        ("no fit", Reply::message(200, "[{\"targets\": [\"-x\", \"a b\"]}]")),
        ("truncated", Reply::message(200, &whole[..whole.len() - 9])),
        ("another document", Reply::message(200, "{\"error\": \"busy\"}")),
        ("a page", Reply::message(200, "<html>log in</html>")),
        ("long", Reply::message(200, &format!("{whole}{}", " ".repeat(200_000)))),
        ("redirected away", Reply::Answer(302, away, String::new())),
        ("round and round", Reply::Answer(302, &[("Location", "/list")], String::new())),
        ("cut", Reply::CutInBody),
        ("closed", Reply::Close),
        ("garbage", Reply::Garbage),
        ("slow", Reply::Hang),
    ] {
        server.answers(reply);
        server.wait_asked();
        let so_far = common::perijove::whole_lines(&daemon.process.stdout()).len();
        let lines = daemon.wait_lines(&format!("{what} is a failure"), |lines| {
            let new = &lines[so_far..];
            // The first report may have begun before.
            let is_report =
                |line: &&Line| line.tag("list") == list_name && line.fields.contains_key("success");
            let is_told = new.iter().filter(is_report).count() >= 2;
            (is_told && of_list(new, "success") == Some(0.0)).then(|| new.to_vec())
        });
        assert_eq!(of_list(&lines, "routers"), Some(3.0), "{what}");
        assert!(of_list(&lines, "last_success_age_seconds") > Some(0.0), "{what}");
    }
    wait_polls(&mut daemon, &["inline", "a", "b", "c"]);
    assert_eq!(other.requests().len(), 0, "credentials went to another server");
    let lines = common::perijove::whole_lines(&daemon.process.stdout());
    for name in ["inline", "a", "b", "c"] {
        assert_eq!(own(&lines, ("host", name), "connects_total"), Some(1.0), "{name}");
    }
    assert!(daemon.process.stderr().contains("s ago stays in use"), "{}", daemon.process.stderr());

    // b and c go, d comes, and a goes on with its session.
    let sessions = || descendants(daemon.process.id()).len();
    assert_eq!(sessions(), 0, "the built-in client starts no programs");
    server.lists(list(&sshd, &["d", "a"]));
    wait_polls(&mut daemon, &["inline", "a", "d"]);
    let before = common::perijove::whole_lines(&daemon.process.stdout());
    wait_polls(&mut daemon, &["inline", "a", "d"]);
    let after = common::perijove::whole_lines(&daemon.process.stdout());
    for gone in ["b", "c"] {
        assert_eq!(polls_of(&before, gone), polls_of(&after, gone), "{gone}");
    }
    assert_eq!(own(&after, ("host", "a"), "connects_total"), Some(1.0));
    // A reload with the same list keeps its routers.
    daemon.reload(&format!(
        "# changed\nself_interval = \"299ms\"\n{}",
        settings.replacen("self_interval = \"300ms\"\n", "", 1)
    ));
    daemon.process.wait_stderr("the settings were read again");
    wait_polls(&mut daemon, &["inline", "a", "d"]);
    daemon.reload(&settings.replace("200ms", "250ms"));
    wait_polls(&mut daemon, &["inline", "a", "d"]);
    let lines = common::perijove::whole_lines(&daemon.process.stdout());
    assert_eq!(own(&lines, ("host", "a"), "connects_total"), Some(1.0));
    let finished = daemon.stop();
    assert_eq!(finished.code, 0, "{}", finished.stderr);
}

#[test]
fn files_list_routers_and_check_and_once_read_them() {
    if skips(&["ssh-keygen", "sshd", ROOT]) {
        return;
    }
    let sshd = Sshd::with_router("");
    let directory = Directory::new();
    let folder = directory.join("lists");
    std::fs::create_dir(&folder).expect("a folder");
    let replace = |name: &str, text: String| {
        let new = directory.write("new", text);
        std::fs::rename(new, folder.join(name)).expect("rename");
    };
    replace("one.json", list(&sshd, &["a", "b"]));
    replace("two.json", list(&sshd, &["c"]));
    replace(".hidden.json", "[".into());
    replace("other.txt", "[".into());
    let settings = format!(
        "{}[[routers]]\nfile = \"{}/*.json\"\nrefresh_interval = \"200ms\"\nlogin = \"all\"\n\
         name_label = \"__meta_name\"\n",
        login(&sshd),
        folder.display(),
    );
    // Where an answer takes as long as an interval, it is not said to be ok.
    let rarely = settings.replacen("interval = \"300ms\"", "interval = \"1h\"", 1);
    let checked = run_with(&rarely, &["check"]);
    assert_eq!(checked.code, 0, "{checked:?}");
    let expected = format!("ok          list {}/*.json: 3 routers\n", folder.display());
    assert!(checked.stdout.contains(&expected), "{}", checked.stdout);
    for name in ["a", "b", "c"] {
        assert!(
            checked.stdout.contains(&format!("ok          {name} alarm: ")),
            "{}",
            checked.stdout
        );
    }
    let once = run_with(&settings, &["once"]);
    assert_eq!(once.code, 0, "{once:?}");
    let hosts = common::perijove::hosts(&common::lines::read(&once.stdout));
    assert_eq!(hosts, ["a", "b", "c"].map(String::from).into());

    let mut daemon = Daemon::start(&settings);
    wait_polls(&mut daemon, &["a", "b", "c"]);
    replace(
        "two.json",
        format!("[{{\"targets\": [\"127.0.0.1:{}\", \"-oProxyCommand=x\", \"a b\"]}}]", sshd.port),
    );
    wait_polls(&mut daemon, &["a", "b", "127.0.0.1"]);
    let name = format!("{}/*.json", folder.display());
    daemon.wait_lines("targets that do not fit are counted", |lines| {
        (own(lines, ("list", &name), "rejected_targets") == Some(2.0)).then_some(())
    });
    // One broken file is no reason to forget what the others say.
    replace("one.json", "[{".into());
    daemon.wait_lines("a failure", |lines| {
        (own(lines, ("list", &name), "success") == Some(0.0)).then_some(())
    });
    wait_polls(&mut daemon, &["a", "b", "127.0.0.1"]);
    assert_eq!(daemon.stop().code, 0);
    let once = run_with(&settings, &["once"]);
    assert_eq!(once.code, 1, "{once:?}");
    assert!(once.stderr.contains("one.json: it is not a list of targets"), "{}", once.stderr);
    let checked = run_with(&settings, &["check"]);
    assert_eq!(checked.code, 1, "{checked:?}");
    assert!(checked.stdout.contains("FAILED      list "), "{}", checked.stdout);
}

#[test]
fn a_second_target_answers_while_the_first_does_not() {
    if skips(&["ssh-keygen", "sshd", ROOT]) {
        return;
    }
    let (mut first, mut second) = (Sshd::with_router(""), Sshd::with_router(""));
    let known = [&first, &second]
        .map(|sshd| std::fs::read_to_string(sshd.known_hosts()).expect("known hosts"));
    let directory = Directory::new();
    let known_hosts = first.directory.write("known_hosts", known.concat());
    let keys = [&first, &second].map(|sshd| sshd.user_key("ed25519", ""));
    std::fs::copy(keys[0].with_extension("pub"), second.directory.join("authorized_keys"))
        .expect("one key for both");
    let settings = format!(
        "collectors = [\"alarm\"]\n{FAST}[[router]]\nname = \"mx1\"\n\
         target = \"127.0.0.1:{}\"\nsecond_target = \"127.0.0.1:{}\"\nusername = {:?}\n\
         private_key = {:?}\nknown_hosts = {known_hosts:?}\n",
        first.port,
        second.port,
        common::sshd::USER,
        keys[0],
    );
    let number = |lines: &[Line]| own(lines, ("host", "mx1"), "target_number");
    let mut daemon = Daemon::start_in(directory, &settings, &[]);
    let wait_number = |daemon: &mut Daemon, expected: f64| {
        daemon.wait_lines(&format!("a session with target {expected}"), |lines| {
            (number(lines) == Some(expected)).then_some(())
        });
        wait_polls(daemon, &["mx1"]);
    };
    wait_number(&mut daemon, 1.0);
    first.kill_sessions();
    first.stop();
    wait_number(&mut daemon, 2.0);
    daemon.process.wait_stderr("is open with its second target");
    // The first one is back: the session stays, and the next one is with the first again.
    first.start_again();
    wait_number(&mut daemon, 2.0);
    second.kill_sessions();
    wait_number(&mut daemon, 1.0);
    // Each is who it is: another key under the second's address is refused.
    second.change_host_key();
    first.kill_sessions();
    first.stop();
    daemon.process.wait_stderr("and by its second target: the host key of");
    assert_eq!(daemon.stop().code, 0);
    let checked = run_with(&settings, &["check", "--connect"]);
    assert_eq!(checked.code, 1, "{checked:?}");
    for word in ["cannot connect to 127.0.0.1", "second target: the host key of", "CHANGED"] {
        assert!(checked.stdout.contains(word), "{word}: {}", checked.stdout);
    }
}

/// Every router is polled by exactly one of the processes that share the settings, by setting or by
/// variable.
#[test]
fn processes_share_a_fleet() {
    let names: Vec<String> = (0..12).map(|number| format!("mx{number}")).collect();
    let routers: String = names.iter().map(|name| local_router(name, "")).collect();
    let mut polled = Vec::new();
    for shard in 1..=3 {
        let settings = format!("collectors = [\"alarm\"]\nshard = \"{shard}/3\"\n{routers}");
        let once = run_with(&settings, &["once"]);
        assert_eq!(once.code, 0, "{once:?}");
        polled.extend(common::perijove::hosts(&common::lines::read(&once.stdout)));
    }
    polled.sort();
    let mut expected = names.clone();
    expected.sort();
    assert_eq!(polled, expected);

    let directory = Directory::new();
    let settings = format!("collectors = [\"alarm\"]\n{FAST}shard = \"1/3\"\n{routers}");
    let environment = [("PERIJOVE_SHARD", "perijove-1/3".to_string())];
    let mut daemon = Daemon::start_with(directory, &settings, &[], &environment);
    let lines = daemon.wait_lines("sessions of the second shard", |lines| {
        own(lines, ("host", &polled[0]), "shard").map(|_| lines.to_vec()).or_else(|| {
            let any = names.iter().find_map(|name| own(lines, ("host", name), "shard"));
            any.map(|_| lines.to_vec())
        })
    });
    for name in &names {
        let shard = own(&lines, ("host", name), "shard");
        assert!(shard.is_none() || shard == Some(2.0), "{name}: {shard:?}");
    }
    assert_eq!(daemon.stop().code, 0);

    let refused = run_with(&format!("shard = \"4/3\"\n{routers}"), &["once"]);
    assert_eq!(refused.code, 2);
    assert!(refused.stderr.contains("1: shard: `4/3` is not a shard such as 2/5"), "{refused:?}");
}

#[test]
fn once_fails_if_an_output_refuses_the_points() {
    for (reply, code) in [(Reply::status(204), 0), (Reply::message(400, "no such field"), 1)] {
        let stub = HttpStub::start(move |_, _| reply.clone());
        let settings = format!(
            "collectors = [\"alarm\"]\n{}[output.influxdb]\nurl = \"{}\"\n",
            local_router("r1", ""),
            stub.url()
        );
        let once = run_with(&settings, &["once"]);
        assert_eq!(once.code, code, "{once:?}");
        assert!(!stub.requests().is_empty());
        let said = once.stderr.contains("influxdb did not get ");
        assert_eq!(said, code == 1, "{}", once.stderr);
        // Beside it, a router that fails.
        let settings = format!("[[router]]\nname = \"dead\"\ncommand = [\"false\"]\n{settings}");
        let settings = settings.replacen("collectors = [\"alarm\"]\n", "", 1);
        let settings = format!("collectors = [\"alarm\"]\n{settings}");
        let once = run_with(&settings, &["once"]);
        assert_eq!(once.code, 1, "{once:?}");
        let words = if code == 1 {
            "failed: dead alarm; influxdb did not get "
        } else {
            "failed: dead alarm"
        };
        assert!(once.stderr.contains(words), "{}", once.stderr);
    }
}
