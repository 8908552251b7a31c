//! The manual pages and the shells' completions: made from the table of commands and from the
//! settings file that is shipped, whose keys are those that perijove knows.
//!
//! `UPDATE=1 cargo test --test manual` writes them anew.

#[path = "../common/needs.rs"]
mod needs;
mod pages;
mod roff;
mod shells;

use std::path::{Path, PathBuf};
use std::process::Command;

use needs::skips;

fn packaging(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("packaging").join(name)
}

/// Holds a file to what the code says, or writes it.
fn hold(name: &str, made: &str) {
    let path = packaging(name);
    if std::env::var_os("UPDATE").is_some() {
        std::fs::write(&path, made).unwrap();
        return;
    }
    let found = std::fs::read_to_string(&path).unwrap_or_default();
    let hint = "UPDATE=1 cargo test --test manual writes it anew";
    assert!(made == found, "{} is not what the code says; {hint}", path.display());
}

/// What a program says of its arguments: nothing, if all is well.
fn complaints(program: &str, arguments: &[&str]) -> String {
    let output = Command::new(program).args(arguments).output().unwrap();
    let said = [output.stdout, output.stderr].concat();
    format!("{}{}", String::from_utf8_lossy(&said), if output.status.success() { "" } else { "!" })
}

#[test]
fn the_manual_is_what_the_code_says() {
    hold("man/perijove.8", &pages::program());
    hold("man/perijove.toml.5", &pages::settings());
}

#[test]
fn the_completions_are_what_the_code_says() {
    hold("completions/perijove.bash", &shells::bash());
    hold("completions/perijove.zsh", &shells::zsh());
    hold("completions/perijove.fish", &shells::fish());
}

#[test]
fn the_manual_of_the_settings_has_every_key() {
    let page = pages::settings();
    let file = include_str!("../../packaging/perijove.toml");
    let keys = file.lines().filter_map(roff::setting).map(|(key, _)| key);
    let mut found = 0;
    for key in keys {
        let item = format!(".It Ic {}", roff::escaped(key));
        assert!(page.lines().any(|line| line == item || line.starts_with(&format!("{item} "))));
        found += 1;
    }
    assert!(found > 150, "only {found} keys are in perijove.toml");
}

#[test]
fn mandoc_has_nothing_to_say_of_the_pages() {
    if skips(&["mandoc"]) {
        return;
    }
    for name in ["man/perijove.8", "man/perijove.toml.5"] {
        let path = packaging(name);
        let said = complaints("mandoc", &["-Tlint", path.to_str().unwrap()]);
        // That the two pages are not installed is no fault of theirs.
        let said: Vec<&str> = said
            .trim_end_matches('!')
            .lines()
            .filter(|line| !line.contains("referenced manual not found"))
            .collect();
        assert!(said.is_empty(), "{said:#?}");
    }
}

/// What bash offers after these words.
fn offered(words: &[&str]) -> Vec<String> {
    let quoted: Vec<String> = words.iter().map(|word| format!("'{word}'")).collect();
    let script = format!(
        "source {}\nCOMP_WORDS=({})\nCOMP_CWORD={}\n_perijove\n\
         printf '%s\\n' \"${{COMPREPLY[@]}}\"",
        packaging("completions/perijove.bash").display(),
        quoted.join(" "),
        words.len() - 1
    );
    let output = Command::new("bash").args(["-c", &script]).output().unwrap();
    assert_eq!(String::from_utf8_lossy(&output.stderr), "");
    let text = String::from_utf8(output.stdout).unwrap();
    text.lines().filter(|line| !line.is_empty()).map(str::to_string).collect()
}

#[test]
fn bash_offers_commands_flags_and_values() {
    assert_eq!(offered(&["perijove", "bi"]), ["bigquery"]);
    assert_eq!(offered(&["perijove", "once", "--fo"]), ["--format"]);
    assert_eq!(offered(&["perijove", "once", "--format", "j"]), ["json"]);
    assert_eq!(offered(&["perijove", "run", "--transport", ""]), ["ssh", "openssh", "local"]);
    assert_eq!(offered(&["perijove", "parse", "bg"]), ["bgp"]);
    assert_eq!(offered(&["perijove", "help", "chec"]), ["check"]);
    let files = offered(&["perijove", "run", "--config", "packaging/perijove."]);
    assert_eq!(files, ["packaging/perijove.toml"]);
    // Without a command it is `run`, whose flags have no --dry-run.
    assert_eq!(offered(&["perijove", "--targ"]), ["--target"]);
    assert_eq!(offered(&["perijove", "--dry"]), [""; 0]);
}

#[test]
fn the_other_shells_can_read_their_completions() {
    for (shell, file) in [("zsh", "perijove.zsh"), ("fish", "perijove.fish")] {
        if skips(&[shell]) {
            continue;
        }
        let path = packaging(&format!("completions/{file}"));
        assert_eq!(complaints(shell, &["-n", path.to_str().unwrap()]), "", "{shell}");
    }
}
