//! Both ends of dependencies: an upstream of one machine is a downstream of another. Where only one
//! of the two reports it, the other has no exporter, or there is NAT or a proxy between them.

use std::collections::HashSet;

use super::ask::{Asking, limit, seen};
use super::roll_up::RollUp;
use super::windows::Window;
use crate::point::{DEPENDENCY_TAGS, Definition, Measurement, gauge};

/// What one end is told apart by; the process and the reason stand beside it.
pub const ENDS: &[&str] = DEPENDENCY_TAGS.split_last().unwrap().1;

/// So often it is looked, and so far back: the ends are scraped at different times, and short
/// connections are not seen at each.
const EVERY_MS: u64 = 300_000;

pub static ONE_SIDED: Measurement<f64> = Measurement::new(|| Definition {
    name: "one_sided",
    help: "A dependency that one of its ends reports and the other does not.",
    tags: &[
        "service",
        "address",
        "remote_service",
        "remote_address",
        "port",
        "protocol",
        "end",
        "reason",
    ],
    fields: vec![gauge("dependency", "", "1: it is one-sided.", |_| Some(1))],
});

/// The ends that report, and what the other one is called.
const UPSTREAM: f64 = 1.0;
const DOWNSTREAM: f64 = 2.0;

/// Rows by the tags of the measurement, and how many series there were, of the window in which each
/// five minutes end; others have nothing.
pub fn ask(window: Window, asking: &Asking) -> Result<(RollUp<8>, u64), String> {
    let mut found = RollUp::default();
    let is_due = window.start / EVERY_MS < window.end / EVERY_MS;
    let mut series = 0;
    if is_due {
        let wide = Window { start: window.end.saturating_sub(EVERY_MS.max(window.ms())), ..window };
        let mut reporters = RollUp::<2>::default();
        // By client and server.
        let mut ends = RollUp::<6>::default();
        for (metric, end) in [("planet_upstream", UPSTREAM), ("planet_downstream", DOWNSTREAM)] {
            series += seen(metric, ENDS, wide, asking, &mut |labels| {
                let [group, name, remote_group, remote, port, protocol] = labels else {
                    return Ok(());
                };
                let (local, peer) = ([&**group, name], [&**remote_group, remote]);
                reporters.add(local, 1.0);
                let ([a, b], [c, d]) = if end == UPSTREAM { (local, peer) } else { (peer, local) };
                ends.add([a, b, c, d, port, protocol], end);
                limit(ends.size(), asking.rows_max)
            })?;
        }
        let reporters: HashSet<[&str; 2]> = reporters.iter().map(|(who, _)| who).collect();
        for ([group, name, to_group, to, port, protocol], ends) in ends.iter() {
            let (client, server) = ([group, name], [to_group, to]);
            let (end, local, peer) = match ends {
                ends if ends == UPSTREAM => ("upstream", client, server),
                ends if ends == DOWNSTREAM => ("downstream", server, client),
                _ => continue,
            };
            let reason = if reporters.contains(&peer) { "not_seen" } else { "no_exporter" };
            let tags = [local[0], local[1], peer[0], peer[1], port, protocol, end, reason];
            found.add(tags, 1.0);
        }
    }
    Ok((found, series))
}
