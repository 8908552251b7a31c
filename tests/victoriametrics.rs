//! VictoriaMetrics, the real server: InfluxDB's v2 write path and unsigned integers.

mod common;
#[path = "common/forgeries.rs"]
mod forgeries;

use std::time::{Duration, Instant};

use common::DEADLINE;
use common::lines::{self, Line};
use common::needs::skips;
use common::perijove::{Daemon, FAST, alarm_polls, local_router};
use common::temporary::Directory;
use common::victoria_metrics::{Series, VictoriaMetrics};
use forgeries::{FORGERIES, forging_lines};

#[test]
fn the_v2_write_path_with_unsigned_integers() {
    if skips(&["prometheus", "victoria-metrics"]) {
        return;
    }
    let victoria = VictoriaMetrics::start();
    let directory = Directory::new();
    directory.write_secret("token", "any-token");
    let settings = format!(
        "collectors = [\"alarm\", \"interfaces\", \"route\"]\n{FAST}drain_timeout = \"50s\"\n{}\
         [output.stdout]\n[output.influxdb]\nurl = \"{}\"\nversion = 2\norg = \"o\"\n\
         bucket = \"b\"\ntoken_file = \"DIRECTORY/token\"\nintegers = \"u\"\n",
        local_router("r1", "--interfaces 3"),
        victoria.url()
    );
    let mut daemon = Daemon::start_in(directory, &settings, &[]);
    daemon.wait_lines("polls", |lines| (alarm_polls(lines) >= 2).then_some(()));
    let finished = daemon.stop();
    assert_eq!(finished.code, 0, "{}", finished.stderr);

    let printed = lines::readings(&lines::read(&finished.stdout));
    assert!(!printed.is_empty());
    // What it has acknowledged is not at once in what it exports. It makes numbers of texts too,
    // so that a count of samples says nothing.
    let deadline = Instant::now() + DEADLINE;
    loop {
        let series = victoria.series("(alarms|interface|routes).*");
        let missing = printed.iter().find_map(|line| first_missing(line, &series));
        let Some(missing) = missing else { break };
        assert!(Instant::now() < deadline, "no sample {missing}");
        std::thread::sleep(Duration::from_millis(100));
    }
}

/// The first of a line's numbers that is not there.
fn first_missing(line: &Line, series: &[Series]) -> Option<String> {
    line.fields.iter().find_map(|(field, value)| {
        let number = value.number()?;
        let name = format!("{}_{field}", line.measurement);
        let time = line.timestamp / 1_000_000;
        // It keeps about twelve digits of a number.
        let is_it = |(at, found): (&i64, &f64)| {
            *at == time && (found - number).abs() <= number.abs() * 1e-12
        };
        let found = series.iter().any(|series| {
            series.labels.get("__name__") == Some(&name)
                && line.tags.iter().all(|(tag, text)| series.labels.get(tag) == Some(text))
                && series.timestamps_ms.iter().zip(&series.values).any(is_it)
        });
        (!found).then(|| format!("{name} {number} at {time} of {line:?}"))
    })
}

/// It reads two backslashes as one, which InfluxDB does not: no value ends its tag for it either.
#[test]
fn no_value_forges_a_tag() {
    let victoria = VictoriaMetrics::start();
    let url = format!("{}/write", victoria.url());
    common::http_agent().post(url).send(forging_lines()).expect("a write");
    let deadline = Instant::now() + DEADLINE;
    loop {
        let series = victoria.series("item_count");
        if series.len() == FORGERIES.len() {
            for Series { labels, .. } in series {
                assert_eq!(labels.get("host").map(String::as_str), Some("r1"), "{labels:?}");
                let names: Vec<&str> = labels.keys().map(String::as_str).collect();
                assert!(names.iter().all(|name| ["__name__", "host", "name", "db"].contains(name)));
            }
            return;
        }
        assert!(Instant::now() < deadline, "{} series", series.len());
        std::thread::sleep(Duration::from_millis(100));
    }
}
