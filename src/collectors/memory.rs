//! Memory of the Routing Engine: the system's, its processes' and the routing daemon's.

use std::collections::BTreeMap;

use serde::Deserialize;

use crate::collector::distinct::Distinct;
use crate::collector::{Collector, Item, Query, Rpc, item};
use crate::point::{Definition, Measurement, Points, Schema, gauge};
use crate::xml::items::Scope;
use crate::xml::shapes::Leaves;

#[derive(Default)]
pub struct Memory;

static TASK_MEMORY: Measurement<Leaves> = Measurement::new(|| Definition {
    name: "task_memory",
    help: "Memory of the routing protocol daemon.",
    tags: &[],
    fields: vec![
        gauge("in_use_size", "bytes", "In use.", |l| bytes(l, "task-memory-in-use-size")),
        gauge("in_use_avail", "%", "In use, of what is available.", |l| {
            l.quantity("task-memory-in-use-avail")
        }),
        gauge("max_size", "bytes", "Most ever in use.", |l| bytes(l, "task-memory-max-size")),
        gauge("max_avail", "%", "Most ever in use, of what is available.", |l| {
            l.quantity("task-memory-max-avail")
        }),
        gauge("free_size", "bytes", "Available.", |l| bytes(l, "task-memory-free-size")),
    ],
});

/// Releases based on FreeBSD report some of these uses, those based on Linux others.
static SYSTEM_MEMORY: Measurement<Leaves> = Measurement::new(|| Definition {
    name: "system_memory",
    help: "Memory of the system by use.",
    tags: &[],
    fields: vec![
        gauge("size", "bytes", "All.", |l| bytes(l, "system-memory-total")),
        gauge("reserved", "bytes", "The kernel's own.", |l| bytes(l, "system-memory-reserved")),
        gauge("wired", "bytes", "Not to be paged out.", |l| bytes(l, "system-memory-wired")),
        gauge("active", "bytes", "Active.", |l| bytes(l, "system-memory-active")),
        gauge("inactive", "bytes", "Inactive.", |l| bytes(l, "system-memory-inactive")),
        gauge("cache", "bytes", "Cache, FreeBSD.", |l| bytes(l, "system-memory-cache")),
        gauge("cached", "bytes", "Cache, Linux.", |l| bytes(l, "system-memory-cached")),
        gauge("buffer", "bytes", "Buffers.", |l| bytes(l, "system-memory-buffer")),
        gauge("used", "bytes", "In use.", |l| bytes(l, "system-memory-used")),
        gauge("free", "bytes", "Free.", |l| bytes(l, "system-memory-free")),
        gauge("available", "bytes", "Available.", |l| bytes(l, "system-memory-available")),
        gauge("swap", "bytes", "Swap space.", |l| bytes(l, "system-memory-swap")),
    ],
});

/// Junos reports KiB, unless a unit says otherwise.
fn bytes(leaves: &Leaves, name: &str) -> Option<u64> {
    let unit = leaves.text(name)?.chars().find(char::is_ascii_alphabetic);
    let unit = match unit.map(|letter| letter.to_ascii_lowercase()) {
        Some('b') => 1.0,
        Some('m') => 1_048_576.0,
        Some('g') => 1_073_741_824.0,
        _ => 1024.0,
    };
    Some((leaves.quantity(name)? * unit) as u64)
}

static PROCESS: Measurement<Processes> = Measurement::new(|| Definition {
    name: "system_memory_process",
    help: "Memory of all processes of one name.",
    tags: &["process_name"],
    fields: vec![
        gauge("processes", "", "Processes.", |p| Some(p.count)),
        gauge("size", "bytes", "Virtual memory.", |p| p.size?.checked_mul(1024)),
        gauge("resident", "bytes", "Physical memory.", |p| p.resident?.checked_mul(1024)),
    ],
});

impl Collector for Memory {
    const NAME: &'static str = "memory";
    const HELP: &'static str =
        "Memory of the Routing Engine: the system's, its processes' and the routing daemon's.";
    const QUERIES: &'static [Query<Memory>] = &[
        Query {
            rpc: Rpc::Once("<get-task-memory-information/>"),
            command: "show task memory",
            roots: &["task-memory-information"],
            items: &[item::<_, TaskMemory>("task-memory-information")],
        },
        Query {
            rpc: Rpc::Once("<get-system-memory-information/>"),
            command: "show system memory",
            roots: &["system-memory-information"],
            items: &[item::<_, SystemMemory>("system-memory-information")],
        },
    ];
    const MEASUREMENTS: &'static [&'static dyn Schema] = &[&TASK_MEMORY, &SYSTEM_MEMORY, &PROCESS];
}

#[derive(Deserialize)]
struct TaskMemory(Leaves);

impl Item<Memory> for TaskMemory {
    fn points(self, _: &mut Memory, _: &Scope, points: &mut Points) {
        points.push(&TASK_MEMORY, &[], &self.0);
    }
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "kebab-case", default)]
struct SystemMemory {
    system_memory_summary_information: Leaves,
    pmap_terse_information: ProcessList,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "kebab-case", default)]
struct ProcessList {
    pmap_terse_summary: Vec<Process>,
}

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
struct Process {
    #[serde(default)]
    pid: String,
    process_name: String,
    size: Option<u64>,
    resident: Option<u64>,
}

/// What is not known of one of the processes is not known of all.
struct Processes {
    count: u64,
    size: Option<u64>,
    resident: Option<u64>,
}

impl Item<Memory> for SystemMemory {
    fn points(self, _: &mut Memory, _: &Scope, points: &mut Points) {
        points.push(&SYSTEM_MEMORY, &[], &self.system_memory_summary_information);
        let mut by_name: BTreeMap<String, Processes> = BTreeMap::new();
        let mut met = Distinct::default();
        for process in self.pmap_terse_information.pmap_terse_summary {
            if !met.is_new("", &[&process.pid]) {
                continue;
            }
            let none = Processes { count: 0, size: Some(0), resident: Some(0) };
            let processes = by_name.entry(process.process_name).or_insert(none);
            let add = |sum: Option<u64>, more| Some(sum?.saturating_add(more?));
            processes.count += 1;
            processes.size = add(processes.size, process.size);
            processes.resident = add(processes.resident, process.resident);
        }
        for (name, processes) in &by_name {
            points.push(&PROCESS, &[name], processes);
        }
    }
}
