//! The panels and the documented queries of traffic between services show what was sent, however
//! long a step on the screen is.

use std::collections::BTreeSet;
use std::path::Path;

use super::common::influxd::Influxd;
use super::common::needs::skips;
use super::common::now_ns;
use super::common::prometheus::Prometheus;
use super::flavours::rows;
use super::queries::{queries, read};

/// Steps, from shorter than a window of time to far longer.
const STEPS: [(&str, i64); 3] = [("10s", 10), ("5m", 300), ("1h", 3600)];
const WINDOW_SECONDS: i64 = 30;
/// Of the service's two machines, in bit/s.
const BITS: [f64; 2] = [8e6, 16e6];

/// The start of the hour before the last: all that is asked about is over.
fn start() -> i64 {
    now_ns() / 1_000_000_000 / 3600 * 3600 - 7200
}

/// The queries of the dashboard's panels of traffic.
fn panels(flavour: &str) -> Vec<(String, String)> {
    let of_traffic = |place: &str| place.contains("dependencies.json, \"Traffic");
    let found = queries(flavour).into_iter().filter(|query| of_traffic(&query.place));
    let found: Vec<_> = found.map(|query| (query.place, query.text)).collect();
    assert_eq!(found.len(), 2);
    found
}

/// The first query in docs/federation.md that begins so, up to an empty line or the next query.
fn documented(start: &str) -> (String, String) {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/federation.md");
    let text = read(&file);
    let mut lines = text.lines().skip_while(|line| !line.starts_with(start));
    let mut query = lines.next().unwrap_or_else(|| panic!("no {start}")).to_string();
    for line in lines.take_while(|line| line.starts_with(' ')) {
        query += line;
    }
    ("docs/federation.md".into(), query)
}

#[test]
fn influxdbs_panels_show_the_traffic_at_every_zoom() {
    if skips(&["influxd"]) {
        return;
    }
    let influxd = Influxd::start();
    let start = start();
    let mut points = String::new();
    // A point has the time of the end of its window; the last one is the next hour's.
    for time in (start..start + 3600).step_by(WINDOW_SECONDS as usize) {
        for (machine, bits) in BITS.iter().enumerate() {
            for direction in ["ingress", "egress"] {
                points += &format!(
                    "{direction},service=web,address=w{machine},remote_service=db,\
                     remote_address=d1 bandwidth_bps={bits} {time}000000000\n"
                );
            }
        }
    }
    influxd.write(&points);
    let mut all = panels("influxdb");
    all.push(documented("SELECT SUM(\"mean\")"));
    for (place, query) in all {
        for (step, _) in STEPS {
            let times = format!("time >= {start}s AND time < {}s", start + 3600);
            let query = query
                .replace("$__interval", step)
                .replace("$timeFilter", &times)
                .replace("${service:regex}", "web")
                .replace("$service", "web");
            let found = influxd.query(&query);
            assert_eq!(found.len(), 1, "{place} at {step}: {query}");
            let shown: BTreeSet<String> =
                rows(&found[0]).map(|row| row[1].as_f64().expect("bits").to_string()).collect();
            assert_eq!(shown, ["24000000".into()].into(), "{place} at {step}: {query}");
        }
    }
}

#[test]
fn prometheuss_panels_show_the_traffic_at_every_zoom() {
    if skips(&["prometheus", "promtool"]) {
        return;
    }
    let start = start();
    let mut samples = String::from("# TYPE planet_traffic_bytes counter\n");
    let mut rolled_up = String::from("# TYPE planet_ingress_bandwidth_bps gauge\n");
    for time in (start..=start + 3600).step_by(15) {
        for (machine, bits) in BITS.iter().enumerate() {
            let bytes = (time - start) as f64 * bits / 8.0;
            for direction in ["ingress", "egress"] {
                samples += &format!(
                    "planet_traffic_bytes_total{{instance=\"w{machine}\",direction=\"{direction}\",\
                     local_hostgroup=\"web\",local_domain=\"w{machine}\",remote_hostgroup=\"db\",\
                     remote_domain=\"d1\",remote_ip=\"192.0.2.1\"}} {bytes} {time}\n"
                );
            }
            if time % WINDOW_SECONDS == 0 {
                rolled_up += &format!(
                    "planet_ingress_bandwidth_bps{{service=\"web\",address=\"w{machine}\",\
                     remote_service=\"db\",remote_address=\"d1\"}} {bits} {time}\n"
                );
            }
        }
    }
    let prometheus = Prometheus::with_history(&format!("{samples}{rolled_up}# EOF\n"));
    let mut all = panels("prometheus");
    all.push(documented("sum by (remote_service)"));
    for (place, query) in all {
        for (step, seconds) in STEPS {
            // Grafana's $__rate_interval is four scrapes at least.
            let rate = seconds.max(60);
            let query = query
                .replace("$__rate_interval", &format!("{rate}s"))
                .replace("$__interval", &format!("{}s", seconds.max(WINDOW_SECONDS)))
                .replace("$service", "web");
            let found = prometheus.query_at(&query, start + 3600);
            assert_eq!(found.len(), 1, "{place} at {step}: {query}");
            let bits = found[0].1;
            assert!((bits - 24e6).abs() < 24e6 * 0.001, "{place} at {step}: {bits}: {query}");
        }
    }
}
