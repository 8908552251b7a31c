//! A batch of points in little room, for what is kept for scrapes.
//!
//! Each point is a row of bytes: its shape, the places of its texts, how wide its values are, half
//! a byte for each, and its values in as few bytes as they need. What points have in common is
//! their shape, and a text that comes again is there once: a port's name with each of its queues.

use std::collections::HashMap;

use super::field::{Schema, Type, Value};

/// A text has fewer bytes, for its length is written as a character, and from here on not every
/// number is one.
pub const TEXT_BYTES_END: usize = 0xd800;

#[derive(Clone)]
pub(super) struct Kept {
    shapes: Vec<Shape>,
    rows: Vec<u8>,
    /// Where each row begins.
    starts: Vec<u8>,
    /// Each text behind its length in bytes, which is written as one character.
    texts: String,
    /// The bytes that each such place takes, and the number of a shape.
    reference: usize,
}

/// What points have in common.
#[derive(Clone)]
pub(super) struct Shape {
    pub schema: &'static dyn Schema,
    /// Which of the router's tags the point cannot have: a bit for each.
    pub taken: u16,
    /// It has a label whose name was not compared with others.
    pub doubtful: bool,
    /// Where the names of its labels stand.
    labels: Box<[u32]>,
    /// Indexes into the schema, ascending.
    pub fields: Box<[u16]>,
}

/// The same of one point, by names.
pub(super) struct Form<'t> {
    pub schema: &'static dyn Schema,
    pub taken: u16,
    pub doubtful: bool,
    /// Names of its labels.
    pub labels: Vec<&'t str>,
    pub fields: &'t [u16],
}

/// A point: what its row says behind the number of its shape.
#[derive(Clone, Copy)]
pub(super) struct Row<'a> {
    kept: &'a Kept,
    pub shape: &'a Shape,
    bytes: &'a [u8],
}

/// A shape, with its schema's address.
type Key<'t> = (usize, u16, bool, Box<[u32]>, &'t [u16]);

/// Makes a batch of points that are kept. Their texts live as long as it.
pub(super) struct Keeper<'t> {
    kept: Kept,
    places: HashMap<&'t str, u32>,
    shapes: HashMap<Key<'t>, u32>,
}

impl<'t> Keeper<'t> {
    /// For a batch whose rows take no more than so many bytes where two are enough for a place, and
    /// whose texts take no more with their lengths.
    pub fn new(bytes_max: usize) -> Keeper<'t> {
        let reference = if bytes_max <= usize::from(u16::MAX) { 2 } else { 4 };
        let (shapes, rows, starts, texts) = (Vec::new(), Vec::new(), Vec::new(), String::new());
        let kept = Kept { shapes, rows, starts, texts, reference };
        Keeper { kept, places: HashMap::new(), shapes: HashMap::new() }
    }

    /// Adds a point. `tags` are the values of its tags, and behind them those of its labels; each
    /// of its fields has one of `values`.
    pub fn add(
        &mut self,
        form: Form<'t>,
        tags: impl Iterator<Item = &'t str>,
        values: impl Iterator<Item = Value<'t>>,
    ) {
        let Form { schema, taken, doubtful, labels, fields } = form;
        let start = self.kept.rows.len() as u32;
        self.kept.starts.extend_from_slice(&start.to_le_bytes()[..self.kept.reference]);
        let labels: Box<[u32]> = labels.into_iter().map(|name| self.place(name)).collect();
        let key = (std::ptr::from_ref(schema).addr(), taken, doubtful, labels, fields);
        let shapes = &mut self.kept.shapes;
        let shape = *self.shapes.entry(key).or_insert_with_key(|(_, _, _, labels, _)| {
            let (labels, fields) = (labels.clone(), fields.into());
            shapes.push(Shape { schema, taken, doubtful, labels, fields });
            shapes.len() as u32 - 1
        });
        self.refer(shape);
        for tag in tags {
            let place = self.place(tag);
            self.refer(place);
        }
        let widths = self.kept.rows.len();
        self.kept.rows.resize(widths + fields.len().div_ceil(2), 0);
        for (at, value) in values.enumerate() {
            let bits = match value {
                Value::Integer(number) => number,
                // What is short as a decimal has its zeros at the end.
                Value::Decimal(number) => number.to_bits().swap_bytes(),
                Value::Text(text) => self.place(text).into(),
            };
            let width = u64::BITS.div_ceil(8) - bits.leading_zeros() / 8;
            self.kept.rows[widths + at / 2] |= (width as u8) << (at % 2 * 4);
            self.kept.rows.extend_from_slice(&bits.to_le_bytes()[..width as usize]);
        }
    }

    /// Copies of the right size: what grew leaves one hole in the heap, for the next that grows.
    pub fn finish(self) -> Kept {
        self.kept.clone()
    }

    /// The place of a text, which is added unless it is there.
    fn place(&mut self, text: &'t str) -> u32 {
        let texts = &mut self.kept.texts;
        *self.places.entry(text).or_insert_with(|| {
            let place = texts.len() as u32;
            texts.push(char::from_u32(text.len() as u32).unwrap_or_default());
            texts.push_str(text);
            place
        })
    }

    fn refer(&mut self, number: u32) {
        self.kept.rows.extend_from_slice(&number.to_le_bytes()[..self.kept.reference]);
    }
}

impl Kept {
    pub fn len(&self) -> usize {
        self.starts.len() / self.reference
    }

    /// Bytes that it takes.
    pub fn bytes(&self) -> usize {
        let shapes = self.shapes.iter().map(|shape| {
            size_of::<Shape>() + size_of_val(&*shape.labels) + size_of_val(&*shape.fields)
        });
        shapes.sum::<usize>() + self.rows.len() + self.starts.len() + self.texts.len()
    }

    /// The row of the point at `index`, below `len`.
    pub fn get(&self, index: usize) -> Row<'_> {
        let start = number(&self.starts[self.reference * index..][..self.reference]);
        let (shape, bytes) = self.rows[start as usize..].split_at(self.reference);
        Row { kept: self, shape: &self.shapes[number(shape) as usize], bytes }
    }

    fn text(&self, place: usize) -> &str {
        let mut characters = self.texts[place..].chars();
        let length = characters.next().map_or(0, |length| length as usize);
        &characters.as_str()[..length]
    }
}

fn number(bytes: &[u8]) -> u64 {
    let mut number = [0; 8];
    number[..bytes.len()].copy_from_slice(bytes);
    u64::from_le_bytes(number)
}

impl<'a> Row<'a> {
    /// The values of the schema's tags, and behind them those of the labels.
    pub fn text(&self, index: usize) -> &'a str {
        let reference = self.kept.reference;
        let place = number(&self.bytes[reference * index..][..reference]);
        self.kept.text(place as usize)
    }

    pub fn labels(&self) -> usize {
        self.shape.labels.len()
    }

    pub fn label(&self, at: usize) -> (&'a str, &'a str) {
        let name = self.kept.text(self.shape.labels[at] as usize);
        (name, self.text(self.shape.schema.tags().len() + at))
    }

    /// The value of the field at that place among those that are there.
    pub fn value(&self, at: usize) -> Value<'a> {
        let Shape { schema, labels, fields, .. } = self.shape;
        let widths = &self.bytes[self.kept.reference * (schema.tags().len() + labels.len())..];
        let width = |at: usize| usize::from(widths[at / 2] >> (at % 2 * 4) & 0xf);
        let pairs = widths[..at / 2].iter().map(|pair| usize::from((pair & 0xf) + (pair >> 4)));
        let odd = if at % 2 == 1 { width(at - 1) } else { 0 };
        let start = fields.len().div_ceil(2) + pairs.sum::<usize>() + odd;
        let bits = number(&widths[start..][..width(at)]);
        match schema.field(fields[at].into()).ty {
            Type::Integer => Value::Integer(bits),
            Type::Decimal => Value::Decimal(f64::from_bits(bits.swap_bytes())),
            Type::Text => Value::Text(self.kept.text(bits as usize)),
        }
    }
}
