//! Whether the Routing Engine that answers is the master: asked before a poll where the settings
//! say `master_only`. No collector of points, so it is not in the registry.

use std::io::Read;

use serde::Deserialize;

use crate::xml::element::Element;
use crate::xml::items::{Error, Items, Limits};
use crate::xml::shapes::known_state;

/// Only the engine that runs perijove; where a platform does not know the argument, all.
pub const RPC_LOCAL: &str = "<get-route-engine-information><routing-engine>local\
                             </routing-engine></get-route-engine-information>";
pub const RPC_ALL: &str = "<get-route-engine-information/>";

/// Any other state does not tell.
const STATES: &[(&str, u64)] = &[("master", 1), ("primary", 1), ("backup", 0), ("secondary", 0)];

#[derive(Default, Deserialize)]
#[serde(rename_all = "kebab-case", default)]
struct RouteEngine {
    slot: Option<u32>,
    mastership_state: Option<String>,
}

/// `Some` if the reply says it: of the engine in `slot`, or of the only one there is. An engine
/// without a state is alone, and so the master.
pub fn read(reply: impl Read, slot: Option<u32>, limits: &Limits) -> Result<Option<bool>, Error> {
    let mut items = Items::new(reply, &["route-engine"], limits);
    let mut engines = Vec::new();
    while items.next_item()?.is_some() {
        let engine: Result<RouteEngine, _> = Element::new(items.item(), limits.depth_max).read();
        engines.extend(engine);
    }
    if slot.is_some() && engines.len() > 1 {
        engines.retain(|engine| engine.slot == slot);
    }
    let [engine] = &engines[..] else { return Ok(None) };
    let state = engine.mastership_state.as_deref().unwrap_or("master");
    Ok(known_state(state, STATES).map(|state| state == 1))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(states: &[&str], slot: Option<u32>) -> Option<bool> {
        let mut reply = String::from("<rpc-reply><route-engine-information>");
        for (slot, state) in states.iter().enumerate() {
            reply += &format!(
                "<route-engine><slot>{slot}</slot><mastership-state>{state}</mastership-state>\
                 </route-engine>"
            );
        }
        reply += "</route-engine-information></rpc-reply>";
        super::read(reply.as_bytes(), slot, &Limits::default()).unwrap()
    }

    #[test]
    fn the_engine_asked_for_or_the_only_one() {
        assert_eq!(read(&["master"], None), Some(true));
        assert_eq!(read(&["backup"], Some(1)), Some(false));
        assert_eq!(read(&[" Master (default) "], None), Some(true));
        assert_eq!(read(&["Backup"], None), Some(false));
        assert_eq!(read(&["Present"], None), None);
        assert_eq!(read(&["master", "backup"], Some(1)), Some(false));
        assert_eq!(read(&["master", "backup"], Some(0)), Some(true));
        assert_eq!(read(&["master", "backup"], None), None);
        assert_eq!(read(&[], None), None);
    }
}
