//! Class of service of interfaces: queues, shaping, scheduler maps, classifiers.

use serde::Deserialize;

use crate::collector::{Collector, Item, Query, Rpc, item};
use crate::point::{Definition, Measurement, Points, Schema, gauge, info};
use crate::xml::items::Scope;
use crate::xml::shapes::BitRate;

#[derive(Default)]
pub struct ClassOfService;

static INTERFACE: Measurement<Interface> = Measurement::new(|| Definition {
    name: "class_of_service",
    help: "Class of service of a physical interface.",
    tags: &["name"],
    fields: vec![
        info("scheduler_map_name", "Its scheduler map.", |i| Some(&i.scheduler_map_name)),
        gauge("queues_supported", "", "Queues that it has.", |i| i.interface_queues_supported),
        gauge("queues_in_use", "", "Queues in use.", |i| i.interface_queues_in_use),
        gauge("shaping_rate", "bit/s", "Rate that it is shaped to.", |i| {
            Some(i.interface_shaping_rate?.0)
        }),
        gauge("input_shaping_rate", "bit/s", "Rate that its input is shaped to.", |i| {
            Some(i.interface_input_shaping_rate?.0)
        }),
    ],
});

static OBJECT: Measurement<Option<u64>> = Measurement::new(|| Definition {
    name: "class_of_service_object",
    help: "A classifier, rewrite rule or the like that is bound to a logical interface.",
    tags: &["name", "object_type", "object_subtype", "object_name"],
    fields: vec![gauge("index", "", "Its index.", |index| *index)],
});

impl Collector for ClassOfService {
    const NAME: &'static str = "classofservice";
    const HELP: &'static str =
        "Class of service of interfaces: queues, shaping, scheduler maps, classifiers.";
    const ADVICE: &'static str = "300s: it is configuration.";
    const QUERIES: &'static [Query<ClassOfService>] = &[Query {
        rpc: Rpc::Once("<get-cos-interface-map-information/>"),
        command: "show class-of-service interface",
        roots: &["cos-interface-information"],
        items: &[item::<_, Interface>("interface-map")],
    }];
    const MEASUREMENTS: &'static [&'static dyn Schema] = &[&INTERFACE, &OBJECT];
}

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
struct Interface {
    interface_name: String,
    interface_queues_supported: Option<u64>,
    interface_queues_in_use: Option<u64>,
    interface_shaping_rate: Option<BitRate>,
    interface_input_shaping_rate: Option<BitRate>,
    #[serde(default)]
    scheduler_map_name: String,
    #[serde(default)]
    i_logical_map: Vec<Logical>,
}

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
struct Logical {
    i_logical_name: String,
    #[serde(default)]
    cos_objects: Objects,
}

/// Lists side by side, the objects' parts in the same order.
#[derive(Default, Deserialize)]
#[serde(rename_all = "kebab-case", default)]
struct Objects {
    cos_object_name: Vec<String>,
    cos_object_type: Vec<String>,
    cos_object_subtype: Vec<String>,
    cos_object_index: Vec<String>,
}

impl Item<ClassOfService> for Interface {
    fn points(self, _: &mut ClassOfService, _: &Scope, points: &mut Points) {
        points.push(&INTERFACE, &[&self.interface_name], &self);
        for Logical { i_logical_name, cos_objects } in &self.i_logical_map {
            let names = cos_objects.cos_object_name.iter().zip(&cos_objects.cos_object_index);
            let types = cos_objects.cos_object_type.iter().zip(&cos_objects.cos_object_subtype);
            for ((name, index), (ty, subtype)) in names.zip(types) {
                points.push(&OBJECT, &[i_logical_name, ty, subtype, name], &index.parse().ok());
            }
        }
    }
}
