//! Runs of an experiment's networks with changed fields (`--set`), which are not its own.

use std::collections::BTreeSet;

use crate::manifest::Experiment;
use crate::run::RunView;

/// Changes listed by name.
const NAMED: usize = 3;

/// How many runs of the experiment's profile have changed fields, and how to include them. None if there are none, or if
/// the experiment itself has changed fields.
pub fn changed(experiment: &Experiment, runs: &[RunView]) -> Option<String> {
    if !experiment.overrides.is_empty() {
        return None;
    }
    let mut count = 0;
    let mut ways = BTreeSet::new();
    for run in runs {
        let plan = run.plan();
        let other = experiment
            .network(&plan.network.name)
            .is_some_and(|entry| !plan.belongs_to(entry));
        let given = &run.file.notes.overrides;
        if other && plan.profile == experiment.profile && !given.is_empty() {
            count += 1;
            let flags: Vec<String> = given
                .iter()
                .map(|field| format!("--set {}", quoted(field)))
                .collect();
            ways.insert(flags.join(" "));
        }
    }
    let more = match ways.len().saturating_sub(NAMED) {
        0 => String::new(),
        more => format!(" ({more} more)"),
    };
    let ways: Vec<String> = ways.into_iter().take(NAMED).collect();
    (count > 0).then(|| {
        format!(
            "left out {count} run{} of {} at profile {} with changed fields; for those, add {}{more}",
            if count == 1 { "" } else { "s" },
            experiment.name,
            experiment.profile,
            ways.join(" or ")
        )
    })
}

/// As one word of a shell.
fn quoted(word: &str) -> String {
    let plain = |letter: char| letter.is_ascii_alphanumeric() || "-_.,:=+/".contains(letter);
    match word.chars().all(plain) {
        true => word.into(),
        false => format!("'{}'", word.replace('\'', r"'\''")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_quoted_for_a_shell() {
        assert_eq!(quoted("recipe.batch=64"), "recipe.batch=64");
        assert_eq!(quoted("recipe.drops=[1, 2]"), "'recipe.drops=[1, 2]'");
        assert_eq!(quoted("a='b'"), r"'a='\''b'\'''");
    }
}
