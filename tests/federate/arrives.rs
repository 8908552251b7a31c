//! What a fleet says arrives in every output, under planet-federator's names, and nothing else.

use std::collections::BTreeSet;

use crate::common::broker::{Noida, Reader};
use crate::common::http_stub::{HttpStub, Reply};
use crate::common::influxd::Influxd;
use crate::common::lines::Line;
use crate::common::needs::{PYTHON, skips};
use crate::common::perijove::perijove;
use crate::common::process::Process;
use crate::common::prometheus::{Prometheus, scrape};
use crate::common::schema::Schemas;
use crate::common::victoria_metrics::{Series, VictoriaMetrics};
use crate::common::{broker, fleet, free_port, lines, wait_for};
use crate::{Federation, SECOND, ends, has_windows, rows_are_right, scraped, settings, sums_agree};

#[test]
fn a_fleet_arrives_everywhere_and_the_sums_agree_with_the_raw_series() {
    if skips(&["influxd", "prometheus", PYTHON]) {
        return;
    }
    let (_machines, source) = scraped();
    let (influxd, receiver, noida) = (Influxd::start(), Prometheus::receiver(), Noida::start());
    let mut reader = Reader::new(&noida.brokers(), &[]);
    let more = format!(
        "{}[output.remote_write]\nurl = \"{}/api/v1/write\"\n{}\
         [output.prometheus]\nlisten = \"127.0.0.1:{}\"\n",
        influxd.output(),
        receiver.url(),
        broker::output(&noida.brokers()),
        free_port(),
    );
    let mut federation = Federation::start(&settings(&source.url(), &more));
    federation.wait("windows", |lines| has_windows(lines, 6));
    let finished = federation.stop();
    let printed = lines::readings(&lines::read(&finished.stdout));
    let raw = source.series("planet_traffic_bytes_total{remote_hostgroup!=\"\"}");
    let raw: Vec<Series> =
        raw.into_iter().filter(|series| series.labels["remote_hostgroup"] != "cloud").collect();
    rows_are_right(&printed);
    // The first window may reach back to before the first scrape.
    let ingress = ends(&printed, "ingress");
    let second = *ingress.iter().nth(1).expect("windows");
    let whole: Vec<Line> = printed.iter().filter(|l| l.timestamp > second).cloned().collect();
    sums_agree(&whole, &raw, 2 * SECOND);

    // InfluxDB has the very points, and the dashboards' queries give sensible rows.
    let stored = lines::readings(&influxd.points());
    let keys = |lines: &[Line]| lines.iter().map(Line::key).collect::<BTreeSet<_>>();
    assert_eq!(keys(&stored), keys(&printed));
    dashboards_work(&influxd, &printed);

    // Prometheus has them under its names, in milliseconds.
    let samples = |name: &str| {
        let series = receiver.series(name);
        series.iter().map(|series| series.values.len()).sum::<usize>()
    };
    for (name, measurement) in [
        ("planet_ingress_bandwidth_bps", "ingress"),
        ("planet_ebpf_egress_bandwidth_bps", "ebpf_egress"),
        ("planet_upstream_service_dependency", "upstream"),
    ] {
        let expected = printed.iter().filter(|line| line.measurement == measurement).count();
        wait_for(name, || (samples(name) >= expected).then_some(()));
        assert_eq!(samples(name), expected, "{name}");
    }

    // Kafka has a record of each, as the schema says.
    let records = reader.read();
    let schemas = Schemas::printed();
    let of = |topic: &str| records.iter().filter(|record| record.topic == topic).count();
    records.iter().for_each(|record| _ = schemas.check(&record.value));
    let upstream = printed.iter().filter(|line| line.measurement == "upstream").count();
    assert_eq!(of("upstream"), upstream);
}

/// The statements of planet-federator's example dashboards.
fn dashboards_work(influxd: &Influxd, printed: &[Line]) {
    let rows = influxd.query(
        "SELECT SUM(\"bandwidth_bps\") FROM \"ingress\" WHERE \"service\" = 'web' AND \
         time > now() - 1h GROUP BY time(1h), \"service\", \"remote_service\", \
         \"remote_address\" fill(none)",
    );
    assert_eq!(rows.len(), 2, "{rows:?}");
    let sum = |of: &str| -> f64 {
        let of = printed.iter().filter(|line| line.tag("remote_service") == of);
        let ingress = of.filter(|line| line.measurement == "ingress");
        ingress.map(|line| line.number("bandwidth_bps")).sum()
    };
    for series in &rows {
        let peer = series["tags"]["remote_service"].as_str().expect("a tag");
        let values = series["values"].as_array().expect("rows").iter();
        let total: f64 = values.filter_map(|row| row[1].as_f64()).sum();
        assert!((total - sum(peer)).abs() < 1e-6 * total, "{peer}: {total} {}", sum(peer));
    }
    for (measurement, peer, port) in
        [("upstream", "upstream", "upstream_port"), ("downstream", "downstream", "port")]
    {
        let rows = influxd.query(&format!(
            "SELECT SUM(\"service_dependency\") FROM \"{measurement}\" WHERE \"service\" = 'web' \
             AND time > now() - 7d GROUP BY \"{peer}_service\", \"{peer}_address\", \
             \"process_name\", \"{port}\", \"protocol\""
        ));
        assert_eq!(rows.len(), 3, "{rows:?}");
        let counted = |row: &serde_json::Value| row["values"][0][1].as_f64().expect("a sum");
        let total: f64 = rows.iter().map(counted).sum();
        let lines = printed.iter().filter(|line| line.measurement == measurement).count();
        assert_eq!(total as usize, lines);
    }
}

#[test]
fn victoria_metrics_takes_them_both_ways() {
    if skips(&["prometheus", "victoria-metrics"]) {
        return;
    }
    let (_machines, source) = scraped();
    let victoria = VictoriaMetrics::start();
    let url = victoria.url();
    let more = format!(
        "[output.influxdb]\nurl = \"{url}\"\nversion = 2\norg = \"o\"\nbucket = \"b\"\n\
         [output.remote_write]\nurl = \"{url}/api/v1/write\"\n"
    );
    let mut federation = Federation::start(&settings(&source.url(), &more));
    federation.wait("windows", |lines| has_windows(lines, 2));
    let printed = lines::readings(&lines::read(&federation.stop().stdout));
    let rows = printed.iter().filter(|line| line.measurement == "ingress").count();
    for name in ["ingress_bandwidth_bps", "planet_ingress_bandwidth_bps"] {
        let count = || victoria.series(name).iter().map(|s| s.values.len()).sum::<usize>();
        wait_for(name, || (count() >= rows).then_some(()));
        assert_eq!(count(), rows);
    }
}

/// perijove itself as the exporter: a machine, its inventory and its darkstat.
fn exporter(number: u32, machine: &fleet::Machine, inventory: &str, peer: &str) -> Exporter {
    let (begun, peer) = (std::time::Instant::now(), peer.to_string());
    let darkstat = HttpStub::start(move |_, _| {
        let bytes = |rate: f64| (begun.elapsed().as_secs_f64() * rate) as u64 + 1000;
        Reply::message(
            200,
            &format!(
                "# TYPE host_bytes_total counter\n\
                 host_bytes_total{{interface=\"e\",ip=\"{peer}\",dir=\"out\"}} {}\n\
                 host_bytes_total{{interface=\"e\",ip=\"{peer}\",dir=\"in\"}} {}\n",
                bytes(90_000.0),
                bytes(30_000.0)
            ),
        )
    });
    let port = free_port();
    let here = machine.directory.path().display();
    let inventory = machine.directory.write("inventory.json", inventory);
    let settings = format!(
        "[output.prometheus]\nlisten = \"127.0.0.1:{port}\"\nexpire_intervals = 1000\n\
         [dependency]\n\
         name = \"m{number}\"\naddress = \"10.9.0.{number}\"\n\
         [dependency.sockets]\nproc = \"{here}/proc\"\ninterval = \"300ms\"\n\
         [dependency.inventory]\nfile = \"{}\"\n\
         [dependency.darkstat]\nurl = \"{}\"\ninterval = \"300ms\"\n",
        inventory.display(),
        darkstat.url(),
    );
    let file = machine.directory.write("perijove.toml", settings);
    let process = Process::start(perijove(&["run", "--config"]).arg(file));
    Exporter { port, _process: process, _darkstat: darkstat }
}

struct Exporter {
    port: u16,
    _process: Process,
    _darkstat: HttpStub,
}

fn inventory(entries: &[(&str, &str, &str)]) -> String {
    let entry = |known: &(&str, &str, &str)| {
        let (address, domain, hostgroup) = known;
        serde_json::json!({"ip_address": address, "domain": domain, "hostgroup": hostgroup})
    };
    serde_json::Value::from(entries.iter().map(entry).collect::<Vec<_>>()).to_string()
}

#[test]
fn what_two_exporters_say_of_their_machines_is_rolled_up() {
    if skips(&["prometheus"]) {
        return;
    }
    // A web server and its database; each machine has an inventory of its own.
    let web = fleet::Machine::new()
        .process("app", &[("10.9.0.1:40000", "10.9.0.2:5432"), ("10.9.0.1:40001", "10.9.0.2:5432")])
        .process("nginx", &[("0.0.0.0:443", ""), ("10.9.0.1:443", "10.9.7.7:50000")])
        .process("sshd", &[("0.0.0.0:22", ""), ("10.9.0.1:22", "10.9.7.7:50001")]);
    let db = fleet::Machine::new().process(
        "postgres",
        &[
            ("0.0.0.0:5432", ""),
            ("10.9.0.2:5432", "10.9.0.1:40000"),
            ("10.9.0.2:5432", "10.9.0.1:40001"),
        ],
    );
    let known = [
        ("10.9.0.1", "web-1.example", "web"),
        ("10.9.0.2", "db-1.example", "db"),
        ("10.9.7.0/24", "office.example", "office"),
    ];
    let exporters = [
        exporter(1, &web, &inventory(&known), "10.9.0.2"),
        exporter(2, &db, &inventory(&known[..2]), "10.9.0.1"),
    ];
    let ports = exporters.each_ref().map(|exporter| exporter.port);
    let source = Prometheus::start_with(&scrape("1s", &ports, ""), &[]);
    let mut federation = Federation::start(&settings(&source.url(), ""));
    federation.wait("windows", |lines| {
        let every = ["ingress", "egress", "upstream", "downstream"];
        every.iter().all(|name| ends(lines, name).len() >= 7).then_some(())
    });
    let printed = lines::readings(&lines::read(&federation.stop().stdout));
    let rows = |measurement: &str| -> BTreeSet<String> {
        let of = printed.iter().filter(|line| line.measurement == measurement);
        let tags = |line: &Line| line.tags.values().cloned().collect::<Vec<_>>().join(" ");
        of.map(tags).collect()
    };
    let expected = |rows: &[&str]| rows.iter().map(|row| row.to_string()).collect::<BTreeSet<_>>();
    // The tags' values, by the tags' names in the alphabet's order.
    assert_eq!(rows("upstream"), expected(&["web-1.example app tcp web db-1.example 5432 db"]));
    let found = expected(&[
        "web-1.example office.example office 443 nginx tcp web",
        "db-1.example web-1.example web 5432 postgres tcp db",
    ]);
    assert_eq!(rows("downstream"), found);
    let found =
        expected(&["db-1.example web-1.example web db", "web-1.example db-1.example db web"]);
    assert_eq!(rows("ingress"), found);
    assert_eq!(rows("egress"), found);
    // Each side sends what its darkstat says of the other, bytes for bytes: over some windows, as a
    // machine is not asked at the very end of one.
    let second = *ends(&printed, "ingress").iter().nth(1).expect("windows");
    for address in ["db-1.example", "web-1.example"] {
        let ingress = printed.iter().filter(|line| {
            line.measurement == "ingress"
                && line.tag("address") == address
                && line.timestamp > second
        });
        let bits: Vec<f64> = ingress.map(|line| line.number("bandwidth_bps")).collect();
        let mean = bits.iter().sum::<f64>() / bits.len() as f64;
        assert!((mean - 720_000.0).abs() < 200_000.0, "{address}: {bits:?}");
    }
}
