//! Weights that other programs wrote: names as PyTorch's wrappers leave them, and entries that no network needs.

use std::path::Path;

use anyhow::Result;
use safetensors::Dtype;

use super::Weights;
use crate::counted::counted;

/// What wrappers put before the name of every tensor: `DataParallel`, `torch.compile`, a model within a model.
const WRAPPERS: [&str; 3] = ["module.", "_orig_mod.", "model."];

impl Weights {
    /// Reads weights of any program, with torchvision's names. Returns also what was changed, a sentence each.
    ///
    /// # Errors
    /// As [`Weights::load`].
    pub fn load_foreign(path: &Path) -> Result<(Self, Vec<String>)> {
        let (mut weights, layout) = Self::read(path)?;
        let mut changes = Vec::new();
        match layout.count(Dtype::F64) {
            0 => {}
            count => changes.push(format!(
                "{} of 64 bits, rounded to 32",
                counted(count, "tensor")
            )),
        }
        changes.extend(weights.unwrap_names());
        changes.extend(weights.drop_state());
        Ok((weights, changes))
    }

    /// Removes what wrappers put before every name.
    fn unwrap_names(&mut self) -> Option<String> {
        let mut removed = String::new();
        while let Some(prefix) = self.wrapper() {
            removed.push_str(prefix);
            self.tensors = std::mem::take(&mut self.tensors)
                .into_iter()
                .map(|(name, tensor)| (name[prefix.len()..].to_string(), tensor))
                .collect();
        }
        (!removed.is_empty())
            .then(|| format!("every name began with \"{removed}\", which was removed"))
    }

    /// The wrapper that every name begins with.
    fn wrapper(&self) -> Option<&'static str> {
        if self.tensors.is_empty() {
            return None;
        }
        WRAPPERS
            .into_iter()
            .find(|prefix| self.tensors.keys().all(|name| name.starts_with(prefix)))
    }

    /// Drops what only continues a training: PyTorch's counters of mini-batches, and a checkpoint's momentum.
    fn drop_state(&mut self) -> Option<String> {
        self.tensors
            .retain(|name, _| !name.ends_with(".num_batches_tracked"));
        let all = self.tensors.len();
        self.tensors
            .retain(|name, _| !name.starts_with("velocity."));
        let dropped = all - self.tensors.len();
        let momentum = counted(dropped, "tensor");
        (dropped > 0).then(|| format!("a checkpoint: its momentum ({momentum}) is not used"))
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use safetensors::tensor::TensorView;

    use super::*;

    #[test]
    fn wrapped_names_and_other_types_become_the_usual_ones() {
        let wide: Vec<u8> = [0.1f64, 2.0].iter().flat_map(|v| v.to_le_bytes()).collect();
        let short: Vec<u8> = [0x3f80u16, 0xc000]
            .iter()
            .flat_map(|v| v.to_le_bytes())
            .collect();
        let counter = 7i64.to_le_bytes();
        let view =
            |dtype, shape: &[usize], bytes| TensorView::new(dtype, shape.to_vec(), bytes).unwrap();
        let bytes = safetensors::serialize(
            [
                (
                    "module._orig_mod.fc.bias",
                    view(Dtype::F64, &[2], &wide[..]),
                ),
                (
                    "module._orig_mod.bn1.bias",
                    view(Dtype::BF16, &[2], &short[..]),
                ),
                (
                    "module._orig_mod.bn1.num_batches_tracked",
                    view(Dtype::I64, &[], &counter[..]),
                ),
            ],
            None,
        )
        .unwrap();
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("w.safetensors");
        std::fs::write(&path, bytes).unwrap();
        let (weights, changes) = Weights::load_foreign(&path).unwrap();
        let values: BTreeMap<&str, &[f32]> = weights
            .tensors
            .iter()
            .map(|(name, tensor)| (name.as_str(), tensor.data.as_slice()))
            .collect();
        assert_eq!(
            values,
            BTreeMap::from([
                ("fc.bias", &[0.1f32, 2.0][..]),
                ("bn1.bias", &[1.0, -2.0][..])
            ])
        );
        let changes = changes.join("; ");
        assert!(changes.contains("\"module._orig_mod.\""), "{changes}");
        assert!(changes.contains("1 tensor of 64 bits"), "{changes}");
    }

    #[test]
    fn a_name_that_only_some_share_stays() {
        let mut weights = Weights::default();
        for name in ["model.fc.bias", "conv1.weight"] {
            weights.tensors.insert(
                name.into(),
                crate::weights::Tensor {
                    shape: vec![],
                    data: vec![1.0],
                },
            );
        }
        let before = weights.clone();
        assert_eq!(weights.unwrap_names(), None);
        assert_eq!(weights, before);
    }
}
