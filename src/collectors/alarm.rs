//! Active alarms of the system and the chassis.

use std::collections::BTreeSet;

use serde::Deserialize;

use crate::base::changes::{Grade, Rule, Severity, Watch};
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
    /// How many alarms the replies say that there are, and how many they have.
    told: u64,
    read: u64,
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
        let (yellow, red, seen) = Default::default();
        Alarm { ignore: settings.ignore, yellow, red, seen, told: 0, read: 0 }
    }
}

const ITEMS: &[ItemOf<Alarm>] =
    &[item::<_, Summary>("alarm-summary"), item::<_, AlarmDetail>("alarm-detail")];

impl Collector for Alarm {
    const NAME: &'static str = "alarm";
    const HELP: &'static str = "Active alarms of the system and the chassis.";
    const QUERIES: &'static [Query<Alarm>] = &[
        Query {
            rpc: Rpc::Once("<get-system-alarm-information/>"),
            command: "show system alarms",
            roots: &["alarm-information"],
            items: ITEMS,
        },
        Query {
            rpc: Rpc::Once("<get-alarm-information/>"),
            command: "show chassis alarms",
            roots: &["alarm-information"],
            items: ITEMS,
        },
    ];
    const MEASUREMENTS: &'static [&'static dyn Schema] = &[&COUNTS, &SET];

    fn finish(&mut self, _: Answered, points: &mut Points) {
        let Alarm { told, read, .. } = *self;
        if read < told {
            return misfits::count(|| format!("of {told} alarms, the reply has {read}"));
        }
        points.push(&COUNTS, &[], self);
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
struct Summary {
    active_alarm_count: Option<u64>,
}

impl Item<Alarm> for Summary {
    fn points(self, alarm: &mut Alarm, _: &Scope, _: &mut Points) {
        alarm.told = alarm.told.saturating_add(self.active_alarm_count.unwrap_or(0));
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

impl Item<Alarm> for AlarmDetail {
    fn points(self, alarm: &mut Alarm, scope: &Scope, points: &mut Points) {
        alarm.read += 1;
        let re_name = scope.get("re-name").unwrap_or_default();
        let [class, ty, description] =
            [&self.alarm_class, &self.alarm_type, &self.alarm_description].map(String::clone);
        if !alarm.seen.insert([re_name.into(), class, ty, description]) {
            return;
        }
        points.push(&SET, &[&self.alarm_class, &self.alarm_type, &self.alarm_description], &self);
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
