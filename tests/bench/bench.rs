//! Benchmarks in one process: each figure is a ratio to a baseline of the same run.
//!
//! `tests/bench/run` builds and starts this with the simulated router's path; it prints a line for
//! each figure: `bench NAME FIGURE UNIT target FIGURE met|missed`. Given `--list` it prints the
//! names of the benchmarks.

mod described;
mod events;
mod linear;
mod outputs;

use std::alloc::{GlobalAlloc, Layout, System};
use std::collections::BTreeMap;
use std::hint::black_box;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use perijove::collector::Entry;
use perijove::collector::reader::{Reader, Tally, read_reply};
use perijove::dependency::inventory::{self, Bounds};
use perijove::output::exposition::{self, Format};
use perijove::output::latest::Latest;
use perijove::output::line_protocol::LineProtocol;
use perijove::point::{Batch, Kind, Point, Points, Value};
use perijove::poll::registry;
use perijove::xml::items::Limits;
use prefix_trie::{Prefix, PrefixMap};
use quick_xml::events::Event;

/// The system's allocator, how often it was asked, and what is in use now and was at most.
struct Counting;

static ALLOCATIONS: AtomicU64 = AtomicU64::new(0);
static IN_USE: AtomicUsize = AtomicUsize::new(0);
static PEAK: AtomicUsize = AtomicUsize::new(0);

fn taken(bytes: usize) {
    ALLOCATIONS.fetch_add(1, Ordering::Relaxed);
    let in_use = IN_USE.fetch_add(bytes, Ordering::Relaxed) + bytes;
    PEAK.fetch_max(in_use, Ordering::Relaxed);
}

// SAFETY: hands everything on to the system's allocator.
#[allow(unsafe_code)]
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        taken(layout.size());
        unsafe { System.alloc(layout) }
    }
    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        IN_USE.fetch_sub(layout.size(), Ordering::Relaxed);
        unsafe { System.dealloc(block, layout) }
    }
    unsafe fn realloc(&self, block: *mut u8, layout: Layout, bytes: usize) -> *mut u8 {
        // The old block is there until the new one is.
        taken(bytes);
        IN_USE.fetch_sub(layout.size(), Ordering::Relaxed);
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
            1.5,
        );
    }),
    ("reply-bgp", |router| {
        let options = ["--bgp-peers", "4000"];
        reply(router, "reply-bgp", "bgp", "get-bgp-neighbor-information", &options, 1.0);
    }),
    ("reply-route", |router| {
        let options = ["--tables", "20000"];
        reply(router, "reply-route", "route", "get-route-summary-information", &options, 1.0);
    }),
    ("line-protocol", |router| line_protocol(router)),
    ("exposition", |router| exposition(router)),
    ("inventory", |_| inventory()),
    ("json", outputs::json),
    ("kafka", outputs::kafka),
    ("spool", outputs::spool),
    ("described", described::described),
    ("events", events::events),
    ("linear", |_| linear::linear()),
];

fn main() {
    if std::env::args().any(|argument| argument == "--list") {
        BENCHMARKS.iter().for_each(|(name, _)| println!("{name}"));
        return;
    }
    let mut arguments = std::env::args().skip(1).filter(|argument| !argument.starts_with("--"));
    let router = arguments.next().expect("the simulated router's path");
    let wanted: Vec<String> = arguments.collect();
    for (name, run) in BENCHMARKS {
        if wanted.is_empty() || wanted.iter().any(|wanted| wanted == name) {
            run(&router);
        }
    }
}

/// Lookups among 100,000 prefixes: beside a scan of all of them, and a trie.
fn inventory() {
    // Of all lengths from 8 on, within each other as they come.
    lookups(
        "v4",
        |n| (n.wrapping_mul(0x9e37_79b1) & (u32::MAX << (24 - n % 25)), 8 + (n % 25) as u8),
        |n| n.wrapping_mul(0x85eb_ca6b),
        |address| Ipv4Addr::from_bits(address).into(),
    );
    // Of /32 to /128 below 2001:db8::/32, as they are given out.
    let mixed = |n: u32| u128::from(n.wrapping_mul(0x9e37_79b1)) << 64 | u128::from(n) << 32;
    let below = |n: u32| 0x2001_0db8 << 96 | mixed(n);
    lookups(
        "v6",
        |n| (below(n) & (u128::MAX << (96 - n % 97)), 32 + (n % 97) as u8),
        |n| below(n) | 1,
        |address| Ipv6Addr::from_bits(address).into(),
    );
}

fn lookups<A: Copy + Ord + std::fmt::Display>(
    version: &str,
    prefix: impl Fn(u32) -> (A, u8),
    wanted: impl Fn(u32) -> A,
    address: impl Fn(A) -> IpAddr,
) where
    (A, u8): Prefix,
{
    const PREFIXES: u32 = 100_000;
    let prefixes: Vec<(A, u8)> = (0..PREFIXES).map(prefix).collect();
    let named = |of: &(A, u8)| format!("{}/{}", address(of.0), of.1);
    let entry = |prefix: &(A, u8)| {
        let name = named(prefix);
        format!("{{\"ip_address\":\"{name}\",\"domain\":\"{name}\"}}\n")
    };
    let text: String = prefixes.iter().map(entry).collect();
    let in_use = || IN_USE.load(Ordering::Relaxed);
    let (start, before) = (Instant::now(), in_use());
    let inventory =
        inventory::read(text.as_bytes(), inventory::Format::NdJson, Bounds::default()).unwrap();
    let (read, bytes) = (start.elapsed(), in_use() - before);
    let before = in_use();
    let mut trie = PrefixMap::new();
    for (index, prefix) in prefixes.iter().enumerate() {
        trie.insert(*prefix, index as u32);
    }
    let trie_bytes = in_use() - before;
    let wanted: Vec<A> = (0..PREFIXES).map(wanted).collect();
    let whole = if version == "v4" { 32 } else { 128 };
    let scan = |wanted: A| {
        let inside = |of: &&(A, u8)| of.contains(&(wanted, whole));
        prefixes.iter().filter(inside).max_by_key(|(_, bits)| *bits)
    };
    let find = |wanted: A| inventory.find(address(wanted));
    let find_in_trie = |wanted: A| trie.get_lpm(&(wanted, whole)).map(|(_, index)| *index);
    for wanted in &wanted[..200] {
        let own = find(*wanted).map(|host| host.domain.to_string());
        let in_trie = find_in_trie(*wanted).map(|index| named(&prefixes[index as usize]));
        assert_eq!((&own, &own), (&scan(*wanted).map(named), &in_trie), "{wanted}");
    }
    let each = |lookups: usize, find: &dyn Fn(A)| {
        let time = best(|| wanted[..lookups].iter().copied().for_each(find));
        time.as_nanos() as f64 / lookups as f64
    };
    let own = each(wanted.len(), &|wanted| {
        black_box(find(wanted));
    });
    let in_trie = each(wanted.len(), &|wanted| {
        black_box(find_in_trie(wanted));
    });
    let in_scan = each(20, &|wanted| {
        black_box(scan(wanted));
    });
    println!(
        "# inventory-{version}: {PREFIXES} prefixes read in {} ms, {:.1} MB with their words; \
         prefix-trie {in_trie:.0} ns, {:.1} MB without; scan {in_scan:.0} ns",
        read.as_millis(),
        bytes as f64 / 1e6,
        trie_bytes as f64 / 1e6
    );
    print(&format!("inventory-{version}"), own, "ns", 1000.0, false);
    print(&format!("inventory-{version}-scan"), own / in_scan, "of-scan", 0.01, false);
}

fn print(name: &str, figure: f64, unit: &str, target: f64, more_is_better: bool) {
    let met = if more_is_better { figure >= target } else { figure <= target };
    let met = if met { "met" } else { "missed" };
    println!("bench {name} {figure:.2} {unit} target {target} {met}");
}

/// The shortest of several runs: what the machine can do when nothing disturbs it.
fn best(mut run: impl FnMut()) -> Duration {
    (0..7).map(|_| clocked(cpu_time, &mut run)).min().unwrap_or_default()
}

/// The CPU time that this thread has used: other programs do not disturb it much.
#[allow(unsafe_code)]
fn cpu_time() -> Duration {
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: the call fills in the structure, which is ours.
    let failed = unsafe { libc::clock_gettime(libc::CLOCK_THREAD_CPUTIME_ID, &mut time) };
    assert_eq!(failed, 0);
    Duration::new(time.tv_sec as u64, time.tv_nsec as u32)
}

/// `clock` says the time since some moment.
fn clocked(clock: impl Fn() -> Duration, run: &mut impl FnMut()) -> Duration {
    let start = clock();
    run();
    clock() - start
}

/// Two ways to do the same work, measured in turn.
struct Pair {
    ours: Duration,
    baseline: Duration,
    /// How fast ours is, as a share of the baseline's speed.
    speed: f64,
}

const PAIRS: usize = 9;

/// Runs both in turn, so that what slows one down slows the other: medians of so many pairs.
fn paired(
    pairs: usize,
    clock: impl Fn() -> Duration,
    mut ours: impl FnMut(),
    mut baseline: impl FnMut(),
) -> Pair {
    let pairs: Vec<(Duration, Duration)> =
        (0..pairs).map(|_| (clocked(&clock, &mut ours), clocked(&clock, &mut baseline))).collect();
    Pair {
        ours: median(pairs.iter().map(|(ours, _)| *ours)),
        baseline: median(pairs.iter().map(|(_, baseline)| *baseline)),
        speed: median(pairs.iter().map(|(ours, baseline)| baseline.div_duration_f64(*ours))),
    }
}

fn median<T: PartialOrd + Copy>(values: impl Iterator<Item = T>) -> T {
    let mut values: Vec<T> = values.collect();
    values.sort_by(|a, b| a.partial_cmp(b).expect("a number"));
    values[values.len() / 2]
}

fn router_prints(router: &str, rpc: &str, options: &[&str]) -> Vec<u8> {
    let output = Command::new(router).args(options).args(["--print", rpc]).output();
    let output = output.unwrap_or_else(|err| panic!("cannot run {router}: {err}"));
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    output.stdout
}

/// Reply to points, against a bare scan of quick-xml's events over the same bytes.
fn reply(router: &str, name: &str, collector: &str, rpc: &str, options: &[&str], target: f64) {
    let reply = router_prints(router, rpc, options);
    let mut count = 0;
    let scan = || {
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
    };
    let pair = paired(PAIRS, cpu_time, || count = points(collector, &reply, &mut |_| {}), scan);
    let megabytes = reply.len() as f64 / 1e6;
    println!(
        "# {name}: {megabytes:.1} MB, {count} points, {:.0} MB/s, bare scan {:.0} MB/s",
        megabytes / pair.ours.as_secs_f64(),
        megabytes / pair.baseline.as_secs_f64()
    );
    print(name, pair.speed, "of-bare-scan", target, true);
}

/// Reads a reply in one collector; how many points it gave.
fn points(collector: &str, reply: &[u8], deliver: &mut dyn FnMut(&mut Points)) -> usize {
    points_of(registry::find(collector).unwrap(), reply, deliver)
}

fn points_of(entry: &Entry, reply: &[u8], deliver: &mut dyn FnMut(&mut Points)) -> usize {
    let mut poll = entry.poll();
    // Of two that read the same element, the last one makes the points.
    let query = (0..poll.queries())
        .rfind(|query| {
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
///
/// The baseline walks the same points, copies names, tags and texts as they stand, without a look
/// at what must be escaped, and writes whole numbers with itoa and decimals with zmij: the least
/// that a line can cost.
fn line_protocol(router: &str) {
    let reply = router_prints(router, "get-bgp-neighbor-information", &["--bgp-peers", "1000"]);
    let mut batches = Vec::new();
    points("bgp", &reply, &mut |points| batches.push(points.clone()));
    let count: usize = batches.iter().map(Points::len).sum();
    let (node, time_ns) = ("router", 1 << 60);
    let codec = LineProtocol::default();
    let mut out = Vec::new();
    let mut encode = || {
        for points in &batches {
            out.clear();
            codec.encode(&Batch { node, collector: "bgp", time_ns, points }, &mut out);
            black_box(&out);
        }
    };
    encode();
    let before = ALLOCATIONS.load(Ordering::Relaxed);
    encode();
    let allocations = ALLOCATIONS.load(Ordering::Relaxed) - before;
    let mut copied = Vec::new();
    let copy = || {
        for points in &batches {
            copied.clear();
            points.iter().for_each(|point| copy_line(&point, node, time_ns, &mut copied));
            black_box(&copied);
        }
    };
    let pair = paired(PAIRS, cpu_time, encode, copy);
    // Whatever is escaped is longer.
    assert!(copied.len() <= out.len() && copied.len() > out.len() / 10 * 9);
    let speed = |time: Duration| count as f64 / time.as_secs_f64() / 1e6;
    let bytes: usize = batches.iter().map(|points| points.bytes()).sum();
    println!(
        "# line-protocol: {count} points of bgp neighbor, {} bytes each kept, {:.2} million \
         points/s, copied {:.2}",
        bytes / count,
        speed(pair.ours),
        speed(pair.baseline)
    );
    print("line-protocol", pair.speed, "of-copying", 0.35, true);
    print("line-protocol-allocations", allocations as f64, "per-run", 0.0, false);
}

fn copy_line(point: &Point, node: &str, time_ns: u64, out: &mut Vec<u8>) {
    let mut copy = |text: &str| out.extend_from_slice(text.as_bytes());
    copy(point.schema.name());
    copy(",host=");
    copy(node);
    for (name, value) in point.tags().filter(|(_, value)| !value.is_empty()) {
        copy(",");
        copy(name);
        copy("=");
        copy(value);
    }
    let mut separator = " ";
    for (_, info, value) in point.fields() {
        copy(separator);
        separator = ",";
        copy(info.name);
        copy("=");
        match value {
            Value::Integer(number) => {
                copy(itoa::Buffer::new().format(number));
                copy("i");
            }
            Value::Decimal(number) => copy(zmij::Buffer::new().format_finite(number)),
            Value::Text(text) => {
                copy("\"");
                copy(text);
                copy("\"");
            }
        }
    }
    copy(" ");
    copy(itoa::Buffer::new().format(time_ns));
    copy("\n");
}

/// A scrape of 440,000 series of what is kept, and the memory it takes besides what is kept.
///
/// The baseline knows the samples and their order beforehand. It walks the same points, copies
/// names and labels as they stand, without a look at what must be escaped, and writes whole numbers
/// with itoa and decimals with zmij: the least that a sample can cost. How fast the finished text
/// is copied is told beside: that is the speed of memory, which no encoder comes near to.
fn exposition(router: &str) {
    const SERIES: usize = 440_000;
    let options = ["--interfaces", "9600", "--units", "2"];
    let reply = router_prints(router, "get-interface-information extensive", &options);
    let latest = Latest::new(3, usize::MAX);
    let node = "router";
    points("interfaces", &reply, &mut |points| {
        latest.add(&Batch { node, collector: "interfaces", time_ns: 1 << 60, points });
    });
    drop(reply);
    latest.end(node, "interfaces", Duration::from_secs(60), false, Instant::now());
    let polls = latest.get(|_, _| true, Instant::now());
    // Whole batches, until there are enough series.
    let mut batches: Vec<Batch> = Vec::new();
    let mut series = 0;
    for batch in polls[0].batches() {
        if series >= SERIES {
            break;
        }
        let is_text = |value: &Value| matches!(value, Value::Text(_));
        let points = batch.points.iter();
        series += points.flat_map(|p| p.fields()).filter(|(_, _, v)| !is_text(v)).count();
        batches.push(batch);
    }
    assert!(series >= SERIES, "only {series} series");
    let kept: usize = batches.iter().map(|batch| batch.points.bytes()).sum();

    let mut text = Vec::new();
    exposition::write(&batches, &mut text).unwrap();
    let samples = text.split(|b| *b == b'\n').filter(|l| !l.is_empty() && l[0] != b'#').count();
    let (mut copied, mut out) = (text.clone(), text.clone());
    let finished = best(|| copied.copy_from_slice(black_box(&text)));
    let families = families(&batches);
    let pair = paired(
        PAIRS,
        cpu_time,
        || {
            out.clear();
            exposition::write(black_box(&batches), &mut out).unwrap();
        },
        || {
            copied.clear();
            for (metric, samples) in &families {
                samples.iter().for_each(|sample| copy_sample(metric, sample, &mut copied));
            }
            black_box(&copied);
        },
    );
    assert_eq!(out, text);
    // Without the lines of HELP and TYPE; and whatever is escaped is longer.
    assert!(copied.len() <= out.len() && copied.len() > out.len() / 100 * 99);
    drop((copied, out, families));
    let megabytes = text.len() as f64 / 1e6;
    drop(text);
    let start = IN_USE.load(Ordering::Relaxed);
    PEAK.store(start, Ordering::Relaxed);
    let mut gzip = flate2::write::GzEncoder::new(std::io::sink(), flate2::Compression::fast());
    let compress = Instant::now();
    exposition::write_as(Format::OpenMetrics, &batches, &mut gzip).unwrap();
    gzip.finish().unwrap();
    let compress = compress.elapsed().as_secs_f64();
    let peak = (PEAK.load(Ordering::Relaxed) - start) as f64 / (1 << 20) as f64;
    let speed = |time: Duration| megabytes / time.as_secs_f64();
    println!(
        "# exposition: {samples} samples, {megabytes:.1} MB, {:.1} bytes each kept, {:.0} MB/s, \
         copied {:.0} MB/s, the finished text {:.0} MB/s, with gzip {:.0} MB/s",
        kept as f64 / samples as f64,
        speed(pair.ours),
        speed(pair.baseline),
        speed(finished),
        megabytes / compress
    );
    print("exposition", pair.speed, "of-copying", 0.35, true);
    print("exposition-memory", peak, "MB", 24.0, false);
}

/// One sample: where its point is, which of the point's fields are labels, and the value.
struct Sample<'a> {
    batch: &'a Batch<'a>,
    at: usize,
    infos: Arc<[usize]>,
    value: Value<'a>,
}

/// The samples of each metric, in the order of an exposition.
fn families<'a>(batches: &'a [Batch<'a>]) -> BTreeMap<String, Vec<Sample<'a>>> {
    let mut families: BTreeMap<String, Vec<Sample>> = BTreeMap::new();
    for batch in batches {
        for (at, point) in batch.points.iter().enumerate() {
            let is_info = |field: &usize| point.schema.field(*field).kind == Kind::Info;
            let infos: Arc<[usize]> = (0..point.schema.fields()).filter(is_info).collect();
            for (_, info, value) in point.fields() {
                if matches!(info.kind, Kind::Counter | Kind::Gauge) {
                    let metric = exposition::metric(point.schema.name(), info.name);
                    let sample = Sample { batch, at, infos: infos.clone(), value };
                    families.entry(metric).or_default().push(sample);
                }
            }
        }
    }
    families
}

fn copy_sample(metric: &str, sample: &Sample, out: &mut Vec<u8>) {
    let Sample { batch, at, infos, value } = sample;
    let mut copy = |text: &str| out.extend_from_slice(text.as_bytes());
    copy(metric);
    let mut separator = "{";
    exposition::each_label(batch.node, &batch.points.get(*at), infos, |name, value| {
        copy(separator);
        separator = ",";
        copy(name);
        copy("=\"");
        copy(value);
        copy("\"");
    });
    copy("} ");
    match value {
        Value::Integer(number) => copy(itoa::Buffer::new().format(*number)),
        Value::Decimal(number) => copy(zmij::Buffer::new().format(*number)),
        Value::Text(text) => copy(text),
    }
    copy("\n");
}
