//! Layer 2 VPN connections.

use serde::Deserialize;
use time::PrimitiveDateTime;

use crate::collector::distinct;
use crate::collector::only::{self, Only};
use crate::collector::settings::settings;
use crate::collector::{Collector, Item, Query, Rpc, item};
use crate::point::{Definition, Measurement, Points, Schema, gauge, info};
use crate::xml::items::Scope;
use crate::xml::shapes::state_number;

settings! {
    pub struct L2vpn {
        /// A pattern: only routing instances whose name matches are collected. The router is asked
        /// for no more where it is up to eight names between `^` and `$`, with `\.` for a dot.
        only: Option<Only>,
    }
}

static COUNT: Measurement<u64> = Measurement::new(|| Definition {
    name: "l2vpn_connection",
    help: "The connections of a layer 2 VPN.",
    tags: &["routing_instance"],
    fields: vec![gauge("count", "", "Connections.", |count| Some(*count))],
});

static STATUS: Measurement<Connection> = Measurement::new(|| Definition {
    name: "l2vpn_connection",
    help: "A connection of a layer 2 VPN.",
    tags: &[
        "routing_instance",
        "local_site_id",
        "connection_id",
        "remote_pe",
        "local_interface_name",
    ],
    fields: vec![
        info("last_change", "When it changed, in seconds since 1970 by the router's clock.", |c| {
            c.changed.as_deref()
        }),
        info("up_transitions", "Times it went up.", |c| Some(&c.up_transitions)),
        gauge("status", "", STATES, |c| state_number(c.connection_status.as_deref(), STATES)),
    ],
});

const STATES: &str = "EI 0, EM 1, VC-Dn 2, CM 3, CN 4, OR 5, OL 6, LD 7, RD 8, LN 9, RN 10, XX \
                      11, MM 12, BK 13, PF 14, RS 15, LB 16, VM 17, NC 18, WE 19, NP 20, -> 21, \
                      <- 22, Up 23, Dn 24, CF 25, SC 26, LM 27, RM 28, IL 29, MI 30, ST 31, PB \
                      32, SN 33, RB 34, HS 35, other 0.";

impl Collector for L2vpn {
    const NAME: &'static str = "l2vpn";
    const HELP: &'static str = "Layer 2 VPN connections.";
    const ADVICE: &'static str = "60s: the reply has each connection.";
    const QUERIES: &'static [Query<L2vpn>] = &[Query {
        rpc: Rpc::Each("<get-l2vpn-connection-information/>", |l2vpn| {
            let name = "get-l2vpn-connection-information";
            only::name_rpcs(&l2vpn.only, name, "", "instance")
        }),
        command: "show l2vpn connections",
        roots: &["l2vpn-connection-information"],
        items: &[item::<_, Instance>("instance")],
    }];
    const MEASUREMENTS: &'static [&'static dyn Schema] = &[&COUNT, &STATUS];
}

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
struct Instance {
    instance_name: String,
    #[serde(default)]
    reference_site: Vec<Site>,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "kebab-case", default)]
struct Site {
    local_site_id: String,
    connection: Vec<Connection>,
}

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
struct Connection {
    connection_id: String,
    connection_status: Option<String>,
    #[serde(default)]
    remote_pe: String,
    #[serde(default)]
    last_change: String,
    #[serde(default)]
    up_transitions: String,
    #[serde(default)]
    local_interface: Vec<LocalInterface>,
    #[serde(skip)]
    changed: Option<String>,
}

#[derive(Default, Deserialize, PartialEq)]
#[serde(rename_all = "kebab-case", default)]
struct LocalInterface {
    interface_name: String,
}

impl Item<L2vpn> for Instance {
    fn points(self, l2vpn: &mut L2vpn, _: &Scope, points: &mut Points) {
        if l2vpn.only.as_ref().is_some_and(|only| !only.is_match(&self.instance_name)) {
            return;
        }
        let names = self.reference_site.iter().flat_map(|site| {
            let connections = site.connection.iter();
            connections.map(|of| [&*of.connection_id, &site.local_site_id, &of.remote_pe])
        });
        let count = distinct::count(names);
        points.push(&COUNT, &[&self.instance_name], &count);
        // Connections of different local sites may have the same number.
        let sites = self.reference_site.iter().map(|site| [&*site.local_site_id]);
        let several = distinct::count(sites) > 1;
        for site in self.reference_site {
            let local_site = if several { &*site.local_site_id } else { "" };
            for mut connection in site.connection {
                connection.changed = seconds(&connection.last_change).map(|s| s.to_string());
                let interface = match &connection.local_interface[..] {
                    [first, rest @ ..] if rest.iter().all(|other| other == first) => {
                        &*first.interface_name
                    }
                    _ => "",
                };
                let Connection { connection_id, remote_pe, .. } = &connection;
                let tags = [&self.instance_name, local_site, connection_id, remote_pe, interface];
                points.push(&STATUS, &tags, &connection);
            }
        }
    }
}

/// `Jul  2 14:50:45 2020` in seconds since 1970, taken as UTC: Junos names no time zone.
fn seconds(date: &str) -> Option<i64> {
    let format = "[month repr:short] [day padding:none] [hour]:[minute]:[second] [year]";
    let format = time::format_description::parse_borrowed::<2>(format).ok()?;
    let words: Vec<&str> = date.split_ascii_whitespace().collect();
    let date = PrimitiveDateTime::parse(&words.join(" "), &format).ok()?;
    Some(date.assume_utc().unix_timestamp())
}
