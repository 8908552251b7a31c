//! Confines the threads that read what others send: routers, servers, clients. If an attacker takes
//! control of one of them, it can open only the files that the settings name, and start no program.
//!
//! On Linux, Landlock (landlock(7)) confines the files and seccomp (seccomp(2)) the system calls.
//! Elsewhere nothing is confined: FreeBSD's Capsicum would take away `connect` and `open` together,
//! and perijove opens connections for as long as it runs.

use std::path::PathBuf;
use std::sync::{Arc, Mutex};

use super::sync::lock;

/// What confined threads may open in addition to what every program needs.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Files {
    /// May be read: these files, and what is in these directories.
    pub read: Vec<PathBuf>,
    /// May be read, written, made and removed in these directories.
    pub write: Vec<PathBuf>,
}

/// How much a thread is confined.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Confine {
    /// Files and system calls.
    Files,
    /// System calls only: for threads that look at other processes, which Landlock hides.
    Calls,
    /// The same, but for entering network namespaces.
    CallsButNetworks,
}

static FILES: Mutex<Option<Arc<Files>>> = Mutex::new(None);

/// Sets what threads that are confined from now on may open; `None`: they are not confined. Says
/// what the system offers.
pub fn set(files: Option<Files>) {
    if files.is_some() && lock(&FILES).as_deref() == files.as_ref() {
        return;
    }
    let was_off = std::mem::replace(&mut *lock(&FILES), files.map(Arc::new)).is_none();
    let files = lock(&FILES).clone();
    match files {
        None => log::warn!("sandbox = \"off\": no thread is confined"),
        Some(files) if was_off => {
            // In its own thread, because confinement cannot be undone.
            let tried = std::thread::spawn(move || confine(&files, Confine::Files)).join();
            match tried.unwrap_or_else(|_| Err("it could not be tried".into())) {
                Ok(how) => {
                    log::info!("sandbox: {how} confine the threads that read from the network")
                }
                Err(why) => log::warn!(
                    "sandbox: {why}; threads that read from the network are not fully confined"
                ),
            }
        }
        Some(_) => {
            log::info!(
                "sandbox: the settings name other files now; threads that are already running \
                 can open only the old ones"
            )
        }
    }
}

/// Confines this thread, and those that it starts, for good, as far as the system can.
pub fn enter(how: Confine) {
    let files = lock(&FILES).clone();
    if let Some(files) = files {
        // A failure was logged when the files were set.
        let _ = confine(&files, how);
    }
}

#[cfg(target_os = "linux")]
use linux::confine;

#[cfg(not(target_os = "linux"))]
fn confine(_: &Files, _: Confine) -> Result<&'static str, String> {
    Ok("no sandbox on this system, only the rights of perijove's user")
}

#[cfg(target_os = "linux")]
mod linux {
    use std::collections::BTreeMap;

    use landlock::{
        ABI, Access, AccessFs, CompatLevel, Compatible, Ruleset, RulesetAttr, RulesetCreatedAttr,
        RulesetError, RulesetStatus, path_beneath_rules,
    };
    use seccompiler::{
        BpfProgram, SeccompAction, SeccompCmpArgLen, SeccompCmpOp, SeccompCondition, SeccompFilter,
        SeccompRule,
    };

    use super::{Confine, Files};

    /// What every program may need: name resolution, certificates, time zones, libraries. Not
    /// /proc, which shows the environment of every process of this user.
    const SYSTEM: &[&str] = &["/dev", "/etc", "/lib", "/lib64", "/run", "/usr", "/var/run"];

    /// System calls that perijove never makes, and that an intruder would: other programs, other
    /// processes' memory, mounts, the kernel's own parts, and ways around these filters.
    const DENIED: &[libc::c_long] = &[
        libc::SYS_execve,
        libc::SYS_execveat,
        libc::SYS_ptrace,
        libc::SYS_process_vm_readv,
        libc::SYS_process_vm_writev,
        libc::SYS_pidfd_getfd,
        libc::SYS_kcmp,
        libc::SYS_mount,
        libc::SYS_umount2,
        libc::SYS_move_mount,
        libc::SYS_open_tree,
        libc::SYS_fsopen,
        libc::SYS_fsmount,
        libc::SYS_mount_setattr,
        libc::SYS_pivot_root,
        libc::SYS_chroot,
        libc::SYS_setns,
        libc::SYS_unshare,
        libc::SYS_bpf,
        libc::SYS_perf_event_open,
        libc::SYS_userfaultfd,
        libc::SYS_io_uring_setup,
        libc::SYS_io_uring_enter,
        libc::SYS_io_uring_register,
        libc::SYS_add_key,
        libc::SYS_request_key,
        libc::SYS_keyctl,
        libc::SYS_init_module,
        libc::SYS_finit_module,
        libc::SYS_delete_module,
        libc::SYS_kexec_load,
        libc::SYS_reboot,
        libc::SYS_swapon,
        libc::SYS_swapoff,
        libc::SYS_acct,
        libc::SYS_quotactl,
        libc::SYS_settimeofday,
        libc::SYS_clock_settime,
        libc::SYS_clock_adjtime,
        libc::SYS_adjtimex,
        libc::SYS_sethostname,
        libc::SYS_setdomainname,
        libc::SYS_name_to_handle_at,
        libc::SYS_open_by_handle_at,
        libc::SYS_fanotify_init,
        libc::SYS_lookup_dcookie,
        libc::SYS_vhangup,
    ];

    pub fn confine(files: &Files, how: Confine) -> Result<&'static str, String> {
        // First: the filter forbids nothing that Landlock takes.
        let landlock = match how {
            Confine::Files => confine_files(files).map_err(|err| format!("no Landlock: {err}")),
            Confine::Calls | Confine::CallsButNetworks => Ok(true),
        };
        confine_calls(how).map_err(|why| format!("no seccomp: {why}"))?;
        match landlock? {
            true => Ok("Landlock and seccomp"),
            false => Err("the kernel has no Landlock (5.13 and later have)".into()),
        }
    }

    fn confine_files(files: &Files) -> Result<bool, RulesetError> {
        let read = AccessFs::ReadFile | AccessFs::ReadDir;
        let write = read
            | AccessFs::WriteFile
            | AccessFs::Truncate
            | AccessFs::MakeReg
            | AccessFs::MakeDir
            | AccessFs::RemoveFile
            | AccessFs::RemoveDir;
        let confined = Ruleset::default()
            .set_compatibility(CompatLevel::BestEffort)
            .handle_access(AccessFs::from_all(ABI::V3))?
            .create()?
            .add_rules(path_beneath_rules(SYSTEM, read))?
            .add_rules(path_beneath_rules(["/dev/null"], read | AccessFs::WriteFile))?
            .add_rules(path_beneath_rules(&files.read, read))?
            .add_rules(path_beneath_rules(&files.write, write))?
            .restrict_self()?;
        Ok(confined.ruleset != RulesetStatus::NotEnforced)
    }

    fn confine_calls(how: Confine) -> Result<(), String> {
        let mut rules: BTreeMap<i64, _> = DENIED.iter().map(|call| (*call, vec![])).collect();
        if how == Confine::CallsButNetworks {
            // Its second argument says which kind of namespace the first must be.
            let (kind, other) = (libc::CLONE_NEWNET as u64, SeccompCmpOp::Ne);
            let is_other = SeccompCondition::new(1, SeccompCmpArgLen::Dword, other, kind);
            let rule = SeccompRule::new(vec![is_other.map_err(said)?]).map_err(said)?;
            rules.insert(libc::SYS_setns, vec![rule]);
        }
        let architecture = std::env::consts::ARCH.try_into().map_err(said)?;
        let denied = SeccompAction::Errno(libc::EPERM as u32);
        let filter = SeccompFilter::new(rules, SeccompAction::Allow, denied, architecture);
        let program: BpfProgram = filter.map_err(said)?.try_into().map_err(said)?;
        seccompiler::apply_filter(&program).map_err(said)
    }

    fn said(err: impl std::fmt::Display) -> String {
        err.to_string()
    }
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use std::fs;
    use std::io::ErrorKind;
    use std::process::Command;

    use super::*;

    #[test]
    fn a_confined_thread_opens_what_it_may_and_nothing_else() {
        let root = std::env::temp_dir().join(format!("perijove-sandbox-{}", std::process::id()));
        let [read, write, other] = ["read", "write", "other"].map(|name| root.join(name));
        for directory in [&read, &write, &other] {
            fs::create_dir_all(directory).unwrap();
            fs::write(directory.join("file"), "text").unwrap();
        }
        let files = Files { read: vec![read.clone()], write: vec![write.clone()] };
        let denied = |result: std::io::Result<()>| {
            result.is_err_and(|err| err.kind() == ErrorKind::PermissionDenied)
        };
        std::thread::scope(|scope| {
            scope.spawn(|| {
                assert_eq!(confine(&files, Confine::Files), Ok("Landlock and seccomp"));
                assert_eq!(fs::read_to_string(read.join("file")).unwrap(), "text");
                assert!(denied(fs::write(read.join("file"), "other")));
                fs::write(write.join("new"), "text").unwrap();
                fs::rename(write.join("new"), write.join("newer")).unwrap();
                fs::remove_file(write.join("newer")).unwrap();
                assert!(denied(fs::read_to_string(other.join("file")).map(drop)));
                assert!(denied(fs::write(other.join("new"), "text")));
                assert!(denied(fs::read_to_string("/proc/self/environ").map(drop)));
                // A program is started neither here nor in a thread that this one starts.
                let start = || Command::new("/bin/true").spawn().map(drop);
                assert!(denied(start()));
                assert!(std::thread::spawn(move || denied(start())).join().unwrap());
                // Names are resolved, and connections made, as before.
                let listener = std::net::TcpListener::bind("localhost:0").unwrap();
                std::net::TcpStream::connect(listener.local_addr().unwrap()).unwrap();
            });
        });
        // This one is as free as it was.
        assert!(fs::read_to_string(other.join("file")).is_ok());
        fs::remove_dir_all(&root).unwrap();
    }

    /// Of all namespaces, those of networks alone may be entered, where that is asked for.
    #[test]
    fn a_thread_that_enters_networks_enters_nothing_else() {
        use crate::base::sys;
        let own = |kind: &str| fs::File::open(format!("/proc/self/ns/{kind}")).unwrap();
        let may = sys::enter_network(&own("net")).is_ok();
        for (how, allowed) in [(Confine::Calls, false), (Confine::CallsButNetworks, may)] {
            let entered = std::thread::spawn(move || {
                confine(&Files::default(), how).unwrap();
                // Another kind fails in the kernel, whatever the filter says.
                (sys::enter_network(&own("net")).is_ok(), sys::enter_network(&own("uts")).is_ok())
            });
            assert_eq!(entered.join().unwrap(), (allowed, false), "{how:?}");
        }
    }

    #[test]
    fn a_thread_that_looks_at_processes_starts_none() {
        std::thread::spawn(|| {
            confine(&Files::default(), Confine::Calls).unwrap();
            assert!(fs::read_dir(std::env::temp_dir()).is_ok());
            let started = Command::new("/bin/true").spawn();
            assert_eq!(started.map(drop).unwrap_err().kind(), ErrorKind::PermissionDenied);
        })
        .join()
        .unwrap();
    }
}
