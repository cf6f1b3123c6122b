//! Standard output and standard error: the only place that prints.
//!
//! Printing never fails and never ends the program. After a reader closes its end (`refig list | head -1`), the rest of the
//! output is dropped quietly, and the exit code is that of the command. Any other failure, such as a full disk, is kept
//! for [`finish`]. Text may come from files, so control characters are replaced; colours are added here.

use std::cell::Cell;
use std::fmt;
use std::io::{self, ErrorKind, IsTerminal, Write};
use std::panic;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Once, OnceLock};

use anyhow::Result;

use crate::exit::Exit;

/// Prints to standard output, without a newline.
#[macro_export]
macro_rules! out {
    ($($argument:tt)*) => { $crate::console::out(format_args!($($argument)*)) };
}

/// Prints a line to standard output.
#[macro_export]
macro_rules! outln {
    () => { $crate::console::out(format_args!("\n")) };
    ($($argument:tt)*) => { $crate::console::out(format_args!("{}\n", format_args!($($argument)*))) };
}

/// Prints a line to standard error: progress, notes and errors.
#[macro_export]
macro_rules! note {
    ($($argument:tt)*) => { $crate::console::note(format_args!($($argument)*)) };
}

/// A colour of text on a terminal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ink {
    Plain,
    Good,
    Bad,
    Doubtful,
    Dim,
}

impl Ink {
    fn code(self) -> &'static str {
        match self {
            Ink::Plain => "",
            Ink::Good => "\x1b[32m",
            Ink::Bad => "\x1b[31m",
            Ink::Doubtful => "\x1b[33m",
            Ink::Dim => "\x1b[2m",
        }
    }
}

/// A stretch of text in one colour.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Span {
    pub ink: Ink,
    pub text: String,
}

impl Span {
    pub fn plain(text: impl Into<String>) -> Self {
        Self {
            ink: Ink::Plain,
            text: text.into(),
        }
    }
}

/// The text of spans without colours.
pub fn plain(spans: &[Span]) -> String {
    spans.iter().map(|span| span.text.as_str()).collect()
}

/// Set once nobody reads standard output.
static CLOSED: AtomicBool = AtomicBool::new(false);
/// The first failure of standard output.
static FAILED: OnceLock<String> = OnceLock::new();

/// Prints to standard output; see [`out!`](crate::out).
pub fn out(text: fmt::Arguments<'_>) {
    write_out(printable(&text.to_string()).as_bytes());
}

/// Prints spans to standard output, in colours on a terminal.
pub fn paint(spans: &[Span]) {
    let colours = colours();
    let mut text = String::new();
    for span in spans {
        let code = if colours { span.ink.code() } else { "" };
        text.push_str(code);
        text.push_str(&printable(&span.text));
        text.push_str(if code.is_empty() { "" } else { "\x1b[0m" });
    }
    write_out(text.as_bytes());
}

/// Redraws the whole terminal with `text`.
pub fn redraw(text: &str) {
    // Cursor home, clear to the end.
    write_out(format!("\x1b[H\x1b[J{}", printable(text)).as_bytes());
}

/// Prints a line to standard error; see [`note!`](crate::note).
pub fn note(text: fmt::Arguments<'_>) {
    let line = printable(&text.to_string()) + "\n";
    // Nowhere is left to report a failure.
    let _ = io::stderr().lock().write_all(line.as_bytes());
}

/// Whether standard output still has a reader.
pub fn is_open() -> bool {
    !CLOSED.load(Ordering::Relaxed)
}

/// Whether standard output is a terminal that shows colours, and NO_COLOR is not set (<https://no-color.org>).
pub fn colours() -> bool {
    let set = |name| std::env::var_os(name).filter(|value| !value.is_empty());
    io::stdout().is_terminal()
        && set("NO_COLOR").is_none()
        && set("TERM").is_some_and(|terminal| terminal != "dumb")
}

thread_local! {
    static QUIET_PANICS: Cell<bool> = const { Cell::new(false) };
}

/// Calls `work`, which catches its panics, without their messages.
pub fn without_panic_message<T>(work: impl FnOnce() -> T) -> T {
    static HOOK: Once = Once::new();
    HOOK.call_once(|| {
        let usual = panic::take_hook();
        panic::set_hook(Box::new(move |panic| {
            if !QUIET_PANICS.get() {
                usual(panic);
            }
        }));
    });
    let before = QUIET_PANICS.replace(true);
    let result = work();
    QUIET_PANICS.set(before);
    result
}

/// Writes out what is buffered.
///
/// # Errors
/// [`Exit::Storage`] if some output was lost other than to a reader that had closed its end.
pub fn finish() -> Result<()> {
    write_out(b"");
    match FAILED.get() {
        Some(error) => Err(Exit::Storage.error(format!(
            "cannot write to standard output: {error}; what was printed is incomplete"
        ))),
        None => Ok(()),
    }
}

fn write_out(bytes: &[u8]) {
    if CLOSED.load(Ordering::Relaxed) {
        return;
    }
    let mut out = io::stdout().lock();
    if let Err(error) = out.write_all(bytes).and_then(|()| out.flush()) {
        CLOSED.store(true, Ordering::Relaxed);
        if error.kind() != ErrorKind::BrokenPipe {
            let _ = FAILED.set(error.to_string());
        }
    }
}

/// Replaces characters that control a terminal: escape sequences, carriage returns, and marks that reverse the direction of
/// text. Newlines and tabs stay.
pub fn printable(text: &str) -> String {
    let controls = |letter: char| {
        (letter.is_control() && letter != '\n' && letter != '\t')
            || matches!(letter, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
    };
    text.chars()
        .map(|letter| if controls(letter) { '\u{fffd}' } else { letter })
        .collect()
}

/// Text from a file in one line, without what controls a terminal, and without what begins a workflow command in a log of
/// GitHub Actions, also where it is broken at a space later.
pub fn one_line(text: &str) -> String {
    let space = |letter: char| if letter.is_whitespace() { ' ' } else { letter };
    let line = printable(&text.chars().map(space).collect::<String>());
    let words: Vec<String> = line.split(' ').map(inert).collect();
    words.join(" ")
}

/// Parts the markers of a workflow command: `::error::` where a line begins with it, `##[error]` wherever it is.
fn inert(word: &str) -> String {
    let word = word.replace("##[", "## [");
    match word.strip_prefix("::") {
        Some(rest) => format!(": :{rest}"),
        None => word,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_from_a_file_is_one_inert_line() {
        let text = "a\n::error::b\r\x1b[31m\u{202e}  c\u{2028}##[error]d e::f";
        assert_eq!(
            one_line(text),
            "a : :error::b \u{fffd}[31m\u{fffd}  c ## [error]d e::f"
        );
    }

    #[test]
    fn control_characters_are_replaced_and_layout_stays() {
        let text = "a\x1b]0;title\x07b\r\u{202e}c\u{9b}31m\td\n";
        let shown = printable(text);
        assert_eq!(
            shown,
            "a\u{fffd}]0;title\u{fffd}b\u{fffd}\u{fffd}c\u{fffd}31m\td\n"
        );
    }
}
