//! The few system calls that neither std nor a kept crate offers safely.
#![allow(unsafe_code)]

use std::ffi::CString;

/// The machine's name; empty if it has none.
pub fn hostname() -> String {
    let mut name = [0u8; 256];
    // SAFETY: the buffer is ours, and one byte is kept for the terminating zero.
    let done = unsafe { libc::gethostname(name.as_mut_ptr().cast(), name.len() - 1) };
    let end = name.iter().position(|byte| *byte == 0).unwrap_or(0);
    if done == 0 { String::from_utf8_lossy(&name[..end]).into_owned() } else { String::new() }
}

/// Lowers (or, as root, raises) this process's priority to that nice value.
pub fn set_nice(nice: i32) -> std::io::Result<()> {
    // SAFETY: takes numbers only; 0 means this process.
    let done = unsafe { libc::setpriority(libc::PRIO_PROCESS, 0, nice) };
    if done == 0 { Ok(()) } else { Err(std::io::Error::last_os_error()) }
}

/// What this process has used.
#[derive(Debug, Default)]
pub struct Usage {
    pub cpu_seconds: f64,
    /// The most memory that was resident at a time.
    pub memory_peak_bytes: u64,
}

pub fn usage() -> Usage {
    // SAFETY: rusage is plain numbers, for which zeroes are valid; the kernel fills it in.
    let usage = unsafe {
        let mut usage: libc::rusage = std::mem::zeroed();
        libc::getrusage(libc::RUSAGE_SELF, &mut usage);
        usage
    };
    let seconds = |time: libc::timeval| time.tv_sec as f64 + time.tv_usec as f64 / 1e6;
    Usage {
        cpu_seconds: seconds(usage.ru_utime) + seconds(usage.ru_stime),
        memory_peak_bytes: usage.ru_maxrss as u64 * 1024,
    }
}

/// Lets idle memory go back to the system: glibc's allocator keeps one pool for each thread and
/// trims none of them by itself. Others do without.
pub fn tame_allocator() {
    #[cfg(all(target_os = "linux", target_env = "gnu"))]
    // SAFETY: takes numbers only.
    unsafe {
        libc::mallopt(libc::M_ARENA_MAX, 2);
        libc::mallopt(libc::M_MMAP_THRESHOLD, 128 << 10);
        libc::mallopt(libc::M_TRIM_THRESHOLD, 256 << 10);
    }
}

/// Enough for the sessions of twenty thousand routers. Not all that may be allowed: a child that
/// closes whatever it might have inherited would be busy for seconds.
const OPEN_FILES_WANTED: libc::rlim_t = 65_536;

/// Asks for more open files than a login shell gets, which are too few for hundreds of sessions.
/// What is not granted is missed when a session cannot be opened, and said then.
pub fn raise_open_files() {
    // SAFETY: rlimit is plain numbers, for which zeroes are valid; the calls read or fill it.
    unsafe {
        let mut limit: libc::rlimit = std::mem::zeroed();
        if libc::getrlimit(libc::RLIMIT_NOFILE, &mut limit) == 0 {
            let wanted = OPEN_FILES_WANTED.min(limit.rlim_max);
            limit.rlim_cur = limit.rlim_cur.max(wanted);
            libc::setrlimit(libc::RLIMIT_NOFILE, &limit);
        }
    }
}

/// Opens the connection to syslog, as the daemon `perijove`.
pub fn open_syslog() {
    // SAFETY: the name is static; syslog keeps the pointer.
    unsafe { libc::openlog(c"perijove".as_ptr(), libc::LOG_PID, libc::LOG_DAEMON) }
}

pub fn syslog(level: log::Level, message: &str) {
    let priority = match level {
        log::Level::Error => libc::LOG_ERR,
        log::Level::Warn => libc::LOG_WARNING,
        log::Level::Info => libc::LOG_INFO,
        log::Level::Debug | log::Level::Trace => libc::LOG_DEBUG,
    };
    let message = CString::new(message.replace('\0', " ")).unwrap_or_default();
    // SAFETY: both strings end with a zero; the format takes one string.
    unsafe { libc::syslog(priority, c"%s".as_ptr(), message.as_ptr()) }
}
