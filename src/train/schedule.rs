//! The learning rate of each update.

use crate::recipe::{Recipe, WarmUp};

use super::state::WarmUpState;

/// The learning rate by iteration (section 4.2): an initial rate, multiplied by a factor at each drop, and capped by a
/// lower rate during warm-up.
#[derive(Clone, Debug, PartialEq)]
pub struct Schedule {
    rate: f64,
    drops: Vec<u64>,
    factor: f64,
    warm_up: Option<WarmUp>,
}

impl Schedule {
    pub fn new(recipe: &Recipe) -> Self {
        Self {
            rate: recipe.learning_rate,
            drops: recipe.drops.clone(),
            factor: recipe.drop_factor,
            warm_up: recipe.warm_up.clone(),
        }
    }

    /// The rate of update number `update`, counted from 1. A drop at N takes effect after N updates: update N uses the old
    /// rate, update N + 1 the new one. During warm-up the warm-up's rate is a cap; drops stay at their iterations.
    pub fn rate(&self, update: u64, warm_up: &WarmUpState) -> f64 {
        let passed = self.drops.iter().filter(|&&drop| drop < update).count();
        let scheduled = (0..passed).fold(self.rate, |rate, _| rate * self.factor);
        match &self.warm_up {
            Some(rule) if !warm_up.over => scheduled.min(rule.learning_rate),
            _ => scheduled,
        }
    }

    /// The warm-up rule, if the recipe has one.
    pub fn warm_up(&self) -> Option<&WarmUp> {
        self.warm_up.as_ref()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_default_drops_take_effect_after_32000_and_48000_updates() {
        let schedule = Schedule::new(&Recipe::default());
        let rate = |update| schedule.rate(update, &WarmUpState::default());
        let near = |a: f64, b: f64| (a - b).abs() < 1e-12;
        assert!(near(rate(1), 0.1));
        assert!(near(rate(32_000), 0.1) && near(rate(32_001), 0.01));
        assert!(near(rate(48_000), 0.01) && near(rate(48_001), 0.001));
        assert!(near(rate(64_000), 0.001));
    }

    #[test]
    fn a_warm_up_caps_the_rate_without_moving_the_drops() {
        let recipe = Recipe {
            warm_up: Some(WarmUp {
                learning_rate: 0.02,
                until_error_below: 80.0,
                window: 20,
            }),
            ..Recipe::default()
        };
        let schedule = Schedule::new(&recipe);
        let (mut state, near) = (WarmUpState::default(), |a: f64, b: f64| {
            (a - b).abs() < 1e-12
        });
        assert!(near(schedule.rate(1, &state), 0.02));
        assert!(near(schedule.rate(32_001, &state), 0.01));
        state.over = true;
        assert!(near(schedule.rate(401, &state), 0.1));
        assert!(near(schedule.rate(32_001, &state), 0.01));
    }
}
