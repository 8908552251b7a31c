//! Walks an item once and keeps what its plan names in rows of slots.

use super::plan::{Item, Node, Place, SlotKind};
use crate::xml::element::{Element, Error};

/// What was found in an item. Its room is used again for the next one.
#[derive(Default)]
pub struct Rows {
    /// The texts, end to end.
    text: String,
    levels: Vec<LevelRows>,
}

#[derive(Default)]
struct LevelRows {
    /// For each row, the row around it, and whether it has no element.
    heads: Vec<(u32, bool)>,
    /// The slots of one row after those of another.
    slots: Vec<Slot>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Slot {
    Empty,
    /// A stretch of the texts.
    Text {
        start: u32,
        end: u32,
    },
    Count(u32),
}

/// What a slot holds.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Found<'a> {
    Text(&'a str),
    Count(u32),
}

impl Rows {
    /// Reads the item of that plan. The rows of the last one are forgotten.
    pub fn read(&mut self, plan: &Item, element: &mut Element) -> Result<(), Error> {
        self.text.clear();
        self.levels.resize_with(plan.levels.len().max(self.levels.len()), LevelRows::default);
        for level in &mut self.levels {
            level.heads.clear();
            level.slots.clear();
        }
        element.next_tag()?;
        Walk { plan, rows: self, element }.node(0)
    }

    /// How many rows a level has.
    pub fn len(&self, level: usize) -> usize {
        self.levels[level].heads.len()
    }

    /// The row around a row, and whether the row has no element.
    pub fn head(&self, level: usize, row: usize) -> (usize, bool) {
        let (parent, is_none) = self.levels[level].heads[row];
        (parent as usize, is_none)
    }

    /// What a slot of a row holds, of a level with so many slots.
    pub fn get(&self, place: Place, row: usize, width: usize) -> Option<Found<'_>> {
        match self.levels[place.level].slots[row * width + place.slot] {
            Slot::Empty => None,
            Slot::Text { start, end } => {
                Some(Found::Text(&self.text[start as usize..end as usize]))
            }
            Slot::Count(count) => Some(Found::Count(count)),
        }
    }
}

struct Walk<'a, 'b, 'de> {
    plan: &'a Item,
    rows: &'b mut Rows,
    element: &'b mut Element<'de>,
}

impl Walk<'_, '_, '_> {
    /// Reads the element whose open tag was read last.
    fn node(&mut self, index: usize) -> Result<(), Error> {
        let plan = self.plan;
        let node = &plan.nodes[index];
        if let Some(level) = node.row {
            self.begin(level, false);
        }
        for place in &node.counts {
            if let Slot::Count(count) = self.slot(*place) {
                *count = count.saturating_add(1);
            }
        }
        if !node.attributes.is_empty() {
            self.attributes(node);
        }
        if node.children.is_empty() && node.records.is_none() {
            if node.texts.is_empty() {
                return self.element.skip();
            }
            let text = self.element.leaf()?;
            self.keep(&node.texts, &text);
            return self.end(node);
        }
        self.children(node)?;
        if !node.texts.is_empty() {
            let text = self.element.text();
            self.keep(&node.texts, &text);
        }
        self.end(node)
    }

    fn children(&mut self, node: &Node) -> Result<(), Error> {
        let plan = self.plan;
        let (mut last, mut last_in_record) = (0, 0);
        let mut record: Option<&Node> = None;
        while self.element.next_tag()? {
            let name = self.element.name();
            if let Some(records) = node.records.as_ref().filter(|r| *r.first == *name) {
                self.begin(records.level, false);
                record = Some(&plan.nodes[records.node]);
            }
            let in_record = record.and_then(|record| find(record, name, &mut last_in_record));
            match in_record.or_else(|| find(node, name, &mut last)) {
                Some(child) => self.node(child)?,
                None => self.element.skip()?,
            }
        }
        Ok(())
    }

    /// Begins a row of that level.
    fn begin(&mut self, level: usize, is_none: bool) {
        let of = &self.plan.levels[level];
        let parent = match level {
            0 => 0,
            _ => self.rows.levels[of.parent].heads.len().saturating_sub(1) as u32,
        };
        let rows = &mut self.rows.levels[level];
        rows.heads.push((parent, is_none));
        rows.slots.extend(of.slots.iter().map(|kind| match kind {
            SlotKind::Text => Slot::Empty,
            SlotKind::Count => Slot::Count(0),
        }));
    }

    /// Where a row of a level has ended: the rows that stand for none within it.
    fn end(&mut self, node: &Node) -> Result<(), Error> {
        let Some(ended) = node.row else { return Ok(()) };
        let plan = self.plan;
        for (level, of) in plan.levels.iter().enumerate().skip(1) {
            if !of.or_none || of.parent != ended {
                continue;
            }
            let row = self.rows.levels[ended].heads.len().saturating_sub(1) as u32;
            let has_any = self.rows.levels[level].heads.last().is_some_and(|(of, _)| *of == row);
            if !has_any {
                self.begin(level, true);
            }
        }
        Ok(())
    }

    /// The slot of the row that is being read.
    fn slot(&mut self, place: Place) -> &mut Slot {
        let width = self.plan.levels[place.level].slots.len();
        let slots = &mut self.rows.levels[place.level].slots;
        let start = slots.len() - width;
        &mut slots[start + place.slot]
    }

    /// Keeps a text in slots that have none yet: of several elements, the first counts.
    fn keep(&mut self, places: &[Place], text: &str) {
        let start = self.rows.text.len();
        let mut is_kept = false;
        for place in places {
            let end = (start + text.len()) as u32;
            let slot = self.slot(*place);
            if *slot == Slot::Empty {
                *slot = Slot::Text { start: start as u32, end };
                is_kept = true;
            }
        }
        if is_kept {
            self.rows.text.push_str(text);
        }
    }

    fn attributes(&mut self, node: &Node) {
        for (name, value) in self.element.attributes() {
            for (_, place) in node.attributes.iter().filter(|(wanted, _)| **wanted == *name) {
                self.keep(&[*place], &value.text());
            }
        }
    }
}

/// The child of that name; `last` is where the one before it was found, for replies keep one order.
fn find(node: &Node, name: &[u8], last: &mut usize) -> Option<usize> {
    let (before, after) = node.children.split_at(*last);
    let of_name = |(known, _): &(Box<[u8]>, usize)| **known == *name;
    let at = match after.iter().position(of_name) {
        Some(at) => *last + at,
        None => before.iter().position(of_name)?,
    };
    *last = at;
    Some(node.children[at].1)
}
