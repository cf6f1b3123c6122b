//! Builds that were made worse on purpose do not pass. Each is a copy of the sources with one place changed, trained on
//! real CIFAR-10 and held against the errors that the unchanged sources reach.
//!
//! Ignored, for it builds the program five times and trains for minutes: a quarter of an hour on two cores. The copy stands
//! on the dependencies that this test was built with, so that only the program itself is built. By hand:
//! `CIFAR10_DIR=... cargo test --test worsened -- --ignored --nocapture`

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use refig::exit::Exit;

/// A change of one place in the sources, what a check must end with, and what it must say.
struct Worse {
    name: &'static str,
    file: &'static str,
    place: &'static str,
    instead: &'static str,
    /// Seeds of the runs that are made and held against the baseline: one shows a fault of the recipe or the data, numbers
    /// need three.
    seeds: &'static str,
    exit: Exit,
    /// Parts of one line of the verdict.
    says: &'static [&'static str],
}

const WORSE: [Worse; 4] = [
    Worse {
        name: "identity-shortcut-removed",
        file: "src/engine/model.rs",
        place: "ShortcutPath::Identity => Shortcut::Identity(x.clone()),",
        instead: "ShortcutPath::Identity => Shortcut::None,",
        seeds: "1..3",
        exit: Exit::CheckFailed,
        says: &["resnet-20", "test error", "(baseline)", "fail"],
    },
    Worse {
        name: "learning-rate-never-dropped",
        file: "src/train/schedule.rs",
        place: "filter(|&&drop| drop < update)",
        instead: "filter(|&&drop| drop < update && drop > u64::MAX / 2)",
        seeds: "1",
        exit: Exit::Missing,
        says: &[
            "not-comparable",
            "learning rate 0.05 at iteration 361, the recipe's is 0.005",
        ],
    },
    // In the files, as it were: the records are then not CIFAR-10's.
    Worse {
        name: "labels-swapped-as-read",
        file: "src/data/cifar10/load.rs",
        place: "let (train, test) = records.split_at(TRAINING_FILES.len() * BATCH_BYTES);",
        instead: "let (train, _) = records.split_at_mut(TRAINING_FILES.len() * BATCH_BYTES);
    for record in train.chunks_exact_mut(RECORD_BYTES).step_by(10) {
        record[0] = (record[0] + 1) % CLASSES;
    }
    let (train, test) = records.split_at(TRAINING_FILES.len() * BATCH_BYTES);",
        seeds: "1",
        exit: Exit::Missing,
        says: &["not-comparable", "images other than CIFAR-10"],
    },
    // After the digest was taken only the numbers can tell.
    Worse {
        name: "labels-swapped-after-the-digest",
        file: "src/data/cifar10/load.rs",
        place: "Ok(Dataset {
        origin: records::origin(&train, &test),",
        instead: "let mut train = train;
    for label in train.labels.iter_mut().step_by(10) {
        *label = (*label + 1) % u16::from(CLASSES);
    }
    Ok(Dataset {
        origin: records::origin(&train, &test),",
        seeds: "1..3",
        exit: Exit::CheckFailed,
        says: &["resnet-20", "training error", "(baseline)", "fail"],
    },
];

/// What the copy's program is called, so that it lies beside the one under test and does not take its place.
const PROGRAM: &str = "refig-worsened";

/// A copy of the sources with results of its own.
struct Copy {
    folder: PathBuf,
    /// Where this test was built.
    target: PathBuf,
}

impl Copy {
    fn new() -> Self {
        let scratch = Path::new(env!("CARGO_TARGET_TMPDIR"));
        let copy = Self {
            folder: scratch.join("worsened"),
            target: scratch.parent().unwrap().into(),
        };
        let source = copy.source();
        for path in [&source, &copy.folder.join("results")] {
            if path.exists() {
                std::fs::remove_dir_all(path).unwrap();
            }
        }
        let root = Path::new(env!("CARGO_MANIFEST_DIR"));
        let listed = Command::new("git")
            .arg("-C")
            .arg(root)
            .args([
                "ls-files",
                "-z",
                "--cached",
                "--others",
                "--exclude-standard",
            ])
            .output()
            .unwrap();
        for name in String::from_utf8(listed.stdout).unwrap().split('\0') {
            let made = ["results/", "reports/"]
                .iter()
                .any(|part| name.starts_with(part));
            if name.is_empty() || made || !root.join(name).is_file() {
                continue;
            }
            std::fs::create_dir_all(source.join(name).parent().unwrap()).unwrap();
            std::fs::copy(root.join(name), source.join(name)).unwrap();
        }
        let manifest = source.join("Cargo.toml");
        let text = std::fs::read_to_string(&manifest).unwrap();
        let default = "default-run = \"refig\"";
        assert_eq!(text.matches(default).count(), 1);
        let renamed = text.replace(default, "autobins = false")
            + &format!("\n[[bin]]\nname = \"{PROGRAM}\"\npath = \"src/main.rs\"\n");
        std::fs::write(&manifest, renamed).unwrap();
        // A baseline is accepted from clean sources.
        for arguments in [
            &["init", "-q"][..],
            &["add", "-A"],
            &["commit", "-qm", "sources"],
        ] {
            let status = Command::new("git")
                .arg("-C")
                .arg(&source)
                .args(["-c", "user.name=a", "-c", "user.email=a@b"])
                .args(arguments)
                .status()
                .unwrap();
            assert!(status.success());
        }
        copy
    }

    fn source(&self) -> PathBuf {
        self.folder.join("source")
    }

    fn results(&self, name: &str) -> PathBuf {
        self.folder.join("results").join(name)
    }

    fn program(&self) -> PathBuf {
        self.target.join("debug").join(PROGRAM)
    }

    /// Builds the copy as it stands and gives the program's bytes.
    fn build(&self) -> Vec<u8> {
        let status = Command::new(env!("CARGO"))
            .args(["build", "--quiet", "--locked", "--bin", PROGRAM])
            .current_dir(self.source())
            .env("CARGO_TARGET_DIR", &self.target)
            .status()
            .unwrap();
        assert!(status.success());
        std::fs::read(self.program()).unwrap()
    }

    fn refig(&self, verb: &str, name: &str, arguments: &[&str]) -> Output {
        Command::new(self.program())
            .args([verb, "worsened", "--profile", "small", "--quiet"])
            .args([
                "--experiments-dir".as_ref(),
                self.source().join("tests/fixtures/experiments").as_os_str(),
            ])
            .args(["--results-dir".as_ref(), self.results(name).as_os_str()])
            .args([
                "--reports-dir".as_ref(),
                self.folder.join("reports").join(name).as_os_str(),
            ])
            .args(arguments)
            // Digests that the unchanged build has kept would hide what another one reads.
            .env("REFIG_CACHE", self.folder.join("cache").join(name))
            .env_remove("CI")
            .output()
            .unwrap()
    }

    /// Trains with what is built. The experiment expects nothing by itself, so that its verdict says only that all runs are
    /// there.
    fn train(&self, name: &str, seeds: &str) {
        let output = self.refig("reproduce", name, &["--seeds", seeds]);
        let said = String::from_utf8_lossy(&output.stderr);
        let done = [Exit::Success, Exit::Missing].map(|exit| Some(exit as i32));
        assert!(done.contains(&output.status.code()), "{name}: {said}");
    }
}

#[test]
#[ignore = "builds the program five times and trains for minutes; needs CIFAR10_DIR"]
fn no_worsened_build_passes() {
    assert!(
        std::env::var_os("CIFAR10_DIR").is_some(),
        "set CIFAR10_DIR to real CIFAR-10"
    );
    let copy = Copy::new();
    let unchanged = copy.build();
    copy.train("unchanged", "1..3");
    let accept = ["--seeds", "1..3", "--accept", "unchanged"];
    let accepted = copy.refig("check", "unchanged", &accept);
    let said = String::from_utf8_lossy(&accepted.stderr);
    assert_eq!(accepted.status.code(), Some(0), "{said}");
    let baseline = "small/worsened-unchanged.baseline.toml";
    let against = |seeds| ["--seeds", seeds, "--against", "unchanged"];
    let same = copy.refig("check", "unchanged", &against("1..3"));
    assert_eq!(same.status.code(), Some(0), "the unchanged build passes");
    println!("unchanged\n{}", String::from_utf8_lossy(&same.stdout));
    for worse in &WORSE {
        let file = copy.source().join(worse.file);
        let text = std::fs::read_to_string(&file).unwrap();
        assert_eq!(
            text.matches(worse.place).count(),
            1,
            "{}: one place",
            worse.name
        );
        std::fs::write(&file, text.replace(worse.place, worse.instead)).unwrap();
        let built = copy.build();
        // Undone before anything is asserted.
        std::fs::write(&file, text).unwrap();
        assert_ne!(built, unchanged, "{}: the fault is built in", worse.name);
        copy.train(worse.name, worse.seeds);
        std::fs::copy(
            copy.results("unchanged").join(baseline),
            copy.results(worse.name).join(baseline),
        )
        .unwrap();
        let output = copy.refig("check", worse.name, &against(worse.seeds));
        let verdict = String::from_utf8_lossy(&output.stdout);
        println!("{}\n{verdict}", worse.name);
        assert_eq!(
            output.status.code(),
            Some(worse.exit as i32),
            "{}",
            worse.name
        );
        let pointed = verdict
            .lines()
            .any(|line| worse.says.iter().all(|part| line.contains(part)));
        assert!(pointed, "{}: no line with {:?}", worse.name, worse.says);
    }
    std::fs::remove_file(copy.program()).unwrap();
}
