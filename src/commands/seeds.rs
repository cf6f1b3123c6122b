//! Parses `--seeds`.

use anyhow::Result;

use crate::exit::Exit;

/// Parses `3`, `0,2,5` or the inclusive range `0..4` (five seeds), or a mix. Returns sorted, unique seeds.
///
/// # Errors
/// [`Exit::Usage`] if a part is not a number, or a range is reversed or too long.
pub fn parse(text: &str) -> Result<Vec<u64>> {
    let wrong = |part: &str| {
        Exit::Usage.error(format!(
            "--seeds {text}: `{part}` is not a number or range; use `0,2` or `0..4` (0 to 4, inclusive)"
        ))
    };
    let number = |part: &str, digits: &str| digits.trim().parse::<u64>().map_err(|_| wrong(part));
    let mut seeds = Vec::new();
    for part in text.split(',') {
        match part.split_once("..") {
            Some((first, last)) => {
                let (first, last) = (number(part, first)?, number(part, last)?);
                if first > last || last - first > 1000 {
                    return Err(wrong(part));
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
        assert_eq!(parse("0..4").unwrap(), [0, 1, 2, 3, 4]);
        assert_eq!(parse("5,0..1,5").unwrap(), [0, 1, 5]);
        assert_eq!(parse("7").unwrap(), [7]);
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
