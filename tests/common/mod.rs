//! What the end-to-end tests share: real servers on free loopback ports, perijove and the simulated
//! router as child processes, and readers for what comes out. Nothing here shares code with the
//! program under test, so that a mistake there cannot hide itself here.
//!
//! Every wait has a deadline and ends as soon as what it waits for is so; every child is killed
//! when its handle is dropped, panic or not. Each test file uses a part of this.
#![allow(dead_code)]

#[cfg(feature = "kafka")]
pub mod broker;
pub mod browser;
pub mod fleet;
pub mod http_stub;
pub mod influxd;
pub mod lines;
pub mod list_server;
pub mod needs;
pub mod netconfd;
pub mod perijove;
pub mod process;
pub mod prometheus;
pub mod run;
pub mod schema;
pub mod script;
pub mod sshd;
pub mod syslog;
pub mod tcp_proxy;
pub mod temporary;
pub mod victoria_metrics;

use std::net::TcpListener;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU16, Ordering};
use std::time::{Duration, Instant};

/// How long a test waits for something that must happen. Long, because the machine may be busy;
/// a passing test never waits this long.
pub const DEADLINE: Duration = Duration::from_secs(60);

/// Asks `probe` until it has an answer; panics with `what` when there is none in time.
pub fn wait_for<T>(what: &str, probe: impl FnMut() -> Option<T>) -> T {
    wait_for_within(DEADLINE, what, probe)
}

/// The same for what takes longer.
pub fn wait_for_within<T>(time: Duration, what: &str, mut probe: impl FnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + time;
    loop {
        if let Some(answer) = probe() {
            return answer;
        }
        assert!(Instant::now() < deadline, "not within {time:?}: {what}");
        std::thread::sleep(Duration::from_millis(15));
    }
}

/// A TCP port of 127.0.0.1 that nobody listens on. It lies below the range from which the kernel
/// picks ports for outgoing connections, and each call gives another one, so that it is still free
/// when a server binds it a moment later.
pub fn free_port() -> u16 {
    static NEXT: AtomicU16 = AtomicU16::new(0);
    const FIRST: u32 = 12_000;
    const COUNT: u32 = 20_000;
    for _ in 0..COUNT {
        let step = u32::from(NEXT.fetch_add(1, Ordering::Relaxed));
        let port = FIRST + (std::process::id().wrapping_mul(97) + step) % COUNT;
        let port = u16::try_from(port).expect("a port number");
        if TcpListener::bind(("127.0.0.1", port)).is_ok() {
            return port;
        }
    }
    panic!("no free port on 127.0.0.1");
}

/// The path of an installed program.
pub fn program(name: &str) -> PathBuf {
    needs::find_program(name)
        .unwrap_or_else(|| panic!("{name} is not installed: run tests/install"))
}

/// Cargo's target directory, where `tests/install` puts the Python packages too.
pub fn target_directory() -> PathBuf {
    let temporary = PathBuf::from(env!("CARGO_TARGET_TMPDIR"));
    temporary.parent().expect("target/tmp has a parent").to_path_buf()
}

/// Nanoseconds since 1970, for points that a test writes itself.
/// darkstat since 3.0.720 has /metrics; where the system's is older, tests/install unpacks another.
pub fn darkstat() -> PathBuf {
    let unpacked = target_directory().join("test-darkstat/darkstat");
    if unpacked.is_file() { unpacked } else { program("darkstat") }
}

pub fn now_ns() -> i64 {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    i64::try_from(now.expect("a clock after 1970").as_nanos()).expect("a clock before 2262")
}

/// An HTTP client that takes every status as an answer and every certificate as good.
pub fn http_agent() -> ureq::Agent {
    let tls = ureq::tls::TlsConfig::builder()
        .provider(ureq::tls::TlsProvider::NativeTls)
        .disable_verification(true)
        .build();
    ureq::Agent::config_builder()
        .http_status_as_error(false)
        .tls_config(tls)
        .timeout_global(Some(DEADLINE))
        .build()
        .new_agent()
}

/// The status and the body of an answer.
pub fn answer(
    mut response: ureq::http::Response<ureq::Body>,
) -> Result<(u16, String), ureq::Error> {
    let body = response.body_mut().with_config().limit(1 << 30).read_to_string()?;
    Ok((response.status().as_u16(), body))
}
