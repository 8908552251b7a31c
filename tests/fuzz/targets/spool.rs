//! What may be found in a spool's directory: segments, and the note of how far the first was
//! delivered. The first byte says how long the note is; the second where the segments are cut.

#![no_main]

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::LazyLock;
use std::time::Duration;

use libfuzzer_sys::fuzz_target;
use perijove::output::spool::{Spool, SpoolConfig};

/// In memory where there is such a place: a disk would do nothing else.
static DIRECTORY: LazyLock<PathBuf> = LazyLock::new(|| {
    let memory = Path::new("/dev/shm");
    let temporary = std::env::temp_dir();
    let place = if memory.is_dir() { memory } else { &temporary };
    let directory = place.join(format!("perijove-fuzz-spool-{}", std::process::id()));
    fs::create_dir_all(&directory).expect("a directory");
    directory
});

const NEW: &[u8] = b"new 1\n";

fn settings() -> SpoolConfig {
    SpoolConfig {
        directory: DIRECTORY.clone(),
        bytes_max: 1 << 20,
        age_max: Duration::from_secs(3600),
        sync_interval: Duration::from_secs(1),
    }
}

/// Takes all; what came, and how many points that were.
fn take_all(spool: &mut Spool) -> (Vec<u8>, u64) {
    let (mut all, mut points) = (Vec::new(), 0u64);
    loop {
        let taken = spool.take(100, 100);
        if taken.points == 0 {
            return (all, points);
        }
        all.extend(taken.bytes);
        points = points.saturating_add(taken.points);
        spool.acknowledge();
    }
}

fuzz_target!(|data: &[u8]| {
    let [note, cut, rest @ ..] = data else { return };
    let (note, segments) = rest.split_at(rest.len().min(usize::from(note % 24)));
    for entry in fs::read_dir(&*DIRECTORY).expect("the directory") {
        fs::remove_file(entry.expect("an entry").path()).expect("remove");
    }
    if !note.is_empty() {
        fs::write(DIRECTORY.join("acknowledged"), note).expect("the note");
    }
    let (first, second) = segments.split_at(segments.len().min(2 * usize::from(*cut)));
    for (name, bytes) in [("00000001.log", first), ("00000002.log", second)] {
        if !bytes.is_empty() {
            fs::write(DIRECTORY.join(name), bytes).expect("a segment");
        }
    }

    let (mut spool, damaged) = Spool::open(&settings()).expect("whatever is there");
    assert!(damaged <= segments.len() as u64);
    let waiting = spool.points();
    assert_eq!(spool.unacknowledged(), waiting);
    // What is added comes last, whatever is before it.
    spool.append(NEW, 1).expect("a record");
    let (bytes, points) = take_all(&mut spool);
    assert!(bytes.ends_with(NEW));
    assert!(points == waiting.saturating_add(1), "{points} of {waiting}");
    assert!(spool.is_empty());

    // What is noted of a segment holds for the next run.
    spool.append(NEW, 1).expect("a record");
    spool.append(b"newer 2\n", 1).expect("a record");
    assert_eq!(spool.take(NEW.len(), 1).bytes, NEW);
    spool.acknowledge();
    spool.save_acknowledged().expect("the note");
    drop(spool);
    let (mut spool, _) = Spool::open(&settings()).expect("what it wrote");
    assert_eq!(take_all(&mut spool), (b"newer 2\n".to_vec(), 1));
});
