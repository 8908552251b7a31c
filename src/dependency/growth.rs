//! By how much each TCP connection's counters have grown since the reading before.
//!
//! The kernel counts from a connection's beginning. What was there before the first reading is not
//! counted, so that a restart of perijove counts nothing twice.

use std::collections::HashMap;
use std::sync::Arc;

use crate::dependency::{Process, Socket, State, Tcp};

/// So many connections are remembered; what more of them carry is left out and counted.
const CONNECTIONS_MAX: usize = 200_000;

/// The connections of the last reading.
#[derive(Default)]
pub struct Growth {
    /// Whether connections of the next reading began since the one before.
    counts_new: bool,
    reading: u64,
    /// By the number of the connection.
    seen: HashMap<u64, Last>,
}

struct Last {
    total: Tcp,
    process: Option<Arc<Process>>,
    reading: u64,
}

impl Growth {
    /// For sockets of which none was there at the last reading.
    pub fn of_new() -> Growth {
        Growth { counts_new: true, ..Growth::default() }
    }

    /// Puts what they grew by in the place of the connections' totals, and names the process of
    /// those that had one before. How many connections were left out.
    pub fn apply(&mut self, sockets: &mut [Socket]) -> u64 {
        let mut left_out = 0;
        self.reading += 1;
        for socket in sockets {
            let Some(total) = socket.tcp else { continue };
            let nothing = Tcp { sent: 0, received: 0, retransmits: 0, ..total };
            let has_room = self.seen.len() < CONNECTIONS_MAX;
            let grown = match self.seen.get_mut(&total.cookie) {
                Some(last) => {
                    let process = socket.process.clone().or(last.process.take());
                    socket.process = process.clone();
                    let grown = last.grown(&total);
                    *last = Last { total, process, reading: self.reading };
                    grown
                }
                None if has_room => {
                    let (process, reading) = (socket.process.clone(), self.reading);
                    self.seen.insert(total.cookie, Last { total, process, reading });
                    if self.counts_new { total } else { nothing }
                }
                None => {
                    left_out += 1;
                    nothing
                }
            };
            socket.tcp = Some(grown);
            if socket.state == State::Ended {
                self.seen.remove(&total.cookie);
            }
        }
        self.counts_new = true;
        // The kernel may report an end a moment after it took the connection off its list.
        self.seen.retain(|_, last| last.reading + 1 >= self.reading);
        left_out
    }
}

impl Last {
    fn grown(&self, total: &Tcp) -> Tcp {
        Tcp {
            sent: total.sent.saturating_sub(self.total.sent),
            received: total.received.saturating_sub(self.total.received),
            retransmits: total.retransmits.saturating_sub(self.total.retransmits),
            ..*total
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dependency::{Endpoint, Protocol};

    fn connection(cookie: u64, state: State, sent: u64, process: Option<&str>) -> Socket {
        let end = |port| Endpoint::new("10.0.0.2".parse().unwrap(), port);
        Socket {
            protocol: Protocol::Tcp,
            state,
            local: end(50000),
            remote: end(443),
            process: process.map(Process::named),
            tcp: Some(Tcp {
                cookie,
                has_bytes: true,
                sent,
                received: 2 * sent,
                rtt_us: 9,
                retransmits: sent / 10,
            }),
        }
    }

    fn grown(growth: &mut Growth, mut sockets: Vec<Socket>) -> Vec<(u64, u64, u64)> {
        assert_eq!(growth.apply(&mut sockets), 0);
        let tcp = sockets.iter().map(|socket| socket.tcp.unwrap());
        tcp.map(|tcp| (tcp.sent, tcp.received, tcp.retransmits)).collect()
    }

    #[test]
    fn every_byte_is_counted_once() {
        use State::{Connected, Ended, FinWait2};
        let of = |state, cookie, sent| connection(cookie, state, sent, None);
        let mut growth = Growth::default();
        // What was there before the first reading is nobody's growth.
        assert_eq!(grown(&mut growth, vec![of(Connected, 1, 1000)]), [(0, 0, 0)]);
        let second = vec![of(Connected, 1, 1500), of(Connected, 2, 70), of(Connected, 3, 10)];
        assert_eq!(grown(&mut growth, second), [(500, 1000, 50), (70, 140, 7), (10, 20, 1)]);
        // One ends behind the list, one beside it, and one lived between two readings.
        let third = vec![of(FinWait2, 2, 80), of(Ended, 2, 90), of(Ended, 3, 15), of(Ended, 4, 20)];
        let expected = [(10, 20, 1), (10, 20, 1), (5, 10, 0), (20, 40, 2)];
        assert_eq!(grown(&mut growth, third), expected);
        assert_eq!(growth.seen.len(), 1);
        // An end that is reported a reading late.
        assert_eq!(grown(&mut growth, vec![of(Ended, 1, 1600)]), [(100, 200, 10)]);
        assert!(growth.seen.is_empty());
    }

    #[test]
    fn a_connection_keeps_its_process_after_it_was_closed() {
        let mut growth = Growth::of_new();
        let mut sockets = vec![connection(1, State::Connected, 5, Some("app"))];
        growth.apply(&mut sockets);
        assert_eq!(sockets[0].tcp.unwrap().sent, 5);
        for state in [State::FinWait1, State::Ended] {
            let mut sockets = vec![connection(1, state, 5, None)];
            growth.apply(&mut sockets);
            assert_eq!(sockets[0].process, Some(Process::named("app")));
        }
    }

    #[test]
    fn what_is_remembered_is_bounded() {
        let mut growth = Growth::of_new();
        let many = CONNECTIONS_MAX as u64 + 3;
        let all =
            || (0..many).map(|cookie| connection(cookie, State::Connected, 1, None)).collect();
        let mut sockets: Vec<Socket> = all();
        assert_eq!(growth.apply(&mut sockets), 3);
        assert_eq!(sockets.iter().map(|s| s.tcp.unwrap().sent).sum::<u64>(), many - 3);
        // Those that are left out are never counted as new ones.
        let mut sockets = all();
        growth.apply(&mut sockets);
        assert_eq!(sockets.iter().map(|s| s.tcp.unwrap().sent).sum::<u64>(), 0);
        growth.apply(&mut []);
        growth.apply(&mut []);
        assert!(growth.seen.is_empty());
    }
}
