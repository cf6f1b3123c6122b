//! Stand-ins for Slurm's programs, and the real binary beside them.

use std::path::PathBuf;
use std::process::{Command, Output};

use super::words::{program, stderr};

/// Stand-ins for sbatch and squeue. Everything submitted stays queued until it is taken out of `queue`.
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

    pub fn refig(&self, arguments: &[&str]) -> Output {
        let path = std::env::var("PATH").unwrap();
        Command::new(env!("CARGO_BIN_EXE_refig"))
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
            .env_remove("CIFAR10_DIR")
            .output()
            .unwrap()
    }

    pub fn reproduce(&self, more: &[&str]) -> Output {
        let begin = [
            "reproduce",
            "tiny",
            "--profile",
            "tiny",
            "--offline",
            "--device",
            "cpu",
        ];
        self.refig(&[&begin[..], more].concat())
    }

    pub fn launch(&self, more: &[&str]) -> Output {
        self.reproduce(&[&["--launch", "slurm"][..], more].concat())
    }
}

pub fn succeeded(output: Output) -> Output {
    assert!(output.status.success(), "{}", stderr(&output));
    output
}
