//! Cuts the runs to submit into arrays.

use std::collections::{BTreeMap, BTreeSet};

/// The numbers of the runs in each array, in the order in which arrays are submitted: those that start from another run's
/// weights after that run. An array holds runs `k * most` to `(k + 1) * most - 1` of the plan at the most, so that the
/// numbers of its tasks are below `most`. `starts` has the run that each run of the plan starts from.
pub fn arrays(starts: &[Option<usize>], left: &BTreeSet<usize>, most: usize) -> Vec<Vec<usize>> {
    let mut arrays: BTreeMap<(usize, usize), Vec<usize>> = BTreeMap::new();
    for &index in left {
        let place = (steps(starts, left, index), index / most.max(1));
        arrays.entry(place).or_default().push(index);
    }
    arrays.into_values().collect()
}

/// How many runs have to be made one after the other before this one.
fn steps(starts: &[Option<usize>], left: &BTreeSet<usize>, index: usize) -> usize {
    let mut at = index;
    let mut steps = 0;
    while let Some(start) = starts.get(at).copied().flatten()
        && left.contains(&start)
        && steps < starts.len()
    {
        at = start;
        steps += 1;
    }
    steps
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arrays_are_no_larger_than_the_limit_and_wait_for_starts() {
        let left = |runs: &[usize]| runs.iter().copied().collect::<BTreeSet<usize>>();
        assert!(arrays(&[None, None], &left(&[]), 4).is_empty());
        let none = [None; 10];
        assert_eq!(
            arrays(&none, &left(&[0, 1, 2, 5, 7, 8]), 4),
            [vec![0, 1, 2], vec![5, 7], vec![8]]
        );
        // 1 starts from 0, and 3 from 1.
        let starts = [None, Some(0), None, Some(1)];
        assert_eq!(
            arrays(&starts, &left(&[0, 1, 2, 3]), 100),
            [vec![0, 2], vec![1], vec![3]]
        );
        assert_eq!(
            arrays(&starts, &left(&[1, 2, 3]), 100),
            [vec![1, 2], vec![3]]
        );
    }
}
