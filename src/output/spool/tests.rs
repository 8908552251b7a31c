//! What a spool keeps, whatever is done to its directory.

use super::*;

struct Directory(PathBuf);

impl Directory {
    fn new(name: &str) -> Directory {
        let path = format!("perijove-spool-{name}-{}", std::process::id());
        let path = std::env::temp_dir().join(path);
        let _ = fs::remove_dir_all(&path);
        Directory(path)
    }
    fn settings(&self) -> SpoolConfig {
        SpoolConfig {
            directory: self.0.clone(),
            bytes_max: 1 << 30,
            age_max: Duration::from_secs(3600),
            sync_interval: Duration::from_secs(1),
        }
    }
    fn open(&self) -> Spool {
        Spool::open(&self.settings()).unwrap().0
    }
}

impl Drop for Directory {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

fn take_all(spool: &mut Spool) -> String {
    let mut all = Vec::new();
    loop {
        let taken = spool.take(10, 1000);
        if taken.points == 0 {
            return String::from_utf8(all).unwrap();
        }
        all.extend(taken.bytes);
        spool.acknowledge();
    }
}

#[test]
fn what_was_not_acknowledged_is_there_after_a_restart() {
    let directory = Directory::new("restart");
    let mut spool = directory.open();
    for text in ["a\n", "b\n", "c\n"] {
        spool.append(text.as_bytes(), 1).unwrap();
    }
    assert_eq!(spool.take(2, 9), Taken { bytes: b"a\n".to_vec(), points: 1, ..Taken::default() });
    spool.acknowledge();
    spool.save_acknowledged().unwrap();
    assert_eq!(spool.take(2, 9).bytes, b"b\n");
    drop(spool);
    let mut spool = directory.open();
    assert_eq!(spool.points(), 2);
    assert_eq!(take_all(&mut spool), "b\nc\n");
    assert!(spool.is_empty());
    drop(spool);
    assert_eq!(directory.open().points(), 0);
}

#[test]
fn a_damaged_record_costs_that_record() {
    let directory = Directory::new("damaged");
    let mut spool = directory.open();
    for text in ["first\n", "second\n", "third\n", "fourth\n"] {
        spool.append(text.as_bytes(), 1).unwrap();
    }
    let path = spool.segments[0].path.clone();
    drop(spool);
    let mut bytes = fs::read(&path).unwrap();
    let second = memchr::memmem::find(&bytes, b"second").unwrap();
    bytes[second] = b'X';
    bytes.truncate(bytes.len() - 2);
    fs::write(&path, bytes).unwrap();
    let (mut spool, damaged) = Spool::open(&directory.settings()).unwrap();
    assert_eq!(damaged as usize, 2 * HEADER_BYTES + "second\n".len() + "fourth\n".len() - 2);
    assert_eq!(take_all(&mut spool), "first\nthird\n");
    spool.append(b"fifth\n", 1).unwrap();
    assert_eq!(take_all(&mut spool), "fifth\n");
}

#[test]
fn limits_drop_the_oldest_segments_and_count() {
    let directory = Directory::new("limits");
    let settings = SpoolConfig { bytes_max: 9 << 20, ..directory.settings() };
    let mut spool = Spool::open(&settings).unwrap().0;
    let mut dropped = 0;
    for number in 0..20 {
        spool.append(&vec![number; 1 << 20], 10).unwrap();
        dropped += spool.enforce_limits().unwrap_or(0);
    }
    assert!(spool.bytes() <= 9 << 20, "{}", spool.bytes());
    assert_eq!(dropped + spool.points(), 200);
    for number in (dropped / 10) as u8..20 {
        assert_eq!(spool.take(1, 1).bytes[0], number);
        spool.acknowledge();
    }
    assert!(spool.is_empty());
}

#[test]
fn a_source_that_holds_more_than_its_share_makes_room() {
    let directory = Directory::new("share");
    let settings = SpoolConfig { bytes_max: 40_000, ..directory.settings() };
    let mut spool = Spool::open(&settings).unwrap().0;
    let part = |source: &str, bytes, points| Part { source: source.into(), bytes, points };
    let (mut dropped, mut loud) = (0, 0);
    // A record has a line of each quiet source, and more and more of the loud one.
    for number in 0..60 {
        let lines: String = (0..20).map(|line| format!("loud {number} {line:>90}\n")).collect();
        let (first, last) = (format!("first {number}\n"), format!("last {number}\n"));
        let parts =
            [part("a", first.len(), 1), part("loud", lines.len(), 20), part("b", last.len(), 1)];
        let record = format!("{first}{lines}{last}");
        spool.append_of(record.as_bytes(), 22, parts.to_vec()).unwrap();
        dropped += spool.enforce_limits().unwrap_or(0);
        loud += 20;
        if number == 30 {
            // What the one before has left is of a source that nobody knows.
            drop(spool);
            spool = Spool::open(&settings).unwrap().0;
        }
        if number == 40 {
            // It is on its way, and stays so.
            assert!(spool.take(1, 1).points > 0);
        }
    }
    assert!(spool.bytes() <= 40_000, "{}", spool.bytes());
    assert!(spool.is_on_its_way());
    let waiting = spool.unacknowledged();
    assert_eq!(waiting + dropped, loud + 120);
    drop(spool);
    // The next run finds it as it was.
    let (mut spool, damaged) = Spool::open(&settings).unwrap();
    assert_eq!((spool.points(), damaged), (waiting, 0));
    let all = take_all(&mut spool);
    let numbers = |source: &str| -> Vec<u32> {
        let of = all.lines().filter(|line| line.starts_with(source));
        of.map(|line| line.split(' ').nth(1).unwrap().parse().unwrap()).collect()
    };
    for source in ["first", "last"] {
        // Nothing of this run is gone, and what there is comes in order.
        let found = numbers(source);
        assert!(found.ends_with(&(31..60).collect::<Vec<_>>()), "{source}: {found:?}");
        assert!(found.is_sorted());
    }
    let found = numbers("loud");
    assert!(found.is_sorted() && found.last() == Some(&59) && found.len() < 400, "{found:?}");
}

#[test]
fn one_source_alone_loses_its_oldest() {
    let directory = Directory::new("alone");
    let settings = SpoolConfig { bytes_max: 4000, ..directory.settings() };
    let mut spool = Spool::open(&settings).unwrap().0;
    let mut dropped = 0;
    for number in 0..100 {
        let text = format!("{number:>99}\n");
        let part = Part { source: "r".into(), bytes: 100, points: 1 };
        spool.append_of(text.as_bytes(), 1, vec![part]).unwrap();
        dropped += spool.enforce_limits().unwrap_or(0);
    }
    let all = take_all(&mut spool);
    let numbers: Vec<u64> = all.lines().map(|line| line.trim().parse().unwrap()).collect();
    assert_eq!(numbers, (dropped..100).collect::<Vec<_>>());
}

#[test]
fn what_is_too_old_goes_and_a_clock_that_is_stepped_makes_nothing_old() {
    let directory = Directory::new("age");
    let mut spool = directory.open();
    let ages = |spool: &mut Spool, age: Duration| {
        spool.segments.iter_mut().for_each(|segment| segment.age_found += age);
    };
    // A segment takes what comes within a quarter of the age, so that no more than that goes
    // too early.
    spool.append(b"a\n", 1).unwrap();
    ages(&mut spool, Duration::from_secs(890));
    spool.append(b"b\n", 1).unwrap();
    ages(&mut spool, Duration::from_secs(890));
    spool.append(b"c\n", 1).unwrap();
    assert_eq!(spool.segments.len(), 2);
    // All the same what the files' times are.
    for segment in &spool.segments {
        segment.file.set_modified(std::time::SystemTime::UNIX_EPOCH).unwrap();
    }
    assert_eq!(spool.enforce_limits(), None);
    ages(&mut spool, Duration::from_secs(1830));
    assert_eq!(spool.enforce_limits(), Some(2));
    // Of what an earlier run left nothing else is known.
    drop(spool);
    let mut spool = directory.open();
    assert_eq!(spool.points(), 1);
    assert_eq!(spool.enforce_limits(), Some(1));
    assert!(spool.is_empty());
}

#[test]
fn what_is_noted_of_a_segment_does_not_hold_for_a_later_one() {
    let directory = Directory::new("noted");
    let mut spool = directory.open();
    spool.append(b"a long record\n", 1).unwrap();
    spool.append(b"b\n", 1).unwrap();
    assert_eq!(spool.take(2, 1).bytes, b"a long record\n");
    spool.acknowledge();
    spool.save_acknowledged().unwrap();
    assert_eq!(take_all(&mut spool), "b\n");
    drop(spool);
    for text in ["c\n", "d\n"] {
        directory.open().append(text.as_bytes(), 1).unwrap();
    }
    assert_eq!(take_all(&mut directory.open()), "c\nd\n");
}

#[test]
fn damage_while_it_runs_costs_that_record_and_is_counted() {
    let directory = Directory::new("rotten");
    let mut spool = directory.open();
    // On its way when it came here: what is acknowledged is this, not the first that is whole.
    spool.append_taken(b"a\n", 1).unwrap();
    for text in ["b\n", "c\n", "d\n"] {
        spool.append(text.as_bytes(), 2).unwrap();
    }
    let record = HEADER_BYTES as u64 + 2;
    for damaged in [0, 2] {
        let place = damaged * record + HEADER_BYTES as u64;
        spool.segments[0].file.write_all_at(b"X", place).unwrap();
    }
    assert_eq!(spool.unacknowledged(), 7);
    spool.acknowledge();
    let taken = spool.take(100, 100);
    assert_eq!((taken.bytes, taken.points), (b"b\nd\n".to_vec(), 4));
    assert_eq!((taken.damaged_bytes, taken.damaged_points), (record, 2));
    spool.acknowledge();
    assert!(spool.is_empty() && spool.segments.is_empty());
    // Nothing that is whole.
    spool.append(b"e\n", 2).unwrap();
    spool.segments[0].file.write_all_at(b"X", 1).unwrap();
    let taken = spool.take(100, 100);
    let nothing = Taken { damaged_bytes: record, damaged_points: 2, ..Taken::default() };
    assert_eq!(taken, nothing);
    assert!(spool.is_empty() && spool.segments.is_empty());
}

#[test]
fn what_could_not_be_synced_is_synced_again() {
    let directory = Directory::new("sync");
    let mut spool = directory.open();
    spool.append(b"a\n", 1).unwrap();
    let unsynced = spool.unsynced().unwrap().unwrap();
    // The segment and its directory.
    assert_eq!(unsynced.files.len(), 2);
    assert!(spool.unsynced().unwrap().is_none());
    spool.not_synced(&unsynced);
    assert_eq!(spool.unsynced().unwrap().unwrap().files.len(), 2);
}

#[test]
fn a_deleted_directory_loses_nothing_while_it_runs() {
    let directory = Directory::new("deleted");
    let mut spool = directory.open();
    spool.append(b"a\n", 1).unwrap();
    fs::remove_dir_all(&directory.0).unwrap();
    spool.append(b"b\n", 1).unwrap();
    assert_eq!(take_all(&mut spool), "a\nb\n");
}

#[test]
fn a_note_that_cannot_be_right_is_not_believed_and_is_corrected() {
    let directory = Directory::new("note");
    let mut spool = directory.open();
    for text in ["a\n", "b\n"] {
        spool.append(text.as_bytes(), 1).unwrap();
    }
    drop(spool);
    let note = directory.0.join(ACKNOWLEDGED);
    let huge = u64::MAX;
    for wrong in ["1 7", "1 9999999", &format!("1 {huge}"), &format!("{huge} 18"), "1", ""] {
        fs::write(&note, wrong).unwrap();
        let mut spool = directory.open();
        assert_eq!(spool.points(), 2, "{wrong}");
        spool.save_acknowledged().unwrap();
    }
    assert_eq!(spool_note(&directory), "");
    for (right, points) in [("1 18", 1), ("2 18", 2)] {
        fs::write(&note, right).unwrap();
        assert_eq!(directory.open().points(), points, "{right}");
    }
    fs::write(&note, "1 7").unwrap();
    directory.open().save_acknowledged().unwrap();
    assert_eq!(spool_note(&directory), "1 0\n");
}

fn spool_note(directory: &Directory) -> String {
    fs::read_to_string(directory.0.join(ACKNOWLEDGED)).unwrap()
}

#[test]
fn what_is_not_the_spools_own_is_left_alone() {
    let directory = Directory::new("alone");
    fs::create_dir(&directory.0).unwrap();
    let other = directory.0.join("other");
    fs::write(&other, "another's\n").unwrap();
    std::os::unix::fs::symlink(&other, directory.0.join("00000003.log")).unwrap();
    std::os::unix::fs::symlink(&other, directory.0.join("acknowledged.new")).unwrap();
    fs::create_dir(directory.0.join("00000004.log")).unwrap();
    for name in ["18446744073709551615.log", "+1.log", "1.log", "x.log"] {
        fs::write(directory.0.join(name), "").unwrap();
    }
    let mut spool = directory.open();
    assert_eq!((spool.segments.len(), spool.next_number), (0, 5));
    spool.append(b"a\n", 1).unwrap();
    spool.append(b"b\n", 1).unwrap();
    spool.take(2, 1);
    spool.acknowledge();
    spool.save_acknowledged().unwrap();
    assert_eq!(fs::read_to_string(other).unwrap(), "another's\n");
    for name in ["00000005.log", ACKNOWLEDGED] {
        let mode = fs::symlink_metadata(directory.0.join(name)).unwrap().mode();
        assert_eq!(mode & 0o777, 0o600, "{name}");
    }
}

/// While the directory was open to all, others may have put files there that look like segments.
#[test]
fn what_others_put_there_is_not_delivered() {
    let directory = Directory::new("others");
    drop(directory.open());
    let mut record = Vec::new();
    encode(b"forged\n", 1, &mut record);
    let linked = directory.0.join("linked");
    for path in [linked.clone(), segment_path(&directory.0, 2), segment_path(&directory.0, 3)] {
        fs::write(path, &record).unwrap();
    }
    fs::hard_link(linked, segment_path(&directory.0, 1)).unwrap();
    let theirs = sys::user() == 0;
    if theirs {
        std::os::unix::fs::chown(segment_path(&directory.0, 2), Some(65534), None).unwrap();
        fs::write(directory.0.join(ACKNOWLEDGED), "3 23\n").unwrap();
        std::os::unix::fs::chown(directory.0.join(ACKNOWLEDGED), Some(65534), None).unwrap();
    }
    let mut spool = directory.open();
    let numbers: Vec<u64> = spool.segments.iter().map(|segment| segment.number).collect();
    assert_eq!(numbers, if theirs { &[3][..] } else { &[2, 3] });
    assert_eq!(take_all(&mut spool).lines().count(), numbers.len());
    assert!(segment_path(&directory.0, 1).exists());
}

/// Each of these would take hours to read, or more memory or descriptors than there are.
#[test]
fn no_file_holds_up_the_start() {
    let directory = Directory::new("large");
    fs::create_dir(&directory.0).unwrap();
    let started = Instant::now();
    File::create(segment_path(&directory.0, 1)).unwrap().set_len(1 << 40).unwrap();
    // Beginnings of records of 3 MB, 16 bytes apart, before one that is whole.
    let mut vain = [&MAGIC[..], &(3u32 << 20).to_le_bytes(), &[0; 8]].concat().repeat(1 << 19);
    let mut whole = Vec::new();
    encode(b"a\n", 1, &mut whole);
    vain.extend_from_slice(&whole);
    fs::write(segment_path(&directory.0, 2), &vain).unwrap();
    for number in 3..1500 {
        fs::write(segment_path(&directory.0, number), &whole).unwrap();
    }
    let (mut spool, damaged) = Spool::open(&directory.settings()).unwrap();
    // The first is left alone, and nothing is in the second.
    assert_eq!((spool.segments.len(), spool.next_number), (FOUND_MAX - 2, 1500));
    assert_eq!(damaged, vain.len() as u64);
    assert_eq!(spool.points(), FOUND_MAX as u64 - 2);
    assert_eq!(take_all(&mut spool).lines().count(), FOUND_MAX - 2);
    drop(spool);
    // The others come with the next start, before what is new.
    assert_eq!(directory.open().points(), 1499 - FOUND_MAX as u64);
    assert!(segment_path(&directory.0, 1).exists());
    assert!(started.elapsed() < Duration::from_secs(60), "{:?}", started.elapsed());
}

#[test]
fn a_spool_is_its_users_alone() {
    let directory = Directory::new("mode");
    fs::create_dir(&directory.0).unwrap();
    let mode = |mode| fs::set_permissions(&directory.0, PermissionsExt::from_mode(mode)).unwrap();
    mode(0o755);
    directory.open();
    assert_eq!(fs::metadata(&directory.0).unwrap().mode() & 0o777, 0o700);
    // Nobody writes into it; opened as files are, it would wait for ever.
    let fifo = directory.0.join(ACKNOWLEDGED);
    assert!(std::process::Command::new("mkfifo").arg(fifo).status().unwrap().success());
    directory.open();
    if sys::user() == 0 {
        std::os::unix::fs::chown(&directory.0, Some(65534), None).unwrap();
        let refused = Spool::open(&directory.settings()).err().unwrap().to_string();
        assert!(refused.contains("belongs to the user 65534"), "{refused}");
    }
}

#[test]
fn a_check_follows_no_link() {
    let directory = Directory::new("check");
    fs::create_dir(&directory.0).unwrap();
    let victim = directory.0.join("victim");
    fs::write(&victim, "precious").unwrap();
    let link = directory.0.join(".perijove-check");
    std::os::unix::fs::symlink(&victim, &link).unwrap();
    let said = check(&directory.0.join("a/b")).unwrap();
    assert!(said.ends_with("can be written"), "{said}");
    assert_eq!(fs::read_to_string(&victim).unwrap(), "precious");
    assert!(!link.is_symlink());
}

#[test]
fn one_program_at_a_time_uses_a_spool() {
    let directory = Directory::new("lock");
    let mut spool = directory.open();
    let refused =
        |directory: &Directory| Spool::open(&directory.settings()).err().map(|err| err.to_string());
    assert_eq!(refused(&directory).as_deref(), Some(IN_USE));
    // One that is made again is locked again.
    fs::remove_dir_all(&directory.0).unwrap();
    spool.append(b"a\n", 1).unwrap();
    assert_eq!(refused(&directory).as_deref(), Some(IN_USE));
    drop(spool);
    assert_eq!(directory.open().points(), 1);
}
