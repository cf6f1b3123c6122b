//! Where runs can be made at the same time.

use crate::engine::Device;

/// A place for one run at a time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Slot {
    pub device: Device,
    pub threads: usize,
}

/// `jobs` slots on each device, in turns, so that the first runs spread over all devices. They share `cores` threads, at least
/// one each, unless the number of `threads` of each is given.
pub fn slots(devices: &[Device], jobs: usize, threads: Option<usize>, cores: usize) -> Vec<Slot> {
    let count = devices.len() * jobs;
    let threads = threads.unwrap_or_else(|| (cores / count.max(1)).max(1));
    (0..jobs)
        .flat_map(|_| devices)
        .map(|&device| Slot { device, threads })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slots_take_turns_on_devices_and_share_the_cores() {
        let (one, two) = (Device::Cuda(0), Device::Cuda(1));
        let made = slots(&[one, two], 2, None, 9);
        let devices: Vec<Device> = made.iter().map(|slot| slot.device).collect();
        assert_eq!(devices, [one, two, one, two]);
        assert!(made.iter().all(|slot| slot.threads == 2));
        assert_eq!(slots(&[Device::Cpu], 3, None, 2)[2].threads, 1);
        assert_eq!(slots(&[Device::Cpu], 3, Some(4), 2)[0].threads, 4);
    }
}
