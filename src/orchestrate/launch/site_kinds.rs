//! Kinds of values in a site file: text, numbers, lists. What is of another kind is named with its key and what to write instead.

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use crate::console::one_line;

/// What a key takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Text,
    Number,
    /// A list of texts.
    Words,
    /// A list of lists of texts.
    Commands,
    /// A number or a text.
    Gpus,
    /// A table of texts, numbers and `true`.
    Options,
}

/// The keys, with what each takes and an example.
const KEYS: [(&str, Kind, &str); 17] = [
    ("partition", Kind::Text, "\"gpu\""),
    ("account", Kind::Text, "\"vision\""),
    ("qos", Kind::Text, "\"normal\""),
    ("time", Kind::Text, "\"24:00:00\""),
    ("gpus", Kind::Gpus, "\"a100:1\""),
    ("cpus", Kind::Number, "8"),
    ("memory", Kind::Text, "\"16G\""),
    ("modules", Kind::Words, "[\"cuda/12.8\"]"),
    ("container", Kind::Words, "[\"apptainer\", \"exec\"]"),
    ("program", Kind::Text, "\"/usr/local/bin/refig\""),
    ("prologue", Kind::Commands, "[[\"source\", \"env.sh\"]]"),
    ("warning", Kind::Number, "120"),
    ("checkpoint_every", Kind::Number, "120"),
    ("array_limit", Kind::Number, "1000"),
    ("at_once", Kind::Number, "10"),
    ("max_requeues", Kind::Number, "100"),
    ("options", Kind::Options, ""),
];
/// Another table of options.
const REPORT: &str = "report";
/// Letters of a value that are shown.
const SHOWN: usize = 40;

/// What is of the wrong kind: where it begins in the text, and what to write instead. The first such of a file; none if there
/// is none, or the text is not TOML.
pub(super) fn fault(text: &str) -> Option<(usize, String)> {
    let file = DeTable::parse(text).ok()?;
    let mut faults: Vec<(usize, String)> = Vec::new();
    for (key, value) in file.get_ref() {
        let key: &str = key.get_ref();
        let named = match key {
            REPORT => "options",
            key => key,
        };
        // Unknown keys are refused with those that there are.
        let Some((_, kind, example)) = KEYS.into_iter().find(|(known, ..)| *known == named) else {
            continue;
        };
        let mut refuse = |key: &str, value: &Spanned<DeValue>, remedy: String| {
            let written = text.get(value.span()).unwrap_or_default();
            let said = match shown(written).as_str() {
                // A table that begins with a dotted key.
                "" => format!("{key}: use {remedy}"),
                shown => format!("{key} = {shown}: use {remedy}"),
            };
            faults.push((value.span().start, said));
        };
        match (kind, value.get_ref()) {
            (Kind::Options, DeValue::Table(options)) => {
                for (option, value) in options {
                    if !is_setting(value.get_ref()) {
                        let option = one_line(option.get_ref());
                        let remedy = "a text in quotes, a number or true".to_owned();
                        refuse(&format!("{key}.{option}"), value, remedy);
                    }
                }
            }
            (Kind::Options, _) => refuse(key, value, format!("a table, [{key}], with its options")),
            (kind, found) if is_of(kind, found) => {}
            (Kind::Number, found) if found.is_integer() => {
                refuse(key, value, format!("a number such as {example}"));
            }
            _ => refuse(key, value, remedy(kind, example)),
        }
    }
    faults.into_iter().min()
}

fn remedy(kind: Kind, example: &str) -> String {
    match kind {
        Kind::Text => format!("text in quotes, such as {example}"),
        Kind::Number => format!("a whole number without quotes, such as {example}"),
        Kind::Words => format!("a list of words in quotes, such as {example}"),
        Kind::Commands => format!("a list of commands, each a list of words, such as {example}"),
        Kind::Gpus => format!("a number of GPUs, or a kind such as {example}"),
        Kind::Options => "a table".into(),
    }
}

fn is_of(kind: Kind, value: &DeValue) -> bool {
    match kind {
        Kind::Text => value.is_str(),
        Kind::Number => is_number(value),
        Kind::Words => is_words(value),
        Kind::Commands => is_list(value, is_words),
        Kind::Gpus => value.is_str() || is_number(value),
        Kind::Options => value.is_table(),
    }
}

fn is_list(value: &DeValue, of: impl Fn(&DeValue) -> bool) -> bool {
    let items = value.as_array();
    items.is_some_and(|items| items.iter().all(|item| of(item.get_ref())))
}

fn is_words(value: &DeValue) -> bool {
    is_list(value, |word| word.is_str())
}

/// Whether it is a number of something. Which numbers a key takes is checked later.
fn is_number(value: &DeValue) -> bool {
    let written = value.as_integer();
    written.is_some_and(|number| u32::from_str_radix(number.as_str(), number.radix()).is_ok())
}

fn is_setting(value: &DeValue) -> bool {
    match value {
        DeValue::Integer(number) => i64::from_str_radix(number.as_str(), number.radix()).is_ok(),
        other => other.is_str() || other.is_bool(),
    }
}

/// The beginning of a value, in one line.
fn shown(written: &str) -> String {
    let line = one_line(written.trim());
    match line.char_indices().nth(SHOWN) {
        Some((end, _)) => format!("{}…", &line[..end]),
        None => line,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn says(text: &str) -> String {
        fault(text).unwrap_or_else(|| panic!("{text}: no fault")).1
    }

    #[test]
    fn every_key_says_what_it_takes() {
        assert_eq!(
            says("time = 24"),
            "time = 24: use text in quotes, such as \"24:00:00\""
        );
        assert_eq!(
            says("cpus = \"8\""),
            "cpus = \"8\": use a whole number without quotes, such as 8"
        );
        for (key, kind, example) in KEYS {
            // No key takes a date.
            let said = says(&format!("{key} = 2026-01-01"));
            assert!(
                said.starts_with(&format!("{key} = 2026-01-01: use ")),
                "{said}"
            );
            assert!(said.contains(example), "{said}");
            if kind != Kind::Options {
                assert_eq!(fault(&format!("{key} = {example}")), None, "{key}");
            }
        }
        for wrong in [
            "cpus = -1",
            "cpus = 5000000000",
            "time.limit = 1",
            "cpus = 1.5",
            "modules = \"cuda\"",
            "modules = [1]",
            "prologue = [\"export\"]",
            "gpus = []",
            "options = 1",
            "report = 1",
            "[options]\nnice = []",
            "[report]\ntime = 00:10:00",
        ] {
            assert!(fault(wrong).is_some(), "{wrong}");
        }
        for right in [
            "",
            "gpus = 2",
            "array_limit = 1_000",
            "cpus = 0x10",
            "[report]\ntime = 10",
        ] {
            assert_eq!(fault(right), None, "{right}");
        }
    }

    #[test]
    fn the_first_fault_is_told_with_its_place_and_in_short() {
        let text = "time = 24\n[options]\nnice = []\n";
        assert_eq!(fault(text).map(|(place, _)| place), text.find("24"));
        let long = format!("time = [\n{}]", "\"word\",\n".repeat(100));
        let said = says(&long);
        assert!(said.chars().count() < 120 && !said.contains('\n'), "{said}");
    }
}
