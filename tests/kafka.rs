//! Kafka, a real broker: what is written can be read, and is what the schema says.

mod common;

use common::broker::{self, Noida, Reader, Record, Relay, TlsBroker};
use common::needs::{PYTHON, skips};
use common::perijove::{Daemon, FAST, every, local_router, run_with};
use common::schema::Schemas;
use common::script::Script;
use common::temporary::Directory;
use common::{lines, wait_for};
use serde_json::Value as Json;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

const SEVEN: &str = "[\"alarm\", \"bgp\", \"environment\", \"interfacediagnostics\", \
                     \"interfaces\", \"route\", \"routingengine\"]";

fn settings(output: &str) -> String {
    format!(
        "collectors = {SEVEN}\n{FAST}drain_timeout = \"50s\"\n{}{output}",
        local_router("r1", "")
    )
}

/// Polls until every collector's and the program's own records are there, and ends in good order.
fn records(output: &str, reader: &mut Reader) -> Vec<Record> {
    let daemon = Daemon::start(&settings(output));
    wait_for("records of every collector and of the program", || {
        let measurements = ["alarms", "bgp_session", "interface", "routes", "perijove_kafka"];
        let records = reader.read();
        let has = |name: &&str| records.iter().any(|record| record.headers["schema"] == **name);
        measurements.iter().all(has).then_some(())
    });
    let finished = daemon.stop();
    assert_eq!(finished.code, 0, "{}", finished.stderr);
    reader.read().to_vec()
}

#[test]
fn records_have_topic_key_headers_and_a_value_as_the_schema_says() {
    if skips(&[PYTHON]) {
        return;
    }
    let noida = Noida::start();
    let mut reader = Reader::new(&noida.brokers(), &[]);
    let output = format!("{}statistics_interval = \"200ms\"\n", broker::output(&noida.brokers()));
    let schemas = Schemas::printed();
    let mut checked = 0;
    for record in records(&output, &mut reader) {
        let value = schemas.check(&record.value);
        assert_eq!(record.topic, record.headers["collector"]);
        assert_eq!(record.key, "r1");
        assert_eq!(value["measurement"], record.headers["schema"].as_str());
        assert_eq!(value["collector"], record.topic.as_str());
        assert_eq!(value["node"], "r1");
        let time = OffsetDateTime::parse(value["time"].as_str().expect("a time"), &Rfc3339);
        let time_ms = time.expect("RFC 3339").unix_timestamp_nanos() / 1_000_000;
        assert_eq!(i128::from(record.time_ms), time_ms);
        checked += 1;
    }
    assert!(checked > 100, "{checked} records");
}

#[test]
fn a_template_makes_topic_and_key_and_a_value_can_be_line_protocol() {
    if skips(&[PYTHON]) {
        return;
    }
    let noida = Noida::start();
    let mut reader = Reader::new(&noida.brokers(), &[]);
    let output = format!(
        "{}topic = \"junos.{{measurement}}.{{node}}\"\nkey = \"{{collector}}\"\nvalue = \"line\"\n\
         compression = \"gzip\"\nstatistics_interval = \"200ms\"\n",
        broker::output(&noida.brokers())
    );
    for record in records(&output, &mut reader) {
        let line = &lines::read(&record.value)[0];
        assert_eq!(record.topic, format!("junos.{}.r1", line.measurement));
        assert_eq!(record.key, record.headers["collector"]);
        assert_eq!(record.headers["schema"], line.measurement);
        assert_eq!(line.tag("host"), "r1");
        assert_eq!(record.time_ms, line.timestamp / 1_000_000);
    }
}

/// Each change is one record of their topic, although the program is started again after each.
#[test]
fn events_have_a_topic_and_the_router_as_their_key() {
    if skips(&[PYTHON]) {
        return;
    }
    let noida = Noida::start();
    let mut reader = Reader::new(&noida.brokers(), &[]);
    let script = Script::new();
    script.ports(&[("ge-0/0/0", "up", 90_000, 4), ("ge-0/0/1", "up", 90_000, 4)]);
    let output = broker::output(&noida.brokers());
    let settings = format!(
        "collectors = [\"interfaces\"]\n{}state_directory = \"DIRECTORY\"\n{}{output}",
        every("1s"),
        script.router()
    );
    let mut daemon = Daemon::start(&settings);
    let schemas = Schemas::printed();
    let times = |reader: &mut Reader| {
        let records = reader.read().iter().filter(|record| record.topic == "interfaces");
        records.map(|record| record.time_ms).collect::<std::collections::BTreeSet<_>>()
    };
    // What changes before the second poll may be there in the first.
    wait_for("two polls", || (times(&mut reader).len() > 1).then_some(()));
    let mut told = Vec::new();
    for (state, transitions) in [("down", 5), ("up", 6), ("down", 7)] {
        let ports = [("ge-0/0/0", state, 0, transitions), ("ge-0/0/1", "up", 90_000, 4)];
        script.ports(&ports);
        told.push(state);
        let events = |reader: &mut Reader| -> Vec<Record> {
            let records = reader.read().iter();
            records.filter(|record| record.topic == "event").cloned().collect()
        };
        wait_for("a record", || (events(&mut reader).len() >= told.len()).then_some(()));
        let Daemon { process, directory } = daemon;
        process.signal("TERM");
        let finished = process.finish();
        assert_eq!(finished.code, 0, "{}", finished.stderr);
        daemon = Daemon::start_in(directory, &settings, &[]);
        let before = times(&mut reader).len();
        wait_for("more polls", || (times(&mut reader).len() > before + 2).then_some(()));
        let events = events(&mut reader);
        let states: Vec<String> = events
            .iter()
            .map(|record| {
                let value = schemas.check(&record.value);
                assert_eq!((record.key.as_str(), &value["node"]), ("r1", &Json::from("r1")));
                assert_eq!(value["tags"]["kind"], "interface-state", "{value}");
                assert_eq!(value["tags"]["subject"], "ge-0/0/0", "{value}");
                value["fields"]["to"].as_str().expect("a state").to_string()
            })
            .collect();
        assert_eq!(states, told);
    }
}

#[test]
fn the_producer_tells_of_itself() {
    if skips(&[PYTHON]) {
        return;
    }
    let noida = Noida::start();
    let mut reader = Reader::new(&noida.brokers(), &[]);
    let output = format!("{}statistics_interval = \"200ms\"\n", broker::output(&noida.brokers()));
    let _daemon = Daemon::start(&settings(&output));
    // The first ones are made before the broker is connected, or has taken anything.
    wait_for("a record of a producer with a broker", || {
        let records = reader.read().iter();
        let mut own = records.filter(|record| record.headers["schema"] == "perijove_kafka");
        own.find_map(|record| {
            let own: Json = serde_json::from_str(&record.value).expect("JSON");
            let number = |name: &str| own["fields"][name].as_f64();
            (number("brokers_up") == Some(1.0)
                && number("sent_records_total") > Some(0.0)
                && number("round_trip_seconds") > Some(0.0))
            .then_some(())
        })
    });
}

#[test]
fn a_property_that_is_wrong_is_named_without_its_value() {
    for (name, why) in
        [("ssl.key.pasword", "No such"), ("ssl.key.password.", "No such"), ("acks", "Invalid")]
    {
        let wrong = broker::properties(&[(name, "hunter2".into())]);
        let output = format!("{}{wrong}", broker::output("127.0.0.1:1"));
        for command in ["check", "run"] {
            let finished = run_with(&settings(&output), &[command, "-v"]);
            assert_ne!(finished.code, 0);
            let said = finished.stdout + &finished.stderr;
            assert!(said.contains(name) && said.contains(why), "{said}");
            assert!(!said.contains("hunter2"), "{said}");
        }
    }
}

/// librdkafka waits for a broker as long as it must; that is no secret.
#[test]
fn a_broker_that_is_away_is_a_failure_and_loses_nothing() {
    if skips(&[PYTHON]) {
        return;
    }
    let mut noida = Noida::stopped();
    let output = format!(
        "{}[output.kafka.librdkafka]\n\"reconnect.backoff.max.ms\" = 500\n\
         [output.file]\npath = \"DIRECTORY/lines\"\n",
        broker::output(&noida.brokers())
    );
    let mut daemon = Daemon::start(&settings(&output));
    let own = |daemon: &Daemon| {
        let text = std::fs::read_to_string(daemon.directory.join("lines")).unwrap_or_default();
        let whole = &text[..text.rfind('\n').map_or(0, |end| end + 1)];
        let is_own = |line: &lines::Line| {
            line.measurement == "perijove_output" && line.tag("output") == "kafka"
        };
        lines::read(whole).into_iter().rfind(is_own)
    };
    wait_for("the failure is counted", || {
        own(&daemon).filter(|line| line.number("failures_total") > 0.0).map(drop)
    });
    daemon.process.wait_stderr("points wait, 0 dropped");
    noida.start_again();
    wait_for("all is delivered", || {
        own(&daemon).filter(|line| line.number("sent_points_total") > 0.0).map(drop)
    });
    let finished = daemon.stop();
    assert_eq!(finished.code, 0, "{}", finished.stderr);
    assert!(Reader::new(&noida.brokers(), &[]).read().len() > 50);
}

#[test]
fn tls_with_a_certificate_of_the_clients() {
    if skips(&["stunnel4", PYTHON]) {
        return;
    }
    let broker = TlsBroker::start();
    let all = broker.properties();
    // perijove has a setting of its own for the authority.
    let (ca, others): (Vec<_>, Vec<_>) =
        all.iter().cloned().partition(|(name, _)| *name == "ssl.ca.location");
    let output = format!(
        "{}ca_file = \"{}\"\nstatistics_interval = \"200ms\"\n{}",
        broker::output(&broker.brokers()),
        ca[0].1,
        broker::properties(&others)
    );
    let mut reader = Reader::new(&broker.brokers(), &all);
    assert!(records(&output, &mut reader).len() > 50);
}

/// With a name and a password; every broker connection has to begin with them.
fn log_in(
    noida: &Noida,
    brokers: &str,
    properties: &[(&str, String)],
    logins: impl Fn() -> Vec<String>,
) {
    let directory = Directory::new();
    directory.write_secret("kafka.password", "s3cret");
    let output = format!(
        "{}username = \"perijove\"\npassword_file = \"DIRECTORY/kafka.password\"\n{}",
        broker::output(brokers),
        broker::properties(properties)
    );
    let daemon = Daemon::start_in(directory, &settings(&output), &["-v"]);
    let mut reader = Reader::new(&noida.brokers(), &[]);
    wait_for("records", || (reader.read().len() > 50).then_some(()));
    let finished = daemon.stop();
    assert_eq!(finished.code, 0, "{}", finished.stderr);
    assert!(!finished.stderr.contains("s3cret"), "{}", finished.stderr);
    let logins = logins();
    assert!(!logins.is_empty());
    assert!(logins.iter().all(|login| login.contains("\0perijove\0s3cret")), "{logins:?}");
}

#[test]
fn a_name_and_a_password() {
    if skips(&["prometheus", PYTHON]) {
        return;
    }
    let noida = Noida::start();
    let relay = Relay::start(noida.port, None);
    let properties = [
        ("security.protocol", "sasl_plaintext".to_string()),
        ("sasl.mechanism", "PLAIN".to_string()),
    ];
    log_in(&noida, &relay.brokers(), &properties, || relay.logins());
}

#[test]
fn a_name_and_a_password_over_tls() {
    if skips(&["openssl", "prometheus", "stunnel4", PYTHON]) {
        return;
    }
    let noida = Noida::start();
    let mut relay = None;
    let broker = TlsBroker::start_before(|port| {
        let relay = relay.insert(Relay::start(noida.port, Some(port)));
        (relay.port, Box::new(()))
    });
    let mut properties = broker.properties().to_vec();
    properties[0].1 = "sasl_ssl".into();
    properties.push(("sasl.mechanism", "PLAIN".to_string()));
    log_in(&noida, &broker.brokers(), &properties, || relay.as_ref().expect("a relay").logins());
}

#[test]
fn the_layout_of_jkafkaexporter() {
    if skips(&[PYTHON]) {
        return;
    }
    let noida = Noida::start();
    let mut reader = Reader::new(&noida.brokers(), &[]);
    let output = format!("{}layout = \"jkafkaexporter\"\n", broker::output(&noida.brokers()));
    let daemon = Daemon::start(&settings(&output));
    let topics = [
        "alarm",
        "bgp",
        "environment",
        "interfacediagnostics",
        "interfaces",
        "route",
        "routing-engine",
    ];
    let all = wait_for("all seven topics", || {
        let found: std::collections::BTreeSet<&str> =
            reader.read().iter().map(|record| record.topic.as_str()).collect();
        (found.len() >= topics.len()).then(|| found.into_iter().map(String::from).collect())
    });
    let all: Vec<String> = all;
    assert_eq!(all, topics);
    assert_eq!(daemon.stop().code, 0);
    for record in reader.read() {
        let value: Json = serde_json::from_str(&record.value).expect("JSON");
        assert_eq!(value["Node"], "r1", "{}", record.value);
        let seconds: u64 = record.key.parse().expect("a Unix time");
        assert!(seconds > 1_700_000_000, "{seconds}");
        assert_eq!(i128::from(record.time_ms / 1000), i128::from(seconds));
    }
}
