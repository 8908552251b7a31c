//! A child process whose output is read as it comes and that never outlives its test.

use std::io::Read;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use super::{DEADLINE, wait_for};

pub struct Process {
    child: Child,
    name: String,
    stdout: Captured,
    stderr: Captured,
}

/// How a process ended and everything it wrote.
#[derive(Debug)]
pub struct Finished {
    /// The exit code; -1 when a signal ended it.
    pub code: i32,
    pub stdout: String,
    pub stderr: String,
}

impl Process {
    pub fn start(command: &mut Command) -> Process {
        Process::start_reading(command, Stdio::null())
    }

    /// Starts it with this as its standard input.
    pub fn start_reading(command: &mut Command, stdin: impl Into<Stdio>) -> Process {
        let name = command.get_program().to_string_lossy().into_owned();
        command.stdin(stdin).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap_or_else(|e| panic!("cannot start {name}: {e}"));
        let stdout = Captured::follow(child.stdout.take().expect("stdout is piped"));
        let stderr = Captured::follow(child.stderr.take().expect("stderr is piped"));
        Process { child, name, stdout, stderr }
    }

    pub fn id(&self) -> u32 {
        self.child.id()
    }

    pub fn stdout(&self) -> String {
        self.stdout.text()
    }

    pub fn stderr(&self) -> String {
        self.stderr.text()
    }

    /// Waits until `probe` answers; a process that ends first fails the test with what it wrote.
    pub fn wait_for<T>(&mut self, what: &str, mut probe: impl FnMut(&Process) -> Option<T>) -> T {
        let deadline = Instant::now() + DEADLINE;
        loop {
            let status = self.status();
            if let Some(answer) = probe(self) {
                return answer;
            }
            if status.is_some() || Instant::now() >= deadline {
                let state = status.map_or("still runs".into(), |s| format!("ended with {s}"));
                panic!("{what}: not seen; {} {state}\n{}", self.name, self.output());
            }
            std::thread::sleep(Duration::from_millis(15));
        }
    }

    /// Waits for a text on the standard error output.
    pub fn wait_stderr(&mut self, text: &str) {
        self.wait_for(&format!("{text:?} on stderr"), |p| p.stderr().contains(text).then_some(()));
    }

    /// Its exit status, once it has ended and all that it wrote has been read.
    pub fn status(&mut self) -> Option<ExitStatus> {
        let status = self.child.try_wait().expect("wait for a child")?;
        wait_for("the end of a dead process's output", || {
            (self.stdout.ended() && self.stderr.ended()).then_some(())
        });
        Some(status)
    }

    /// Waits until it ends by itself.
    pub fn finish(self) -> Finished {
        self.finish_within(DEADLINE)
    }

    /// The same for what takes longer.
    pub fn finish_within(mut self, time: Duration) -> Finished {
        let deadline = Instant::now() + time;
        let status = loop {
            if let Some(status) = self.status() {
                break status;
            }
            assert!(Instant::now() < deadline, "{} does not end\n{}", self.name, self.output());
            std::thread::sleep(Duration::from_millis(5));
        };
        let code = status.code().unwrap_or(-1);
        Finished { code, stdout: self.stdout(), stderr: self.stderr() }
    }

    /// Sends a signal by its name, such as "TERM".
    pub fn signal(&self, name: &str) {
        signal(self.id(), name);
    }

    /// Kills it and all its descendants at once, as a power cut would.
    pub fn kill(&mut self) {
        if self.child.try_wait().is_ok_and(|status| status.is_some()) {
            return;
        }
        // The parent first, stopped, so that it starts no new child while the old ones die.
        signal(self.id(), "STOP");
        for id in descendants(self.id()) {
            signal(id, "KILL");
        }
        let _ = self.child.kill();
        let _ = self.child.wait();
    }

    fn output(&self) -> String {
        let tail = |text: String| {
            let lines: Vec<&str> = text.lines().collect();
            lines[lines.len().saturating_sub(40)..].join("\n")
        };
        format!("--- stdout\n{}\n--- stderr\n{}", tail(self.stdout()), tail(self.stderr()))
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.kill();
    }
}

/// Runs a command to its end, within the deadline.
pub fn run(command: &mut Command) -> Finished {
    Process::start(command).finish()
}

/// Signals a process; one that has gone is no error. There is no safe call for it in std, so that
/// the shell's own `kill` does it.
pub fn signal(id: u32, name: &str) {
    let _ = Command::new("sh")
        .args(["-c", &format!("kill -s {name} {id}")])
        .stderr(Stdio::null())
        .status()
        .expect("run sh");
}

/// The process ids of all descendants, by the kernel's list of processes.
pub fn descendants(ancestor: u32) -> Vec<u32> {
    let processes = with_parents();
    let mut found = vec![ancestor];
    let mut next = 0;
    while next < found.len() {
        let parent = found[next];
        found.extend(processes.iter().filter(|(_, p)| *p == parent).map(|(id, _)| *id));
        next += 1;
    }
    found.split_off(1)
}

/// Those of its children alone.
pub fn children(parent: u32) -> Vec<u32> {
    with_parents().iter().filter(|(_, of)| *of == parent).map(|(id, _)| *id).collect()
}

/// The processes that run, each with its parent.
fn with_parents() -> Vec<(u32, u32)> {
    let mut processes = Vec::new();
    for entry in std::fs::read_dir("/proc").expect("read /proc").flatten() {
        let Some(id) = entry.file_name().to_str().and_then(|name| name.parse::<u32>().ok()) else {
            continue;
        };
        // The second field, the program's name, may hold spaces and brackets: see proc_pid_stat(5).
        let stat = std::fs::read_to_string(entry.path().join("stat")).unwrap_or_default();
        let after_name = stat.rsplit(") ").next().unwrap_or_default();
        let mut fields = after_name.split(' ');
        let running = fields.next() != Some("Z");
        if let Some(parent) = fields.next().and_then(|field| field.parse::<u32>().ok())
            && running
        {
            processes.push((id, parent));
        }
    }
    processes
}

/// The most memory that a process ever had resident, in bytes.
pub fn peak_bytes(id: u32) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{id}/status")).expect("read /proc");
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).expect("VmHWM");
    line.trim().trim_end_matches(" kB").parse::<u64>().expect("kB") * 1024
}

/// What a pipe has given so far.
#[derive(Clone, Default)]
struct Captured(Arc<Mutex<(Vec<u8>, bool)>>);

impl Captured {
    fn follow(mut pipe: impl Read + Send + 'static) -> Captured {
        let captured = Captured::default();
        let writer = captured.clone();
        std::thread::spawn(move || {
            let mut buffer = [0; 64 * 1024];
            loop {
                let length = pipe.read(&mut buffer).unwrap_or(0);
                let mut state = writer.0.lock().expect("captured output");
                if length == 0 {
                    state.1 = true;
                    return;
                }
                state.0.extend_from_slice(&buffer[..length]);
            }
        });
        captured
    }

    fn text(&self) -> String {
        String::from_utf8_lossy(&self.0.lock().expect("captured output").0).into_owned()
    }

    fn ended(&self) -> bool {
        self.0.lock().expect("captured output").1
    }
}
