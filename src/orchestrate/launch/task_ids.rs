//! Numbers of an array's tasks, as in `0,3-7`: what `--array` takes and `squeue` shows.

use std::collections::BTreeSet;

/// A span of more tasks than this is not believed: no cluster has such arrays.
const MOST: u64 = 10_000_000;

/// Some tasks of an array.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TaskIds {
    These(BTreeSet<u64>),
    /// Which ones is not known, as in a list that was cut short.
    Any,
}

impl TaskIds {
    /// Whether the task may be one of them.
    pub fn may_hold(&self, task: u64) -> bool {
        match self {
            TaskIds::These(tasks) => tasks.contains(&task),
            TaskIds::Any => true,
        }
    }
}

/// `0,3-7`. The tasks must be in order.
pub fn write(tasks: &BTreeSet<u64>) -> String {
    let mut spans: Vec<(u64, u64)> = Vec::new();
    for &task in tasks {
        match spans.last_mut() {
            Some((_, last)) if *last + 1 == task => *last = task,
            _ => spans.push((task, task)),
        }
    }
    let spans: Vec<String> = spans
        .into_iter()
        .map(|(first, last)| match first == last {
            true => first.to_string(),
            false => format!("{first}-{last}"),
        })
        .collect();
    spans.join(",")
}

/// The job and its tasks in an identifier of squeue: `123`, `123_4`, `123_[0,4-7%2]`, `123_[0-8:2]`. A list that was cut
/// short (`123_[0,2,...]`) is any task. None if it is no identifier.
pub fn parse(identifier: &str) -> Option<(u64, TaskIds)> {
    let Some((job, tasks)) = identifier.split_once('_') else {
        return Some((number(identifier)?, TaskIds::Any));
    };
    let job = number(job)?;
    let Some(list) = tasks.strip_prefix('[') else {
        return Some((job, TaskIds::These(BTreeSet::from([number(tasks)?]))));
    };
    let Some(list) = list.strip_suffix(']').filter(|list| !list.contains("...")) else {
        return Some((job, TaskIds::Any));
    };
    // The number of tasks that may run at once.
    let list = list.split_once('%').map_or(list, |(list, _)| list);
    let mut all = BTreeSet::new();
    for span in list.split(',') {
        let (span, step) = match span.split_once(':') {
            Some((span, step)) => (span, number(step).filter(|&step| step > 0)?),
            None => (span, 1),
        };
        let (first, last) = match span.split_once('-') {
            Some((first, last)) => (number(first)?, number(last)?),
            None => (number(span)?, number(span)?),
        };
        if last.saturating_sub(first) > MOST {
            return Some((job, TaskIds::Any));
        }
        all.extend((first..=last).step_by(usize::try_from(step).ok()?));
    }
    Some((job, TaskIds::These(all)))
}

/// The number of a job or task, which is digits and nothing else.
pub fn number(text: &str) -> Option<u64> {
    let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    let number: Option<u64> = digits.then(|| text.parse().ok()).flatten();
    number.filter(|&number| number <= u64::from(u32::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn these(tasks: &[u64]) -> TaskIds {
        TaskIds::These(tasks.iter().copied().collect())
    }

    #[test]
    fn lists_are_written_with_spans() {
        let write = |tasks: &[u64]| write(&tasks.iter().copied().collect());
        assert_eq!(write(&[]), "");
        assert_eq!(write(&[4]), "4");
        assert_eq!(write(&[0, 3, 4, 5, 7]), "0,3-5,7");
    }

    #[test]
    fn identifiers_of_the_queue_are_read() {
        assert_eq!(parse("123"), Some((123, TaskIds::Any)));
        assert_eq!(parse("123_4"), Some((123, these(&[4]))));
        assert_eq!(parse("123_[4-7%2]"), Some((123, these(&[4, 5, 6, 7]))));
        assert_eq!(parse("123_[0,2,5-6]"), Some((123, these(&[0, 2, 5, 6]))));
        assert_eq!(parse("123_[0-6:3%1]"), Some((123, these(&[0, 3, 6]))));
        for cut in ["123_[0,2,4,...]", "123_[0,2", "123_[0-5,..."] {
            assert_eq!(parse(cut), Some((123, TaskIds::Any)), "{cut}");
        }
        for other in ["", "x", "12x", "12_", "12_x", "-1", "12_[1-x]", "12_[1:0]"] {
            assert_eq!(parse(other), None, "{other}");
        }
    }
}
