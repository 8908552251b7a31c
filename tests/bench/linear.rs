//! What a hostile router may send: the time for a byte is the same however much of it comes.

use std::fmt::Write as _;
use std::io::{self, Cursor, Read, Write};
use std::time::{Duration, Instant};

use perijove::collector::reader::{Reader, Tally, read_reply};
use perijove::netconf::session::Session;
use perijove::netconf::transport::Transport;
use perijove::point::Points;
use perijove::poll::registry;
use perijove::xml::items::Limits;

use crate::{cpu_time, print};

/// Makes a text of about so many bytes.
type Generator = fn(usize) -> String;

const OPEN: &str = "<rpc-reply><interface-information>";
const ITEM: &str = "<rpc-reply><interface-information><physical-interface><name>x</name>";
const END: &str = "</physical-interface></interface-information></rpc-reply>";

/// Replies for which a careless reader starts over and over again.
const REPLIES: &[(&str, Generator)] = &[
    ("plain", |n| format!("{ITEM}<description>{}</description>{END}", "d".repeat(n))),
    ("quotes", |n| format!("{OPEN}<physical-interface {}>{END}", "''".repeat(n / 2))),
    ("quotes-outside", |n| {
        format!("<rpc-reply><interface-information {}>{END}", "\"\"".repeat(n / 2))
    }),
    ("unended-quote", |n| format!("{OPEN}<physical-interface a=\"{}", ">".repeat(n))),
    ("unended-tags", |n| format!("{ITEM}{}", "</physical-interface".repeat(n / 20))),
    ("unended-tags-inside", |n| format!("{ITEM}{}", "<name".repeat(n / 5))),
    ("open-angles", |n| format!("{OPEN}{}", "<".repeat(n))),
    ("item-within-item", |n| {
        let times = n / 41;
        let (open, close) = ("<physical-interface>", "</physical-interface>");
        format!("{OPEN}{}{}{END}", open.repeat(times), close.repeat(times))
    }),
    ("siblings", |n| {
        let one = "<logical-interface><name>1</name><address-family><x/></address-family>\
                   </logical-interface>";
        format!("{ITEM}{}{END}", one.repeat(n / one.len()))
    }),
    ("comments", |n| format!("{ITEM}{}{END}", "<a/><!-- -->".repeat(n / 12))),
    ("unended-comment", |n| format!("{OPEN}<!--{}", "--".repeat(n / 2))),
    ("unended-cdata", |n| format!("{ITEM}<description><![CDATA[{}", "]]".repeat(n / 2))),
    ("attributes", |n| {
        format!("{OPEN}<physical-interface {}><name>x</name>{END}", "a='b' ".repeat(n / 6))
    }),
    ("references", |n| format!("{ITEM}<description>{}</description>{END}", "&amp;".repeat(n / 5))),
    ("unended-references", |n| format!("{ITEM}<description>{}</description>{END}", "&".repeat(n))),
    ("names", |n| {
        let mut text = ITEM.to_string();
        for number in 0..n / 12 {
            let _ = write!(text, "<e{number:07}/>");
        }
        text + END
    }),
];

/// Messages that may come in place of a `<hello>`, of which a session takes 1 MB.
const HELLOS: &[(&str, Generator)] = &[
    ("hello-angles", |n| "<".repeat(n)),
    ("hello-hellos", |n| "<hello".repeat(n / 6)),
    ("hello-comments", |n| "<!-- --><!--".repeat(n / 12)),
    ("hello-marks", |n| "]]>]]".repeat(n / 5)),
    ("hello-messages", |n| "]]>]]>".repeat(n / 6)),
];

const SMALL_BYTES: usize = 64 << 10;
const REPLY_BYTES: usize = 8 << 20;
const HELLO_BYTES: usize = 512 << 10;
/// One that takes longer is not made any larger.
const PATIENCE: Duration = Duration::from_secs(5);
/// How many times as long as for 64 kB a byte may take: the memory is slower than the caches, and
/// its pages are new. With the square of its size it would take 128 times as long.
const GROWTH_MAX: f64 = 4.0;
/// Seconds. A byte that is only passed over takes less, as long as the reply fits in the caches:
/// what it takes is compared with this.
const PASSED_OVER: f64 = 1e-9;

pub fn linear() {
    for (name, text) in REPLIES {
        growth(name, *text, REPLY_BYTES, read);
    }
    for (name, text) in HELLOS {
        growth(name, *text, HELLO_BYTES, open_session);
    }
}

fn growth(name: &str, text: Generator, largest: usize, run: fn(String)) {
    let small = each_byte(text, SMALL_BYTES, run);
    let (mut bytes, mut large) = (SMALL_BYTES, small);
    let mut said = format!("{:.1} ns for a byte of 64 kB", small * 1e9);
    while bytes < largest && large * (bytes as f64) < PATIENCE.as_secs_f64() {
        bytes *= 2;
        large = each_byte(text, bytes, run);
        let _ = write!(said, ", {:.1} of {}", large * 1e9, bytes >> 10);
    }
    println!("# linear-{name}: {said}");
    print(&format!("linear-{name}"), large / small.max(PASSED_OVER), "of-64kB", GROWTH_MAX, false);
}

/// Seconds of CPU time for a byte; the shortest of some runs.
fn each_byte(text: Generator, bytes: usize, run: fn(String)) -> f64 {
    let time = |_| {
        let text = text(bytes);
        let start = cpu_time();
        run(text);
        cpu_time() - start
    };
    let runs = if bytes == SMALL_BYTES { 9 } else { 3 };
    (0..runs).map(time).min().unwrap_or_default().as_secs_f64() / bytes as f64
}

/// Reads a reply as the collector `interfaces` does, whatever comes of it.
fn read(reply: String) {
    let entry = registry::find("interfaces").expect("a collector");
    let mut poll = entry.poll();
    let (mut points, mut tally) = (Points::default(), Tally::default());
    let mut readers =
        [Reader { poll: &mut *poll, query: 0, points: &mut points, tally: &mut tally }];
    let clear = &mut |_: usize, points: &mut Points| points.clear();
    // Room for the largest, which would be refused before it is looked at.
    let limits = Limits { item_bytes_max: 2 * REPLY_BYTES, ..Limits::default() };
    let _ = read_reply(reply.as_bytes(), &mut readers, &limits, clear);
}

/// A router that says what it says, and hears nothing.
struct Said(Cursor<String>);

impl Read for Said {
    fn read(&mut self, room: &mut [u8]) -> io::Result<usize> {
        self.0.read(room)
    }
}

impl Write for Said {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Transport for Said {
    fn set_deadline(&mut self, _: Instant) {}
}

fn open_session(said: String) {
    // Looked at when the message is whole.
    let transport = Box::new(Said(Cursor::new(said + "]]>]]>")));
    let _ = Session::open(transport, &Limits::default(), Duration::from_secs(600));
}
