//! Collectors that ask the same and read other items of it.

use super::*;
use crate::collector::{Collector, Entry, Item, Query, Rpc, entry, item};
use crate::point::{Definition, Measurement, Schema, gauge};
use crate::xml::items::{Limits, Scope};
use crate::xml::shapes::Leaves;

static SLOT: Measurement<Leaves> = Measurement::new(|| Definition {
    name: "slot",
    help: "A slot.",
    tags: &[],
    fields: vec![gauge("watts", "", "Its power.", |slot| slot.integer("watts"))],
});

#[derive(serde::Deserialize)]
struct Slot(Leaves);

impl<C> Item<C> for Slot {
    fn points(self, _: &mut C, _: &Scope, points: &mut Points) {
        points.push(&SLOT, &[], &self.0);
    }
}

/// Two collectors that ask the same and cut other items of the reply.
#[derive(Default)]
struct Chassis;
#[derive(Default)]
struct Slots;

macro_rules! made_up {
    ($collector:ident, $item:literal) => {
        impl Collector for $collector {
            const NAME: &'static str = stringify!($collector);
            const HELP: &'static str = "Slots.";
            const QUERIES: &'static [Query<$collector>] = &[Query {
                rpc: Rpc::Once("<get-slots/>"),
                command: "show slots",
                roots: &["slots"],
                items: &[item::<_, Slot>($item)],
            }];
            const MEASUREMENTS: &'static [&'static dyn Schema] = &[&SLOT];
        }
    };
}
made_up!(Chassis, "chassis");
made_up!(Slots, "slot");

#[test]
fn collectors_that_cut_other_items_have_a_reply_each() {
    let reply = "<slots><chassis><slot><watts>1</watts></slot><slot><watts>2</watts></slot>\
                 </chassis></slots>";
    let entries = [entry::<Chassis>(), entry::<Slots>(), entry::<Slots>()];
    let mut polls: Vec<_> = entries.iter().map(Entry::poll).collect();
    let sharing = |poll: &dyn Poll| -> Vec<bool> {
        let items = poll.items(0);
        polls.iter().map(|other| asks(&**other, "<get-slots/>", &items)).collect()
    };
    assert_eq!(sharing(&*polls[0]), [true, false, false]);
    assert_eq!(sharing(&*polls[1]), [false, true, true]);
    for (poll, expected) in polls.iter_mut().zip([1, 2, 2]) {
        let (mut points, mut tally) = (Points::default(), Tally::default());
        let (points, tally) = (&mut points, &mut tally);
        let mut readers = [Reader { poll: &mut **poll, query: 0, points, tally }];
        read_reply(reply.as_bytes(), &mut readers, &Limits::default(), &mut |_, _| {}).unwrap();
        assert_eq!(tally.points, expected);
    }
}
