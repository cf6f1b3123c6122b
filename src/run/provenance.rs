//! The machine and the program that made a run. Not part of the run's identity.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;
use std::sync::OnceLock;

use serde::{Deserialize, Serialize};

use super::sources;
use super::tree::Tree;
use crate::address::word_without_credentials;
use crate::console::one_line;
use crate::digest::sha256;
use crate::processor::Processor;

/// The machine and the program at one start of a run. Unknown values are empty.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Provenance {
    /// UTC, RFC 3339.
    pub time: String,
    /// Iterations already made at this start.
    pub iteration: u64,
    /// The kind of processor that computed: `cpu (avx512)`, `cuda`. Empty in files of earlier versions.
    pub processor: String,
    /// Commit of the program's repository; empty outside of one, or if the sources changed since the build.
    pub commit: String,
    /// Whether the repository differed from the commit, apart from `results/` and `reports/`.
    pub dirty: bool,
    /// sha256 of the differences; empty if there were none.
    pub patch: String,
    /// sha256 of the sources of the build, see [`super::sources`].
    pub sources: String,
    /// sha256 of the `Cargo.lock` of the build.
    pub lock: String,
    /// Version of the program.
    pub version: String,
    /// Compiler of the build.
    pub rustc: String,
    /// Cargo features of the build.
    pub features: Vec<String>,
    /// The command line, with absolute paths shortened to their last component, and addresses without credentials.
    pub command: String,
    pub cpu: String,
    /// Available instruction sets that matter for kernels, whichever was used.
    pub instruction_sets: Vec<String>,
    /// Name and driver; empty for runs on the CPU.
    pub gpu: String,
    /// Under which conditions the device's sums are reproducible bit by bit.
    pub sums: String,
    /// Operating system and architecture.
    pub system: String,
    pub host: String,
    /// Threads of the engine; results do not depend on them.
    pub threads: usize,
    /// Environment variables that choose data, devices or arithmetic, if set; paths are shortened as in `command`.
    pub environment: BTreeMap<String, String>,
    /// Versions of the libraries that compute or write records.
    pub software: BTreeMap<String, String>,
}

/// The `Cargo.lock` of this build.
const LOCK: &str = include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/Cargo.lock"));
/// Packages that compute or write records.
const SOFTWARE: [&str; 5] = ["dfdx", "gemm", "polars", "safetensors", "sha2"];
/// Environment variables that choose data, devices or arithmetic.
const ENVIRONMENT: [&str; 9] = [
    "CIFAR10_DIR",
    "IMAGENET_DIR",
    "REFIG_CACHE",
    "REFIG_CUDA_GRAPHS",
    "CUDA_VISIBLE_DEVICES",
    "CUBLAS_WORKSPACE_CONFIG",
    "NVIDIA_TF32_OVERRIDE",
    "RAYON_NUM_THREADS",
    CI,
];
/// Set on CI, to whatever.
const CI: &str = "CI";

impl Provenance {
    /// The provenance of this process.
    pub fn now(iteration: u64, processor: Processor, threads: usize) -> Self {
        let tree = program().unwrap_or_default();
        let mut now = Self {
            time: time(),
            iteration,
            processor: processor.to_string(),
            dirty: tree.is_dirty(),
            commit: tree.commit,
            patch: tree.patch,
            sources: env!("REFIG_SOURCES").into(),
            lock: sha256(LOCK.as_bytes()),
            version: env!("CARGO_PKG_VERSION").into(),
            rustc: env!("REFIG_RUSTC").into(),
            features: features(),
            command: command_line(),
            cpu: cpu(),
            instruction_sets: instruction_sets(),
            gpu: match processor {
                Processor::Cpu(_) => String::new(),
                Processor::Cuda => gpu(),
            },
            sums: sums(processor).into(),
            system: format!("{} {}", std::env::consts::OS, std::env::consts::ARCH),
            host: host(),
            threads,
            environment: environment(),
            software: software(LOCK),
        };
        now.clean();
        now
    }

    /// Puts every text into one line without control characters: a file may hold anything, and so may the environment.
    pub(super) fn clean(&mut self) {
        let Self {
            time,
            iteration: _,
            processor,
            commit,
            dirty: _,
            patch,
            sources,
            lock,
            version,
            rustc,
            features,
            command,
            cpu,
            instruction_sets,
            gpu,
            sums,
            system,
            host,
            threads: _,
            environment,
            software,
        } = self;
        let texts = [
            time, processor, commit, patch, sources, lock, version, rustc, command, cpu, gpu, sums,
            system, host,
        ];
        for text in texts.into_iter().chain(features).chain(instruction_sets) {
            *text = one_line(text);
        }
        for map in [environment, software] {
            let lines = std::mem::take(map).into_iter();
            *map = lines
                .map(|(name, value)| (one_line(&name), one_line(&value)))
                .collect();
        }
    }
}

/// What the engine's devices guarantee: sums do not depend on thread or block timing. The compiler may fuse
/// multiplications and additions differently for another kind of GPU.
fn sums(processor: Processor) -> &'static str {
    match processor {
        Processor::Cpu(_) => {
            "in a fixed order: the same bits with the same instruction set, on any number of threads"
        }
        Processor::Cuda => {
            "in a fixed order: the same bits on the same kind of GPU with the same build"
        }
    }
}

/// The current UTC time to the second, RFC 3339.
pub(super) fn time() -> String {
    chrono::Utc::now().to_rfc3339_opts(chrono::SecondsFormat::Secs, true)
}

/// The repository that this program was built from, if it still exists.
pub fn program() -> Option<Tree> {
    static FOUND: OnceLock<Option<Tree>> = OnceLock::new();
    FOUND
        .get_or_init(|| {
            let root = Path::new(env!("CARGO_MANIFEST_DIR"));
            // Sources copied into another repository are not identified by its commit.
            let tree = root
                .join(".git")
                .exists()
                .then(|| Tree::of(root))
                .flatten()?;
            let built = env!("REFIG_SOURCES");
            let same = sources::digest(root).is_ok_and(|now| now == built);
            Some(if same { tree } else { Tree::changed_since() })
        })
        .clone()
}

fn features() -> Vec<String> {
    [("cuda", cfg!(feature = "cuda"))]
        .into_iter()
        .filter(|(_, on)| *on)
        .map(|(name, _)| name.to_string())
        .collect()
}

/// The command line, with absolute paths shortened to their last component and addresses without credentials, to keep
/// both private.
/// The environment variable by which a worker of `reproduce --jobs` learns the command that it works for.
pub const COMMAND: &str = "REFIG_COMMAND";

/// The command line that runs are made by, without local paths and credentials.
pub fn command_line() -> String {
    match std::env::var(COMMAND) {
        Ok(command) if !command.is_empty() => one_line(&command),
        _ => command(std::env::args()),
    }
}

fn command(arguments: impl Iterator<Item = String>) -> String {
    let words: Vec<String> = arguments
        .enumerate()
        .map(|(place, word)| match place {
            0 => shorten(&word).trim_start_matches("…/").to_string(),
            _ => public(&word),
        })
        .map(|word| {
            if word.contains(char::is_whitespace) {
                format!("'{word}'")
            } else {
                word
            }
        })
        .collect();
    words.join(" ")
}

/// A word without local paths and credentials.
fn public(word: &str) -> String {
    // An `=` may also be in a password.
    let divides = word.starts_with('-') || word_without_credentials(word) == word;
    match word.split_once('=').filter(|_| divides) {
        Some((key, value)) => format!("{key}={}", shorten(&word_without_credentials(value))),
        None => shorten(&word_without_credentials(word)),
    }
}

fn shorten(word: &str) -> String {
    let path = Path::new(word);
    match path.file_name() {
        Some(name) if path.is_absolute() => format!("…/{}", name.to_string_lossy()),
        _ => word.to_string(),
    }
}

fn environment() -> BTreeMap<String, String> {
    ENVIRONMENT
        .into_iter()
        .filter_map(|name| {
            let value = std::env::var_os(name)?;
            let value = match name {
                CI => "set".to_string(),
                _ => shorten(&word_without_credentials(&value.to_string_lossy())),
            };
            Some((name.to_string(), value))
        })
        .collect()
}

/// The versions of the packages in [`SOFTWARE`] from a lock file; several versions of one are joined.
fn software(lock: &str) -> BTreeMap<String, String> {
    let mut found: BTreeMap<String, String> = BTreeMap::new();
    let mut name = "";
    for line in lock.lines() {
        if let Some(quoted) = line.strip_prefix("name = ") {
            name = quoted.trim_matches('"');
        } else if let Some(quoted) = line.strip_prefix("version = ")
            && SOFTWARE.contains(&name)
        {
            let version = quoted.trim_matches('"');
            found
                .entry(name.to_string())
                .and_modify(|all| *all += &format!(", {version}"))
                .or_insert_with(|| version.to_string());
        }
    }
    found
}

/// The available instruction sets of x86, by their names in the standard library, or NEON.
fn instruction_sets() -> Vec<String> {
    #[cfg(target_arch = "x86_64")]
    let found = [
        ("sse4.2", is_x86_feature_detected!("sse4.2")),
        ("avx", is_x86_feature_detected!("avx")),
        ("avx2", is_x86_feature_detected!("avx2")),
        ("fma", is_x86_feature_detected!("fma")),
        ("avx512f", is_x86_feature_detected!("avx512f")),
        ("avx512bw", is_x86_feature_detected!("avx512bw")),
        ("avx512dq", is_x86_feature_detected!("avx512dq")),
        ("avx512vl", is_x86_feature_detected!("avx512vl")),
        ("avx512vnni", is_x86_feature_detected!("avx512vnni")),
        ("avx512bf16", is_x86_feature_detected!("avx512bf16")),
    ];
    #[cfg(not(target_arch = "x86_64"))]
    let found = [("neon", cfg!(target_feature = "neon"))];
    found
        .into_iter()
        .filter(|(_, there)| *there)
        .map(|(name, _)| name.to_string())
        .collect()
}

/// The processor's model name.
pub fn cpu() -> String {
    let linux = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    linux
        .lines()
        .find(|line| line.starts_with("model name"))
        .and_then(|line| line.split_once(':'))
        .map(|(_, name)| name.trim().to_string())
        .unwrap_or_else(|| output("sysctl", &["-n", "machdep.cpu.brand_string"]))
}

fn gpu() -> String {
    output(
        "nvidia-smi",
        &["--query-gpu=name,driver_version", "--format=csv,noheader"],
    )
}

/// The host name.
pub(super) fn host() -> String {
    std::fs::read_to_string("/proc/sys/kernel/hostname")
        .map(|name| name.trim().to_string())
        .unwrap_or_else(|_| output("hostname", &[]))
}

/// The trimmed output of a program; empty if it fails or does not exist.
fn output(program: &str, arguments: &[&str]) -> String {
    Command::new(program)
        .args(arguments)
        .output()
        .ok()
        .filter(|output| output.status.success())
        .map(|output| String::from_utf8_lossy(&output.stdout).trim().to_string())
        .unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::processor::Instructions;

    #[test]
    fn the_command_line_is_recorded_without_local_paths() {
        let words = [
            "/home/a/target/refig",
            "reproduce",
            "fig6",
            "--data-dir",
            "/home/a/cifar",
            "--results-dir=/mnt/b/results",
            "--set",
            "seeds=[1, 2]",
            "--mirror",
            "https://user:hunter2@host/cifar.tar.gz?token=abc",
            "--mirror=user:hunter2@host/c",
            "user:hunt=er2@host/c",
        ];
        assert_eq!(
            command(words.map(String::from).into_iter()),
            "refig reproduce fig6 --data-dir …/cifar --results-dir=…/results --set 'seeds=[1, 2]' --mirror https://host/cifar.tar.gz --mirror=…@host/c …@host/c"
        );
    }

    #[test]
    fn texts_of_a_start_become_one_line() {
        let mut start = Provenance {
            host: "a\n::error::b\u{202e}".into(),
            features: vec!["\u{1b}[31m".into()],
            environment: BTreeMap::from([("A\nB".into(), "::error::".into())]),
            ..Provenance::default()
        };
        start.clean();
        assert_eq!(start.host, "a : :error::b\u{fffd}");
        assert_eq!(start.features, ["\u{fffd}[31m"]);
        assert_eq!(start.environment["A B"], ": :error::");
    }

    #[test]
    fn versions_are_read_from_the_lock_file() {
        let found = software(LOCK);
        assert_eq!(found["dfdx"], "0.13.0");
        assert!(found.contains_key("polars") && found.contains_key("gemm"));
    }

    #[test]
    fn a_start_records_program_and_machine() {
        let start = Provenance::now(0, Processor::Cpu(Instructions::Portable), 2);
        assert!(start.sums.contains("any number of threads"));
        let on_a_gpu = Provenance::now(0, Processor::Cuda, 2);
        assert!(on_a_gpu.sums.contains("the same kind of GPU"));
        assert_eq!(start.lock.len(), 64);
        assert_eq!(
            start.dirty,
            !start.patch.is_empty() || start.commit.is_empty()
        );
        // A test is built from the current sources.
        let root = Path::new(env!("CARGO_MANIFEST_DIR"));
        assert_eq!(start.sources, sources::digest(root).unwrap());
        assert!(!start.command.is_empty() && !start.instruction_sets.is_empty());
        // Older records without the newer fields are still readable.
        let old: Provenance = toml::from_str("commit = \"0c5f\"\ndirty = true\n").unwrap();
        assert_eq!((old.commit.as_str(), old.patch.as_str()), ("0c5f", ""));
        let text = toml::to_string(&start).unwrap();
        assert_eq!(toml::from_str::<Provenance>(&text).unwrap(), start);
    }
}
