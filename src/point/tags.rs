//! Tags that operators give a router: every point of the router has them, in all outputs.
//!
//! They cannot take the place of what a collector says: settings refuse a name that a collector of
//! the router has, and where a name is known only later, `Points` leaves the tag out.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::field::{Schema, has_name};

/// A router has no more: each is written with each of its points.
pub const TAGS_MAX: usize = 16;
const NAME_BYTES_MAX: usize = 64;
pub const VALUE_BYTES_MAX: usize = 256;

/// What outputs call the router, the collector and the time, what Prometheus reads in names, and
/// what the inventory says of a peer.
pub const RESERVED_LABELS: &[&str] = &[
    "target",
    "host",
    "node",
    "re_name",
    "remote_domain",
    "remote_hostgroup",
    "collector",
    "measurement",
    "time",
    "fields",
    "tags",
    "job",
    "instance",
    "exported_job",
    "exported_instance",
    "le",
    "quantile",
];

/// The tags that an operator gave a router, by name. A copy shares them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tags(Arc<[(String, String)]>);

impl Tags {
    /// These tags. One with an empty value is left out: it removes one that others set.
    pub fn new(mut tags: BTreeMap<String, String>) -> Result<Tags, String> {
        tags.retain(|_, value| !value.is_empty());
        for (name, value) in &tags {
            check_name(name)?;
            check_value(value).map_err(|why| format!("the tag `{name}`: {why}"))?;
        }
        if tags.len() > TAGS_MAX {
            return Err(format!("{} tags, and a router has {TAGS_MAX} at most", tags.len()));
        }
        Ok(Tags(tags.into_iter().collect()))
    }

    /// Name and value of each, in the order of the names.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(name, value)| (&**name, &**value))
    }

    pub fn has(&self, name: &str) -> bool {
        self.iter().any(|(own, _)| own == name)
    }

    /// Which of them a point cannot have, a bit for each: the measurement has the name itself.
    pub fn taken(&self, schema: &dyn Schema) -> u16 {
        let is_taken = |(at, (name, _))| u16::from(has_name(schema, name)) << at;
        self.iter().enumerate().map(is_taken).sum()
    }
}

/// Whether a tag may have the name: one that every output takes as it is, and none that outputs
/// or receivers use.
pub fn check_name(name: &str) -> Result<(), String> {
    let is_plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_';
    let fits = name.len() <= NAME_BYTES_MAX && name.starts_with(|c: char| c.is_ascii_lowercase());
    if !fits || !name.chars().all(is_plain) {
        return Err(format!(
            "a tag's name is made of a-z, 0-9 and _, begins with a letter and has at most \
             {NAME_BYTES_MAX} bytes; `{}` is none",
            crate::base::text::first_line(name)
        ));
    }
    match RESERVED_LABELS.contains(&name) {
        true => Err(format!("the tag `{name}` has a name that outputs use")),
        false => Ok(()),
    }
}

pub fn check_value(value: &str) -> Result<(), String> {
    match value.len() <= VALUE_BYTES_MAX {
        true => Ok(()),
        false => Err(format!("a value has at most {VALUE_BYTES_MAX} bytes")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::point::{Definition, Measurement, Points, counter, info};

    static PORT: Measurement<u64> = Measurement::new(|| Definition {
        name: "port",
        help: "A port.",
        tags: &["name"],
        fields: vec![
            counter("bytes", "bytes", "Bytes.", |p| Some(*p)),
            info("description", "What the operator wrote.", |_| Some("core")),
        ],
    });

    fn tags(pairs: &[(&str, &str)]) -> Result<Tags, String> {
        Tags::new(pairs.iter().map(|(name, value)| (name.to_string(), value.to_string())).collect())
    }

    #[test]
    fn every_point_has_them_and_none_takes_the_place_of_another() {
        let mut points = Points::default();
        let all =
            [("bytes", "forged"), ("description", "forged"), ("name", "forged"), ("site", "fra")];
        points.set_tags(&tags(&all).unwrap());
        points.push(&PORT, &["a"], &1);
        assert!(!points.free_label("site", "forged"));
        assert!(points.free_label("customer", "x"));
        points.clear();
        points.push(&PORT, &["a"], &1);
        points.push(&PORT, &["b"], &2);
        points.free_label("customer", "x");
        let found = |points: &Points, at| {
            points.get(at).tags().map(|(n, v)| format!("{n}={v}")).collect::<Vec<_>>()
        };
        for points in [&points, &points.clone()] {
            assert_eq!(found(points, 0), ["name=a", "site=fra"]);
            assert_eq!(found(points, 1), ["name=b", "customer=x", "site=fra"]);
            assert!(points.iter().all(|point| !point.has_label_twice(&[])));
        }
        // Three tags of each of the points.
        assert_eq!(points.misfits, 9);
        assert!(points.first_misfit.as_deref().unwrap().contains("tags of the router"));
    }

    #[test]
    fn names_values_and_their_number_have_limits() {
        assert_eq!(tags(&[("site", ""), ("role", "core")]), tags(&[("role", "core")]));
        for name in ["", "Site", "2", "_x", "a-b", "a b", "é", &"n".repeat(65)] {
            let said = tags(&[(name, "x")]).unwrap_err();
            assert!(said.starts_with("a tag's name is made of a-z, 0-9 and _"), "{said}");
        }
        for name in ["host", "target", "node", "re_name", "instance", "job", "le", "time"] {
            let said = tags(&[(name, "x")]).unwrap_err();
            assert_eq!(said, format!("the tag `{name}` has a name that outputs use"));
        }
        let said = tags(&[("site", &"x".repeat(257))]).unwrap_err();
        assert_eq!(said, "the tag `site`: a value has at most 256 bytes");
        let many = |count| (0..count).map(|at| (format!("t{at}"), "x".to_string())).collect();
        assert_eq!(Tags::new(many(17)).unwrap_err(), "17 tags, and a router has 16 at most");
        assert_eq!(Tags::new(many(16)).unwrap().iter().count(), 16);
    }
}
