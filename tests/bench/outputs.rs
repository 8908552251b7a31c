//! What outputs do with points: JSON, Kafka, the spool.

use std::hint::black_box;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use perijove::output::json;
use perijove::output::spool::{self, Spool};
use perijove::point::{Batch, Points};

use crate::{PAIRS, cpu_time, paired, points, print, router_prints};

/// As large as what a queue hands to its output, or to the spool.
const CHUNK_BYTES: usize = 256 << 10;

/// BGP neighbors of the simulated router, as many points as `peers` give.
fn batches(router: &str, peers: &str) -> Vec<Points> {
    let reply = router_prints(router, "get-bgp-neighbor-information", &["--bgp-peers", peers]);
    let mut batches = Vec::new();
    points("bgp", &reply, &mut |points| batches.push(points.clone()));
    batches
}

fn batch(points: &Points) -> Batch<'_> {
    Batch { node: "router", collector: "bgp", time_ns: 1 << 60, points }
}

/// Points to JSON records on one core, against serde_json writing the same records from its own
/// values.
pub fn json(router: &str) {
    let batches = batches(router, "1000");
    let count: usize = batches.iter().map(Points::len).sum();
    let mut out = Vec::new();
    batches.iter().for_each(|points| _ = json::encode(&batch(points), &mut out));
    let text = String::from_utf8(out.clone()).expect("UTF-8");
    let read = |line| serde_json::from_str::<serde_json::Value>(line).expect("JSON");
    let values: Vec<_> = text.lines().map(read).collect();
    assert_eq!(values.len(), count);
    let mut same = Vec::new();
    let pair = paired(
        PAIRS,
        cpu_time,
        || {
            out.clear();
            batches.iter().for_each(|points| _ = json::encode(&batch(points), &mut out));
            black_box(&out);
        },
        || {
            same.clear();
            for value in &values {
                serde_json::to_writer(&mut same, value).expect("JSON");
                same.push(b'\n');
            }
            black_box(&same);
        },
    );
    assert_eq!(same.len(), out.len());
    let speed = |time: Duration| count as f64 / time.as_secs_f64() / 1e6;
    println!(
        "# json: {count} records of bgp, {} bytes each, {:.2} million/s and core, serde_json {:.2}",
        out.len() / count,
        speed(pair.ours),
        speed(pair.baseline)
    );
    print("json", pair.speed, "of-serde_json", 0.9, true);
}

/// Records to a cluster in this process, against a bare loop around the same producer: Debian has
/// no rdkafka_performance.
#[cfg(feature = "kafka")]
pub fn kafka(router: &str) {
    use perijove::output::Sink;
    use perijove::output::kafka::{Kafka, KafkaConfig, Value};
    use rdkafka::config::ClientConfig;
    use rdkafka::error::RDKafkaErrorCode;
    use rdkafka::message::{Header, OwnedHeaders};
    use rdkafka::mocking::MockCluster;
    use rdkafka::producer::{BaseRecord, DefaultProducerContext, Producer, ThreadedProducer};

    let batches = batches(router, "5000");
    let cluster = MockCluster::new(3).expect("a mock cluster");
    let settings = KafkaConfig {
        brokers: cluster.bootstrap_servers(),
        topic: "{collector}".into(),
        key: "{node}".into(),
        value: Value::Json,
        layout: None,
        compression: "lz4".into(),
        producer_bytes_max: 8 << 20,
        linger: Duration::from_millis(1),
        statistics_interval: Duration::from_secs(30),
        username: None,
        password: None,
        ca_file: None,
        librdkafka: Vec::new(),
    };
    let mut chunks: Vec<(Vec<u8>, u64)> = Vec::new();
    for points in &batches {
        if chunks.last().is_none_or(|(bytes, _)| bytes.len() >= CHUNK_BYTES) {
            chunks.push((Vec::new(), 0));
        }
        let (bytes, count) = chunks.last_mut().expect("a chunk");
        settings.encode(&batch(points), bytes);
        *count += points.len() as u64;
    }
    let count: u64 = chunks.iter().map(|(_, count)| count).sum();
    let mut sink = Kafka::new(&settings).expect("librdkafka takes the settings");
    let ours = || {
        for (bytes, count) in &chunks {
            sink.write(bytes, *count, &|| true).expect("a write");
        }
    };
    let mut config = ClientConfig::new();
    config.set("bootstrap.servers", &settings.brokers).set("acks", "all");
    config.set("enable.idempotence", "true").set("compression.type", "lz4");
    config.set("linger.ms", "5").set("queue.buffering.max.kbytes", "8192");
    let producer: ThreadedProducer<DefaultProducerContext> = config.create().expect("a producer");
    let lines: Vec<&str> = chunks
        .iter()
        .flat_map(|(bytes, _)| std::str::from_utf8(bytes).expect("UTF-8").lines())
        .map(|line| line.splitn(6, '\t').nth(5).expect("a value"))
        .collect();
    let theirs = || {
        for line in &lines {
            let header = |key| Header { key, value: Some("bgp_session") };
            let headers = OwnedHeaders::new_with_capacity(2).insert(header("schema"));
            let headers = headers.insert(header("collector"));
            let mut record = BaseRecord::to("bare").key("router").payload(*line).headers(headers);
            while let Err((err, back)) = producer.send(record) {
                let code = err.rdkafka_error_code();
                assert_eq!(code, Some(RDKafkaErrorCode::QueueFull), "{err}");
                record = back;
                std::thread::sleep(Duration::from_millis(1));
            }
        }
        producer.flush(Duration::from_secs(60)).expect("every record is acknowledged");
    };
    // Several threads do the work: the time on the wall.
    let start = Instant::now();
    let pair = paired(PAIRS, || start.elapsed(), ours, theirs);
    let bytes: usize = lines.iter().map(|line| line.len()).sum();
    let speed = |time: Duration| count as f64 / time.as_secs_f64();
    println!(
        "# kafka: {count} records of {} bytes, {:.0} a second, rdkafka's bare loop {:.0}",
        bytes / lines.len(),
        speed(pair.ours),
        speed(pair.baseline)
    );
    print("kafka", pair.speed, "of-bare-producer", 0.5, true);
}

#[cfg(not(feature = "kafka"))]
pub fn kafka(_: &str) {
    println!("# kafka: this build has none");
}

/// The same bytes through the spool and through a plain file, in pieces of a queue's chunks;
/// neither is made to survive a loss of power.
pub fn spool(_: &str) {
    const CHUNKS: usize = 400;
    let directory = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("bench-spool");
    let chunk: Vec<u8> = (0..CHUNK_BYTES).map(|i| (i * 31 % 251) as u8).collect();
    let settings = spool::SpoolConfig {
        directory: directory.clone(),
        bytes_max: 1 << 30,
        age_max: Duration::from_secs(3600),
        sync_interval: Duration::from_secs(3600),
    };
    let clean = |directory: &Path| {
        let _ = std::fs::remove_dir_all(directory);
        std::fs::create_dir_all(directory).expect("a directory");
    };
    let plain = directory.join("plain");
    let (mut append, mut drain) = (Duration::MAX, Duration::MAX);
    let (mut write, mut read) = (Duration::MAX, Duration::MAX);
    for _ in 0..5 {
        clean(&directory);
        let mut spool = Spool::open(&settings).expect("a spool").0;
        append = append.min(time(|| {
            (0..CHUNKS).for_each(|_| spool.append(&chunk, 1000).expect("room on the disk"));
        }));
        drain = drain.min(time(|| {
            for _ in 0..CHUNKS {
                assert_eq!(black_box(spool.take(CHUNK_BYTES, 5000)).bytes.len(), CHUNK_BYTES);
                spool.acknowledge();
            }
        }));
        assert!(spool.is_empty());
        clean(&directory);
        write = write.min(time(|| {
            use std::io::Write;
            let mut file = std::fs::File::create(&plain).expect("a file");
            (0..CHUNKS).for_each(|_| file.write_all(&chunk).expect("room on the disk"));
        }));
        read = read.min(time(|| {
            use std::io::Read;
            let mut file = std::fs::File::open(&plain).expect("a file");
            for _ in 0..CHUNKS {
                let mut bytes = vec![0; CHUNK_BYTES];
                file.read_exact(&mut bytes).expect("what was written");
                black_box(bytes);
            }
            drop(file);
            std::fs::remove_file(&plain).expect("delete it");
        }));
    }
    let _ = std::fs::remove_dir_all(&directory);
    let megabytes = (CHUNKS * CHUNK_BYTES) as f64 / 1e6;
    let speed = |time: Duration| megabytes / time.as_secs_f64();
    println!(
        "# spool: {megabytes:.0} MB, append {:.0} MB/s, drain {:.0}, a plain file {:.0} and {:.0}",
        speed(append),
        speed(drain),
        speed(write),
        speed(read)
    );
    print("spool-append", speed(append) / speed(write), "of-plain-write", 0.5, true);
    print("spool-drain", speed(drain) / speed(read), "of-plain-read", 0.5, true);
}

fn time(run: impl FnOnce()) -> Duration {
    let start = Instant::now();
    run();
    start.elapsed()
}
