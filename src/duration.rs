//! Human-readable durations.

/// `45 s`, `12 min`, `3 h 20 min`, `2 d 3 h`.
pub fn duration(seconds: f64) -> String {
    let whole = seconds.max(0.0).round() as u64;
    let minutes = (whole + 30) / 60;
    match whole {
        0..100 => format!("{whole} s"),
        100..5_400 => format!("{minutes} min"),
        5_400..172_800 => format!("{} h {} min", minutes / 60, minutes % 60),
        _ => format!("{} d {} h", whole / 86_400, whole % 86_400 / 3_600),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn units_depend_on_length() {
        assert_eq!(duration(0.4), "0 s");
        assert_eq!(duration(99.4), "99 s");
        assert_eq!(duration(600.0), "10 min");
        assert_eq!(duration(12_000.0), "3 h 20 min");
        assert_eq!(duration(200_000.0), "2 d 7 h");
    }
}
