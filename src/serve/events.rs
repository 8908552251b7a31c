//! `/events`: the newest events, a JSON record on each line, as Kafka gets them.
//!
//! The header `Perijove-Position` says how far an answer goes; who gives it back as `?after=` gets
//! what came since. A position of an earlier run gets all events of this one.

use super::Program;
use super::http::Request;
use crate::event::record::points;
use crate::output::json;
use crate::point::{Batch, EVENT, Tags};

pub const POSITION: &str = "Perijove-Position";

/// The records and the position behind them; an error says what is wrong with the request.
pub fn answer(request: &Request, program: &dyn Program) -> Result<(String, String), String> {
    let (mut after, mut target) = (0, None);
    for (name, value) in &request.query {
        match name.as_str() {
            "after" => {
                let wrong = || "after is a position that an answer gave\n".to_string();
                after = value.parse().map_err(|_| wrong())?;
            }
            "target" => target = Some(value),
            _ => return Err("/events takes after and target\n".into()),
        }
    }
    let (events, position) = program.events(after);
    let mut records = Vec::new();
    for (node, event) in events.iter().filter(|(node, _)| target.is_none_or(|t| t == node)) {
        let mut points = points(&Tags::default());
        event.push(&mut points);
        let time_ns = event.when.time_ns;
        json::encode(&Batch { node, collector: EVENT, time_ns, points: &points }, &mut records);
    }
    let records = String::from_utf8(records).map_err(|_| String::new())?;
    Ok((records, position.to_string()))
}
