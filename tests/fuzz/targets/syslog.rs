//! Lines of syslog, in a stream that comes in pieces: the first byte says how large the pieces are.
//! Whatever the pieces, the lines are the same; and no line makes more of itself than it says.

#![no_main]

use libfuzzer_sys::fuzz_target;
use perijove::syslog::framing::Framer;
use perijove::syslog::line::Line;
use perijove::syslog::table;

const LINE_BYTES_MAX: usize = 256;
const CAME_NS: u64 = 1_773_493_190_000_000_000;

fn lines(stream: &[u8], piece: usize) -> Vec<(Vec<u8>, bool)> {
    let (mut framer, mut found) = (Framer::default(), Vec::new());
    for piece in stream.chunks(piece) {
        framer.take(piece, LINE_BYTES_MAX, |line, is_cut| {
            assert!(!line.is_empty() && line.len() <= LINE_BYTES_MAX);
            found.push((line.to_vec(), is_cut));
        });
    }
    found.extend(framer.end().map(|line| (line, false)));
    found
}

fuzz_target!(|data: &[u8]| {
    let Some((first, stream)) = data.split_first() else { return };
    let whole = lines(stream, stream.len().max(1));
    assert_eq!(lines(stream, usize::from(*first).max(1)), whole);
    for (line, _) in whole {
        let text = String::from_utf8_lossy(&line);
        let Some(line) = Line::read(&text) else { continue };
        assert!(line.facility < 24 && line.severity < 8);
        for part in [line.host, line.process, line.tag, line.text] {
            assert!(text.contains(part));
        }
        if let Some(stamp) = line.stamp {
            stamp.time_ns(CAME_NS);
        }
        if let Some(said) = table::find(&line) {
            assert!(!said.subject.is_empty());
        }
    }
});
