//! What all jobs ask with, and the question who depends on whom.

use super::answer::Series;
use super::exclusions::Exclusions;
use super::query::PrometheusClient;
use super::roll_up::Size;
use super::windows::{Window, Windows};

/// How a job asks.
pub struct Asking<'a> {
    pub client: &'a PrometheusClient,
    pub exclusions: &'a Exclusions,
    /// Label matchers that go into every selector.
    pub matchers: &'a str,
    pub windows: &'a Windows,
    /// How long after its end a window is asked about, at the earliest.
    pub offset_ms: u64,
    /// How far back the sample before a gap is looked for.
    pub gap_max_ms: u64,
    pub rows_max: usize,
}

pub const UPSTREAM_LABELS: &[&str; 7] = &[
    "local_hostgroup",
    "local_address",
    "remote_hostgroup",
    "remote_address",
    "port",
    "process_name",
    "protocol",
];

pub const DOWNSTREAM_LABELS: &[&str; 7] = &[
    "local_hostgroup",
    "local_address",
    "port",
    "process_name",
    "remote_hostgroup",
    "remote_address",
    "protocol",
];

/// Gives these labels of each dependency that was seen in the window and is not left out. How many
/// there were. Processes without a name are left out where it is asked for the process.
pub fn seen(
    metric: &str,
    labels: &[&str],
    window: Window,
    asking: &Asking,
    take: &mut dyn FnMut(&[String]) -> Result<(), String>,
) -> Result<u64, String> {
    let exclusions = asking.exclusions;
    let mut matchers = match (exclusions.unnamed, labels.contains(&"process_name")) {
        (true, _) => String::new(),
        (false, true) => "local_hostgroup!=\"\",process_name!=\"\"".into(),
        (false, false) => "local_hostgroup!=\"\"".into(),
    };
    if !exclusions.ports.is_empty() {
        let ports: Vec<String> = exclusions.ports.iter().map(u16::to_string).collect();
        matchers = join(&matchers, &format!("port!~\"{}\"", ports.join("|")));
    }
    let expression = format!(
        "max by ({}) (max_over_time({metric}{{{}}}[{}ms]))",
        labels.join(","),
        join(&matchers, asking.matchers),
        window.ms(),
    );
    let peer = labels.iter().position(|label| *label == "remote_address").unwrap_or(0);
    let mut each = |series: &Series| {
        let address = &series.labels[peer];
        let is_there = series.samples.iter().any(|(_, value)| *value > 0.0);
        match is_there && !exclusions.has_address(address) && !exclusions.has_name(address) {
            true => take(&series.labels),
            false => Ok(()),
        }
    };
    asking.client.ask(&expression, window.end, labels, &mut each).map(|rest| rest.series)
}

/// Label matchers, of which either may be empty.
pub fn join(first: &str, second: &str) -> String {
    let separator = if first.is_empty() || second.is_empty() { "" } else { "," };
    format!("{first}{separator}{second}")
}

/// The most bytes of labels for a row, on average, that it shares with no other row.
const ROW_TEXT_BYTES_MAX: usize = 256;

pub fn limit(size: Size, rows_max: usize) -> Result<(), String> {
    let Size { rows, text_bytes } = size;
    let what = match () {
        () if rows > rows_max => "rows",
        () if text_bytes / ROW_TEXT_BYTES_MAX > rows_max => "rows' labels",
        () => return Ok(()),
    };
    Err(format!("there are more than rows_max, {rows_max}, {what}: raise it, or leave more out"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_and_their_texts_have_a_limit() {
        assert_eq!(limit(Size { rows: 2, text_bytes: 512 }, 2), Ok(()));
        assert!(limit(Size { rows: 3, text_bytes: 0 }, 2).unwrap_err().contains("2, rows:"));
        assert!(limit(Size { rows: 1, text_bytes: 768 }, 2).unwrap_err().contains("labels"));
    }
}
