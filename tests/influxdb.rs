//! InfluxDB 1.x, the real server: what is written can be asked back, and what goes wrong.

mod common;
#[path = "common/forgeries.rs"]
mod forgeries;

use std::collections::BTreeMap;

use common::influxd::{Influxd, Options};
use common::lines::{self, Line};
use common::needs::skips;
use common::perijove::{Daemon, FAST, alarm_polls, dropped, local_router, run_with};
use common::temporary::Directory;
use forgeries::{FORGERIES, forging_lines};

const SEVEN: &str = "[\"alarm\", \"bgp\", \"environment\", \"interfacediagnostics\", \
                     \"interfaces\", \"route\", \"routingengine\"]";

/// Settings that print every point too, so that what has arrived can be held against it.
fn settings(collectors: &str, router_options: &str, output: &str) -> String {
    format!(
        "collectors = {collectors}\n{FAST}drain_timeout = \"50s\"\n{}[output.stdout]\n{output}",
        local_router("r1", router_options)
    )
}

/// Runs until `polls` polls of the alarms are printed, ends in good order, gives what was printed.
fn run_polls(settings: &str, polls: usize) -> Vec<Line> {
    let mut daemon = Daemon::start(settings);
    daemon.wait_lines("polls", |lines| (alarm_polls(lines) >= polls).then_some(()));
    let finished = daemon.stop();
    assert_eq!(finished.code, 0, "{}", finished.stderr);
    lines::read(&finished.stdout)
}

/// Points by series and time; a server makes one of those that differ in their fields only.
fn merged(lines: &[Line]) -> BTreeMap<String, Line> {
    let mut merged: BTreeMap<String, Line> = BTreeMap::new();
    for line in lines::readings(lines) {
        match merged.get_mut(&line.key()) {
            Some(have) => have.fields.extend(line.fields),
            None => drop(merged.insert(line.key(), line)),
        }
    }
    merged
}

/// Every reading that was printed is stored, with the same tags, fields, values and time, and
/// nothing else is.
fn same(printed: &[Line], stored: &[Line]) {
    let (printed, stored) = (merged(printed), merged(stored));
    assert!(!printed.is_empty(), "nothing was printed");
    for (key, line) in &printed {
        let found = stored.get(key).unwrap_or_else(|| panic!("not stored: {line:?}"));
        let equal = line.fields.len() == found.fields.len()
            && line
                .fields
                .iter()
                .all(|(name, value)| found.fields.get(name).is_some_and(|v| v.same(value)));
        assert!(equal, "printed {line:?}\nstored  {found:?}");
    }
    assert_eq!(printed.len(), stored.len(), "more is stored than was printed");
}

#[test]
fn what_is_written_can_be_asked_back() {
    if skips(&["influxd"]) {
        return;
    }
    let influxd = Influxd::start();
    let options = "--interfaces 4 --bgp-peers 4 --tables 4 --optics 2";
    let printed = run_polls(&settings(SEVEN, options, &influxd.output()), 3);
    assert!(printed.len() > 100);
    same(&printed, &influxd.points());
}

#[test]
fn bytes_that_are_not_ascii_arrive() {
    if skips(&["influxd"]) {
        return;
    }
    let influxd = Influxd::start();
    let printed =
        run_polls(&settings("[\"alarm\", \"interfaces\"]", "--fault latin1", &influxd.output()), 2);
    same(&printed, &influxd.points());
}

#[test]
fn every_precision_and_no_gzip() {
    if skips(&["influxd"]) {
        return;
    }
    for (precision, unit) in [("us", 1_000), ("ms", 1_000_000), ("s", 1_000_000_000)] {
        let influxd = Influxd::start();
        let output = format!("{}precision = \"{precision}\"\ngzip = false\n", influxd.output());
        let printed = run_polls(&settings("[\"alarm\", \"route\"]", "", &output), 2);
        let cut: Vec<Line> = printed
            .into_iter()
            .map(|line| Line { timestamp: line.timestamp / unit * unit, ..line })
            .collect();
        same(&cut, &influxd.points());
    }
}

#[test]
fn small_batches_lose_nothing() {
    if skips(&["influxd"]) {
        return;
    }
    let influxd = Influxd::start();
    let output = format!("{}batch_points_max = 7\nflush_interval = \"100ms\"\n", influxd.output());
    let printed = run_polls(&settings(SEVEN, "", &output), 2);
    same(&printed, &influxd.points());
}

#[test]
fn tls_with_the_right_authority_and_without() {
    if skips(&["influxd"]) {
        return;
    }
    let influxd = Influxd::start_with(Options { tls: true, ..Options::default() });
    let output = format!("{}ca_file = \"{}\"\n", influxd.output(), influxd.ca_file());
    let printed = run_polls(&settings("[\"alarm\"]", "", &output), 2);
    same(&printed, &influxd.points());

    let mut daemon = Daemon::start(&settings("[\"alarm\"]", "", &influxd.output()));
    daemon.process.wait_stderr("certificate");
    daemon.process.wait_stderr("ca_file names the authority to trust");
}

#[test]
fn a_login_is_used_and_a_wrong_one_keeps_the_data() {
    if skips(&["influxd", "prometheus"]) {
        return;
    }
    let administrator = Some(("writer", "s3cr3t-Wr1ter"));
    let influxd = Influxd::start_with(Options { administrator, ..Options::default() });
    let output = format!(
        "{}username = \"writer\"\npassword_file = \"DIRECTORY/influxdb.password\"\n",
        influxd.output()
    );

    // Wrong at first: nothing is taken, nothing is lost, the reason is said without the password.
    let directory = Directory::new();
    directory.write_secret("influxdb.password", "wr0ng-Wr1ter");
    let mut daemon =
        Daemon::start_in(directory, &settings("[\"alarm\"]", "", &output), &["--verbose"]);
    daemon.process.wait_stderr("401");
    daemon.wait_lines("two polls", |lines| (alarm_polls(lines) >= 2).then_some(()));
    assert_eq!(influxd.points().len(), 0);
    daemon.directory.write_secret("influxdb.password", "s3cr3t-Wr1ter");
    daemon.process.signal("HUP");
    let stored =
        influxd.wait_points("points", |points| (alarm_polls(points) >= 2).then_some(points.len()));
    assert!(stored > 0);
    let finished = daemon.stop();
    same(&lines::read(&finished.stdout), &influxd.points());
    for secret in ["s3cr3t", "wr0ng"] {
        assert!(!finished.stderr.contains(secret) && !finished.stdout.contains(secret));
    }
}

#[test]
fn a_missing_database_keeps_the_data_until_it_is_there() {
    if skips(&["influxd"]) {
        return;
    }
    let influxd = Influxd::start();
    influxd.query("DROP DATABASE perijove");
    let mut daemon = Daemon::start(&settings("[\"alarm\"]", "", &influxd.output()));
    daemon.process.wait_stderr(
        "404 (database not found: \"perijove\"): run CREATE DATABASE \"perijove\" on the server, \
         or set create_database = true",
    );
    influxd.query("CREATE DATABASE perijove");
    influxd.wait_points("points", |points| (alarm_polls(points) >= 2).then_some(()));
    let finished = daemon.stop();
    same(&lines::read(&finished.stdout), &influxd.points());
}

#[test]
fn a_missing_database_is_created_if_that_is_set() {
    if skips(&["influxd"]) {
        return;
    }
    let influxd = Influxd::start();
    let output = influxd.output().replace(
        "database = \"perijove\"",
        "database = \"made by \\\"perijove\\\"\"\ncreate_database = true",
    );
    let settings = settings("[\"alarm\"]", "", &output);
    // Nothing is created by a check.
    let checked = run_with(&settings, &["check"]);
    assert_eq!(checked.code, 0, "{checked:?}");
    assert!(checked.stdout.contains("takes points, and creates the database"), "{checked:?}");
    let databases = || format!("{:?}", influxd.query("SHOW DATABASES"));
    assert!(!databases().contains("made by"));
    let mut daemon = Daemon::start(&settings);
    daemon.process.wait_stderr("created the database made by");
    daemon.wait_lines("two polls", |lines| (alarm_polls(lines) >= 2).then_some(()));
    assert!(databases().contains("made by"), "{}", databases());
    let finished = daemon.stop();
    assert!(!finished.stderr.contains("were not delivered"), "{}", finished.stderr);
}

#[test]
fn a_database_that_must_not_be_created_is_asked_for() {
    if skips(&["influxd"]) {
        return;
    }
    let influxd = Influxd::start_with(Options {
        administrator: Some(("admin", "s3cr3t-Adm1n")),
        ..Options::default()
    });
    influxd.query("CREATE USER writer WITH PASSWORD 's3cr3t-Wr1ter'");
    influxd.query("GRANT ALL ON perijove TO writer");
    influxd.query("DROP DATABASE perijove");
    let directory = Directory::new();
    directory.write_secret("influxdb.password", "s3cr3t-Wr1ter");
    let output = format!(
        "{}create_database = true\nusername = \"writer\"\n\
         password_file = \"DIRECTORY/influxdb.password\"\n",
        influxd.output()
    );
    let mut daemon = Daemon::start_in(directory, &settings("[\"alarm\"]", "", &output), &[]);
    daemon.process.wait_stderr("the database perijove is missing; CREATE DATABASE \"perijove\":");
}

#[test]
fn a_field_type_conflict_drops_and_counts_only_what_conflicts() {
    if skips(&["influxd"]) {
        return;
    }
    let influxd = Influxd::start();
    influxd.write(&format!("routes,host=other active_count=\"three\" {}", common::now_ns()));
    let mut daemon = Daemon::start(&settings("[\"alarm\", \"route\"]", "", &influxd.output()));
    daemon.process.wait_stderr("field type conflict");
    // The rest of the batch, and of every later one, is written.
    influxd.wait_points("alarms", |points| (alarm_polls(points) >= 2).then_some(()));
    daemon.wait_lines("the count of dropped points", dropped);
    let finished = daemon.stop();
    let printed: Vec<Line> = lines::read(&finished.stdout)
        .into_iter()
        .filter(|line| line.measurement == "alarms")
        .collect();
    let stored: Vec<Line> =
        influxd.points().into_iter().filter(|line| line.measurement == "alarms").collect();
    same(&printed, &stored);
}

#[test]
fn a_line_that_the_server_refuses_costs_that_line() {
    if skips(&["influxd"]) {
        return;
    }
    // The server knows eight tables, two of them the router's, and refuses any other.
    let data = "max-values-per-tag = 8".to_string();
    let influxd = Influxd::start_with(Options { data, ..Options::default() });
    for table in ["inet.0", "mpls.0", "a", "b", "c", "d", "e", "f"] {
        influxd.write(&format!("routes,host=other,table={table} count=1i {}", common::now_ns()));
    }
    let mut daemon =
        Daemon::start(&settings("[\"alarm\", \"route\"]", "--tables 5", &influxd.output()));
    daemon.process.wait_stderr("max-values-per-tag");
    influxd.wait_points("alarms", |points| (alarm_polls(points) >= 3).then_some(()));
    let finished = daemon.stop();
    assert_eq!(finished.code, 0, "{}", finished.stderr);
    let good = influxd.points_of("routes");
    let good = good.iter().filter(|line| line.tag("host") == "r1").count();
    assert!(good > 0, "the good lines of the batch are gone");
    // Said once, not with each batch.
    let said = finished.stderr.lines().filter(|line| line.contains("max-values-per-tag")).count();
    assert!(said <= 2, "{}", finished.stderr);
}

#[test]
fn a_body_too_large_is_split_until_it_fits() {
    if skips(&["influxd"]) {
        return;
    }
    for gzip in [false, true] {
        let http = "max-body-size = 3000".to_string();
        let influxd = Influxd::start_with(Options { http, ..Options::default() });
        let output = format!("{}gzip = {gzip}\n", influxd.output());
        let printed =
            run_polls(&settings("[\"alarm\", \"interfaces\"]", "--interfaces 20", &output), 2);
        let bytes: usize = printed.iter().map(|line| format!("{line:?}").len()).sum();
        assert!(bytes > 30_000, "the batches were never too large");
        same(&printed, &influxd.points());
    }
}

#[test]
fn a_server_that_was_away_for_a_while_misses_nothing() {
    if skips(&["influxd"]) {
        return;
    }
    let mut influxd = Influxd::start();
    let mut daemon = Daemon::start(&settings("[\"alarm\", \"route\"]", "", &influxd.output()));
    influxd.wait_points("points before", |points| (alarm_polls(points) > 0).then_some(()));
    influxd.stop();
    daemon.process.wait_stderr("influxdb");
    let so_far = common::perijove::whole_lines(&daemon.process.stdout()).len();
    daemon
        .wait_lines("polls meanwhile", |lines| (alarm_polls(&lines[so_far..]) >= 3).then_some(()));
    influxd.start_again();
    let before = alarm_polls(&influxd.points());
    influxd.wait_points("points after", |points| (alarm_polls(points) >= before + 3).then_some(()));
    let finished = daemon.stop();
    assert_eq!(finished.code, 0, "{}", finished.stderr);
    same(&lines::read(&finished.stdout), &influxd.points());
}

#[test]
fn a_full_queue_drops_the_oldest_and_counts() {
    if skips(&["influxd"]) {
        return;
    }
    let mut influxd = Influxd::start();
    influxd.stop();
    let output = format!("{}queue_bytes_max = \"200KB\"\n", influxd.output());
    let mut daemon = Daemon::start(&settings("[\"alarm\", \"route\"]", "--tables 20", &output));
    daemon.wait_lines("the count of dropped points", dropped);
    influxd.start_again();
    influxd.wait_points("points after", |points| (alarm_polls(points) > 0).then_some(()));
    let finished = daemon.stop();
    let stored = lines::readings(&influxd.points());
    let is_stored: std::collections::BTreeSet<String> = stored.iter().map(Line::key).collect();
    let printed = lines::readings(&lines::read(&finished.stdout));
    let missing = printed.iter().filter(|line| !is_stored.contains(&line.key()));
    let missing: Vec<i64> = missing.map(|line| line.timestamp).collect();
    let (Some(first), Some(last)) = (missing.iter().min(), missing.iter().max()) else {
        panic!("nothing was dropped");
    };
    // One gap, behind the batch that was being sent and before the newest.
    let within = |line: &&Line| (first + 1..*last).contains(&line.timestamp);
    assert_eq!(stored.iter().filter(within).count(), 0, "newer ones were dropped before older");
    let newest = printed.iter().map(|line| line.timestamp).max().expect("points");
    assert!(*last < newest, "the newest are missing");
}

/// Values that try to end their tag and begin another: the server has one series for each, with the
/// router that it is from and no tag that nobody has made.
#[test]
fn no_value_forges_a_tag() {
    let influxd = Influxd::start();
    influxd.write(&forging_lines());
    let points = influxd.points();
    assert_eq!(points.len(), FORGERIES.len());
    for point in points {
        let tags: Vec<&str> = point.tags.keys().map(String::as_str).collect();
        assert_eq!((tags, point.tag("host")), (vec!["host", "name"], "r1"));
    }
}
