//! How far each output got with each job: a line for each pair, `JOB OUTPUT TIME`, the time in
//! milliseconds since 1970.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::Path;

use crate::base::own_file;

/// Far more than all pairs have.
const BYTES_MAX: u64 = 1 << 20;

pub type Progress = BTreeMap<(String, String), u64>;

/// What an earlier run left; nothing if there was none. Lines that say nothing are passed over.
pub fn load(path: &Path) -> io::Result<Progress> {
    let bytes = own_file::read(path, BYTES_MAX)?.unwrap_or_default();
    let text = String::from_utf8_lossy(&bytes);
    let line = |line: &str| {
        let mut words = line.split_ascii_whitespace();
        let key = (words.next()?.to_string(), words.next()?.to_string());
        Some((key, words.next()?.parse().ok()?))
    };
    Ok(text.lines().filter_map(line).collect())
}

/// Replaces the file at once: whenever the program is killed, one of the two is whole.
pub fn save(path: &Path, progress: &Progress) -> io::Result<()> {
    if let Some(directory) = path.parent() {
        fs::create_dir_all(directory)?;
    }
    let mut text = String::new();
    for ((job, output), time) in progress {
        text += &format!("{job} {output} {time}\n");
    }
    own_file::write_whole(path, text.as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_saved_is_loaded() {
        let name = format!("perijove-progress-{}", std::process::id());
        let directory = std::env::temp_dir().join(name);
        let path = directory.join("a/federate");
        assert_eq!(load(&path).unwrap(), Progress::new());
        let pair = |job: &str| (job.to_string(), "influxdb".to_string());
        let progress =
            Progress::from([(pair("traffic"), 1_700_000_000_000), (pair("upstream"), 7)]);
        save(&path, &progress).unwrap();
        assert_eq!(load(&path).unwrap(), progress);
        fs::write(&path, "traffic influxdb 1700000000000\n\nupstream influxdb x\nhalf a li")
            .unwrap();
        assert_eq!(load(&path).unwrap().len(), 1);
        fs::remove_dir_all(&directory).unwrap();
    }
}
