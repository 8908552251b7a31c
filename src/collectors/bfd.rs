//! BFD sessions.

use serde::Deserialize;

use crate::collector::{Collector, Item, Query, Rpc, item};
use crate::point::{Definition, Measurement, Points, Schema, gauge};
use crate::xml::items::Scope;
use crate::xml::shapes::{DOWN, UP, is};

#[derive(Default)]
pub struct Bfd;

static STATE: Measurement<Session> = Measurement::new(|| Definition {
    name: "bfd",
    help: "A BFD session, once for each protocol that uses it.",
    tags: &["neighbor", "interface", "client", "multihop_routing_table_index"],
    fields: vec![
        gauge("state", "", "1 if the session is up.", |s| is(s.state(), UP, DOWN)),
        gauge("admin_up", "", "0 if it is down on purpose.", |s| {
            is(s.state(), NOT_SHUT, &["AdminDown", "Admin down"])
        }),
    ],
});

/// RFC 5880 section 4.1: the states of a session that is not shut down.
const NOT_SHUT: &[&str] = &["Up", "Down", "Init", "Failing"];

impl Collector for Bfd {
    const NAME: &'static str = "bfd";
    const HELP: &'static str = "BFD sessions.";
    const ADVICE: &'static str =
        "60s with more than 1,000 sessions: the reply has about 2 kB for each.";
    const QUERIES: &'static [Query<Bfd>] = &[Query {
        rpc: Rpc::Once("<get-bfd-session-information><extensive/></get-bfd-session-information>"),
        command: "show bfd session extensive",
        roots: &["bfd-session-information"],
        items: &[item::<_, Session>("bfd-session")],
    }];
    const MEASUREMENTS: &'static [&'static dyn Schema] = &[&STATE];
}

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
struct Session {
    session_neighbor: String,
    session_state: Option<String>,
    #[serde(default)]
    session_interface: String,
    /// A session over several hops has no interface, and its routing instance no name.
    #[serde(default)]
    multihop_routing_table_index: String,
    #[serde(default)]
    bfd_client: Vec<Client>,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "kebab-case", default)]
struct Client {
    client_name: String,
}

impl Session {
    fn state(&self) -> Option<&str> {
        self.session_state.as_deref()
    }
}

impl Item<Bfd> for Session {
    fn points(mut self, _: &mut Bfd, _: &Scope, points: &mut Points) {
        if self.bfd_client.is_empty() {
            self.bfd_client.push(Client::default());
        }
        // 0 is the router's own table.
        let table = match self.multihop_routing_table_index.as_str() {
            "0" => "",
            index => index,
        };
        for Client { client_name } in &self.bfd_client {
            let tags = [&*self.session_neighbor, &self.session_interface, client_name, table];
            points.push(&STATE, &tags, &self);
        }
    }
}
