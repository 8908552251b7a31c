//! Benchmarks in one process: each figure is a ratio to a baseline of the same run.
//!
//! `tests/bench/run` builds and starts this with the simulated router's path; it prints a line for
//! each benchmark: `bench NAME FIGURE UNIT target FIGURE met|missed`.

use std::alloc::{GlobalAlloc, Layout, System};
use std::hint::black_box;
use std::process::Command;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use perijove::collector::{Reader, Settings, Tally, read_reply};
use perijove::collectors;
use perijove::items::Limits;
use perijove::output::line_protocol::LineProtocol;
use perijove::point::{Batch, Points};
use quick_xml::events::Event;

/// The system's allocator, and how often it was asked.
struct Counting;

static ALLOCATIONS: AtomicU64 = AtomicU64::new(0);

// SAFETY: hands everything on to the system's allocator.
#[allow(unsafe_code)]
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        ALLOCATIONS.fetch_add(1, Ordering::Relaxed);
        unsafe { System.alloc(layout) }
    }
    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        unsafe { System.dealloc(block, layout) }
    }
    unsafe fn realloc(&self, block: *mut u8, layout: Layout, bytes: usize) -> *mut u8 {
        ALLOCATIONS.fetch_add(1, Ordering::Relaxed);
        unsafe { System.realloc(block, layout, bytes) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

type Benchmark = fn(&str);

/// The benchmarks, by name.
const BENCHMARKS: &[(&str, Benchmark)] = &[
    ("reply-interfaces", |router| {
        reply(
            router,
            "reply-interfaces",
            "interfaces",
            "get-interface-information extensive",
            &["--interfaces", "2400"],
        );
    }),
    ("reply-bgp", |router| {
        let options = ["--bgp-peers", "4000"];
        reply(router, "reply-bgp", "bgp", "get-bgp-neighbor-information", &options);
    }),
    ("reply-route", |router| {
        let options = ["--tables", "20000"];
        reply(router, "reply-route", "route", "get-route-summary-information", &options);
    }),
    ("line-protocol", |router| line_protocol(router)),
];

fn main() {
    let mut arguments = std::env::args().skip(1).filter(|argument| !argument.starts_with("--"));
    let router = arguments.next().expect("the simulated router's path");
    let wanted: Vec<String> = arguments.collect();
    for (name, run) in BENCHMARKS {
        if wanted.is_empty() || wanted.iter().any(|wanted| wanted == name) {
            run(&router);
        }
    }
}

fn print(name: &str, figure: f64, unit: &str, target: f64, more_is_better: bool) {
    let met = if more_is_better { figure >= target } else { figure <= target };
    let met = if met { "met" } else { "missed" };
    println!("bench {name} {figure:.2} {unit} target {target} {met}");
}

/// The shortest of several runs: what the machine can do when nothing disturbs it.
fn best(mut run: impl FnMut()) -> Duration {
    let time = |_| {
        let start = Instant::now();
        run();
        start.elapsed()
    };
    (0..7).map(time).min().unwrap_or_default()
}

fn router_prints(router: &str, rpc: &str, options: &[&str]) -> Vec<u8> {
    let output = Command::new(router).args(options).args(["--print", rpc]).output();
    let output = output.unwrap_or_else(|err| panic!("cannot run {router}: {err}"));
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    output.stdout
}

/// Reply to points, against a bare scan of quick-xml's events over the same bytes.
fn reply(router: &str, name: &str, collector: &str, rpc: &str, options: &[&str]) {
    let reply = router_prints(router, rpc, options);
    let scan = best(|| {
        let mut reader = quick_xml::Reader::from_str(std::str::from_utf8(&reply).unwrap());
        let mut events = 0u64;
        loop {
            match reader.read_event().unwrap() {
                Event::Eof => break,
                event => {
                    black_box(event);
                    events += 1;
                }
            }
        }
        black_box(events);
    });
    let mut count = 0;
    let read = best(|| count = points(collector, &reply, &mut |_| {}));
    let megabytes = reply.len() as f64 / 1e6;
    let speed = |time: Duration| megabytes / time.as_secs_f64();
    println!(
        "# {name}: {megabytes:.1} MB, {count} points, {:.0} MB/s, bare scan {:.0} MB/s",
        speed(read),
        speed(scan)
    );
    print(name, speed(read) / speed(scan), "of-bare-scan", 0.6, true);
}

/// Reads a reply in one collector; how many points it gave.
fn points(collector: &str, reply: &[u8], deliver: &mut dyn FnMut(&mut Points)) -> usize {
    let entry = collectors::find(collector).unwrap();
    let mut poll = (entry.start)(&Settings::default());
    let query = (0..poll.queries())
        .find(|query| {
            poll.roots(*query)
                .iter()
                .any(|root| memchr::memmem::find(&reply[..4096], root.as_bytes()).is_some())
        })
        .unwrap();
    let (mut points, mut tally) = (Points::default(), Tally::default());
    let mut count = 0;
    let mut readers = [Reader { poll: &mut *poll, query, points: &mut points, tally: &mut tally }];
    read_reply(reply, &mut readers, &Limits::default(), &mut |_, points| {
        count += points.len();
        deliver(points);
        points.clear();
    })
    .unwrap();
    assert_eq!(tally.rejected, 0, "{:?}", tally.first_rejected);
    count + points.len()
}

/// Points to line protocol on one core, and what it allocates after warm-up.
fn line_protocol(router: &str) {
    let reply = router_prints(router, "get-bgp-neighbor-information", &["--bgp-peers", "1000"]);
    let mut batches = Vec::new();
    points("bgp", &reply, &mut |points| batches.push(points.clone()));
    let count: usize = batches.iter().map(Points::len).sum();
    let codec = LineProtocol::default();
    let mut out = Vec::new();
    let mut encode = || {
        for points in &batches {
            out.clear();
            let batch = Batch { node: "router", collector: "bgp", time_ns: 1 << 60, points };
            codec.encode(&batch, &mut out);
            black_box(&out);
        }
    };
    encode();
    let before = ALLOCATIONS.load(Ordering::Relaxed);
    let time = best(&mut encode);
    let allocations = ALLOCATIONS.load(Ordering::Relaxed) - before;
    let bytes: usize = batches.iter().map(|points| points.bytes()).sum();
    println!("# line-protocol: {count} points of bgp neighbor, {} bytes each kept", bytes / count);
    print("line-protocol", count as f64 / time.as_secs_f64() / 1e6, "million-points/s", 2.0, true);
    print("line-protocol-allocations", allocations as f64, "per-run", 0.0, false);
}
