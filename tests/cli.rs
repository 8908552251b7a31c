//! The command line and the settings file: what is answered, what is refused, and how it is said.

mod common;

use common::lines::{self, Line};
use common::perijove::{
    Daemon, alarm_polls, local_router, once, once_finished, perijove, router, router_program,
    run_with,
};
use common::process::{Finished, Process, run};
use common::schema::Schemas;
use common::temporary::Directory;

const COMMANDS: &[&str] = &[
    "run",
    "once",
    "check",
    "collectors",
    "parse",
    "record",
    "federate",
    "bigquery",
    "import",
    "help",
];
const SEVEN: &[&str] = &[
    "alarm",
    "bgp",
    "environment",
    "interfacediagnostics",
    "interfaces",
    "route",
    "routingengine",
];

#[test]
fn help_names_every_command_and_its_flags() {
    let answer = |arguments: &[&str]| {
        let finished = run(&mut perijove(arguments));
        assert_eq!((finished.code, finished.stderr.as_str()), (0, ""), "{arguments:?}");
        let is_short = |line: &str| line.chars().count() <= 100;
        assert!(finished.stdout.lines().all(is_short), "a long line in {}", finished.stdout);
        finished.stdout
    };
    let overview = answer(&["help"]);
    assert_eq!(overview, answer(&["--help"]));
    assert_eq!(overview, answer(&["-h"]));
    for command in COMMANDS {
        assert!(overview.contains(&format!("\n  {command} ")), "{command}: {overview}");
        let help = answer(&["help", command]);
        assert_eq!(help, answer(&[command, "--help"]));
        assert_eq!(help, answer(&["--help", command]));
        for words in ["Usage: perijove ", "Flags:\n", "--help", "Example:\n  perijove "] {
            assert!(help.contains(words), "{command}: {words:?} is not in {help}");
        }
    }
    let run = answer(&["help", "run"]);
    let flags = "--config --name --target --port --transport --command --username \
        --private-key --password-file --passphrase-file --known-hosts --interval --timeout \
        --collectors --influxdb --database --kafka --listen --dependency --verbose --quiet";
    for flag in flags.split_whitespace() {
        assert!(run.contains(&format!("{flag} ")), "{flag} is not in {run}");
    }
    assert!(!run.contains("--dry-run") && answer(&["help", "bigquery"]).contains("--dry-run"));
}

#[test]
fn version_is_the_packages() {
    let finished = run(&mut perijove(&["--version"]));
    assert_eq!(finished.code, 0);
    let lines: Vec<&str> = finished.stdout.lines().collect();
    assert_eq!(lines[0], concat!("perijove ", env!("CARGO_PKG_VERSION")));
    let commit = option_env!("PERIJOVE_COMMIT").map(|commit| format!("commit {commit}"));
    let features = [
        ("federation ", cfg!(feature = "federation")),
        ("import ", cfg!(feature = "import")),
        ("kafka ", cfg!(feature = "kafka")),
        ("map ", cfg!(feature = "map")),
        ("vendored ", cfg!(feature = "vendored")),
    ];
    let features: String = features.iter().filter(|(_, is)| *is).map(|(name, _)| *name).collect();
    let features = format!("features {features}legacy_algorithms");
    let mut expected: Vec<&str> = commit.iter().map(String::as_str).collect();
    expected.extend([features.as_str(), "OpenSSL 3.", "libssh2 1."]);
    expected.extend(cfg!(feature = "kafka").then_some("librdkafka 2."));
    assert_eq!(lines.len(), 1 + expected.len(), "{lines:?}");
    for (line, start) in lines[1..].iter().zip(expected) {
        assert!(line.starts_with(start), "{line} {start}");
    }
}

/// Exit 2, nothing on stdout, and an error that holds every one of `words`.
fn refused(finished: &Finished, words: &[&str]) {
    let Finished { code, stdout, stderr } = finished;
    assert_eq!((*code, stdout.as_str()), (2, ""), "{words:?} {stderr}");
    for word in words {
        assert!(stderr.contains(word), "{word:?} is not said:\n{stderr}");
    }
    assert!(!stderr.contains("panicked"), "{stderr}");
}

#[test]
fn wrong_arguments_are_refused() {
    let cases: &[(&[&str], &[&str])] = &[
        (&["frobnicate"], &["there is no command `frobnicate`. See `perijove help`"]),
        (&["onec"], &["there is no command `onec`, did you mean `once`? See `perijove help`"]),
        (&["help", "onec"], &["there is no command `onec`, did you mean `once`?"]),
        (&["lcap"], &["`lcap`; did you mean the collector `lacp`", "once --collectors lacp"]),
        (&["lacp"], &["`lacp` is a collector, not a command", "once --collectors lacp"]),
        (&["once", "--colectors", "bgp"], &["--colectors", "--collectors"]),
        (&["once", "--port"], &["--port"]),
        (&["once", "--port", "no"], &["--port", "no"]),
        (&["once", "--port", "70000"], &["--port", "70000"]),
        (&["run", "--interval", "30"], &["--interval", "30", "30s"]),
        (&["once", "--transport", "telnet"], &["telnet", "ssh", "local"]),
        (&["once", "--format", "xml"], &["xml", "line", "json", "prometheus"]),
        (&["once", "bgp"], &["bgp"]),
        (&["once", "--target", "127.0.0.1", "--password", "hunter2"], &["--password"]),
        (&["--bogus"], &["there is no flag --bogus. See `perijove help`"]),
        // Flags of other commands.
        (
            &["federate", "--dry-run"],
            &["`perijove federate` does not take --dry-run, which is a flag of: bigquery. See \
               `perijove help federate`"],
        ),
        (&["--once"], &["`perijove run` does not take --once", "flag of: federate, bigquery."]),
        (&["collectors", "--listen", "127.0.0.1:0"], &["does not take --listen"]),
        (&["--listen", "127.0.0.1:0", "collectors"], &["does not take --listen"]),
        (&["parse", "bgp", "--target", "r"], &["does not take --target"]),
        (&["once", "--listen", "127.0.0.1:0"], &["does not take --listen"]),
        // Flags of other programs.
        (
            &["-task-socketstat-enabled"],
            &["a flag of planet-exporter", "`machine` of [dependency.sockets]"],
        ),
        (&["-web.listen-address=:9326"], &["a flag of junos_exporter", "--listen"]),
        (&["--bgp.enabled=false"], &["a flag of junos_exporter", "`bgp` in the list"]),
        (&["parse"], &["COLLECTOR"]),
        (&["record"], &["DIR"]),
        (&["once", "--config", "/nonexistent/perijove.toml"], &["/nonexistent/perijove.toml"]),
    ];
    for (arguments, words) in cases {
        refused(&run(&mut perijove(arguments)), words);
    }
}

#[test]
fn an_unknown_collector_is_refused_with_the_list() {
    for arguments in [
        ["once", "--collectors", "bgp,intrefaces"].as_slice(),
        &["collectors", "intrefaces"],
        &["parse", "intrefaces"],
    ] {
        let mut words = SEVEN.to_vec();
        words.push("intrefaces");
        refused(&run(&mut perijove(arguments)), &words);
    }
    let far = run(&mut perijove(&["collectors", "lcapxyzzy"]));
    refused(&far, &["there is no collector `lcapxyzzy`. There are: accounting"]);
}

/// Each case: settings, the line that is wrong, and what the error must name besides file and line.
#[test]
fn wrong_settings_are_refused_by_file_line_and_key() {
    let cases: &[(&str, u32, &[&str])] = &[
        // Unknown keys, and the nearest that exists.
        ("intervall = \"30s\"\n", 1, &["intervall", "interval"]),
        (
            "\n\n[limits]\nmesage_bytes_max = \"1MB\"\n",
            4,
            &["mesage_bytes_max", "message_bytes_max"],
        ),
        ("[[router]]\ntarget = \"r\"\nusernme = \"u\"\n", 3, &["usernme", "username"]),
        ("[output.influxdb]\ndatabse = \"d\"\n", 2, &["databse", "database"]),
        ("[output.influx]\nurl = \"http://127.0.0.1\"\n", 1, &["influx", "influxdb"]),
        ("[collector.bgp]\nintervl = \"9s\"\n", 2, &["intervl", "interval"]),
        ("[collector.bpg]\ninterval = \"9s\"\n", 1, &["bpg", "bgp"]),
        ("[loging]\nlevel = \"info\"\n", 1, &["loging", "log"]),
        // Wrong types.
        ("interval = 30\n", 1, &["interval", "\"30s\""]),
        ("timeout = \"9s\"\ncollectors = \"bgp\"\n", 2, &["collectors"]),
        ("[[router]]\ntarget = \"r\"\nport = \"830\"\n", 3, &["port"]),
        ("[output.influxdb]\nurl = \"http://127.0.0.1\"\ngzip = \"yes\"\n", 3, &["gzip"]),
        ("[router]\ntarget = \"r\"\n", 1, &["router", "[[router]]"]),
        // Impossible values.
        ("interval = \"0s\"\n", 1, &["interval", "0s"]),
        ("interval = \"-5s\"\n", 1, &["interval", "-5s"]),
        ("interval = \"5 parsecs\"\n", 1, &["interval", "5 parsecs"]),
        ("poll_share_max = 0\n", 1, &["poll_share_max", "100"]),
        ("poll_share_max = 101\n", 1, &["poll_share_max", "100"]),
        ("[limits]\nitem_bytes_max = \"8 elephants\"\n", 2, &["item_bytes_max", "8 elephants"]),
        ("[limits]\ndepth_max = 0\n", 2, &["depth_max"]),
        ("[[router]]\ntarget = \"r\"\nport = 70000\n", 3, &["port", "70000"]),
        ("[[router]]\ntarget = \"r\"\ntransport = \"telnet\"\n", 3, &["telnet", "ssh", "local"]),
        ("[log]\nlevel = \"loud\"\n", 2, &["loud", "error", "warn", "info", "debug", "trace"]),
        ("[log]\ndestination = \"printer\"\n", 2, &["printer", "stderr", "syslog"]),
        ("[output.influxdb]\nurl = \"ftp://127.0.0.1\"\n", 2, &["url", "ftp", "http"]),
        (
            "[output.influxdb]\nurl = \"http://127.0.0.1\"\nprecision = \"m\"\n",
            3,
            &["precision", "ns"],
        ),
        (
            "[output.influxdb]\nurl = \"http://127.0.0.1\"\nversion = 4\n",
            3,
            &["version is 1 (with database), 2 (with org and bucket) or 3 (with database)"],
        ),
        (
            "[output.influxdb]\nurl = \"http://127.0.0.1\"\nintegers = \"x\"\n",
            3,
            &["integers", "i", "u"],
        ),
        ("[output.stdout]\nformat = \"xml\"\n", 2, &["format", "line", "json"]),
        (
            "[[router]]\ntarget = \"r\"\nusername = \"u\"\n\n\
             [[router]]\ntarget = \"r\"\nusername = \"u\"\n",
            5,
            &["name", "r"],
        ),
        // Unreadable secrets.
        (
            "[[router]]\ntarget = \"r\"\nusername = \"u\"\n\
             password_file = \"/nonexistent/secret\"\n",
            4,
            &["password_file", "/nonexistent/secret"],
        ),
        (
            "[[router]]\ntarget = \"r\"\nusername = \"u\"\npassword_env = \"PERIJOVE_NOT_SET\"\n",
            4,
            &["password_env", "PERIJOVE_NOT_SET"],
        ),
        (
            "[output.influxdb]\nurl = \"http://127.0.0.1\"\nversion = 2\n\
             token_file = \"/nonexistent/t\"\n",
            4,
            &["token_file", "/nonexistent/t"],
        ),
        (
            "[[router]]\ntarget = \"r\"\nusername = \"u\"\nprivate_key = \"/nonexistent/key\"\n",
            4,
            &["private_key", "/nonexistent/key"],
        ),
        // Not TOML at all.
        ("interval = \"30s\"\n[limits\n", 2, &[]),
    ];
    for (settings, line, words) in cases {
        let finished = run_with(settings, &["once", "--collectors", "alarm"]);
        refused(&finished, words);
        let place = format!("perijove.toml:{line}");
        assert!(
            finished.stderr.contains(&place),
            "not at {place} for {settings:?}: {}",
            finished.stderr
        );
    }
}

/// A unit's secrets are in a directory of its own, and so is what it remembers.
#[test]
fn systemds_directories_are_used() {
    let directory = Directory::new();
    let settings = "[[router]]\ntarget = \"127.0.0.1\"\nport = 1\nusername = \"u\"\n\
                    password_file = \"router.password\"\n";
    let file = directory.write("perijove.toml", settings);
    let once = || {
        let mut command = perijove(&["once", "--collectors", "alarm", "--config"]);
        command.arg(&file).env("CREDENTIALS_DIRECTORY", directory.path());
        run(&mut command)
    };
    let shown = directory.join("router.password").display().to_string();
    refused(&once(), &["perijove.toml:5: router.password_file: ", &shown]);
    directory.write_secret("router.password", "secret\n");
    let finished = once();
    assert_eq!(finished.code, 1, "nobody listens there: {finished:?}");

    let state = format!("{}:/nonexistent", directory.path().display());
    let mut daemon = Daemon::start_with(
        Directory::new(),
        &format!("collectors = [\"alarm\"]\n{}", local_router("r1", "")),
        &[],
        &[("STATE_DIRECTORY", state)],
    );
    daemon.wait_lines("a poll", |lines| (alarm_polls(lines) > 0).then_some(()));
    assert!(directory.join("lock").exists(), "its state is elsewhere");
    assert_eq!(daemon.stop().code, 0);
}

#[test]
fn check_finds_the_same_errors_as_run() {
    for command in ["check", "run", "record"] {
        let directory = Directory::new();
        let target = directory.join("recorded");
        let mut arguments = vec![command];
        if command == "record" {
            arguments.push(target.to_str().expect("a UTF-8 path"));
        }
        refused(&run_with("intervall = \"30s\"\n", &arguments), &["perijove.toml:1", "interval"]);
        assert!(!target.exists(), "record has made a directory");
    }
}

#[test]
fn once_prints_line_protocol() {
    let lines = once("alarm,routingengine", "--clock 1000");
    let measurements: Vec<&str> = lines.iter().map(|line| line.measurement.as_str()).collect();
    assert!(measurements.contains(&"alarms"), "{measurements:?}");
    assert!(measurements.contains(&"route_engine"), "{measurements:?}");
    let now = common::now_ns();
    for line in lines::readings(&lines) {
        assert_eq!(line.tag("host"), "r1", "{line:?}");
        assert!((0..120_000_000_000).contains(&(now - line.timestamp)), "{line:?} now {now}");
    }
}

#[test]
fn once_prints_json() {
    let finished = run_with(
        &local_router("r1", ""),
        &["once", "--collectors", "routingengine", "--format", "json"],
    );
    assert_eq!(finished.code, 0, "{}", finished.stderr);
    assert!(finished.stdout.lines().count() > 0);
    let schemas = Schemas::printed();
    for line in finished.stdout.lines() {
        assert_eq!(schemas.check(line)["node"], "r1", "{line}");
    }
}

#[test]
fn once_prints_prometheus_text() {
    let finished = run_with(
        &local_router("r1", ""),
        &["once", "--collectors", "routingengine", "--format", "prometheus"],
    );
    assert_eq!(finished.code, 0, "{}", finished.stderr);
    let text = finished.stdout;
    assert!(text.contains("# TYPE junos_route_engine_temp gauge"), "{text}");
    assert!(text.contains("# HELP junos_route_engine_temp "), "{text}");
    let sample = text.lines().find(|line| line.starts_with("junos_route_engine_temp{"));
    assert!(sample.is_some_and(|line| line.contains("target=\"r1\"")), "{text}");
}

#[test]
fn once_writes_to_the_outputs_that_are_named() {
    let stub = common::http_stub::HttpStub::accepting();
    let settings = format!(
        "collectors = [\"alarm\", \"route\"]\n{}[output.influxdb]\nurl = \"{}\"\n",
        local_router("r1", ""),
        stub.url()
    );
    let finished = run_with(&settings, &["once"]);
    assert_eq!((finished.code, finished.stdout.as_str()), (0, ""), "{finished:?}");
    let written = lines::readings(&stub.accepted());
    for measurement in ["alarms", "routes"] {
        assert!(written.iter().any(|line| line.measurement == measurement), "{written:?}");
    }

    // It prints if that is asked for, and then writes nothing.
    let before = stub.accepted().len();
    let printed = run_with(&settings, &["once", "--format", "line"]);
    assert_eq!(printed.code, 0, "{printed:?}");
    assert_eq!(lines::readings(&lines::read(&printed.stdout)).len(), written.len());
    assert_eq!(stub.accepted().len(), before);

    // A server that is away, and a router that has nothing to tell.
    let nobody = format!("http://127.0.0.1:{}", common::free_port());
    let settings = format!("drain_timeout = \"1s\"\n{settings}");
    let finished = run_with(&settings.replace(&stub.url(), &nobody), &["once"]);
    assert_eq!(finished.code, 1, "{finished:?}");
    assert!(finished.stderr.contains("influxdb did not get "), "{finished:?}");
    let silent = once_finished("route", "--fault unsupported:route");
    assert_eq!((silent.code, silent.stdout.as_str()), (1, ""), "{silent:?}");
    assert!(silent.stderr.contains("there are no points"), "{silent:?}");
}

#[test]
fn once_without_a_router_fails() {
    let settings = "[[router]]\nname = \"r1\"\ntransport = \"local\"\ncommand = [\"/bin/false\"]\n";
    let finished = run_with(settings, &["once", "--collectors", "alarm"]);
    assert_eq!(finished.code, 1, "{finished:?}");
    assert!(finished.stderr.contains("/bin/false"), "{}", finished.stderr);
}

#[test]
fn a_router_without_netconf_is_told_what_to_do() {
    let alarm = ["once", "--collectors", "alarm", "--username", "u", "--target"];
    let at = |target: &str| {
        let finished = run(perijove(&alarm).arg(target).env("PERIJOVE_PASSWORD", "x"));
        assert_eq!(finished.code, 1, "{finished:?}");
        finished.stderr
    };
    // Nobody listens on 830 of this machine.
    for target in ["127.0.0.1", "127.0.0.1:830"] {
        let said = at(target);
        let hint = "on the router: set system services netconf ssh, or here: port = 22";
        assert!(said.contains("127.0.0.1:830") && said.contains(hint), "{said}");
    }
    let other = at(&format!("127.0.0.1:{}", common::free_port()));
    assert!(other.contains("cannot connect") && !other.contains("port = 22"), "{other}");
}

#[test]
fn flags_alone_are_enough() {
    let command = router("--interfaces 1").join(" ");
    let finished = run(&mut perijove(&[
        "once",
        "--name",
        "flagged",
        "--command",
        &command,
        "--collectors",
        "alarm",
    ]));
    assert_eq!(finished.code, 0, "{finished:?}");
    let lines = lines::readings(&lines::read(&finished.stdout));
    assert!(!lines.is_empty() && lines.iter().all(|line| line.tag("host") == "flagged"));
}

#[test]
fn the_old_flag_for_the_name_is_taken_with_a_warning() {
    let finished = run_with(
        &local_router("r1", ""),
        &["once", "--collectors", "alarm", "--identity", "other"],
    );
    assert_eq!(finished.code, 0, "{finished:?}");
    assert!(lines::read(&finished.stdout).iter().all(|line| line.tag("host") == "other"));
    let warning = "--identity is now called --name; the next release removes it";
    assert!(finished.stderr.contains(warning), "{}", finished.stderr);
}

#[test]
fn quiet_and_verbose_change_the_log_only() {
    let log = |flag: &str| {
        let finished = run_with(
            &local_router("r1", ""),
            &["once", "--collectors", "alarm", flag, "--name", "r1"],
        );
        assert_eq!(finished.code, 0, "{finished:?}");
        lines::read(&finished.stdout);
        finished.stderr
    };
    assert_eq!(log("--quiet"), "");
    assert!(log("--verbose").contains("r1"));
}

#[test]
fn collectors_describes_them_all() {
    let text = run(&mut perijove(&["collectors"]));
    let markdown = run(&mut perijove(&["collectors", "--format", "markdown"]));
    let json = run(&mut perijove(&["collectors", "--format", "json"]));
    for finished in [&text, &markdown] {
        assert_eq!((finished.code, finished.stderr.as_str()), (0, ""));
        for name in SEVEN {
            assert!(finished.stdout.contains(name), "{name}: {}", finished.stdout);
        }
    }
    // A schema for each measurement's records.
    assert_eq!((json.code, json.stderr.as_str()), (0, ""));
    let schemas: serde_json::Value = serde_json::from_str(&json.stdout).expect("JSON");
    for measurement in ["alarms", "interface", "routes", "perijove_collector"] {
        assert_eq!(schemas[measurement]["title"], measurement, "{}", json.stdout);
    }
    let marked = |name: &str| {
        let line = text.stdout.lines().find(|line| line.split(' ').next() == Some(name)).unwrap();
        line.split_whitespace().nth(1) == Some("*")
    };
    assert!(marked("bgp") && marked("macsec") && !marked("arp"), "{}", text.stdout);
    let one = run(&mut perijove(&["collectors", "ospf"]));
    assert!(one.stdout.contains("logical_systems"), "{}", one.stdout);
    let one = run(&mut perijove(&["collectors", "route"]));
    assert_eq!(one.code, 0);
    assert!(one.stdout.contains("get-route-summary-information"), "{}", one.stdout);
    assert!(!one.stdout.contains("get-bgp-neighbor-information"), "{}", one.stdout);
}

#[test]
fn parse_reads_a_file_or_standard_input() {
    let printed = run(std::process::Command::new(router_program()).args([
        "--clock",
        "1000",
        "--print",
        "get-route-summary-information",
    ]));
    assert_eq!(printed.code, 0, "{}", printed.stderr);
    let directory = Directory::new();
    let file = directory.write("reply.xml", &printed.stdout);

    let of_file = run(perijove(&["parse", "route"]).arg(&file));
    let input = std::fs::File::open(&file).expect("open the reply");
    let of_input = Process::start_reading(&mut perijove(&["parse", "route"]), input).finish();
    let points = |finished: &Finished| -> Vec<Line> {
        assert_eq!(finished.code, 0, "{finished:?}");
        let same_time = |line| Line { timestamp: 0, ..line };
        lines::readings(&lines::read(&finished.stdout)).into_iter().map(same_time).collect()
    };
    assert_eq!(points(&of_file), points(&of_input));
    assert!(points(&of_file).iter().any(|line| line.measurement == "routes"));

    let missing = run(&mut perijove(&["parse", "route", "/nonexistent/reply.xml"]));
    assert_eq!(missing.code, 1, "{missing:?}");
    assert!(missing.stderr.contains("/nonexistent/reply.xml"), "{}", missing.stderr);
}

#[test]
fn what_record_saves_is_what_parse_reads() {
    let directory = Directory::new();
    let target = directory.join("recorded");
    let settings = local_router("r1", "--clock 1000");
    let path = target.to_str().expect("a UTF-8 path");
    let finished = run_with(&settings, &["record", path, "--collectors", "alarm,bgp,route"]);
    assert_eq!(finished.code, 0, "{finished:?}");

    let mut files: Vec<_> = std::fs::read_dir(&target)
        .expect("the recorded directory")
        .map(|entry| entry.expect("an entry").path())
        .collect();
    files.sort();
    assert!(files.len() >= 4, "two replies of alarm, two of bgp, one of route: {files:?}");
    let help = run(&mut perijove(&["help", "parse"])).stdout;
    let (_, example) = help.rsplit_once("parse bgp recorded/").expect("an example");
    assert!(target.join(example.trim()).exists(), "{example} is none of {files:?}");
    for file in files {
        let name = file.file_name().expect("a name").to_str().expect("UTF-8").to_string();
        let collector =
            ["alarm", "bgp", "route"].into_iter().find(|collector| name.starts_with(collector));
        let collector = collector.unwrap_or_else(|| panic!("{name} names no collector"));
        let parsed = run(perijove(&["parse", collector]).arg(&file));
        assert_eq!(parsed.code, 0, "{name}: {parsed:?}");
        lines::read(&parsed.stdout);
    }
}

#[test]
fn check_says_what_works() {
    let stub = common::http_stub::HttpStub::accepting();
    let output = format!("[output.influxdb]\nurl = \"{}\"\ndatabase = \"perijove\"\n", stub.url());
    let directory = Directory::new();
    let spool = |place: &str| format!("[spool]\ndirectory = \"{place}\"\n");
    let place = directory.join("to be made");
    let file = directory.join("points");
    let file = format!("[output.file]\npath = {file:?}\n");
    let settings = local_router("r1", "") + &output + &file;
    let works = run_with(&(settings.clone() + &spool(place.to_str().unwrap())), &["check"]);
    assert_eq!(works.code, 0, "{works:?}");
    let said = works.stdout + &works.stderr;
    assert!(said.contains("r1") && said.contains("influxdb"), "{said}");
    assert!(said.contains("spool of influxdb"), "{said}");
    let left = std::fs::read_dir(directory.path()).expect("a directory").count();
    assert_eq!(left, 0, "a check leaves something behind");
    let fails = run_with(&(settings + &spool("/proc/nowhere")), &["check"]);
    assert_eq!(fails.code, 1, "{fails:?}");
    assert!(fails.stdout.contains("FAILED      spool of influxdb"), "{fails:?}");

    let nobody = format!(
        "[output.influxdb]\nurl = \"http://127.0.0.1:{}\"\ndatabase = \"perijove\"\n",
        common::free_port()
    );
    let fails = run_with(&(local_router("r1", "") + &nobody), &["check"]);
    assert_eq!(fails.code, 1, "{fails:?}");
    assert!((fails.stdout + &fails.stderr).contains("influxdb"));
}

#[test]
fn check_polls_each_collector_of_each_router() {
    let settings = format!(
        "collectors = [\"alarm\", \"route\", \"bgp\"]\n{}{}{}",
        local_router("good", ""),
        local_router("bad", "--fault rpc-error:route"),
        local_router("old", "--fault unsupported:route"),
    );
    let finished = run_with(&settings, &["check"]);
    assert_eq!(finished.code, 1, "{finished:?}");
    for line in [
        "\nok          good alarm: ",
        "\nok          good route: ",
        "\nok          router good: 3 ok; at these intervals, answers take ",
        "\nFAILED      bad route: ",
        "\nFAILED      router bad: 2 ok, 1 FAILED; ",
        "\nunsupported old route: ",
        "\nok          router old: 2 ok, 1 unsupported; ",
    ] {
        assert!(format!("\n{}", finished.stdout).contains(line), "{line:?}: {finished:?}");
    }
    assert!(finished.stdout.contains(" points\n"), "{finished:?}");

    let json = run_with(&settings, &["check", "--format", "json"]);
    assert_eq!(json.code, 1, "{json:?}");
    let document: serde_json::Value = serde_json::from_str(&json.stdout).expect("JSON");
    assert_eq!(document["works"], false);
    let findings = document["findings"].as_array().expect("findings");
    let of_route = |router: &str| {
        let is_it = |f: &&serde_json::Value| f["router"] == router && f["collector"] == "route";
        findings.iter().find(is_it).unwrap_or_else(|| panic!("{router}: {document}"))
    };
    assert_eq!(of_route("good")["verdict"], "ok");
    assert!(of_route("good")["bytes"].as_u64() > Some(100), "{document}");
    assert_eq!(of_route("bad")["verdict"], "failed");
    assert_eq!(of_route("old")["verdict"], "unsupported");

    // What is not there is no failure, and has no points.
    let replies = Directory::new();
    let empty = "<vrrp-information>\n</vrrp-information>\n";
    replies.write("get-vrrp-information.xml", empty);
    let options = format!("--replies {}", replies.path().display());
    let nothing = local_router("r1", &options) + "[output.stdout]\n";
    let nothing = run_with(&nothing, &["check", "--collectors", "vrrp"]);
    assert_eq!(nothing.code, 0, "{nothing:?}");
    assert!(nothing.stdout.contains("no data     r1 vrrp: "), "{nothing:?}");
    assert!(nothing.stdout.contains("router r1: 1 no data; "), "{nothing:?}");
    let stopped = "<output>vrrp subsystem not running - not needed by configuration.</output>\n";
    replies.write("get-vrrp-information.xml", stopped);
    let nothing = run_with(
        &(local_router("r1", &options) + "[output.stdout]\n"),
        &["check", "--collectors", "vrrp"],
    );
    let said = "no data     r1 vrrp: vrrp subsystem not running - not needed by configuration.";
    assert!(nothing.code == 0 && nothing.stdout.contains(said), "{nothing:?}");

    // A session is all that is tried.
    let connected = run_with(&settings, &["check", "--connect"]);
    assert_eq!(connected.code, 0, "{connected:?}");
    assert!(connected.stdout.contains("ok          router bad: session "), "{connected:?}");
    assert!(!connected.stdout.contains(" route:"), "{connected:?}");
}

#[test]
fn check_says_what_is_asked_too_often() {
    let settings = format!(
        "collectors = [\"alarm\"]\ninterval = \"1s\"\n{}",
        local_router("r1", "--fault slow --drip-bytes 20 --drip-ms 50")
    );
    let finished = run_with(&settings, &["check"]);
    assert_eq!(finished.code, 0, "{finished:?}");
    assert!(finished.stdout.contains("slow        r1 alarm: "), "{finished:?}");
    assert!(finished.stdout.contains(": set interval = \""), "{finished:?}");
    assert!(finished.stdout.contains("slow        router r1: 1 slow; "), "{finished:?}");
}

/// What it says and how it ends with this as its standard output.
fn printing_to(
    stdout: impl Into<std::process::Stdio>,
    arguments: &[&str],
) -> (Option<i32>, String) {
    let mut command = perijove(arguments);
    let output = command.stdin(std::process::Stdio::null()).stdout(stdout).output();
    let output = output.expect("run perijove");
    (output.status.code(), String::from_utf8_lossy(&output.stderr).into_owned())
}

#[test]
fn a_reader_that_goes_away_is_no_crash() {
    // `perijove once | head -1`: the rest has no reader.
    let directory = Directory::new();
    let file = directory.write("perijove.toml", local_router("r1", "--interfaces 200"));
    let file = file.to_str().expect("a UTF-8 path");
    for arguments in [
        ["once", "--quiet", "--config", file].as_slice(),
        &["check", "--quiet", "--config", file],
        &["collectors"],
        &["--help"],
        &["--version"],
    ] {
        let (reader, writer) = std::io::pipe().expect("a pipe");
        drop(reader);
        let ended = printing_to(writer, arguments);
        assert_eq!(ended, (Some(0), String::new()), "{arguments:?}");

        let full = std::fs::File::options().write(true).open("/dev/full").expect("/dev/full");
        let (code, said) = printing_to(full, arguments);
        assert_eq!(code, Some(1), "{arguments:?}: {said}");
        assert!(said.contains("cannot print"), "{arguments:?}: {said}");
    }
}

#[test]
fn a_failed_collector_fails_once() {
    let finished = once_finished("alarm,route", "--fault garbage:route");
    assert_eq!(finished.code, 1, "{finished:?}");
    let lines = lines::read(&finished.stdout);
    assert!(lines.iter().any(|line| line.measurement == "alarms"), "{finished:?}");
}
