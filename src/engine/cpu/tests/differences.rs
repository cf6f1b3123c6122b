//! Gradients against central differences of the forward operators.

use super::super::{
    Context, ConvShape, Feature, LinearShape, Mask, NormShape, Shortcut, conv_forward,
    conv_input_gradient, conv_weight_gradient, cross_entropy, cross_entropy_gradient,
    linear_backward, linear_forward, mean_pool_backward, mean_pool_forward, norm_backward,
    norm_forward,
};
use super::{interior, noise, noisy_feature, single};

/// The sum of outputs times arbitrary weights.
fn dot(y: &[f32], with: &[f32]) -> f64 {
    y.iter()
        .zip(with)
        .map(|(a, b)| f64::from(*a) * f64::from(*b))
        .sum()
}

/// Compares `gradient` with central differences of `outputs`, weighted by `with`, at each place where `open`. Places where
/// a step switches a ReLU are skipped.
fn check(
    what: &str,
    at: &[f32],
    open: impl Fn(usize) -> bool,
    gradient: &[f32],
    with: &[f32],
    outputs: impl Fn(&[f32]) -> Vec<f32>,
) {
    const STEP: f32 = 1.0 / 128.0;
    let largest = gradient
        .iter()
        .fold(0.0f32, |largest, g| largest.max(g.abs()));
    let mut point = at.to_vec();
    let (mut compared, mut possible) = (0, 0);
    for place in (0..at.len()).filter(|&place| open(place)) {
        possible += 1;
        point[place] = at[place] + STEP;
        let above = outputs(&point);
        point[place] = at[place] - STEP;
        let below = outputs(&point);
        point[place] = at[place];
        if above
            .iter()
            .zip(&below)
            .any(|(a, b)| (*a > 0.0) != (*b > 0.0))
        {
            continue;
        }
        compared += 1;
        let slope = (dot(&above, with) - dot(&below, with)) / f64::from(2.0 * STEP);
        let difference = (slope - f64::from(gradient[place])).abs() / f64::from(largest);
        assert!(
            difference < 2e-3,
            "{what}, place {place}: {slope} and {}",
            gradient[place]
        );
    }
    assert!(
        compared * 3 >= possible && compared > 0,
        "{what}: {compared} of {possible}"
    );
}

#[test]
fn convolutions() {
    for (kernel, stride) in [(3, 1), (3, 2), (1, 2)] {
        let shape = ConvShape {
            input: Feature::new(2, 5, 6, 3),
            outputs: 5,
            kernel,
            stride,
        };
        // All outputs are well above zero, so that no place is skipped.
        let x: Vec<f32> = interior(shape.input)
            .iter()
            .zip(noise(shape.input.storage(), 1))
            .map(|(inside, value)| if *inside { value + 2.0 } else { 0.0 })
            .collect();
        let w: Vec<f32> = noise(shape.weights(), 2).iter().map(|v| v + 1.5).collect();
        let dy = noisy_feature(shape.output(), 3);
        for ctx in single() {
            let forward = |x: &[f32], w: &[f32]| {
                let mut y = vec![0.0; shape.output().storage()];
                conv_forward(&ctx, x, w, &mut y, shape);
                y
            };
            let (mut dx, mut dw) = (vec![0.0; x.len()], vec![0.0; w.len()]);
            conv_input_gradient(&ctx, &dy, &w, &mut dx, shape, false);
            conv_weight_gradient(&ctx, &x, &dy, &mut dw, shape);
            let inside = interior(shape.input);
            check("input", &x, |at| inside[at], &dx, &dy, |x| forward(x, &w));
            check("weights", &w, |_| true, &dw, &dy, |w| forward(&x, w));
        }
    }
}

struct Norm {
    shape: NormShape,
    relu: bool,
    shortcut: Option<Vec<f32>>,
}

impl Norm {
    fn forward(
        &self,
        ctx: &Context,
        x: &[f32],
        scale: &[f32],
        shift: &[f32],
        added: Option<&[f32]>,
    ) -> [Vec<f32>; 3] {
        let channels = self.shape.groups() * scale.len();
        let (mut y, mut mean, mut variance) =
            (vec![0.0; x.len()], vec![0.0; channels], vec![0.0; channels]);
        let shortcut = added.map_or(Shortcut::None, Shortcut::Identity);
        norm_forward(
            ctx,
            self.shape,
            x,
            scale,
            shift,
            shortcut,
            self.relu,
            &mut y,
            &mut mean,
            &mut variance,
        );
        [y, mean, variance]
    }
}

#[test]
fn batch_norm() {
    let feature = Feature::new(4, 2, 3, 3);
    for (relu, add, group) in [(false, false, 0), (true, false, 2), (true, true, 0)] {
        let norm = Norm {
            shape: NormShape {
                feature,
                group,
                epsilon: 1e-3,
            },
            relu,
            shortcut: add.then(|| noisy_feature(feature, 5)),
        };
        let (x, dy) = (noisy_feature(feature, 1), noisy_feature(feature, 2));
        let (scale, shift) = ([1.2f32, 0.7, -1.1], [0.1f32, -0.2, 0.3]);
        let inside = interior(feature);
        for ctx in single() {
            let added = norm.shortcut.as_deref();
            let [y, mean, variance] = norm.forward(&ctx, &x, &scale, &shift, added);
            let mask = match (relu, add) {
                (false, _) => Mask::None,
                (true, false) => Mask::Recomputed,
                (true, true) => Mask::Output(&y),
            };
            let (mut masked, mut dx) = (dy.clone(), vec![0.0; x.len()]);
            let (mut dscale, mut dshift) = ([0.0; 3], [0.0; 3]);
            norm_backward(
                &ctx,
                norm.shape,
                &x,
                &scale,
                &shift,
                &mean,
                &variance,
                mask,
                &mut masked,
                Some(&mut dx),
                &mut dscale,
                &mut dshift,
            );
            let y = |x: &[f32], scale: &[f32], shift: &[f32], added: Option<&[f32]>| {
                let [y, _, _] = norm.forward(&ctx, x, scale, shift, added);
                y
            };
            check(
                "x",
                &x,
                |at| inside[at],
                &dx,
                &dy,
                |x| y(x, &scale, &shift, added),
            );
            check(
                "scale",
                &scale,
                |_| true,
                &dscale,
                &dy,
                |scale| y(&x, scale, &shift, added),
            );
            check(
                "shift",
                &shift,
                |_| true,
                &dshift,
                &dy,
                |shift| y(&x, &scale, shift, added),
            );
            if let Some(added) = added {
                check(
                    "shortcut",
                    added,
                    |at| inside[at],
                    &masked,
                    &dy,
                    |added| y(&x, &scale, &shift, Some(added)),
                );
            }
        }
    }
}

#[test]
fn pooling_linear_and_loss() {
    let feature = Feature::new(2, 3, 3, 4);
    let shape = LinearShape {
        images: 2,
        inputs: 4,
        outputs: 5,
    };
    let labels = [3u16, 1];
    let x: Vec<f32> = noisy_feature(feature, 1);
    let (w, bias) = (noise(20, 2), noise(5, 3));
    let inside = interior(feature);
    for ctx in single() {
        let logits = |x: &[f32], w: &[f32], bias: &[f32]| {
            let (mut pooled, mut logits) = (vec![0.0; 8], vec![0.0; 10]);
            mean_pool_forward(&ctx, x, feature, &mut pooled);
            linear_forward(&ctx, &pooled, w, bias, &mut logits, shape);
            (pooled, logits)
        };
        // The mean loss, as one positive output.
        let loss = |x: &[f32], w: &[f32], bias: &[f32]| {
            vec![(cross_entropy(&logits(x, w, bias).1, &labels, 5).loss / 2.0) as f32]
        };
        let (pooled, top) = logits(&x, &w, &bias);
        let (mut dlogits, mut dpooled) = (vec![0.0; 10], vec![0.0; 8]);
        let (mut dw, mut dbias, mut dx) = (vec![0.0; 20], vec![0.0; 5], vec![0.0; x.len()]);
        cross_entropy_gradient(&top, &labels, 5, 2, &mut dlogits);
        linear_backward(
            &ctx,
            &pooled,
            &w,
            &dlogits,
            &mut dpooled,
            &mut dw,
            &mut dbias,
            shape,
        );
        mean_pool_backward(&ctx, &dpooled, feature, &mut dx);
        check(
            "x",
            &x,
            |at| inside[at],
            &dx,
            &[1.0],
            |x| loss(x, &w, &bias),
        );
        check("weights", &w, |_| true, &dw, &[1.0], |w| loss(&x, w, &bias));
        check(
            "bias",
            &bias,
            |_| true,
            &dbias,
            &[1.0],
            |bias| loss(&x, &w, bias),
        );
    }
}
