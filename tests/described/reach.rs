//! Where the points of a description go, as those of any collector: Kafka's topics, the variables
//! of Grafana's dashboards; and the time that it may take.

use std::path::Path;

use crate::common::influxd::Influxd;
use crate::common::lines::Line;
use crate::common::needs::skips;
use crate::common::perijove::{Daemon, FAST, alarm_polls, local_router, own, perijove, seen};
use crate::common::process::run;
use crate::common::prometheus::Prometheus;
use crate::common::temporary::Directory;
use crate::common::{free_port, wait_for};
use crate::{file_systems, in_document};

/// A directory with collectors in `collectors.d`.
fn collectors(files: &[(&str, String)]) -> Directory {
    let directory = Directory::new();
    std::fs::create_dir(directory.join("collectors.d")).unwrap();
    for (name, text) in files {
        directory.write(&format!("collectors.d/{name}.toml"), text);
    }
    directory
}

#[cfg(feature = "kafka")]
#[test]
fn a_topic_of_kafka_is_named_after_it() {
    use crate::common::broker::{self, Noida, Reader};
    use crate::common::needs::PYTHON;
    use crate::common::schema::Schemas;

    if skips(&[PYTHON]) {
        return;
    }
    let text = file_systems("mine").replace("measurement = \"mine\"", "measurement = \"disks\"");
    for (template, topic) in
        [("", "mine"), ("topic = \"j.{collector}.{measurement}\"\n", "j.mine.disks")]
    {
        let noida = Noida::start();
        let mut reader = Reader::new(&noida.brokers(), &[]);
        let output = broker::output(&noida.brokers());
        let all =
            format!("collectors = [\"mine\"]\n{FAST}{}{output}{template}", local_router("r1", ""));
        let directory = collectors(&[("mine", text.clone())]);
        let settings = directory.join("perijove.toml");
        let daemon = Daemon::start_in(directory, &all, &[]);
        let record = wait_for("a record", || {
            let mut records = reader.read().iter();
            records.find(|record| record.headers["schema"] == "disks").map(|record| {
                assert_eq!(record.topic, topic);
                assert_eq!((&*record.key, &*record.headers["collector"]), ("r1", "mine"));
                record.value.clone()
            })
        });
        let schemas = Schemas::printed_with(&["--config", settings.to_str().unwrap()]);
        let value = schemas.check(&record);
        assert!(value["fields"]["blocks"].as_f64() > Some(0.0), "{value}");
        assert_eq!(daemon.stop().code, 0);
    }
}

/// The queries in the tutorial, of which a dashboard's variable and a panel are made.
fn queries_of_the_tutorial() -> Vec<String> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/write-a-collector.md");
    let text = std::fs::read_to_string(path).unwrap();
    let section = text.split("## 5. Show it").nth(1).unwrap().split("\n## ").next().unwrap();
    let blocks = section.split("```\n").skip(1).step_by(2);
    blocks.flat_map(|block| block.lines().map(String::from)).collect()
}

/// What the tutorial says of a variable and a panel is so: each value of the variable chooses one
/// line of the panel.
#[test]
fn variables_of_grafana_choose_what_it_collects() {
    if skips(&["prometheus", "influxd"]) {
        return;
    }
    let queries = queries_of_the_tutorial();
    let [variable, panel, tag_values, points] = &queries[..] else { panic!("{queries:?}") };
    let (influxd, port) = (Influxd::start(), free_port());
    let all = format!(
        "collectors = [\"fans\"]\n{FAST}{}{}[output.prometheus]\nlisten = \"127.0.0.1:{port}\"\n",
        local_router("r1", ""),
        influxd.output()
    );
    let fans = in_document("docs/write-a-collector.md");
    let daemon = Daemon::start_in(collectors(&[("fans", fans)]), &all, &[]);
    let prometheus = Prometheus::start(port, "");
    let four = ["Fan 0", "Fan 1", "Fan 2", "Fan 3"];

    let inner = variable.strip_prefix("label_values(").unwrap().strip_suffix(')').unwrap();
    let (selector, label) = inner.rsplit_once(", ").unwrap();
    let routers = |value: &str| value.replace("\"$target\"", "\"r1\"");
    // A scrape that takes too long on a busy machine leaves nothing until the next one.
    let ask = |query: &str| {
        wait_for(query, || Some(prometheus.query(query)).filter(|samples| !samples.is_empty()))
    };
    let samples = ask(&routers(&format!("count by ({label}) ({selector})")));
    let values: Vec<String> =
        samples.into_iter().map(|(mut s, _)| s.remove(label).unwrap()).collect();
    assert_eq!(values, four);
    // The shipped dashboards ask so for the routers.
    assert_eq!(ask("count by (target) (perijove_session_up)")[0].0["target"], "r1");
    for fan in four {
        let chosen = ask(&routers(panel).replace("\"$fan\"", &format!("\"{fan}\"")));
        let [(labels, rpm)] = &chosen[..] else { panic!("{fan}: {chosen:?}") };
        assert_eq!((&*labels["target"], &*labels["fan"]), ("r1", fan));
        assert!(*rpm >= 2400.0, "{rpm}");
    }

    influxd.wait_points("polls", |lines| (seen(lines, "fans") >= 4).then_some(()));
    let with = |query: &str, fan: &str| {
        let query = query.replace("${target:regex}", "r1").replace("${fan:regex}", fan);
        influxd
            .query(&query.replace("$timeFilter", "time > now() - 10m").replace("$__interval", "1m"))
    };
    let series = with(tag_values, "");
    let values =
        series[0]["values"].as_array().unwrap().iter().map(|value| value[1].as_str().unwrap());
    assert_eq!(values.collect::<Vec<_>>(), four);
    for fan in four {
        let series = with(points, fan);
        assert_eq!(series.len(), 1, "{series:?}");
        assert_eq!(series[0]["tags"]["fan"], fan);
    }
    assert_eq!(daemon.stop().code, 0);
}

/// It has the time that its settings say, and costs no other collector more than that.
#[test]
fn it_may_take_as_long_as_its_settings_say() {
    let router = local_router("r1", "--fault hang@2:storage");
    let all = format!(
        "collectors = [\"alarm\", \"mine\"]\n{FAST}{router}[collector.mine]\ntimeout = \"1s\"\n"
    );
    let mut daemon = Daemon::start_in(collectors(&[("mine", file_systems("mine"))]), &all, &[]);
    daemon.wait_lines("polls after the one that hangs", |lines| {
        let failed = own(lines, ("collector", "mine"), "failed_polls_total")?;
        let mut polls: Vec<i64> =
            lines.iter().filter(of_measurement("mine")).map(|line| line.timestamp).collect();
        polls.dedup();
        (failed >= 1.0 && polls.len() >= 3 && alarm_polls(lines) >= 4).then_some(())
    });
    let finished = daemon.stop();
    assert_eq!(finished.code, 0, "{}", finished.stderr);
    assert!(finished.stderr.contains("1s"), "{}", finished.stderr);
}

fn of_measurement(name: &'static str) -> impl Fn(&&Line) -> bool {
    move |line| line.measurement == name
}

/// What a router answers in place of data means for it what it means for any collector.
#[test]
fn it_is_unsupported_without_data_or_failed_as_others_are() {
    for (fault, code, verdict) in [
        ("", 0, "ok          r1 mine: "),
        ("--fault unsupported:storage", 0, "unsupported r1 mine: "),
        ("--replies DIRECTORY", 0, "no data     r1 mine: "),
        ("--fault rpc-error:storage", 1, "FAILED      r1 mine: "),
        ("--fault garbage:storage", 1, "FAILED      r1 mine: "),
    ] {
        let directory = collectors(&[("mine", file_systems("mine"))]);
        directory.write("get-system-storage.xml", "<output>storage is not configured</output>");
        let place = directory.path().to_str().unwrap();
        let router = local_router("r1", &fault.replace("DIRECTORY", place));
        let file = directory.write("perijove.toml", format!("collectors = [\"mine\"]\n{router}"));
        let finished = run(perijove(&["check", "--config"]).arg(file));
        assert!(finished.stdout.contains(verdict), "{fault}: {finished:?}");
        assert_eq!(finished.code, code, "{fault}: {finished:?}");
    }
}
