//! Bytes by peer: darkstat's and ebpf_exporter's, of stand-ins and of a real darkstat.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use crate::common::http_stub::{HttpStub, Reply};
use crate::common::needs::skips;
use crate::common::perijove::{Daemon, run_with};
use crate::common::process::{Process, peak_bytes};
use crate::common::{free_port, http_agent, wait_for, wait_for_within};
use crate::{common, get, named, of_source, once, once_finished, scrape, served};

/// Defects 3 and 4: any of the families will do, and a peer's rows are added up.
#[test]
fn ebpf_families_are_summed_and_none_is_needed() {
    for (sample, six) in [
        (include_str!("../samples/ebpf.prom"), true),
        (include_str!("../samples/ebpf-v4only.prom"), false),
    ] {
        let stub = HttpStub::start(move |_, _| Reply::message(200, sample));
        let sockets = "[dependency.sockets]\nmachine = false\n";
        let all = once(&format!("{sockets}[dependency.ebpf]\nurl = \"{}\"\n", stub.url()));
        let bytes = |ip: &str, direction: &str| {
            let found = named(&all, "planet_ebpf_traffic_bytes_total");
            let found = found.iter().find(|series| {
                series.label("remote_ip") == ip && series.label("direction") == direction
            });
            found.map(|series| series.value)
        };
        assert_eq!(bytes("10.2.3.4", "egress"), Some(500.0));
        assert_eq!(bytes("10.2.3.4", "ingress"), Some(5120.0));
        assert_eq!(bytes("2001:db8::9", "egress"), six.then_some(800.0));
    }
}

/// A right answer without a row of any peer is said: the wrong tables are set up, or none.
#[test]
fn ebpf_without_a_row_is_said() {
    let stub = HttpStub::start(|_, _| Reply::message(200, "ebpf_exporter_enabled_programs 1\n"));
    let settings = format!(
        "[dependency.sockets]\nmachine = false\n[dependency.ebpf]\nurl = \"{}\"\n",
        stub.url()
    );
    let words = "ebpf_exporter answers, but has no row of another host in ipv4_recv_bytes";
    let finished = once_finished(&settings);
    assert_eq!(finished.code, 0, "{finished:?}");
    assert_eq!(finished.stderr.matches(words).count(), 1, "{finished:?}");
    let checked = run_with(&settings, &["check"]);
    let line = checked.stdout.lines().find(|line| line.contains("dependency_ebpf"));
    assert!(line.is_some_and(|line| line.contains(words)), "{checked:?}");
}

#[test]
fn a_million_series_are_bounded_and_counted() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/", listener.local_addr().unwrap());
    std::thread::spawn(move || {
        for mut stream in listener.incoming().flatten() {
            let _ = stream.read(&mut [0; 4096]);
            let mut text = String::from("HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n");
            for n in 0..1_000_000u32 {
                let address = std::net::Ipv4Addr::from_bits(0x0b00_0000 + n);
                text += &format!("host_bytes_total{{ip=\"{address}\",dir=\"in\"}} {n}\n");
            }
            let _ = stream.write_all(text.as_bytes());
        }
    });
    let port = free_port();
    let daemon = Daemon::start(&served(
        port,
        &format!(
            "[dependency.sockets]\nmachine = false\n[dependency.darkstat]\nurl = \"{url}\"\n\
             timeout = \"10m\"\nbytes_max = \"128MB\"\npeers_max = 1000\ninterval = \"1m\"\n"
        ),
    ));
    // Writer and reader take turns, which takes a busy machine more than a minute.
    let patience = Duration::from_secs(600);
    let all = wait_for_within(patience, "the peers that there is room for", || {
        let all = scrape(port);
        // The last batch may come after the word of success.
        let has_come = named(&all, "planet_traffic_bytes_total").len() >= 2000;
        (has_come && of_source(&all, "darkstat", "success") == Some(1.0)).then_some(all)
    });
    assert_eq!(named(&all, "planet_traffic_bytes_total").len(), 2000);
    assert_eq!(of_source(&all, "darkstat", "dropped_rows"), Some(998_000.0));
    let peak = peak_bytes(daemon.process.id());
    assert!(peak < 40 << 20, "{peak} bytes");
    assert_eq!(daemon.stop().code, 0);
}

/// A real darkstat, and traffic of which every byte is known to the kernel that counts it.
#[test]
fn bytes_of_a_real_darkstat_agree() {
    if skips(&["darkstat"]) {
        return;
    }
    let (port, service) = (free_port(), free_port());
    let mut command = Command::new(common::darkstat());
    command.args(["-i", "lo", "-f", &format!("port {service}"), "-p", &port.to_string()]);
    command.args(["-b", "127.0.0.1", "--no-daemon", "--no-dns", "--no-promisc"]);
    let mut process = Process::start(&mut command);
    process.wait_for("darkstat answers", |_| {
        let answer = http_agent().get(format!("http://127.0.0.1:{port}/metrics")).call();
        answer.is_ok_and(|answer| answer.status() == 200).then_some(())
    });
    const SENT: usize = 300_000;
    let server = TcpListener::bind(("127.0.0.2", service)).unwrap();
    let client = std::thread::spawn(move || {
        let mut stream = TcpStream::connect(("127.0.0.2", service)).unwrap();
        stream.write_all(&[7; SENT]).unwrap();
        stream.shutdown(std::net::Shutdown::Write).unwrap();
        stream.read_to_end(&mut Vec::new()).unwrap();
    });
    let (mut accepted, _) = server.accept().unwrap();
    let mut got = Vec::new();
    accepted.read_to_end(&mut got).unwrap();
    drop(accepted);
    client.join().unwrap();
    assert_eq!(got.len(), SENT);
    let settings = format!(
        "[dependency.sockets]\nmachine = false\n\
         [dependency.darkstat]\nurl = \"http://127.0.0.1:{port}/metrics\"\n"
    );
    // 127.0.0.2 is on no interface, so that it is a peer.
    let counted = |direction: &str| {
        let all = once(&settings);
        let rows = named(&all, "planet_traffic_bytes_total");
        let row = rows.iter().find(|series| {
            series.label("remote_ip") == "127.0.0.2" && series.label("direction") == direction
        });
        row.map_or(0.0, |series| series.value)
    };
    // darkstat takes packets from the kernel by blocks of half a second: what ends the connection
    // may be in a later block than its bytes, so that its figure is taken before and after.
    let said = || {
        let text = get(port, "/metrics").1;
        let is_it = |l: &&str| l.contains("ip=\"127.0.0.2\"") && l.contains("dir=\"in\"");
        let row = text.lines().find(is_it).and_then(|line| line.rsplit(' ').next());
        row.map_or(0.0, |bytes| bytes.parse().unwrap())
    };
    let bytes = wait_for("all bytes", || {
        let before: f64 = said();
        let bytes = counted("egress");
        (before >= SENT as f64 && before == bytes && bytes == said()).then_some(bytes)
    });
    // Headers come on top; a busy machine may send a segment again.
    assert!(bytes < SENT as f64 * 2.0, "{bytes}");
    assert!(Path::new("/proc/net/tcp").exists());
}
