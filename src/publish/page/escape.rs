//! Text in HTML, in addresses and in scripts.

use std::path::{Component, Path, PathBuf};

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

/// Everything but the unreserved characters of RFC 3986, section 2.3.
const RESERVED: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'.')
    .remove(b'_')
    .remove(b'~');

/// Text for an element or an attribute in double quotes, as maud escapes it.
pub fn escape(text: &str) -> String {
    maud::html!((text)).into_string()
}

/// JSON as it may stand in a script element: no tag can end or begin in it.
pub fn script(json: &str) -> String {
    json.replace('<', "\\u003c")
        .replace('>', "\\u003e")
        .replace('&', "\\u0026")
}

/// The path from a folder to another place as a relative address. Neither has to exist.
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

/// Absolute, without `.` and `..`.
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

/// A name in a path, or data in an address.
pub fn percent(name: &str) -> String {
    utf8_percent_encode(name, RESERVED).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_text_can_become_markup() {
        assert_eq!(
            escape("<a href=\"x\">'&'</a>"),
            "&lt;a href=&quot;x&quot;&gt;'&amp;'&lt;/a&gt;"
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
