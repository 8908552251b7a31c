//! The few system calls that neither std nor a kept crate offers safely.
#![allow(unsafe_code)]

use std::ffi::CString;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::os::fd::{AsFd, AsRawFd};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::time::Duration;

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
    // SAFETY: takes numbers only.
    let set = |id| unsafe { libc::setpriority(libc::PRIO_PROCESS, id, nice) };
    // 0 means this process; on Linux this thread, and each of the others has a value of its own.
    if set(0) != 0 {
        return Err(std::io::Error::last_os_error());
    }
    #[cfg(target_os = "linux")]
    for thread in std::fs::read_dir("/proc/self/task").into_iter().flatten().flatten() {
        thread.file_name().to_str().and_then(|id| id.parse().ok()).map(set);
    }
    Ok(())
}

/// Whether this user may make files in that directory.
pub fn may_write(directory: &Path) -> bool {
    let Ok(path) = CString::new(directory.as_os_str().as_bytes()) else { return false };
    // SAFETY: the path ends with a zero.
    unsafe { libc::access(path.as_ptr(), libc::W_OK | libc::X_OK) == 0 }
}

/// Kills a process and those that it has started, by the group that it leads; one that has gone
/// is no error.
pub fn kill_group(leader: u32) {
    // 0 and 1 would stand for others.
    if let Some(group) = i32::try_from(leader).ok().filter(|group| *group > 1) {
        // SAFETY: takes numbers only.
        unsafe { libc::kill(-group, libc::SIGKILL) };
    }
}

/// Waits until one of the files is ready or the time is over; none given means for ever. Returns
/// how many are ready; a signal may end the wait early, with none.
pub fn poll(files: &mut [libc::pollfd], time: Option<Duration>) -> std::io::Result<usize> {
    // Rounded up: with 0 the last millisecond would be a busy loop.
    let milliseconds = time
        .map_or(-1, |time| i32::try_from(time.as_nanos().div_ceil(1_000_000)).unwrap_or(i32::MAX));
    // SAFETY: the list is ours and as long as it is said to be.
    let ready =
        unsafe { libc::poll(files.as_mut_ptr(), files.len() as libc::nfds_t, milliseconds) };
    let err = std::io::Error::last_os_error();
    match usize::try_from(ready) {
        Ok(ready) => Ok(ready),
        Err(_) if err.kind() == std::io::ErrorKind::Interrupted => Ok(0),
        Err(_) => Err(err),
    }
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

/// Protects the files and the memory of the process from other users: only its own user can read
/// the files that it makes, there are no core dumps, which would hold passwords, and no debuggers.
pub fn keep_to_itself() {
    let none = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
    // SAFETY: takes numbers, and a limit that lives as long as the call.
    unsafe {
        libc::umask(0o077);
        libc::setrlimit(libc::RLIMIT_CORE, &none);
        #[cfg(target_os = "linux")]
        libc::prctl(libc::PR_SET_DUMPABLE, 0, 0, 0, 0);
        #[cfg(target_os = "freebsd")]
        {
            let mut how: libc::c_int = libc::PROC_TRACE_CTL_DISABLE;
            let how = std::ptr::from_mut(&mut how).cast();
            libc::procctl(libc::P_PID, libc::getpid().into(), libc::PROC_TRACE_CTL, how);
        }
    }
}

/// The user whose rights this process has.
pub fn user() -> u32 {
    // SAFETY: takes nothing.
    unsafe { libc::geteuid() }
}

/// Enough for the sessions of twenty thousand routers. Not all that may be allowed: a child that
/// closes whatever it might have inherited would be busy for seconds.
const OPEN_FILES_WANTED: libc::rlim_t = 65_536;

/// Limits what the kernel keeps of what was written to a socket and its peer has not taken; without
/// it Linux lets that grow to several megabytes.
pub fn set_send_buffer(socket: impl AsFd, bytes: usize) -> std::io::Result<()> {
    let bytes = libc::c_int::try_from(bytes).unwrap_or(libc::c_int::MAX);
    // SAFETY: the descriptor is open while it is borrowed, and the value is as long as it is said.
    let result = unsafe {
        libc::setsockopt(
            socket.as_fd().as_raw_fd(),
            libc::SOL_SOCKET,
            libc::SO_SNDBUF,
            (&raw const bytes).cast(),
            size_of_val(&bytes) as libc::socklen_t,
        )
    };
    if result == 0 { Ok(()) } else { Err(std::io::Error::last_os_error()) }
}

/// Asks for more open files than a login shell gets, which are too few for hundreds of sessions.
/// If too few are granted, sessions cannot be opened later, which is reported then.
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

/// The version of libssh2, such as 1.11.1.
pub fn libssh2_version() -> String {
    unsafe extern "C" {
        /// `libssh2_version(3)`: a static text, if it is as new as 0xMMNNPP.
        fn libssh2_version(required: libc::c_int) -> *const libc::c_char;
    }
    // SAFETY: takes a number; the text is static, ends with a zero, and is there for 0.
    let version = unsafe { std::ffi::CStr::from_ptr(libssh2_version(0)) };
    version.to_string_lossy().into_owned()
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

/// The addresses of the interfaces that are up, in the kernel's order.
pub fn interface_addresses() -> Vec<IpAddr> {
    let mut addresses = Vec::new();
    let mut list: *mut libc::ifaddrs = std::ptr::null_mut();
    // SAFETY: the list is the call's own until it is freed, and its addresses are as long as their
    // families say.
    unsafe {
        if libc::getifaddrs(&mut list) != 0 {
            return addresses;
        }
        let mut next = list;
        while let Some(interface) = next.as_ref() {
            next = interface.ifa_next;
            let is_up = interface.ifa_flags & libc::IFF_UP as libc::c_uint != 0;
            let Some(address) = interface.ifa_addr.as_ref().filter(|_| is_up) else { continue };
            let found = match i32::from(address.sa_family) {
                libc::AF_INET => {
                    let address = &*interface.ifa_addr.cast::<libc::sockaddr_in>();
                    Ipv4Addr::from(address.sin_addr.s_addr.to_ne_bytes()).into()
                }
                libc::AF_INET6 => {
                    let address = &*interface.ifa_addr.cast::<libc::sockaddr_in6>();
                    Ipv6Addr::from(address.sin6_addr.s6_addr).into()
                }
                _ => continue,
            };
            addresses.push(found);
        }
        libc::freeifaddrs(list);
    }
    addresses
}

/// The kernel's value of that name.
#[cfg(target_os = "freebsd")]
pub fn sysctl(name: &std::ffi::CStr) -> std::io::Result<Vec<u8>> {
    // SAFETY: the name ends with a zero; `grown` tells the room that there is.
    grown(|room, bytes| unsafe {
        libc::sysctlbyname(name.as_ptr(), room, bytes, std::ptr::null(), 0)
    })
}

/// What it says of a process, by `KERN_PROC_PID` or `KERN_PROC_ARGS`.
#[cfg(target_os = "freebsd")]
pub fn sysctl_of_process(what: libc::c_int, process: u32) -> std::io::Result<Vec<u8>> {
    let name = [libc::CTL_KERN, libc::KERN_PROC, what, process as libc::c_int];
    // SAFETY: the name is as long as it is said to be; `grown` tells the room that there is.
    grown(|room, bytes| unsafe {
        libc::sysctl(name.as_ptr(), name.len() as u32, room, bytes, std::ptr::null(), 0)
    })
}

/// Asks how much room is needed, and then for what it is about, which may have grown since.
#[cfg(target_os = "freebsd")]
fn grown(
    get: impl Fn(*mut libc::c_void, *mut libc::size_t) -> libc::c_int,
) -> std::io::Result<Vec<u8>> {
    const TRIES: usize = 4;
    for _ in 0..TRIES {
        let mut bytes = 0;
        if get(std::ptr::null_mut(), &mut bytes) != 0 {
            return Err(std::io::Error::last_os_error());
        }
        let mut room = vec![0u8; bytes + bytes / 4 + 4096];
        bytes = room.len();
        if get(room.as_mut_ptr().cast(), &mut bytes) == 0 {
            room.truncate(bytes);
            return Ok(room);
        }
        let err = std::io::Error::last_os_error();
        if err.raw_os_error() != Some(libc::ENOMEM) {
            return Err(err);
        }
    }
    Err(std::io::Error::from_raw_os_error(libc::ENOMEM))
}
