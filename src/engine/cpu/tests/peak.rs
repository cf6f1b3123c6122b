use super::super::{Context, Instructions, peak_sample};

#[test]
fn a_peak_is_measured() {
    for set in Instructions::ALL.into_iter().filter(|set| set.available()) {
        let peak = peak_sample(&Context::new(2, set));
        assert!(peak > 0.5 && peak < 1e5, "{set:?}: {peak} GFLOP/s");
    }
}
