//! Messages of serde and toml in the words of a manifest rather than Rust's.

use crate::nearest::suggesting;

/// Serde's and toml's names for types, and the words used in messages instead.
const WORDS: [(&str, &str); 17] = [
    (
        "invalid type: unit variant, expected string only",
        "expected text in quotes",
    ),
    ("expected usize", "expected a whole number of 0 or more"),
    ("expected u64", "expected a whole number of 0 or more"),
    ("expected f64", "expected a number"),
    ("expected a boolean", "expected true or false"),
    ("expected a string", "expected text in quotes"),
    ("wanted string or table", "expected text in quotes"),
    ("expected a sequence", "expected a list"),
    ("expected an array of length", "expected a list of length"),
    ("expected a map", "expected a table"),
    ("found array", "found a list"),
    ("invalid type: sequence", "invalid type: list"),
    ("invalid type: map", "invalid type: table"),
    ("invalid type: unit variant", "invalid type"),
    ("invalid type: floating point", "invalid type: number"),
    ("invalid type: string", "invalid type: text"),
    ("unknown variant", "unknown value"),
];

/// The message on one line, in our words; with the nearest of the known names, if it is about an unknown one.
pub(super) fn plain(message: &str) -> String {
    let mut text = message.split_whitespace().collect::<Vec<_>>().join(" ");
    for (serde, ours) in WORDS {
        text = text.replace(serde, ours);
    }
    if let Some((before, _)) = text.split_once("expected struct ") {
        return format!("{before}expected a table");
    }
    suggesting(&text).unwrap_or(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_misspelt_field_is_answered_with_the_nearest() {
        assert_eq!(
            plain("unknown field `bacth`, expected one of `batch`, `iterations`"),
            "unknown field `bacth`; did you mean `batch`? expected one of `batch`, `iterations`"
        );
        assert_eq!(
            plain("unknown variant `cafe`, expected `caffe` or `pytorch`"),
            "unknown value `cafe`; did you mean `caffe`? expected `caffe` or `pytorch`"
        );
        let far = "unknown field `x`, expected `batch` or `iterations`";
        assert_eq!(plain(far), far);
    }
}
