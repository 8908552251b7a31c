//! Active alarms of the system and the chassis.

use std::collections::{BTreeMap, BTreeSet};

use serde::Deserialize;

use crate::base::changes::{Grade, Rule, Severity, Watch};
use crate::collector::distinct::Distinct;
use crate::collector::outcome::Answered;
use crate::collector::settings::{Pattern, settings};
use crate::collector::{Collector, Item, ItemOf, Query, Rpc, item};
use crate::point::{Definition, Measurement, Points, Schema, gauge, watched};
use crate::xml::items::Scope;
use crate::xml::misfits;
use crate::xml::shapes::{Seconds, is_word};

settings! {
    pub struct AlarmSettings {
        /// A pattern: an alarm whose description or type matches is not counted.
        ignore: Option<Pattern>,
    }
}

pub struct Alarm {
    ignore: Option<Pattern>,
    /// Descriptions so far: both commands, and every Routing Engine, may report the same alarm.
    yellow: BTreeSet<String>,
    red: BTreeSet<String>,
    seen: BTreeSet<[String; 4]>,
    /// By command and Routing Engine.
    lists: BTreeMap<(u8, String), List>,
    met: Distinct,
}

/// One list of alarms. Two alarms may have the same words, and the list may stand twice.
#[derive(Default)]
struct List {
    /// How many alarms it says that there are: the first time, and in all.
    told: Option<u64>,
    told_in_all: u64,
    /// How many it has, and how many of them differ.
    read: u64,
    different: u64,
}

static COUNTS: Measurement<Alarm> = Measurement::new(|| Definition {
    name: "alarms",
    help: "Active alarms of the router, each description counted once.",
    tags: &[],
    fields: vec![
        gauge("yellow_count", "", "Alarms of class Minor.", |a| Some(a.yellow.len() as u64)),
        gauge("red_count", "", "Alarms of class Major.", |a| Some(a.red.len() as u64)),
    ],
});

static ALARM: Rule = Rule {
    watch: Watch::Presence,
    words: "cleared 0, set 1",
    gone: "cleared",
    grade: Grade::ByTag("class", &[("Major", Severity::Error), ("Minor", Severity::Warning)]),
    subject: &["description"],
    key: &["class", "type", "description"],
    at: "set_time",
    message: "type",
    ..Rule::of("alarm")
};

static SET: Measurement<AlarmDetail> = Measurement::new(|| Definition {
    name: "alarms",
    help: "An alarm that is active.",
    tags: &["class", "type", "description"],
    fields: vec![
        watched(&ALARM, gauge("set", "", "1 while the alarm is active.", |_| Some(1))),
        gauge("set_time", "s", "When it was set, since 1970.", |a| a.alarm_time?.seconds),
    ],
});

impl Alarm {
    pub fn new(settings: AlarmSettings) -> Alarm {
        let (yellow, red, seen, lists, met) = Default::default();
        Alarm { ignore: settings.ignore, yellow, red, seen, lists, met }
    }

    fn list(&mut self, command: u8, re_name: &str) -> &mut List {
        self.lists.entry((command, re_name.to_string())).or_default()
    }
}

const fn items<const COMMAND: u8>() -> [ItemOf<Alarm>; 2] {
    [item::<_, Summary<COMMAND>>("alarm-summary"), item::<_, Detail<COMMAND>>("alarm-detail")]
}

impl Collector for Alarm {
    const NAME: &'static str = "alarm";
    const HELP: &'static str = "Active alarms of the system and the chassis.";
    const QUERIES: &'static [Query<Alarm>] = &[
        Query {
            rpc: Rpc::Once("<get-system-alarm-information/>"),
            command: "show system alarms",
            roots: &["alarm-information"],
            items: &items::<0>(),
        },
        Query {
            rpc: Rpc::Once("<get-alarm-information/>"),
            command: "show chassis alarms",
            roots: &["alarm-information"],
            items: &items::<1>(),
        },
    ];
    const MEASUREMENTS: &'static [&'static dyn Schema] = &[&COUNTS, &SET];

    fn finish(&mut self, _: Answered, points: &mut Points) {
        for List { told, told_in_all, read, different } in self.lists.values() {
            let told = told.unwrap_or(0);
            if *different < told && read < told_in_all {
                return misfits::count(|| format!("of {told} alarms, the reply has {different}"));
            }
        }
        points.push(&COUNTS, &[], self);
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
struct Summary<const COMMAND: u8> {
    active_alarm_count: Option<u64>,
}

impl<const COMMAND: u8> Item<Alarm> for Summary<COMMAND> {
    fn points(self, alarm: &mut Alarm, scope: &Scope, _: &mut Points) {
        let list = alarm.list(COMMAND, scope.re_name());
        list.told = list.told.or(self.active_alarm_count);
        list.told_in_all = list.told_in_all.saturating_add(self.active_alarm_count.unwrap_or(0));
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
struct AlarmDetail {
    #[serde(default)]
    alarm_class: String,
    #[serde(default)]
    alarm_type: String,
    #[serde(default)]
    alarm_description: String,
    alarm_time: Option<Seconds>,
}

#[derive(Deserialize)]
struct Detail<const COMMAND: u8>(AlarmDetail);

impl<const COMMAND: u8> Item<Alarm> for Detail<COMMAND> {
    fn points(self, alarm: &mut Alarm, scope: &Scope, points: &mut Points) {
        let AlarmDetail { alarm_class, alarm_type, alarm_description, .. } = &self.0;
        let of = format!("{COMMAND} {}", scope.re_name());
        let record = (alarm_class, alarm_type, alarm_description);
        let is_new = alarm.met.is_new_record(&of, &record);
        let list = alarm.list(COMMAND, scope.re_name());
        list.read += 1;
        list.different += u64::from(is_new);
        self.0.points(alarm, scope, points);
    }
}

impl AlarmDetail {
    fn points(&self, alarm: &mut Alarm, scope: &Scope, points: &mut Points) {
        let re_name = scope.get("re-name").unwrap_or_default();
        let [class, ty, description] =
            [&self.alarm_class, &self.alarm_type, &self.alarm_description].map(String::clone);
        if !alarm.seen.insert([re_name.into(), class, ty, description]) {
            return;
        }
        points.push(&SET, &[&self.alarm_class, &self.alarm_type, &self.alarm_description], self);
        let ignored = |pattern: &Pattern| {
            pattern.is_match(&self.alarm_description) || pattern.is_match(&self.alarm_type)
        };
        if alarm.ignore.as_ref().is_some_and(ignored) {
            return;
        }
        match self.alarm_class.as_str() {
            class if is_word(class, "Minor") => alarm.yellow.insert(self.alarm_description.clone()),
            class if is_word(class, "Major") => alarm.red.insert(self.alarm_description.clone()),
            _ => false,
        };
    }
}
