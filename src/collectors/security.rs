//! The services processing units of an SRX: CPU, memory and sessions.

use serde::Deserialize;

use crate::collector::{Collector, Item, Query, Rpc, item};
use crate::point::{Definition, Measurement, Points, Schema, gauge};
use crate::xml::items::Scope;
use crate::xml::shapes::Leaves;

#[derive(Default)]
pub struct Security;

static SPU: Measurement<Leaves> = Measurement::new(|| Definition {
    name: "security",
    help: "A services processing unit.",
    tags: &["re_name", "fpc", "pic"],
    fields: vec![
        gauge("fpc_number", "", "Its FPC.", |l| l.integer("fpc-number")),
        gauge("pic_number", "", "Its PIC.", |l| l.integer("pic-number")),
        gauge("cpu_utilization", "%", "CPU in use.", |l| l.integer("spu-cpu-utilization")),
        gauge("memory_utilization", "%", "Memory in use.", |l| l.integer("spu-memory-utilization")),
        gauge("current_flow_session", "", "Flow sessions.", |l| {
            l.integer("spu-current-flow-session")
        }),
        gauge("maximum_flow_session", "", "The most flow sessions there may be.", |l| {
            l.integer("spu-max-flow-session")
        }),
        gauge("current_cp_session", "", "Sessions at the central point.", |l| {
            l.integer("spu-current-cp-session")
        }),
        gauge("max_cp_session", "", "The most sessions at the central point.", |l| {
            l.integer("spu-max-cp-session")
        }),
    ],
});

impl Collector for Security {
    const NAME: &'static str = "security";
    const HELP: &'static str = "The services processing units of an SRX: CPU, memory and sessions.";
    const QUERIES: &'static [Query<Security>] = &[Query {
        rpc: Rpc::Once("<get-performance-summary-information/>"),
        command: "show security monitoring",
        roots: &["performance-summary-information"],
        items: &[item::<_, Spu>("performance-summary-statistics")],
    }];
    const MEASUREMENTS: &'static [&'static dyn Schema] = &[&SPU];
}

#[derive(Deserialize)]
struct Spu(Leaves);

impl Item<Security> for Spu {
    fn points(self, _: &mut Security, scope: &Scope, points: &mut Points) {
        let [fpc, pic] =
            ["fpc-number", "pic-number"].map(|name| self.0.text(name).unwrap_or_default());
        points.push(&SPU, &[scope.re_name(), fpc, pic], &self.0);
    }
}
