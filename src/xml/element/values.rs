//! serde's view of an element: structs, lists, and leaves as numbers, words and flags.

use std::borrow::Cow;
use std::hash::{Hash, Hasher};
use std::marker::PhantomData;

use memchr::memmem;
use serde::de::{
    Deserialize, DeserializeSeed, Deserializer, IntoDeserializer, MapAccess, SeqAccess, Visitor,
};

use super::{Attributes, Element, Error, LISTED_MAX, Name, RawValue, Result, misfit};
use crate::base::text::first_line;
use crate::xml::items::to_text;
use crate::xml::numbers;

/// A number, or why the text is none; the text is quoted, shortened, for the log.
#[inline(never)]
fn number<T: std::str::FromStr>(text: Cow<str>, what: &str) -> Result<T> {
    numbers::number(&text).ok_or_else(|| no_number(&text, what))
}

fn decimal(text: Cow<str>) -> Result<f64> {
    numbers::decimal(&text).ok_or_else(|| no_number(&text, "a number"))
}

fn no_number(text: &str, what: &str) -> Error {
    let shown: String = first_line(text).chars().take(40).collect();
    Error::Value(format!("`{shown}` is not {what}").into())
}

/// `Text` in the forms that serde asks for.
struct Scalar<'de>(Cow<'de, str>);

macro_rules! numbers {
    ($($method:ident $visit:ident $what:literal),* $(,)?) => { $(
        fn $method<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value> {
            visitor.$visit(number(self.scalar()?, $what)?)
        }
    )* };
}

/// What a leaf, an attribute and `$text` have in common.
macro_rules! scalar {
    () => {
        numbers! {
            deserialize_u64 visit_u64 "a whole number",
            deserialize_u32 visit_u32 "a whole number",
            deserialize_u16 visit_u16 "a whole number",
            deserialize_u8 visit_u8 "a whole number",
            deserialize_i64 visit_i64 "a whole number",
            deserialize_i32 visit_i32 "a whole number",
        }
        fn deserialize_f64<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value> {
            visitor.visit_f64(decimal(self.scalar()?)?)
        }
        fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value> {
            match self.scalar()? {
                Cow::Borrowed(text) => visitor.visit_borrowed_str(text),
                Cow::Owned(text) => visitor.visit_string(text),
            }
        }
        fn deserialize_bool<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value> {
            match &*self.scalar()? {
                "" | "true" => visitor.visit_bool(true),
                "false" => visitor.visit_bool(false),
                _ => Err(misfit("neither true nor false")),
            }
        }
        fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value> {
            visitor.visit_some(self)
        }
        fn deserialize_newtype_struct<V: Visitor<'de>>(
            self,
            _: &'static str,
            visitor: V,
        ) -> Result<V::Value> {
            visitor.visit_newtype_struct(self)
        }
        fn deserialize_enum<V: Visitor<'de>>(
            self,
            _: &'static str,
            _: &'static [&'static str],
            visitor: V,
        ) -> Result<V::Value> {
            visitor.visit_enum((&*self.scalar()?).into_deserializer())
        }
    };
}

impl<'de> Scalar<'de> {
    fn scalar(self) -> Result<Cow<'de, str>> {
        Ok(self.0)
    }
}

impl<'de> Deserializer<'de> for Scalar<'de> {
    type Error = Error;
    scalar!();
    serde::forward_to_deserialize_any! {
        i8 i16 i128 u128 f32 char str string bytes byte_buf unit unit_struct seq tuple
        tuple_struct map struct identifier ignored_any
    }
}

/// The element whose open tag was just read.
pub(super) struct Child<'a, 'de>(pub(super) &'a mut Element<'de>);

impl<'de> Child<'_, 'de> {
    fn scalar(self) -> Result<Cow<'de, str>> {
        self.0.leaf()
    }
}

impl<'a, 'de> Deserializer<'de> for Child<'a, 'de> {
    type Error = Error;
    scalar!();
    fn deserialize_unit<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value> {
        self.0.skip()?;
        visitor.visit_unit()
    }
    fn deserialize_ignored_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value> {
        self.deserialize_unit(visitor)
    }
    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value> {
        visitor.visit_map(Fields::new(self.0, fields))
    }
    fn deserialize_map<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value> {
        let depth = self.0.depth();
        visitor.visit_map(Leaves { element: self.0, depth })
    }
    fn deserialize_seq<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value> {
        let name = self.0.name();
        visitor.visit_seq(Siblings { element: self.0, name, at: At::First })
    }
    serde::forward_to_deserialize_any! {
        i8 i16 i128 u128 f32 char str string bytes byte_buf unit_struct tuple tuple_struct
        identifier
    }
}

enum Source<'de> {
    Child,
    Attribute(RawValue<'de>),
    Text,
}

/// An element as a map: the leaf elements below it, at whatever depth, in the reply's order.
struct Leaves<'a, 'de> {
    element: &'a mut Element<'de>,
    depth: usize,
}

impl<'de> MapAccess<'de> for Leaves<'_, 'de> {
    type Error = Error;

    fn next_key_seed<K: DeserializeSeed<'de>>(&mut self, seed: K) -> Result<Option<K::Value>> {
        let mut opened = None;
        loop {
            if self.element.next_tag()? {
                opened = Some(self.element.name());
            } else if let Some(leaf) = opened {
                return seed.deserialize(to_text(leaf).into_deserializer()).map(Some);
            } else if self.element.depth() < self.depth {
                return Ok(None);
            }
        }
    }

    fn next_value_seed<V: DeserializeSeed<'de>>(&mut self, seed: V) -> Result<V::Value> {
        seed.deserialize(Scalar(self.element.text.trimmed()))
    }
}

/// A struct's fields: attributes first, then children in the reply's order, then `$text`. One
/// without fields takes all children.
struct Fields<'a, 'de> {
    element: &'a mut Element<'de>,
    fields: &'static [&'static str],
    attributes: Attributes<'de>,
    /// Where the last field was found: replies keep one order, so the next is likely behind it.
    last: usize,
    /// Fields that have their value, by `number_of`: a list took later ones, or the first of
    /// several counts, by whichever of its names.
    seen: u128,
    source: Source<'de>,
    field: &'static str,
    end: bool,
}

impl<'a, 'de> Fields<'a, 'de> {
    fn new(element: &'a mut Element<'de>, fields: &'static [&'static str]) -> Fields<'a, 'de> {
        debug_assert!(fields.len() <= 128, "more fields than bits in Fields::seen");
        let attributes = element.attributes();
        let source = Source::Child;
        Fields { element, fields, attributes, last: 0, seen: 0, source, field: "", end: false }
    }

    /// The next attribute that a field asks for.
    fn attribute(&mut self) -> Option<(&'static str, RawValue<'de>)> {
        let fields = self.fields;
        self.attributes.find_map(|(name, value)| {
            let wanted = |field: &&&str| field.as_bytes().strip_prefix(b"@") == Some(name);
            fields.iter().find(wanted).map(|field| (*field, value))
        })
    }

    /// The index of the field that takes the element just opened.
    fn find(&mut self) -> Option<usize> {
        let name = self.element.name();
        let (before, after) = self.fields.split_at(self.last);
        let at = match after.iter().position(|field| field.as_bytes() == name) {
            Some(at) => self.last + at,
            None => before.iter().position(|field| field.as_bytes() == name)?,
        };
        self.last = at;
        Some(at)
    }

    /// Goes to the next field's place, and gives its name.
    #[inline(never)]
    fn next_field(&mut self) -> Result<Option<Cow<'de, str>>> {
        if let Some((field, value)) = self.attribute() {
            self.source = Source::Attribute(value);
            self.field = field;
            return Ok(Some(Cow::Borrowed(field)));
        }
        self.attributes = Attributes(&[]);
        while !self.end {
            if !self.element.next_tag()? {
                self.end = true;
                let wanted = self.fields.is_empty() || self.fields.contains(&"$text");
                if wanted && !self.element.text.trimmed().is_empty() {
                    self.source = Source::Text;
                    self.field = "$text";
                    return Ok(Some(Cow::Borrowed(self.field)));
                }
                break;
            }
            self.source = Source::Child;
            if self.fields.is_empty() {
                return Ok(Some(to_text(self.element.name())));
            }
            match self.find() {
                Some(at) => {
                    self.field = self.fields[at];
                    return Ok(Some(Cow::Borrowed(self.field)));
                }
                None => self.element.skip()?,
            }
        }
        Ok(None)
    }

    /// Leaves the value of a field that has one already.
    fn pass_again(&mut self) -> Result<()> {
        if let Source::Child = self.source { self.element.skip() } else { Ok(()) }
    }

    /// Leaves the child whose value does not fit, and counts it.
    #[inline(never)]
    fn pass_over(&mut self, inside: usize, why: &Error) -> Result<()> {
        if let Source::Child = self.source {
            self.element.skip_to(inside - 1)?;
        }
        self.element.count_misfit(self.field, why);
        Ok(())
    }
}

impl<'de> MapAccess<'de> for Fields<'_, 'de> {
    type Error = Error;

    fn next_key_seed<K: DeserializeSeed<'de>>(&mut self, seed: K) -> Result<Option<K::Value>> {
        let Some(name) = self.next_field()? else { return Ok(None) };
        seed.deserialize(name.into_deserializer()).map(Some)
    }

    /// Passes over a field that has its value: serde would refuse the whole item for it.
    fn next_key<K: Deserialize<'de>>(&mut self) -> Result<Option<K>> {
        while let Some(name) = self.next_field()? {
            let key = K::deserialize(name.into_deserializer())?;
            if self.fields.is_empty() {
                return Ok(Some(key));
            }
            let bit = 1u128.checked_shl(number_of(&key)).unwrap_or(0);
            if self.seen & bit == 0 {
                self.seen |= bit;
                return Ok(Some(key));
            }
            self.pass_again()?;
        }
        Ok(None)
    }

    fn next_value_seed<V: DeserializeSeed<'de>>(&mut self, seed: V) -> Result<V::Value> {
        match self.source {
            Source::Child => seed.deserialize(Child(self.element)),
            Source::Attribute(value) => seed.deserialize(Scalar(value.text())),
            Source::Text => seed.deserialize(Scalar(self.element.text.trimmed())),
        }
    }

    /// An `Option` whose value does not fit is `None`; any other type fails its item.
    fn next_value<T: Deserialize<'de>>(&mut self) -> Result<T> {
        let inside = self.element.depth();
        match self.next_value_seed(PhantomData::<T>) {
            Err(why @ Error::Value(_)) => {
                self.pass_over(inside, &why)?;
                T::deserialize(Nothing)
                    .map_err(|_: Error| Error::Value(format!("<{}>: {why}", self.field).into()))
            }
            done => done,
        }
    }
}

/// The number of the field that a key stands for: serde's derived structs name their fields by an
/// enum, with one variant for all names of a field.
fn number_of<K>(key: &K) -> u32 {
    struct Number(u64);
    impl Hasher for Number {
        fn write(&mut self, bytes: &[u8]) {
            for byte in bytes.iter().rev() {
                self.0 = self.0 << 8 | u64::from(*byte);
            }
        }
        fn write_isize(&mut self, number: isize) {
            self.0 = number as u64;
        }
        fn finish(&self) -> u64 {
            self.0
        }
    }
    let mut number = Number(0);
    std::mem::discriminant(key).hash(&mut number);
    u32::try_from(number.finish()).unwrap_or(u32::MAX)
}

/// A place to go back to: before the open tag that ended a run of siblings.
struct Mark<'de> {
    at: usize,
    /// How many elements are open around it, and the innermost of them, the list's parent.
    open: usize,
    parent: Name<'de>,
}

enum At<'de> {
    First,
    Run,
    Ahead(Mark<'de>),
    End,
}

/// Siblings of one name; those that stand behind other elements are fetched ahead, after which
/// the reading goes on behind the first run of them.
struct Siblings<'a, 'de> {
    element: &'a mut Element<'de>,
    name: &'de [u8],
    at: At<'de>,
}

impl<'de> Siblings<'_, 'de> {
    /// Goes to the next element of the name; false where there is none.
    fn find(&mut self) -> Result<bool> {
        match self.at {
            At::First => {
                self.at = At::Run;
                return Ok(true);
            }
            At::End => return Ok(false),
            At::Run | At::Ahead(_) => {}
        }
        loop {
            let open = self.element.next_tag()?;
            if open && self.element.name() == self.name {
                return Ok(true);
            }
            if let At::Run = self.at {
                let rest = &self.element.all[self.element.at..];
                // Nothing of that name is left in the item: spare the search.
                if !open || memmem::find(rest, self.name).is_none() {
                    self.element.again = true;
                    self.at = At::End;
                    return Ok(false);
                }
                self.at = At::Ahead(self.mark());
            }
            if !open {
                break;
            }
            self.element.skip()?;
        }
        if let At::Ahead(mark) = std::mem::replace(&mut self.at, At::End) {
            // Looking ahead has read the parent's close tag: the parent is open again.
            self.element.open.truncate(mark.open - 1);
            self.element.open.push(mark.parent);
            self.element.at = mark.at;
            self.element.empty = false;
        }
        Ok(false)
    }

    fn mark(&self) -> Mark<'de> {
        let Element { tag, open, .. } = &*self.element;
        let around = &open[..open.len() - 1];
        Mark { at: *tag, open: around.len(), parent: around.last().copied().unwrap_or_default() }
    }
}

impl<'de> SeqAccess<'de> for Siblings<'_, 'de> {
    type Error = Error;

    fn next_element_seed<T: DeserializeSeed<'de>>(&mut self, seed: T) -> Result<Option<T::Value>> {
        if self.find()? { seed.deserialize(Child(self.element)).map(Some) } else { Ok(None) }
    }

    /// A list leaves out what does not fit.
    fn next_element<T: Deserialize<'de>>(&mut self) -> Result<Option<T>> {
        while self.find()? {
            self.element.listed += 1;
            if self.element.listed > LISTED_MAX {
                return Err(Error::TooMany);
            }
            let inside = self.element.depth();
            match T::deserialize(Child(self.element)) {
                Err(why @ Error::Value(_)) => {
                    self.element.skip_to(inside - 1)?;
                    self.element.count_misfit(&to_text(self.name), &why);
                }
                done => return done.map(Some),
            }
        }
        Ok(None)
    }
}

/// What an `Option` is made from when its value does not fit; nothing else can be.
struct Nothing;

impl<'de> Deserializer<'de> for Nothing {
    type Error = Error;
    fn deserialize_any<V: Visitor<'de>>(self, _: V) -> Result<V::Value> {
        Err(misfit("nothing"))
    }
    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value> {
        visitor.visit_none()
    }
    serde::forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf unit
        unit_struct newtype_struct seq tuple tuple_struct map struct enum identifier ignored_any
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::xml::items::NAME_BYTES_MAX;
    use serde::Deserialize;

    fn read<'de, T: Deserialize<'de>>(text: &'de str) -> (Result<T>, u64) {
        let mut element = Element::new(text, 128);
        let value = element.read();
        (value, element.misfits)
    }

    #[derive(Deserialize, Debug, PartialEq, Default)]
    #[serde(rename_all = "kebab-case", default)]
    struct Port {
        name: String,
        mtu: Option<u64>,
        up: bool,
        temperature: Option<Temperature>,
        unit: Vec<Unit>,
        last: Option<String>,
    }

    #[derive(Deserialize, Debug, PartialEq)]
    struct Temperature {
        #[serde(rename = "@celsius")]
        celsius: Option<f64>,
        #[serde(rename = "$text")]
        text: Option<String>,
    }

    #[derive(Deserialize, Debug, PartialEq)]
    struct Unit {
        name: String,
    }

    fn unit(name: &str) -> Unit {
        Unit { name: name.into() }
    }

    #[derive(Deserialize, Debug, PartialEq, Default)]
    #[serde(default)]
    struct Renamed {
        #[serde(rename = "@key")]
        key: Option<u64>,
        #[serde(alias = "older", alias = "oldest")]
        index: Option<u64>,
        #[serde(alias = "units")]
        unit: Vec<Unit>,
        last: Option<u64>,
    }

    #[test]
    fn of_two_names_of_one_element_the_first_counts() {
        let (renamed, misfits) = read::<Renamed>(
            "<r key='1' x:key='2'><older>1</older><index>2</index><oldest><x/></oldest>\
             <units><name>1</name></units><unit><name>2</name></unit><last>3</last></r>",
        );
        let expected =
            Renamed { key: Some(1), index: Some(1), unit: vec![unit("1")], last: Some(3) };
        assert_eq!((renamed, misfits), (Ok(expected), 0));
        // One that does not fit has been there too.
        let (renamed, misfits) = read::<Renamed>("<r><older>x</older><index>2</index></r>");
        assert_eq!((renamed, misfits), (Ok(Renamed::default()), 1));
    }

    #[test]
    fn numbers_are_read_as_devices_print_them() {
        #[derive(Deserialize, Debug, PartialEq)]
        struct Numbers {
            n: Option<u64>,
            d: Option<f64>,
        }
        for (n, d, expected, misfits) in [
            ("1,234,567", "-1,234.5", (Some(1_234_567), Some(-1234.5)), 0),
            ("1,23", "- Inf", (None, Some(f64::NEG_INFINITY)), 1),
            ("- Inf", "-Inf", (None, Some(f64::NEG_INFINITY)), 1),
            ("7 s", "7 s", (None, None), 2),
        ] {
            let (read, found) = read::<Numbers>(&format!("<r><n>{n}</n><d>{d}</d></r>"));
            let read = read.unwrap();
            assert_eq!(((read.n, read.d), found), (expected, misfits), "{n} {d}");
        }
    }

    #[test]
    fn a_name_has_a_limit() {
        let long = "n".repeat(NAME_BYTES_MAX);
        assert!(read::<Port>(&format!("<p><{long}/></p>")).0.is_ok());
        for tag in [format!("<{long}n/>"), format!("<x:{long}>"), format!("<{long}n a='b'/>")] {
            let wrong = read::<Port>(&format!("<p>{tag}</p>")).0;
            assert!(matches!(&wrong, Err(Error::Syntax { at: 3, .. })), "{wrong:?}");
        }
    }

    #[test]
    fn bytes_that_are_not_utf8_cost_nothing_else() {
        let port =
            b"<p><\xfcber>1</\xfcber><name>Z\xfcrich &amp; \xe2\x82\xac</name><mtu>7</mtu></p>";
        let port: Port = Element::new(port, 128).read().unwrap();
        assert_eq!((port.name.as_str(), port.mtu), ("Z\u{fc}rich & \u{20ac}", Some(7)));
    }

    #[test]
    fn a_byte_order_mark_in_the_middle_is_passed_over() {
        let mut element = Element::new("<a><b>\u{feff}</b><b>1</b>\u{feff}</a>", 8);
        let read: Result<std::collections::BTreeMap<String, String>> = element.read();
        assert_eq!(read.unwrap().get("b").map(String::as_str), Some("1"));
    }

    #[test]
    fn reads_what_junos_sends() {
        let (port, misfits) = read::<Port>(
            "<j:port xmlns:j='x'><name>\nge-0/0/0\n</name><mtu> 1514 </mtu><j:up/>\n\
             <temperature j:celsius=\"36\">36 degrees C &amp; rising</temperature></j:port>",
        );
        let port = port.unwrap();
        assert_eq!((port.name.as_str(), port.mtu, port.up), ("ge-0/0/0", Some(1514), true));
        let temperature = port.temperature.unwrap();
        assert_eq!(temperature.celsius, Some(36.0));
        assert_eq!(temperature.text.as_deref(), Some("36 degrees C & rising"));
        assert_eq!(misfits, 0);
    }

    #[test]
    fn a_value_that_does_not_fit_costs_that_value() {
        let (port, misfits) = read::<Port>("<p><mtu>Unlimited</mtu><name>xe-0/0/0</name></p>");
        assert_eq!(port.unwrap().name, "xe-0/0/0");
        assert_eq!(misfits, 1);
        let (port, misfits) =
            read::<Port>("<p><unit><title/></unit><unit><name>1</name></unit><mtu>9</mtu></p>");
        let port = port.unwrap();
        assert_eq!((port.unit, port.mtu, misfits), (vec![unit("1")], Some(9), 1));
    }

    #[test]
    fn a_list_may_stand_apart() {
        let (port, _) = read::<Port>(
            "<p><unit><name>1</name></unit><mtu>1</mtu><unit><name>2</name></unit><up/>\
             <unit><name>3</name></unit><last>x</last></p>",
        );
        let port = port.unwrap();
        assert_eq!(port.unit, [unit("1"), unit("2"), unit("3")]);
        assert_eq!((port.mtu, port.up, port.last.as_deref()), (Some(1), true, Some("x")));
    }

    #[test]
    fn an_empty_element_after_a_list_is_read_again() {
        let (port, _) = read::<Port>(
            "<p><unit><name>1</name></unit><up/><mtu>1</mtu><unit><name>2</name></unit></p>",
        );
        let port = port.unwrap();
        assert_eq!((port.unit.len(), port.up, port.mtu), (2, true, Some(1)));
    }

    #[test]
    fn unknown_elements_are_passed_over() {
        let (port, _) = read::<Port>(
            "<p><q><q>1</q><mtu>5</mtu></q><flag/><r><rr>x</rr><r1/></r><!-- <mtu>6</mtu> -->\
             <s a='>'>t</s ><u><!-- </u> --></u><name>a<b>c</b>d</name><mtu>7</mtu></p>",
        );
        let port = port.unwrap();
        assert_eq!((port.name.as_str(), port.mtu), ("ad", Some(7)));
    }

    #[test]
    fn a_text_that_ends_early_is_told_from_one_that_is_wrong() {
        assert_eq!(read::<Port>("<p><name>x</name>").0, Err(Error::Short));
        assert_eq!(read::<Port>("<p><name>x").0, Err(Error::Short));
        let wrong = read::<Port>("<p><name>x</mtu></p>").0;
        assert!(matches!(wrong, Err(Error::Syntax { .. })), "{wrong:?}");
    }

    #[test]
    fn mixed_up_tags_in_what_is_passed_over_are_found_out() {
        for (within, at) in [
            ("<q></oops></q>", 6),
            ("<q>1</q ><q><r>1</r></s></q>", 23),
            ("<q><r><s>1</r></s></q>", 13),
            ("<q><!-- <q> --><r/></oops></q>", 22),
            ("<q><<r/></q>", 6),
            ("<q>a < b</q>", 8),
            ("<q a='>'></q><r><s<t/></r>", 19),
            ("<unit><name>1</name></unit><up/><q></r></q><unit><name>2</name></unit>", 38),
        ] {
            match read::<Port>(&format!("<p>{within}</p>")).0 {
                Err(Error::Syntax { at: found, .. }) => assert_eq!(found, at, "{within}"),
                other => panic!("{within}: {other:?}"),
            }
        }
    }

    #[test]
    fn depth_is_limited() {
        let deep = "<p>".repeat(200) + "<name>x</name>" + &"</p>".repeat(200);
        assert_eq!(read::<Port>(&deep).0, Err(Error::TooDeep));
    }
    #[test]
    fn the_elements_of_lists_are_limited() {
        let with = |units: usize| {
            let text = format!("<p>{}</p>", "<unit><name>1</name></unit>".repeat(units));
            read::<Port>(&text).0.map(|port| port.unit.len())
        };
        assert_eq!(with(LISTED_MAX), Ok(LISTED_MAX));
        assert_eq!(with(LISTED_MAX + 1), Err(Error::TooMany));
    }
}
