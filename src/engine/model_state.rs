//! A model's named tensors in and out.

use std::sync::Arc;

use anyhow::Result;
use dfdx::prelude::Storage;

use crate::exit::Exit;
use crate::weights::{Tensor, Weights};

use super::arithmetic::Arithmetic;
use super::error::device_error;
use super::model::Model;
use super::residency::Numbers;

impl<D: Arithmetic> Model<D> {
    pub fn download(&self, storage: &Numbers<D>) -> Result<Vec<f32>> {
        self.session.device.download(storage).map_err(device_error)
    }

    /// Every tensor by name; with `velocity`, also `velocity.NAME` of each parameter.
    pub fn state(&self, velocity: bool) -> Result<Weights> {
        let mut state = Weights::default();
        for named in &self.tensors {
            let tensor = |numbers| -> Result<Tensor> {
                Ok(Tensor {
                    shape: named.shape.clone(),
                    data: self.download(numbers)?,
                })
            };
            let values = tensor(&named.variable.values)?;
            state.tensors.insert(named.name.clone(), values);
            if let (true, Some(numbers)) = (velocity, &named.velocity) {
                let name = format!("velocity.{}", named.name);
                state.tensors.insert(name, tensor(numbers)?);
            }
        }
        Ok(state)
    }

    /// Replaces every tensor. Missing velocities become zero.
    ///
    /// # Errors
    /// [`Exit::Storage`] for a missing or misshapen tensor; nothing is changed then.
    pub fn restore(&mut self, state: &Weights) -> Result<()> {
        let device = self.session.device.clone();
        // Everything is checked before anything changes.
        let mut fresh = Vec::new();
        for named in &self.tensors {
            let find = |name: &str| -> Result<Option<Numbers<D>>> {
                let Some(found) = state.tensors.get(name) else {
                    return Ok(None);
                };
                if found.shape != named.shape {
                    return Err(Exit::Storage.error(format!(
                        "tensor {name} has shape {:?} instead of {:?}: the weights are another network's",
                        found.shape, named.shape
                    )));
                }
                device.upload(&found.data).map(Some).map_err(device_error)
            };
            let values = find(&named.name)?.ok_or_else(|| {
                Exit::Storage.error(format!(
                    "tensor {} is missing: the weights are another network's",
                    named.name
                ))
            })?;
            let velocity = match &named.velocity {
                None => None,
                Some(old) => Some(match find(&format!("velocity.{}", named.name))? {
                    Some(velocity) => velocity,
                    None => {
                        let len = Storage::<f32>::len(&device, old);
                        device.allocate(len).map_err(device_error)?
                    }
                }),
            };
            fresh.push((values, velocity));
        }
        for (named, (values, velocity)) in self.tensors.iter_mut().zip(fresh) {
            named.variable.values = Arc::new(values);
            named.velocity = velocity;
        }
        Ok(())
    }
}
