//! Two machines that tell of their dependencies and traffic under planet-exporter's names.

use std::time::Instant;

use super::http_stub::{HttpStub, Reply};
use super::temporary::Directory;

/// A machine of the service `web` that asks `db`, and a second one with other peers.
pub fn exporters() -> [HttpStub; 2] {
    let machine = |number: u32| {
        let begun = Instant::now();
        HttpStub::start(move |_, _| {
            let text = exposition(number, begun.elapsed().as_secs_f64());
            Reply::Answer(200, &[("Content-Type", "text/plain; version=0.0.4")], text)
        })
    };
    [machine(1), machine(2)]
}

/// What such a machine says so long after it began.
pub fn exposition(number: u32, seconds: f64) -> String {
    let mut text = String::new();
    let me = "local_hostgroup=\"web\",local_domain=\"web.example\"";
    // Two addresses of one peer are one row; the next ones are left out.
    for (remote, ip, rate) in [
        ("db\",remote_domain=\"db.example", "10.0.0.1", 100_000),
        ("db\",remote_domain=\"db.example", "10.0.0.2", 20_000),
        ("files\",remote_domain=\"front \\\"x\\\".example", "10.0.1.1", 7_000 * number),
        ("quiet\",remote_domain=\"quiet.example", "10.0.2.1", 50),
        ("\",remote_domain=\"", "192.0.2.1", 50_000),
        ("cloud\",remote_domain=\"metadata", "169.254.169.254", 50_000),
    ] {
        for (direction, share) in [("ingress", 1.0), ("egress", 0.25)] {
            // One counter begins again after a while.
            let seconds = if number == 2 && seconds > 4.0 { seconds - 4.0 } else { seconds };
            let bytes = (f64::from(rate) * share * seconds).round() + 1e6;
            for metric in ["planet_traffic_bytes_total", "planet_ebpf_traffic_bytes_total"] {
                text += &format!(
                    "{metric}{{direction=\"{direction}\",{me},remote_hostgroup=\"{remote}\",\
                     remote_ip=\"{ip}\"}} {bytes}\n"
                );
            }
        }
    }
    let me = "local_hostgroup=\"web\",local_address=\"web.example\"";
    for (remote, port, process) in [
        ("db\",remote_address=\"db.example", 5432, "app"),
        ("db\",remote_address=\"10.0.0.7", 5432, "app"),
        ("log\",remote_address=\"log.example", 6514 + number, "rsyslogd"),
        ("dns\",remote_address=\"dns.example", 53, "resolved"),
        ("db\",remote_address=\"late.example", 5432, ""),
    ] {
        for metric in ["planet_upstream", "planet_downstream"] {
            text += &format!(
                "{metric}{{{me},remote_hostgroup=\"{remote}\",port=\"{port}\",\
                 protocol=\"tcp\",process_name=\"{process}\"}} 1\n"
            );
        }
    }
    text
}

/// A machine as Linux shows it below `proc`: its processes and their TCP connections.
pub struct Machine {
    pub directory: Directory,
    rows: String,
    processes: u32,
}

impl Machine {
    pub fn new() -> Machine {
        let directory = Directory::new();
        let heading = "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt";
        let rows = format!("{heading}   uid  timeout inode\n");
        Machine { directory, rows, processes: 1 }
    }

    /// A process with sockets from one end to the other; a listening one has no other end.
    pub fn process(mut self, name: &str, sockets: &[(&str, &str)]) -> Machine {
        self.processes += 1;
        let folder = self.directory.join(&format!("proc/{}", self.processes));
        std::fs::create_dir_all(folder.join("fd")).expect("a folder");
        std::fs::write(folder.join("comm"), format!("{name}\n")).expect("a file");
        // proc_pid_stat(5): number, name, state; one thread; when it started.
        let zeroes = "0 ".repeat(16);
        let stat = format!("{} ({name}) S {zeroes}1 0 100 0 0\n", self.processes);
        std::fs::write(folder.join("stat"), stat).expect("a file");
        for (number, (local, remote)) in sockets.iter().enumerate() {
            let inode = self.processes as usize * 1000 + number;
            let state = if remote.is_empty() { "0A" } else { "01" };
            let remote = if remote.is_empty() { "0.0.0.0:0" } else { remote };
            let ends = format!("{} {}", kernels(local), kernels(remote));
            let rest = "00000000:00000000 00:00000000 00000000     0        0";
            self.rows += &format!("{number:4}: {ends} {state} {rest} {inode} 1\n");
            let descriptor = folder.join(format!("fd/{number}"));
            std::os::unix::fs::symlink(format!("socket:[{inode}]"), descriptor).expect("a link");
        }
        let network = self.directory.join("proc/1/net");
        std::fs::create_dir_all(&network).expect("a folder");
        std::fs::write(network.join("tcp"), &self.rows).expect("a file");
        self
    }
}

/// `10.9.0.1:80` as /proc/net/tcp has it.
fn kernels(end: &str) -> String {
    let end: std::net::SocketAddrV4 = end.parse().expect("an address and a port");
    format!("{:08X}:{:04X}", u32::from_ne_bytes(end.ip().octets()), end.port())
}
