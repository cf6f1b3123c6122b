//! What the loop must remember besides the engine's tensors to go on as if nothing had happened.

use std::collections::VecDeque;

use serde::{Deserialize, Serialize};

use crate::exit::Exit;
use crate::manifest::WarmUp;

/// The loop's own state, kept with every checkpoint. Whatever shapes the numbers is an integer here, because decimal
/// text does not always give the same float back; `seconds` is only recorded.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LoopState {
    /// Updates made.
    pub iteration: u64,
    /// The iteration whose evaluation is the last one that was recorded whole; 0 for none.
    pub evaluated: u64,
    pub warm_up: WarmUpState,
    /// Seconds of training (loading and steps, not evaluation) over all restarts.
    pub seconds: f64,
}

/// How far the warm-up is (section 4.2, ResNet-110).
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WarmUpState {
    /// The network got going once; the warm-up never comes back.
    pub over: bool,
    /// The last mini-batches, oldest first, at most the window; empty when there is no warm-up or it is over.
    pub recent: VecDeque<MiniBatch>,
}

/// A mini-batch's count of errors.
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
    /// Takes note of one more mini-batch under the rule `rule`: once the mean error of a full window is below the
    /// threshold, the warm-up is over for good.
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
    /// As it is kept with a checkpoint.
    ///
    /// # Errors
    /// If `seconds` is not a number that JSON can hold.
    pub fn to_json(&self) -> anyhow::Result<String> {
        Ok(serde_json::to_string(self)?)
    }

    /// Takes back what `to_json` gave.
    ///
    /// # Errors
    /// [`Exit::Storage`] if the text is not a loop state.
    pub fn from_json(text: &str) -> anyhow::Result<Self> {
        serde_json::from_str(text).map_err(|error| {
            Exit::Storage.error(format!(
                "the checkpoint's loop state is not readable ({error}); start the run over with --fresh"
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
    fn the_warm_up_ends_below_the_threshold_over_a_full_window_and_for_good() {
        let mut state = WarmUpState::default();
        for _ in 0..19 {
            state.observe(Some(&rule()), batch(10));
        }
        assert!(!state.over, "19 mini-batches are not yet 20");
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
        assert!(state.over, "the latch stays");
    }

    #[test]
    fn a_state_in_the_middle_of_a_warm_up_survives_its_text() {
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
