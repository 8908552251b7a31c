//! The local transport, a daemon's life, and the forms a reply may take.

mod common;

use common::http_stub::{HttpStub, Reply};
use common::lines::{self, Line, Value};
use common::perijove::{
    Daemon, FAST, alarm_polls, hosts, local_router, once, once_finished, run_with, seen,
    whole_lines,
};
use common::process::descendants;
use common::wait_for;

const ALL: &str = "alarm,bgp,environment,interfacediagnostics,interfaces,route,routingengine";

/// What the points say, in an order that does not depend on the poll's.
fn content(lines: &[Line]) -> Vec<String> {
    let mut content: Vec<String> = lines::readings(lines)
        .iter()
        .map(|line| format!("{} {:?} {:?}", line.measurement, line.tags, line.fields))
        .collect();
    content.sort();
    content
}

#[test]
fn readings_flow_and_counters_advance() {
    let mut daemon = Daemon::start(&format!(
        "collectors = [\"interfaces\"]\n{FAST}{}",
        local_router("r1", "--clock 1000 --step 10")
    ));
    let values = daemon.wait_lines("three polls of a counter", |lines| {
        let of_one = |line: &&Line| {
            line.measurement == "interface"
                && line.tag("name") == "ae0"
                && line.fields.contains_key("receive_bytes")
        };
        let values: Vec<f64> =
            lines.iter().filter(of_one).map(|line| line.number("receive_bytes")).collect();
        (values.len() >= 3).then_some(values)
    });
    assert!(values.is_sorted_by(|a, b| a < b), "{values:?}");
    assert_eq!(daemon.stop().code, 0);
}

#[test]
fn every_form_of_a_reply_gives_the_same_points() {
    let sizes = "--clock 1000 --interfaces 3 --bgp-peers 3 --tables 3 --optics 3";
    let plain = content(&once(ALL, sizes));
    assert!(plain.len() > 50, "{plain:#?}");
    for form in [
        "--base 1.0",
        "--base 1.1",
        "--base 1.1 --chunk-bytes 1",
        "--nc-prefix",
        "--release 15.1X49-D70.3",
        "--fault noise",
        "--fault warning",
        "--fault stderr",
        "--fault keepalive --drip-bytes 900 --drip-ms 0",
        "--base 1.0 --fault slow --drip-bytes 7 --drip-ms 0 --fault noise",
    ] {
        assert_eq!(content(&once(ALL, &format!("{sizes} {form}"))), plain, "{form}");
    }
}

#[test]
fn each_routing_engine_has_its_tag() {
    let lines = once("environment,routingengine", "--multi-re node0,node1");
    for measurement in ["environment", "route_engine"] {
        for name in ["node0", "node1"] {
            let found = lines
                .iter()
                .any(|line| line.measurement == measurement && line.tag("re_name") == name);
            assert!(found, "no {measurement} of {name}: {lines:#?}");
        }
    }
}

#[test]
fn bytes_that_are_not_utf_8_are_taken_as_latin_1() {
    let sizes = "--clock 1000 --interfaces 3 --bgp-peers 3";
    let plain = once("interfaces,bgp", sizes);
    let accents = plain.iter().flat_map(|line| line.fields.values());
    let accents = accents.filter(|value| matches!(value, Value::Text(text) if !text.is_ascii()));
    assert!(accents.count() > 0, "no text with an accent: {plain:#?}");
    let latin1 = once("interfaces,bgp", &format!("{sizes} --fault latin1"));
    assert_eq!(content(&latin1), content(&plain));
}

#[test]
fn not_available_costs_the_reading_and_not_the_item() {
    let sizes = "--clock 1000 --interfaces 3 --bgp-peers 3";
    let plain = once(ALL, sizes);
    let finished = once_finished(ALL, &format!("{sizes} --fault na"));
    assert_eq!(finished.code, 0, "{finished:?}");
    let left = lines::readings(&lines::read(&finished.stdout));
    let count = |lines: &[Line]| lines.iter().map(|line| line.fields.len()).sum::<usize>();
    assert!(count(&left) < count(&lines::readings(&plain)) / 2, "{left:#?}");
    // What is no number is still there, with all the tags.
    for (measurement, field) in [("interface", "admin_up"), ("bgp_session", "up")] {
        let series = |lines: &[Line]| {
            let with_field = lines
                .iter()
                .filter(|line| line.measurement == measurement && line.fields.contains_key(field));
            with_field.count()
        };
        assert_eq!(series(&left), series(&plain), "{measurement} {field}");
    }
}

#[test]
fn a_protocol_that_is_off_is_no_failure_and_a_daemon_that_is_down_is_one() {
    for (fault, code, said) in [
        ("not-running", 0, "bgp: no data: BGP is not running"),
        ("no-subsystem", 1, "bgp: the routing subsystem is not running"),
    ] {
        let finished = once_finished("alarm,bgp", &format!("--fault {fault}:bgp"));
        assert_eq!(finished.code, code, "{fault}: {finished:?}");
        assert!(finished.stderr.contains(said), "{fault}: {finished:?}");
        let lines = lines::read(&finished.stdout);
        assert!(alarm_polls(&lines) > 0);
        assert_eq!(seen(&lines, "bgp_session"), 0, "{fault}");
    }
}

#[test]
fn an_error_of_one_routing_engine_keeps_the_points_of_the_others() {
    let options = "--multi-re node0,node1 --fault rpc-error:routing-engine";
    let finished = once_finished("routingengine", options);
    let lines = lines::read(&finished.stdout);
    let of_node0 = lines.iter().filter(|line| line.tag("re_name") == "node0").count();
    assert!(of_node0 > 0, "{finished:?}");
}

#[test]
fn the_childs_stderr_is_in_the_log() {
    let finished = once_finished("alarm", "--fault stderr");
    assert_eq!(finished.code, 0, "{finished:?}");
    let said = "mgd: warning: <this> is a line & no XML";
    let line = finished.stderr.lines().find(|line| line.contains(said));
    assert!(line.is_some_and(|line| line.contains("r1: ")), "{}", finished.stderr);
}

/// `[[router]]` whose command is this shell script.
fn shell(script: &str) -> String {
    format!("[[router]]\nidentity = \"r1\"\ncommand = [\"sh\", \"-c\", {script:?}]\n")
}

#[test]
fn a_flood_on_a_childs_stderr_is_cut_and_counted() {
    let mut daemon = Daemon::start(&format!(
        "collectors = [\"alarm\"]\n{FAST}{}[output.stdout]\n",
        shell("yes $(printf '\\033[31mforged') >&2 & yes | tr -d '\\n' >&2 & exec sleep 600")
    ));
    daemon.process.wait_stderr("more than 50 lines in 60 s on its standard error");
    let id = daemon.process.id();
    let (before, since) = (cpu_ticks(id), std::time::Instant::now());
    std::thread::sleep(std::time::Duration::from_secs(3));
    // A hundredth of a second each; it is read slowly.
    let (ticks, time) = (cpu_ticks(id) - before, since.elapsed());
    assert!(u128::from(ticks) < time.as_millis() / 50, "{ticks} ticks of CPU in {time:?}");
    let finished = daemon.stop();
    let lines: Vec<&str> = finished.stderr.lines().filter(|line| line.contains("sh: ")).collect();
    assert!(lines.len() <= 52, "{}", lines.len());
    assert!(finished.stderr.len() < 200 << 10, "{}", finished.stderr.len());
    assert!(!finished.stderr.contains('\u{1b}') && finished.stderr.contains("\\u{1b}[31mforged"));
}

/// The CPU time of a process, in ticks of 10 ms.
fn cpu_ticks(id: u32) -> u64 {
    let stat = std::fs::read_to_string(format!("/proc/{id}/stat")).expect("the daemon's stat");
    let fields: Vec<&str> = stat.rsplit(')').next().expect("fields").split_whitespace().collect();
    fields[11..13].iter().map(|ticks| ticks.parse::<u64>().expect("a number")).sum()
}

#[test]
fn a_child_gets_a_clean_environment() {
    let directory = common::temporary::Directory::new();
    let file = directory.write("perijove.toml", shell("env >&2; sleep 1"));
    let mut command = common::perijove::perijove(&["once", "--collectors", "alarm"]);
    command.arg("--config").arg(file).env("PERIJOVE_PASSWORD", "correct horse").env("X", "y");
    let finished = common::process::run(command.env("LD_PRELOAD", ""));
    for name in ["PATH=", "HOME="] {
        assert!(finished.stderr.contains(&format!("sh: {name}")), "{}", finished.stderr);
    }
    for name in ["PERIJOVE_PASSWORD", "correct horse", "X=y", "LD_PRELOAD"] {
        assert!(!finished.stderr.contains(name), "{name}: {}", finished.stderr);
    }
}

#[test]
fn one_thread_reads_the_stderr_of_all_children() {
    let routers: String = (1..=8).map(|n| local_router(&format!("r{n}"), "")).collect();
    let mut daemon = Daemon::start(&format!("collectors = [\"alarm\"]\n{FAST}{routers}"));
    daemon.wait_lines("points of all", |lines| (hosts(lines).len() >= 8).then_some(()));
    let tasks = format!("/proc/{}/task", daemon.process.id());
    let names: Vec<String> = std::fs::read_dir(tasks)
        .expect("the threads")
        .map(|task| std::fs::read_to_string(task.expect("a thread").path().join("comm")))
        .map(|name| name.unwrap_or_default().trim().to_string())
        .collect();
    assert_eq!(names.iter().filter(|name| *name == "stderr").count(), 1, "{names:?}");
    assert_eq!(daemon.stop().code, 0);
}

#[test]
fn a_child_that_ends_is_started_again() {
    let mut daemon = Daemon::start(&format!(
        "collectors = [\"alarm\"]\n{FAST}{}",
        local_router("r1", "--fault exit@3")
    ));
    // Each child answers one poll, of two requests; ten of them need several children.
    daemon.wait_lines("polls of several children", |lines| {
        let mut times: Vec<i64> = lines
            .iter()
            .filter(|line| line.measurement == "alarms")
            .map(|line| line.timestamp)
            .collect();
        times.dedup();
        (times.len() >= 3).then_some(())
    });
    // One that ends may still be there when the next one has begun.
    let id = daemon.process.id();
    wait_for("no child that is left over", || (descendants(id).len() <= 1).then_some(()));
    let finished = daemon.stop();
    assert_eq!(finished.code, 0, "{}", finished.stderr);
    assert!(finished.stderr.contains("r1"), "nothing is said: {}", finished.stderr);
}

#[test]
fn term_and_int_end_it_and_its_child() {
    for name in ["TERM", "INT"] {
        let mut daemon =
            Daemon::start(&format!("collectors = [\"alarm\"]\n{FAST}{}", local_router("r1", "")));
        daemon.wait_lines("points", |lines| (alarm_polls(lines) > 0).then_some(()));
        let children = descendants(daemon.process.id());
        assert_eq!(children.len(), 1);
        daemon.process.signal(name);
        let finished = daemon.process.finish();
        assert_eq!(finished.code, 0, "{name}: {finished:?}");
        assert!(finished.stdout.ends_with('\n'), "half a line at the end");
        lines::read(&finished.stdout);
        wait_for("the child's end", || {
            let proc = std::path::PathBuf::from(format!("/proc/{}", children[0]));
            (!proc.exists()).then_some(())
        });
    }
}

/// A router's command in a shell that waits for it, with this limit for an RPC.
fn hanging_behind_a_shell(timeout: &str) -> (Daemon, Vec<u32>) {
    let router = common::perijove::router("--fault hang").join(" ");
    let shell = format!("{router}; true");
    let mut daemon = Daemon::start(&format!(
        "collectors = [\"alarm\"]\n{FAST}drain_timeout = \"1s\"\ntimeout = \"{timeout}\"\n[log]\n\
         level = \"debug\"\n[[router]]\nname = \"r1\"\ncommand = [\"sh\", \"-c\", {shell:?}]\n"
    ));
    daemon.process.wait_stderr("is open");
    // Where the time limit has ended those, others come.
    let children = wait_for("a shell and a router", || {
        Some(descendants(daemon.process.id())).filter(|children| children.len() == 2)
    });
    (daemon, children)
}

fn wait_gone(processes: &[u32]) {
    let gone = |id: &u32| !std::path::PathBuf::from(format!("/proc/{id}")).exists();
    wait_for("the children's end", || processes.iter().all(gone).then_some(()));
}

#[test]
fn a_child_that_hangs_outlives_neither_its_time_limit_nor_perijove() {
    let (daemon, children) = hanging_behind_a_shell("1s");
    wait_gone(&children);
    daemon.stop();

    let (daemon, children) = hanging_behind_a_shell("10m");
    assert_eq!(daemon.stop().code, 0);
    wait_gone(&children);
}

#[test]
fn a_child_that_says_nothing_has_the_time_limit() {
    let started = std::time::Instant::now();
    for limit in ["timeout = \"1s\"", "connect_timeout = \"1s\""] {
        let settings =
            format!("[[router]]\nname = \"r1\"\n{limit}\ncommand = [\"sleep\", \"600\"]\n");
        let finished = run_with(&settings, &["once", "--collectors", "alarm"]);
        assert_eq!(finished.code, 1, "{finished:?}");
        assert!(finished.stderr.contains("no <hello>"), "{finished:?}");
    }
    // Half a minute each, if there is none.
    assert!(started.elapsed() < std::time::Duration::from_secs(30));
}

#[test]
fn term_sends_what_is_queued() {
    // The first batch is due in ten minutes; the end is what sends it.
    let stub = HttpStub::accepting();
    let daemon = Daemon::start(&format!(
        "collectors = [\"alarm\"]\n{FAST}drain_timeout = \"50s\"\n{}[output.stdout]\n\
         [output.influxdb]\nurl = \"{}\"\ndatabase = \"d\"\nflush_interval = \"10m\"\n",
        local_router("r1", ""),
        stub.url()
    ));
    let mut daemon = daemon;
    daemon.wait_lines("points", |lines| (alarm_polls(lines) >= 2).then_some(()));
    let finished = daemon.stop();
    assert_eq!(finished.code, 0, "{finished:?}");
    let sent: Vec<Line> =
        stub.requests().iter().flat_map(|request| lines::read(&request.body)).collect();
    let printed = lines::read(&finished.stdout);
    for line in lines::readings(&printed) {
        assert!(sent.contains(&line), "printed and not sent: {line:?}");
    }
}

/// A daemon that polls, prints, and writes to a server that never answers.
fn hanging_output(stub: &HttpStub, drain_timeout: &str) -> Daemon {
    let mut daemon = Daemon::start(&format!(
        "collectors = [\"alarm\"]\n{FAST}drain_timeout = \"{drain_timeout}\"\n{}[output.stdout]\n\
         [output.influxdb]\nurl = \"{}\"\ndatabase = \"d\"\ntimeout = \"10m\"\n",
        local_router("r1", ""),
        stub.url()
    ));
    daemon.wait_lines("points", |lines| (alarm_polls(lines) > 0).then_some(()));
    stub.wait_requests("a write", |requests| (!requests.is_empty()).then_some(()));
    daemon
}

#[test]
fn a_second_signal_ends_it_at_once() {
    let stub = HttpStub::start(|_, _| Reply::Hang);
    let daemon = hanging_output(&stub, "10m");
    let children = descendants(daemon.process.id());
    daemon.process.signal("TERM");
    // The first one was taken when the router's child is gone; the drain lasts ten minutes more.
    wait_for("the end of polling", || {
        children
            .iter()
            .all(|id| !std::path::Path::new(&format!("/proc/{id}")).exists())
            .then_some(())
    });
    // Within a second it would be the same signal, passed on by a parent.
    std::thread::sleep(std::time::Duration::from_millis(1100));
    daemon.process.signal("TERM");
    let finished = daemon.process.finish();
    assert!(finished.code != 0, "points were lost: {finished:?}");
}

#[test]
fn draining_has_a_limit() {
    let stub = HttpStub::start(|_, _| Reply::Hang);
    let finished = hanging_output(&stub, "1s").stop();
    assert!(finished.stderr.contains("influxdb"), "{}", finished.stderr);
}

#[test]
fn an_output_that_hangs_does_not_slow_polling() {
    let stub = HttpStub::start(|_, _| Reply::Hang);
    let mut daemon = hanging_output(&stub, "1s");
    daemon.wait_lines("five polls", |lines| (alarm_polls(lines) >= 5).then_some(()));
}

#[test]
fn hup_reads_the_settings_again() {
    let settings = |name: &str, collectors: &str| {
        format!("collectors = [{collectors}]\n{FAST}{}", local_router(name, ""))
    };
    let mut daemon = Daemon::start(&settings("before", "\"alarm\""));
    daemon.wait_lines("points", |lines| hosts(lines).contains("before").then_some(()));

    daemon.reload(&settings("after", "\"alarm\", \"route\""));
    daemon.wait_lines("points of the new settings", |lines| {
        let new: Vec<Line> =
            lines.iter().filter(|line| line.tag("host") == "after").cloned().collect();
        (alarm_polls(&new) > 0 && seen(&new, "routes") > 0).then_some(())
    });

    // A bad file keeps what is there, and says why.
    daemon.reload("intervall = \"1s\"\n");
    daemon.process.wait_stderr("intervall");
    daemon.process.wait_stderr("perijove.toml:1");
    let so_far = whole_lines(&daemon.process.stdout()).len();
    daemon.wait_lines("points under a bad file", |lines| {
        hosts(&lines[so_far..]).contains("after").then_some(())
    });

    // And a good file is taken after a bad one.
    daemon.reload(&settings("last", "\"alarm\""));
    daemon
        .wait_lines("points after a bad file", |lines| hosts(lines).contains("last").then_some(()));
    wait_for("the old routers' ends", || {
        (descendants(daemon.process.id()).len() == 1).then_some(())
    });
    assert_eq!(daemon.stop().code, 0);
}

#[test]
fn settings_that_cannot_be_started_keep_the_old_ones_running() {
    let first = std::net::TcpListener::bind("127.0.0.1:0").expect("bind");
    let port = first.local_addr().expect("an address").port();
    let settings = |router: &str, listen: &str| {
        let listen = format!("[output.prometheus]\nlisten = \"{listen}\"\n");
        let router = local_router(router, "");
        format!("collectors = [\"alarm\"]\n{FAST}{router}[output.stdout]\n{listen}")
    };
    let free = common::free_port();
    let mut daemon = Daemon::start(&settings("before", &format!("127.0.0.1:{free}")));
    daemon.wait_lines("points", |lines| hosts(lines).contains("before").then_some(()));
    // Where another listens; and where only the end of the old output can tell that one does.
    let second = std::net::TcpListener::bind(("127.0.0.2", free)).expect("bind");
    for taken in [format!("127.0.0.1:{port}"), format!("127.0.0.2:{free}")] {
        daemon.reload(&settings("after", &taken));
        daemon.process.wait_stderr(&format!("cannot listen on {taken}"));
        let so_far = whole_lines(&daemon.process.stdout()).len();
        daemon.wait_lines("points under the old settings", |lines| {
            hosts(&lines[so_far..]).contains("before").then_some(())
        });
        let metrics = format!("http://127.0.0.1:{free}/metrics");
        let (status, _) = wait_for("the old output", || {
            common::http_agent().get(&metrics).call().and_then(common::answer).ok()
        });
        assert_eq!(status, 200);
    }
    drop(second);
    daemon.reload(&settings("after", &format!("127.0.0.2:{free}")));
    daemon.wait_lines("points of the new settings", |lines| {
        hosts(lines).contains("after").then_some(())
    });
    assert_eq!(daemon.stop().code, 0);
}

#[test]
fn a_router_that_is_not_there_is_tried_again_and_stops_no_other() {
    let mut daemon = Daemon::start(&format!(
        "collectors = [\"alarm\"]\n{FAST}{}[[router]]\nname = \"gone\"\ntransport = \"local\"\n\
         command = [\"DIRECTORY/router\"]\n",
        local_router("r1", "")
    ));
    daemon.process.wait_stderr("gone");
    daemon.wait_lines("points", |lines| (alarm_polls(lines) >= 2).then_some(()));
    daemon.process.wait_stderr("/router");
    // It comes to life.
    std::os::unix::fs::symlink(common::perijove::router_program(), daemon.directory.join("router"))
        .expect("link the router");
    daemon.wait_lines("points of the late router", |lines| {
        hosts(lines).contains("gone").then_some(())
    });
}

#[test]
fn file_output_takes_the_same_lines() {
    let mut daemon = Daemon::start(&format!(
        "collectors = [\"alarm\", \"route\"]\n{FAST}{}[output.stdout]\n[output.file]\n\
         path = \"DIRECTORY/points.lp\"\n",
        local_router("r1", "")
    ));
    daemon.wait_lines("points", |lines| (seen(lines, "routes") > 0).then_some(()));
    let path = daemon.directory.join("points.lp");
    daemon.process.signal("TERM");
    let finished = daemon.process.finish();
    let written = std::fs::read_to_string(path).expect("read the file");
    let key = |line: &Line| (line.key(), format!("{:?}", line.fields));
    let sorted = |text: &str| {
        let mut keys: Vec<_> = lines::readings(&lines::read(text)).iter().map(key).collect();
        keys.sort();
        keys
    };
    assert_eq!(sorted(&written), sorted(&finished.stdout));
}
