//! The few system calls that neither std nor a kept crate offers safely.
#![allow(unsafe_code)]

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::ffi::CString;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::os::fd::{AsFd, AsRawFd};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::Command;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
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

/// Sends a signal to a process; one that has gone is no error.
pub fn signal(process: u32, signal: i32) {
    if let Some(process) = i32::try_from(process).ok().filter(|process| *process > 1) {
        // SAFETY: takes numbers only.
        unsafe { libc::kill(process, signal) };
    }
}

/// From now on these signals wait until `next_signal` takes them. For a process with one thread:
/// what it executes inherits that, see `release_signals`.
pub fn hold_signals(signals: &[i32]) {
    extern "C" fn nothing(_: libc::c_int) {}
    // SAFETY: sigaction is plain data, for which zeroes are valid; the handler does nothing.
    unsafe {
        let mut action: libc::sigaction = std::mem::zeroed();
        action.sa_sigaction = nothing as extern "C" fn(libc::c_int) as libc::sighandler_t;
        for signal in signals {
            // FreeBSD forgets even a held signal if nothing handles it and it ends no process.
            libc::sigaction(*signal, &action, std::ptr::null_mut());
        }
        libc::sigprocmask(libc::SIG_BLOCK, &signal_set(signals), std::ptr::null_mut());
    }
}

/// Waits for one of the held signals, at most for so long; `None` if none came.
pub fn next_signal(signals: &[i32], time: Option<Duration>) -> Option<i32> {
    let set = signal_set(signals);
    let time = time.map(|time| libc::timespec {
        tv_sec: libc::time_t::try_from(time.as_secs()).unwrap_or(libc::time_t::MAX),
        tv_nsec: time.subsec_nanos().into(),
    });
    let time = time.as_ref().map_or(std::ptr::null(), std::ptr::from_ref);
    // SAFETY: the set and the time live as long as the call.
    let signal = unsafe { libc::sigtimedwait(&set, std::ptr::null_mut(), time) };
    (signal > 0).then_some(signal)
}

/// Lets all signals in again: those that came meanwhile, too.
pub fn release_signals() {
    // SAFETY: the set lives as long as the call.
    unsafe { libc::sigprocmask(libc::SIG_SETMASK, &signal_set(&[]), std::ptr::null_mut()) };
}

fn signal_set(signals: &[i32]) -> libc::sigset_t {
    // SAFETY: sigset_t is plain numbers, and sigemptyset fills it in.
    unsafe {
        let mut set: libc::sigset_t = std::mem::zeroed();
        libc::sigemptyset(&mut set);
        for signal in signals {
            libc::sigaddset(&mut set, *signal);
        }
        set
    }
}

/// Gets a SIGTERM when the process that started this one ends, however it ends.
pub fn end_with_parent() {
    // SAFETY: takes numbers, and a number that lives as long as the call.
    unsafe {
        #[cfg(target_os = "linux")]
        libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGTERM, 0, 0, 0);
        #[cfg(target_os = "freebsd")]
        {
            let mut signal: libc::c_int = libc::SIGTERM;
            let signal = std::ptr::from_mut(&mut signal).cast();
            libc::procctl(libc::P_PID, 0, libc::PROC_PDEATHSIG_CTL, signal);
        }
    }
}

/// Limits the memory that this process may have, not only what is resident; `None` is no limit.
/// What it starts inherits the limit, but for `spare`.
pub fn limit_memory(bytes: Option<usize>) -> std::io::Result<()> {
    IS_LIMITED.store(bytes.is_some(), Ordering::Relaxed);
    set_memory_limit(bytes)
}

static IS_LIMITED: AtomicBool = AtomicBool::new(false);

/// Lets a program that is to be started have as much memory as it needs.
pub fn spare(command: &mut Command) {
    if IS_LIMITED.load(Ordering::Relaxed) {
        // SAFETY: between fork and exec it makes two system calls, and allocates nothing.
        unsafe { command.pre_exec(|| set_memory_limit(None)) };
    }
}

fn set_memory_limit(bytes: Option<usize>) -> std::io::Result<()> {
    // On Linux all that can be written, with the threads' stacks. FreeBSD's RLIMIT_DATA leaves out
    // what malloc maps; there the limit is one of addresses.
    let what = if cfg!(target_os = "linux") { libc::RLIMIT_DATA } else { libc::RLIMIT_AS };
    // SAFETY: rlimit is plain numbers, for which zeroes are valid; the calls read or fill it.
    let done = unsafe {
        let mut limit: libc::rlimit = std::mem::zeroed();
        libc::getrlimit(what, &mut limit) == 0 && {
            let wanted = bytes.and_then(|bytes| libc::rlim_t::try_from(bytes).ok());
            limit.rlim_cur = wanted.unwrap_or(limit.rlim_max).min(limit.rlim_max);
            libc::setrlimit(what, &limit) == 0
        }
    };
    if done { Ok(()) } else { Err(std::io::Error::last_os_error()) }
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
/// trims none of them by itself. musl's does without.
pub fn tame_allocator() {
    #[cfg(all(target_os = "linux", target_env = "gnu"))]
    // SAFETY: takes numbers only.
    unsafe {
        libc::mallopt(libc::M_ARENA_MAX, 2);
        libc::mallopt(libc::M_MMAP_THRESHOLD, 128 << 10);
        libc::mallopt(libc::M_TRIM_THRESHOLD, 256 << 10);
    }
}

/// The same for FreeBSD's allocator, which reads this before `main` (`malloc_conf` of jemalloc(3))
/// and would have four arenas for each processor.
#[cfg(target_os = "freebsd")]
#[used]
#[unsafe(export_name = "malloc_conf")]
static ARENAS: &[u8; 10] = b"narenas:2\0";

/// The system's allocator, which counts for each thread what it has got and not given back.
pub struct Counting;

thread_local! {
    static ALLOCATED: Cell<i64> = const { Cell::new(0) };
}

/// What this thread has got of the allocator, less what it has given back; it may have given back
/// what others got. Only where `Counting` is the program's allocator.
pub fn allocated_bytes() -> i64 {
    ALLOCATED.get()
}

/// What so many bytes take with what an allocator needs for itself: short texts take most of all.
const fn taken(bytes: usize) -> i64 {
    let taken = bytes.saturating_add(size_of::<usize>()).next_multiple_of(16);
    if taken < 32 { 32 } else { taken as i64 }
}

fn count(more: i64) {
    ALLOCATED.set(ALLOCATED.get().wrapping_add(more));
}

// SAFETY: everything is the system's allocator; the counter allocates nothing and is never dropped.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count(taken(layout.size()));
        unsafe { System.alloc(layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        count(taken(layout.size()));
        unsafe { System.alloc_zeroed(layout) }
    }

    unsafe fn realloc(&self, memory: *mut u8, layout: Layout, bytes: usize) -> *mut u8 {
        count(taken(bytes) - taken(layout.size()));
        unsafe { System.realloc(memory, layout, bytes) }
    }

    unsafe fn dealloc(&self, memory: *mut u8, layout: Layout) {
        count(-taken(layout.size()));
        unsafe { System.dealloc(memory, layout) }
    }
}

/// Lets go of memory that nobody uses: what the allocator holds for later, and those pages of the
/// program and its libraries that can only be read. What is used again comes back from the system's
/// cache, as it came the first time; what only the start needed does not.
pub fn let_go() {
    MADE.store(0, Ordering::Relaxed);
    #[cfg(all(target_os = "linux", target_env = "gnu"))]
    // SAFETY: takes a number; the function takes what it is called with, and is not kept.
    unsafe {
        libc::malloc_trim(0);
        libc::dl_iterate_phdr(Some(let_go_of_object), std::ptr::null_mut());
    }
    #[cfg(target_os = "freebsd")]
    // SAFETY: the name ends with a zero, and nothing goes in or out: 4096 stands for all arenas.
    unsafe {
        let none = std::ptr::null_mut;
        libc::mallctl(c"arena.4096.purge".as_ptr(), none(), none().cast(), none(), 0);
    }
}

/// Bytes of points that were made since.
static MADE: AtomicUsize = AtomicUsize::new(0);

/// Lets go of memory that nobody uses after each megabyte of points: a collector has code and lists
/// of its own, which the next one does not need. To make the points takes a hundred times as long.
pub fn let_go_after(bytes: usize) {
    if MADE.fetch_add(bytes, Ordering::Relaxed) > 1 << 20 {
        let_go();
    }
}

#[cfg(all(target_os = "linux", target_env = "gnu"))]
unsafe extern "C" fn let_go_of_object(
    object: *mut libc::dl_phdr_info,
    _: libc::size_t,
    _: *mut libc::c_void,
) -> libc::c_int {
    const PF_W: u32 = 2;
    const DT_TEXTREL: usize = 22;
    // SAFETY: the object and its tables live as long as the call, and are as long as they say. A
    // segment that cannot be written holds what is in its file and nothing else, unless the object
    // has relocations in its code.
    unsafe {
        let object = &*object;
        let base = object.dlpi_addr as usize;
        let segments = std::slice::from_raw_parts(object.dlpi_phdr, object.dlpi_phnum.into());
        let dynamic = segments.iter().filter(|segment| segment.p_type == libc::PT_DYNAMIC);
        let mut entries = dynamic.flat_map(|segment| {
            let entries = (base + segment.p_vaddr as usize) as *const [usize; 2];
            let count = segment.p_memsz as usize / size_of::<[usize; 2]>();
            std::slice::from_raw_parts(entries, count)
        });
        if entries.any(|[tag, _]| *tag == DT_TEXTREL) {
            return 0;
        }
        let page = usize::try_from(libc::sysconf(libc::_SC_PAGESIZE)).unwrap_or(4096);
        for segment in segments {
            if segment.p_type == libc::PT_LOAD && segment.p_flags & PF_W == 0 {
                let start = base + segment.p_vaddr as usize;
                let within = start % page;
                let bytes = within + segment.p_memsz as usize;
                libc::madvise((start - within) as *mut libc::c_void, bytes, libc::MADV_DONTNEED);
            }
        }
    }
    0
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
    set_socket(socket, libc::SO_SNDBUF, bytes)
}

/// Asks the kernel to keep so much of what has come and was not read yet; it grants what it may.
pub fn set_receive_buffer(socket: impl AsFd, bytes: usize) -> std::io::Result<()> {
    set_socket(socket, libc::SO_RCVBUF, bytes)
}

/// Lets the kernel find out, within hours, that the other end has gone without a word.
pub fn set_keepalive(socket: impl AsFd) -> std::io::Result<()> {
    set_socket(socket, libc::SO_KEEPALIVE, 1)
}

fn set_socket(socket: impl AsFd, option: libc::c_int, value: usize) -> std::io::Result<()> {
    let value = libc::c_int::try_from(value).unwrap_or(libc::c_int::MAX);
    // SAFETY: the descriptor is open while it is borrowed, and the value is as long as it is said.
    let result = unsafe {
        libc::setsockopt(
            socket.as_fd().as_raw_fd(),
            libc::SOL_SOCKET,
            option,
            (&raw const value).cast(),
            size_of_val(&value) as libc::socklen_t,
        )
    };
    if result == 0 { Ok(()) } else { Err(std::io::Error::last_os_error()) }
}

/// How many datagrams the kernel has dropped because a socket had no room for them
/// (linux/sock_diag.h: SK_MEMINFO_DROPS). 0 where the kernel does not tell: before Linux 4.12, and
/// on FreeBSD, which counts them for all sockets together.
#[cfg(target_os = "linux")]
pub fn socket_drops(socket: impl AsFd) -> u64 {
    const SK_MEMINFO_DROPS: usize = 8;
    let mut numbers = [0u32; SK_MEMINFO_DROPS + 1];
    let mut bytes = size_of_val(&numbers) as libc::socklen_t;
    // SAFETY: the descriptor is open while it is borrowed; the kernel fills what there is room for.
    let result = unsafe {
        libc::getsockopt(
            socket.as_fd().as_raw_fd(),
            libc::SOL_SOCKET,
            libc::SO_MEMINFO,
            numbers.as_mut_ptr().cast(),
            &mut bytes,
        )
    };
    if result == 0 { numbers[SK_MEMINFO_DROPS].into() } else { 0 }
}

#[cfg(not(target_os = "linux"))]
pub fn socket_drops(_: impl AsFd) -> u64 {
    0
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

/// A socket that asks the kernel about sockets, and reads its answers: `sock_diag(7)`.
#[cfg(target_os = "linux")]
pub fn sock_diag() -> std::io::Result<std::fs::File> {
    open_sock_diag(0)
}

/// A socket that hears which sockets end, by the groups of linux/sock_diag.h, a bit for each. Its
/// reads do not wait. The kernel keeps up to `buffer_bytes` of what was not read yet, or as much as
/// net.core.rmem_max grants.
#[cfg(target_os = "linux")]
pub fn sock_diag_events(groups: u32, buffer_bytes: u32) -> std::io::Result<std::fs::File> {
    let socket = open_sock_diag(libc::SOCK_NONBLOCK)?;
    let fd = socket.as_raw_fd();
    let bytes = buffer_bytes.cast_signed();
    // SAFETY: the address is plain numbers, for which zeroes are valid; both calls read what is
    // ours, which is as long as they are told.
    unsafe {
        let mut address: libc::sockaddr_nl = std::mem::zeroed();
        address.nl_family = libc::AF_NETLINK as libc::sa_family_t;
        address.nl_groups = groups;
        let length = size_of_val(&address) as libc::socklen_t;
        if libc::bind(fd, (&raw const address).cast(), length) != 0 {
            return Err(std::io::Error::last_os_error());
        }
        let length = size_of_val(&bytes) as libc::socklen_t;
        let set =
            |name| libc::setsockopt(fd, libc::SOL_SOCKET, name, (&raw const bytes).cast(), length);
        // The first needs CAP_NET_ADMIN. With less room, more events are lost, which is counted.
        if set(libc::SO_RCVBUFFORCE) != 0 {
            set(libc::SO_RCVBUF);
        }
    }
    Ok(socket)
}

#[cfg(not(target_os = "linux"))]
pub fn sock_diag() -> std::io::Result<std::fs::File> {
    Err(std::io::ErrorKind::Unsupported.into())
}

#[cfg(not(target_os = "linux"))]
pub fn sock_diag_events(_: u32, _: u32) -> std::io::Result<std::fs::File> {
    Err(std::io::ErrorKind::Unsupported.into())
}

#[cfg(not(target_os = "linux"))]
pub fn enter_network(_: &std::fs::File) -> std::io::Result<()> {
    Err(std::io::ErrorKind::Unsupported.into())
}

#[cfg(target_os = "linux")]
fn open_sock_diag(flags: libc::c_int) -> std::io::Result<std::fs::File> {
    use std::os::fd::FromRawFd;
    let kind = libc::SOCK_RAW | libc::SOCK_CLOEXEC | flags;
    // SAFETY: takes numbers only; the descriptor is new, so that nobody else has it.
    unsafe {
        let fd = libc::socket(libc::AF_NETLINK, kind, libc::NETLINK_SOCK_DIAG);
        if fd < 0 {
            return Err(std::io::Error::last_os_error());
        }
        Ok(std::fs::File::from_raw_fd(fd))
    }
}

/// Moves this thread, and no other, into the network namespace that the file stands for.
#[cfg(target_os = "linux")]
pub fn enter_network(namespace: &std::fs::File) -> std::io::Result<()> {
    // SAFETY: takes numbers only.
    let result = unsafe { libc::setns(namespace.as_raw_fd(), libc::CLONE_NEWNET) };
    if result == 0 { Ok(()) } else { Err(std::io::Error::last_os_error()) }
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
#[cfg(any(target_os = "freebsd", test))]
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

#[cfg(all(test, target_os = "linux", target_env = "gnu"))]
mod tests {
    use std::cell::Cell;
    use std::process::Command;

    use super::*;

    /// In a process of its own: other tests would fetch the pages again meanwhile.
    #[test]
    fn pages_that_only_the_start_needed_are_let_go() {
        const ALONE: &str = "PERIJOVE_TEST_LET_GO";
        if std::env::var_os(ALONE).is_some() {
            let resident = || {
                let status = std::fs::read_to_string("/proc/self/status").expect("a status");
                let line = status.lines().find_map(|line| line.strip_prefix("RssFile:"));
                let size = line.and_then(|line| line.trim().strip_suffix(" kB"));
                size.and_then(|size| size.parse::<u64>().ok()).expect("a size")
            };
            let before = resident();
            super::let_go();
            let after = resident();
            assert!(after * 4 < before * 3, "{before} kB before, {after} kB after");
            return;
        }
        let name = "base::sys::tests::pages_that_only_the_start_needed_are_let_go";
        let mut alone = Command::new(std::env::current_exe().expect("the program"));
        let output = alone.args(["--exact", name]).env(ALONE, "1").output().expect("it runs");
        let said = String::from_utf8_lossy(&output.stdout);
        assert!(output.status.success() && said.contains("1 passed"), "{said}");
    }

    /// A kernel whose value has so many bytes at each time that it is asked for.
    fn grows(lengths: &[usize]) -> (std::io::Result<Vec<u8>>, usize) {
        let asked = Cell::new(0);
        // SAFETY: the room is as large as it is said to be, or null; errno is this thread's.
        let got = grown(|room, bytes| unsafe {
            let length = lengths[asked.replace(asked.get() + 1).min(lengths.len() - 1)];
            if !room.is_null() && length > *bytes {
                *libc::__errno_location() = libc::ENOMEM;
                return -1;
            }
            if !room.is_null() {
                std::ptr::write_bytes(room.cast::<u8>(), 7, length);
            }
            *bytes = length;
            0
        });
        (got, asked.get())
    }

    #[test]
    fn a_value_that_grows_while_it_is_read_is_asked_for_again() {
        let (got, asked) = grows(&[10, 12]);
        assert_eq!((got.unwrap(), asked), (vec![7; 12], 2));
        let (got, asked) = grows(&[10, 100_000, 100_000, 90_000]);
        assert_eq!((got.unwrap(), asked), (vec![7; 90_000], 4));
        // One that grows for ever, and one that cannot be read.
        let endless: Vec<usize> = (0..10).map(|times| 100_000 << times).collect();
        let (got, asked) = grows(&endless);
        assert_eq!((got.unwrap_err().raw_os_error(), asked), (Some(libc::ENOMEM), 8));
        // SAFETY: errno is this thread's.
        let refused = grown(|_, _| unsafe {
            *libc::__errno_location() = libc::EPERM;
            -1
        });
        assert_eq!(refused.unwrap_err().raw_os_error(), Some(libc::EPERM));
    }
}
