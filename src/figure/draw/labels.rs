//! Text placement: labels at the ends of curves without overlap, the legend away from curves, line breaks.

use super::axes::{self, Axis};
use super::canvas::fraction;
use super::font;

/// Whether the name of a horizontal line goes above it, where no curve begins; `down` is how far the line is below the plot's upper
/// edge, and there has to be room.
pub fn above(down: f64) -> bool {
    down >= 18.0
}

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

/// From a box in a plot to the plot's frame.
const MARGIN: f64 = 8.0;

/// The upper left corner for a box of `size` in a plot of `plot` (both width, height) that covers none of the points; prefers
/// the lower left, as in the paper. None if there is no such place.
pub fn free_place(points: &[(f64, f64)], size: (f64, f64), plot: (f64, f64)) -> Option<(f64, f64)> {
    let (right, bottom) = (plot.0 - size.0 - MARGIN, plot.1 - size.1 - MARGIN);
    if right < MARGIN || bottom < MARGIN {
        return None;
    }
    let is_free = |&(x, y): &(f64, f64)| {
        !points.iter().any(|point| {
            (x - 4.0..=x + size.0 + 4.0).contains(&point.0)
                && (y - 4.0..=y + size.1 + 4.0).contains(&point.1)
        })
    };
    let heights = [
        bottom,
        MARGIN,
        plot.1 * 0.5 - size.1 * 0.5,
        plot.1 * 0.3 - size.1 * 0.5,
    ];
    let usual = heights.into_iter().flat_map(|y| {
        let across = [MARGIN, right, plot.0 * 0.5 - size.0 * 0.5];
        across.into_iter().map(move |x| (x, y))
    });
    // Then anywhere, from the lower left up.
    let parts = 24;
    let part = move |number: u32| f64::from(number) / f64::from(parts);
    let anywhere = (0..=parts).flat_map(move |row| {
        let y = bottom - (bottom - MARGIN) * part(row);
        (0..=parts).map(move |column| (MARGIN + (right - MARGIN) * part(column), y))
    });
    usual.chain(anywhere).find(is_free)
}

/// Points along the visible part of a curve, in pixels from the upper left corner of a plot of `size`, close enough that
/// no box fits between two of them.
pub fn samples(curve: &[(f64, f64)], (x, y): (&Axis, &Axis), size: (f64, f64)) -> Vec<(f64, f64)> {
    let pixel = |point: &(f64, f64)| {
        (
            fraction(x, point.0) * size.0,
            (1.0 - fraction(y, point.1)) * size.1,
        )
    };
    let visible = axes::from(curve, x.low);
    let inside = |point: &&(f64, f64)| (y.low..=y.high).contains(&point.1);
    let mut samples: Vec<(f64, f64)> = visible.iter().filter(inside).map(pixel).collect();
    for piece in axes::clipped(&visible, y.low, y.high) {
        for pair in piece.windows(2) {
            let (from, to) = (pixel(&pair[0]), pixel(&pair[1]));
            let steps = ((to.0 - from.0).hypot(to.1 - from.1) / 4.0).ceil().max(1.0);
            let along = (0..=steps as u32).map(|step| f64::from(step) / steps);
            samples.extend(
                along.map(|t| (from.0 + t * (to.0 - from.0), from.1 + t * (to.1 - from.1))),
            );
        }
    }
    samples
}

/// The font size at which a text is at most `room` wide: `size`, or less.
pub fn fitting(text: &str, size: f64, room: f64) -> f64 {
    let width = font::width(text, size);
    if width > room {
        size * room / width
    } else {
        size
    }
}

/// Wraps a text into lines of at most `width` pixels at the font size: at spaces, and within words that are longer.
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
            _ => lines.extend(pieces(word, size, width)),
        }
    }
    lines
}

/// A word in pieces of at most `width` pixels.
fn pieces(word: &str, size: f64, width: f64) -> Vec<String> {
    let mut pieces = Vec::new();
    let mut piece = String::new();
    for letter in word.chars() {
        piece.push(letter);
        if font::width(&piece, size) > width && piece.chars().count() > 1 {
            piece.pop();
            pieces.push(std::mem::take(&mut piece));
            piece.push(letter);
        }
    }
    pieces.push(piece);
    pieces
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
    fn legend_covers_no_curve_where_there_is_room() {
        let (size, plot) = ((80.0, 60.0), (400.0, 300.0));
        let covered = |points: &[(f64, f64)], (left, top): (f64, f64)| {
            points.iter().any(|point| {
                (left..=left + size.0).contains(&point.0) && (top..=top + size.1).contains(&point.1)
            })
        };
        assert_eq!(free_place(&[], size, plot), Some((8.0, 232.0)));
        let bottom: Vec<_> = (0..100).map(|x| (f64::from(x) * 4.0, 280.0)).collect();
        let place = free_place(&bottom, size, plot).unwrap();
        assert!(!covered(&bottom, place), "{place:?}");
        // Free only off the usual places.
        let mut most: Vec<(f64, f64)> = Vec::new();
        for x in 0..40 {
            for y in 0..30 {
                let point = (f64::from(x) * 10.0, f64::from(y) * 10.0);
                let open = (90.0..=190.0).contains(&point.0) && (80.0..=160.0).contains(&point.1);
                if !open {
                    most.push(point);
                }
            }
        }
        let place = free_place(&most, size, plot).unwrap();
        assert!(!covered(&most, place), "{place:?}");
        // Nowhere.
        let all: Vec<_> = (0..1200)
            .map(|n| (f64::from(n % 40) * 10.0, f64::from(n / 40) * 10.0))
            .collect();
        assert_eq!(free_place(&all, size, plot), None);
        assert_eq!(free_place(&[], (500.0, 60.0), plot), None);
    }

    #[test]
    fn samples_leave_no_gap_along_a_steep_curve() {
        let axis = |low, high| axes::values(low, high, "");
        let (x, y) = (axis(0.0, 100.0), axis(0.0, 10.0));
        let points = samples(&[(0.0, 20.0), (50.0, 0.0)], (&x, &y), (400.0, 300.0));
        assert!(points.len() > 70, "{}", points.len());
        for pair in points[1..].windows(2) {
            assert!((pair[1].1 - pair[0].1).abs() < 5.0, "{pair:?}");
        }
        assert!(points.iter().all(|point| (0.0..=300.0).contains(&point.1)));
    }

    #[test]
    fn a_word_longer_than_the_line_is_broken() {
        let lines = wrapped(&format!("a {} b", "long".repeat(20)), 12.0, 90.0);
        assert!(lines.len() > 3);
        assert!(lines.iter().all(|line| font::width(line, 12.0) <= 90.0));
        assert!(fitting("long title", 17.0, 30.0) < 17.0);
        assert_eq!(fitting("short", 17.0, 300.0), 17.0);
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
