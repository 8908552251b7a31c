//! Sessions of an SRX's flow module, by SPU.

use crate::collector::{Collector, Item, Query, Rpc, item};
use crate::point::{Definition, Measurement, Points, Schema};
use crate::xml::items::Scope;
use crate::xml::shapes::{Leaves, leaf_counter, leaf_gauge};

#[derive(Default)]
pub struct FlowSessions;

static SUMMARY: Measurement<Leaves> = Measurement::new(|| Definition {
    name: "flow_session",
    help: "Sessions of the flow module, or of one SPU where there are several.",
    tags: &["spu"],
    fields: vec![
        leaf_gauge("active-unicast-sessions"),
        leaf_gauge("active-multicast-sessions"),
        leaf_gauge("active-services-offload-sessions"),
        leaf_counter("failed-sessions").total(),
        leaf_gauge("active-drop-sessions"),
        leaf_gauge("active-sessions"),
        leaf_gauge("active-session-valid"),
        leaf_gauge("active-session-pending"),
        leaf_gauge("active-session-invalidated"),
        leaf_gauge("active-session-other"),
        leaf_gauge("max-sessions"),
    ],
});

impl Collector for FlowSessions {
    const NAME: &'static str = "flowsessions";
    const HELP: &'static str = "Sessions of an SRX's flow module, by SPU.";
    const QUERIES: &'static [Query<FlowSessions>] = &[Query {
        rpc: Rpc::Once("<get-flow-session-information><summary/></get-flow-session-information>"),
        command: "show security flow session summary",
        roots: &["flow-session-information", "security-flow-information"],
        items: &[item::<_, Leaves>("flow-session-summary-information")],
    }];
    const MEASUREMENTS: &'static [&'static dyn Schema] = &[&SUMMARY];
}

impl Item<FlowSessions> for Leaves {
    fn points(self, _: &mut FlowSessions, scope: &Scope, points: &mut Points) {
        // Its place stands before it: `FPC0 PIC0:`.
        let spu = scope.get("flow-fpc-pic-id").unwrap_or_default().trim_end_matches(':');
        points.push(&SUMMARY, &[spu], &self);
    }
}
