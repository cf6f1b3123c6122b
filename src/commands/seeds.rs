//! Parses `--seeds`.

use anyhow::Result;

use crate::exit::Exit;

/// The largest seed that a run's TOML can hold.
const LARGEST: u64 = i64::MAX as u64;

/// The most seeds of a range.
const LONGEST: u64 = 1000;

/// Parses `3`, `0,2,5` or the inclusive range `0..4` (five seeds), or a mix. Returns sorted, unique seeds.
///
/// # Errors
/// [`Exit::Usage`] if a part is not a number or too large, or a range is reversed or too long.
pub fn parse(text: &str) -> Result<Vec<u64>> {
    let wrong = |part: &str| {
        Exit::Usage.error(format!(
            "--seeds {text}: `{part}` is not a number or range; use `0,2` or `0..4` (0 to 4, inclusive)"
        ))
    };
    let number = |part: &str, digits: &str| match digits.trim().parse::<u64>() {
        Ok(seed) if seed > LARGEST => Err(Exit::Usage.error(format!(
            "--seeds {text}: {seed} is too large; use at most {LARGEST}"
        ))),
        Ok(seed) => Ok(seed),
        Err(_) => Err(wrong(part)),
    };
    let mut seeds = Vec::new();
    for part in text.split(',') {
        match part.split_once("..") {
            Some((first, last)) => {
                let (first, last) = (number(part, first)?, number(part, last)?);
                if first > last {
                    return Err(Exit::Usage.error(format!(
                        "--seeds {text}: `{part}` runs backwards; use `{last}..{first}`"
                    )));
                }
                if last - first >= LONGEST {
                    return Err(Exit::Usage.error(format!(
                        "--seeds {text}: `{part}` is too long; use at most {LONGEST} seeds"
                    )));
                }
                seeds.extend(first..=last);
            }
            None => seeds.push(number(part, part)?),
        }
    }
    seeds.sort_unstable();
    seeds.dedup();
    Ok(seeds)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_are_inclusive_and_lists_sorted() {
        let backwards = parse("4..0").unwrap_err().to_string();
        assert!(backwards.ends_with("use `0..4`"), "{backwards}");
        assert_eq!(parse("0..4").unwrap(), [0, 1, 2, 3, 4]);
        assert_eq!(parse("5,0..1,5").unwrap(), [0, 1, 5]);
        assert_eq!(parse("7").unwrap(), [7]);
    }

    #[test]
    fn seeds_that_toml_cannot_hold_and_endless_ranges_are_rejected() {
        assert_eq!(parse("9223372036854775807").unwrap(), [LARGEST]);
        for text in [
            "18446744073709551615",
            "9223372036854775808",
            "1,9223372036854775807..9223372036854775808",
        ] {
            let error = parse(text).unwrap_err();
            assert_eq!(Exit::of(&error), Exit::Usage, "{text}");
            let said = error.to_string();
            assert!(
                said.contains(text) && said.contains("at most 9223372036854775807"),
                "{said}"
            );
        }
        assert_eq!(parse("0..999").unwrap().len(), 1000);
        let said = parse("0..1000").unwrap_err().to_string();
        assert!(said.contains("at most 1000 seeds"), "{said}");
    }

    #[test]
    fn invalid_seeds_are_rejected_with_a_remedy() {
        for text in ["", "a", "4..0", "1..", "0..=4"] {
            let error = parse(text).unwrap_err();
            assert_eq!(Exit::of(&error), Exit::Usage, "{text}");
            assert!(error.to_string().contains("0..4"), "{error}");
        }
    }
}
