//! The map of a machine beside what ss says of the same sockets: five hosts in network namespaces,
//! one of them behind the address of another.

#[path = "../common/mod.rs"]
mod common;
mod lab;
#[path = "../series/mod.rs"]
mod series;

use std::collections::BTreeMap;

use common::needs::{ROOT, skips};
use common::perijove::perijove;
use common::process::{Process, peak_bytes, run};
use common::{free_port, wait_for};
use lab::{CLIENT, Lab, Mapped, SERVER};
use series::Series;

const NEEDS: &[&str] = &[ROOT, "ip", "ss", "nft", "python3", "curl", "setpriv"];

/// What a row of the map comes to: connections, bytes sent and received, segments sent again, and
/// the mean round trip in microseconds.
type Figures = (u32, u64, u64, u64, u64);

/// By direction, the other end's address, and the port of the server.
type Rows = BTreeMap<(String, String, u16), Figures>;

/// The rows that must be there, by the text of ss on a host whose server's port this is.
fn expected(text: &str, served: u16) -> Rows {
    let mut found: BTreeMap<_, Vec<Figures>> = BTreeMap::new();
    for line in text.lines().filter(|line| line.starts_with("ESTAB")) {
        let words: Vec<&str> = line.split_whitespace().collect();
        let split = |end: &str| {
            let (address, port) = end.rsplit_once(':').unwrap();
            (address.to_string(), port.parse::<u16>().unwrap())
        };
        let (local, remote) = (split(words[3]), split(words[4]));
        let is_served = local.1 == served;
        let direction = if is_served { "downstream" } else { "upstream" };
        let port = if is_served { local.1 } else { remote.1 };
        let value = |name: &str| words.iter().find_map(|word| word.strip_prefix(name));
        let number = |name: &str| value(name).map_or(0, |text| text.parse().unwrap());
        let again =
            value("retrans:").map_or(0, |text| text.rsplit('/').next().unwrap().parse().unwrap());
        let rtt_ms: f64 = value("rtt:").unwrap().split('/').next().unwrap().parse().unwrap();
        let rtt_us = (rtt_ms * 1000.0).round() as u64;
        let figures = (1, number("bytes_acked:"), number("bytes_received:"), again, rtt_us);
        found.entry((direction.to_string(), remote.0, port)).or_default().push(figures);
    }
    let sum = |all: Vec<Figures>| {
        let add = |a: Figures, b: &Figures| (a.0 + b.0, a.1 + b.1, a.2 + b.2, a.3 + b.3, a.4 + b.4);
        let all = all.iter().fold(Figures::default(), add);
        (all.0, all.1, all.2, all.3, (all.4 as f64 / f64::from(all.0)).round() as u64)
    };
    found.into_iter().map(|(key, all)| (key, sum(all))).collect()
}

/// The same rows by perijove's series.
fn mapped(all: &[Series]) -> Rows {
    let mut found = Rows::new();
    for series in all.iter().filter(|series| !series.label("direction").is_empty()) {
        let Some(name) = series.name.strip_prefix("perijove_dependency_") else { continue };
        let port = series.label("port").parse().unwrap();
        let key = (series.label("direction").into(), series.label("remote_address").into(), port);
        // Whoever asks for these series has a connection too.
        if series.label("remote_address") == "127.0.0.1" {
            continue;
        }
        let row = found.entry(key).or_default();
        let value = series.value as u64;
        match name {
            "connections" if series.label("state") == "established" => row.0 += value as u32,
            "sent_bytes_total" => row.1 += value,
            "received_bytes_total" => row.2 += value,
            "retransmits_total" => row.3 += value,
            "rtt_seconds" => row.4 += (series.value * 1e6).round() as u64,
            _ => {}
        }
    }
    found
}

fn ss(lab: &Lab, host: &str) -> String {
    lab.good(host, &["ss", "-tinapOH"])
}

#[test]
fn every_row_and_byte_is_what_ss_says() {
    if skips(NEEDS) {
        return;
    }
    let lab = Lab::start("bytes");
    let map = lab.perijove("a", "traffic = true\n");
    let _servers = ["a", "b"].map(|host| lab.python(host, SERVER, &["9000"]));
    // Segments that `b` loses are sent again by `a`.
    let rules = "table ip loss { chain in { type filter hook input priority filter; \
                 ip saddr 10.77.1.1 tcp sport != 9000 numgen random mod 16 == 0 drop; }; }";
    let rules = lab.directory.write("loss", rules);
    lab.good("b", &["nft", "-f", rules.to_str().unwrap()]);
    let call = |host: &str, to: &str, sends: u32, wants: u32, count: u32| {
        let numbers = [sends, wants, count].map(|number| number.to_string());
        let [sends, wants, count] = numbers.each_ref().map(String::as_str);
        lab.python(host, CLIENT, &[to, "9000", sends, wants, count])
    };
    let _clients = [
        call("b", "10.77.1.1", 100_000, 5_000_000, 3),
        call("c", "10.77.1.1", 70, 0, 20),
        call("d", "10.77.1.1", 1, 2, 1),
        // Behind the address of `d`.
        call("e", "10.77.1.1", 3_000, 40_000, 2),
        call("a", "10.77.1.2", 2_000_000, 1_000, 4),
    ];
    let rows = wait_for("what ss says", || {
        let before = expected(&ss(&lab, "a"), 9000);
        map.read_again();
        let rows = mapped(&map.scrape());
        let after = expected(&ss(&lab, "a"), 9000);
        (before == after && rows == before).then_some(rows)
    });
    let row = |direction: &str, remote: &str| rows[&(direction.into(), remote.into(), 9000)];
    assert_eq!(rows.len(), 4, "{rows:?}");
    let up = row("upstream", "10.77.1.2");
    assert!(up.1 > 8_000_000 && up.3 > 0, "{up:?}");
    assert_eq!(row("downstream", "10.77.1.4").0, 3, "of `d` and `e`");
    assert_eq!(row("downstream", "10.77.1.3").0, 20);
    // By peer it is the same, whoever called.
    let all = map.scrape();
    for (direction, of) in [("egress", 1), ("ingress", 2)] {
        let is_it = |s: &&Series| {
            s.name == "planet_traffic_bytes_total"
                && s.label("remote_ip") == "10.77.1.2"
                && s.label("direction") == direction
        };
        let sum = all.iter().find(is_it).unwrap().value as u64;
        let [up, down] = ["upstream", "downstream"].map(|way| row(way, "10.77.1.2"));
        let both = [(up.1 + down.1), (up.2 + down.2)];
        assert_eq!(sum, both[of - 1], "{direction}");
    }
    // What has ended keeps its sums; nothing falls.
    drop(_clients);
    wait_for("the end of all of them", || {
        ss(&lab, "a").lines().all(|l| !l.starts_with("ESTAB")).then_some(())
    });
    map.read_again();
    let left = mapped(&map.scrape());
    for (key, before) in &rows {
        let after = left[key];
        assert!(after.1 >= before.1 && after.2 >= before.2 && after.3 >= before.3, "{key:?}");
        assert!(after.1 <= before.1 + 100, "{key:?} {before:?} {after:?}");
        assert_eq!(after.0, 0, "{key:?}");
    }
}

/// Ten of ten peers of connections that live for milliseconds, and each of their bytes.
#[test]
fn connections_between_two_readings_are_counted() {
    if skips(NEEDS) {
        return;
    }
    const CALL: &str = "
import socket
for call in range(50):
    peer = socket.create_connection(('10.77.1.%d' % (21 + call % 10), 9100))
    peer.sendall(b'1 3\\nx')
    while peer.recv(10): pass
    peer.close()
print('ready', flush=True)
";
    let lab = Lab::start("short");
    for last in 21..31 {
        lab.ip("b", &format!("address add 10.77.1.{last}/24 dev eth0"));
    }
    let _server = lab.python("b", SERVER, &["9100", "close"]);
    let [map, served] = ["a", "b"].map(|host| lab.perijove(host, ""));
    lab.python("a", CALL, &[]);
    // Each of them sent 5 bytes and got 3; the kernel acknowledges the beginning of a connection,
    // and its end, as a byte each.
    let peers: Vec<String> = (21..31).map(|last| format!("10.77.1.{last}")).collect();
    let key = |peer: &String| ("upstream".into(), peer.clone(), 9100);
    wait_for("all calls", || {
        let rows = mapped(&map.scrape());
        let is_whole = |row: &Figures| row.1 >= 5 * 5 && row.2 >= 5 * 3;
        peers.iter().all(|peer| rows.get(&key(peer)).is_some_and(is_whole)).then_some(())
    });
    map.read_again();
    let rows = mapped(&map.scrape());
    for peer in &peers {
        let (_, sent, received, _, _) = rows[&key(peer)];
        assert!((5 * 5..=5 * 7).contains(&sent), "{peer} {sent}");
        assert!((5 * 3..=5 * 4).contains(&received), "{peer} {received}");
    }
    assert_eq!(rows.len(), peers.len(), "{rows:?}");
    // At the other end they are all one peer's.
    let key = ("downstream".into(), "10.77.1.1".into(), 9100);
    let down = wait_for("all calls at the other end", || {
        mapped(&served.scrape()).get(&key).copied().filter(|row| row.2 >= 50 * 5)
    });
    assert!((50 * 5..=50 * 6).contains(&down.2), "{down:?}");
    assert_eq!(map.of_source("lost_ends_total"), 0.0);
}

/// An upstream that does not answer, and connections that a program forgets to close.
#[test]
fn connections_are_counted_by_state() {
    if skips(NEEDS) {
        return;
    }
    const LEAK: &str = "
import signal, socket
leaks = [socket.create_connection(('10.77.1.2', 9000)) for _ in range(3)]
for leak in leaks:
    leak.sendall(b'0 0\\n')
calls = []
for _ in range(2):
    call = socket.socket()
    call.setblocking(False)
    call.connect_ex(('10.77.1.99', 443))
    calls.append(call)
print('ready', flush=True)
signal.pause()
";
    let lab = Lab::start("states");
    let _server = lab.python("b", SERVER, &["9000", "close"]);
    // Nobody says that there is nobody.
    lab.ip("a", "neighbour add 10.77.1.99 lladdr 02:00:00:00:00:99 dev eth0");
    let map = lab.perijove("a", "");
    let _leak = lab.python("a", LEAK, &[]);
    let of = |all: &[Series], port: &str, state: &str| -> Vec<(String, f64)> {
        let is_it = |s: &&Series| {
            s.name == "perijove_dependency_connections"
                && s.label("port") == port
                && s.label("state") == state
        };
        all.iter().filter(is_it).map(|s| (s.label("process_name").to_string(), s.value)).collect()
    };
    let all = wait_for("leaks and calls", || {
        let all = map.scrape();
        let sum = |found: Vec<(String, f64)>| found.iter().map(|(_, count)| count).sum::<f64>();
        let counts = (sum(of(&all, "9000", "close_wait")), sum(of(&all, "443", "syn_sent")));
        (counts == (3.0, 2.0)).then_some(all)
    });
    let text = ss(&lab, "a");
    let count = |state: &str, port: &str| {
        let is_it = |line: &&str| line.starts_with(state) && line.contains(&format!(":{port} "));
        text.lines().filter(is_it).count() as f64
    };
    let python = all.iter().find(|s| s.label("port") == "443").unwrap().label("process_name");
    assert!(python.starts_with("python"), "{python}");
    let (calls, leaks) = (count("SYN-SENT", "443"), count("CLOSE-WAIT", "9000"));
    assert_eq!(of(&all, "443", "syn_sent"), [(python.to_string(), calls)]);
    assert_eq!(of(&all, "9000", "close_wait"), [(python.to_string(), leaks)]);
    assert_eq!((calls, leaks), (2.0, 3.0));
    // Whoever never answered is no dependency; it has been tried since some moment.
    assert!(!all.iter().any(|s| s.name == "planet_upstream" && s.label("port") == "443"));
    let seen = |name: &str| {
        let name = format!("perijove_dependency_{name}_seen_timestamp_seconds");
        let is_it = |s: &&Series| s.name == name && s.label("port") == "443";
        all.iter().find(is_it).unwrap().value
    };
    let now = common::now_ns() as f64 / 1e9;
    assert!(seen("first") <= seen("last") && seen("last") <= now && seen("first") > now - 600.0);
}

/// A thousand connections a second: each is counted, and memory stays as it is.
#[test]
fn memory_is_flat_while_connections_come_and_go() {
    if skips(NEEDS) {
        return;
    }
    const CHURN: &str = "
import socket, sys, time
started = time.time()
until = started + float(sys.argv[1])
calls = 0
while time.time() < until:
    peer = socket.create_connection(('10.77.1.2', 9100))
    peer.recv(1)
    peer.close()
    calls += 1
    time.sleep(max(0, started + calls / 1000 - time.time()))
print('ready', calls, flush=True)
";
    const SINK: &str = "
import socket
server = socket.create_server(('0.0.0.0', 9100), backlog=4096)
print('ready', flush=True)
while True:
    server.accept()[0].close()
";
    let lab = Lab::start("churn");
    let _sink = lab.python("b", SINK, &[]);
    let map = lab.perijove("a", "");
    lab.python("a", CHURN, &["5"]);
    map.read_again();
    let before = peak_bytes(map.process.id());
    let calls = lab.python("a", CHURN, &["15"]).stdout();
    let calls: u64 = calls.split(' ').nth(1).unwrap().trim().parse().unwrap();
    map.read_again();
    let after = peak_bytes(map.process.id());
    assert!(after < before + (3 << 20), "{before} bytes, and {after} after {calls} calls");
    // The beginning of each is a byte that was acknowledged.
    let sent = mapped(&map.scrape())[&("upstream".into(), "10.77.1.2".into(), 9100)].1;
    let lost = map.of_source("lost_ends_total");
    assert!(sent >= calls || lost > 0.0 && sent > calls / 2, "{sent} of {calls}, lost {lost}");
}

/// A machine with containers: each has a network of its own, and perijove is in none of them.
#[test]
fn the_networks_of_containers_are_read() {
    if skips(NEEDS) {
        return;
    }
    let lab = Lab::start("containers");
    let _server = lab.python("b", SERVER, &["9000"]);
    // It is `a` that is the machine; the network of `c` is a container's on it.
    let map = lab.perijove("a", "who = true\n");
    let _client = lab.python("c", CLIENT, &["10.77.1.2", "9000", "3000", "500", "4"]);
    let find = |all: &[Series], name: &str, local: &str, remote: &str| {
        let is_it = |s: &&Series| {
            s.name == name
                && s.label("port") == "9000"
                && s.label("local_address") == local
                && s.label("remote_address") == remote
        };
        all.iter().find(is_it).map(|series| series.value)
    };
    let sent = "perijove_dependency_sent_bytes_total";
    let all = wait_for("both ends", || {
        let all = map.scrape();
        let is_there = |local, remote| find(&all, sent, local, remote) > Some(0.0);
        (is_there("10.77.1.3", "10.77.1.2") && is_there("10.77.1.2", "10.77.1.3")).then_some(all)
    });
    // Each end is in its own network, with that one's address; the bytes are those of ss there.
    for (host, local, remote, of) in
        [("c", "10.77.1.3", "10.77.1.2", "upstream"), ("b", "10.77.1.2", "10.77.1.3", "downstream")]
    {
        let rows = expected(&ss(&lab, host), 9000);
        let way = if of == "upstream" { "planet_upstream" } else { "planet_downstream" };
        assert_eq!(find(&all, way, local, remote), Some(1.0), "{host}");
        // The client of `c` is no server, whatever port it has.
        let key = (of.to_string(), remote.to_string(), 9000);
        wait_for("the bytes of ss", || {
            let found = find(&map.scrape(), sent, local, remote);
            (found == Some(rows[&key].1 as f64)).then_some(())
        });
    }
    // Without the right to enter them, its own is read all the same, and that is said once.
    let plain = perijove(&[]);
    let program = plain.get_program().to_str().unwrap();
    let settings = lab.directory.write("once.toml", "[dependency]\n");
    let drop = ["setpriv", "--bounding-set=-sys_admin", program, "check"];
    let words = [&drop[..], &["--config", settings.to_str().unwrap()]].concat();
    let finished = run(&mut lab.command("a", &words));
    assert_eq!(finished.code, 0, "{finished:?}");
    let said = "network namespaces of other processes are not read (setns: Operation not permitted";
    assert_eq!(finished.stdout.matches(said).count(), 1, "{finished:?}");
    assert_eq!(finished.stderr.matches(said).count(), 1, "{finished:?}");
    let settings = lab.directory.write("off.toml", "[dependency.sockets]\nnamespaces = false\n");
    let words = [&drop[..], &["--config", settings.to_str().unwrap()]].concat();
    let finished = run(&mut lab.command("a", &words));
    assert!(!format!("{finished:?}").contains("namespaces"), "{finished:?}");
}

/// A process that may not be looked into, and one that cannot be seen at all, has no name; how many
/// sockets have none, and why, is in the log, in a metric and in what `check` says.
#[test]
fn sockets_without_a_name_are_counted_and_explained() {
    if skips(NEEDS) {
        return;
    }
    let lab = Lab::start("nameless");
    let _server = lab.python("b", SERVER, &["9000"]);
    let plain = perijove(&[]);
    let program = plain.get_program().to_str().unwrap();
    let port = free_port();
    let settings = format!(
        "self_interval = \"200ms\"\n[output.prometheus]\nlisten = \"127.0.0.1:{port}\"\n\
         [dependency.sockets]\ninterval = \"300ms\"\nnamespaces = false\n"
    );
    let settings = lab.directory.write("nameless.toml", settings);
    let settings = settings.to_str().unwrap();
    // Root itself may look only into processes that have no more capabilities than it has.
    let weak = ["setpriv", "--bounding-set=-sys_ptrace"];
    let words = [&weak[..], &[program, "check", "--config", settings]].concat();
    let finished = run(&mut lab.command("b", &words));
    assert_eq!(finished.code, 0, "{finished:?}");
    let why = "processes of others may not be looked into: perijove needs the capabilities";
    for text in [&finished.stdout, &finished.stderr] {
        assert!(text.contains("1 sockets have no process name: ") && text.contains(why), "{text}");
    }
    // The group of root may see all of them.
    let outside = "--regid=65534 --clear-groups";
    let hidden = format!(
        "mount -t proc -o hidepid=2 proc /proc && exec {} {outside} {program} check \
         --config {settings}",
        weak.join(" ")
    );
    let words = ["unshare", "--mount", "sh", "-c", &hidden];
    let finished = run(&mut lab.command("b", &words));
    assert_eq!(finished.code, 0, "{finished:?}");
    assert!(finished.stdout.contains("1 sockets have no process name: "), "{finished:?}");
    assert!(finished.stdout.contains("hidepid"), "{finished:?}");
    // The daemon says it once, and counts.
    let words = [&weak[..], &[program, "run", "--config", settings]].concat();
    let process = Process::start(&mut lab.command("b", &words));
    let mut map = Mapped { lab: &lab, host: "b".into(), port, process };
    wait_for("the first reading", || (map.runs() > 0.0).then_some(()));
    // Whoever asks for the series may have a connection at that moment.
    let counted = map.of_source("nameless_sockets");
    assert!((1.0..=3.0).contains(&counted), "{counted}");
    map.read_again();
    map.process.signal("TERM");
    map.process.wait_for("its end", |process| {
        process.stderr().contains("sockets have no process name").then_some(())
    });
    assert_eq!(map.process.stderr().matches("sockets have no process name").count(), 1);
}

/// darkstat counts packets, with their headers; the kernel counts what the connections carried.
#[test]
fn darkstat_and_the_kernel_agree() {
    if skips(&[NEEDS, &["darkstat"]].concat()) {
        return;
    }
    let lab = Lab::start("darkstat");
    let port = free_port().to_string();
    let darkstat = common::darkstat();
    let listens = [darkstat.to_str().unwrap(), "-i", "eth0", "-p", &port, "-b", "127.0.0.1"];
    let how = ["-f", "port 9000", "--no-daemon", "--no-dns", "--no-promisc"];
    let _darkstat = Process::start(&mut lab.command("a", &[&listens[..], &how].concat()));
    let url = format!("http://127.0.0.1:{port}/metrics");
    let ask = || run(&mut lab.command("a", &["curl", "-s", &url])).stdout;
    wait_for("darkstat", || ask().contains("host_bytes_total").then_some(()));
    // Bytes that `a` has sent to `b`, and got from it.
    let counted = || {
        let all = series::read(&ask());
        ["in", "out"].map(|way| {
            let is_it = |s: &&Series| {
                s.name == "host_bytes_total"
                    && s.label("ip") == "10.77.1.2"
                    && s.label("dir") == way
            };
            all.iter().find(is_it).map_or(0.0, |series| series.value)
        })
    };
    let map = lab.perijove("a", "traffic = true\n");
    let kernel = || {
        let all = map.scrape();
        ["egress", "ingress"].map(|way| {
            let is_it = |s: &&Series| {
                s.name == "planet_traffic_bytes_total"
                    && s.label("remote_ip") == "10.77.1.2"
                    && s.label("direction") == way
            };
            all.iter().find(is_it).map_or(0.0, |series| series.value)
        })
    };
    let _server = lab.python("b", SERVER, &["9000"]);
    let _client = lab.python("a", CLIENT, &["10.77.1.2", "9000", "8000000", "12000000", "3"]);
    // darkstat gets packets by blocks of half a second: its last figures are those that stay.
    let (by_darkstat, by_kernel) = wait_for("all bytes", || {
        let before = (counted(), kernel());
        map.read_again();
        map.read_again();
        let after = (counted(), kernel());
        let is_all = after.0[0] >= 24e6 && after.0[1] >= 36e6 && after.1[1] >= 36e6;
        (before == after && is_all).then_some(after)
    });
    for (darkstat, kernel) in by_darkstat.into_iter().zip(by_kernel) {
        let of = darkstat / kernel;
        assert!((0.98..1.02).contains(&of), "{of}: {by_darkstat:?} and {by_kernel:?}");
    }
}

/// `e` asks `a` from behind the address of `d`: each of the two reports an end that the other does
/// not know. What `b` and `d` ask for themselves is known at both ends.
#[cfg(feature = "federation")]
#[test]
fn an_address_in_between_makes_two_ends_one_sided() {
    if skips(&[NEEDS, &["prometheus", "promtool"]].concat()) {
        return;
    }
    let lab = Lab::start("ends");
    let inventory = lab.directory.write(
        "inventory.json",
        [("10.77.1.1", "web"), ("10.77.1.2", "db"), ("10.77.1.4", "gate"), ("10.77.2.2", "inner")]
            .map(|(address, group)| {
                format!(
                    "{{\"ip_address\":\"{address}\",\"domain\":\"{group}.example\",\
                     \"hostgroup\":\"{group}\"}}\n"
                )
            })
            .concat(),
    );
    let more = format!("[dependency.inventory]\nfile = {inventory:?}\nformat = \"ndjson\"\n");
    let maps = ["a", "b", "d", "e"].map(|host| lab.perijove(host, &more));
    let _servers = ["a", "b"].map(|host| lab.python(host, SERVER, &["9000"]));
    let _clients = [("e", "10.77.1.1"), ("b", "10.77.1.1"), ("d", "10.77.1.2")]
        .map(|(host, to)| lab.python(host, CLIENT, &[to, "9000", "1", "1", "1"]));
    let ends = ["planet_upstream{", "planet_downstream{"];
    let named = |map: &Mapped| -> Vec<String> {
        let url = format!("http://127.0.0.1:{}/metrics", map.port);
        let text = run(&mut lab.command(&map.host, &["curl", "-s", &url])).stdout;
        let is_named = |line: &&str| {
            ends.iter().any(|end| line.starts_with(end))
                && line.contains("port=\"9000\"")
                && !line.contains("hostgroup=\"\"")
        };
        text.lines().filter(is_named).map(str::to_string).collect()
    };
    // `a` is asked by two; `b` asks and is asked.
    let found = wait_for("both ends of each", || {
        let found = maps.each_ref().map(named);
        let counts = found.each_ref().map(Vec::len);
        (counts == [2, 2, 1, 1]).then_some(found)
    });
    // Ten minutes of them.
    let end = common::now_ns() / 1_000_000_000 / 300 * 300 - 300;
    let mut text = String::new();
    for name in ends {
        text += &format!("# TYPE {} gauge\n", name.trim_end_matches('{'));
        for time in (end - 600..=end).step_by(60) {
            for line in found.iter().flatten().filter(|line| line.starts_with(name)) {
                text += &format!("{line} {time}\n");
            }
        }
    }
    let source = common::prometheus::Prometheus::with_history(&(text + "# EOF\n"));
    let path = lab.directory.path().to_str().unwrap();
    let progress = format!("one_sided stdout {}\n", (end - 90) * 1000);
    std::fs::create_dir_all(lab.directory.join("state")).unwrap();
    lab.directory.write("state/federate.progress", progress);
    let settings = format!(
        "state_directory = \"{path}/state\"\n[output.stdout]\n[federate]\nurl = \"{}\"\n\
         every = \"30s\"\noffset = \"75s\"\n",
        source.url()
    );
    let settings = lab.directory.write("federate.toml", settings);
    let once = run(perijove(&["federate", "--once", "--config"]).arg(settings));
    assert_eq!(once.code, 0, "{once:?}");
    let printed = common::lines::read(&once.stdout);
    let tags = ["service", "remote_service", "port", "end", "reason"];
    let of_ends = printed.iter().filter(|line| line.measurement == "one_sided");
    let rows: std::collections::BTreeSet<String> =
        of_ends.map(|line| tags.map(|tag| line.tag(tag)).join(" ")).collect();
    let expected = ["inner web 9000 upstream not_seen", "web gate 9000 downstream not_seen"];
    assert_eq!(rows, expected.map(String::from).into(), "{found:?}");
}
