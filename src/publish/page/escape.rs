//! Escaping for HTML, URLs and scripts.

use std::path::{Component, Path, PathBuf};

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

/// All but the unreserved characters of RFC 3986, section 2.3.
const RESERVED: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'.')
    .remove(b'_')
    .remove(b'~');

/// Escapes text for an element or a double-quoted attribute, as maud does.
pub fn escape(text: &str) -> String {
    maud::html!((text)).into_string()
}

/// Escapes JSON for a script element, so that no tag can start or end in it.
pub fn script(json: &str) -> String {
    json.replace('<', "\\u003c")
        .replace('>', "\\u003e")
        .replace('&', "\\u0026")
}

/// The relative URL from a folder to another path. Neither has to exist.
pub fn relative(from: &Path, to: &Path) -> String {
    let path = pathdiff::diff_paths(normal(to), normal(from)).unwrap_or_else(|| to.into());
    let parts: Vec<String> = path
        .components()
        .map(|part| match part {
            Component::Normal(name) => percent(&name.to_string_lossy()),
            other => other.as_os_str().to_string_lossy().into_owned(),
        })
        .collect();
    match parts.is_empty() {
        true => ".".into(),
        false => parts.join("/"),
    }
}

/// Makes a path absolute, without `.` and `..`.
fn normal(path: &Path) -> PathBuf {
    let mut normal = PathBuf::new();
    let path = std::path::absolute(path).unwrap_or_else(|_| path.into());
    for part in path.components() {
        match part {
            Component::ParentDir => {
                normal.pop();
            }
            Component::CurDir => {}
            other => normal.push(other),
        }
    }
    normal
}

/// Percent-encodes a path segment or the data of a URL.
pub fn percent(name: &str) -> String {
    utf8_percent_encode(name, RESERVED).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_cannot_become_markup() {
        assert_eq!(
            escape("<a href=\"x\">'&'</a>"),
            "&lt;a href=&quot;x&quot;&gt;'&amp;'&lt;/a&gt;"
        );
        assert_eq!(script("[\"</script>\"]"), "[\"\\u003c/script\\u003e\"]");
    }

    #[test]
    fn relative_links_from_report_to_runs() {
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
