//! Text where HTML, an address or a script has signs of its own.

use std::path::{Component, Path};

/// Text as it may stand in an element or in a quoted attribute.
pub fn escape(text: &str) -> String {
    let mut safe = String::with_capacity(text.len());
    for letter in text.chars() {
        match letter {
            '&' => safe.push_str("&amp;"),
            '<' => safe.push_str("&lt;"),
            '>' => safe.push_str("&gt;"),
            '"' => safe.push_str("&quot;"),
            '\'' => safe.push_str("&#39;"),
            other => safe.push(other),
        }
    }
    safe
}

/// JSON as it may stand in a script element: no tag can end or begin in it.
pub fn script(json: &str) -> String {
    json.replace('<', "\\u003c")
        .replace('>', "\\u003e")
        .replace('&', "\\u0026")
}

/// The path from a folder to another place as a relative address. Neither has to exist.
pub fn relative(from: &Path, to: &Path) -> String {
    let names = |path: &Path| -> Vec<String> {
        let path = std::path::absolute(path).unwrap_or_else(|_| path.into());
        let mut names = Vec::new();
        for part in path.components() {
            match part {
                Component::Normal(name) => names.push(name.to_string_lossy().into_owned()),
                Component::ParentDir => {
                    names.pop();
                }
                _ => {}
            }
        }
        names
    };
    let (from, to) = (names(from), names(to));
    let shared = from.iter().zip(&to).take_while(|(a, b)| a == b).count();
    let up = std::iter::repeat_n("..".to_owned(), from.len() - shared);
    let down = to[shared..].iter().map(|name| percent(name));
    let path: Vec<String> = up.chain(down).collect();
    if path.is_empty() {
        ".".into()
    } else {
        path.join("/")
    }
}

/// A name in a path, or data in an address, as RFC 3986 writes it.
pub fn percent(name: &str) -> String {
    let mut text = String::new();
    for byte in name.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            text.push(char::from(byte));
        } else {
            text.push_str(&format!("%{byte:02X}"));
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_text_can_become_markup() {
        assert_eq!(
            escape("<a href=\"x\">'&'</a>"),
            "&lt;a href=&quot;x&quot;&gt;&#39;&amp;&#39;&lt;/a&gt;"
        );
        assert_eq!(script("[\"</script>\"]"), "[\"\\u003c/script\\u003e\"]");
    }

    #[test]
    fn a_link_leads_from_the_report_to_the_runs() {
        let link = |from: &str, to: &str| relative(Path::new(from), Path::new(to));
        assert_eq!(link("reports/fig6/quick", "results"), "../../../results");
        assert_eq!(
            link("/a/reports/x/y", "/b c/results"),
            "../../../../b%20c/results"
        );
        assert_eq!(link("reports", "reports"), ".");
        assert_eq!(link("a/../reports/x", "./results"), "../../results");
    }
}
