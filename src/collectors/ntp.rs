//! The clock: what it follows and how well.

use serde::Deserialize;

use crate::collector::{Collector, Item, Query, Rpc, item};
use crate::point::{Definition, Measurement, Points, Schema, gauge, info, labelled};
use crate::xml::items::Scope;
use crate::xml::shapes::Leaves;

#[derive(Default)]
pub struct Ntp;

static NTP: Measurement<Leaves> = Measurement::new(|| Definition {
    name: "ntp",
    help: "The clock that NTP keeps.",
    tags: &[],
    fields: vec![
        labelled("server", info("refid", "What the clock follows.", |l| l.text("refid"))),
        gauge("stratum", "", "Steps to the reference clock; 16 if not synchronised.", |l| {
            l.integer("stratum")
        }),
        gauge("offset", "ms", "Offset of the clock.", |l| l.decimal("offset")),
        gauge("system_jitter", "ms", "Jitter of the system.", |l| l.decimal("sys-jitter")),
        gauge("clock_jitter", "ms", "Jitter of the clock.", |l| l.decimal("clk-jitter")),
        gauge("root_delay", "ms", "Round trip to the reference clock.", |l| l.decimal("rootdelay")),
        gauge("leap", "", "Leap indicator: 00 0, 01 1, 10 2, 11 3, other -1.", |l| {
            Some(match l.text("leap")? {
                "00" | "0" => 0.0,
                "01" | "1" => 1.0,
                "10" | "2" => 2.0,
                "11" | "3" => 3.0,
                _ => -1.0,
            })
        }),
        gauge("precision", "", "Precision of the clock, as a power of two seconds.", |l| {
            l.decimal("precision")
        }),
        gauge("poll_interval", "s", "Time between polls of the server.", |l| {
            1u64.checked_shl(l.integer("tc").or(l.integer("poll"))?.try_into().ok()?)
        }),
    ],
});

impl Collector for Ntp {
    const NAME: &'static str = "ntp";
    const HELP: &'static str = "The clock: what it follows and how well.";
    const ADVICE: &'static str = "60s: it is polled by itself every 64 s or more.";
    const QUERIES: &'static [Query<Ntp>] = &[Query {
        // Releases before 24 have no RPC for it, and answer the command with text.
        rpc: Rpc::Once("<command format=\"xml\">show ntp status</command>"),
        command: "show ntp status",
        roots: &["ntp-status", "output"],
        items: &[item::<_, Status>("ntp-status"), item::<_, Text>("output")],
    }];
    const MEASUREMENTS: &'static [&'static dyn Schema] = &[&NTP];
}

#[derive(Deserialize)]
struct Status(Leaves);

impl Item<Ntp> for Status {
    fn points(self, _: &mut Ntp, _: &Scope, points: &mut Points) {
        points.push(&NTP, &[], &self.0);
    }
}

/// What ntpq prints: `stratum=2, precision=-23, rootdelay=1.234, …` over several lines.
#[derive(Deserialize)]
#[serde(try_from = "String")]
struct Text(Leaves);

impl TryFrom<String> for Text {
    type Error = &'static str;

    fn try_from(text: String) -> Result<Text, Self::Error> {
        let pairs = text.split([',', '\n']).filter_map(|part| part.split_once('='));
        let pairs = pairs.map(|(name, value)| (name.trim().replace('_', "-"), value.trim().into()));
        let leaves: Leaves = pairs.collect();
        if leaves.text("stratum").is_some() { Ok(Text(leaves)) } else { Err("no status of ntpq") }
    }
}

impl Item<Ntp> for Text {
    fn points(self, _: &mut Ntp, _: &Scope, points: &mut Points) {
        points.push(&NTP, &[], &self.0);
    }
}
