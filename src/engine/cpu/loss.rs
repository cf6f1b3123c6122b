//! Softmax cross-entropy, errors, and the gradient. For a few thousand values, double precision costs nothing.

/// Sums over the images of one mini-batch.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct CrossEntropy {
    /// Sum, not mean, of `-ln softmax(logits)[label]`.
    pub loss: f64,
    /// Images whose class is not the most probable one. In case of a tie the first class counts as more probable.
    pub wrong: u32,
    /// Images whose class is not among the five most probable.
    pub wrong_top5: u32,
}

/// Loss and errors of `logits`, `[images][classes]`.
pub fn cross_entropy(logits: &[f32], labels: &[u16], classes: usize) -> CrossEntropy {
    assert_eq!(logits.len(), labels.len() * classes);
    let mut sums = CrossEntropy::default();
    for (logits, &label) in logits.chunks_exact(classes).zip(labels) {
        let label = usize::from(label);
        sums.loss += log_sum(logits) - f64::from(logits[label]);
        let rank = rank(logits, label);
        sums.wrong += u32::from(rank >= 1);
        sums.wrong_top5 += u32::from(rank >= 5);
    }
    sums
}

/// How many classes are more probable than `label` by these scores. In case of a tie the first class counts as more
/// probable, and so does a NaN; a label whose own score is a NaN has the worst rank.
pub fn rank<T: Copy + PartialOrd>(scores: &[T], label: usize) -> usize {
    let own = scores[label];
    if own.partial_cmp(&own).is_none() {
        return usize::MAX;
    }
    let better = |(class, &score): (usize, &T)| {
        class != label && !(score < own || score == own && class > label)
    };
    scores
        .iter()
        .enumerate()
        .filter(|&entry| better(entry))
        .count()
}

/// The gradient of the mean loss over `of` images, these and others: `(softmax - one-hot) / of`.
pub fn cross_entropy_gradient(
    logits: &[f32],
    labels: &[u16],
    classes: usize,
    of: usize,
    gradient: &mut [f32],
) {
    assert_eq!(logits.len(), labels.len() * classes);
    assert_eq!(logits.len(), gradient.len());
    let images = of as f64;
    for ((logits, gradient), &label) in logits
        .chunks_exact(classes)
        .zip(gradient.chunks_exact_mut(classes))
        .zip(labels)
    {
        let log_sum = log_sum(logits);
        for (class, (logit, place)) in logits.iter().zip(gradient).enumerate() {
            let hot = f64::from(u8::from(class == usize::from(label)));
            *place = (((f64::from(*logit) - log_sum).exp() - hot) / images) as f32;
        }
    }
}

/// `ln sum exp`, without overflow or underflow. A value may be minus infinity, the logarithm of zero.
pub fn log_sum<T: Copy + Into<f64>>(values: &[T]) -> f64 {
    let values = || values.iter().map(|&value| -> f64 { value.into() });
    let largest = values().fold(f64::NEG_INFINITY, f64::max);
    if values().all(|value| value == f64::NEG_INFINITY) {
        return largest;
    }
    let sum: f64 = values().map(|value| (value - largest).exp()).sum();
    largest + sum.ln()
}
