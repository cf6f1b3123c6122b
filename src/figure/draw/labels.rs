//! Text placement: labels at the ends of curves without overlap, the legend away from curves, line breaks.

use super::font;

/// Moves labels as little as possible so that neighbours are `gap` apart and all are in `low..=high`. Returns positions
/// in the order of the input; labels keep their order along the axis.
pub fn spread(wanted: &[f64], gap: f64, low: f64, high: f64) -> Vec<f64> {
    let mut order: Vec<usize> = (0..wanted.len()).collect();
    order.sort_by(|&a, &b| wanted[a].total_cmp(&wanted[b]));
    // Groups of touching labels: (sum of wanted tops, members). A group's top is the mean of its members' wanted tops.
    let mut groups: Vec<(f64, usize)> = Vec::new();
    let top = |group: &(f64, usize)| {
        let room = (high - (group.1 - 1) as f64 * gap).max(low);
        (group.0 / group.1 as f64).clamp(low, room)
    };
    for &index in &order {
        let mut group = (wanted[index], 1);
        while let Some(above) = groups.last() {
            if top(above) + above.1 as f64 * gap <= top(&group) {
                break;
            }
            // The lower members' wanted tops, shifted to the group's top.
            let shift = above.1 as f64 * gap;
            group = (
                above.0 + group.0 - shift * group.1 as f64,
                above.1 + group.1,
            );
            groups.pop();
        }
        groups.push(group);
    }
    let mut placed = vec![0.0; wanted.len()];
    let mut members = order.into_iter();
    for group in &groups {
        for place in 0..group.1 {
            if let Some(index) = members.next() {
                placed[index] = top(group) + place as f64 * gap;
            }
        }
    }
    placed
}

/// The upper left corner for a box of `size` in a plot of `plot` (both width, height) that covers the fewest points;
/// prefers the lower left, as in the paper.
pub fn quiet_corner(points: &[(f64, f64)], size: (f64, f64), plot: (f64, f64)) -> (f64, f64) {
    let margin = 8.0;
    let right = plot.0 - size.0 - margin;
    let bottom = plot.1 - size.1 - margin;
    let mut best = (usize::MAX, (margin, bottom));
    for y in [
        bottom,
        margin,
        plot.1 * 0.5 - size.1 * 0.5,
        plot.1 * 0.3 - size.1 * 0.5,
    ] {
        for x in [margin, right, plot.0 * 0.5 - size.0 * 0.5] {
            let under = points
                .iter()
                .filter(|point| {
                    (x - 4.0..=x + size.0 + 4.0).contains(&point.0)
                        && (y - 4.0..=y + size.1 + 4.0).contains(&point.1)
                })
                .count();
            if under < best.0 {
                best = (under, (x, y));
            }
        }
    }
    best.1
}

/// Wraps a text at words into lines of at most `width` pixels at the font size.
pub fn wrapped(text: &str, size: f64, width: f64) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    for word in text.split_whitespace() {
        match lines.last_mut() {
            Some(line)
                if font::width(line, size) + font::width(" ", size) + font::width(word, size)
                    <= width =>
            {
                line.push(' ');
                line.push_str(word);
            }
            _ => lines.push(word.to_owned()),
        }
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn overlapping_labels_are_moved_apart_in_order() {
        let placed = spread(&[50.0, 52.0, 10.0, 51.0], 10.0, 0.0, 100.0);
        assert_eq!(placed[2], 10.0);
        assert_eq!(placed, [41.0, 61.0, 10.0, 51.0]);
    }

    #[test]
    fn labels_stay_inside_the_panel() {
        let placed = spread(&[99.0, 100.0, 100.0], 10.0, 0.0, 100.0);
        assert_eq!(placed, [80.0, 90.0, 100.0]);
        assert_eq!(spread(&[-5.0, 0.0], 10.0, 0.0, 100.0), [0.0, 10.0]);
        assert!(spread(&[], 10.0, 0.0, 1.0).is_empty());
    }

    #[test]
    fn legend_avoids_curves() {
        let along_the_bottom: Vec<_> = (0..100).map(|x| (f64::from(x) * 4.0, 280.0)).collect();
        let (_, y) = quiet_corner(&along_the_bottom, (80.0, 60.0), (400.0, 300.0));
        assert!(y < 200.0, "the legend covers the curves at {y}");
        let (x, y) = quiet_corner(&[], (80.0, 60.0), (400.0, 300.0));
        assert_eq!((x, y), (8.0, 232.0));
    }

    #[test]
    fn text_is_wrapped_at_the_width() {
        let text = "one two three four five six seven eight nine ten";
        let lines = wrapped(text, 12.0, 90.0);
        assert!(lines.len() > 2);
        assert!(lines.iter().all(|line| font::width(line, 12.0) <= 90.0));
        assert_eq!(lines.join(" "), text);
    }
}
