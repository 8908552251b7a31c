//! The router's configuration and its commits, as a file says that a test writes:
//!
//! ```text
//! commit SECONDS USER COMMENT            the newest first
//! set system apply-macro NAME [PARAMETER [VALUE]]
//! set groups GROUP system apply-macro …  counts with `inherit`
//! deactivate system apply-macro NAME [PARAMETER]
//! denied                                 the class lacks view-configuration
//! next FILE                              is committed once the configuration was read
//! engine MASTERSHIP IDLE MEMORY          a Routing Engine: percents of its CPU and its memory
//! ```

use std::io;
use std::path::Path;

use crate::xml::{Element, escape};

/// The words of a line, as the CLI takes them: quoted where they have spaces.
fn words(line: &str) -> Vec<String> {
    let (mut words, mut word, mut quoted, mut any) = (Vec::new(), String::new(), false, false);
    let mut characters = line.chars();
    while let Some(c) = characters.next() {
        match c {
            '"' => (quoted, any) = (!quoted, true),
            '\\' if quoted => word.extend(characters.next()),
            c if c.is_whitespace() && !quoted => {
                if any {
                    words.push(std::mem::take(&mut word));
                }
                any = false;
            }
            c => {
                word.push(c);
                any = true;
            }
        }
    }
    words.extend(any.then_some(word));
    words
}

#[derive(Default)]
struct Macro {
    name: String,
    inactive: bool,
    /// Names, values, and which are inactive.
    data: Vec<(String, Option<String>, bool)>,
}

#[derive(Default)]
struct Configuration {
    commits: Vec<Vec<String>>,
    macros: Vec<Macro>,
    denied: bool,
    next: Option<String>,
    engines: Vec<Vec<String>>,
}

impl Configuration {
    fn read(file: &Path, inherits: bool) -> io::Result<Configuration> {
        let mut configuration = Configuration::default();
        for line in std::fs::read_to_string(file)?.lines() {
            let words = words(line);
            let parts: Vec<&str> = words.iter().map(String::as_str).collect();
            match &parts[..] {
                [] => {}
                ["commit", ..] => configuration.commits.push(words[1..].to_vec()),
                ["set", "system", "apply-macro", rest @ ..] => configuration.set(rest),
                ["set", "groups", _, "system", "apply-macro", rest @ ..] => {
                    if inherits {
                        configuration.set(rest);
                    }
                }
                ["deactivate", "system", "apply-macro", name, rest @ ..] => {
                    let found = configuration.the_macro(name);
                    match rest.first() {
                        None => found.inactive = true,
                        Some(parameter) => {
                            let data = found.data.iter_mut();
                            data.filter(|data| data.0 == *parameter).for_each(|data| data.2 = true);
                        }
                    }
                }
                ["engine", _, _, _] => configuration.engines.push(words[1..].to_vec()),
                ["denied"] => configuration.denied = true,
                ["next", file] => configuration.next = Some(file.to_string()),
                _ => return Err(io::Error::other(format!("what is `{line}`?"))),
            }
        }
        Ok(configuration)
    }

    fn the_macro(&mut self, name: &str) -> &mut Macro {
        let at = self.macros.iter().position(|known| known.name == name).unwrap_or_else(|| {
            self.macros.push(Macro { name: name.to_string(), ..Macro::default() });
            self.macros.len() - 1
        });
        &mut self.macros[at]
    }

    fn set(&mut self, words: &[&str]) {
        let Some((name, data)) = words.split_first() else { return };
        let found = self.the_macro(name);
        if let Some((parameter, value)) = data.split_first() {
            let value = value.first().map(|value| value.to_string());
            found.data.push((parameter.to_string(), value, false));
        }
    }

    fn macros(&self) -> String {
        let flag = |inactive: bool| if inactive { " inactive=\"inactive\"" } else { "" };
        let mut text = String::from("<configuration><system>\n");
        for Macro { name, inactive, data } in &self.macros {
            text += &format!("<apply-macro{}>\n<name>{}</name>\n", flag(*inactive), escape(name));
            for (name, value, inactive) in data {
                let value = value.as_ref().map(|value| format!("<value>{}</value>", escape(value)));
                let (name, value) = (escape(name), value.unwrap_or_default());
                text += &format!("<data{}>\n<name>{name}</name>\n{value}\n", flag(*inactive));
                text += "</data>\n";
            }
            text += "</apply-macro>\n";
        }
        text + "</system></configuration>\n"
    }

    fn engines(&self) -> String {
        let mut text = String::from("<route-engine-information>\n");
        for (slot, engine) in self.engines.iter().enumerate() {
            text += &format!(
                "<route-engine>\n<slot>{slot}</slot>\n<mastership-state>{}</mastership-state>\n\
                 <memory-buffer-utilization>{}</memory-buffer-utilization>\n\
                 <cpu-idle>1</cpu-idle>\n<cpu-idle1>{}</cpu-idle1>\n</route-engine>\n",
                engine[0], engine[2], engine[1]
            );
        }
        text + "</route-engine-information>\n"
    }

    fn commits(&self) -> String {
        let mut text = String::from("<commit-information>\n");
        for (number, commit) in self.commits.iter().enumerate() {
            let part = |at: usize| commit.get(at).map_or("", String::as_str);
            text += &format!(
                "<commit-history>\n<sequence-number>{number}</sequence-number>\n\
                 <user>{}</user>\n<client>cli</client>\n\
                 <date-time junos:seconds=\"{2}\">at {2}</date-time>\n<log>{}</log>\n\
                 </commit-history>\n",
                escape(part(1)),
                escape(part(2)),
                part(0)
            );
        }
        text + "</commit-information>\n"
    }
}

/// The payload of the reply, if the file has one for this request; an error in its place where the
/// class may not read it.
pub fn payload(file: &Path, operation: &Element) -> io::Result<Option<Result<String, String>>> {
    let inherits = operation.attributes.iter().any(|(name, _)| name == "inherit");
    let read = || Configuration::read(file, inherits);
    Ok(match operation.name.as_str() {
        "get-commit-information" => Some(Ok(read()?.commits())),
        "get-configuration" => {
            let configuration = read()?;
            let denied = configuration.denied.then(|| Err("permission denied".to_string()));
            Some(denied.unwrap_or_else(|| Ok(configuration.macros())))
        }
        "get-route-engine-information" => {
            let configuration = read()?;
            (!configuration.engines.is_empty()).then(|| Ok(configuration.engines()))
        }
        _ => None,
    })
}

/// After an answer: commits what the file has as its next state.
pub fn answered(file: &Path, operation: &Element) -> io::Result<()> {
    if operation.name == "get-configuration"
        && let Some(next) = Configuration::read(file, false)?.next
    {
        std::fs::rename(next, file)?;
    }
    Ok(())
}
