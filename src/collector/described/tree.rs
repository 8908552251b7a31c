//! The tree of an item's elements that paths lead to, with the slots for what they hold.

use super::path::{self, Path};
use super::plan::{Item, Level, Node, Place, Records, SlotKind, Source, Tag, Template};
use crate::base::leaked::leak;

/// The logical system whose reply is read, as a path has it.
const LOGICAL_SYSTEM: &str = "logical-system";
pub const RE_NAME: &str = "re-name";

/// Where the paths of a point start.
#[derive(Clone, Copy)]
pub struct Base {
    pub node: usize,
    pub level: usize,
}

/// An item whose paths are resolved from a place in it.
pub struct At<'a> {
    pub item: &'a mut Item,
    pub base: Base,
    pub in_record: bool,
    pub logical_systems: bool,
}

impl At<'_> {
    pub fn sources(&mut self, text: &str) -> Result<Vec<Source>, String> {
        let paths = path::alternatives(text)?;
        let sources = paths.into_iter().map(|path| self.source(text, path));
        let mut sources = sources.collect::<Result<Vec<Source>, String>>()?;
        sources.shrink_to_fit();
        Ok(sources)
    }

    fn source(&mut self, text: &str, path: Path) -> Result<Source, String> {
        Ok(match path {
            Path::Constant(text) => Source::Constant(leak(&text)),
            Path::Scope(name) if name == RE_NAME => Source::Engine,
            Path::Scope(name) if name == LOGICAL_SYSTEM && self.logical_systems => {
                Source::LogicalSystem
            }
            Path::Scope(name) => Source::Scope(leak(&name)),
            Path::Count { up, down } => {
                let (node, level) = self.descend(text, up, &down)?;
                let place = self.item.slot(level, SlotKind::Count);
                self.item.nodes[node].counts.push(place);
                Source::Slot(place)
            }
            Path::Element { up, down, attribute } => {
                let (node, level) = self.descend(text, up, &down)?;
                Source::Slot(self.item.value(node, level, attribute.as_deref()))
            }
        })
    }

    pub fn is_count(&self, source: &Source) -> bool {
        let Source::Slot(place) = source else { return false };
        self.item.levels[place.level].slots[place.slot] == SlotKind::Count
    }

    /// The node at the end of a path, and the level that what it holds belongs to.
    fn descend(
        &mut self,
        text: &str,
        up: usize,
        down: &[String],
    ) -> Result<(usize, usize), String> {
        let (mut node, mut level) = (self.base.node, self.base.level);
        if self.in_record && up == 0 && down.is_empty() {
            return Err(format!("`{text}` is no element: a record is several side by side"));
        }
        for _ in 0..up {
            node = self.item.parents[node].ok_or_else(|| {
                format!("`{text}` leads above the item: it has fewer elements around the point")
            })?;
            level = self.item.nodes[node].row.unwrap_or_default();
        }
        for name in down {
            node = self.item.child(node, name);
        }
        Ok((node, level))
    }
}

impl Item {
    pub fn new(element: &'static str) -> Item {
        let item = Node { row: Some(0), ..Node::default() };
        Item {
            element,
            nodes: vec![item],
            parents: vec![None],
            levels: vec![Level { parent: 0, slots: Vec::new(), or_none: false }],
            templates: Vec::new(),
            required: Vec::new(),
        }
    }

    /// The tags that each of its points needs and that only the item itself can have. Where all
    /// points have a `where`, the item may be one that is not wanted.
    pub fn required(&self) -> Vec<(Vec<Source>, &'static str)> {
        let of_item = |source: &Source| matches!(source, Source::Slot(Place { level: 0, .. }));
        let needs = |template: &Template, sources: &[Source]| {
            let mut tags = template.tags.iter();
            tags.any(|tag| !tag.optional && tag.sources == sources)
        };
        let Some(first) = self.templates.iter().find(|template| template.wanted.is_empty()) else {
            return Vec::new();
        };
        let tags = first.tags.iter().filter(|tag| tag.sources.iter().all(of_item));
        let all_need = |tag: &&Tag| self.templates.iter().all(|t| needs(t, &tag.sources));
        tags.filter(all_need).map(|tag| (tag.sources.clone(), tag.element)).collect()
    }

    /// No more is added: its lists need no spare room.
    pub fn give_back_room(&mut self) {
        self.parents = Vec::new();
        self.nodes.shrink_to_fit();
        self.templates.shrink_to_fit();
        for node in &mut self.nodes {
            node.children.shrink_to_fit();
            node.texts.shrink_to_fit();
            node.attributes.shrink_to_fit();
        }
        self.levels.iter_mut().for_each(|level| level.slots.shrink_to_fit());
        for template in &mut self.templates {
            template.tags.shrink_to_fit();
            template.fields.shrink_to_fit();
        }
    }

    fn node(&mut self, parent: Option<usize>) -> usize {
        self.nodes.push(Node::default());
        self.parents.push(parent);
        self.nodes.len() - 1
    }

    /// The child of that name, made if there is none.
    pub fn child(&mut self, node: usize, name: &str) -> usize {
        let known = self.nodes[node].children.iter().find(|(known, _)| **known == *name.as_bytes());
        if let Some((_, child)) = known {
            return *child;
        }
        let child = self.node(Some(node));
        self.nodes[node].children.push((name.as_bytes().into(), child));
        child
    }

    /// Makes a node begin rows of a level.
    pub fn row(&mut self, node: usize) {
        if self.nodes[node].row.is_none() {
            self.nodes[node].row = Some(self.level(self.parents[node]));
        }
    }

    fn level(&mut self, around: Option<usize>) -> usize {
        let parent = around.and_then(|node| self.nodes[node].row).unwrap_or_default();
        self.levels.push(Level { parent, slots: Vec::new(), or_none: false });
        self.levels.len() - 1
    }

    /// The node of the records that begin with that element, and their level; `None` where others
    /// begin with another.
    pub fn records(&mut self, node: usize, first: &str) -> Option<(usize, usize)> {
        if let Some(records) = &self.nodes[node].records {
            return (*records.first == *first.as_bytes()).then_some((records.node, records.level));
        }
        let level = self.level(Some(node));
        // A record stands in the element that holds the records.
        let record = self.node(Some(node));
        self.nodes[node].records =
            Some(Records { first: first.as_bytes().into(), node: record, level });
        Some((record, level))
    }

    fn slot(&mut self, level: usize, kind: SlotKind) -> Place {
        self.levels[level].slots.push(kind);
        Place { level, slot: self.levels[level].slots.len() - 1 }
    }

    /// The slot of a node's text or attribute, made if there is none.
    fn value(&mut self, node: usize, level: usize, attribute: Option<&str>) -> Place {
        let of = &self.nodes[node];
        let known = match attribute {
            None => of.texts.iter().find(|place| place.level == level).copied(),
            Some(name) => {
                let is = |(known, place): &&(Box<[u8]>, Place)| {
                    **known == *name.as_bytes() && place.level == level
                };
                of.attributes.iter().find(is).map(|(_, place)| *place)
            }
        };
        known.unwrap_or_else(|| {
            let place = self.slot(level, SlotKind::Text);
            let of = &mut self.nodes[node];
            match attribute {
                None => of.texts.push(place),
                Some(name) => of.attributes.push((name.as_bytes().into(), place)),
            }
            place
        })
    }
}
