//! The header of final weights: what they are the weights of, for those who evaluate them.

use std::path::Path;

use anyhow::{Context, Result};
use serde::{Deserialize, Serialize};

use super::format::{self, FORMAT};
use crate::console::one_line;
use crate::exit::Exit;
use crate::network::Network;
use crate::plan::RunPlan;
use crate::recipe::Recipe;
use crate::record::Ending;
use crate::weights::Weights;

/// The metadata of `weights.safetensors`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct WeightsHeader {
    pub format: u32,
    pub network: Network,
    pub recipe: Recipe,
    pub seed: u64,
    pub profile: String,
    pub data_digest: String,
    /// The run's identity.
    pub identity: String,
    pub outcome: Ending,
    /// The last recorded iteration.
    pub iteration: u64,
}

impl WeightsHeader {
    /// The header of a run's weights.
    pub fn new(plan: &RunPlan, outcome: Ending, iteration: u64) -> Self {
        Self {
            format: FORMAT,
            network: plan.network.clone(),
            recipe: plan.recipe.clone(),
            seed: plan.seed,
            profile: plan.profile.clone(),
            data_digest: plan.data_digest.clone(),
            identity: plan.identity().into(),
            outcome,
            iteration,
        }
    }

    /// The header of the weights in `path`; none if they are not the final weights of a run.
    ///
    /// # Errors
    /// [`Exit::Usage`] if the metadata is damaged; [`Exit::Storage`] if a newer version wrote it.
    pub fn of(weights: &Weights, path: &Path) -> Result<Option<Self>> {
        let place = || path.display().to_string();
        let Some(value) = weights.described().with_context(place)? else {
            return Ok(None);
        };
        if value.get("recipe").is_none() || value.get("identity").is_none() {
            return Ok(None);
        }
        let version = value.get("format").and_then(serde_json::Value::as_i64);
        format::check(path, version, "export the weights again")?;
        let header: Self = serde_json::from_value(value).map_err(|error| {
            Exit::Usage.error(format!(
                "{}: the header does not describe a run: {}; use an intact copy",
                path.display(),
                one_line(&error.to_string())
            ))
        })?;
        header.network.check_sizes().with_context(place)?;
        Ok(Some(header))
    }

    /// The header as JSON.
    ///
    /// # Errors
    /// If a value cannot be serialised, which is a bug.
    pub fn to_json(&self) -> Result<String> {
        Ok(serde_json::to_string(self)?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// As files have it since the first version.
    const WRITTEN: &str = r#"{"format":1,"network":{"name":"plain-8","family":"plain","stem":"cifar","blocks":[1,1,1],"base_width":16,"bottleneck":false,"shortcut":"A","classes":10},"recipe":{"image_size":16},"seed":3,"profile":"quick","data_digest":"d","identity":"i","outcome":"finished","iteration":8}"#;

    fn of(metadata: &str) -> Result<Option<WeightsHeader>> {
        let weights = Weights {
            metadata: metadata.into(),
            ..Weights::default()
        };
        WeightsHeader::of(&weights, Path::new("w.safetensors"))
    }

    #[test]
    fn headers_are_read_and_others_are_told_apart() {
        let header = of(WRITTEN).unwrap().unwrap();
        assert_eq!(header.recipe.image_size, 16);
        assert_eq!(header.network.blocks, [1, 1, 1]);
        assert_eq!(of(&header.to_json().unwrap()).unwrap(), Some(header));
        for foreign in ["", "{}", r#"{"format":"pt"}"#, "[1]"] {
            assert_eq!(of(foreign).unwrap(), None, "{foreign}");
        }
    }

    #[test]
    fn damaged_headers_are_refused_with_the_file() {
        let deep = "[".repeat(100_000);
        let long = format!("[{}]", " ".repeat(1 << 21));
        let huge = WRITTEN.replace("[1,1,1]", "[1,9223372036854775807,9223372036854775807]");
        let wide = WRITTEN.replace("\"base_width\":16", "\"base_width\":9223372036854775808");
        let other = WRITTEN.replace("\"seed\":3", "\"seed\":-3");
        for damaged in ["{".to_string(), deep, long, huge, wide, other] {
            let error = of(&damaged).unwrap_err();
            assert_eq!(Exit::of(&error), Exit::Usage, "{error:#}");
            assert!(format!("{error:#}").contains("w.safetensors"), "{error:#}");
        }
        let newer = WRITTEN.replace("\"format\":1", "\"format\":99");
        assert_eq!(Exit::of(&of(&newer).unwrap_err()), Exit::Storage);
    }
}
