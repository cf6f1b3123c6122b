//! "Did you mean": the nearest of some known names.

/// Longer words are no misspelt names.
const LONGEST: usize = 64;

/// The one known name that `word` is probably a misspelling of. None if two are equally near.
pub fn nearest<'a>(word: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    if word.len() > LONGEST {
        return None;
    }
    let word = word.to_lowercase();
    let most = (word.chars().count() / 3).max(1);
    let mut near: Vec<(usize, &str)> = known
        .into_iter()
        .map(|name| {
            let distance = strsim::damerau_levenshtein(&word, &name.to_lowercase());
            (distance, name)
        })
        .filter(|(distance, _)| *distance <= most)
        .collect();
    near.sort_unstable();
    near.dedup();
    let (least, name) = *near.first()?;
    let alone = near.get(1).is_none_or(|(next, _)| *next > least);
    alone.then_some(name)
}

/// What to write instead of an unknown word: `did you mean "quick"? known are paper, quick`, or `use one of paper, quick`.
pub fn remedy<'a>(word: &str, known: impl IntoIterator<Item = &'a str>) -> String {
    let known: Vec<&str> = known.into_iter().collect();
    let all = known.join(", ");
    match nearest(word, known) {
        Some(name) => format!("did you mean \"{name}\"? known are {all}"),
        None => format!("use one of {all}"),
    }
}

/// Serde's message on an unknown name with the nearest of the known ones, if there is one:
/// ``unknown field `bacth`; did you mean `batch`? expected one of `batch`, ...``.
pub fn suggesting(text: &str) -> Option<String> {
    let (unknown, known) = text.split_once(", expected ")?;
    let (_, word) = ["unknown field `", "unknown value `"]
        .iter()
        .find_map(|kind| unknown.split_once(*kind))?;
    let name = nearest(
        word.trim_end_matches('`'),
        known.split('`').skip(1).step_by(2),
    )?;
    Some(format!(
        "{unknown}; did you mean `{name}`? expected {known}"
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_near_name_that_stands_alone_is_suggested() {
        let profiles = ["paper", "quick", "smoke", "tenth"];
        assert_eq!(nearest("papre", profiles), Some("paper"));
        assert_eq!(nearest("QUIK", profiles), Some("quick"));
        assert_eq!(nearest("fast", profiles), None);
        assert_eq!(nearest("fig9", ["fig1", "fig6", "table6"]), None);
        assert_eq!(nearest("", profiles), None);
        assert_eq!(nearest("57", ["20", "56", "20", "56"]), Some("56"));
        assert_eq!(
            remedy("tent", profiles),
            "did you mean \"tenth\"? known are paper, quick, smoke, tenth"
        );
        assert_eq!(remedy("x", ["a-1", "b-2"]), "use one of a-1, b-2");
    }
}
