//! What it costs to watch for events: large polls with and without, to line protocol.

use std::cell::Cell;
use std::hint::black_box;
use std::sync::Arc;
use std::sync::mpsc;

use perijove::event::state::{Limits, State};
use perijove::event::watch::Watch;
use perijove::output::line_protocol::LineProtocol;
use perijove::point::Batch;
use perijove::poll::registry;

use crate::{IN_USE, cpu_time, paired, points_of, print, router_prints};

/// So much of a poll's CPU time is with events what it is without.
const TARGET: f64 = 1.03;
/// The default of `subjects_max`.
const SUBJECTS_MAX: usize = 100_000;

pub fn events(router: &str) {
    let options = ["--interfaces", "2400"];
    poll(router, "interfaces", "get-interface-information extensive", &options);
    poll(router, "bgp", "get-bgp-neighbor-information", &["--bgp-peers", "4000"]);
    let rpc = "get-interface-optics-diagnostics-information";
    poll(router, "interfacediagnostics", rpc, &["--optics", "2400"]);
}

/// Polls of one reply, in which nothing changes.
fn poll(router: &str, collector: &'static str, rpc: &str, options: &[&str]) {
    let reply = router_prints(router, rpc, options);
    let entry = registry::find(collector).expect("a collector");
    let (wake, woken) = mpsc::channel();
    let limits = Limits { subjects_max: SUBJECTS_MAX, flaps_max: 10, flaps_window_s: 600 };
    let before = IN_USE.load(std::sync::atomic::Ordering::Relaxed);
    let watch = Arc::new(Watch::new("router", State::new(limits, 1), wake));
    let (codec, seconds) = (LineProtocol::default(), Cell::new(1 << 30));
    let run = |watch: Option<&Arc<Watch>>| {
        let mut out = Vec::new();
        // Each poll has its own time, as what was compared already is passed over.
        seconds.set(seconds.get() + 30);
        let time_ns = seconds.get() * 1_000_000_000;
        let count = points_of(entry, &reply, &mut |points| {
            let batch = Batch { node: "router", collector, time_ns, points };
            watch.iter().for_each(|watch| watch.see(&batch));
            out.clear();
            codec.encode(&batch, &mut out);
            black_box(&out);
        });
        watch.iter().for_each(|watch| watch.end(collector, entry.measurements, Some(1), time_ns));
        count
    };
    let count = run(Some(&watch));
    let bytes = IN_USE.load(std::sync::atomic::Ordering::Relaxed) - before;
    let (states, pending) = watch.with_state(|state| (state.slots.len(), state.pending.len()));
    assert!(states > 1000 && pending == 0, "{states} states, {pending} events");
    let pair = paired(cpu_time, || _ = run(Some(&watch)), || _ = run(None));
    assert_eq!(watch.with_state(|state| state.pending.len()), 0, "nothing changes");
    drop(woken);
    let ms = |time: std::time::Duration| time.as_secs_f64() * 1e3;
    println!(
        "# events-{collector}: {:.1} MB, {count} points, {states} states in {:.2} MB; {:.1} ms \
         with events, {:.1} ms without",
        reply.len() as f64 / 1e6,
        bytes as f64 / 1e6,
        ms(pair.ours),
        ms(pair.baseline)
    );
    print(&format!("events-{collector}"), 1.0 / pair.speed, "of-without", TARGET, false);
}
