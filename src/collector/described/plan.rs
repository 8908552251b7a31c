//! The plan that a description becomes: which elements of an item to look at, and where what they
//! hold goes.
//!
//! An item's elements are a small tree of names (`Node`). Each element along the path of an `each`
//! begins a *row* when it is met: the item is the only row of level 0, `each = "a/b"` adds a level
//! for `a` and one for `b`. What the paths of a point name goes into *slots* of the row that it
//! belongs to. So an item is walked once, and a point finds its values in its row and the rows
//! around that one.

use super::file::{Number, Shape};
use crate::point::{About, FieldInfo, Schema};

/// A collector's description, compiled.
pub struct Plan {
    pub name: &'static str,
    /// Where in the file that stands.
    pub name_at: usize,
    pub help: &'static str,
    pub advice: &'static str,
    pub permissions: &'static [&'static str],
    pub replaces: bool,
    pub arguments: Vec<Argument>,
    pub queries: Vec<Query>,
    pub measurements: Vec<&'static dyn Schema>,
    /// Whether one of the queries is sent for each logical system too.
    pub logical_systems: bool,
    /// The tag that the setting `only` looks at.
    pub only_tag: Option<&'static str>,
    /// Whether a point's tags may stand in a description.
    pub has_labels: bool,
}

/// A setting whose value stands in an RPC as `{name}`.
pub struct Argument {
    pub name: &'static str,
    pub help: &'static str,
    pub values: Vec<String>,
    pub default: String,
}

pub struct Query {
    pub rpc: &'static str,
    /// What is sent in its place for each name that the setting `only` consists of.
    pub only_rpc: Option<&'static str>,
    /// The first without the setting `only`.
    pub shown: &'static str,
    pub command: &'static str,
    pub roots: &'static [&'static str],
    pub logical_systems: bool,
    pub items: Vec<Item>,
}

impl Query {
    /// Whether what the setting `only` names goes into the RPC, as a regular expression.
    pub fn asks_for_only(&self) -> bool {
        self.rpc.contains("{only}")
    }
}

/// One kind of item of a query, and the points it gives.
pub struct Item {
    pub element: &'static str,
    /// The item itself is the first.
    pub nodes: Vec<Node>,
    /// The node around each, for paths that lead up.
    pub parents: Vec<Option<usize>>,
    pub levels: Vec<Level>,
    /// The points, in the order of the file.
    pub templates: Vec<Template>,
    /// An item without one of these is rejected: no point can be made of it. What it lacks then.
    pub required: Vec<(Vec<Source>, &'static str)>,
}

/// An element below an item.
#[derive(Default)]
pub struct Node {
    pub children: Vec<(Box<[u8]>, usize)>,
    pub texts: Vec<Place>,
    pub attributes: Vec<(Box<[u8]>, Place)>,
    /// Slots that count these elements.
    pub counts: Vec<Place>,
    /// The level whose row begins here.
    pub row: Option<usize>,
    pub records: Option<Records>,
}

/// Children that make records: one begins at each child of that name.
pub struct Records {
    pub first: Box<[u8]>,
    /// What is looked for in a record.
    pub node: usize,
    pub level: usize,
}

/// A slot of the row of a level that is being read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place {
    pub level: usize,
    pub slot: usize,
}

/// The rows that elements of one place in the item make.
pub struct Level {
    /// The level of the rows around these.
    pub parent: usize,
    /// The slots that count, which are 0 and not empty where nothing was met.
    pub slots: Vec<SlotKind>,
    /// A row without an element where there would be none.
    pub or_none: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SlotKind {
    Text,
    Count,
}

/// What a point is made of.
pub struct Template {
    pub schema: &'static Described,
    /// Where in the file it stands.
    pub order: usize,
    /// A point for each row of this level.
    pub level: usize,
    /// Whether a row without an element counts.
    pub or_none: bool,
    pub wanted: Vec<Wanted>,
    pub tags: Vec<Tag>,
    /// A text whose labels become tags.
    pub labels: Vec<Source>,
    pub fields: Vec<Field>,
    /// The tag that the setting `only` looks at.
    pub only: Option<usize>,
    /// It is about all that a query gives, which `only` makes less of.
    pub is_total: bool,
    /// The Routing Engine's name is a tag already, by another name.
    pub names_engine: bool,
    /// What a row is called that lacks a tag.
    pub element: &'static str,
}

/// Where a value comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Source {
    Slot(Place),
    Scope(&'static str),
    /// The Routing Engine's name, `N/A` where a reply has none.
    Engine,
    /// The logical system that was asked, empty for the router itself.
    LogicalSystem,
    Constant(&'static str),
}

pub struct Wanted {
    pub sources: Vec<Source>,
    pub words: Words,
}

pub enum Words {
    There(bool),
    Among(Vec<&'static str>),
}

pub struct Tag {
    pub sources: Vec<Source>,
    pub optional: bool,
    pub trim: &'static str,
    pub map: Vec<(&'static str, &'static str)>,
    /// What it is called where it is missing.
    pub element: &'static str,
}

pub struct Field {
    pub sources: Vec<Source>,
    pub trim: &'static str,
    pub convert: Convert,
    pub element: &'static str,
    /// Where in the file it stands.
    pub at: usize,
}

/// What becomes of a field's text.
pub enum Convert {
    Text,
    Integer {
        scale: Option<u64>,
    },
    Number {
        shape: Option<Shape>,
        scale: f64,
        ty: Number,
    },
    Is {
        good: Vec<&'static str>,
        /// Empty: any other.
        bad: Vec<&'static str>,
        ty: Number,
    },
    Map {
        words: Vec<(&'static str, f64)>,
        /// `None`: the text is a number itself.
        other: Option<f64>,
        ty: Number,
    },
}

/// A measurement as outputs see it.
pub struct Described {
    pub name: &'static str,
    pub help: &'static str,
    pub tags: &'static [&'static str],
    pub fields: Vec<FieldInfo>,
}

impl Schema for Described {
    fn about(&self) -> About {
        About { name: self.name, help: self.help, tags: self.tags, fields: self.fields.len() }
    }
    fn field(&self, index: usize) -> &FieldInfo {
        &self.fields[index]
    }
}
