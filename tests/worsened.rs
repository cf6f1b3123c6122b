//! Builds that were made worse on purpose do not pass. Each is a copy of the sources with one place changed, trained on
//! real CIFAR-10 and held against the errors that the unchanged sources reach.
//!
//! Ignored, for it builds the program five times and trains for minutes. By hand:
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
    exit: Exit,
    /// Parts of one line of the verdict.
    says: &'static [&'static str],
}

const WORSE: [Worse; 4] = [
    Worse {
        name: "identity-shortcut-removed",
        file: "src/engine/model.rs",
        place: "Joined::Identity => Shortcut::Identity(x.clone()),",
        instead: "Joined::Identity => Shortcut::None,",
        exit: Exit::CheckFailed,
        says: &["resnet-44", "test error", "(baseline)", "fail"],
    },
    Worse {
        name: "learning-rate-never-dropped",
        file: "src/train/schedule.rs",
        place: "filter(|&&drop| drop < update)",
        instead: "filter(|&&drop| drop < update && drop > u64::MAX / 2)",
        exit: Exit::Missing,
        says: &[
            "not-comparable",
            "learning rate 0.01 at iteration 181, the recipe's is 0.001",
        ],
    },
    // In the files, as it were: the records are then not CIFAR-10's.
    Worse {
        name: "labels-swapped-as-read",
        file: "src/data/cifar.rs",
        place: "let train_images = records::into_images(&train);",
        instead: "let mut train = train;
    for record in train.chunks_exact_mut(RECORD_BYTES).step_by(10) {
        record[0] = (record[0] + 1) % CLASSES;
    }
    let train_images = records::into_images(&train);",
        exit: Exit::Missing,
        says: &["not-comparable", "other images than CIFAR-10"],
    },
    // After the digest was taken only the numbers can tell.
    Worse {
        name: "labels-swapped-after-the-digest",
        file: "src/data/cifar.rs",
        place: "let train_images = records::into_images(&train);",
        instead: "let mut train_images = records::into_images(&train);
    for label in train_images.labels.iter_mut().step_by(10) {
        *label = (*label + 1) % CLASSES;
    }",
        exit: Exit::CheckFailed,
        says: &["resnet-20", "training error", "(baseline)", "fail"],
    },
];

/// A copy of the sources with a target folder and results of its own.
struct Copy {
    folder: PathBuf,
}

impl Copy {
    fn new() -> Self {
        let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("worsened");
        let copy = Self { folder };
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

    fn build(&self) {
        let status = Command::new(env!("CARGO"))
            .args(["build", "--quiet", "--bin", "refig"])
            .current_dir(self.source())
            .env("CARGO_TARGET_DIR", self.folder.join("target"))
            .status()
            .unwrap();
        assert!(status.success());
    }

    fn refig(&self, verb: &str, name: &str, arguments: &[&str]) -> Output {
        Command::new(self.folder.join("target/debug/refig"))
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
            .env_remove("CI")
            .output()
            .unwrap()
    }

    /// Trains with what is built. The experiment expects nothing by itself, so that the exit code says nothing.
    fn train(&self, name: &str) {
        let output = self.refig("reproduce", name, &[]);
        let done = ["resnet-20", "resnet-44"].iter().all(|network| {
            let folder = self.results(name).join("small");
            let entries = std::fs::read_dir(&folder).unwrap();
            let runs = entries.filter_map(Result::ok).filter(|entry| {
                let of_network = entry.file_name().to_string_lossy().starts_with(network);
                of_network && entry.path().join("done.json").exists()
            });
            runs.count() == 3
        });
        assert!(done, "{name}: {}", String::from_utf8_lossy(&output.stderr));
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
    copy.build();
    copy.train("unchanged");
    let accepted = copy.refig("check", "unchanged", &["--accept", "unchanged"]);
    let said = String::from_utf8_lossy(&accepted.stderr);
    assert_eq!(accepted.status.code(), Some(0), "{said}");
    let baseline = "small/worsened-unchanged.baseline.toml";
    let against = ["--against", "unchanged"];
    let same = copy.refig("check", "unchanged", &against);
    assert_eq!(same.status.code(), Some(0), "the unchanged build passes");
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
        copy.build();
        copy.train(worse.name);
        // Undone before anything is asserted.
        std::fs::write(&file, text).unwrap();
        std::fs::copy(
            copy.results("unchanged").join(baseline),
            copy.results(worse.name).join(baseline),
        )
        .unwrap();
        let output = copy.refig("check", worse.name, &against);
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
}
