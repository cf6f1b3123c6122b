use super::super::{Context, Instructions, SgdStep, sgd_update};
use super::{bits, noise};
use crate::recipe::MomentumForm;

#[test]
fn the_forms_of_momentum_differ_when_the_rate_drops() {
    let ctx = Context::new(1, Instructions::Portable);
    let run = |form| {
        let (mut w, mut v) = ([1.0f32], [0.0f32]);
        for learning_rate in [0.1, 0.1, 0.01] {
            let step = SgdStep {
                learning_rate,
                momentum: 0.9,
                form,
                weight_decay: 0.5,
            };
            sgd_update(&ctx, step, &mut w, &[2.0], &mut v);
        }
        (w[0], v[0])
    };
    // By hand: g = 2 + w/2; w: 1, 0.75, 0.2875; then the rate drops to a tenth.
    let (w, v) = run(MomentumForm::Pytorch);
    assert!(
        (w - 0.224_437_5).abs() < 1e-6 && (v - 6.306_25).abs() < 1e-5,
        "{w} {v}"
    );
    let (w, v) = run(MomentumForm::Caffe);
    assert!(
        (w + 0.150_187_5).abs() < 1e-6 && (v - 0.437_687_5).abs() < 1e-6,
        "{w} {v}"
    );
}

#[test]
fn updates_of_many_weights_are_the_same_on_any_threads() {
    let step = SgdStep {
        learning_rate: 0.1,
        momentum: 0.9,
        form: MomentumForm::Caffe,
        weight_decay: 1e-4,
    };
    let len = 100_001;
    let run = |threads| {
        let ctx = Context::new(threads, Instructions::Portable);
        let (mut w, mut v) = (noise(len, 1), noise(len, 2));
        sgd_update(&ctx, step, &mut w, &noise(len, 3), &mut v);
        (bits(&w), bits(&v))
    };
    let alone = run(1);
    assert_ne!(alone.0, bits(&noise(len, 1)));
    assert!([2, 3].into_iter().all(|threads| run(threads) == alone));
}
