//! A simulated router whose replies a test writes: what it changes is known.

use std::fmt::{Display, Write};

use super::perijove::local_router;
use super::temporary::Directory;

pub struct Script {
    replies: Directory,
}

impl Script {
    pub fn new() -> Script {
        Script { replies: Directory::new() }
    }

    /// The router's options.
    pub fn options(&self) -> String {
        format!("--replies {}", self.replies.path().display())
    }

    /// Its settings.
    pub fn router(&self) -> String {
        local_router("r1", &self.options())
    }

    /// From now on a request is answered so.
    pub fn answer(&self, rpc: &str, text: &str) {
        // At once, as the router may be reading it.
        let new = self.replies.write(&format!("{rpc}.new"), text);
        std::fs::rename(new, self.replies.join(&format!("{rpc}.xml"))).unwrap();
    }

    /// Ports with their states, the seconds since they flapped, and their carrier transitions.
    pub fn ports<T: Display>(&self, ports: &[(&str, &str, T, u64)]) {
        let ports = ports.iter().map(|(name, state, flapped, transitions)| {
            port(name, state, "", flapped, *transitions)
        });
        self.interfaces(&ports.collect::<String>());
    }

    /// What `port` has made.
    pub fn interfaces(&self, ports: &str) {
        let text = format!("<interface-information>\n{ports}</interface-information>\n");
        self.answer("get-interface-information", &text);
    }

    /// Alarms of the class Major.
    pub fn alarms(&self, alarms: &[&str]) {
        let mut text = String::from("<alarm-information>\n");
        for alarm in alarms {
            let _ = write!(
                text,
                "<alarm-detail>\n<alarm-class>Major</alarm-class>\n\
                 <alarm-description>{alarm}</alarm-description>\n\
                 <alarm-type>Chassis</alarm-type>\n</alarm-detail>\n"
            );
        }
        self.answer("get-alarm-information", &(text + "</alarm-information>\n"));
    }

    /// No alarms but those.
    pub fn no_system_alarms(&self) {
        let none = "<alarm-information>\n</alarm-information>\n";
        self.answer("get-system-alarm-information", none);
    }
}

/// A port of the reply; `flapped` may be a generator of the router, such as `{ago …}`.
pub fn port(
    name: &str,
    state: &str,
    description: &str,
    flapped: &impl Display,
    transitions: u64,
) -> String {
    let description = match description {
        "" => String::new(),
        text => format!("<description>{text}</description>\n"),
    };
    format!(
        "<physical-interface>\n<name>{name}</name>\n<admin-status>up</admin-status>\n\
         <oper-status>{state}</oper-status>\n{description}\
         <interface-flapped junos:seconds=\"{flapped}\">x</interface-flapped>\n\
         <output-error-list>\n<carrier-transitions>{transitions}</carrier-transitions>\n\
         </output-error-list>\n</physical-interface>\n"
    )
}
