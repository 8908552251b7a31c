//! Temperatures, power supplies and fans of the chassis.

use serde::Deserialize;

use crate::collector::settings::settings;
use crate::collector::{Collector, Item, Query, Rpc, item};
use crate::point::{Definition, Measurement, Points, Schema, gauge, info, labelled, text};
use crate::xml::items::Scope;
use crate::xml::shapes::{Celsius, Degrees, Quantity, STATUS, state_number};

settings! {
    pub struct EnvironmentSettings {
        /// Ask for satellite devices too.
        satellite: bool,
    }
}

pub struct Environment {
    satellite: bool,
    /// Power entry modules so far: a chassis without them may have power supply modules instead.
    pems: usize,
    /// Query, Routing Engine and class of the last item that has a class: the items after it share
    /// it.
    class: Option<(usize, String, Class)>,
}

/// The class of an item.
#[derive(Clone, Copy, PartialEq)]
enum Class {
    Temperature,
    Power,
    Fan,
    Airflow,
    Other,
}

impl Class {
    /// By what Junos calls the class: `Temp`, `Power`, `Fans`.
    fn of(class: &str) -> Class {
        let class = class.to_ascii_lowercase();
        let is = |word| class.starts_with(word);
        match () {
            () if is("temp") => Class::Temperature,
            () if is("power") => Class::Power,
            () if is("fan") => Class::Fan,
            () if is("airflow") => Class::Airflow,
            () => Class::Other,
        }
    }

    /// By the item's name alone.
    fn named(name: &str) -> Class {
        let name = name.to_ascii_lowercase();
        match () {
            () if MODULES.iter().any(|module| name.contains(module)) => Class::Power,
            () if name.contains("airflow") => Class::Airflow,
            () if name.contains("fan") => Class::Fan,
            () => Class::Other,
        }
    }
}

/// What power modules are called.
const MODULES: &[&str] = &["power supply", "pem", "psm"];

const TAGS: &[&str] = &["re_name", "item"];

static TEMPERATURE: Measurement<EnvironmentItem> = Measurement::new(|| Definition {
    name: "environment",
    help: "A sensor of the chassis.",
    tags: TAGS,
    fields: vec![gauge("item_temp", "°C", "Temperature.", |i| i.temperature?.celsius())],
});

/// A sensor that has failed has no temperature.
static SENSOR: Measurement<EnvironmentItem> =
    Measurement::new(|| status("temp_up", "A sensor of the chassis."));
static POWER: Measurement<EnvironmentItem> =
    Measurement::new(|| status("power_up", "A power supply."));
static FAN: Measurement<EnvironmentItem> = Measurement::new(|| status("fan_up", "A fan."));
static AIRFLOW: Measurement<EnvironmentItem> =
    Measurement::new(|| status("fan_airflow_up", "A fan's airflow."));

fn status(field: &'static str, help: &'static str) -> Definition<EnvironmentItem> {
    let fields = vec![
        info("status", "Its status in words.", |i: &EnvironmentItem| i.status.as_deref()),
        gauge(field, "", STATUS, |i: &EnvironmentItem| state_number(i.status.as_deref(), STATUS)),
    ];
    Definition { name: "environment", help, tags: TAGS, fields }
}

static PEM_STATE: Measurement<Component> = Measurement::new(|| Definition {
    name: "environment_pem",
    help: "A power entry or power supply module.",
    tags: TAGS,
    fields: vec![
        labelled("state", info("state_name", "Its state in words.", |c| c.state.as_deref())),
        gauge("state", "", STATES, |c| state_number(c.state.as_deref(), STATES)),
    ],
});

const STATES: &str = "Online 1, Present 2, Empty 3, Offline 4, other 0.";

static PEM: Measurement<DcDetail> = Measurement::new(|| Definition {
    name: "environment_pem",
    help: "What a power entry or power supply module delivers.",
    tags: TAGS,
    fields: vec![
        gauge("voltage", "V", "DC voltage.", |d| Some(d.dc_voltage.or(d.str3_dc_voltage)?.0)),
        gauge("current", "A", "DC current.", |d| Some(d.dc_current.or(d.str3_dc_current)?.0)),
        gauge("power_usage", "W", "DC power.", |d| Some(d.dc_power?.0)),
        gauge("power_load_percent", "%", "Load.", |d| Some(d.dc_load?.0)),
    ],
});

static PEM_FAN: Measurement<FanSpeed> = Measurement::new(|| Definition {
    name: "environment_pem",
    help: "A fan of a power entry or power supply module.",
    tags: &["re_name", "item", "fan_name"],
    fields: vec![gauge("fanspeed", "rpm", "Speed.", |f| Some(f.fan_speed?.0))],
});

static THRESHOLD: Measurement<Threshold> = Measurement::new(|| Definition {
    name: "environment_temperature_threshold",
    help: "What happens at which temperature of a sensor.",
    tags: TAGS,
    fields: vec![
        gauge("fan_normal_speed", "°C", "The fans go back to normal speed.", |t| {
            Some(t.fan_normal_speed?.0)
        }),
        gauge("fan_high_speed", "°C", "The fans go to high speed.", |t| Some(t.fan_high_speed?.0)),
        gauge("yellow_alarm", "°C", "A minor alarm.", |t| Some(t.yellow_alarm?.0)),
        gauge("bad_fan_yellow_alarm", "°C", "A minor alarm while a fan has failed.", |t| {
            Some(t.bad_fan_yellow_alarm?.0)
        }),
        gauge("red_alarm", "°C", "A major alarm.", |t| Some(t.red_alarm?.0)),
        gauge("bad_fan_red_alarm", "°C", "A major alarm while a fan has failed.", |t| {
            Some(t.bad_fan_red_alarm?.0)
        }),
        gauge("fire_shutdown", "°C", "The router turns itself off.", |t| Some(t.fire_shutdown?.0)),
    ],
});

static SPEED: Measurement<Speed> = Measurement::new(|| Definition {
    name: "environment_fan",
    help: "A fan's speed.",
    tags: TAGS,
    fields: vec![
        text("status", "Its status in words.", |s| s.status.as_deref()),
        gauge("rpm", "rpm", "Speed.", |s| Some(s.rpm?.0)),
        gauge("rpm_percent", "%", "Speed, of the highest.", |s| Some(s.rpm_percent?.0)),
    ],
});

impl Environment {
    pub fn new(settings: EnvironmentSettings) -> Environment {
        Environment { satellite: settings.satellite, pems: 0, class: None }
    }
}

impl Collector for Environment {
    const NAME: &'static str = "environment";
    const HELP: &'static str = "Temperatures, power supplies and fans of the chassis.";
    const ADVICE: &'static str =
        "60s: temperatures and fans change slowly, and sensors are slow to read.";
    const QUERIES: &'static [Query<Environment>] = &[
        Query {
            rpc: Rpc::Once("<get-environment-information/>"),
            command: "show chassis environment",
            roots: &["environment-information"],
            items: &[item::<_, EnvironmentItem>("environment-item")],
        },
        Query {
            rpc: Rpc::When("<get-chassis-environment-satellite-information/>", |environment| {
                environment.satellite
            }),
            command: "show chassis environment satellite",
            roots: &["environment-information"],
            items: &[item::<_, EnvironmentItem>("environment-item")],
        },
        Query {
            rpc: Rpc::Once("<get-environment-pem-information/>"),
            command: "show chassis environment pem",
            roots: &["environment-component-information"],
            items: &[item::<_, Component>("environment-component-item")],
        },
        Query {
            rpc: Rpc::When("<get-environment-psm-information/>", |environment| {
                environment.pems == 0
            }),
            command: "show chassis environment psm",
            roots: &["environment-component-information"],
            items: &[item::<_, Component>("environment-component-item")],
        },
        Query {
            rpc: Rpc::Once("<get-temperature-threshold-information/>"),
            command: "show chassis temperature-thresholds",
            roots: &["temperature-threshold-information"],
            items: &[item::<_, Threshold>("temperature-threshold")],
        },
        Query {
            rpc: Rpc::Once("<get-fan-information/>"),
            command: "show chassis fan",
            roots: &["fan-information"],
            items: &[
                item::<_, Speed>("fan-information-rpm-item"),
                item::<_, Speed>("fan-information-percent-rpm-item"),
            ],
        },
    ];
    const MEASUREMENTS: &'static [&'static dyn Schema] = &[
        &TEMPERATURE,
        &SENSOR,
        &POWER,
        &FAN,
        &AIRFLOW,
        &PEM_STATE,
        &PEM,
        &PEM_FAN,
        &THRESHOLD,
        &SPEED,
    ];
}

#[derive(Deserialize)]
struct EnvironmentItem {
    name: String,
    #[serde(default)]
    class: String,
    status: Option<String>,
    temperature: Option<Celsius>,
}

impl Environment {
    /// The class of an item: only the first of several items of a Routing Engine states it.
    fn class(&mut self, query: usize, re_name: &str, item: &EnvironmentItem) -> Class {
        if !item.class.is_empty() {
            self.class = Some((query, re_name.to_string(), Class::of(&item.class)));
        }
        let shares = |(of, by, _): &&(usize, String, Class)| *of == query && by == re_name;
        let known = self.class.as_ref().filter(shares).map(|(_, _, class)| *class);
        let named = Class::named(&item.name);
        // A power module among the temperatures is the module itself, not one of its sensors.
        let name = item.name.to_ascii_lowercase();
        let name = name.trim_end_matches(|c: char| c.is_ascii_digit() || c == ' ');
        let is_module = MODULES.iter().any(|module| name.ends_with(module));
        match (known, named) {
            (Some(Class::Fan), Class::Airflow) | (None, _) => named,
            (Some(Class::Temperature), Class::Power) if is_module => named,
            (Some(class), _) => class,
        }
    }
}

impl Item<Environment> for EnvironmentItem {
    fn points(self, environment: &mut Environment, scope: &Scope, points: &mut Points) {
        let tags = [scope.re_name(), &self.name];
        points.push(&TEMPERATURE, &tags, &self);
        let measurement = match environment.class(points.query, scope.re_name(), &self) {
            Class::Temperature => &SENSOR,
            Class::Power => &POWER,
            Class::Fan => &FAN,
            Class::Airflow => &AIRFLOW,
            Class::Other => return,
        };
        points.push(measurement, &tags, &self);
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
struct Component {
    name: String,
    state: Option<String>,
    #[serde(default)]
    dc_information: DcInformation,
    #[serde(default)]
    fan_speed_reading: Vec<FanSpeed>,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "kebab-case", default)]
struct DcInformation {
    dc_detail: DcDetail,
}

/// Newer releases write some of the names with `str3-` in front.
#[derive(Default, Deserialize)]
#[serde(rename_all = "kebab-case", default)]
struct DcDetail {
    dc_voltage: Option<Quantity>,
    str3_dc_voltage: Option<Quantity>,
    dc_current: Option<Quantity>,
    str3_dc_current: Option<Quantity>,
    dc_power: Option<Quantity>,
    dc_load: Option<Quantity>,
}

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
struct FanSpeed {
    fan_name: String,
    fan_speed: Option<Quantity>,
}

impl Item<Environment> for Component {
    fn points(self, environment: &mut Environment, scope: &Scope, points: &mut Points) {
        environment.pems += 1;
        let tags = [scope.re_name(), &self.name];
        points.push(&PEM_STATE, &tags, &self);
        points.push(&PEM, &tags, &self.dc_information.dc_detail);
        for fan in &self.fan_speed_reading {
            points.push(&PEM_FAN, &[tags[0], tags[1], &fan.fan_name], fan);
        }
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
struct Threshold {
    name: String,
    fan_normal_speed: Option<Degrees>,
    fan_high_speed: Option<Degrees>,
    yellow_alarm: Option<Degrees>,
    bad_fan_yellow_alarm: Option<Degrees>,
    red_alarm: Option<Degrees>,
    bad_fan_red_alarm: Option<Degrees>,
    fire_shutdown: Option<Degrees>,
}

impl Item<Environment> for Threshold {
    fn points(self, _: &mut Environment, scope: &Scope, points: &mut Points) {
        points.push(&THRESHOLD, &[scope.re_name(), &self.name], &self);
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
struct Speed {
    name: String,
    status: Option<String>,
    rpm: Option<Quantity>,
    rpm_percent: Option<Quantity>,
}

impl Item<Environment> for Speed {
    fn points(self, _: &mut Environment, scope: &Scope, points: &mut Points) {
        points.push(&SPEED, &[scope.re_name(), &self.name], &self);
    }
}
