//! The JSON Schema of each measurement, as `perijove collectors --format json` prints them, and a
//! validator for what of JSON Schema (2020-12) they use; it panics at anything else.

use serde_json::Value as Json;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use super::perijove::perijove;
use super::process::run;

/// By measurement.
pub struct Schemas(Json);

impl Schemas {
    pub fn printed() -> Schemas {
        Schemas::printed_with(&[])
    }

    /// Those of a settings file's own collectors too.
    pub fn printed_with(arguments: &[&str]) -> Schemas {
        let arguments = [&["collectors", "--format", "json"], arguments].concat();
        let printed = run(&mut perijove(&arguments));
        assert_eq!(printed.code, 0, "{}", printed.stderr);
        Schemas(serde_json::from_str(&printed.stdout).expect("JSON"))
    }

    /// The record; panics unless it is one and the schema of its measurement allows it.
    pub fn check(&self, record: &str) -> Json {
        let value: Json = serde_json::from_str(record).unwrap_or_else(|e| panic!("{e}: {record}"));
        let name = value["measurement"].as_str().unwrap_or_default();
        let schema = self.0.get(name).unwrap_or_else(|| panic!("no schema of `{name}`: {record}"));
        validate(schema, &value, name);
        value
    }
}

fn validate(schema: &Json, value: &Json, place: &str) {
    for (keyword, rule) in schema.as_object().expect("a schema") {
        match keyword.as_str() {
            "$schema" | "title" | "description" | "unit" => {}
            "type" => {
                let fits = match rule.as_str().expect("a type") {
                    "object" => value.is_object(),
                    "string" => value.is_string(),
                    "integer" => value.is_u64() || value.is_i64(),
                    "number" => value.is_number(),
                    other => panic!("{place}: type {other}"),
                };
                assert!(fits, "{place}: {value} is no {rule}");
            }
            "format" => {
                assert_eq!(rule, "date-time", "{place}");
                let time = OffsetDateTime::parse(value.as_str().expect("a time"), &Rfc3339);
                assert!(time.is_ok(), "{place}: {value}");
            }
            "const" => assert_eq!(value, rule, "{place}"),
            "minimum" => assert!(value.as_f64() >= rule.as_f64(), "{place}: {value} < {rule}"),
            "maximum" => assert!(value.as_f64() <= rule.as_f64(), "{place}: {value} > {rule}"),
            "minProperties" => {
                let count = value.as_object().expect("an object").len() as u64;
                assert!(Some(count) >= rule.as_u64(), "{place}: {count} properties");
            }
            "required" => rule.as_array().expect("a list").iter().for_each(|name| {
                let name = name.as_str().expect("a name");
                assert!(value.get(name).is_some(), "{place}: {name} is missing");
            }),
            "properties" => {
                for (name, rule) in rule.as_object().expect("properties") {
                    if let Some(value) = value.get(name) {
                        validate(rule, value, &format!("{place}.{name}"));
                    }
                }
            }
            "additionalProperties" => {
                for (name, value) in value.as_object().expect("an object") {
                    let place = format!("{place}.{name}");
                    match rule {
                        _ if schema["properties"].get(name).is_some() => {}
                        Json::Bool(false) => panic!("{place} is unknown"),
                        rule => validate(rule, value, &place),
                    }
                }
            }
            other => panic!("{place}: this validator does not know the keyword {other}"),
        }
    }
}
