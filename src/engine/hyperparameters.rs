//! From a recipe to what the engine must know of it.

use super::Hyperparameters;
use crate::recipe::Recipe;

impl From<&Recipe> for Hyperparameters {
    fn from(recipe: &Recipe) -> Self {
        Self {
            momentum: recipe.momentum as f32,
            momentum_form: recipe.momentum_form,
            weight_decay: recipe.weight_decay as f32,
            weight_decay_on: recipe.weight_decay_on,
            norm_momentum: recipe.batch_norm.momentum as f32,
            norm_epsilon: recipe.batch_norm.epsilon as f32,
            norm_group: recipe.batch_norm.group,
            micro_batch: recipe.micro_batch.unwrap_or(0),
        }
    }
}
