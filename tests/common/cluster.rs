//! Stand-ins for Slurm's programs, and the real binary beside them.

use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::time::{Duration, Instant};

use refig::exit::Exit;

const TINY: [&str; 7] = [
    "reproduce",
    "tiny",
    "--profile",
    "tiny",
    "--offline",
    "--device",
    "cpu",
];
const SLURM: [&str; 2] = ["--launch", "slurm"];

/// Stand-ins for sbatch and squeue. Everything submitted stays queued until it is taken out of `queue`. A file says what else
/// happens: `refuse`, `die`, `down`, `slow` (it takes a moment until a job is queued), `gate` (it takes as long as that is there).
pub struct Cluster {
    folder: tempfile::TempDir,
}

impl Cluster {
    pub fn new() -> Self {
        let cluster = Self {
            folder: tempfile::tempdir().unwrap(),
        };
        std::fs::create_dir(cluster.at("bin")).unwrap();
        program(
            &cluster.at("bin/sbatch"),
            r##"#!/bin/bash
echo "sbatch $*" >> "$FAKE/calls"
env | grep -e ^SBATCH_ -e ^SLURM_ > "$FAKE/environment"
number=$(($(cat "$FAKE/number" 2>/dev/null || echo 100) + 1))
echo "$number" > "$FAKE/number"
script=${!#}
name=$(sed -n 's/^#SBATCH --job-name=//p' "$script")
array=$(sed -n 's/^#SBATCH --array=//p' "$script")
[ ! -e "$FAKE/refuse" ] || { echo "sbatch: error: invalid partition specified" >&2; exit 1; }
[ ! -e "$FAKE/slow" ] || sleep 0.2
while [ -e "$FAKE/gate" ]; do sleep 0.02; done
echo "$number $name $array" >> "$FAKE/queue"
# Its caller dies before it hears of the number.
[ ! -e "$FAKE/die" ] || { kill -KILL "$PPID"; exit 1; }
echo "$number"
"##,
        );
        program(
            &cluster.at("bin/squeue"),
            r##"#!/bin/bash
echo "squeue $*" >> "$FAKE/calls"
[ -z "${SQUEUE_STATES:-}" ] || { echo "squeue: only some states are shown" >&2; exit 1; }
[ ! -e "$FAKE/down" ] || { echo "slurm_load_jobs error: Unable to contact slurm controller" >&2; exit 1; }
name=
numbers=
while [ $# -gt 0 ]; do
    case $1 in
    -j) numbers=,$2, ;;
    --name=*) name=${1#--name=} ;;
    esac
    shift
done
found=
while read -r number job array; do
    [ -z "$name" ] || [ "$job" = "$name" ] || continue
    [ -z "$numbers" ] || [[ $numbers == *,$number,* ]] || continue
    found=yes
    if [ -n "$array" ]; then echo "${number}_[$array] PENDING (Priority)"; else echo "$number PENDING (Dependency)"; fi
done < <(cat "$FAKE/queue" 2>/dev/null)
if [ -n "$numbers" ] && [ -z "$found" ]; then
    echo "slurm_load_jobs error: Invalid job id specified" >&2
    exit 1
fi
"##,
        );
        cluster
    }

    pub fn at(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub fn text(&self, name: &str) -> String {
        std::fs::read_to_string(self.at(name)).unwrap_or_default()
    }

    pub fn calls(&self, program: &str) -> usize {
        let begin = format!("{program} ");
        let calls = self.text("calls");
        calls
            .lines()
            .filter(|line| line.starts_with(&begin))
            .count()
    }

    /// Lines of the queue: number, name and array.
    pub fn queue(&self) -> Vec<String> {
        self.text("queue").lines().map(String::from).collect()
    }

    /// Makes it behave in another way, see [`Cluster`].
    pub fn set(&self, name: &str) {
        std::fs::write(self.at(name), "").unwrap();
    }

    /// As it was before [`Cluster::set`].
    pub fn unset(&self, name: &str) {
        std::fs::remove_file(self.at(name)).unwrap();
    }

    /// `refig ARGUMENTS` on this cluster.
    pub fn command(&self, arguments: &[&str]) -> Command {
        let path = std::env::var("PATH").unwrap();
        let mut command = Command::new(env!("CARGO_BIN_EXE_refig"));
        command
            .args(arguments)
            .args(["--experiments-dir", "tests/fixtures/experiments"])
            .arg("--results-dir")
            .arg(self.at("results"))
            .arg("--reports-dir")
            .arg(self.at("reports"))
            .env("PATH", format!("{}:{path}", self.at("bin").display()))
            .env("FAKE", self.folder.path())
            .env("REFIG_CACHE", self.at("cache"))
            .env("SQUEUE_STATES", "RUNNING")
            .env("SBATCH_PARTITION", "other")
            .env("SBATCH_TIMELIMIT", "1")
            .env("SBATCH_SIGNAL", "TERM@1")
            .env("SBATCH_WCKEY", "kept")
            .env("SLURM_RESTART_COUNT", "3")
            .env_remove("CIFAR10_DIR");
        command
    }

    pub fn refig(&self, arguments: &[&str]) -> Output {
        self.command(arguments).output().unwrap()
    }

    pub fn reproduce(&self, more: &[&str]) -> Output {
        self.refig(&[&TINY[..], more].concat())
    }

    pub fn launch(&self, more: &[&str]) -> Output {
        self.reproduce(&[&SLURM[..], more].concat())
    }

    /// What [`Cluster::launch`] runs.
    pub fn launching(&self) -> Command {
        self.command(&[&TINY[..], &SLURM[..]].concat())
    }

    /// The same until no program that submits is at work any more, which a killed launch may have left.
    pub fn launch_at_last(&self) -> Output {
        let begun = Instant::now();
        loop {
            let output = self.launch(&[]);
            if output.status.code() != Some(Exit::Busy as i32) {
                return output;
            }
            assert!(begun.elapsed() < Duration::from_secs(60));
        }
    }

    /// Asserts that both runs and the job that draws and checks are queued, each once, and that there is nothing half-written.
    pub fn assert_queued_once(&self) {
        let queue = self.queue();
        assert_eq!(queue.len(), 2, "{queue:?}");
        assert!(queue[0].ends_with(" 0-1"), "{queue:?}");
        assert_eq!(queue[1].split_whitespace().count(), 2, "{queue:?}");
        let second = succeeded(self.launch(&[]));
        let said = String::from_utf8_lossy(&second.stderr);
        assert!(said.contains("2 queued or running, 0 submitted"), "{said}");
        assert_eq!(self.queue(), queue);
        for entry in walkdir::WalkDir::new(self.at("results")) {
            let path = entry.unwrap().into_path();
            let half = path.extension().is_some_and(|end| end == "tmp");
            assert!(!half, "{path:?} was left");
        }
    }
}

pub fn succeeded(output: Output) -> Output {
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}");
    output
}

/// A file that can be run.
pub fn program(path: &Path, text: &str) {
    std::fs::write(path, text).unwrap();
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o755)).unwrap();
}
