//! Settings as files have them: what is taken, and what is said of what is not.

use super::*;

fn source(text: &str) -> Source {
    Source::parse(Some("FILE".into()), text.into())
}

pub(super) fn read(text: &str) -> Result<Config, String> {
    source(text).into_config()
}

/// The shipped file is all comments; what stands behind a `#` without a space is a setting.
#[test]
fn every_key_of_the_shipped_settings_is_known() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/packaging/perijove.toml");
    let text = std::fs::read_to_string(path).unwrap();
    let setting = |line: &str| line.starts_with('#') && !line.starts_with("# ");
    let uncomment = |line: &str| if setting(line) { line[1..].to_string() } else { line.into() };
    let text: Vec<String> = text.lines().map(uncomment).collect();
    assert_eq!(source(&text.join("\n")).faults, [""; 0], "{path}");
}

#[test]
fn a_router_s_sockets_are_asked_for_as_often_as_a_machine_s() {
    let interval = |of: &str, name: &str| {
        let text = format!("{of}[[router]]\nname = \"a\"\n[dependency]\n");
        let config = read(&text).unwrap();
        let polled = &config.routers[0].collectors;
        let polled = polled.iter().find(|polled| polled.entry.name == name).unwrap();
        polled.interval.as_secs()
    };
    assert_eq!((interval("", "connections"), interval("", "bgp")), (7, 30));
    assert_eq!(interval("interval = \"60s\"\n", "connections"), 60);
}

#[test]
fn errors_name_line_key_and_what_is_allowed() {
    for (name, text, expected) in [
        (
            "key",
            "interval = \"30s\"\ntimeuot = \"5s\"\n",
            "FILE:2: timeuot: unknown key `timeuot`, did you mean `timeout`? Known here:",
        ),
        (
            "table",
            "[output.influxdb]\nurl = \"http://h\"\nbatch_points = 5\n",
            "FILE:3: output.influxdb.batch_points: unknown key `batch_points`, did you mean \
             `batch_points_max`?",
        ),
        ("time", "interval = \"30\"\n", "FILE:1: interval: `30` is not a time such as"),
        (
            "collector",
            "\ncollectors = [\"rout\"]\n",
            "FILE:2: collectors: there is no collector `rout`, did you mean `route`? There are",
        ),
        (
            "collector-key",
            "[collector.bgp]\nsatellite = true\n",
            "FILE:2: collector.bgp.satellite: bgp has no setting `satellite`. It has interval, \
             timeout, only, description_labels, logical_systems, elapsed",
        ),
        (
            "collector-value",
            "[collector.connections]\nudp = true\n[collector.connections.daemons]\nx = \"y\"\n",
            "FILE:3: collector.connections.daemons: `x` is not a port",
        ),
        (
            "collector-interval",
            "[collector.alarm]\nignore = \"a\"\nintervall = \"9s\"\n",
            "FILE:3: collector.alarm.intervall: alarm has no setting `intervall`, did you mean \
             `interval`? It has interval, timeout, ignore",
        ),
        (
            "collector-pattern",
            "[collector.alarm]\ninterval = \"9s\"\nignore = \"[\"\n",
            "FILE:3: collector.alarm.ignore: `[` is not a regular expression",
        ),
        (
            "collector-time",
            "[collector.alarm]\nignore = \"a\"\ninterval = \"9\"\n",
            "FILE:3: collector.alarm.interval: `9` is not a time such as",
        ),
        (
            "collector-name",
            "[collector.alarms]\nignore = \"a\"\n",
            "FILE:1: collector.alarms: there is no collector `alarms`, did you mean `alarm`?",
        ),
        ("share", "poll_share_max = 0.0\n", "FILE:1: poll_share_max: a share of time is from"),
        ("user", "[[router]]\ntarget = \"h\"\n", "FILE:1: router: target h needs a username"),
        (
            "layout",
            "[output.kafka]\nbrokers = \"b\"\nlayout = \"jkafkaexporter\"\nvalue = \"line\"\n",
            "FILE:1: output.kafka: a layout has values of its own",
        ),
        (
            "twice",
            "[[router]]\nname = \"a\"\n[[router]]\nname = \"a\"\n",
            "FILE:3: router: two routers have the name `a`",
        ),
    ] {
        let err = read(text).unwrap_err();
        assert!(err.starts_with(expected), "{name}: {err}");
    }
}

/// Each case: settings, the line that is wrong, and the key with what is said of it.
#[test]
fn what_contradicts_itself_is_refused() {
    let v1 = "[output.influxdb]\nurl = \"http://h\"\n";
    let v2 = &format!("{v1}version = 2\norg = \"o\"\nbucket = \"b\"\n");
    let v3 = &format!("{v1}version = 3\ndatabase = \"d\"\n");
    let ssh = "[[router]]\ntarget = \"r\"\nusername = \"u\"\n";
    let local = "[[router]]\ncommand = [\"c\"]\n";
    let openssh = "[[router]]\ntarget = \"r\"\ntransport = \"openssh\"\n";
    let not_1 = "is for version = 2, and this is version 1";
    let not_2 = "is for version = 1, and this is version 2";
    let not_local = "is for a router that is reached over SSH, by its target";
    let empty = "is empty";
    let taken = "has the name of a tag that points have";
    for (before, setting, why) in [
        (v1, "org = \"o\"", not_1),
        (v1, "bucket = \"b\"", not_1),
        (v1, "token_file = \"/nonexistent\"", "is for version = 2 or 3, and this is version 1"),
        (v1, "database = \"\"", empty),
        (v1, "host_tag = \"\"", empty),
        (v1, "host_tag = \"table\"", taken),
        (v1, "host_tag = \"re_name\"", taken),
        (v1, "host_tag = \"remote_hostgroup\"", taken),
        (v1, "host_tag = \"collector\"", taken),
        (v2, "username = \"u\"", not_2),
        (v2, "password_file = \"/nonexistent\"", not_2),
        (v2, "database = \"d\"", "is for version = 1 or 3, and this is version 2"),
        (v2, "create_database = true", not_2),
        (v2, "retention_policy = \"p\"", not_2),
        (v3, "org = \"o\"", "is for version = 2, and this is version 3"),
        (v3, "username = \"u\"", "is for version = 1, and this is version 3"),
        (v3, "create_database = true", "is for version = 1, and this is version 3"),
        (v1, "version = 4", "version is 1 (with database), 2 (with org and bucket) or 3"),
        (local, "target = \"r\"", "is for transport = \"local\""),
        (local, "target = \"\"", empty),
        (local, "name = \" \"", empty),
        (local, "port = 830", not_local),
        (local, "username = \"u\"", not_local),
        (local, "password_file = \"/nonexistent\"", not_local),
        (local, "password_env = \"PERIJOVE_NOT_SET\"", not_local),
        (local, "private_key = \"/nonexistent\"", not_local),
        (local, "agent = true", not_local),
        (ssh, "command = [\"c\"]", "is for transport = \"local\""),
        (ssh, "ssh_config = \"/f\"", "is for transport = \"openssh\""),
        (local, "ssh_options = [\"A=b\"]", not_local),
        (openssh, "password_file = \"/nonexistent\"", "say it in ssh_config or ssh_options"),
        (openssh, "known_hosts = \"/nonexistent\"", "say it in ssh_config or ssh_options"),
        (openssh, "command = [\"c\"]", "is for transport = \"local\""),
        (openssh, "ssh_options = [\"-v\"]", "such as \"ProxyJump=bastion\""),
        ("[[router]]\ntransport = \"openssh\"\n", "target = \"-oX=y\"", "no name of a host"),
        (ssh, "transport = \"local\"", not_local),
        ("[dependency]\n", "name = \"\"", empty),
        ("[limits]\n", "message_bytes_max = \"0\"", "too small"),
        ("[limits]\n", "item_bytes_max = \"1023\"", "too small"),
        (v1, "batch_bytes_max = \"0\"", "too small"),
        (v1, "queue_bytes_max = \"0kB\"", "too small"),
    ] {
        let err = read(&format!("{before}{setting}\n")).unwrap_err();
        assert!(err.starts_with("FILE:") && err.contains(why), "{setting}: {err}");
    }
    for fine in [v1, v2, v3, ssh, local, openssh, &format!("{v1}host_tag = \"router\"\n")] {
        assert!(read(fine).is_ok(), "{:?}", read(fine));
    }
}

#[test]
fn all_faults_are_said_at_once() {
    let text = "\
intervall = \"30s\"
nice = 30
collectors = [\"bgp\", \"rout\"]

[[router]]
target = \"a\"
usernme = \"u\"
port = 70000

[[router]]
target = \"b\"

[[router]]
target = \"b:\"
username = \"u\"

[output.influxdb]
url = \"ftp://h\"

[output.kafka]
topic = \"t\"

[output.prometheus]
expire_intervals = 0
gzip = \"yes\"
";
    let said = read(text).map(drop).unwrap_err();
    let lines: Vec<&str> = said.lines().collect();
    let expected = [
        "FILE:1: intervall: unknown key `intervall`, did you mean `interval`?",
        "FILE:7: router.usernme: unknown key `usernme`, did you mean `username`?",
        "FILE:8: router.port: invalid value: integer `70000`, expected u16",
        "FILE:25: output.prometheus.gzip: invalid type: string, expected a boolean",
        "FILE:3: collectors: there is no collector `rout`, did you mean `route`?",
        "FILE:10: router: target b needs a username",
        "FILE:14: router.target: `b:` is not a host, host:port or [IPv6 address]:port",
        "FILE:18: output.influxdb.url: `ftp://h` does not begin with http:// or https://",
        "FILE:20: output.kafka: needs brokers",
        "FILE:2: nice: a nice value is between -20 and 20",
    ];
    let is_said = |expected: &&str| lines.iter().any(|line| line.starts_with(expected));
    let missing: Vec<_> = expected.iter().filter(|expected| !is_said(expected)).collect();
    assert!(missing.is_empty(), "{missing:#?} in\n{said}");
    assert_eq!(lines.len(), expected.len(), "{said}");
}

#[test]
fn an_old_key_is_taken_with_a_warning() {
    let config = read("[[router]]\nidentity = \"a\"\n[dependency]\nidentity = \"b\"\n").unwrap();
    assert_eq!(config.routers[0].name, "a");
    assert_eq!(config.dependency.map(|dependency| dependency.name).as_deref(), Some("b"));
    let say = "is now called name; the next release drops the old key";
    let expected = [
        format!("FILE:2: router.identity: identity {say}"),
        format!("FILE:4: dependency.identity: identity {say}"),
    ];
    assert_eq!(config.warnings, expected);
    let source = source("[[router]]\nidentity = \"a\"\n");
    source.asked();
    assert_eq!(source.into_config().unwrap().warnings.len(), 1);
    let both = read("[[router]]\nname = \"a\"\nidentity = \"a\"\n").map(drop);
    let why = "identity is the old key for name, which is set too: remove identity";
    assert_eq!(both, Err(format!("FILE:3: router.identity: {why}")));
}

#[test]
fn a_target_may_have_its_port() {
    let reached = |router: &str| {
        let config = read(&format!("[[router]]\nusername = \"u\"\n{router}\n"))?;
        match &config.routers[0].link {
            poll::router::Link::Ssh(ssh) => Ok((ssh.target.clone(), ssh.port)),
            other => panic!("{other:?}"),
        }
    };
    for (router, host, port) in [
        ("target = \"mx1\"", "mx1", 830),
        ("target = \"mx1\"\nport = 22", "mx1", 22),
        ("target = \"mx1:22\"", "mx1", 22),
        ("target = \"mx1:22\"\nport = 22", "mx1", 22),
        ("target = \"192.0.2.1:2222\"", "192.0.2.1", 2222),
        ("target = \"2001:db8::2\"", "2001:db8::2", 830),
        ("target = \"[2001:db8::2]\"", "2001:db8::2", 830),
        ("target = \"[2001:db8::2]:22\"", "2001:db8::2", 22),
    ] {
        assert_eq!(reached(router), Ok((host.into(), port)), "{router}");
    }
    let is_not = "is not a host, host:port or [IPv6 address]:port";
    for (router, why) in [
        ("target = \"mx1:\"", format!("`mx1:` {is_not}")),
        ("target = \"mx1:ssh\"", format!("`mx1:ssh` {is_not}")),
        ("target = \":22\"", format!("`:22` {is_not}")),
        ("target = \"[::1]22\"", format!("`[::1]22` {is_not}")),
        (
            "target = \"mx1:22\"\nport = 23",
            "the target has the port 22, and port is 23: keep one".into(),
        ),
    ] {
        assert_eq!(reached(router), Err(format!("FILE:3: router.target: {why}")), "{router}");
    }
}

#[test]
fn own_tags_are_known() {
    let own = crate::daemon::own_metrics::MEASUREMENTS.iter().flat_map(|schema| schema.tags());
    let unknown: Vec<_> = own.filter(|tag| !influxdb::OWN_TAGS.contains(tag)).collect();
    assert!(unknown.is_empty(), "{unknown:?}");
}

#[test]
fn a_url_is_taken_as_it_is_written() {
    let origin = |url: &str| {
        let config = read(&format!("[dependency.inventory]\nurl = \"{url}\"\n"))?;
        match config.dependency.and_then(|dependency| dependency.inventory) {
            Some(source::InventorySettings { from: source::Origin::Http(http), .. }) => {
                Ok(http.url)
            }
            other => panic!("{other:?}"),
        }
    };
    for url in ["http://h/hosts/", "https://h/hosts?owner=a@b", "http://h#@"] {
        assert_eq!(origin(url).as_deref(), Ok(url));
    }
    for url in ["http://u:secret@h/", "ftp://u:secret@h", "u:secret@h", "ftp://u:se/secret@h"] {
        let why = "a password does not belong into the url: use username, password_file";
        let expected = format!("FILE:2: dependency.inventory.url: {why}");
        assert_eq!(origin(url), Err(expected));
    }
    // Paths are added to this one.
    let config = read("[output.influxdb]\nurl = \"http://h/influx/\"\n").unwrap();
    let OutputKind::Influxdb(settings) = &config.outputs[0].kind else { panic!("{config:?}") };
    assert_eq!(settings.url, "http://h/influx");
}

/// Each command can do without the secrets of the others, which may run as another unit.
#[test]
fn a_command_looks_at_its_own_tables() {
    let secret = "username = \"u\"\npassword_file = \"/nonexistent\"\n";
    let text = |broken: &str| {
        let secret = |table: &str| if table == broken { secret } else { "" };
        format!(
            "[[router]]\ntarget = \"r\"\n{}\n[federate]\nurl = \"http://p\"\n{}\n\
             [output.influxdb]\nurl = \"http://h\"\n{}\n[bigquery]\nproject = \"p\"\n\
             dataset = \"d\"\n[bigquery.influxdb]\nurl = \"http://h\"\n{}",
            if broken == "router" { secret("router") } else { "username = \"u\"" },
            secret("federate"),
            secret("output"),
            secret("bigquery"),
        )
    };
    for (table, polling, federate, bigquery) in [
        ("router", false, true, true),
        ("federate", true, false, true),
        ("output", false, false, true),
        ("bigquery", true, true, false),
    ] {
        let source = || source(&text(table));
        let does = |source: Source| source.into_config().is_ok();
        assert_eq!(does(source().only_polling().unwrap()), polling, "{table}");
        assert_eq!(does(source().only_federate().unwrap()), federate, "{table}");
        assert_eq!(does(source().only_bigquery()), bigquery, "{table}");
        assert!(!does(source()), "{table}");
    }
}
