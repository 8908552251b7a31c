//! Directories that live as long as a test.

use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering};

use super::process::run;
use super::program;

/// A directory of its own, removed at the end; a failed test leaves its files to be looked at.
pub struct Directory(PathBuf);

impl Directory {
    pub fn new() -> Directory {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let name = format!(
            "perijove-test-{}-{}",
            std::process::id(),
            NEXT.fetch_add(1, Ordering::Relaxed)
        );
        let path = std::env::temp_dir().join(name);
        std::fs::create_dir(&path).unwrap_or_else(|e| panic!("cannot make {path:?}: {e}"));
        // The account that logs in over SSH runs the router from here.
        std::fs::set_permissions(&path, PermissionsExt::from_mode(0o755)).expect("set mode");
        Directory(path)
    }

    pub fn path(&self) -> &Path {
        &self.0
    }

    pub fn join(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }

    /// Writes a file into the directory and gives its path.
    pub fn write(&self, name: &str, contents: impl AsRef<[u8]>) -> PathBuf {
        let path = self.join(name);
        std::fs::write(&path, contents).unwrap_or_else(|e| panic!("cannot write {path:?}: {e}"));
        path
    }

    /// The same, readable by its owner only, as keys and passwords are.
    pub fn write_secret(&self, name: &str, contents: impl AsRef<[u8]>) -> PathBuf {
        let path = self.write(name, contents);
        std::fs::set_permissions(&path, PermissionsExt::from_mode(0o600)).expect("set mode");
        path
    }

    /// A certificate for 127.0.0.1 that is its own authority: NAME.key and NAME.pem.
    pub fn certificate(&self, name: &str) -> (String, String) {
        let file = |suffix: &str| self.join(&format!("{name}.{suffix}")).display().to_string();
        let (key, cert) = (file("key"), file("pem"));
        let made = run(Command::new(program("openssl"))
            .args("req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2".split(' '))
            .args(["-subj", "/CN=perijove-test", "-addext", "subjectAltName=IP:127.0.0.1"])
            .args(["-keyout", &key, "-out", &cert]));
        assert_eq!(made.code, 0, "{}", made.stderr);
        (key, cert)
    }
}

impl Drop for Directory {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("files of this test are left in {}", self.0.display());
        } else {
            let _ = std::fs::remove_dir_all(&self.0);
        }
    }
}
