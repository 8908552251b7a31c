//! Physical and logical interfaces: traffic, errors, state, speed.

use serde::Deserialize;

use crate::base::changes::{Grade, Rule, Severity};
use crate::base::text::first_line;
use crate::collector::only::{self, Only};
use crate::collector::settings::settings;
use crate::collector::{Collector, Item, Query, Rpc, item};
use crate::point::labels::DescriptionLabels;
use crate::point::{Definition, Measurement, Points, Schema, counter, gauge, info, watched};
use crate::xml::items::Scope;
use crate::xml::numbers;
use crate::xml::shapes::{BitRate, DOWN, UP, is, is_good, is_word, state_number};

settings! {
    pub struct Interfaces {
        /// What in a description is a label: `brackets`, a pattern, or none.
        description_labels: DescriptionLabels,
        /// A pattern: only what has a name that matches is collected. The router is asked for no
        /// more where it is names, or beginnings of names behind `^`.
        only: Option<Only>,
    }
}

const NAME: &[&str] = &["name"];

static STATE: Rule = Rule {
    subject: NAME,
    ago: "last_flapped_seconds",
    flaps: "carrier_transitions_total",
    message: "description",
    ..Rule::up_down("interface-state")
};
static ADMIN: Rule = Rule {
    words: "disabled 0, enabled 1",
    subject: NAME,
    message: "description",
    ..Rule::of("interface-admin")
};
static SPEED: Rule = Rule {
    subject: NAME,
    grade: Grade::Falls(Severity::Warning),
    message: "description",
    ..Rule::of("interface-speed")
};
static DESCRIPTION: Rule = Rule { subject: NAME, ..Rule::of("interface-description") };

static INTERFACE: Measurement<Interface> = Measurement::new(|| Definition {
    name: "interface",
    help: "A physical or logical interface.",
    tags: &["name", "if_index"],
    fields: vec![
        watched(
            &DESCRIPTION,
            info("description", "The interface's description.", |i| Some(&i.description)),
        ),
        info("mac", "Its hardware address.", |i| Some(&i.current_physical_address)),
        counter("receive_bytes", "bytes", "Bytes in.", |i| i.traffic()?.input_bytes),
        counter("receive_packets_total", "packets", "Packets in.", |i| i.traffic()?.input_packets),
        counter("transmit_bytes", "bytes", "Bytes out.", |i| i.traffic()?.output_bytes),
        counter("transmit_packets_total", "packets", "Packets out.", |i| {
            i.traffic()?.output_packets
        }),
        counter("IPv6_receive_bytes_total", "bytes", "IPv6 bytes in.", |i| i.ipv6()?.input_bytes),
        counter("IPv6_receive_packets_total", "packets", "IPv6 packets in.", |i| {
            i.ipv6()?.input_packets
        }),
        counter("IPv6_transmit_bytes_total", "bytes", "IPv6 bytes out.", |i| {
            i.ipv6()?.output_bytes
        }),
        counter("IPv6_transmit_packets_total", "packets", "IPv6 packets out.", |i| {
            i.ipv6()?.output_packets
        }),
        counter("receive_errors", "", "Errors on input.", |i| i.input_error_list.input_errors),
        counter("receive_drops", "", "Drops on input.", |i| i.input_error_list.input_drops),
        counter("transmit_errors", "", "Errors on output.", |i| i.output_error_list.output_errors),
        counter("transmit_drops", "", "Drops on output.", |i| i.output_error_list.output_drops),
        counter("carrier_transitions_total", "", "Times the carrier came or went.", |i| {
            i.output_error_list.carrier_transitions
        }),
        counter("output_collisions_total", "", "Collisions.", |i| {
            i.output_error_list.output_collisions
        }),
        counter("aged_packets_total", "packets", "Packets that waited too long to be sent.", |i| {
            i.output_error_list.aged_packets
        }),
        counter("output_fifo_errors_total", "", "FIFO errors on output.", |i| {
            i.output_error_list.output_fifo_errors
        }),
        counter("hs_link_crc_errors_total", "", "CRC errors on the links to the fabric.", |i| {
            i.output_error_list.hs_link_crc_errors
        }),
        counter("mtu_errors_total", "", "Packets larger than the MTU.", |i| {
            i.output_error_list.mtu_errors
        }),
        counter("output_resource_errors_total", "", "Packets that had no buffer.", |i| {
            i.output_error_list.output_resource_errors
        }),
        watched(
            &SPEED,
            gauge("speed", "bit/s", "Speed, configured or else negotiated.", Interface::speed),
        ),
        gauge("mtu", "bytes", "MTU; 65535 where it is unlimited.", |i| i.mtu.as_ref()?.0),
        watched(&ADMIN, gauge("admin_up", "", "1 if it is enabled.", is_enabled)),
        watched(
            &STATE,
            gauge("up", "", "1 if it is up.", |i| is(i.oper_status.as_deref(), UP, DOWN)),
        ),
        gauge("error_status", "", "1 if it is not in the state it is meant to be in.", |i| {
            let (meant, state) = (i.admin_status.as_ref()?, i.oper_status.as_ref()?);
            // Of words that are not known, only that they are the same is.
            let same = is_word(meant, state) || is_word(state, meant);
            let known = is_good(meant, ENABLED, DOWN).zip(is_good(state, UP, DOWN));
            let differs = known.map(|(enabled, up)| enabled != up);
            if same { Some(0) } else { differs.map(u64::from) }
        }),
        gauge("error_bpdublock", "", "1 if a BPDU has blocked it.", |i| {
            is(i.bpdu_error.as_deref(), &["detected"], &["none"]).filter(|blocked| *blocked == 1)
        }),
        gauge("last_flapped_seconds", "s", "Time since it went up or down; -1 for never.", |i| {
            let flapped = i.interface_flapped.as_ref()?;
            let never = flapped.text.as_deref().is_some_and(|text| is_word(text, "Never"));
            if never { Some(-1.0) } else { flapped.seconds.map(|seconds| seconds as f64) }
        }),
        counter("receive_unicasts_packets", "packets", "Unicast in.", |i| i.mac.input_unicasts),
        counter("receive_broadcasts_packets", "packets", "Broadcast in.", |i| {
            i.mac.input_broadcasts
        }),
        counter("receive_multicasts_packets", "packets", "Multicast in.", |i| {
            i.mac.input_multicasts
        }),
        counter("receive_errors_crc_packets", "packets", "CRC errors in.", |i| {
            i.mac.input_crc_errors
        }),
        counter("transmit_unicasts_packets", "packets", "Unicast out.", |i| i.mac.output_unicasts),
        counter("transmit_broadcasts_packets", "packets", "Broadcast out.", |i| {
            i.mac.output_broadcasts
        }),
        counter("transmit_multicasts_packets", "packets", "Multicast out.", |i| {
            i.mac.output_multicasts
        }),
        counter("transmit_errors_crc_packets", "packets", "CRC errors out.", |i| {
            i.mac.output_crc_errors
        }),
        counter("receive_oversized_frames", "frames", "Frames that are too long.", |i| {
            i.mac.input_oversized_frames
        }),
        counter("receive_jabber_frames", "frames", "Jabber frames.", |i| i.mac.input_jabber_frames),
        counter("receive_fragment_frames", "frames", "Fragments.", |i| i.mac.input_fragment_frames),
        counter("receive_vlan_tagged_frames", "frames", "VLAN-tagged frames.", |i| {
            i.mac.input_vlan_tagged_frames
        }),
        counter("receive_code_violations", "", "Code violations.", |i| i.mac.input_code_violations),
        counter("receive_total_errors", "", "MAC errors in.", |i| i.mac.input_total_errors),
        counter("transmit_total_errors", "", "MAC errors out.", |i| i.mac.output_total_errors),
        counter("fec_ccw_count", "", "FEC corrected codewords.", |i| i.fec.ccw_count),
        counter("fec_nccw_count", "", "FEC uncorrected codewords.", |i| i.fec.nccw_count),
        counter("fec_ccw_error_rate", "", "FEC corrected codeword rate.", |i| i.fec.ccw_error_rate),
        counter("fec_nccw_error_rate", "", "FEC uncorrected codeword rate.", |i| {
            i.fec.nccw_error_rate
        }),
        counter("fec_mode", "", FEC_MODES, |i| {
            state_number(i.ethernet_fec_mode.enabled_fec_mode.as_deref(), FEC_MODES)
        }),
    ],
});

const FEC_MODES: &str = "none 0, fec74 2, fec91 3, fec108 4, other 1.";

/// Some releases write `Enabled`, which others have only in an attribute.
const ENABLED: &[&str] = &["Up", "Enabled"];

fn is_enabled(interface: &Interface) -> Option<u64> {
    is(interface.admin_status.as_deref(), ENABLED, DOWN)
}

impl Collector for Interfaces {
    const NAME: &'static str = "interfaces";
    const HELP: &'static str = "Physical and logical interfaces: traffic, errors, state, speed.";
    const ADVICE: &'static str =
        "60s with more than 1,000 interfaces: the reply has about 10 kB for each.";
    const QUERIES: &'static [Query<Interfaces>] = &[Query {
        rpc: Rpc::Each(
            "<get-interface-information><extensive/></get-interface-information>",
            |interfaces| {
                let only = &interfaces.only;
                only::interface_rpcs(only, "get-interface-information", "<extensive/>")
            },
        ),
        command: "show interfaces extensive",
        roots: &["interface-information"],
        items: &[item::<_, Interface>("physical-interface")],
    }];
    const MEASUREMENTS: &'static [&'static dyn Schema] = &[&INTERFACE];
}

/// A physical interface, or one of its logical interfaces, which have fewer of the elements.
#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
struct Interface {
    name: String,
    #[serde(default)]
    snmp_index: String,
    #[serde(default)]
    description: String,
    #[serde(default)]
    current_physical_address: String,
    admin_status: Option<String>,
    oper_status: Option<String>,
    speed: Option<Speed>,
    if_speed_cfg: Option<Speed>,
    #[serde(default)]
    ethernet_autonegotiation: Autonegotiation,
    mtu: Option<Mtu>,
    bpdu_error: Option<String>,
    interface_flapped: Option<Flapped>,
    traffic_statistics: Option<Traffic>,
    #[serde(default)]
    lag_traffic_statistics: Lag,
    #[serde(default)]
    input_error_list: InputErrors,
    #[serde(default)]
    output_error_list: OutputErrors,
    #[serde(default, rename = "ethernet-mac-statistics")]
    mac: Mac,
    #[serde(default, rename = "ethernet-fec-statistics")]
    fec: Fec,
    #[serde(default)]
    ethernet_fec_mode: FecMode,
    #[serde(default)]
    logical_interface: Vec<Interface>,
}

#[derive(Deserialize)]
struct Flapped {
    #[serde(rename = "@seconds")]
    seconds: Option<u64>,
    #[serde(rename = "$text")]
    text: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
struct Traffic {
    input_bytes: Option<u64>,
    input_packets: Option<u64>,
    output_bytes: Option<u64>,
    output_packets: Option<u64>,
    ipv6_transit_statistics: Option<Box<Traffic>>,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "kebab-case", default)]
struct Lag {
    lag_bundle: Option<Traffic>,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "kebab-case", default)]
struct InputErrors {
    input_errors: Option<u64>,
    input_drops: Option<u64>,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "kebab-case", default)]
struct OutputErrors {
    output_errors: Option<u64>,
    output_drops: Option<u64>,
    carrier_transitions: Option<u64>,
    output_collisions: Option<u64>,
    aged_packets: Option<u64>,
    output_fifo_errors: Option<u64>,
    hs_link_crc_errors: Option<u64>,
    mtu_errors: Option<u64>,
    output_resource_errors: Option<u64>,
}

/// What the two ends of a link have negotiated.
#[derive(Default, Deserialize)]
#[serde(rename_all = "kebab-case", default)]
struct Autonegotiation {
    link_partner_speed: Option<Speed>,
    local_info: LocalInfo,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "kebab-case", default)]
struct LocalInfo {
    local_link_speed: Option<Speed>,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "kebab-case", default)]
struct Mac {
    input_unicasts: Option<u64>,
    input_broadcasts: Option<u64>,
    input_multicasts: Option<u64>,
    input_crc_errors: Option<u64>,
    output_unicasts: Option<u64>,
    output_broadcasts: Option<u64>,
    output_multicasts: Option<u64>,
    output_crc_errors: Option<u64>,
    input_oversized_frames: Option<u64>,
    input_jabber_frames: Option<u64>,
    input_fragment_frames: Option<u64>,
    input_vlan_tagged_frames: Option<u64>,
    input_code_violations: Option<u64>,
    input_total_errors: Option<u64>,
    output_total_errors: Option<u64>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Fec {
    #[serde(rename = "fec_ccw_count")]
    ccw_count: Option<u64>,
    #[serde(rename = "fec_nccw_count")]
    nccw_count: Option<u64>,
    #[serde(rename = "fec_ccw_error_rate")]
    ccw_error_rate: Option<f64>,
    #[serde(rename = "fec_nccw_error_rate")]
    nccw_error_rate: Option<f64>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct FecMode {
    enabled_fec_mode: Option<String>,
}

impl Interface {
    fn traffic(&self) -> Option<&Traffic> {
        self.traffic_statistics.as_ref().or(self.lag_traffic_statistics.lag_bundle.as_ref())
    }

    fn ipv6(&self) -> Option<&Traffic> {
        self.traffic()?.ipv6_transit_statistics.as_deref()
    }

    /// In bit/s: the configured speed, or else the negotiated one. If the reply has neither, the
    /// port's name says the highest possible speed.
    fn speed(&self) -> Option<u64> {
        let Autonegotiation { link_partner_speed, local_info } = &self.ethernet_autonegotiation;
        let said =
            [&self.if_speed_cfg, &self.speed, &local_info.local_link_speed, link_partner_speed];
        let rate = |speed: &Option<Speed>| match speed {
            Some(Speed::BitRate(rate)) => Some(*rate),
            _ => None,
        };
        said.into_iter().find_map(rate).or_else(|| match self.speed.as_ref()? {
            Speed::Negotiated if self.name.starts_with("ge-") => Some(1_000_000_000),
            Speed::Negotiated if self.name.starts_with("xe-") => Some(10_000_000_000),
            _ => None,
        })
    }
}

/// A speed as Junos writes it.
#[derive(Deserialize)]
#[serde(try_from = "String")]
enum Speed {
    BitRate(u64),
    Negotiated,
    Unlimited,
}

impl TryFrom<String> for Speed {
    type Error = String;
    fn try_from(text: String) -> Result<Speed, String> {
        match &*text {
            text if is_word(text, "Auto") || is_word(text, "Unspecified") => Ok(Speed::Negotiated),
            text if is_word(text, "Unlimited") => Ok(Speed::Unlimited),
            _ => match BitRate::of(&text) {
                Some(BitRate(rate)) => Ok(Speed::BitRate(rate.round() as u64)),
                None => Err(format!("`{}` is not a speed", first_line(&text))),
            },
        }
    }
}

#[derive(Deserialize)]
#[serde(try_from = "String")]
struct Mtu(Option<u64>);

impl TryFrom<String> for Mtu {
    type Error = String;
    fn try_from(text: String) -> Result<Mtu, String> {
        match &*text {
            mtu if is_word(mtu, "Unlimited") => Ok(Mtu(Some(65535))),
            mtu if is_word(mtu, "Not-Applicable") => Ok(Mtu(None)),
            mtu => {
                let wrong = || format!("`{}` is not an MTU", first_line(mtu));
                numbers::number(mtu).map(|mtu| Mtu(Some(mtu))).ok_or_else(wrong)
            }
        }
    }
}

impl Interfaces {
    fn push(&self, interface: &Interface, points: &mut Points) {
        let Interface { name, snmp_index, description, .. } = interface;
        let wanted = self.only.as_ref().is_none_or(|only| only.is_match(name));
        if wanted && points.push(&INTERFACE, &[name, snmp_index], interface) {
            self.description_labels.find(description).add(points);
        }
    }
}

impl Item<Interfaces> for Interface {
    fn points(self, interfaces: &mut Interfaces, _: &Scope, points: &mut Points) {
        interfaces.push(&self, points);
        for mut unit in self.logical_interface {
            unit.current_physical_address.clone_from(&self.current_physical_address);
            interfaces.push(&unit, points);
        }
    }
}
