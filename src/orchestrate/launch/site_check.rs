//! Checks a site file before anything is submitted.

use std::collections::BTreeMap;

use super::site::{Gpus, Setting, Site};

/// Options that a key of the site file sets, with the key.
const KEYS: [(&str, &str); 8] = [
    ("partition", "partition"),
    ("account", "account"),
    ("qos", "qos"),
    ("time", "time"),
    ("cpus-per-task", "cpus"),
    ("cpus", "cpus"),
    ("mem", "memory"),
    ("crash-limit", "max_requeues"),
];

/// Options that the launch itself sets, or that would break it.
const OURS: [&str; 25] = [
    "array",
    "chdir",
    "clusters",
    "cwd",
    "dependency",
    "error",
    "from-json",
    "each-line",
    "job-name",
    "name",
    "no-requeue",
    "ntasks",
    "open-mode",
    "output",
    "parsable",
    "progress",
    "requeue",
    "signal",
    "stdin",
    "stderr",
    "stdout",
    "test-only",
    "wait",
    "wrap",
    "max-fails",
];

/// Seconds of a day, the longest warning and the longest time between checkpoints.
const DAY: u32 = 86_400;

impl Site {
    /// Whether everything in it can work.
    ///
    /// # Errors
    /// What cannot, by its key.
    pub(super) fn check(&self) -> Result<(), String> {
        let single = [
            ("partition", &self.partition),
            ("account", &self.account),
            ("qos", &self.qos),
            ("time", &self.time),
            ("memory", &self.memory),
        ];
        for (key, value) in single {
            if let Some(value) = value {
                check_word(key, value)?;
            }
        }
        if let Some(Gpus::Kind(kind)) = &self.gpus {
            check_word("gpus", kind)?;
        }
        if let Some(program) = &self.program {
            check_word("program", &program.to_string_lossy())?;
        }
        let lists = [("modules", &self.modules), ("container", &self.container)];
        let lines = self.prologue.iter().map(|words| ("prologue", words));
        for (key, words) in lists.into_iter().chain(lines) {
            if key == "prologue" && words.is_empty() {
                return Err("prologue has an empty command; drop it".into());
            }
            for word in words {
                check_word(key, word)?;
            }
        }
        if self.modules.iter().any(|module| module.starts_with('-')) {
            return Err("modules: a name cannot begin with `-`".into());
        }
        let numbers = [
            ("cpus", self.cpus, 1, 1024),
            ("warning", Some(self.warning), 1, DAY),
            ("checkpoint_every", self.checkpoint_every, 1, DAY),
            ("array_limit", Some(self.array_limit), 1, 4_000_000),
            ("at_once", self.at_once, 1, 4_000_000),
            ("max_requeues", Some(self.max_requeues), 0, 1_000_000),
        ];
        for (key, value, least, most) in numbers {
            if let Some(value) = value.filter(|value| !(least..=most).contains(value)) {
                return Err(format!("{key} = {value}: use {least} to {most}"));
            }
        }
        if let Some(time) = &self.time
            && seconds(time).is_some_and(|whole| whole <= u64::from(self.warning))
        {
            return Err(format!(
                "time = {time:?} and warning = {}: a task would be warned as soon as it begins; use a longer time or a \
                 shorter warning",
                self.warning
            ));
        }
        for (table, options) in [("options", &self.options), ("report", &self.report)] {
            for (option, setting) in options {
                check_option(table, option, setting)?;
            }
        }
        check_gpus("options", &self.options, self.gpus.is_some())?;
        check_gpus("report", &self.report, false)
    }
}

/// The seconds of a time as sbatch takes it: `M`, `M:S`, `H:M:S`, `D-H`, `D-H:M` or `D-H:M:S`. None for anything else, such as
/// `UNLIMITED`.
fn seconds(time: &str) -> Option<u64> {
    let (days, clock) = match time.split_once('-') {
        Some((days, clock)) => (Some(days), clock),
        None => (None, time),
    };
    let numbers: Vec<u64> = clock
        .split(':')
        .map(|number| number.parse::<u32>().ok().map(u64::from))
        .collect::<Option<_>>()?;
    let [hours, minutes, seconds] = match (days, &numbers[..]) {
        (Some(_), &[hours]) => [hours, 0, 0],
        (Some(_), &[hours, minutes]) => [hours, minutes, 0],
        (None, &[minutes]) => [0, minutes, 0],
        (None, &[minutes, seconds]) => [0, minutes, seconds],
        (_, &[hours, minutes, seconds]) => [hours, minutes, seconds],
        _ => return None,
    };
    let days = u64::from(days.unwrap_or("0").parse::<u32>().ok()?);
    Some(((days * 24 + hours) * 60 + minutes) * 60 + seconds)
}

/// Two requests for GPUs contradict each other in ways that depend on the version of Slurm. `by_key` says whether the key `gpus`
/// is another.
fn check_gpus(
    table: &str,
    options: &BTreeMap<String, Setting>,
    by_key: bool,
) -> Result<(), String> {
    let key = by_key.then(|| "gpus".to_owned());
    let others = options.keys().filter(|option| asks_for_gpus(option));
    let mut asking = key
        .into_iter()
        .chain(others.map(|option| format!("{table}.{option}")));
    match (asking.next(), asking.next()) {
        (Some(one), Some(other)) => Err(format!(
            "{one} and {other} both ask for GPUs; drop one of them"
        )),
        _ => Ok(()),
    }
}

/// Whether an option of sbatch asks for GPUs.
pub(super) fn asks_for_gpus(option: &str) -> bool {
    matches!(option, "gres" | "gpus" | "tres-per-task") || option.starts_with("gpus-per-")
}

fn check_word(key: &str, value: &str) -> Result<(), String> {
    match value.is_empty() || value.chars().any(char::is_control) {
        true => Err(format!(
            "{key} = {value:?}: it is empty or has control characters"
        )),
        false => Ok(()),
    }
}

fn check_option(table: &str, option: &str, setting: &Setting) -> Result<(), String> {
    let letters =
        |letter: char| letter.is_ascii_lowercase() || letter.is_ascii_digit() || letter == '-';
    let long = option.starts_with(|letter: char| letter.is_ascii_lowercase());
    if !long || option.len() < 2 || !option.chars().all(letters) {
        return Err(format!(
            "{table}.{option:?}: use an option's long name without the dashes"
        ));
    }
    if OURS.contains(&option) {
        return Err(format!(
            "{table}.{option}: `--launch` sets it itself or cannot work with it; drop it"
        ));
    }
    if table == "options"
        && let Some((_, key)) = KEYS.into_iter().find(|(known, _)| *known == option)
    {
        return Err(format!("options.{option}: use the key `{key}`"));
    }
    match setting {
        Setting::Flag(false) => Err(format!("{table}.{option} = false: leave it out instead")),
        Setting::Text(text) => check_word(&format!("{table}.{option}"), text),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_read_as_sbatch_reads_them() {
        for (time, expected) in [
            ("2", Some(120)),
            ("2:30", Some(150)),
            ("1:02:03", Some(3723)),
            ("1-2", Some(26 * 3600)),
            ("1-2:03", Some(26 * 3600 + 180)),
            ("1-2:03:04", Some(26 * 3600 + 184)),
            ("UNLIMITED", None),
            ("1:2:3:4", None),
            ("", None),
        ] {
            assert_eq!(seconds(time), expected, "{time}");
        }
    }

    #[test]
    fn a_warning_as_long_as_the_time_is_refused() {
        let said = Site::parse("time = \"0-0:02\"").unwrap_err();
        assert!(
            said.contains("time = \"0-0:02\" and warning = 120"),
            "{said}"
        );
        assert!(Site::parse("time = \"0-0:02\"\nwarning = 60").is_ok());
    }
}
