//! What points hold, and what they leave out.

use super::*;

struct Port {
    bytes: Option<u64>,
    dbm: Option<f64>,
    description: String,
}

static PORT: Measurement<Port> = Measurement::new(|| Definition {
    name: "port",
    help: "A port.",
    tags: &["name", "lane"],
    fields: vec![
        counter("bytes", "bytes", "Bytes.", |p| p.bytes),
        gauge("dbm", "dBm", "Power.", |p| p.dbm),
        info("description", "What the operator wrote.", |p| Some(&p.description)),
    ],
});

#[test]
fn a_reading_that_is_missing_or_not_a_number_leaves_its_field_out() {
    let mut points = Points::default();
    let port = Port { bytes: Some(u64::MAX), dbm: Some(f64::NAN), description: "".into() };
    assert!(points.push(&PORT, &["ge-0/0/0", ""], &port));
    let point = points.get(0);
    assert_eq!(point.tags().collect::<Vec<_>>(), [("name", "ge-0/0/0")]);
    let fields: Vec<_> = point.fields().map(|(_, info, value)| (info.name, value)).collect();
    assert_eq!(fields, [("bytes", Value::Integer(u64::MAX))]);
}

#[test]
fn a_long_text_is_cut_and_counted() {
    let mut points = Points::default();
    let description = "é".repeat(TEXT_BYTES_MAX);
    let port = Port { bytes: Some(1), dbm: None, description };
    points.push(&PORT, &[&"n".repeat(8 << 20), ""], &port);
    let longest = |text: &str| text.len() == TEXT_BYTES_MAX;
    assert!(points.get(0).tags().all(|(_, value)| longest(value)));
    assert!(matches!(points.get(0).field(2), Some(Value::Text(text)) if longest(text)));
    assert_eq!(points.misfits, 2);
}

/// Everything that a batch says of its points, as text.
fn said(points: &Points) -> Vec<String> {
    let all = points.iter().map(|point| {
        let fields: Vec<_> = point.fields().map(|(index, info, v)| (index, info.name, v)).collect();
        let each: Vec<_> = (0..point.schema.fields()).map(|index| point.field(index)).collect();
        let tags: Vec<_> = point.tags().collect();
        format!("{} {tags:?} {} {fields:?} {each:?}", point.schema.name(), point.tag(0))
    });
    all.collect()
}

#[test]
fn what_is_kept_says_the_same_in_less_room() {
    let numbers = [0, 1, 255, 256, u64::from(u32::MAX), 1 << 55, 1 << 56, u64::MAX];
    let decimals = [0.0, -0.0, 0.5, -3.21, f64::INFINITY, f64::MIN_POSITIVE, 1e300, f64::NAN];
    // A batch as it is cut, and one for whose places two bytes are too few.
    for (ports, room) in [(2, 2), (100, 3)] {
        let mut points = Points::default();
        points.set_re_name("re0");
        for at in 0..ports * numbers.len() {
            let (bytes, dbm) = (numbers[at % 8], decimals[at % 8]);
            for lane in ["0", "1", ""] {
                let long = format!("{at}{}", "é".repeat(TEXT_BYTES_MAX / 2 - 3));
                let description = ["", "to fra", &long][at % 3].into();
                let bytes = (at != 3).then_some(bytes);
                let port = Port { bytes, dbm: Some(dbm), description };
                points.push(&PORT, &["ge-0/0/0", lane], &port);
                points.label("site", lane);
                points.free_label(["rack", "row", "cage"][at % 3], &at.to_string());
            }
        }
        let kept = points.kept();
        assert_eq!((kept.len(), said(&kept)), (points.len(), said(&points)));
        assert_eq!(said(&kept.clone()), said(&points));
        let twice = |points: &Points| {
            points.iter().filter(|point| point.has_label_twice(&["rack"])).count()
        };
        assert_eq!(twice(&kept), twice(&points));
        assert!(kept.bytes() * room < points.bytes(), "{} of {}", kept.bytes(), points.bytes());
    }
    assert_eq!(Points::default().kept().len(), 0);
}

#[test]
fn labels_are_added_to_points_that_are_there() {
    let mut points = Points::default();
    points.set_re_name("re0");
    for name in ["a", "b", "c"] {
        let port = Port { bytes: Some(1), dbm: None, description: String::new() };
        points.push(&PORT, &[name, ""], &port);
    }
    points.add_labels(|point| {
        let name = point.tags().next().unwrap().1;
        if name == "b" {
            return Vec::new();
        }
        vec![("x".into(), format!("{name}x")), ("y".into(), "1".into())]
    });
    let tags = |points: &Points, at: usize| {
        let tags: Vec<_> = points.get(at).tags().map(|(n, v)| format!("{n}={v}")).collect();
        tags.join(" ")
    };
    assert_eq!(tags(&points, 0), "name=a re_name=re0 x=ax y=1");
    assert_eq!(tags(&points, 1), "name=b re_name=re0");
    assert_eq!(tags(&points, 2), "name=c re_name=re0 x=cx y=1");
    // One that is there already is left out, and no point has two of one name.
    let more = [("y", "2"), ("lane", "3"), ("z", "4")];
    points.add_labels(|_| more.map(|(name, value)| (name.into(), value.into())).to_vec());
    assert_eq!(tags(&points, 0), "name=a re_name=re0 x=ax y=1 z=4");
    assert_eq!(tags(&points, 1), "name=b re_name=re0 y=2 z=4");
    assert_eq!(points.misfits, 5);
    assert!(points.iter().all(|point| !point.has_label_twice(&["host"])));
    assert!(points.iter().all(|point| point.has_label_twice(&["z"])));
    for name in ["name", "z", "description"] {
        let mut points = points.clone();
        points.label(name, "forged");
        assert!(points.get(2).has_label_twice(&[]), "{name}");
    }
}

#[test]
fn a_point_without_readings_is_dropped_whole() {
    let mut points = Points::default();
    points.set_re_name("node0");
    let port = Port { bytes: None, dbm: Some(f64::NAN), description: "uplink".into() };
    assert!(!points.push(&PORT, &["ge-0/0/0", ""], &port));
    let port = Port { bytes: Some(1), dbm: Some(-2.5), description: "core".into() };
    assert!(points.push(&PORT, &["ge-0/0/1", "2"], &port));
    assert_eq!(points.len(), 1);
    let point = points.get(0);
    let tags: Vec<_> = point.tags().collect();
    assert_eq!(tags, [("name", "ge-0/0/1"), ("lane", "2"), ("re_name", "node0")]);
    assert_eq!(point.fields().last().unwrap().2, Value::Text("core"));
}

#[test]
fn of_a_series_that_comes_twice_the_first_reading_holds() {
    let mut points = Points::default();
    points.keep_first();
    let port = |bytes, dbm| Port { bytes, dbm, description: "core".into() };
    assert!(points.push(&PORT, &["a", ""], &port(Some(1), None)));
    assert!(points.push(&PORT, &["b", ""], &port(Some(2), None)));
    points.clear();
    assert!(!points.push(&PORT, &["a", ""], &port(Some(3), None)));
    // Another reading of the same thing is none of those.
    assert!(points.push(&PORT, &["a", ""], &port(Some(4), Some(-2.5))));
    points.set_re_name("re1");
    assert!(points.push(&PORT, &["a", ""], &port(Some(5), None)));
    let fields = |at: usize| {
        let fields: Vec<_> = points.get(at).fields().map(|(_, info, _)| info.name).collect();
        fields.join(" ")
    };
    assert_eq!(
        (points.len(), fields(0), fields(1)),
        (2, "dbm description".into(), "bytes description".into())
    );
    assert_eq!(points.misfits, 2);
    assert!(points.clone().push(&PORT, &["a", ""], &port(Some(6), None)));
}
