//! VictoriaMetrics, the real server: InfluxDB's v2 write path and unsigned integers.

mod common;

use common::lines::{self, Line};
use common::perijove::{Daemon, FAST, alarm_polls, local_router};
use common::temporary::Directory;
use common::victoria_metrics::VictoriaMetrics;
use common::wait_for;

#[test]
fn the_v2_write_path_with_unsigned_integers() {
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
    let expected: usize = printed.iter().map(numbers).sum();
    let arrived = || victoria.series("(alarms|interface|routes).*");
    let series = wait_for("every sample", || {
        let series = arrived();
        (series.iter().map(|s| s.values.len()).sum::<usize>() >= expected).then_some(series)
    });
    for line in &printed {
        for (field, value) in &line.fields {
            let Some(number) = value.number() else { continue };
            let name = format!("{}_{field}", line.measurement);
            let found = series.iter().find(|series| {
                series.labels.get("__name__") == Some(&name)
                    && line.tags.iter().all(|(tag, text)| series.labels.get(tag) == Some(text))
            });
            let series = found.unwrap_or_else(|| panic!("no series {name} for {line:?}"));
            let time = line.timestamp / 1_000_000;
            let sample = series.timestamps_ms.iter().position(|at| *at == time);
            let sample = sample.unwrap_or_else(|| panic!("no sample of {name} at {time}"));
            // It keeps about twelve digits of a number.
            let difference = (series.values[sample] - number).abs();
            assert!(
                difference <= number.abs() * 1e-12,
                "{name}: {number} {}",
                series.values[sample]
            );
        }
    }
}

fn numbers(line: &Line) -> usize {
    line.fields.values().filter(|value| value.number().is_some()).count()
}
