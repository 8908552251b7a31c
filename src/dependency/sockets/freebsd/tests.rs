//! What records of a kernel, files of processes and the texts of commands become.

use super::*;

const XTCPCB_BYTES: usize = 744;

fn put(record: &mut [u8], at: usize, bytes: &[u8]) {
    record[at..at + bytes.len()].copy_from_slice(bytes);
}

/// Protocol 6 or 17, family, and the flags of `inp_vflag`.
type Kind = (u32, u32, u8);
const TCP4: Kind = (6, AF_INET, INP_IPV4);
const TCP6: Kind = (6, AF_INET6, INP_IPV6);
const TCP46: Kind = (6, AF_INET6, INP_IPV4 | INP_IPV6);

fn xinpcb(kernel: u64, kind: Kind, ends: [(&[u8], u16); 2]) -> Vec<u8> {
    let (number, family, flags) = kind;
    let mut record = vec![0; XINPCB_BYTES];
    put(&mut record, 0, &(XINPCB_BYTES as u64).to_ne_bytes());
    put(&mut record, 8 + 96, &number.to_ne_bytes());
    // The kernel fills in no more of a socket that has gone.
    if kernel != 0 {
        put(&mut record, 8, &(XSOCKET_BYTES as u64).to_ne_bytes());
        put(&mut record, 16, &kernel.to_ne_bytes());
        put(&mut record, 8 + 100, &family.to_ne_bytes());
    }
    put(&mut record, 296, &(kernel + 1).to_ne_bytes());
    put(&mut record, INP_VFLAG, &[flags]);
    for (at, (address, port)) in ends.iter().enumerate() {
        put(&mut record, 252 + 2 * at, &port.to_be_bytes());
        put(&mut record, 256 + 16 * at + 16 - address.len(), address);
    }
    record
}

fn xtcpcb(state: u32, inner: &[u8]) -> Vec<u8> {
    let mut record = vec![0; XTCPCB_BYTES];
    put(&mut record, 0, &(XTCPCB_BYTES as u64).to_ne_bytes());
    put(&mut record, 8, inner);
    put(&mut record, 8 + inner.len() + 160, &state.to_ne_bytes());
    // Flags and other counts stand before and behind what was sent again.
    put(&mut record, 8 + inner.len() + 164, &[0xff; 8]);
    put(&mut record, 8 + inner.len() + 172, &(state * 100).to_ne_bytes());
    put(&mut record, 8 + inner.len() + 176, &[0xff; 8]);
    record
}

fn list(records: &[Vec<u8>]) -> Vec<u8> {
    let mut header = vec![0; XINPGEN_BYTES];
    put(&mut header, 0, &(XINPGEN_BYTES as u64).to_ne_bytes());
    [header.clone(), records.concat(), header].concat()
}

#[test]
fn records_of_a_kernel() {
    let remote = [10, 0, 0, 9];
    let own = [10, 0, 0, 2];
    let six = |last| [0x20, 1, 0xd, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, last];
    let bytes = list(&[
        xtcpcb(4, &xinpcb(0xabc, TCP4, [(&remote, 443), (&own, 50000)])),
        xtcpcb(1, &xinpcb(0xdef, TCP46, [(&[], 0), (&[], 22)])),
        xtcpcb(10, &xinpcb(0, TCP4, [(&remote, 443), (&own, 50001)])),
        xtcpcb(4, &xinpcb(0x123, TCP6, [(&six(1), 443), (&six(2), 50002)])),
        xtcpcb(5, &xinpcb(0x124, TCP4, [(&remote, 443), (&own, 50003)])),
        xtcpcb(0, &xinpcb(0x125, TCP4, [(&remote, 443), (&own, 50004)])),
    ]);
    let found = super::sockets(&bytes, Protocol::Tcp).unwrap();
    let end = |address: &str, port| Endpoint::new(address.parse().unwrap(), port);
    let ends: Vec<_> = found.iter().map(|(s, a)| (s.state, s.local, s.remote, *a)).collect();
    let expected = [
        (State::Connected, end("10.0.0.2", 50000), end("10.0.0.9", 443), 0xabc),
        (State::Listening, end("::", 22), Endpoint::NONE, 0xdef),
        (State::Waiting, end("10.0.0.2", 50001), end("10.0.0.9", 443), 0),
        (State::Connected, end("2001:db8::2", 50002), end("2001:db8::1", 443), 0x123),
        (State::CloseWait, end("10.0.0.2", 50003), end("10.0.0.9", 443), 0x124),
    ];
    assert_eq!(ends, expected);
    let tcp = |socket: &Socket| socket.tcp.map(|tcp| (tcp.cookie, tcp.retransmits));
    let counted: Vec<_> = found.iter().map(|(socket, _)| tcp(socket)).collect();
    let [first, second, third] = [(0xabd, 400), (0x124, 400), (0x125, 500)].map(Some);
    assert_eq!(counted, [first, None, None, second, third]);
    assert!(found.iter().all(|(socket, _)| socket.tcp.is_none_or(|tcp| !tcp.has_bytes)));
    let bytes = list(&[
        xinpcb(1, (17, AF_INET, INP_IPV4), [(&[], 0), (&own, 123)]),
        xinpcb(2, (17, AF_INET, INP_IPV4), [(&remote, 53), (&own, 50000)]),
        xinpcb(3, (17, AF_INET, INP_IPV4), [(&[], 0), (&[], 0)]),
    ]);
    let found = super::sockets(&bytes, Protocol::Udp).unwrap();
    let states: Vec<_> = found.iter().map(|(socket, _)| socket.state).collect();
    assert_eq!(states, [State::Listening, State::Connected]);
}

/// The family of a socket is not that of each connection that it takes.
#[test]
fn addresses_are_of_the_connection_s_family() {
    let link = |last| [0xfe, 0x80, 0, 3, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, last];
    let (remote, own, one) = ([10, 0, 0, 9], [10, 0, 0, 2], [0, 0, 0, 1]);
    let mapped: Kind = (6, AF_INET6, INP_IPV4);
    let ends = |remote, local| -> [&[u8]; 2] { [remote, local] };
    let (first, second) = (link(1), link(2));
    let cases = [
        (mapped, ends(&remote, &own), ["10.0.0.9", "10.0.0.2"]),
        (mapped, ends(&one, &own), ["0.0.0.1", "10.0.0.2"]),
        (TCP6, ends(&one, &one), ["::1", "::1"]),
        (TCP6, ends(&first, &second), ["fe80::1", "fe80::2"]),
        (TCP4, ends(&remote, &own), ["10.0.0.9", "10.0.0.2"]),
    ];
    let read = |record: Vec<u8>| {
        let found = super::sockets(&list(&[record]), Protocol::Tcp).unwrap();
        [found[0].0.remote, found[0].0.local].map(|end| end.address.to_string())
    };
    for (kind, ends, expected) in cases {
        // With a socket, and in TIME_WAIT without one.
        for (kernel, state) in [(7, 4), (0, 10)] {
            let inner = xinpcb(kernel, kind, [(ends[0], 443), (ends[1], 50000)]);
            assert_eq!(read(xtcpcb(state, &inner)), expected, "{kind:?} {kernel}");
        }
    }
    // A record of another length may have its flags elsewhere.
    for (kind, ends, expected) in cases.into_iter().filter(|case| case.2[0] != "0.0.0.1") {
        let mut inner = xinpcb(7, kind, [(ends[0], 443), (ends[1], 50000)]);
        inner[INP_VFLAG] = 0xff;
        inner.extend([0; 8]);
        let length = inner.len() as u64;
        put(&mut inner, 0, &length.to_ne_bytes());
        assert_eq!(read(xtcpcb(4, &inner)), expected, "{kind:?}");
    }
}

#[test]
fn records_of_another_kind_are_refused() {
    let good = xtcpcb(4, &xinpcb(1, TCP4, [(&[1, 2, 3, 4], 1), (&[1, 2, 3, 4], 1)]));
    let changed = |at: usize, bytes: &[u8]| {
        let mut record = good.clone();
        put(&mut record, at, bytes);
        list(&[record])
    };
    for (bytes, why) in [
        (Vec::new(), "no header"),
        (vec![9; 64], "a header of"),
        (changed(568, &99u32.to_ne_bytes()), "one of 744 bytes"),
        (changed(8, &4000u64.to_ne_bytes()), "one of 744 bytes"),
        (changed(16, &4000u64.to_ne_bytes()), "one of 744 bytes"),
        (changed(16, &0u64.to_ne_bytes()), "one of 744 bytes"),
        (changed(8 + 8 + 100, &7u32.to_ne_bytes()), "one of 744 bytes"),
        (changed(0, &9999u64.to_ne_bytes()), "one is cut off"),
    ] {
        let err = super::sockets(&bytes, Protocol::Tcp).unwrap_err();
        assert!(err.starts_with("the kernel's tcp records are of another kind: "), "{err}");
        assert!(err.contains(why), "{err}");
    }
}

fn file(process: u32, kind: u16, data: u64) -> Vec<u8> {
    let mut record = vec![0; XFILE_BYTES];
    put(&mut record, 0, &(XFILE_BYTES as u64).to_ne_bytes());
    put(&mut record, XF_PID, &process.to_ne_bytes());
    put(&mut record, XF_TYPE, &kind.to_ne_bytes());
    put(&mut record, XF_DATA, &data.to_ne_bytes());
    record
}

#[test]
fn files_and_names() {
    let bytes = [file(7, 2, 0xabc), file(7, 1, 0xfff), file(8, 2, 0xdef)].concat();
    assert_eq!(super::owners(&bytes).unwrap(), [(0xabc, 7), (0xdef, 8)]);
    assert!(super::owners(&bytes[..200]).is_err());
    let mut process = vec![0; 1088];
    put(&mut process, KI_COMM, b"a_name_of_19_bytes_");
    let name = process_name(&process, b"/usr/local/bin/a_name_of_19_bytes_and_more\0-v\0");
    assert_eq!(name, "a_name_of_19_bytes_and_more");
    let script = b"/bin/sh\0-e\0/opt/a_name_of_19_bytes_and.sh\0";
    assert_eq!(process_name(&process, script), "a_name_of_19_bytes_and.sh");
    assert_eq!(process_name(&process, b"nginx: worker"), "a_name_of_19_bytes_");
    assert_eq!(process_name(&[], b""), "");
}

/// A system that answers as it is told to.
#[derive(Default)]
struct Told {
    sysctls: Vec<(&'static std::ffi::CStr, Vec<u8>)>,
    /// The names of processes.
    names: Vec<(u32, &'static str)>,
    commands: Vec<(&'static str, &'static str)>,
}

fn absent() -> std::io::Error {
    std::io::ErrorKind::NotFound.into()
}

impl kernel::Kernel for Told {
    fn sysctl(&self, name: &std::ffi::CStr) -> std::io::Result<Vec<u8>> {
        let found = self.sysctls.iter().find(|(known, _)| *known == name);
        found.map(|(_, bytes)| bytes.clone()).ok_or_else(absent)
    }

    fn process(&self, process: u32) -> std::io::Result<Vec<u8>> {
        let (_, name) = self.names.iter().find(|(id, _)| *id == process).ok_or_else(absent)?;
        let mut record = vec![0; 1088];
        put(&mut record, KI_COMM, name.as_bytes());
        Ok(record)
    }

    fn arguments(&self, _: u32) -> std::io::Result<Vec<u8>> {
        Err(absent())
    }

    fn output_of(&self, command: &str, arguments: &[&str]) -> Result<String, String> {
        let asked = [&[command], arguments].concat().join(" ");
        let found = self.commands.iter().find(|(known, _)| *known == asked);
        found.map(|(_, text)| String::from(*text)).ok_or(format!("{asked}: unknown"))
    }
}

fn shown(sockets: &[Socket]) -> Vec<(String, String)> {
    let name = |socket: &Socket| socket.process.as_ref().map(|process| process.name.to_string());
    let remote = |socket: &Socket| format!("{}:{}", socket.remote.address, socket.remote.port);
    sockets.iter().map(|socket| (remote(socket), name(socket).unwrap_or_default())).collect()
}

#[test]
fn the_oldest_process_but_the_first_has_the_socket() {
    let own = [10, 0, 0, 2];
    let to = |last: u8, kernel| {
        xtcpcb(4, &xinpcb(kernel, TCP4, [(&[10, 0, 0, last], 443), (&own, 50000)]))
    };
    let files =
        [file(1, 2, 0xa), file(30, 2, 0xa), file(20, 2, 0xa), file(40, 2, 0xa), file(1, 2, 0xb)];
    let udp = xinpcb(0xd, (17, AF_INET, INP_IPV4), [(&[10, 0, 0, 9], 53), (&own, 50001)]);
    let told = Told {
        sysctls: vec![
            (c"net.inet.tcp.pcblist", list(&[to(3, 0xa), to(4, 0xb), to(5, 0xc), to(6, 0)])),
            (c"net.inet.udp.pcblist", list(&[udp])),
            (c"kern.file", files.concat()),
            (c"net.inet.ip.portrange.first", 10_000u32.to_ne_bytes().to_vec()),
            (c"net.inet.ip.portrange.last", 65_535u32.to_ne_bytes().to_vec()),
        ],
        names: vec![(1, "init"), (20, "rpd"), (30, "mgd")],
        commands: Vec::new(),
    };
    let mut system = Freebsd::of(told);
    let name = |remote: &str, name: &str| (String::from(remote), String::from(name));
    let tcp = [
        name("10.0.0.3:443", "rpd"),
        name("10.0.0.4:443", "init"),
        name("10.0.0.5:443", ""),
        name("10.0.0.6:443", ""),
    ];
    assert_eq!(shown(&system.sockets(false).unwrap()), tcp);
    let all = [&tcp[..], &[name("10.0.0.9:53", "")]].concat();
    let reading = system.read(true).unwrap();
    let [(network, sockets)] = &reading.networks[..] else { panic!("one network") };
    assert_eq!((shown(sockets), network.ephemeral.clone()), (all, 10000..=65535));
}

#[test]
fn where_records_do_not_fit_the_commands_are_read() {
    const NETSTAT: &str = "Active Internet connections (including servers)\n\
        Proto Recv-Q Send-Q Local Address          Foreign Address        (state)\n\
        tcp4       0      0 10.0.0.2.50000         10.0.0.3.443           ESTABLISHED\n\
        tcp4       0      0 10.0.0.2.50001         10.0.0.4.443           ESTABLISHED\n\
        udp4       0      0 10.0.0.2.50002         10.0.0.9.53\n";
    const SOCKSTAT: &str = "\
        USER     COMMAND    PID   FD PROTO  LOCAL ADDRESS         FOREIGN ADDRESS\n\
        root     rpd        20    5  tcp4   10.0.0.2:50000        10.0.0.3:443\n\
        root     sho        21    5  tcp4   10.0.0.2:50001        10.0.0.4:443\n";
    let told = |option| Told {
        sysctls: vec![(c"net.inet.tcp.pcblist", vec![9; 64])],
        names: vec![(21, "the_whole_name")],
        commands: vec![("netstat -an -W", NETSTAT), (option, SOCKSTAT)],
    };
    let name = |remote: &str, name: &str| (String::from(remote), String::from(name));
    // Older releases do not know the first option.
    for option in ["sockstat -46w", "sockstat -46"] {
        let mut system = Freebsd::of(told(option));
        let tcp = [name("10.0.0.3:443", "rpd"), name("10.0.0.4:443", "the_whole_name")];
        assert_eq!(shown(&system.sockets(false).unwrap()), tcp, "{option}");
        let all = [&tcp[..], &[name("10.0.0.9:53", "")]].concat();
        assert_eq!(shown(&system.sockets(true).unwrap()), all, "{option}");
    }
    let mut none = Freebsd::of(Told::default());
    assert_eq!(none.sockets(true).unwrap_err(), "netstat -an -W: unknown");
}

#[test]
fn a_command_has_its_time() {
    use kernel::output_of;
    use std::time::{Duration, Instant};
    let long = Duration::from_secs(60);
    assert_eq!(output_of("echo", &["-n", "all"], long).unwrap(), "all");
    let unknown = output_of("/nonexistent/netstat", &[], long).unwrap_err();
    assert!(unknown.starts_with("/nonexistent/netstat: "), "{unknown}");
    let since = Instant::now();
    let late = output_of("sleep", &["600"], Duration::from_millis(200)).unwrap_err();
    assert_eq!(late, "sleep: does not end in time");
    assert!(since.elapsed() < Duration::from_secs(300));
}
