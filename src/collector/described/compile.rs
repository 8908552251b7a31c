//! Makes a plan of a description, or says what is wrong in it.

use std::collections::BTreeSet;

use toml::Spanned;

use super::faults::{Compiler, Fault, TEXT_BYTES_MAX};
use super::file::{self, Description};
use super::path;
use super::plan::{Argument, Item, Plan, Query, Template};
use super::read_only;
use crate::base::leaked::{leak, leak_all};
use crate::collector::only;
use crate::point::Schema;

const QUERIES_MAX: usize = 16;
const POINTS_MAX: usize = 64;
const LEVELS_MAX: usize = 64;

/// The settings of a described collector, which no argument may be called.
const SETTINGS: [&str; 6] =
    ["interval", "timeout", "points_max", "only", "logical_systems", "description_labels"];

/// Compiles a description. What it says lives as long as the program: the texts are leaked, and the
/// caller sees to it that the same file is not compiled twice.
pub fn compile(description: &Description) -> Result<Plan, Vec<Fault>> {
    let mut compiler = Compiler::default();
    let plan = compiler.plan(description);
    if compiler.faults.is_empty() { Ok(plan) } else { Err(compiler.faults) }
}

impl Compiler {
    fn plan(&mut self, description: &Description) -> Plan {
        let name = self.name(&description.name);
        self.count(&description.name, "queries", description.query.len(), QUERIES_MAX);
        let help = self.sentence(&description.help);
        let arguments = self.arguments(&description.argument);
        let only = description.only.as_ref();
        let queries: Vec<Query> = description
            .query
            .iter()
            .map(|query| self.query(query, &arguments, only.map(|only| only.get_ref().as_str())))
            .collect();
        let templates = || queries.iter().flat_map(|q| &q.items).flat_map(|item| &item.templates);
        if let Some(only) = only.filter(|_| !templates().any(|t| t.only.is_some())) {
            self.fault(only, format!("no point has the tag `{}`", only.get_ref()));
        }
        // In the order of the file, which is that of the reference.
        let mut ordered: Vec<&Template> = templates().collect();
        ordered.sort_by_key(|template| template.order);
        let measurements = ordered.iter().map(|t| t.schema as &'static dyn Schema).collect();
        let permissions = description.permissions.clone().unwrap_or(vec!["view".into()]);
        Plan {
            name,
            name_at: description.name.span().start,
            help,
            advice: leak(&description.advice),
            permissions: leak_all(&permissions),
            replaces: description.replaces,
            measurements,
            logical_systems: queries.iter().any(|query| query.logical_systems),
            only_tag: only.map(|only| leak(only.get_ref())),
            has_labels: templates().any(|template| !template.labels.is_empty()),
            arguments,
            queries,
        }
    }

    fn arguments(&mut self, arguments: &[Spanned<file::Argument>]) -> Vec<Argument> {
        let mut names = BTreeSet::from(SETTINGS);
        let mut read = Vec::new();
        for argument in arguments.iter().map(Spanned::get_ref) {
            let name = self.name(&argument.name);
            if !names.insert(name) {
                self.fault(&argument.name, format!("there is another setting `{name}`"));
            }
            let values = argument.values.get_ref();
            self.count(&argument.values, "values", values.len(), TEXT_BYTES_MAX);
            let is_part = |c: char| c.is_ascii_alphanumeric() || "-_.:/*".contains(c);
            for value in values {
                if value.is_empty() || !value.chars().all(is_part) {
                    let why = format!("`{value}` is not a word of letters, digits and `-_.:/*`");
                    self.fault(&argument.values, why);
                }
            }
            if !values.contains(argument.default.get_ref()) {
                let why = format!("`{}` is not one of the values", argument.default.get_ref());
                self.fault(&argument.default, why);
            }
            read.push(Argument {
                name,
                help: self.sentence(&argument.help),
                values: values.clone(),
                default: argument.default.get_ref().clone(),
            });
        }
        read
    }

    fn query(
        &mut self,
        spanned: &Spanned<file::Query>,
        arguments: &[Argument],
        only: Option<&str>,
    ) -> Query {
        let query = spanned.get_ref();
        let rpc = query.rpc.get_ref();
        let by_default = arguments.iter().map(|argument| (argument.name, &*argument.default));
        let all = only.map(|_| ("only", only::ALL));
        // What it may be set to later must not matter.
        let any = arguments.iter().map(|argument| (argument.name, read_only::ANY_WORD));
        let any = any.chain(only.map(|_| ("only", read_only::ANY_WORD)));
        let check_any = |rpc: &str| {
            read_only::check(&super::filled(rpc, any.clone())?).map_err(|_| {
                "an argument stands in an element's text, or in a command behind `show`".into()
            })
        };
        let checked = super::filled(rpc, by_default.chain(all)).and_then(|filled| {
            read_only::check(&filled)?;
            check_any(rpc)
        });
        self.or_fault(&query.rpc, checked);
        if let Some(only_rpc) = &query.only_rpc {
            let checked = match only_rpc.get_ref().contains("{only}") {
                true => check_any(only_rpc.get_ref()),
                false => Err("it has `{only}` where the name stands".into()),
            };
            self.or_fault(only_rpc, checked);
        }
        if query.logical_systems && rpc.starts_with("<command") {
            self.fault(&query.rpc, "a command takes no <logical-system>");
        }
        let command = query.command.get_ref();
        if command.trim().is_empty() || command.len() > TEXT_BYTES_MAX || command.contains('\n') {
            self.fault(&query.command, "the command is empty, or not one line");
        }
        self.count(&query.roots, "roots", query.roots.get_ref().len(), QUERIES_MAX);
        for root in query.roots.get_ref() {
            self.or_fault(&query.roots, path::element(root));
        }
        self.count(spanned, "points", query.point.len(), POINTS_MAX);
        let mut items: Vec<Item> = Vec::new();
        let asks_for_less = query.only_rpc.is_some() || rpc.contains("{only}");
        for point in &query.point {
            let element = point.get_ref().item.get_ref();
            self.or_fault(&point.get_ref().item, path::element(element));
            let known = items.iter().position(|item| item.element == element);
            let at = known.unwrap_or_else(|| {
                items.push(Item::new(leak(element)));
                items.len() - 1
            });
            let item = &mut items[at];
            let template = self.point(point, item, query.logical_systems, only, asks_for_less);
            item.templates.extend(template);
            if item.levels.len() > LEVELS_MAX {
                self.fault(point, format!("more than {LEVELS_MAX} lists in one item"));
            }
        }
        for item in &mut items {
            item.required = item.required();
            item.give_back_room();
        }
        Query {
            rpc: leak(rpc),
            only_rpc: query.only_rpc.as_ref().map(|rpc| leak(rpc.get_ref())),
            shown: leak(&rpc.replace("{only}", only::ALL)),
            command: leak(command),
            roots: leak_all(query.roots.get_ref()),
            logical_systems: query.logical_systems,
            items,
        }
    }
}
