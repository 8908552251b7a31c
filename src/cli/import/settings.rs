//! Writes a settings file.

/// Settings that are being written.
#[derive(Default)]
pub struct Toml {
    pub text: String,
}

/// A string as TOML has it: JSON's escapes are TOML's, but for DEL.
pub fn quoted(text: &str) -> String {
    serde_json::Value::from(text).to_string().replace('\u{7f}', "\\u007f")
}

impl Toml {
    /// Begins a table; its name is written as it is.
    pub fn table(&mut self, name: &str) {
        self.text += &format!("\n{name}\n");
    }

    pub fn raw(&mut self, key: &str, value: impl std::fmt::Display) {
        self.text += &format!("{key} = {value}\n");
    }

    pub fn set(&mut self, key: &str, value: &str) {
        self.raw(key, quoted(value));
    }

    pub fn list(&mut self, key: &str, values: &[impl AsRef<str>]) {
        let values: Vec<String> = values.iter().map(|value| quoted(value.as_ref())).collect();
        self.raw(key, format!("[{}]", values.join(", ")));
    }

    pub fn comment(&mut self, text: &str) {
        self.text += &format!("# {text}\n");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_text_comes_back() {
        for text in ["", "a\"b\\c", "tab\tnew\nline\r", "\u{1}\u{7f}\u{9b}é\u{202e}"] {
            let mut toml = Toml::default();
            toml.set("key", text);
            let table: toml::Table = toml::from_str(&toml.text).unwrap();
            assert_eq!(table["key"].as_str(), Some(text));
        }
    }
}
