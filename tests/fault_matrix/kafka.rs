//! What can happen to Kafka: a real broker, librdkafka's own cluster of three that breaks on
//! request, TLS and logins.

use std::time::Duration;

use rdkafka::mocking::MockCluster;
use rdkafka::producer::DefaultProducerContext;
use rdkafka::types::{RDKafkaApiKey, RDKafkaRespErr};

use crate::account::{Account, COLLECTORS, FarEnd, Polling, ROUTER, SPOOL, settings};
use crate::common::broker::{self, Noida, Reader, Tansu, TlsBroker};
use crate::common::process::signal;
use crate::common::temporary::Directory;
use crate::{Fault, Long};

pub const FAULTS: &[&Fault] = &[
    &Fault { name: "kafka-down-at-start", quick: true, run: down_at_start },
    &Fault { name: "kafka-stopped", quick: true, run: stopped },
    &Fault { name: "kafka-killed", quick: true, run: killed },
    &Fault { name: "kafka-retriable-errors", quick: true, run: retriable_errors },
    &Fault { name: "kafka-transport-errors", quick: true, run: transport_errors },
    &Fault { name: "kafka-broker-down-up", quick: true, run: broker_down_up },
    &Fault { name: "kafka-leader-moves", quick: true, run: leader_moves },
    &Fault { name: "kafka-slow-acks", quick: false, run: slow_acks },
    &Fault { name: "kafka-all-brokers-down", quick: true, run: all_down },
    &Fault { name: "kafka-local-queue-full", quick: true, run: local_queue_full },
    &Fault { name: "kafka-batch-too-large", quick: true, run: batch_too_large },
    &Fault { name: "kafka-record-too-large", quick: true, run: record_too_large },
    &Fault { name: "kafka-topic-not-allowed", quick: true, run: topic_not_allowed },
    &Fault { name: "kafka-tls-mutual", quick: true, run: tls_mutual },
    &Fault { name: "kafka-tls-wrong-ca", quick: true, run: tls_wrong_ca },
    &Fault { name: "kafka-tls-no-certificate", quick: true, run: tls_no_certificate },
    &Fault { name: "kafka-scram-refused", quick: true, run: scram_refused },
];

fn output(brokers: &str, more: &str) -> String {
    output_with(brokers, more, &[])
}

/// With these properties of librdkafka.
fn output_with(brokers: &str, more: &str, properties: &[(&str, String)]) -> String {
    // Reconnects soon, so that a fault does not last longer than it is made to.
    let soon = [("reconnect.backoff.max.ms", "500".to_string())];
    let properties = broker::properties(&[&soon, properties].concat());
    let output = format!("{}{more}{properties}{SPOOL}", broker::output(brokers));
    settings(ROUTER, "json", &output)
}

fn down_at_start(long: &Long) -> Account {
    let mut noida = Noida::stopped();
    let mut polling = Polling::start(&output(&noida.brokers(), ""));
    polling.go_on(long.outage());
    noida.start_again();
    let mut reader = Reader::new(&noida.brokers(), &[]);
    polling.settle(&mut reader);
    polling.finish(&mut reader)
}

/// Ends the broker while perijove, stopped with its requests under way, sends nothing: ended right
/// after an acknowledgement, this broker loses what it has acknowledged.
fn in_a_quiet_moment(polling: &Polling, end: impl FnOnce()) {
    signal(polling.daemon.process.id(), "STOP");
    std::thread::sleep(Duration::from_secs(2));
    end();
    signal(polling.daemon.process.id(), "CONT");
}

fn stopped(long: &Long) -> Account {
    let mut noida = Noida::start();
    let mut polling = Polling::start(&output(&noida.brokers(), ""));
    polling.poll(200);
    in_a_quiet_moment(&polling, || noida.end());
    polling.go_on(long.outage());
    noida.start_again();
    let mut reader = Reader::new(&noida.brokers(), &[]);
    polling.settle(&mut reader);
    polling.finish(&mut reader)
}

fn killed(long: &Long) -> Account {
    let mut noida = Noida::start();
    let mut polling = Polling::start(&output(&noida.brokers(), ""));
    let mut reader = Reader::new(&noida.brokers(), &[]);
    for _ in 0..if long.0 { 5 } else { 2 } {
        polling.poll(200);
        in_a_quiet_moment(&polling, || {
            reader.read();
            noida.stop();
        });
        polling.poll(50);
        noida.start_again();
        polling.settle(&mut reader);
    }
    polling.finish(&mut reader)
}

type Mock = MockCluster<'static, DefaultProducerContext>;

/// Polls into a cluster of three brokers, and lets `fault` do its worst in the middle.
fn mock(more: &str, fault: impl FnOnce(&Mock, &mut Polling)) -> Account {
    let cluster = MockCluster::new(3).expect("a mock cluster");
    let brokers = cluster.bootstrap_servers();
    let mut polling = Polling::start(&output(&brokers, more));
    let mut reader = Reader::new(&brokers, &[]);
    polling.poll(200);
    polling.settle(&mut reader);
    fault(&cluster, &mut polling);
    polling.poll(200);
    polling.settle(&mut reader);
    polling.finish(&mut reader)
}

fn produce_errors(errors: &[RDKafkaRespErr]) -> Account {
    mock("", |cluster, polling| {
        for error in errors {
            cluster.request_errors(RDKafkaApiKey::Produce, &[*error; 5]);
            polling.poll(100);
        }
    })
}

fn retriable_errors(_: &Long) -> Account {
    produce_errors(&[
        RDKafkaRespErr::RD_KAFKA_RESP_ERR_NOT_LEADER_FOR_PARTITION,
        RDKafkaRespErr::RD_KAFKA_RESP_ERR_REQUEST_TIMED_OUT,
        RDKafkaRespErr::RD_KAFKA_RESP_ERR_NOT_ENOUGH_REPLICAS,
        RDKafkaRespErr::RD_KAFKA_RESP_ERR_NOT_ENOUGH_REPLICAS_AFTER_APPEND,
        RDKafkaRespErr::RD_KAFKA_RESP_ERR_LEADER_NOT_AVAILABLE,
    ])
}

fn transport_errors(_: &Long) -> Account {
    produce_errors(&[RDKafkaRespErr::RD_KAFKA_RESP_ERR__TRANSPORT; 3])
}

fn broker_down_up(_: &Long) -> Account {
    mock("", |cluster, polling| {
        for broker in 1..=3 {
            cluster.broker_down(broker).expect("a broker goes down");
            polling.go_on(Duration::from_millis(700));
            cluster.broker_up(broker).expect("a broker comes up");
        }
    })
}

fn leader_moves(_: &Long) -> Account {
    mock("", |cluster, polling| {
        for leader in [2, 3, 1, 2] {
            for (topic, partition) in
                ["alarm", "route"].iter().flat_map(|t| (0..4).map(move |p| (t, p)))
            {
                let moved = cluster.partition_leader(topic, partition, Some(leader));
                moved.expect("a partition gets another leader");
            }
            polling.go_on(Duration::from_millis(500));
        }
    })
}

/// Acknowledgements come later than librdkafka waits for them.
fn slow_acks(_: &Long) -> Account {
    let more = "linger = \"5ms\"\n";
    mock(more, |cluster, polling| {
        for broker in 1..=3 {
            let delay = cluster.broker_round_trip_time(broker, Duration::from_secs(8));
            delay.expect("a slow broker");
        }
        polling.go_on(Duration::from_secs(12));
        for broker in 1..=3 {
            let delay = cluster.broker_round_trip_time(broker, Duration::ZERO);
            delay.expect("a fast broker");
        }
    })
}

fn all_down(long: &Long) -> Account {
    mock("", |cluster, polling| {
        (1..=3).for_each(|broker| cluster.broker_down(broker).expect("a broker goes down"));
        polling.go_on(if long.0 { long.outage() } else { Duration::from_secs(2) });
        (1..=3).for_each(|broker| cluster.broker_up(broker).expect("a broker comes up"));
    })
}

/// librdkafka may hold less than a single batch.
fn local_queue_full(_: &Long) -> Account {
    mock("producer_bytes_max = \"4KB\"\nlinger = \"1ms\"\n", |cluster, polling| {
        (1..=3).for_each(|broker| {
            let delay = cluster.broker_round_trip_time(broker, Duration::from_millis(50));
            delay.expect("a slow broker");
        });
        polling.poll(200);
    })
}

/// A broker refuses a batch for its size, or for that of its own segments, and takes its halves.
/// One at a time: what is refused alone is dropped.
fn batch_too_large(_: &Long) -> Account {
    let account = mock("", |cluster, polling| {
        for _ in 0..2 {
            for error in [
                RDKafkaRespErr::RD_KAFKA_RESP_ERR_MSG_SIZE_TOO_LARGE,
                RDKafkaRespErr::RD_KAFKA_RESP_ERR_RECORD_LIST_TOO_LARGE,
            ] {
                cluster.request_errors(RDKafkaApiKey::Produce, &[error]);
                polling.poll(100);
            }
        }
        // As it is, it would be refused for ever.
        let said = polling.daemon.process.stderr();
        assert!(!said.contains("are sent again"), "{said}");
    });
    Account { may_reorder: true, ..account }
}

/// Some records are larger than is allowed: these are dropped and counted, the others arrive.
fn record_too_large(_: &Long) -> Account {
    let noida = Noida::start();
    let size = [("message.max.bytes", "1000".to_string())];
    let output = output_with(&noida.brokers(), "", &size);
    let output = output.replace(COLLECTORS, "[\"alarm\", \"routingengine\"]");
    let mut polling = Polling::start(&output);
    let mut reader = Reader::new(&noida.brokers(), &[]);
    polling.poll(300);
    polling.pause();
    // Behind what was polled before; what it had to drop is counted when this has arrived.
    polling.poll(1);
    polling.arrive(&mut reader);
    polling.dropped("kafka");
    Account { has_limit: true, ..polling.finish_with(&mut reader, true) }
}

fn topic_not_allowed(_: &Long) -> Account {
    let cluster = MockCluster::new(3).expect("a mock cluster");
    let brokers = cluster.bootstrap_servers();
    let code = RDKafkaRespErr::RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED;
    cluster.create_topic("route", 1, 1).expect("a topic");
    cluster.topic_error("route", code).expect("a topic without permission");
    let mut polling = Polling::start(&output(&brokers, ""));
    polling.daemon.process.wait_stderr("uthorization failed");
    polling.poll(300);
    let allowed = RDKafkaRespErr::RD_KAFKA_RESP_ERR_NO_ERROR;
    cluster.topic_error("route", allowed).expect("a topic with permission");
    let mut reader = Reader::new(&brokers, &[]);
    polling.settle(&mut reader);
    polling.finish(&mut reader)
}

fn tls_mutual(_: &Long) -> Account {
    let broker = TlsBroker::start();
    let mut polling = Polling::start(&output_with(&broker.brokers(), "", &broker.properties()));
    polling.poll(300);
    let mut reader = Reader::new(&broker.brokers(), &broker.properties());
    polling.settle(&mut reader);
    polling.finish(&mut reader)
}

/// Nothing goes to a server that an unknown authority vouches for; nothing is lost until the
/// settings name the right one.
fn tls_wrong_ca(_: &Long) -> Account {
    tls_refused(|(name, value)| (name, value.replace("/ca.pem", "/other-ca.pem")))
}

/// The server refuses who has no certificate.
fn tls_no_certificate(_: &Long) -> Account {
    // Empty is librdkafka's default.
    tls_refused(|(name, value)| match value.contains("/client.") {
        true => (name, String::new()),
        false => (name, value),
    })
}

type Property = (&'static str, String);

/// The settings are wrong at first, and mended later.
fn tls_refused(spoil: fn(Property) -> Property) -> Account {
    let broker = TlsBroker::start();
    let wrong = broker.properties().map(spoil);
    let mut polling = Polling::start(&output_with(&broker.brokers(), "", &wrong));
    polling.daemon.process.wait_stderr("SSL");
    polling.poll(300);
    let mut reader = Reader::new(&broker.brokers(), &broker.properties());
    assert_eq!(reader.arrived().len(), 0, "points arrived in spite of wrong settings");
    polling.reload(&output_with(&broker.brokers(), "", &broker.properties()));
    polling.settle(&mut reader);
    polling.finish(&mut reader)
}

/// A broker refuses the login; the points wait until the settings name another one.
fn scram_refused(_: &Long) -> Account {
    let tansu = Tansu::start(None, true);
    let noida = Noida::start();
    let login = "username = \"perijove\"\npassword_file = \"DIRECTORY/kafka.password\"\n";
    let scram = [
        ("security.protocol", "sasl_plaintext".to_string()),
        ("sasl.mechanism", "SCRAM-SHA-256".to_string()),
    ];
    let refused = output_with(&tansu.brokers(), login, &scram);
    let directory = Directory::new();
    directory.write_secret("kafka.password", "wr0ng");
    let mut polling = Polling::start_in(directory, &refused);
    polling.daemon.process.wait_stderr("uthentication");
    polling.poll(300);
    polling.reload(&output(&noida.brokers(), ""));
    let mut reader = Reader::new(&noida.brokers(), &[]);
    polling.settle(&mut reader);
    polling.finish(&mut reader)
}
