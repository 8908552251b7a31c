//! The answer of Prometheus's query API, read as it comes: one series is in memory at a time.

use std::fmt;
use std::hash::{BuildHasher, Hasher, RandomState};
use std::io::{self, BufRead, BufReader, Read};
use std::sync::LazyLock;

use serde::de::{
    self, Deserialize, DeserializeSeed, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor,
};

/// A series' labels and its samples: seconds since 1970, value.
#[derive(Debug, Default, PartialEq)]
pub struct Series {
    /// The labels that were asked for, in that order; empty where it has none of the name.
    pub labels: Vec<String>,
    /// All labels, where none were asked for by name.
    pub others: Vec<(String, String)>,
    /// The same for series of the same labels, whatever their names and the job that scraped them;
    /// 0 where none were asked for by name. It is not the same in another run of the program.
    pub identity: u64,
    pub samples: Vec<(f64, f64)>,
}

/// More of one series in one answer are a mistake.
const SAMPLES_MAX: usize = 1 << 20;
const LABELS_MAX: usize = 256;
/// So is a text, or anything else without a quote in it, that is that long.
const TEXT_BYTES_MAX: usize = 1 << 20;

/// With a key of its own in each run: nobody can choose labels that look like another series'.
static IDENTITY: LazyLock<RandomState> = LazyLock::new(RandomState::new);

/// What stands in an answer besides its series.
#[derive(Debug, Default, PartialEq)]
pub struct Rest {
    pub series: u64,
    pub error: Option<String>,
    /// The first of them: a part of the data may be missing.
    pub warning: Option<String>,
    status: String,
    result_type: String,
}

/// Reads an answer, gives each series to `each`, and says what is wrong with it, if anything is:
/// what was given out before is then to be thrown away. `bytes_max` bounds the whole.
pub fn read(
    from: impl Read,
    bytes_max: u64,
    wanted: &[&str],
    each: &mut dyn FnMut(&Series) -> Result<(), String>,
) -> Result<Rest, String> {
    let limited = Limited { from, left: bytes_max, bytes_max, text_bytes: 0, before: 0 };
    let mut from = BufReader::with_capacity(64 << 10, limited);
    let start = from.fill_buf().map_err(|err| format!("the answer ends early: {err}"))?;
    if start.trim_ascii_start().first() != Some(&b'{') {
        let start = String::from_utf8_lossy(&start[..start.len().min(200)]);
        let start = crate::base::text::first_line(start.trim());
        return Err(format!("the answer is not Prometheus's JSON: it begins with `{start}`"));
    }
    let mut json = serde_json::Deserializer::from_reader(from);
    let read = json.deserialize_map(Whole { wanted, each }).and_then(|rest| {
        json.end()?;
        Ok(rest)
    });
    let rest = read.map_err(|err| format!("the answer cannot be read: {err}"))?;
    match (&rest.error, &*rest.status) {
        (Some(error), _) => Err(format!("Prometheus says: {error}")),
        (None, "success") => Ok(rest),
        (None, status) => Err(format!("the answer's status is `{status}`, not `success`")),
    }
}

/// The error that an answer consists of, in the words of Prometheus or of a proxy before it.
pub fn error_words(body: &str) -> String {
    #[derive(serde::Deserialize)]
    struct Words {
        error: String,
    }
    let words = serde_json::from_str::<Words>(body).map(|words| words.error);
    crate::base::text::first_line(words.as_deref().unwrap_or(body.trim()))
}

/// Fails once more was read than is allowed, in all or without a quote.
struct Limited<R> {
    from: R,
    left: u64,
    bytes_max: u64,
    text_bytes: usize,
    /// The last byte that was read.
    before: u8,
}

impl<R: Read> Read for Limited<R> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let bytes = self.from.read(into)?;
        self.left = self.left.checked_sub(bytes as u64).ok_or_else(|| {
            io::Error::other(format!(
                "it is longer than answer_bytes_max, {} bytes",
                self.bytes_max
            ))
        })?;
        // One behind a backslash does not end a text. (One that does, after `\\\\`, is not counted
        // either: the next one is.)
        let before = |at: usize| if at == 0 { self.before } else { into[at - 1] };
        let mut quotes = memchr::memrchr_iter(b'"', &into[..bytes]);
        self.text_bytes = match quotes.find(|at| before(*at) != b'\\') {
            Some(quote) => bytes - quote,
            None => self.text_bytes + bytes,
        };
        self.before = into[..bytes].last().copied().unwrap_or(self.before);
        if self.text_bytes > TEXT_BYTES_MAX {
            return Err(io::Error::other("a text in it has no end"));
        }
        Ok(bytes)
    }
}

/// `{"status", "data": {"resultType", "result"}, "error", "warnings"}`
struct Whole<'a, 'f> {
    wanted: &'a [&'a str],
    each: &'f mut dyn FnMut(&Series) -> Result<(), String>,
}

impl<'de> Visitor<'de> for Whole<'_, '_> {
    type Value = Rest;

    fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str("the answer of Prometheus's query API")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Rest, A::Error> {
        let mut rest = Rest::default();
        while let Some(key) = map.next_key::<String>()? {
            match &*key {
                "status" => rest.status = map.next_value()?,
                "error" => rest.error = Some(map.next_value()?),
                "warnings" => {
                    let First(warning) = map.next_value()?;
                    rest.warning = rest.warning.or(warning);
                }
                "data" => {
                    let data = Data { wanted: self.wanted, each: &mut *self.each };
                    (rest.result_type, rest.series) = map.next_value_seed(data)?;
                }
                _ => drop(map.next_value::<IgnoredAny>()?),
            }
        }
        Ok(rest)
    }
}

/// The first text of a list; the others are not kept.
struct First(Option<String>);

impl<'de> Deserialize<'de> for First {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<First, D::Error> {
        struct List;
        impl<'de> Visitor<'de> for List {
            type Value = First;
            fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
                f.write_str("a list of texts")
            }
            fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<First, A::Error> {
                let first = list.next_element()?;
                while list.next_element::<IgnoredAny>()?.is_some() {}
                Ok(First(first))
            }
        }
        from.deserialize_seq(List)
    }
}

struct Data<'a, 'f> {
    wanted: &'a [&'a str],
    each: &'f mut dyn FnMut(&Series) -> Result<(), String>,
}

impl<'de> DeserializeSeed<'de> for Data<'_, '_> {
    type Value = (String, u64);
    fn deserialize<D: Deserializer<'de>>(self, from: D) -> Result<Self::Value, D::Error> {
        from.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Data<'_, '_> {
    type Value = (String, u64);

    fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str("the data of an answer")
    }

    /// An error comes without data.
    fn visit_unit<E: de::Error>(self) -> Result<Self::Value, E> {
        Ok(Default::default())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let (mut kind, mut number) = (String::new(), 0);
        while let Some(key) = map.next_key::<String>()? {
            match &*key {
                "resultType" => {
                    kind = map.next_value()?;
                    if !matches!(&*kind, "matrix" | "vector") {
                        let what = format!("the query gives a {kind}, not a vector or a matrix");
                        return Err(de::Error::custom(what));
                    }
                }
                "result" => {
                    let list = List { wanted: self.wanted, each: &mut *self.each };
                    number = map.next_value_seed(list)?;
                }
                _ => drop(map.next_value::<IgnoredAny>()?),
            }
        }
        Ok((kind, number))
    }
}

struct List<'a, 'f> {
    wanted: &'a [&'a str],
    each: &'f mut dyn FnMut(&Series) -> Result<(), String>,
}

impl<'de> DeserializeSeed<'de> for List<'_, '_> {
    type Value = u64;
    fn deserialize<D: Deserializer<'de>>(self, from: D) -> Result<u64, D::Error> {
        from.deserialize_seq(self)
    }
}

impl<'de> Visitor<'de> for List<'_, '_> {
    type Value = u64;

    fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str("a list of series")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<u64, A::Error> {
        let mut series = Series::default();
        let mut number = 0;
        while list.next_element_seed(One { wanted: self.wanted, series: &mut series })?.is_some() {
            (self.each)(&series).map_err(de::Error::custom)?;
            number += 1;
        }
        Ok(number)
    }
}

/// Reads one series into the room of the one before.
struct One<'a, 's> {
    wanted: &'a [&'a str],
    series: &'s mut Series,
}

impl<'de> DeserializeSeed<'de> for One<'_, '_> {
    type Value = ();
    fn deserialize<D: Deserializer<'de>>(self, from: D) -> Result<(), D::Error> {
        self.series.labels.resize(self.wanted.len(), String::new());
        self.series.labels.iter_mut().for_each(String::clear);
        self.series.others.clear();
        self.series.samples.clear();
        self.series.identity = 0;
        from.deserialize_map(self)
    }
}

/// The keys of a series.
enum Key {
    Metric,
    Value,
    Values,
    Other,
}

impl<'de> Deserialize<'de> for Key {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Key, D::Error> {
        from.deserialize_str(Text(|text: &str| match text {
            "metric" => Key::Metric,
            "value" => Key::Value,
            "values" => Key::Values,
            _ => Key::Other,
        }))
    }
}

impl<'de> Visitor<'de> for One<'_, '_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str("a series")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        let One { wanted, series } = self;
        while let Some(key) = map.next_key::<Key>()? {
            match key {
                Key::Metric => map.next_value_seed(Labels { wanted, series: &mut *series })?,
                Key::Value => {
                    // A series has one.
                    series.samples.clear();
                    series.samples.push(map.next_value::<Sample>()?.0);
                }
                Key::Values => map.next_value_seed(Samples(&mut series.samples))?,
                Key::Other => drop(map.next_value::<IgnoredAny>()?),
            }
        }
        Ok(())
    }
}

/// `{"name": "value", …}`
struct Labels<'a, 's> {
    wanted: &'a [&'a str],
    series: &'s mut Series,
}

impl<'de> DeserializeSeed<'de> for Labels<'_, '_> {
    type Value = ();
    fn deserialize<D: Deserializer<'de>>(self, from: D) -> Result<(), D::Error> {
        from.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for Labels<'_, '_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str("labels")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        let Labels { wanted, series } = self;
        if wanted.is_empty() {
            let mut bytes = 0;
            while let Some((name, value)) = map.next_entry::<String, String>()? {
                bytes += name.len() + value.len();
                if series.others.len() >= LABELS_MAX || bytes > TEXT_BYTES_MAX {
                    return Err(de::Error::custom("a series has hundreds of labels, or long ones"));
                }
                series.others.push((name, value));
            }
            return Ok(());
        }
        let place = |name: &str| wanted.iter().position(|wanted| *wanted == name);
        let known = |name: &str| {
            let mut hasher = IDENTITY.build_hasher();
            hasher.write(name.as_bytes());
            hasher.write_u8(0xff);
            (place(name), (!["__name__", "job"].contains(&name)).then_some(hasher))
        };
        while let Some((at, hasher)) = map.next_key_seed(Text(known))? {
            let Series { labels, identity, .. } = &mut *series;
            map.next_value_seed(Text(|text: &str| {
                if let Some(at) = at {
                    // Of labels with the same name the last counts.
                    labels[at].clear();
                    labels[at].push_str(text);
                }
                if let Some(mut hasher) = hasher {
                    hasher.write(text.as_bytes());
                    // A sum: the order of the labels does not matter.
                    *identity = identity.wrapping_add(hasher.finish());
                }
            }))?;
        }
        Ok(())
    }
}

struct Samples<'s>(&'s mut Vec<(f64, f64)>);

impl<'de> DeserializeSeed<'de> for Samples<'_> {
    type Value = ();
    fn deserialize<D: Deserializer<'de>>(self, from: D) -> Result<(), D::Error> {
        from.deserialize_seq(self)
    }
}

impl<'de> Visitor<'de> for Samples<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str("samples")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<(), A::Error> {
        while let Some(Sample(sample)) = list.next_element()? {
            if self.0.len() >= SAMPLES_MAX {
                return Err(de::Error::custom("a series has a million samples"));
            }
            self.0.push(sample);
        }
        Ok(())
    }
}

/// `[1435781430.781, "1"]`; the value may be `NaN`, `+Inf` or `-Inf`.
struct Sample((f64, f64));

impl<'de> Deserialize<'de> for Sample {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Sample, D::Error> {
        struct Pair;
        impl<'de> Visitor<'de> for Pair {
            type Value = Sample;
            fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
                f.write_str("a sample, [time, \"value\"]")
            }
            fn visit_seq<A: SeqAccess<'de>>(self, mut pair: A) -> Result<Sample, A::Error> {
                let time = pair.next_element::<f64>()?;
                let value = pair.next_element_seed(Text(|text: &str| text.parse::<f64>().ok()))?;
                match (time, value.flatten(), pair.next_element::<IgnoredAny>()?) {
                    (Some(time), Some(value), None) => Ok(Sample((time, value))),
                    _ => Err(de::Error::custom("a sample is not [time, \"value\"]")),
                }
            }
        }
        from.deserialize_seq(Pair)
    }
}

/// A text that is looked at and not kept.
struct Text<F>(F);

impl<'de, T, F: FnOnce(&str) -> T> DeserializeSeed<'de> for Text<F> {
    type Value = T;
    fn deserialize<D: Deserializer<'de>>(self, from: D) -> Result<T, D::Error> {
        from.deserialize_str(self)
    }
}

impl<T, F: FnOnce(&str) -> T> Visitor<'_> for Text<F> {
    type Value = T;
    fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str("a text")
    }
    fn visit_str<E: de::Error>(self, text: &str) -> Result<T, E> {
        Ok((self.0)(text))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all(text: &str, wanted: &[&str]) -> Result<(Vec<String>, Rest), String> {
        let mut found = Vec::new();
        let rest = read(text.as_bytes(), 1 << 20, wanted, &mut |series| {
            found.push(format!("{:?} {:?} {:?}", series.labels, series.others, series.samples));
            Ok(())
        })?;
        Ok((found, rest))
    }

    struct Endless(&'static [u8]);

    impl Read for Endless {
        fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
            let whole = into.len() / self.0.len() * self.0.len();
            into[..whole].chunks_mut(self.0.len()).for_each(|chunk| chunk.copy_from_slice(self.0));
            Ok(whole)
        }
    }

    #[test]
    fn vectors_and_matrices() {
        let (found, rest) = all(
            r#" {"status":"success","data":{"resultType":"matrix","result":[
            {"metric":{"__name__":"x","b":"2","a":"é\n\u0041"},"values":[[1.5,"1"],[2,"NaN"]]},
            {"values":[],"metric":{"b":"3"},"histograms":[[1,{}]]}]},"warnings":["w","","x"]}"#,
            &["a", "b"],
        )
        .unwrap();
        let expected = [r#"["é\nA", "2"] [] [(1.5, 1.0), (2.0, NaN)]"#, r#"["", "3"] [] []"#];
        assert_eq!(found, expected);
        assert_eq!((rest.series, rest.warning), (2, Some("w".to_string())));
        let (found, _) = all(
            r#"{"data":{"result":[{"metric":{"a":"1"},"value":[7,"+Inf"]}],"resultType":"vector"},
            "status":"success"}"#,
            &[],
        )
        .unwrap();
        assert_eq!(found, [r#"[] [("a", "1")] [(7.0, inf)]"#]);
    }

    #[test]
    fn series_are_the_same_by_their_labels_whatever_their_names_and_jobs() {
        let mut found = Vec::new();
        let series = [
            r#"{"__name__":"x","a":"1","b":"2","job":"x"}"#,
            r#"{"b":"2","job":"y","a":"1"}"#,
            r#"{"a":"2","b":"1"}"#,
            r#"{"a":"1","b":"2","c":""}"#,
            r#"{"a":"1b","":"2"}"#,
        ];
        let series = series.map(|labels| format!(r#"{{"metric":{labels},"value":[1,"1"]}}"#));
        let text = format!(
            r#"{{"status":"success","data":{{"resultType":"vector","result":[{}]}}}}"#,
            series.join(",")
        );
        read(text.as_bytes(), 1 << 20, &["a"], &mut |series| {
            found.push(series.identity);
            Ok(())
        })
        .unwrap();
        assert_eq!(found[0], found[1]);
        let others: std::collections::BTreeSet<u64> = found.into_iter().collect();
        assert_eq!(others.len(), 4);
    }

    #[test]
    fn what_is_wrong_is_said() {
        for (text, expected) in [
            ("<html><title>no</title>\n<p>", "it begins with `<html><title>no</title>`"),
            ("", "it begins with ``"),
            (
                r#"{"status":"error","errorType":"execution","error":"too many samples"}"#,
                "Prometheus says: too many samples",
            ),
            (r#"{"status":"error","data":null,"error":"e"}"#, "Prometheus says: e"),
            (
                r#"{"status":"success","data":{"resultType":"scalar","result":[1,"1"]}}"#,
                "gives a scalar, not a vector",
            ),
            (r#"{"status":"success","data":{"resultType":"vector","result":[{"metric":{}"#, "EOF"),
            (r#"{"status":"success"} trailing"#, "trailing"),
            (r#"{"status":"maybe"}"#, "status is `maybe`"),
            (r#"{"data":{"result":[{"value":[1]}]}}"#, "a sample is not"),
            (r#"{"data":{"result":[{"value":[1,"x"]}]}}"#, "a sample is not"),
        ] {
            let err = all(text, &["a"]).unwrap_err();
            assert!(err.contains(expected), "{err}");
        }
        let label = r#"{"data":{"result":[{"metric":{"a":""#;
        for (start, more, expected) in [
            (label, &b"x"[..], "a text in it has no end"),
            (label, b"\\\"", "a text in it has no end"),
            (r#"{"error":""#, b"\\\"", "a text in it has no end"),
            (r#"{"x":["""#, b",\"\"", "longer than answer_bytes_max"),
            (r#"{"warnings":["""#, b",\"\"", "longer than answer_bytes_max"),
        ] {
            let endless = start.as_bytes().chain(Endless(more));
            let err = read(endless, 8 << 20, &["a"], &mut |_| Ok(())).unwrap_err();
            assert!(err.contains(expected), "{err}");
        }
        // One series cannot be made of what stands in it again and again.
        let long = format!(r#""{}","#, "x".repeat(1 << 19));
        let labels = format!(r#"{{"data":{{"result":[{{"metric":{{"b":{long}"c":{long}"d":{long}"#);
        let err = read(labels.as_bytes(), 8 << 20, &[], &mut |_| Ok(())).unwrap_err();
        assert!(err.contains("hundreds of labels"), "{err}");
        assert_eq!(error_words(r#"{"status":"error","error":"a\nb"}"#), "a");
    }
}
