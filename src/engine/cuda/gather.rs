//! Copies of tensors: many small ones read at once, instead of waiting for a copy of each, and one into another.

use super::arguments::{Gather, TENSORS};
use super::gpu::{Gpu, Slot};
use super::index::size;
use super::kernel;

/// Downloads the numbers of each tensor. Waits for earlier work once.
pub fn download_many<G: Gpu>(gpu: &G, many: &[&G::Numbers]) -> Result<Vec<Vec<f32>>, G::Error> {
    let counts: Vec<usize> = many.iter().map(|numbers| gpu.len(numbers)).collect();
    let all: usize = counts.iter().sum();
    if all == 0 {
        return Ok(vec![Vec::new(); many.len()]);
    }
    let to = gpu.scratch(Slot::Gather, all * size_of::<f32>())?;
    let mut offset = 0;
    for (many, counts) in many.chunks(TENSORS).zip(counts.chunks(TENSORS)) {
        let mut arguments = Gather {
            from: [0; TENSORS],
            to,
            counts: [0; TENSORS],
            offsets: [0; TENSORS],
        };
        for (place, (numbers, count)) in many.iter().zip(counts).enumerate() {
            arguments.from[place] = gpu.address(numbers);
            arguments.counts[place] = size(*count);
            arguments.offsets[place] = size(offset);
            offset += count;
        }
        let largest = counts.iter().copied().max().unwrap_or(0).max(1);
        let threads = kernel::GATHER.threads as usize;
        let grid = [largest.div_ceil(threads), many.len(), 1];
        // SAFETY: the slot has room for all counts; tensors go to disjoint places.
        unsafe { gpu.launch(kernel::GATHER, grid, &arguments)? };
    }
    let mut bytes = vec![0; all * size_of::<f32>()];
    gpu.receive(Slot::Gather, &mut bytes)?;
    let (words, _) = bytes.as_chunks::<4>();
    let mut floats = words.iter().map(|word| f32::from_ne_bytes(*word));
    let split = counts
        .into_iter()
        .map(|count| floats.by_ref().take(count).collect());
    Ok(split.collect())
}

/// Copies a tensor to a place in another. Waits for nothing.
pub fn put_at<G: Gpu>(
    gpu: &G,
    from: &G::Numbers,
    into: &mut G::Numbers,
    at: usize,
) -> Result<(), G::Error> {
    let count = gpu.len(from);
    let room = gpu.len(into);
    assert!(
        at + count <= room,
        "{count} floats at {at} of a tensor of {room}"
    );
    let mut arguments = Gather {
        from: [0; TENSORS],
        to: gpu.address(into),
        counts: [0; TENSORS],
        offsets: [0; TENSORS],
    };
    arguments.from[0] = gpu.address(from);
    arguments.counts[0] = size(count);
    arguments.offsets[0] = size(at);
    let blocks = count.div_ceil(kernel::GATHER.threads as usize).max(1);
    // SAFETY: there is room, as checked.
    unsafe { gpu.launch(kernel::GATHER, [blocks, 1, 1], &arguments) }
}
