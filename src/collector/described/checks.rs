//! What a description may not do beside other collectors: what tests hold the built-in ones to.

use super::faults::Fault;
use super::plan::{Plan, Template};
use crate::collector::Entry;
use crate::point::{FieldInfo, Kind, Schema};

/// A collector of the program or of another file that has something already.
struct Other<'a> {
    collector: &'a str,
    schema: &'static dyn Schema,
}

/// What stands in the way of a description beside these collectors. `metric` is what Prometheus
/// calls a field of a measurement.
pub fn beside(
    plan: &Plan,
    others: &[&'static Entry],
    metric: fn(&str, &str) -> String,
) -> Vec<Fault> {
    let others: Vec<Other> = others
        .iter()
        .flat_map(|entry| {
            let of =
                |schema: &&'static dyn Schema| Other { collector: entry.name, schema: *schema };
            entry.measurements.iter().map(of)
        })
        .collect();
    let mut faults = Vec::new();
    let templates = || plan.queries.iter().flat_map(|q| &q.items).flat_map(|i| &i.templates);
    for template in templates() {
        let of_name = |other: &&Other| other.schema.name() == template.schema.name;
        let same: Vec<&Other> = others.iter().filter(of_name).collect();
        match same.first() {
            Some(first) => faults.extend(adds_nothing(template, first.collector, &same)),
            None => {
                if !plan.replaces {
                    faults.extend(names(template));
                }
                faults.extend(metrics(template, &others, metric));
            }
        }
        for other in templates().filter(|other| other.schema.name == template.schema.name) {
            faults.extend(agrees(template, other));
        }
    }
    faults
}

fn fields(schema: &'static dyn Schema) -> impl Iterator<Item = &'static FieldInfo> {
    (0..schema.fields()).map(move |index| schema.field(index))
}

/// A measurement of another collector gets no tags and no fields that it does not have.
fn adds_nothing<'a>(
    template: &'a Template,
    collector: &'a str,
    same: &'a [&Other],
) -> impl Iterator<Item = Fault> + use<'a> {
    let name = template.schema.name;
    let has_tag = |tag: &&&str| same.iter().any(|other| other.schema.tags().contains(*tag));
    let tags = template.schema.tags.iter().filter(move |tag| !has_tag(tag)).map(move |tag| {
        let why = format!(
            "the measurement `{name}` is one of {collector}, and has no tag `{tag}`: give yours \
             another name"
        );
        Fault { at: template.order, why }
    });
    let fits = |info: &FieldInfo| {
        let mut all = same.iter().flat_map(|other| fields(other.schema));
        all.any(|known| (known.name, known.ty, known.kind) == (info.name, info.ty, info.kind))
    };
    let infos = template.schema.fields.iter().zip(&template.fields);
    let infos = infos.filter(move |(info, _)| !fits(info)).map(move |(info, field)| {
        let why = format!(
            "the measurement `{name}` is one of {collector}, and has no field `{}` of this kind \
             and type: give yours another name",
            info.name
        );
        Fault { at: field.at, why }
    });
    tags.chain(infos)
}

/// Prometheus's endings: `_total` is a counter's, `_count` a histogram's.
fn names(template: &Template) -> impl Iterator<Item = Fault> {
    template.schema.fields.iter().zip(&template.fields).filter_map(|(info, field)| {
        let ends = |end: &str| info.name.ends_with(end) || info.name == end.trim_start_matches('_');
        let why = match info.kind {
            Kind::Counter if !ends("_total") => format!("call it `{}_total`", info.name),
            Kind::Gauge if ends("_total") => "only a counter is called so".to_string(),
            Kind::Gauge if info.name.ends_with("_count") => "leave out `_count`".to_string(),
            _ => return None,
        };
        let why = format!("`{}` is no name for such a field in Prometheus: {why}", info.name);
        Some(Fault { at: field.at, why })
    })
}

/// No series of Prometheus has the name of another measurement's.
fn metrics(template: &Template, others: &[Other], metric: fn(&str, &str) -> String) -> Vec<Fault> {
    let is_number = |info: &FieldInfo| matches!(info.kind, Kind::Counter | Kind::Gauge);
    let mut faults = Vec::new();
    for (info, field) in template.schema.fields.iter().zip(&template.fields) {
        if !is_number(info) {
            continue;
        }
        let name = metric(template.schema.name, info.name);
        // Only names that begin alike can come to the same.
        let may_be = |other: &&Other| {
            let of = other.schema.name();
            of.starts_with(template.schema.name) || template.schema.name.starts_with(of)
        };
        let taken = others.iter().filter(may_be).find(|other| {
            fields(other.schema)
                .any(|known| is_number(known) && metric(other.schema.name(), known.name) == name)
        });
        if let Some(other) = taken {
            let why =
                format!("Prometheus would call it `{name}`, as a field of {}", other.collector);
            faults.push(Fault { at: field.at, why });
        }
    }
    faults
}

/// Points of one measurement have the same types, and no tag of one is a field of another.
fn agrees(template: &Template, other: &Template) -> Vec<Fault> {
    let mut faults = Vec::new();
    for (info, field) in template.schema.fields.iter().zip(&template.fields) {
        if other.schema.tags.contains(&info.name) {
            let why = format!("`{}` is a tag of the measurement too", info.name);
            faults.push(Fault { at: field.at, why });
        }
        let known = other.schema.fields.iter().find(|known| known.name == info.name);
        if known.is_some_and(|known| (known.ty, known.kind) != (info.ty, info.kind)) {
            let why = format!("`{}` has another kind or type elsewhere in the file", info.name);
            faults.push(Fault { at: field.at, why });
        }
    }
    faults
}
