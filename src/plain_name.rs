//! The rule for names that become parts of paths.

/// Whether a name, as part of a path, stays in its folder, shows in it, and needs no quotes.
pub fn is_plain_name(name: &str) -> bool {
    let usual = |letter: char| letter.is_ascii_alphanumeric() || "-_.".contains(letter);
    !name.is_empty() && !name.starts_with('.') && name.chars().all(usual)
}
