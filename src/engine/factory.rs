//! Creates the engine that the options ask for.

use anyhow::Result;
use dfdx::prelude::Cpu;

use crate::exit::Exit;
use crate::network::Network;

use super::contract::{Differentiable, Engine, Hyperparameters};
use super::device::Device;
use super::options::{KEEP, Options};
use super::session::Session;
use super::trainer::Trainer;

/// Creates an engine for images of `image_size` x `image_size` pixels. Every tensor is zero until `restore`.
///
/// # Errors
/// [`Exit::Device`] if the device does not open or lacks the instruction set or precision.
pub fn create(
    network: &Network,
    image_size: usize,
    hyper: &Hyperparameters,
    options: &Options,
) -> Result<Box<dyn Engine>> {
    Ok(create_differentiable(network, image_size, hyper, options)?)
}

/// As [`create`], for callers that inspect gradients or responses.
///
/// # Errors
/// As [`create`].
pub fn create_differentiable(
    network: &Network,
    image_size: usize,
    hyper: &Hyperparameters,
    options: &Options,
) -> Result<Box<dyn Differentiable>> {
    options.check_precision()?;
    match options.device {
        Device::Cpu => {
            let keep = options.keep.unwrap_or(KEEP);
            let session = Session::new(Cpu::default(), options.context()?, keep);
            let trainer = Trainer::new(session, network, image_size, hyper)?;
            Ok(Box::new(trainer))
        }
        #[cfg(feature = "cuda")]
        Device::Cuda(number) => {
            let opened = super::cuda::open(number, options.precision);
            let (cuda, gpu) = opened.map_err(|why| Exit::Device.error(why))?;
            let session = Session::new(cuda, gpu, options.keep.unwrap_or(usize::MAX));
            let trainer = Trainer::new(session, network, image_size, hyper)?;
            Ok(Box::new(trainer))
        }
        #[cfg(not(feature = "cuda"))]
        Device::Cuda(_) => Err(Exit::Device.error(super::device::no_cuda())),
    }
}
