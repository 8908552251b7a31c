//! FPCs and their PICs: state, temperature, CPU, memory, power, uptime.

use std::collections::BTreeSet;

use serde::Deserialize;

use crate::base::changes::Rule;
use crate::collector::{Collector, Item, Query, Rpc, item};
use crate::point::{Definition, Measurement, Points, Schema, counter, gauge, info, watched};
use crate::xml::items::Scope;
use crate::xml::shapes::{
    Celsius, Mebibytes, NOT_ONLINE, ONLINE, Quantity, Seconds, is, is_good, is_word,
};

#[derive(Default)]
pub struct Fpc {
    /// Slots so far: if a reply has several blocks for one slot, the first counts.
    seen: BTreeSet<(&'static str, String, String)>,
}

impl Fpc {
    fn is_first(&mut self, of: &'static str, scope: &Scope, slot: &str) -> bool {
        self.seen.insert((of, scope.re_name().to_string(), slot.to_string()))
    }
}

const TAGS: &[&str] = &["re_name", "slot"];

static RESTART: Rule = Rule::restart("fpc-restart");
static FPC_STATE: Rule = Rule::up_down("fpc-state");
static PIC_STATE: Rule = Rule { message: "pic_type", ..Rule::up_down("pic-state") };

static DETAIL: Measurement<Detail> = Measurement::new(|| Definition {
    name: "fpc",
    help: "An FPC.",
    tags: TAGS,
    fields: vec![
        gauge("temperature_celsius", "°C", "Temperature.", |d| {
            d.temperature?.celsius().filter(|celsius| *celsius > 0.0)
        }),
        watched(
            &RESTART,
            counter("uptime_seconds", "s", "Time since it started.", |d| d.up_time?.seconds),
        ),
        gauge("max_power_consumption_watt", "W", "The most power that it may use.", |d| {
            Some(d.max_power_consumption?.0).filter(|watt| *watt > 0.0)
        }),
    ],
});

static MEMORY: Measurement<u64> = Measurement::new(|| Definition {
    name: "fpc_memory",
    help: "Memory of an FPC, by type.",
    tags: &["re_name", "slot", "memory_type"],
    fields: vec![gauge("bytes", "bytes", "Its size.", |bytes| Some(*bytes))],
});

static STATE: Measurement<State> = Measurement::new(|| Definition {
    name: "fpc",
    help: "An FPC's state and use.",
    tags: TAGS,
    fields: vec![
        watched(
            &FPC_STATE,
            gauge("up", "", "1 if it is online.", |s| is(s.state.as_deref(), ONLINE, NOT_ONLINE)),
        ),
        gauge("present", "", "0 if the slot is empty.", |s| {
            let state = s.state.as_deref()?;
            let is_empty = is_word(state, "Empty") || is_word(state, "Absent");
            is_good(state, ONLINE, NOT_ONLINE).map(|_| u64::from(!is_empty))
        }),
        gauge("admin_up", "", "0 if it is off on purpose.", |s| {
            is_meant_to_be_up(s.state.as_deref(), &s.comment)
        }),
        gauge("cpu_total", "%", "CPU in use.", |s| s.cpu_total),
        gauge("cpu_interrupts", "%", "CPU in use for interrupts.", |s| s.cpu_interrupt),
        gauge("mem_heap_utilization_percent", "%", "Heap in use.", |s| s.memory_heap_utilization),
        gauge("mem_buffers_utilization_percent", "%", "Buffers in use.", |s| {
            s.memory_buffer_utilization
        }),
    ],
});

static CPU_LOAD: Measurement<u64> = Measurement::new(|| Definition {
    name: "fpc_cpu_load",
    help: "CPU use of an FPC over some time.",
    tags: &["re_name", "slot", "interval"],
    fields: vec![gauge("avg", "%", "CPU in use.", |percent| Some(*percent))],
});

static PIC: Measurement<Pic> = Measurement::new(|| Definition {
    name: "fpc_pic",
    help: "A PIC.",
    tags: &["re_name", "fpc_slot", "pic_slot"],
    fields: vec![
        info("pic_type", "Its model.", |p| Some(&p.pic_type)),
        watched(
            &PIC_STATE,
            gauge("status", "", "1 if it is online.", |p| {
                is(p.pic_state.as_deref(), ONLINE, NOT_ONLINE)
            }),
        ),
        gauge("admin_up", "", "0 if it is off on purpose.", |p| {
            is_meant_to_be_up(p.pic_state.as_deref(), &p.comment)
        }),
    ],
});

/// How Junos says, behind the state of a card, that somebody switched it off: `Offlined by cli
/// command`, `Offlined by button press`, `Configured power off`.
const ON_PURPOSE: &[&str] = &[
    "by cli",
    "by cfg",
    "by config",
    "by command",
    "by button",
    "by user",
    "configured power off",
];

fn is_meant_to_be_up(state: Option<&str>, comment: &str) -> Option<u64> {
    let is_up = is_good(state?, ONLINE, NOT_ONLINE)?;
    let comment = comment.to_ascii_lowercase();
    Some(u64::from(is_up || !ON_PURPOSE.iter().any(|words| comment.contains(words))))
}

impl Collector for Fpc {
    const NAME: &'static str = "fpc";
    const HELP: &'static str =
        "FPCs and their PICs: state, temperature, CPU, memory, power, uptime.";
    const QUERIES: &'static [Query<Fpc>] = &[
        Query {
            rpc: Rpc::Once("<get-fpc-information><detail/></get-fpc-information>"),
            command: "show chassis fpc detail",
            roots: &["fpc-information"],
            items: &[item::<_, Detail>("fpc")],
        },
        Query {
            rpc: Rpc::Once("<get-fpc-information/>"),
            command: "show chassis fpc",
            roots: &["fpc-information"],
            items: &[item::<_, State>("fpc")],
        },
        Query {
            rpc: Rpc::Once("<get-pic-information/>"),
            command: "show chassis fpc pic-status",
            roots: &["fpc-information"],
            items: &[item::<_, Pics>("fpc")],
        },
    ];
    const MEASUREMENTS: &'static [&'static dyn Schema] =
        &[&DETAIL, &MEMORY, &STATE, &CPU_LOAD, &PIC];
}

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
struct Detail {
    #[serde(default)]
    slot: String,
    temperature: Option<Celsius>,
    up_time: Option<Seconds>,
    max_power_consumption: Option<Quantity>,
    memory_sram_size: Option<Mebibytes>,
    memory_dram_size: Option<Mebibytes>,
    memory_ddr_dram_size: Option<Mebibytes>,
    memory_sdram_size: Option<Mebibytes>,
    memory_rldram_size: Option<Mebibytes>,
}

impl Item<Fpc> for Detail {
    fn points(self, fpc: &mut Fpc, scope: &Scope, points: &mut Points) {
        if !fpc.is_first("detail", scope, &self.slot) {
            return;
        }
        points.push(&DETAIL, &[scope.re_name(), &self.slot], &self);
        for (memory_type, size) in [
            ("sram", self.memory_sram_size),
            ("dram", self.memory_dram_size),
            ("ddr-dram", self.memory_ddr_dram_size),
            ("sdram", self.memory_sdram_size),
            ("rl-dram", self.memory_rldram_size),
        ] {
            // Junos reports memory in MiB, and 0 for a type that the FPC lacks.
            if let Some(Mebibytes(mebibytes)) = size.filter(|size| size.0 > 0.0) {
                let tags = [scope.re_name(), &self.slot, memory_type];
                points.push(&MEMORY, &tags, &((mebibytes * 1_048_576.0) as u64));
            }
        }
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
struct State {
    #[serde(default)]
    slot: String,
    state: Option<String>,
    #[serde(default)]
    comment: String,
    cpu_total: Option<u64>,
    cpu_interrupt: Option<u64>,
    #[serde(rename = "cpu-1min-avg")]
    cpu_1min_avg: Option<u64>,
    #[serde(rename = "cpu-5min-avg")]
    cpu_5min_avg: Option<u64>,
    #[serde(rename = "cpu-15min-avg")]
    cpu_15min_avg: Option<u64>,
    memory_heap_utilization: Option<u64>,
    memory_buffer_utilization: Option<u64>,
}

impl Item<Fpc> for State {
    fn points(self, fpc: &mut Fpc, scope: &Scope, points: &mut Points) {
        if !fpc.is_first("state", scope, &self.slot) {
            return;
        }
        points.push(&STATE, &[scope.re_name(), &self.slot], &self);
        for (interval, percent) in [
            ("1min", self.cpu_1min_avg),
            ("5min", self.cpu_5min_avg),
            ("15min", self.cpu_15min_avg),
        ] {
            if let Some(percent) = percent {
                points.push(&CPU_LOAD, &[scope.re_name(), &self.slot, interval], &percent);
            }
        }
    }
}

#[derive(Deserialize)]
struct Pics {
    #[serde(default)]
    slot: String,
    #[serde(default)]
    pic: Vec<Pic>,
}

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
struct Pic {
    pic_slot: String,
    #[serde(default)]
    pic_type: String,
    pic_state: Option<String>,
    #[serde(default)]
    comment: String,
}

impl Item<Fpc> for Pics {
    fn points(self, fpc: &mut Fpc, scope: &Scope, points: &mut Points) {
        if !fpc.is_first("pics", scope, &self.slot) {
            return;
        }
        for pic in &self.pic {
            points.push(&PIC, &[scope.re_name(), &self.slot, &pic.pic_slot], pic);
        }
    }
}
