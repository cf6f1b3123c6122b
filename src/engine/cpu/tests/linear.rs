use super::super::{Context, LinearShape, linear_backward, linear_forward};
use super::{bits, contexts, error, noise};

#[test]
fn linear_layers_agree_with_double_precision_on_any_threads() {
    for shape in [(128, 64, 10), (5, 64, 100), (1, 3, 2), (24, 33, 17)] {
        let shape = LinearShape {
            images: shape.0,
            inputs: shape.1,
            outputs: shape.2,
        };
        let LinearShape {
            images,
            inputs,
            outputs,
        } = shape;
        let (x, w, bias) = (
            noise(images * inputs, 1),
            noise(outputs * inputs, 2),
            noise(outputs, 3),
        );
        let dy = noise(images * outputs, 4);
        let mut expected = [
            vec![0.0; images * outputs],
            vec![0.0; images * inputs],
            vec![0.0; outputs * inputs],
            vec![0.0; outputs],
        ];
        for n in 0..images {
            for o in 0..outputs {
                let d = f64::from(dy[n * outputs + o]);
                expected[0][n * outputs + o] += f64::from(bias[o]);
                expected[3][o] += d;
                for i in 0..inputs {
                    let (x, w) = (f64::from(x[n * inputs + i]), f64::from(w[o * inputs + i]));
                    expected[0][n * outputs + o] += x * w;
                    expected[1][n * inputs + i] += d * w;
                    expected[2][o * inputs + i] += d * x;
                }
            }
        }
        for contexts in contexts() {
            let run = |ctx: &Context| {
                let mut results = expected
                    .each_ref()
                    .map(|values| vec![f32::NAN; values.len()]);
                let [y, dx, dw, dbias] = &mut results;
                linear_forward(ctx, &x, &w, &bias, y, shape);
                linear_backward(ctx, &x, &w, &dy, dx, dw, dbias, shape);
                results
            };
            let first = run(&contexts[0]);
            for (found, expected) in first.iter().zip(&expected) {
                assert!(error(found, expected) < 1e-6, "{shape:?}");
            }
            for ctx in &contexts[1..] {
                assert_eq!(
                    run(ctx).map(|values| bits(&values)),
                    first.each_ref().map(|values| bits(values))
                );
            }
        }
    }
}
