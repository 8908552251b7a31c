//! Logical systems: a query is sent for the router itself, and once more for each of them.

use serde::Deserialize;

/// Those that are asked for, as a setting names them, and the one whose reply is read.
#[derive(Clone, Default, Deserialize)]
#[serde(from = "Vec<String>")]
pub struct LogicalSystems {
    names: Vec<String>,
    asked: String,
}

impl From<Vec<String>> for LogicalSystems {
    fn from(names: Vec<String>) -> LogicalSystems {
        LogicalSystems { names, asked: String::new() }
    }
}

impl LogicalSystems {
    /// The operation of that name, for the router itself and for each logical system.
    pub fn rpcs(&self, name: &str) -> Vec<String> {
        let of = |logical_system: &String| {
            let logical_system = quick_xml::escape::escape(logical_system);
            format!("<{name}><logical-system>{logical_system}</logical-system></{name}>")
        };
        std::iter::once(format!("<{name}/>")).chain(self.names.iter().map(of)).collect()
    }

    /// The reply to that one of the RPCs comes next.
    pub fn asked(&mut self, rpc: usize) {
        let name = rpc.checked_sub(1).and_then(|index| self.names.get(index));
        self.asked = name.cloned().unwrap_or_default();
    }

    /// Whose reply is read; empty for the router's own.
    pub fn name(&self) -> &str {
        &self.asked
    }
}
