//! The loop's own state: with the engine's tensors, all that an exact resume needs.

use std::collections::VecDeque;

use serde::{Deserialize, Serialize};

use crate::exit::Exit;
use crate::recipe::WarmUp;

/// The loop's own state, saved with every checkpoint. Everything that affects results is an integer, because floats may
/// not survive JSON exactly; `seconds` is only recorded.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LoopState {
    /// Updates made.
    pub iteration: u64,
    /// The iteration of the last completed evaluation; 0 for none.
    pub evaluated: u64,
    pub warm_up: WarmUpState,
    /// Seconds of training (loading and steps, not evaluation), over all restarts.
    pub seconds: f64,
}

/// The state of the warm-up (section 4.2, ResNet-110).
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WarmUpState {
    /// Set once the error has fallen below the threshold, and never reset.
    pub over: bool,
    /// The last mini-batches, oldest first, at most the window; empty if there is no warm-up or it is over.
    pub recent: VecDeque<MiniBatch>,
}

/// The error count of a mini-batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct MiniBatch {
    pub wrong: u32,
    pub images: u32,
}

impl MiniBatch {
    /// Error, %; 0 for an empty batch.
    pub fn error(self) -> f64 {
        100.0 * f64::from(self.wrong) / f64::from(self.images.max(1))
    }
}

impl WarmUpState {
    /// Adds a mini-batch. Once the mean error over a full window is below the threshold of `rule`, the warm-up is over.
    pub fn observe(&mut self, rule: Option<&WarmUp>, batch: MiniBatch) {
        let Some(rule) = rule else { return };
        if self.over {
            return;
        }
        let window = rule.window.max(1);
        self.recent.push_back(batch);
        while self.recent.len() > window {
            self.recent.pop_front();
        }
        let mean =
            self.recent.iter().map(|batch| batch.error()).sum::<f64>() / self.recent.len() as f64;
        if self.recent.len() == window && mean < rule.until_error_below {
            self.over = true;
            self.recent.clear();
        }
    }
}

impl LoopState {
    /// Serializes the state for a checkpoint.
    ///
    /// # Errors
    /// If serialization fails.
    pub fn to_json(&self) -> anyhow::Result<String> {
        Ok(serde_json::to_string(self)?)
    }

    /// Parses the output of [`to_json`](Self::to_json).
    ///
    /// # Errors
    /// [`Exit::Storage`] if the text is not a loop state.
    pub fn from_json(text: &str) -> anyhow::Result<Self> {
        serde_json::from_str(text).map_err(|error| {
            Exit::Storage.error(format!(
                "cannot read the checkpoint's loop state ({error}); remove the run's folder to start it over"
            ))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rule() -> WarmUp {
        WarmUp {
            learning_rate: 0.01,
            until_error_below: 80.0,
            window: 20,
        }
    }

    fn batch(wrong: u32) -> MiniBatch {
        MiniBatch { wrong, images: 100 }
    }

    #[test]
    fn the_warm_up_ends_once_a_full_window_is_below_the_threshold() {
        let mut state = WarmUpState::default();
        for _ in 0..19 {
            state.observe(Some(&rule()), batch(10));
        }
        assert!(!state.over, "the window of 20 is not full");
        let mut state = WarmUpState::default();
        for _ in 0..100 {
            state.observe(Some(&rule()), batch(80));
        }
        assert!(!state.over, "80 % is not below 80 %");
        state.observe(Some(&rule()), batch(79));
        assert!(state.over, "a mean of 79.95 % is below 80 %");
        for _ in 0..50 {
            state.observe(Some(&rule()), batch(100));
        }
        assert!(state.over, "the warm-up does not come back");
    }

    #[test]
    fn a_state_during_warm_up_round_trips_through_json() {
        let mut state = LoopState {
            iteration: 21,
            evaluated: 20,
            seconds: 0.1 + 0.2,
            ..LoopState::default()
        };
        for wrong in 81..102 {
            state.warm_up.observe(Some(&rule()), batch(wrong));
        }
        assert_eq!(state.warm_up.recent.len(), 20);
        let text = state.to_json().unwrap();
        assert_eq!(LoopState::from_json(&text).unwrap().warm_up, state.warm_up);
        assert!(LoopState::from_json("{\"iteration\": -1}").is_err());
    }
}
