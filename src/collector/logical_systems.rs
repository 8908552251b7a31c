//! Logical systems: a query is sent for the router itself, and once more for each of them.

/// Those that are asked for, and the one whose reply is read.
pub struct LogicalSystems {
    names: Vec<String>,
    asked: String,
}

impl LogicalSystems {
    pub fn new(names: &[String]) -> LogicalSystems {
        LogicalSystems { names: names.to_vec(), asked: String::new() }
    }

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
