//! Logical systems: a query is sent for the router itself, and once more for each of them.

use serde::Deserialize;

/// Those that are asked for, as a setting names them.
#[derive(Clone, Default, Deserialize)]
#[serde(transparent)]
pub struct LogicalSystems {
    names: Vec<String>,
}

impl LogicalSystems {
    /// The operation of that name, for the router itself and for each logical system.
    pub fn rpcs(&self, name: &str) -> Vec<String> {
        self.rpcs_of(&format!("<{name}/>"))
    }

    /// An operation as it is written, and once more for each logical system.
    pub fn rpcs_of(&self, operation: &str) -> Vec<String> {
        let name = operation.trim_start_matches('<').split(['>', '/', ' ']).next();
        let name = name.unwrap_or_default();
        let (open, close) = (operation.strip_suffix("/>"), format!("</{name}>"));
        let of = |logical_system: &String| {
            let logical_system = quick_xml::escape::escape(logical_system);
            let inside = format!("<logical-system>{logical_system}</logical-system>{close}");
            match open {
                Some(open) => format!("{open}>{inside}"),
                None => format!("{}{inside}", operation.trim_end_matches(&close)),
            }
        };
        std::iter::once(operation.to_string()).chain(self.names.iter().map(of)).collect()
    }

    /// Whom the query's RPC of that index asks for; empty for the router itself. Of several
    /// operations, each is sent as often.
    pub fn asked_by(&self, rpc: usize) -> &str {
        let index = (rpc % (self.names.len() + 1)).checked_sub(1);
        index.map_or("", |index| &self.names[index])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_operation_is_sent_for_each_logical_system() {
        let names = LogicalSystems { names: vec!["a".to_string(), "b&c".to_string()] };
        let inside = |name: &str| format!("<logical-system>{name}</logical-system>");
        assert_eq!(
            names.rpcs("get-x"),
            [
                "<get-x/>".to_string(),
                format!("<get-x>{}</get-x>", inside("a")),
                format!("<get-x>{}</get-x>", inside("b&amp;c")),
            ]
        );
        assert_eq!([0, 1, 2, 3, 5].map(|rpc| names.asked_by(rpc)), ["", "a", "b&c", "", "b&c"]);
        assert_eq!(LogicalSystems::default().asked_by(1), "");
        for operation in ["<get-x><y/></get-x>", "<get-x format=\"xml\"/>"] {
            let rpcs = names.rpcs_of(operation);
            assert_eq!((rpcs.len(), &*rpcs[0]), (3, operation));
            let end = format!("{}</get-x>", inside("a"));
            assert!(rpcs[1].ends_with(&end), "{}", rpcs[1]);
            assert!(rpcs[1].starts_with("<get-x") && !rpcs[1].contains("/>/"), "{}", rpcs[1]);
        }
    }
}
