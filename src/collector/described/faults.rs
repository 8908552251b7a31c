//! What is wrong in a description, where it stands, and the checks of its names and texts.

use toml::Spanned;

use crate::base::leaked::leak;

/// Something wrong at a byte of the file.
#[derive(Clone, Debug, PartialEq)]
pub struct Fault {
    pub at: usize,
    pub why: String,
}

const NAME_BYTES_MAX: usize = 128;
/// So much of a help, a unit or another text.
pub const TEXT_BYTES_MAX: usize = 1024;

/// Reads what a description says, and notes what is wrong in it.
#[derive(Default)]
pub struct Compiler {
    pub faults: Vec<Fault>,
}

impl Compiler {
    pub fn fault<T>(&mut self, at: &Spanned<T>, why: impl Into<String>) {
        self.faults.push(Fault { at: at.span().start, why: why.into() });
    }

    pub fn or_fault<T, U>(&mut self, at: &Spanned<T>, result: Result<U, String>) -> Option<U> {
        result.map_err(|why| self.fault(at, why)).ok()
    }

    /// A name of a collector, a measurement, a tag or a field.
    pub fn name(&mut self, name: &Spanned<String>) -> &'static str {
        let text = name.get_ref();
        let is_part = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_';
        let fits = text.starts_with(|c: char| c.is_ascii_lowercase())
            && text.chars().all(is_part)
            && text.len() <= NAME_BYTES_MAX;
        if !fits {
            let what = format!(
                "`{text}` is not a name: it has lower-case letters, digits and `_`, begins with a \
                 letter, and has at most {NAME_BYTES_MAX} bytes"
            );
            self.fault(name, what);
        }
        leak(text)
    }

    /// A sentence for people.
    pub fn sentence(&mut self, text: &Spanned<String>) -> &'static str {
        let sentence = text.get_ref();
        if sentence.trim().is_empty() || sentence.contains('\n') || sentence.len() > TEXT_BYTES_MAX
        {
            let why = format!("a help is one line, not empty, of at most {TEXT_BYTES_MAX} bytes");
            self.fault(text, why);
        }
        leak(sentence)
    }

    pub fn count<T>(&mut self, at: &Spanned<T>, what: &str, count: usize, limit: usize) {
        if count == 0 {
            self.fault(at, format!("it has no {what}: it needs at least one"));
        }
        if count > limit {
            self.fault(at, format!("it has {count} {what}, and at most {limit} are allowed"));
        }
    }
}
