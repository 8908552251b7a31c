//! What it costs to watch for events: polls of a large router with and without, to line protocol.

use std::cell::Cell;
use std::hint::black_box;
use std::sync::Arc;
use std::sync::mpsc;
use std::time::Duration;

use perijove::event::state::{Limits, State};
use perijove::event::watch::Watch;
use perijove::output::line_protocol::LineProtocol;
use perijove::point::Batch;
use perijove::poll::registry;

use crate::{IN_USE, Pair, cpu_time, paired, points_of, print, router_prints};

/// So much of a poll's CPU time is with events what it is without, where what it takes to get the
/// replies is left out.
const TARGET: f64 = 1.03;
/// The difference is as small as that between one run and the next.
const PAIRS: usize = 41;
/// The default of `subjects_max`.
const SUBJECTS_MAX: usize = 100_000;

/// A reply that is read.
struct Reply {
    collector: &'static str,
    bytes: Vec<u8>,
}

/// The four replies that are nine tenths of what a poll with all defaults reads of the router of
/// the other benchmarks, and three of them each by itself.
pub fn events(router: &str) {
    let reply = |collector, rpc: &str, options: &[&str]| {
        let bytes = router_prints(router, rpc, options);
        Reply { collector, bytes }
    };
    let ports = ["--interfaces", "2000", "--queues", "8"];
    let poll = [
        reply("interfaces", "get-interface-information extensive", &ports),
        reply("interfacequeue", "get-interface-queue-information", &ports),
        reply("bgp", "get-bgp-neighbor-information", &["--bgp-peers", "1000"]),
        reply(
            "interfacediagnostics",
            "get-interface-optics-diagnostics-information",
            &["--optics", "500"],
        ),
    ];
    for at in [0, 2, 3] {
        compared(poll[at].collector, &poll[at..=at], 9);
    }
    let pair = compared("poll", &poll, PAIRS);
    print("events-poll", 1.0 / pair.speed, "of-without", TARGET, false);
}

/// Polls of the same replies, in which nothing changes.
fn compared(name: &str, replies: &[Reply], pairs: usize) -> Pair {
    let (wake, woken) = mpsc::channel();
    let limits = Limits { subjects_max: SUBJECTS_MAX, flaps_max: 10, flaps_window_s: 600 };
    let before = IN_USE.load(std::sync::atomic::Ordering::Relaxed);
    let watch = Arc::new(Watch::new("router", State::new(limits, 1), wake));
    let (codec, seconds) = (LineProtocol::default(), Cell::new(1 << 30));
    let run = |watch: Option<&Arc<Watch>>| {
        let (mut out, mut count) = (Vec::new(), 0);
        // Each poll has its own time, as what was compared already is passed over.
        seconds.set(seconds.get() + 30);
        let time_ns = seconds.get() * 1_000_000_000;
        for Reply { collector, bytes } in replies {
            let entry = registry::find(collector).expect("a collector");
            count += points_of(entry, bytes, &mut |points| {
                let batch = Batch { node: "router", collector, time_ns, points };
                watch.iter().for_each(|watch| watch.see(&batch));
                out.clear();
                codec.encode(&batch, &mut out);
                black_box(&out);
            });
            let measurements = entry.measurements;
            watch.iter().for_each(|watch| watch.end(collector, measurements, Some(1), time_ns));
        }
        count
    };
    let count = run(Some(&watch));
    let bytes = IN_USE.load(std::sync::atomic::Ordering::Relaxed) - before;
    let (states, pending) = watch.with_state(|state| (state.slots.len(), state.pending.len()));
    assert!(states > 100 && pending == 0, "{states} states, {pending} events");
    let pair = paired(pairs, cpu_time, || _ = run(Some(&watch)), || _ = run(None));
    assert_eq!(watch.with_state(|state| state.pending.len()), 0, "nothing changes");
    drop(woken);
    let ms = |time: Duration| time.as_secs_f64() * 1e3;
    println!(
        "# events-{name}: {:.1} MB, {count} points, {states} states in {:.2} MB; {:.1} ms with \
         events, {:.1} ms without, {:.3}",
        replies.iter().map(|reply| reply.bytes.len()).sum::<usize>() as f64 / 1e6,
        bytes as f64 / 1e6,
        ms(pair.ours),
        ms(pair.baseline),
        1.0 / pair.speed
    );
    pair
}
