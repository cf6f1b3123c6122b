//! The rule for names that become parts of paths.

/// File systems allow 255 letters, and names of files are made of several such names.
const MOST_LETTERS: usize = 100;

/// Whether a name, as part of a path, stays in its folder, shows in it, needs no quotes, and is not too long.
pub fn is_plain_name(name: &str) -> bool {
    let usual = |letter: char| letter.is_ascii_alphanumeric() || "-_.".contains(letter);
    !name.is_empty()
        && name.len() <= MOST_LETTERS
        && !name.starts_with('.')
        && name.chars().all(usual)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_short_enough_for_a_file_system() {
        assert!(is_plain_name(&"a".repeat(MOST_LETTERS)));
        assert!(!is_plain_name(&"a".repeat(MOST_LETTERS + 1)));
    }
}
