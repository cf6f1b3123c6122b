//! Sorts records by digest, and digests a whole set independently of its order.

use sha2::{Digest, Sha256};

use crate::data::images::ImageSet;
use crate::digest::hex;
use crate::origin::Origin;

/// One record of the binary layout: a label, then three 32x32 planes.
pub const RECORD_BYTES: usize = 1 + 3 * 32 * 32;
/// Digest of CIFAR-10's 50,000 training records, in any order.
pub const CIFAR10_TRAIN_DIGEST: &str =
    "55a61f79a40ece2ceda9fb5f9f7078f6ea2fc4952489cef56682bcf92cfcc260";
/// Digest of CIFAR-10's 10,000 test records, in any order.
pub const CIFAR10_TEST_DIGEST: &str =
    "325704b01eb92e1e2a6215ae6a916bb7db7de054af0c496be1c7be2e0fcfbf5f";

/// Hashing dominates loading. With more threads it would be bound by memory.
const HASH_THREADS: usize = 2;

/// Sorts `records` (whole records of [`RECORD_BYTES`]) by sha256 and splits them into pixels and labels.
pub(in crate::data) fn into_images(records: &[u8]) -> ImageSet {
    Sorted::of(records).images(records)
}

/// The order of records by sha256.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Sorted {
    /// Places of the records, each once.
    pub order: Vec<u32>,
    /// sha256 over the sorted digests.
    pub digest: [u8; 32],
}

impl Sorted {
    /// Digests and sorts `records`.
    pub fn of(records: &[u8]) -> Self {
        let digests = record_digests(records);
        let mut order: Vec<u32> = (0..digests.len() as u32).collect();
        order.sort_unstable_by_key(|&index| digests[index as usize]);
        let mut whole = Sha256::new();
        for &index in &order {
            whole.update(digests[index as usize]);
        }
        let digest = whole.finalize().into();
        Self { order, digest }
    }

    /// Whether each place is there once.
    pub fn is_an_order(&self) -> bool {
        let mut seen = vec![false; self.order.len()];
        let mut each = self.order.iter();
        each.all(|&place| {
            let unseen = seen.get_mut(place as usize);
            unseen.is_some_and(|seen| !std::mem::replace(seen, true))
        })
    }

    /// Splits the records that were sorted into pixels and labels, in this order.
    pub fn images(&self, records: &[u8]) -> ImageSet {
        let mut pixels = Vec::with_capacity(self.order.len() * (RECORD_BYTES - 1));
        let mut labels = Vec::with_capacity(self.order.len());
        for &index in &self.order {
            let record = &records[index as usize * RECORD_BYTES..][..RECORD_BYTES];
            labels.push(record[0].into());
            pixels.extend_from_slice(&record[1..]);
        }
        ImageSet {
            size: 32,
            pixels,
            labels,
            digest: hex(&self.digest),
        }
    }
}

/// CIFAR-10 only if both sets are.
pub(super) fn origin(train: &ImageSet, test: &ImageSet) -> Origin {
    if train.digest == CIFAR10_TRAIN_DIGEST && test.digest == CIFAR10_TEST_DIGEST {
        Origin::Cifar10
    } else {
        Origin::Other
    }
}

fn record_digests(records: &[u8]) -> Vec<[u8; 32]> {
    let mut digests = vec![[0u8; 32]; records.len() / RECORD_BYTES];
    let share = digests.len().div_ceil(HASH_THREADS).max(1);
    std::thread::scope(|scope| {
        for (digests, records) in digests
            .chunks_mut(share)
            .zip(records.chunks(share * RECORD_BYTES))
        {
            scope.spawn(move || {
                for (digest, record) in digests.iter_mut().zip(records.chunks_exact(RECORD_BYTES)) {
                    *digest = Sha256::digest(record).into();
                }
            });
        }
    });
    digests
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `count` distinct records.
    fn records(count: usize) -> Vec<u8> {
        let mut bytes = vec![0; count * RECORD_BYTES];
        for (index, record) in bytes.chunks_exact_mut(RECORD_BYTES).enumerate() {
            record[0] = (index % 10) as u8;
            record[1..3].copy_from_slice(&(index as u16).to_le_bytes());
        }
        bytes
    }

    #[test]
    fn the_order_of_the_records_does_not_matter() {
        let straight = records(101);
        let backwards: Vec<u8> = straight
            .chunks_exact(RECORD_BYTES)
            .rev()
            .flatten()
            .copied()
            .collect();
        let (a, b) = (into_images(&straight), into_images(&backwards));
        assert_eq!(a.digest, b.digest);
        assert_eq!(a.pixels, b.pixels);
        assert_eq!(a.labels, b.labels);
        assert_ne!(a.pixels[..2], [0, 0], "the records are reordered");
    }

    #[test]
    fn the_digest_covers_every_bit() {
        let mut changed = records(50);
        let before = into_images(&changed).digest;
        changed[20 * RECORD_BYTES + 3000] ^= 1;
        assert_ne!(into_images(&changed).digest, before);
    }

    #[test]
    fn the_digest_is_that_of_the_sorted_digests() {
        let bytes = records(7);
        let mut each: Vec<_> = bytes
            .chunks_exact(RECORD_BYTES)
            .map(|record| Sha256::digest(record).to_vec())
            .collect();
        each.sort();
        assert_eq!(
            into_images(&bytes).digest,
            crate::digest::sha256(&each.concat())
        );
    }
}
