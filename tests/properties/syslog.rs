//! Lines of syslog: out of any pieces, with anything in their structured data, at any time.

use perijove::syslog::framing::Framer;
use perijove::syslog::line::Line;
use perijove::syslog::stamp::Stamp;
use perijove::syslog::table::{self, MESSAGES};
use proptest::collection::vec;
use proptest::prelude::*;
use time::format_description::well_known::Rfc3339;
use time::{OffsetDateTime, UtcOffset};

const LINE_BYTES_MAX: usize = 60;

/// A line and whether it goes behind its length (RFC 6587 section 3.4.1).
fn framed() -> impl Strategy<Value = (Vec<u8>, bool)> {
    let byte = prop_oneof![Just(b' '), Just(b'1'), Just(b'<'), 1u8..=9, 11u8..=255];
    (vec(byte, 0..100), any::<bool>()).prop_map(|(rest, is_counted)| {
        let mut line = b"<1>".to_vec();
        line.extend(rest);
        (line, is_counted)
    })
}

/// Characters that mean something in structured data, and others.
fn value() -> impl Strategy<Value = String> {
    let part = prop_oneof![
        Just("\\".to_string()),
        Just("\"".to_string()),
        Just("]".to_string()),
        Just("[".to_string()),
        Just("=\"".to_string()),
        Just(" ".to_string()),
        "[a-zäß0-9.:/-]{0,6}"
    ];
    vec(part, 0..8).prop_map(|parts| parts.concat())
}

fn escaped(value: &str) -> String {
    value.replace('\\', "\\\\").replace('"', "\\\"").replace(']', "\\]")
}

proptest! {
    #![proptest_config(super::cases(256))]

    #[test]
    fn a_stream_is_its_lines(lines in vec(framed(), 0..12), pieces in vec(1..90usize, 1..5)) {
        let mut stream = Vec::new();
        for (line, is_counted) in &lines {
            if *is_counted {
                stream.extend(format!("{} ", line.len()).bytes());
            }
            stream.extend_from_slice(line);
            if !is_counted {
                stream.push(b'\n');
            }
        }
        let (mut framer, mut found, mut at) = (Framer::default(), Vec::new(), 0);
        for piece in pieces.iter().cycle() {
            let end = stream.len().min(at + piece);
            let take = |line: &[u8], is_cut| found.push((line.to_vec(), is_cut));
            framer.take(&stream[at..end], LINE_BYTES_MAX, take);
            at = end;
            if at == stream.len() {
                break;
            }
        }
        let cut = |(line, _): &(Vec<u8>, bool)| {
            let end = line.len().min(LINE_BYTES_MAX);
            (line[..end].to_vec(), end < line.len())
        };
        prop_assert_eq!(found, lines.iter().map(cut).collect::<Vec<_>>());
    }

    #[test]
    fn structured_data_is_what_was_written(
        pairs in vec(("[a-z-]{1,9}", value()), 0..5),
        text in "[ -~]{0,20}",
    ) {
        let written: String =
            pairs.iter().map(|(name, value)| format!(" {name}=\"{}\"", escaped(value))).collect();
        let line = format!("<28>1 - mx1 mgd 1 UI_COMMIT [junos@2636.1.1.1.2.18{written}] {text}");
        let line = Line::read(&line).unwrap();
        prop_assert_eq!((line.process, line.tag, line.text), ("mgd", "UI_COMMIT", text.trim()));
        for (name, _) in &pairs {
            let (_, first) = pairs.iter().find(|(other, _)| other == name).unwrap();
            let read = line.parameter(name);
            prop_assert_eq!(read.as_deref(), Some(&**first));
        }
    }

    #[test]
    fn a_wall_clock_s_time_is_found_in_every_zone(
        seconds in 1_500_000_000i64..2_500_000_000,
        quarters in -48i32..=56,
        late in -400i64..=400,
        with_year in any::<bool>(),
    ) {
        let written = OffsetDateTime::from_unix_timestamp(seconds).unwrap();
        let zone = UtcOffset::from_whole_seconds(quarters * 900).unwrap();
        let there = written.to_offset(zone);
        let month = &there.month().to_string()[..3];
        let (day, (hour, minute, second)) = (there.day(), there.to_hms());
        let year = if with_year { format!(" {}", there.year()) } else { String::new() };
        let text = format!("{month} {day:2} {hour:02}:{minute:02}:{second:02}{year} mx1 x");
        let came_ns = (seconds + late) as u64 * 1_000_000_000;
        let (stamp, rest) = Stamp::take_bsd(&text);
        prop_assert_eq!(rest, "mx1 x");
        let found = stamp.unwrap().time_ns(came_ns).map(|(time_ns, _)| time_ns);
        prop_assert_eq!(found, Some(seconds as u64 * 1_000_000_000));
        // RFC 3339 says the same in full.
        let text = there.format(&Rfc3339).unwrap();
        let found = Stamp::read_rfc3339(&text).unwrap().time_ns(0).map(|(time_ns, _)| time_ns);
        prop_assert_eq!(found, Some(seconds as u64 * 1_000_000_000));
    }

    #[test]
    fn nothing_makes_it_panic(
        start in prop_oneof![Just("<28>"), Just("<28>1 "), Just("<28>Mar 14 13:19:49 ")],
        message in 0..MESSAGES.len(),
        noise in vec(any::<char>(), 0..40),
        at in 0..200usize,
    ) {
        let noise: String = noise.into_iter().collect();
        let Some(message) = MESSAGES.get(message) else { return Ok(()) };
        let mut text = format!("{start}mx1 p[1]: {}: {}", message.tag, message.text);
        let at = (0..=at.min(text.len())).rev().find(|at| text.is_char_boundary(*at)).unwrap();
        text.insert_str(at, &noise);
        if let Some(line) = Line::read(&text) {
            line.stamp.map(|stamp| stamp.time_ns(1_773_493_190_000_000_000));
            let said = table::find(&line);
            prop_assert!(said.is_none_or(|said| !said.subject.is_empty()));
        }
    }
}
