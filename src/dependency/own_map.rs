//! The map of the machine itself: from its sockets to points.

use std::net::IpAddr;
use std::path::PathBuf;
use std::time::Duration;

use crate::base::clock::now_ns;
use crate::base::inventory::Inventory;
use crate::base::prefix::Prefix;
use crate::dependency::ledger::{Bounds, Ledger};
use crate::dependency::map::{self, Rules};
use crate::dependency::sockets::reading::Ask;
use crate::dependency::sockets::{self, Sockets};
use crate::dependency::status::Found;
use crate::point::Points;

#[derive(Clone, Debug, PartialEq)]
pub struct SocketSettings {
    pub interval: Duration,
    pub udp: bool,
    pub loopback: bool,
    pub ignore: Vec<Prefix>,
    /// Whether there are bytes, round-trip times and states of each dependency.
    pub figures: bool,
    /// Whether bytes by peer are those of the connections, in darkstat's place.
    pub traffic: bool,
    pub bounds: Bounds,
    pub ask: Ask,
    pub proc: PathBuf,
}

/// Takes points while a reading goes on, and leaves the room that they took.
type Full<'a> = &'a mut dyn FnMut(&mut Points);

pub struct OwnMap {
    kernel: Sockets,
    ledger: Ledger,
    settings: SocketSettings,
}

impl OwnMap {
    pub fn new(settings: SocketSettings) -> OwnMap {
        let kernel = Sockets::new(settings.proc.clone(), settings.ask);
        let ledger = Ledger::default();
        OwnMap { kernel, ledger, settings }
    }

    pub fn enters_networks(&self) -> bool {
        self.settings.ask.namespaces
    }

    /// Reads all sockets and makes points of them. `address` stands for the machine, if it is set.
    pub fn read(
        &mut self,
        address: Option<IpAddr>,
        as_gauge: bool,
        inventory: &Inventory,
        points: &mut Points,
        full: Full,
    ) -> Result<Found, String> {
        let OwnMap { kernel, ledger, settings } = self;
        let (reading, networks, left_out) = kernel.read(settings.udp)?;
        let (bounds, now_ns) = (settings.bounds, now_ns());
        let mut found = Found {
            nameless: Some(reading.nameless),
            lost_ends: Some(reading.lost_ends),
            lacks: reading.lacks,
            dropped: left_out + reading.dropped_networks,
            ..Found::default()
        };
        ledger.begin();
        for read in &networks {
            let network = &read.network;
            let set = address.filter(|_| network.is_own);
            let own = sockets::own(&network.addresses, set, inventory);
            let rules = Rules {
                inventory,
                own: &own,
                udp: settings.udp,
                loopback: settings.loopback,
                ignore: &settings.ignore,
                ephemeral: network.ephemeral.clone(),
                unsettled: &read.unsettled,
                rows_max: bounds.rows_max,
            };
            let dependencies = map::map(&read.sockets, &rules);
            dependencies.points(inventory, points, full);
            found.items += read.sockets.len() as u64;
            found.dropped += dependencies.dropped;
            if settings.figures {
                found.dropped += ledger.add(&dependencies, now_ns, bounds);
            }
            if settings.traffic {
                found.dropped += ledger.add_bytes(&read.sockets, &own, now_ns, bounds);
            }
        }
        ledger.forget(now_ns, bounds);
        ledger.points(inventory, points, full);
        if settings.traffic {
            ledger.byte_points(as_gauge, inventory, points, full);
        }
        Ok(found)
    }
}
