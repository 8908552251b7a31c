//! Users that are logged in.

use std::collections::BTreeMap;

use serde::Deserialize;

use crate::base::changes::{Rule, Watch};
use crate::collector::distinct::Distinct;
use crate::collector::{Collector, Item, Query, Rpc, item};
use crate::point::{Definition, Measurement, Points, Schema, gauge, watched};
use crate::xml::items::Scope;
use crate::xml::shapes::Seconds;

#[derive(Default)]
pub struct Users;

static ALL: Measurement<SystemUsers> = Measurement::new(|| Definition {
    name: "system_users",
    help: "Users that are logged in.",
    tags: &[],
    fields: vec![
        gauge("active_users", "", "Sessions on terminals.", |u| {
            u.uptime_information.active_user_count
        }),
        gauge("web_management_users", "", "Sessions of the web interface.", |u| {
            Some(u.web_management_users.as_ref()?.count())
        }),
    ],
});

static LOGIN: Rule =
    Rule { watch: Watch::Presence, gone: "0", at: "login_time", user: "user", ..Rule::of("login") };

static USER: Measurement<Sessions> = Measurement::new(|| Definition {
    name: "system_users",
    help: "A user's sessions on terminals.",
    tags: &["user"],
    fields: vec![
        watched(&LOGIN, gauge("sessions", "", "Sessions.", |s| Some(s.count))),
        gauge("login_time", "s", "When the latest began, since 1970.", |s| s.login_time),
        gauge("idle_time", "s", "Time since the last input, of the least idle one.", |s| {
            s.idle_time
        }),
    ],
});

impl Collector for Users {
    const NAME: &'static str = "users";
    const HELP: &'static str = "Users that are logged in.";
    const QUERIES: &'static [Query<Users>] = &[Query {
        rpc: Rpc::Once("<get-system-users-information/>"),
        command: "show system users",
        roots: &["system-users-information"],
        items: &[item::<_, SystemUsers>("system-users-information")],
    }];
    const MEASUREMENTS: &'static [&'static dyn Schema] = &[&ALL, &USER];
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "kebab-case", default)]
struct SystemUsers {
    uptime_information: UptimeInformation,
    web_management_users: Option<WebUsers>,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "kebab-case", default)]
struct UptimeInformation {
    active_user_count: Option<u64>,
    user_table: UserTable,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "kebab-case", default)]
struct UserTable {
    user_entry: Vec<User>,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "kebab-case", default)]
struct WebUsers {
    web_management_user: Vec<User>,
}

impl WebUsers {
    /// A session of the web interface has no terminal: all that is said of it tells it from others.
    fn count(&self) -> u64 {
        let mut met = Distinct::default();
        let sessions = self.web_management_user.iter();
        sessions.filter(|session| met.is_new_record("", session)).count() as u64
    }
}

#[derive(Deserialize, Hash)]
#[serde(rename_all = "kebab-case")]
struct User {
    user: String,
    #[serde(default)]
    tty: String,
    #[serde(default)]
    from: String,
    login_time: Option<Seconds>,
    idle_time: Option<Seconds>,
}

#[derive(Default)]
struct Sessions {
    count: u64,
    login_time: Option<u64>,
    idle_time: Option<u64>,
}

impl Item<Users> for SystemUsers {
    fn points(self, _: &mut Users, _: &Scope, points: &mut Points) {
        points.push(&ALL, &[], &self);
        let mut by_user: BTreeMap<String, Sessions> = BTreeMap::new();
        let mut met = Distinct::default();
        for entry in self.uptime_information.user_table.user_entry {
            let is_new = match &*entry.tty {
                "" => met.is_new_record("", &entry),
                tty => met.is_new("", &[tty]),
            };
            if !is_new {
                continue;
            }
            let sessions = by_user.entry(entry.user).or_default();
            let login_time = entry.login_time.and_then(|time| time.seconds);
            let idle_time = entry.idle_time.and_then(|time| time.seconds);
            sessions.count += 1;
            sessions.login_time = sessions.login_time.max(login_time);
            sessions.idle_time = sessions.idle_time.into_iter().chain(idle_time).min();
        }
        for (user, sessions) in &by_user {
            points.push(&USER, &[user], sessions);
        }
    }
}
