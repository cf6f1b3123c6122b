//! Checks a run's records against its recipe. A run that was not trained as its `run.toml` says is no evidence of it.

use std::collections::VecDeque;

use crate::recipe::{EvaluationRecipe, Recipe};
use crate::record::Iteration;

/// Relative tolerance for learning rates, which are computed in a different order.
const ROUNDING: f64 = 1e-6;

/// Deviations of the rows from the recipe, a phrase each; empty if there are none.
pub fn faults(recipe: &Recipe, rows: &[Iteration]) -> Vec<String> {
    let mut faults = Vec::new();
    let missing = rows
        .iter()
        .zip(1..)
        .find(|(row, expected)| row.iteration != *expected);
    if let Some((row, expected)) = missing {
        faults.push(format!(
            "found iteration {}, expected {expected}",
            row.iteration
        ));
    }
    faults.extend(learning_rate(recipe, rows));
    faults
}

/// How a run's evaluation differs from the experiment's, if that changes the meaning of its test error.
pub fn measured_differently(run: &EvaluationRecipe, asked: &EvaluationRecipe) -> Option<String> {
    let statistics = |recipe: &EvaluationRecipe| {
        (
            recipe.statistics_images,
            recipe.statistics_augmented,
            recipe.statistics_batch,
            recipe.pooling,
        )
    };
    let views = |recipe: &EvaluationRecipe| (recipe.view_average, recipe.scales.clone());
    if !run.final_views.is_empty() && !asked.final_views.is_empty() && views(run) != views(asked) {
        return Some("several views averaged otherwise, or at other scales".into());
    }
    (statistics(run) != statistics(asked)).then(|| {
        format!(
            "batch-norm statistics of {} instead of {}",
            statistics_of(run),
            statistics_of(asked)
        )
    })
}

fn statistics_of(recipe: &EvaluationRecipe) -> String {
    format!(
        "{} {}images in batches of {} (pooled by {})",
        recipe.statistics_images,
        if recipe.statistics_augmented {
            "augmented "
        } else {
            ""
        },
        recipe.statistics_batch,
        recipe.pooling.name()
    )
}

/// The first iteration whose learning rate deviates from the schedule. Implemented independently of training, to catch
/// bugs in its schedule.
fn learning_rate(recipe: &Recipe, rows: &[Iteration]) -> Option<String> {
    let mut warm_up = recipe.warm_up.as_ref();
    let mut recent = VecDeque::new();
    // Whether the mean is so near the warm-up's threshold that rounding decides.
    let mut doubtful = false;
    for row in rows {
        let drops = recipe
            .drops
            .iter()
            .filter(|&&at| at < row.iteration)
            .count();
        let scheduled = recipe.learning_rate * recipe.drop_factor.powi(drops as i32);
        let is = |rate: f64| (row.learning_rate - rate).abs() <= ROUNDING * rate;
        if doubtful && is(scheduled) {
            warm_up = None;
        }
        let wanted = warm_up.map_or(scheduled, |rule| scheduled.min(rule.learning_rate));
        if !is(wanted) {
            return Some(format!(
                "learning rate {} at iteration {}, the recipe's is {}",
                short(row.learning_rate),
                row.iteration,
                short(wanted)
            ));
        }
        if let Some(rule) = warm_up {
            recent.push_back(row.error);
            if recent.len() > rule.window.max(1) {
                recent.pop_front();
            }
            let whole = recent.len() == rule.window.max(1);
            let mean = recent.iter().sum::<f64>() / recent.len() as f64;
            let threshold = rule.until_error_below;
            doubtful = whole && (mean - threshold).abs() <= ROUNDING * threshold;
            // It is over for good.
            if whole && !doubtful && mean < threshold {
                warm_up = None;
            }
        }
    }
    None
}

/// A rate without trailing digits from binary rounding.
fn short(rate: f64) -> String {
    let text = format!("{rate:.9}");
    text.trim_end_matches('0').trim_end_matches('.').to_string()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::recipe::WarmUp;

    fn recipe() -> Recipe {
        Recipe {
            iterations: 6,
            drops: vec![2, 4],
            ..Recipe::default()
        }
    }

    fn rows(rates: &[f64]) -> Vec<Iteration> {
        rates
            .iter()
            .zip(1..)
            .map(|(&learning_rate, iteration)| Iteration {
                iteration,
                epoch: 0.0,
                learning_rate,
                loss: 1.0,
                error: 50.0,
                seconds: 0.0,
            })
            .collect()
    }

    #[test]
    fn scheduled_rates_have_no_fault() {
        let made = rows(&[0.1, 0.1, 0.1 * 0.1, 0.01, 0.001, 0.001]);
        assert!(faults(&recipe(), &made).is_empty());
    }

    /// Over two mini-batches; the rows' errors are 50 %.
    fn warm(until_error_below: f64) -> Recipe {
        let rule = WarmUp {
            window: 2,
            until_error_below,
            ..WarmUp::default()
        };
        Recipe {
            warm_up: Some(rule),
            ..recipe()
        }
    }

    #[test]
    fn a_warm_up_ends_where_its_rule_says() {
        let ends = rows(&[0.01, 0.01, 0.01, 0.01, 0.001, 0.001]);
        assert!(faults(&warm(80.0), &ends).is_empty());
        let ends = rows(&[0.01, 0.01, 0.1]);
        let late = Recipe {
            drops: vec![4],
            ..warm(80.0)
        };
        assert!(faults(&late, &ends).is_empty());
        let none = "learning rate 0.1 at iteration 1, the recipe's is 0.01";
        assert_eq!(faults(&warm(80.0), &rows(&[0.1, 0.1])), [none]);
        let early = "learning rate 0.1 at iteration 2, the recipe's is 0.01";
        assert_eq!(faults(&late, &rows(&[0.01, 0.1])), [early]);
        // The error is still above the threshold.
        let above = Recipe {
            drops: vec![4],
            ..warm(40.0)
        };
        assert_eq!(faults(&above, &ends).len(), 1);
        let on = "learning rate 0.01 at iteration 3, the recipe's is 0.1";
        assert_eq!(faults(&late, &rows(&[0.01; 3])), [on]);
        // Rounding decides.
        let at = Recipe {
            drops: vec![4],
            ..warm(50.0)
        };
        assert!(faults(&at, &ends).is_empty() && faults(&at, &rows(&[0.01; 3])).is_empty());
    }

    #[test]
    fn a_missing_drop_is_a_fault() {
        let none = faults(&recipe(), &rows(&[0.1; 6]));
        assert_eq!(
            none,
            ["learning rate 0.1 at iteration 3, the recipe's is 0.01"]
        );
    }

    #[test]
    fn gap_in_the_rows_is_a_fault() {
        let mut made = rows(&[0.1, 0.1, 0.01]);
        made.remove(1);
        assert!(faults(&recipe(), &made)[0].contains("iteration 3"));
    }

    #[test]
    fn statistics_change_the_measurement_and_the_interval_does_not() {
        let asked = EvaluationRecipe::default();
        let often = EvaluationRecipe {
            interval: 10,
            clean_images: 0,
            ..asked.clone()
        };
        assert_eq!(measured_differently(&often, &asked), None);
        let few = EvaluationRecipe {
            statistics_images: 640,
            ..asked.clone()
        };
        assert!(measured_differently(&few, &asked).unwrap().contains("640"));
    }
}
