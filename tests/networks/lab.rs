//! Hosts in network namespaces, what runs on them, and perijove there.

use std::process::Command;

use crate::common::perijove::perijove;
use crate::common::process::{Finished, Process, run};
use crate::common::temporary::Directory;
use crate::common::{free_port, program, wait_for};
use crate::series::{self, Series};

/// Takes connections at a port of all addresses: each says how much it sends and how much it wants.
pub const SERVER: &str = "
import socket, sys, threading
server = socket.create_server(('0.0.0.0', int(sys.argv[1])), backlog=4096)
print('ready', flush=True)
def serve(peer):
    text = peer.makefile('rb')
    sends, wants = map(int, text.readline().split())
    text.read(sends)
    peer.sendall(b'y' * wants)
    if len(sys.argv) > 2:
        return peer.close()
    text.read()
while True:
    peer, _ = server.accept()
    threading.Thread(target=serve, args=(peer,), daemon=True).start()
";

/// Makes connections to an address and a port, which send and want so much, and keeps them.
pub const CLIENT: &str = "
import signal, socket, sys, time
address, port, sends, wants, count = sys.argv[1], *map(int, sys.argv[2:])
kept = []
for _ in range(count):
    peer = socket.create_connection((address, port))
    peer.sendall(b'%d %d\\n' % (sends, wants) + b'x' * sends)
    left = wants
    while left:
        left -= len(peer.recv(min(left, 1 << 20)))
    kept.append(peer)
    time.sleep(0.02)
print('ready', flush=True)
signal.pause()
";

/// Hosts of their own network each, named by letters: `a` to `d` on one switch with the addresses
/// 10.77.1.1 to 10.77.1.4, and `e` behind `d`, which gives it its own address (NAT).
pub struct Lab {
    prefix: String,
    pub directory: Directory,
}

pub const HOSTS: [&str; 6] = ["s", "a", "b", "c", "d", "e"];

impl Lab {
    pub fn start(name: &str) -> Lab {
        let prefix = format!("perijove-{name}-{}", std::process::id());
        let lab = Lab { prefix, directory: Directory::new() };
        for host in HOSTS {
            ip(&["netns", "add", &lab.name(host)]);
            lab.ip(host, "link set lo up");
        }
        lab.ip("s", "link add switch type bridge");
        lab.ip("s", "link set switch up");
        for (at, host) in HOSTS[1..5].iter().enumerate() {
            let port = format!("port-{host}");
            lab.wire("s", &port, host, "eth0");
            lab.ip("s", &format!("link set {port} master switch"));
            lab.ip(host, &format!("address add 10.77.1.{}/24 dev eth0", at + 1));
        }
        lab.wire("d", "inner", "e", "eth0");
        lab.ip("d", "address add 10.77.2.1/24 dev inner");
        lab.ip("e", "address add 10.77.2.2/24 dev eth0");
        lab.ip("e", "route add default via 10.77.2.1");
        let rules = "table ip nat { chain post { type nat hook postrouting priority srcnat; \
                     oifname \"eth0\" masquerade; }; }";
        let rules = lab.directory.write("nat", rules);
        lab.good("d", &["sh", "-c", "echo 1 > /proc/sys/net/ipv4/ip_forward"]);
        lab.good("d", &["nft", "-f", rules.to_str().unwrap()]);
        lab
    }

    pub fn name(&self, host: &str) -> String {
        format!("{}-{host}", self.prefix)
    }

    pub fn ip(&self, host: &str, words: &str) {
        let (name, words): (_, Vec<&str>) = (self.name(host), words.split(' ').collect());
        ip(&[&["-n", &name], &words[..]].concat());
    }

    pub fn wire(&self, one: &str, end: &str, other: &str, other_end: &str) {
        let [first, second] = [one, other].map(|host| self.name(host));
        let peer = ["type", "veth", "peer", "name", other_end, "netns", &second];
        ip(&[&["link", "add", "name", end, "netns", &first], &peer[..]].concat());
        self.ip(one, &format!("link set {end} up"));
        self.ip(other, &format!("link set {other_end} up"));
    }

    pub fn command(&self, host: &str, words: &[&str]) -> Command {
        let mut command = Command::new(program("ip"));
        command.args(["netns", "exec", &self.name(host)]).args(words);
        command
    }

    /// Runs a command on a host; it must succeed.
    pub fn good(&self, host: &str, words: &[&str]) -> String {
        let finished: Finished = run(&mut self.command(host, words));
        assert_eq!(finished.code, 0, "{words:?} {finished:?}");
        finished.stdout
    }

    /// Starts a script that says when it is ready.
    pub fn python(&self, host: &str, script: &str, arguments: &[&str]) -> Process {
        let words = [&["python3", "-c", script], arguments].concat();
        let mut process = Process::start(&mut self.command(host, &words));
        process.wait_for("a script that is ready", |p| p.stdout().contains("ready").then_some(()));
        process
    }

    /// Only what the test asks for is read of other namespaces: each test has some.
    pub fn perijove(&self, host: &str, settings: &str) -> Mapped<'_> {
        let is_set = settings.contains("who = true");
        let namespaces = if is_set { "" } else { "namespaces = false\n" };
        let port = free_port();
        let settings = format!(
            "self_interval = \"200ms\"\n[output.prometheus]\nlisten = \"127.0.0.1:{port}\"\n\
             expire_intervals = 1000\n[dependency]\nname = \"{host}\"\n\
             [dependency.sockets]\ninterval = \"300ms\"\n{namespaces}{settings}"
        );
        let file = self.directory.write(&format!("{host}-{port}.toml"), settings);
        let plain = perijove(&[]);
        let words = [plain.get_program().to_str().unwrap(), "run", "--config"];
        let mut command = self.command(host, &words);
        let mapped = Mapped {
            lab: self,
            host: host.into(),
            port,
            process: Process::start(command.arg(file)),
        };
        wait_for("the first reading", || (mapped.runs() > 0.0).then_some(()));
        mapped
    }
}

fn ip(words: &[&str]) {
    let finished = run(Command::new(program("ip")).args(words));
    assert_eq!(finished.code, 0, "{words:?} {finished:?}");
}

impl Drop for Lab {
    fn drop(&mut self) {
        for host in HOSTS {
            let _ = Command::new(program("ip")).args(["netns", "del", &self.name(host)]).status();
        }
    }
}

/// A perijove on a host.
pub struct Mapped<'a> {
    pub lab: &'a Lab,
    pub host: String,
    pub port: u16,
    pub process: Process,
}

impl Mapped<'_> {
    pub fn scrape(&self) -> Vec<Series> {
        let url = format!("http://127.0.0.1:{}/metrics", self.port);
        let finished = run(&mut self.lab.command(&self.host, &["curl", "-s", &url]));
        series::read(&finished.stdout)
    }

    pub fn of_source(&self, name: &str) -> f64 {
        let name = format!("perijove_dependency_{name}");
        let is_it = |s: &&Series| s.name == name && s.label("source") == "dependency_sockets";
        self.scrape().iter().find(is_it).map_or(0.0, |series| series.value)
    }

    pub fn runs(&self) -> f64 {
        self.of_source("runs_total")
    }

    /// Waits for two more readings.
    pub fn read_again(&self) {
        let before = self.runs();
        wait_for("another reading", || (self.runs() >= before + 2.0).then_some(()));
    }
}
