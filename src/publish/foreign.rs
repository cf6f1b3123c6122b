//! Text from files (titles, labels, claims, notes, hosts, overrides) made safe for where it is written. It may hold
//! anything.

use crate::console;

/// The text as [`console::one_line`] has it, with single spaces.
pub(super) fn one_line(text: &str) -> String {
    let line = console::one_line(text);
    let words: Vec<&str> = line.split_whitespace().collect();
    words.join(" ")
}

/// The text in one line, without the characters that XML 1.0 forbids.
pub(super) fn xml(text: &str) -> String {
    let allowed: String = text
        .chars()
        .map(|letter| if letter.is_whitespace() { ' ' } else { letter })
        .filter(|letter| crate::figure::in_xml(*letter))
        .collect();
    one_line(&allowed)
}

/// Punctuation that Markdown may read as markup wherever it stands.
const MARKUP: &str = "\\`*[]|~";

/// The text as inline Markdown in one line: nothing in it is a link, an image, HTML, a heading or the end of a cell.
pub(super) fn markdown(text: &str) -> String {
    let text = one_line(text);
    let letters: Vec<char> = text.chars().collect();
    // `12. ` or `12) ` would begin a list.
    let digits = letters.iter().take_while(|l| l.is_ascii_digit()).count();
    let word = |place: Option<&char>| place.is_some_and(|letter| letter.is_alphanumeric());
    let mut escaped = String::with_capacity(text.len());
    for (place, &letter) in letters.iter().enumerate() {
        let before = place.checked_sub(1).and_then(|before| letters.get(before));
        let after = letters.get(place + 1);
        let inside_a_word = word(before) && word(after);
        // A number such as -0.25 is no list.
        let apart = after.is_none_or(|letter| [' ', '-'].contains(letter));
        let marks = match letter {
            '<' => {
                escaped.push_str("&lt;");
                continue;
            }
            '>' => {
                escaped.push_str("&gt;");
                continue;
            }
            '&' => {
                escaped.push_str("&amp;");
                continue;
            }
            '_' => !inside_a_word,
            // A heading begins or ends with it.
            '#' => place == 0 || place + 1 == letters.len() || before == Some(&' '),
            '-' | '+' => place == 0 && apart,
            '.' | ')' => digits > 0 && place == digits && apart,
            other => MARKUP.contains(other),
        };
        if marks {
            escaped.push('\\');
        }
        escaped.push(letter);
    }
    escaped
}

/// The text that [`markdown`] was given.
pub(super) fn unescaped(markdown: &str) -> String {
    let mut text = String::with_capacity(markdown.len());
    let mut letters = markdown.chars().peekable();
    while let Some(letter) = letters.next() {
        let escapes = letter == '\\' && letters.peek().is_some_and(char::is_ascii_punctuation);
        if let (true, Some(next)) = (escapes, letters.peek().copied()) {
            letters.next();
            text.push(next);
        } else {
            text.push(letter);
        }
    }
    // `&amp;` last: it may be followed by `lt;`.
    text.replace("&lt;", "<")
        .replace("&gt;", ">")
        .replace("&amp;", "&")
}

/// The text as a code span of Markdown; `cell` if in a table.
pub(super) fn code(text: &str, cell: bool) -> String {
    let text = one_line(text);
    let ticks = "`".repeat(longest_run(&text) + 1);
    let room = if ticks.len() > 1 { " " } else { "" };
    let text = if cell { text.replace('|', "\\|") } else { text };
    format!("{ticks}{room}{text}{room}{ticks}")
}

/// Lines as a fenced block of Markdown that none of them ends.
pub(super) fn fenced(lines: &[String]) -> String {
    let lines: Vec<String> = lines.iter().map(|line| one_line(line)).collect();
    let longest = lines.iter().map(|line| longest_run(line)).max();
    let fence = "`".repeat((longest.unwrap_or(0) + 1).max(3));
    format!("{fence}\n{}\n{fence}", lines.join("\n"))
}

/// The length of the longest run of backticks.
fn longest_run(text: &str) -> usize {
    let runs = text.split(|letter| letter != '`');
    runs.map(str::len).max().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_workflow_command_begins_a_line() {
        assert_eq!(
            one_line("a\n::error::b\r\n  ::add-mask::c ##[error]d e::f"),
            "a : :error::b : :add-mask::c ## [error]d e::f"
        );
    }

    #[test]
    fn what_xml_forbids_is_removed() {
        assert_eq!(
            xml("a\u{0}\u{8}b\u{1b}[31m\u{fffe}\u{ffff}\nc <d>"),
            "ab[31m c <d>"
        );
    }

    #[test]
    fn markdown_reads_no_markup_in_a_text() {
        for (text, escaped) in [
            ("# heading #", "\\# heading \\#"),
            ("[x](http://y) ![z](w)", "\\[x\\](http://y) !\\[z\\](w)"),
            (
                "<img src=x> & `code` a|b",
                "&lt;img src=x&gt; &amp; \\`code\\` a\\|b",
            ),
            ("12. first\n- second", "12\\. first - second"),
            (
                "learning_rate 0.02, *bold* _thin_",
                "learning_rate 0.02, \\*bold\\* \\_thin\\_",
            ),
            ("> quoted", "&gt; quoted"),
            ("-0.25", "-0.25"),
            ("9.65", "9.65"),
            ("- item", "\\- item"),
        ] {
            assert_eq!(markdown(text), escaped);
        }
    }

    #[test]
    fn escaped_text_is_read_back() {
        for text in ["Fig. 6 & <7>: [a] \\ b_c *d*", "&lt; is not <", "1. x #"] {
            assert_eq!(unescaped(&markdown(text)), text);
        }
    }

    #[test]
    fn code_is_not_ended_by_its_text() {
        assert_eq!(code("a|b", true), "`a\\|b`");
        assert_eq!(code("a`b", false), "`` a`b ``");
        assert_eq!(fenced(&["a\n```\nb".into()]), "````\na ``` b\n````");
    }
}
