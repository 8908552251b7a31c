//! Macros of the router's configuration against the settings file that says the same.

use std::path::PathBuf;

use perijove::config::Source;
use perijove::poll::configuration::{Macros, Parameter};
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::{Index, select, subsequence};

use super::cases;

/// Keys of all kinds of tables, and values of them as TOML has them.
const SETTINGS: &[(&str, &[&str])] = &[
    ("interval", &["\"10s\"", "\"2m\""]),
    ("poll_share_max", &["10", "7.5"]),
    ("busy_cpu_percent", &["85", "99.5"]),
    ("collectors", &["[\"alarm\", \"bgp\"]", "['route']"]),
    ("master_only", &["true", "false"]),
    ("limits.item_bytes_max", &["\"1MB\""]),
    ("log.level", &["\"debug\"", "\"warn\""]),
    ("collector.bgp.interval", &["\"45s\""]),
    ("collector.alarm.ignore", &["\"a = b # c\"", "\"^\\\\d+ \\\"x\\\"\"", "\"true\""]),
    ("output.influxdb.url", &["\"http://192.0.2.10:8086\"", "\"http://[2001:db8::1]:8086/x\""]),
    ("output.influxdb.database", &["\"perijove\"", "\"2024\"", "\"1979-05-27\"", "\"inf\""]),
    ("output.influxdb.gzip", &["true", "false"]),
    ("output.influxdb.batch_points_max", &["1", "1_000", "0x20"]),
    ("output.influxdb.ca_file", &["\"/HOME/ca.pem\""]),
    ("output.prometheus.listen", &["\"127.0.0.1:9326\"", "\"[::1]:9\""]),
    (
        "output.prometheus.users",
        &["{ u = \"$2a$05$CCCCCCCCCCCCCCCCCCCCC.E5YPO9kmyuRGyh0XouQYb4YMJKvyOeW\" }"],
    ),
    ("spool.bytes_max", &["\"5MB\""]),
    ("router_defaults.tags.site", &["\"north hall\"", "\"é\u{1f680}\"", "\"{ x = 1 }\""]),
    ("router_defaults.tags.\"a_b\"", &["\"x\""]),
];

/// A setting, how its value is picked, how many of its tables the macro's name has, and whether a
/// text is written without quotes.
type Chosen = (&'static (&'static str, &'static [&'static str]), Index, Index, bool);

fn chosen() -> impl Strategy<Value = Vec<Chosen>> {
    let some = subsequence(SETTINGS.iter().collect::<Vec<_>>(), 0..=SETTINGS.len());
    some.prop_shuffle().prop_flat_map(|settings| {
        let how = vec((any::<Index>(), any::<Index>(), any::<bool>()), settings.len());
        (Just(settings), how).prop_map(|(settings, how)| {
            let each = settings.into_iter().zip(how);
            each.map(|(setting, (value, split, plain))| (setting, value, split, plain)).collect()
        })
    })
}

/// The value without quotes, unless it would be something else then.
fn without_quotes(value: &str) -> String {
    let table: toml::Table = toml::from_str(&format!("v = {value}")).expect("a value");
    let Some(text) = table["v"].as_str() else { return value.into() };
    let is_text = match toml::from_str::<toml::Table>(&format!("v = {text}")) {
        Err(_) => true,
        Ok(table) => {
            table.len() == 1
                && (table["v"].is_datetime()
                    || table["v"].as_float().is_some_and(|float| !float.is_finite()))
        }
    };
    if is_text { text.into() } else { value.into() }
}

fn parameter(chosen: &Chosen) -> Parameter {
    let ((key, values), value, split, plain) = chosen;
    // A quoted part has a dot of its own.
    let bare = key.split('"').next().unwrap_or_default();
    let dots: Vec<usize> = bare.match_indices('.').map(|(at, _)| at).collect();
    let (of, name) = match split.index(dots.len() + 1) {
        0 => ("perijove".to_string(), *key),
        number => {
            let at = dots[number - 1];
            (format!("perijove-{}", &key[..at]), &key[at + 1..])
        }
    };
    let value = value.get(values);
    let value = if *plain { without_quotes(value) } else { value.to_string() };
    Parameter { of, name: name.into(), value: Some(value) }
}

fn path() -> Option<PathBuf> {
    Some("/HOME/perijove.toml".into())
}

/// What a file must have beside the settings, so that they are whole.
const REST: &str = "output.kafka = {brokers = \"b\"}\nspool.directory = \"/HOME/spool\"\n";

proptest! {
    #![proptest_config(cases(300))]

    #[test]
    fn macros_are_the_same_settings_as_a_file(chosen in chosen()) {
        let has = |key: &str| chosen.iter().any(|((chosen, _), ..)| chosen.starts_with(key));
        // A table without its url is an error, and one with it is not.
        prop_assume!(!has("output.influxdb") || has("output.influxdb.url"));
        let macros: Macros = chosen.iter().map(parameter).collect();
        let line = |((key, values), value, ..): &Chosen| format!("{key} = {}\n", value.get(values));
        let lines: String = chosen.iter().map(line).collect();
        let file = Source::parse(path(), format!("{REST}{lines}")).into_config();
        let both = Source::parse_with(path(), REST.to_string(), &macros).into_config();
        prop_assert!(file.is_ok(), "{file:?} {lines}");
        prop_assert_eq!(&both, &file, "{:?}", macros);
        // A file that has all of it already counts, and that is said of each.
        let doubled = Source::parse_with(path(), format!("{REST}{lines}"), &macros).into_config();
        let doubled = doubled.expect("settings");
        prop_assert_eq!(doubled.warnings.len(), macros.len());
    }

    #[test]
    fn no_macro_costs_more_than_an_error(
        of in "perijove(-[a-z.\"=\\[\\]#\n ]{0,12})?",
        name in "[a-z._\"=\\[\\]#\n é-]{0,24}",
        value in proptest::option::of("[a-z0-9/.\"'{}=\\[\\]#\n\u{1b}\u{202e}, ]{0,24}"),
        known in select(SETTINGS),
        is_known in any::<bool>(),
    ) {
        let name = if is_known { known.0.to_string() } else { name };
        let of = if is_known { "perijove".to_string() } else { of };
        let macros = vec![Parameter { of, name, value }];
        let read = Source::parse_with(path(), REST.to_string(), &macros).into_config();
        if let Err(why) = read {
            for line in why.lines() {
                prop_assert!(line.starts_with("set system apply-macro perijove"), "{why}");
            }
        }
    }
}
