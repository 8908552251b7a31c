//! Texts that live as long as the program: names that a description or the settings give to
//! measurements and fields. Each is kept once, also when it is read again.

use std::collections::BTreeSet;
use std::sync::Mutex;

use super::sync::lock;

/// A text that lives as long as the program.
pub fn leak(text: &str) -> &'static str {
    static LEAKED: Mutex<BTreeSet<&'static str>> = Mutex::new(BTreeSet::new());
    let mut leaked = lock(&LEAKED);
    leaked.get(text).copied().unwrap_or_else(|| {
        let text = text.to_string().leak();
        leaked.insert(text);
        text
    })
}

/// The same for several.
pub fn leak_all(texts: &[String]) -> &'static [&'static str] {
    texts.iter().map(|text| leak(text)).collect::<Vec<_>>().leak()
}
