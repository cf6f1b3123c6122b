//! Accepted errors: who may accept them, and what a later check says of runs that end elsewhere.

mod common;

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use refig::exit::Exit;
use refig::manifest::Experiment;
use refig::origin::Origin;
use refig::plan;
use refig::processor::{Instructions, Processor};
use refig::record::Ending;
use refig::record::{Evaluation, Iteration, Recorder, Split, Statistics, Views};
use refig::run::{Notes, Resume, RunDirectory};
use refig::weights::Weights;

/// A repository with a manifest and a folder of results.
struct Project {
    folder: tempfile::TempDir,
}

impl Project {
    fn new() -> Self {
        let project = Self {
            folder: tempfile::tempdir().unwrap(),
        };
        let manifest = "tests/fixtures/experiments/tiny.toml";
        std::fs::create_dir(project.path("experiments")).unwrap();
        std::fs::copy(
            Path::new(env!("CARGO_MANIFEST_DIR")).join(manifest),
            project.path("experiments/tiny.toml"),
        )
        .unwrap();
        project.git(&["init", "-q"]);
        project.commit();
        project
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn git(&self, arguments: &[&str]) {
        let status = Command::new("git")
            .current_dir(self.folder.path())
            .args(["-c", "user.name=a", "-c", "user.email=a@b"])
            .args(arguments)
            .status()
            .unwrap();
        assert!(status.success());
    }

    fn commit(&self) {
        self.git(&["add", "-A"]);
        self.git(&["commit", "-qm", "state", "--allow-empty"]);
    }

    /// Runs of every network that end at 40 % and more with the seed, in `results`.
    fn record(&self, results: &str, seeds: &[u64], overrides: &[String], more: f64) {
        self.record_on("feed", results, seeds, overrides, more);
    }

    /// The same, on images with this digest.
    fn record_on(
        &self,
        digest: &str,
        results: &str,
        seeds: &[u64],
        overrides: &[String],
        more: f64,
    ) {
        let manifest = self.path("experiments/tiny.toml");
        let experiment = Experiment::load(&manifest, "tiny", overrides).unwrap();
        let notes = Notes {
            data: Origin::Synthetic,
            ..Notes::default()
        };
        for plan in plan::runs(
            &experiment,
            seeds,
            digest,
            Processor::Cpu(Instructions::Avx2),
        )
        .unwrap()
        {
            let mut run = RunDirectory::open(&self.path(results), &plan, &notes, false).unwrap();
            assert!(matches!(run.resume().unwrap(), Resume::New));
            let end = plan.recipe.iterations;
            let error = 40.0 + plan.seed as f64 + more;
            for iteration in 1..=end {
                let drops = plan
                    .recipe
                    .drops
                    .iter()
                    .filter(|&&at| at < iteration)
                    .count();
                run.iteration(Iteration {
                    iteration,
                    epoch: 0.0,
                    learning_rate: plan.recipe.learning_rate * 0.1f64.powi(drops as i32),
                    loss: 2.0,
                    error,
                    seconds: 0.0,
                })
                .unwrap();
            }
            run.evaluation(Evaluation {
                iteration: end,
                split: Split::Test,
                statistics: Statistics::Population,
                views: Views::default(),
                images: 10_000,
                loss: 2.0,
                error,
                top5_error: 10.0,
            })
            .unwrap();
            run.finish(Ending::Finished, &Weights::default()).unwrap();
        }
    }

    fn check(&self, results: &str, arguments: &[&str], ci: bool) -> Output {
        let mut command = Command::new(env!("CARGO_BIN_EXE_refig"));
        command
            .args(["check", "tiny", "--profile", "tiny"])
            .args([
                "--experiments-dir".as_ref(),
                self.path("experiments").as_os_str(),
            ])
            .args(["--results-dir".as_ref(), self.path(results).as_os_str()])
            .args(["--reports-dir".as_ref(), self.path("reports").as_os_str()])
            .args(arguments)
            .env_remove("CI")
            .env_remove("GITHUB_STEP_SUMMARY");
        if ci {
            command.env("CI", "true");
        }
        command.output().unwrap()
    }

    fn expect(&self, results: &str, arguments: &[&str], exit: Exit, says: &str) {
        let output = self.check(results, arguments, false);
        said(&output, exit, says);
    }
}

fn said(output: &Output, exit: Exit, says: &str) {
    let text = format!(
        "{}{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
    assert_eq!(output.status.code(), Some(exit as i32), "{text}");
    // Long lines are wrapped for the terminal.
    let line = text.split_whitespace().collect::<Vec<_>>().join(" ");
    assert!(line.contains(says), "`{says}` is not in: {text}");
}

#[test]
fn a_baseline_is_accepted_by_a_person_from_clean_sources_and_three_seeds() {
    let project = Project::new();
    project.record("results", &[1, 2, 3], &[], 0.0);
    let accept = ["--seeds", "1..3", "--accept", "first"];
    said(
        &project.check("results", &accept, true),
        Exit::Usage,
        "--accept on CI",
    );
    project.expect(
        "results",
        &["--seeds", "1", "--accept", "first"],
        Exit::Usage,
        "--allow-few-seeds",
    );
    project.expect(
        "results",
        &["--seeds", "1..4", "--accept", "first"],
        Exit::Missing,
        "seed 4 has not been run",
    );
    project.expect(
        "results",
        &["--seeds", "1..3", "--accept", "../first"],
        Exit::Usage,
        "does not name a baseline",
    );
    std::fs::write(project.path("experiments/note"), "changed").unwrap();
    project.expect("results", &accept, Exit::Usage, "experiments/note");
    std::fs::remove_file(project.path("experiments/note")).unwrap();
    // Runs that no commit can make again are no measure.
    project.record("results/loose", &[1, 2, 3], &[], 0.0);
    for entry in std::fs::read_dir(project.path("results/loose/tiny")).unwrap() {
        let path = entry.unwrap().path().join("run.toml");
        let text = std::fs::read_to_string(&path).unwrap();
        let (head, rest) = text.split_once("\ncommit = \"").unwrap();
        let (_, tail) = rest.split_once('"').unwrap();
        common::write_sealed(&path, &format!("{head}\ncommit = \"\"{}", tail));
    }
    project.expect("results/loose", &accept, Exit::Missing, "no commit holds");
    std::fs::remove_dir_all(project.path("results/loose")).unwrap();
    let file = project.path("experiments/baselines/tiny-tiny-first.toml");
    assert!(!file.exists(), "nothing was accepted yet");

    project.expect(
        "results",
        &accept,
        Exit::Success,
        "accepted 4 errors over 3 seeds",
    );
    let text = std::fs::read_to_string(&file).unwrap();
    let table: toml::Table = toml::from_str(&text).unwrap();
    assert_eq!(table["values"][0]["mean"].as_float(), Some(42.0));
    assert_eq!(table["values"][0]["deviation"].as_float(), Some(1.0));
    assert_eq!(table["commit"].as_str().map(str::len), Some(40));
    // What is left unused is named.
    project.expect(
        "results",
        &["--seeds", "1"],
        Exit::Success,
        "note: unused runs: tiny/plain-8-s2-",
    );
    // With one seed where that is asked for.
    let few = ["--seeds", "1", "--accept", "one", "--allow-few-seeds"];
    project.expect("results", &few, Exit::Success, "over 1 seed as");
}

#[test]
fn later_runs_are_held_against_the_baseline_of_their_recipe_and_none_against_itself() {
    let project = Project::new();
    project.record("results", &[1, 2, 3], &[], 0.0);
    let accept = ["--seeds", "1..3", "--accept", "first"];
    project.expect("results", &accept, Exit::Success, "accepted");
    let against_on = |seeds: &'static str| ["--seeds", seeds, "--against", "first"];

    // The runs that it was recorded from say nothing, asked or not.
    let own = "baseline first: 4 own-runs";
    project.expect("results", &against_on("1..3"), Exit::Missing, own);
    project.expect("results", &["--seeds", "1..3"], Exit::Success, own);
    project.expect(
        "results",
        &["--seeds", "1..3", "--against", "second"],
        Exit::Missing,
        "tiny-tiny-second.toml",
    );

    // Of fewer networks, those alone.
    project.record("near", &[4, 5], &[], -2.5 + 2.9);
    let one = [&against_on("4,5")[..], &["--networks", "plain-8"]].concat();
    project.expect("near", &one, Exit::Missing, "baseline first: 2 unchanged");

    // Three deviations are 3 points; the mean of seeds 4 and 5 is 2.5 above that of 1 to 3.
    for (name, more, exit, says) in [
        (
            "within",
            -2.5 + 2.9,
            Exit::Success,
            "baseline first: 4 unchanged",
        ),
        (
            "above",
            -2.5 + 3.1,
            Exit::CheckFailed,
            "baseline first: 4 changed: plain-8 test error 45.10",
        ),
        (
            "below",
            -2.5 - 3.1,
            Exit::CheckFailed,
            "baseline first: 4 changed: plain-8 test error 38.90",
        ),
    ] {
        project.record(name, &[4, 5], &[], more);
        project.expect(name, &against_on("4,5"), exit, says);
        // Unasked it is shown, and decides nothing: it is no evidence.
        project.expect(name, &["--seeds", "4,5"], Exit::Success, says);
        let output = project.check(name, &["--seeds", "4,5"], false);
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        let headline = text.rsplit("\n\n").next().unwrap();
        assert!(
            headline.starts_with("tiny: 1 of 1 claim holds at profile tiny"),
            "{headline}"
        );
    }
    // Beside its own runs, only the others count.
    project.record("mixed", &[1, 2, 3], &[], 0.0);
    project.record("mixed", &[4, 5], &[], -2.5 + 3.1);
    project.expect(
        "mixed",
        &against_on("1..5"),
        Exit::CheckFailed,
        "plain-8 test error 45.10 ± 0.71 (2), recorded 42.00 with tolerance 3.00",
    );

    // Another recipe is another baseline's.
    let change = "recipe.weight_decay=0.001".to_string();
    project.record("results", &[4, 5], std::slice::from_ref(&change), 0.0);
    let changed = [&against_on("4,5")[..], &["--set", &change]].concat();
    project.expect("results", &changed, Exit::Missing, "4 not-comparable");
}

#[test]
fn runs_on_other_images_of_the_same_kind_are_not_compared() {
    let project = Project::new();
    project.record("results", &[1, 2, 3], &[], 0.0);
    let accept = ["--seeds", "1..3", "--accept", "first"];
    project.expect("results", &accept, Exit::Success, "accepted");
    let file = project.path("experiments/baselines/tiny-tiny-first.toml");
    let text = std::fs::read_to_string(&file).unwrap();
    assert!(text.contains("\ndata_digest = \"feed\"\n"), "{text}");
    project.record_on("food", "other", &[4, 5], &[], 0.0);
    let against = ["--seeds", "4,5", "--against", "first"];
    project.expect("other", &against, Exit::Missing, "4 not-comparable");
    // Files of earlier versions do not say which images they were recorded on.
    let old = text
        .replace("data_digest = \"feed\"\n", "")
        .replace("format = 3", "format = 2");
    std::fs::write(&file, old).unwrap();
    project.expect(
        "other",
        &against,
        Exit::Success,
        "baseline first: 4 unchanged",
    );
    // A baseline is of one set of images.
    project.record_on("food", "results", &[4], &[], 0.0);
    let mixed = ["--seeds", "1..4", "--accept", "second"];
    project.commit();
    project.expect("results", &mixed, Exit::Missing, "cannot accept a baseline");
}

#[test]
fn a_damaged_baseline_is_named_left_out_and_accepted_again() {
    let project = Project::new();
    project.record("results", &[1, 2, 3], &[], 0.0);
    let seeds = ["--seeds", "1..3"];
    let accept = [&seeds[..], &["--accept", "first"]].concat();
    project.expect("results", &accept, Exit::Success, "accepted");
    let baselines = project.path("experiments/baselines");
    std::fs::write(baselines.join("tiny-tiny-first.toml"), "format = ").unwrap();
    // Not of this experiment and profile, so never read.
    std::fs::write(baselines.join("other-tiny-first.toml"), "format = ").unwrap();
    std::fs::write(baselines.join("tiny-quick-first.toml"), "format = ").unwrap();
    project.commit();
    let output = project.check("results", &seeds, false);
    said(&output, Exit::Success, "note: cannot read the baseline");
    let notes = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(notes.contains("tiny-tiny-first.toml"), "{notes}");
    assert_eq!(notes.matches("cannot read").count(), 1, "{notes}");
    let against = [&seeds[..], &["--against", "first"]].concat();
    project.expect("results", &against, Exit::Storage, "tiny-tiny-first.toml");
    project.expect("results", &accept, Exit::Success, "accepted");
    project.expect(
        "results",
        &seeds,
        Exit::Success,
        "baseline first: 4 own-runs",
    );
}

#[test]
fn the_formats_of_ci_come_from_the_command() {
    let project = Project::new();
    project.record("results", &[1], &[], 0.0);
    project.expect(
        "results",
        &["--format", "json"],
        Exit::Success,
        "\"status\": \"pass\"",
    );
    project.expect(
        "results",
        &["--format", "markdown"],
        Exit::Success,
        "# Two tiny networks",
    );
    project.expect(
        "results",
        &["--format", "junit"],
        Exit::Success,
        "<testsuites",
    );
    assert!(
        !project.path("reports").exists(),
        "written without being asked"
    );
    project.expect("results", &["--write"], Exit::Success, "wrote ");
    // Not beside reports on CIFAR-10.
    let reports = project.path("reports/tiny/tiny-synthetic");
    for name in ["report.md", "verdict.json", "junit.xml"] {
        assert!(reports.join(name).is_file(), "{name}");
    }
    let summary = project.path("summary.md");
    std::fs::write(&summary, "before\n").unwrap();
    let output = Command::new(env!("CARGO_BIN_EXE_refig"))
        .args([
            "check",
            "tiny",
            "--profile",
            "tiny",
            "--seeds",
            "1,2",
            "--format",
            "github",
        ])
        .args([
            "--experiments-dir".as_ref(),
            project.path("experiments").as_os_str(),
        ])
        .args([
            "--results-dir".as_ref(),
            project.path("results").as_os_str(),
        ])
        .args([
            "--reports-dir".as_ref(),
            project.path("reports").as_os_str(),
        ])
        .env("GITHUB_STEP_SUMMARY", &summary)
        .output()
        .unwrap();
    let manifest = std::fs::read_to_string(project.path("experiments/tiny.toml")).unwrap();
    let line = manifest
        .lines()
        .position(|line| line == "[[claims]]")
        .unwrap()
        + 1;
    said(
        &output,
        Exit::Missing,
        &format!("tiny.toml,line={line},title=missing"),
    );
    let text = std::fs::read_to_string(&summary).unwrap();
    assert!(text.starts_with("before\n# Two tiny networks"), "{text}");
}
