//! The site file: what a cluster wants to know of a job.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use anyhow::Result;
use serde::Deserialize;

use super::site_check::asks_for_gpus;
use super::site_kinds;
use crate::console::one_line;
use crate::exit::Exit;
use crate::nearest::suggesting;
use crate::regular;

/// What a cluster wants to know of a job. Without a file, its defaults.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Site {
    pub partition: Option<String>,
    pub account: Option<String>,
    pub qos: Option<String>,
    /// Time limit of a task, as sbatch takes it. A task is warned before it and queued again.
    pub time: Option<String>,
    /// GPUs of a task: a number, or a kind with a number, as in `a100:1`. Not asked for on the CPU.
    pub gpus: Option<Gpus>,
    /// CPUs of a task, which are also its threads.
    pub cpus: Option<u32>,
    /// Memory of a task, as in `16G`.
    pub memory: Option<String>,
    /// Environment modules to load.
    pub modules: Vec<String>,
    /// A command that runs its arguments in a container, word by word.
    pub container: Vec<String>,
    /// The program on the cluster's nodes or in the container; without a slash, one that is looked for there. Default: the one
    /// that submits.
    pub program: Option<PathBuf>,
    /// Commands to run before, each word by word. They are not expanded; a script of one's own can be sourced.
    pub prologue: Vec<Vec<String>>,
    /// Seconds before the time limit at which a task is warned.
    pub warning: u32,
    /// Seconds between checkpoints. Default: as for `reproduce`.
    pub checkpoint_every: Option<u32>,
    /// Tasks in an array, above which there are several. Slurm's limit is one below its `MaxArraySize`.
    pub array_limit: u32,
    /// Tasks that may run at once. Default: as many as the cluster has room for.
    pub at_once: Option<u32>,
    /// Times that a task that was stopped is queued again.
    pub max_requeues: u32,
    /// Other options of sbatch or of `hq submit`, by their long name.
    pub options: BTreeMap<String, Setting>,
    /// Options of the job that draws and checks, in place of those of the tasks.
    pub report: BTreeMap<String, Setting>,
}

impl Default for Site {
    fn default() -> Self {
        Self {
            partition: None,
            account: None,
            qos: None,
            time: None,
            gpus: None,
            cpus: None,
            memory: None,
            modules: Vec::new(),
            container: Vec::new(),
            program: None,
            prologue: Vec::new(),
            warning: 120,
            checkpoint_every: None,
            array_limit: 1000,
            at_once: None,
            max_requeues: 100,
            options: BTreeMap::new(),
            report: BTreeMap::new(),
        }
    }
}

/// GPUs of a task.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(
    untagged,
    expecting = "expected a number of GPUs, or a kind such as \"a100:1\""
)]
pub enum Gpus {
    Number(u32),
    Kind(String),
}

/// The value of another option.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(untagged, expecting = "expected a text, a number or true")]
pub enum Setting {
    /// `true`: an option without a value.
    Flag(bool),
    Number(i64),
    Text(String),
}

impl Setting {
    /// The value, if it has one.
    pub fn value(&self) -> Option<String> {
        match self {
            Setting::Flag(_) => None,
            Setting::Number(number) => Some(number.to_string()),
            Setting::Text(text) => Some(text.clone()),
        }
    }
}

impl Site {
    /// Reads a site file.
    ///
    /// # Errors
    /// [`Exit::Usage`] if it cannot be read or has something that does not work, with the line or the key.
    pub fn read(path: &Path) -> Result<Self> {
        let text = regular::read_to_string(path).map_err(|error| {
            Exit::Usage.error(format!(
                "cannot read the site file {}: {error}",
                path.display()
            ))
        })?;
        Self::parse(&text).map_err(|fault| Exit::Usage.error(format!("{}{fault}", path.display())))
    }

    /// Reads the text of a site file.
    ///
    /// # Errors
    /// What does not work, beginning with a colon and, where it is known, the line.
    pub fn parse(text: &str) -> Result<Self, String> {
        let at = |place: usize| {
            let before = text.get(..place);
            let line = before.map(|before| format!(":{}", before.matches('\n').count() + 1));
            line.unwrap_or_default()
        };
        // What serde says of them names neither the key nor the remedy.
        if let Some((place, fault)) = site_kinds::fault(text) {
            return Err(format!("{}: {fault}", at(place)));
        }
        let site: Self = toml::from_str(text).map_err(|error| {
            let line = error.span().map(|span| at(span.start));
            let message = one_line(error.message());
            let message = suggesting(&message).unwrap_or(message);
            format!("{}: {message}", line.unwrap_or_default())
        })?;
        site.check()
            .map_err(|fault| format!(": {}", one_line(&fault)))?;
        Ok(site)
    }

    /// The option that asks for the tasks' GPUs with its value, if there is one. The default is one GPU.
    pub fn gres(&self) -> Option<String> {
        let gpus = self.gpus.clone().unwrap_or(Gpus::Number(1));
        let others = self.options.keys().any(|option| asks_for_gpus(option));
        match gpus {
            _ if others => None,
            Gpus::Number(0) => None,
            Gpus::Number(number) => Some(format!("gpu:{number}")),
            Gpus::Kind(kind) => Some(format!("gpu:{kind}")),
        }
    }

    /// The options besides those with a key of their own. Without those for GPUs if the tasks need none.
    pub fn others(&self, on_gpu: bool) -> impl Iterator<Item = (&str, Option<String>)> {
        self.options
            .iter()
            .filter(move |(option, _)| on_gpu || !asks_for_gpus(option))
            .map(|(option, setting)| (option.as_str(), setting.value()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(text: &str, words: &[&str]) {
        let said = Site::parse(text).unwrap_err();
        for word in words {
            assert!(said.contains(word), "{text}: {said}");
        }
    }

    #[test]
    fn an_empty_file_asks_for_one_gpu() {
        let site = Site::parse("").unwrap();
        assert_eq!(site, Site::default());
        assert_eq!(site.gres().as_deref(), Some("gpu:1"));
        assert_eq!(Site::parse("gpus = 0").unwrap().gres(), None);
        let site = Site::parse("gpus = \"a100:2\"").unwrap();
        assert_eq!(site.gres().as_deref(), Some("gpu:a100:2"));
    }

    #[test]
    fn a_misspelt_key_is_answered_with_the_nearest() {
        refused(
            "partitoin = \"gpu\"",
            &[":1: unknown field `partitoin`; did you mean `partition`?"],
        );
    }

    #[test]
    fn gpus_are_asked_for_in_one_way() {
        for option in [
            "gres",
            "gpus",
            "gpus-per-node",
            "gpus-per-task",
            "tres-per-task",
        ] {
            let named = format!("options.{option}");
            refused(
                &format!("gpus = 1\n[options]\n{option} = \"gpu:1\""),
                &["gpus and", &named],
            );
            let site = Site::parse(&format!("[options]\n{option} = \"gpu:1\"")).unwrap();
            assert_eq!(site.gres(), None);
            assert_eq!(
                (site.others(true).count(), site.others(false).count()),
                (1, 0)
            );
        }
        refused(
            "[options]\ngres = \"gpu:1\"\ngpus-per-node = 1",
            &["options.gpus-per-node and options.gres"],
        );
        refused(
            "[report]\ngres = \"gpu:1\"\ngpus-per-node = 1",
            &["report.gpus-per-node and report.gres"],
        );
        // The job that draws and checks has options of its own.
        assert!(Site::parse("gpus = 1\n[report]\ngres = \"gpu:1\"").is_ok());
    }

    #[test]
    fn what_does_not_work_is_named() {
        refused("\npartitoin = \"x\"", &[":2: ", "partitoin"]);
        refused("partition = \"\"", &["partition"]);
        refused("gpus = []", &["a kind such as"]);
        refused(
            "\ntime = 24",
            &[":2: time = 24: use text in quotes", "24:00:00"],
        );
        refused(
            "[options]\nnice = []",
            &[":2: options.nice = []", "a number or true"],
        );
        refused("account = \"a\\u001bb\"", &["account"]);
        refused("cpus = 0", &["cpus = 0", "1 to 1024"]);
        refused("program = \"\"", &["program", "empty"]);
        refused("array_limit = 0", &["array_limit"]);
        refused("prologue = [[]]", &["prologue"]);
        refused("modules = [\"--force\"]", &["modules"]);
        refused("[options]\narray = \"0-3\"", &["options.array"]);
        refused("[options]\npartition = \"x\"", &["the key `partition`"]);
        refused("[options]\n\"a b\" = 1", &["long name"]);
        refused("[options]\nexclusive = false", &["leave it out"]);
        assert!(Site::parse("[report]\npartition = \"cpu\"\ntime = 10").is_ok());
    }
}
