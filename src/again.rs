//! How to go on after an interruption, in words.

use std::ffi::OsStr;
use std::sync::OnceLock;

/// Makes a command start over.
const FRESH: &str = "--fresh";

/// What to do to resume what this command has begun: `run the same command again`, without what would make it start over.
pub fn again() -> &'static str {
    static AGAIN: OnceLock<&str> = OnceLock::new();
    AGAIN.get_or_init(|| after(std::env::args_os().skip(1)))
}

fn after(mut words: impl Iterator<Item = impl AsRef<OsStr>>) -> &'static str {
    match words.any(|word| word.as_ref() == FRESH) {
        true => "run the same command again without --fresh",
        false => "run the same command again",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nobody_is_told_to_start_over_in_order_to_resume() {
        let same = "run the same command again";
        assert_eq!(after(["reproduce", "fig6"].iter()), same);
        let fresh = after(["reproduce", "fig6", "--fresh"].iter());
        assert_eq!(fresh, format!("{same} without --fresh"));
    }
}
