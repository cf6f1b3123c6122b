//! Which runs on disk count, and what is said of those that do not.

use std::path::Path;
use std::process::Command;

use refig::exit::Exit;
use refig::judge::{Evidence, Seeds, Status, Wanted, settled_seeds};
use refig::manifest::{Experiment, Responses};
use refig::origin::{CIFAR10_DIGEST, DataKind, Origin};
use refig::processor::{Instructions, Processor};
use refig::record::Ending;
use refig::run::{self, LayerResponse, ResponseRecord, RunView};

use super::recorded::{experiment, fig7, judged, record, record_run};

#[test]
fn seeds_beyond_those_asked_for_count_where_every_network_is_finished() {
    let folder = tempfile::tempdir().unwrap();
    let mut experiment = experiment("smoke", &[]);
    experiment.seeds = vec![1, 2];
    record(folder.path(), &experiment, Origin::Cifar10, |_| {
        Ending::Finished
    });
    experiment.seeds = vec![3];
    record(
        folder.path(),
        &experiment,
        Origin::Cifar10,
        |network| match network {
            "plain-56" => Ending::Partial,
            _ => Ending::Finished,
        },
    );
    let views = run::find(folder.path()).unwrap();
    // Also where it is known what they must have been made on.
    let made_on = (
        CIFAR10_DIGEST.to_owned(),
        Processor::Cpu(Instructions::Avx2),
    );
    for made_on in [None, Some(made_on)] {
        let seeds = |seeds: Seeds| {
            let wanted = Wanted {
                seeds,
                made_on: made_on.clone(),
                ..Wanted::default()
            };
            settled_seeds(&experiment, &views, &wanted)
        };
        assert_eq!(seeds(Seeds::AtLeast(vec![1])), [1, 2]);
        assert_eq!(seeds(Seeds::AtLeast(vec![4, 1])), [1, 2, 4], "in order");
        assert_eq!(seeds(Seeds::Only(vec![4, 1])), [4, 1], "as named");
    }
}

#[test]
fn runs_that_lie_there_and_are_not_used_are_named_with_the_reason() {
    let folder = tempfile::tempdir().unwrap();
    let mut experiment = experiment("smoke", &[]);
    experiment.seeds = vec![1, 2];
    record(folder.path(), &experiment, Origin::Cifar10, |_| {
        Ending::Finished
    });
    let wanted = Wanted {
        seeds: Seeds::Only(vec![1, 2]),
        ..Wanted::default()
    };
    let unused = |wanted: &Wanted, of: &Experiment| {
        let views = run::find(folder.path()).unwrap();
        Evidence::gather(of, &views, wanted).unwrap().unused
    };
    assert_eq!(unused(&wanted, &experiment), None);
    let one = Wanted {
        seeds: Seeds::Only(vec![1]),
        ..Wanted::default()
    };
    let line = unused(&one, &experiment).unwrap();
    assert!(
        line.contains("(seed 2 was not requested or is incomplete)"),
        "{line}"
    );
    assert!(
        line.contains("smoke/resnet-20-s2-") && !line.contains("-s1-"),
        "{line}"
    );

    experiment.seeds = vec![1];
    record(folder.path(), &experiment, Origin::Synthetic, |_| {
        Ending::Finished
    });
    let line = unused(&wanted, &experiment).unwrap();
    assert!(line.contains("(on SYNTHETIC images"), "{line}");
    assert!(
        line.contains(
            "a figure shows one data set, and each network's runs on one kind of processor"
        ),
        "{line}"
    );
    let asked = Wanted {
        data: DataKind::Synthetic,
        ..wanted.clone()
    };
    assert!(
        unused(&asked, &experiment)
            .unwrap()
            .contains("(on CIFAR-10")
    );

    // A run of older arithmetic that was made again.
    let newest = run::find(folder.path())
        .unwrap()
        .into_iter()
        .find(|view| view.file.notes.data == Origin::Cifar10)
        .unwrap();
    let version = newest.plan().numerics_version - 1;
    let older = newest.plan().by_version(version).unwrap();
    let (data, drops) = (newest.file.notes.data, &older.recipe.drops);
    record_run(folder.path(), &older, data, Ending::Finished, drops);
    let line = unused(&wanted, &experiment).unwrap();
    assert!(line.contains("(superseded by a newer version)"), "{line}");
    std::fs::remove_dir_all(folder.path().join(older.folder())).unwrap();

    let mut other = experiment.clone();
    for entry in &mut other.networks {
        entry.recipe.weight_decay *= 2.0;
    }
    let line = unused(&wanted, &other).unwrap();
    assert!(line.contains(" and 6 more (of another recipe)"), "{line}");
    // What is not this figure's is not its business.
    other.networks.clear();
    assert_eq!(unused(&wanted, &other), None);
}

#[test]
fn networks_may_be_of_different_processors_but_not_the_runs_of_one() {
    let folder = tempfile::tempdir().unwrap();
    let mut experiment = experiment("smoke", &[]);
    experiment.seeds = vec![1, 2];
    record(
        folder.path(),
        &experiment,
        Origin::Cifar10,
        |network| match network {
            "plain-56" => Ending::Partial,
            _ => Ending::Finished,
        },
    );
    let views = run::find(folder.path()).unwrap();
    let of = |network: &str, seed: u64| {
        let mut runs = views.iter();
        runs.find(|run| (&*run.plan().network.name, run.plan().seed) == (network, seed))
            .unwrap()
    };
    let on_a_gpu = |network: &str, seed: u64| {
        let plan = of(network, seed).plan().on(Processor::Cuda).unwrap();
        // Beside the CPU's it would not be begun.
        let elsewhere = tempfile::tempdir().unwrap();
        let drops = &plan.recipe.drops;
        record_run(
            elsewhere.path(),
            &plan,
            Origin::Cifar10,
            Ending::Finished,
            drops,
        );
        let [from, to] = [&elsewhere, &folder].map(|place| place.path().join(plan.folder()));
        std::fs::rename(from, to).unwrap();
    };
    // A network of which the CPU lacks a seed, and one of which it has only beginnings.
    for seed in [1, 2] {
        on_a_gpu("resnet-20", seed);
    }
    std::fs::remove_dir_all(&of("resnet-20", 2).folder).unwrap();
    on_a_gpu("plain-56", 2);
    let views = run::find(folder.path()).unwrap();
    let evidence = Evidence::gather(&experiment, &views, &Wanted::default()).unwrap();
    let mut selected: Vec<(&str, u64, Processor)> = evidence
        .runs
        .iter()
        .map(|run| {
            (
                &*run.plan().network.name,
                run.plan().seed,
                run.plan().processor,
            )
        })
        .collect();
    selected.sort_by_key(|(network, seed, _)| (*network, *seed));
    let cpu = Processor::Cpu(Instructions::Avx2);
    assert_eq!(
        selected,
        [
            ("plain-20", 1, cpu),
            ("plain-20", 2, cpu),
            ("plain-56", 2, Processor::Cuda),
            ("resnet-20", 1, Processor::Cuda),
            ("resnet-20", 2, Processor::Cuda),
        ]
    );
    let unused = evidence.unused.unwrap();
    assert!(
        unused.contains("each network's runs on one kind of processor"),
        "{unused}"
    );
}

#[test]
fn responses_of_which_nothing_is_claimed_are_whole_once_all_are_measured() {
    let folder = tempfile::tempdir().unwrap();
    let mut experiment = fig7();
    experiment.seeds = vec![1];
    assert!(experiment.claims.is_empty(), "nothing is claimed at smoke");
    record(folder.path(), &experiment, Origin::Cifar10, |_| {
        Ending::Finished
    });
    let runs = run::find(folder.path()).unwrap();
    let how = experiment.responses.clone().unwrap();
    for (measured, view) in runs.iter().enumerate() {
        let verdict = judged(folder.path(), &experiment, &[1]);
        assert_eq!(verdict.exit(), Exit::Missing, "{measured} measured");
        assert!(
            verdict.headline.contains("recorded no"),
            "{}",
            verdict.headline
        );
        measure(view, &how);
    }
    let verdict = judged(folder.path(), &experiment, &[1]);
    assert_eq!(
        verdict.status,
        Status::NothingClaimed,
        "{}",
        verdict.headline
    );
    assert_eq!(verdict.exit(), Exit::Success);
}

/// Records a response of one layer.
fn measure(view: &RunView, how: &Responses) {
    let record = ResponseRecord {
        format: ResponseRecord::FORMAT,
        run: view.plan().identity().to_owned(),
        network: view.plan().network.name.clone(),
        seed: view.plan().seed,
        data: Origin::Cifar10,
        device: "cpu avx2".into(),
        images: 64,
        how: how.clone(),
        layer: vec![LayerResponse {
            name: "conv1".into(),
            deviation: 1.0,
            mean: 0.0,
        }],
    };
    record.save(&view.folder).unwrap();
}

#[test]
fn a_report_of_responses_says_what_is_unmeasured_and_what_of_the_paper_is_damaged() {
    let folder = tempfile::tempdir().unwrap();
    let shipped = Path::new(env!("CARGO_MANIFEST_DIR")).join("experiments");
    for name in ["fig6.toml", "fig7.toml"] {
        std::fs::copy(shipped.join(name), folder.path().join(name)).unwrap();
    }
    std::fs::create_dir(folder.path().join("reference")).unwrap();
    std::fs::write(folder.path().join("reference/fig7.csv"), "damaged\n").unwrap();
    let results = folder.path().join("results");
    let mut experiment = fig7();
    experiment.seeds = vec![1];
    record(&results, &experiment, Origin::Cifar10, |_| Ending::Finished);
    let refig = |args: &[&str]| {
        let output = Command::new(env!("CARGO_BIN_EXE_refig"))
            .args(args)
            .args(["fig7", "--seeds", "1", "--experiments-dir"])
            .arg(folder.path())
            .arg("--results-dir")
            .arg(&results)
            .arg("--reports-dir")
            .arg(folder.path().join("reports"))
            .output()
            .unwrap();
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        (output.status.code().unwrap(), said)
    };
    // With and without a profile, of which only one has runs.
    for profile in [&["--profile", "smoke"][..], &[]] {
        let (code, said) = refig(&[&["report", "--no-reference"][..], profile].concat());
        assert_eq!(code, Exit::Missing as i32, "{said}");
        assert!(
            said.contains("no run of fig7 at profile smoke was measured"),
            "{said}"
        );
    }
    for view in run::find(&results).unwrap() {
        measure(&view, experiment.responses.as_ref().unwrap());
    }
    let (code, said) = refig(&["report", "--profile", "smoke"]);
    assert_eq!(code, Exit::Storage as i32, "{said}");
    assert!(said.contains("fig7.csv:1: "), "{said}");
    let (code, said) = refig(&["check", "--profile", "smoke"]);
    assert_eq!(code, 0, "{said}");
    assert!(
        said.contains("checked without the paper's values") && !said.contains("curves"),
        "{said}"
    );
}

#[test]
fn damaged_curves_of_the_paper_and_a_damaged_verdict_stop_only_what_needs_them() {
    let folder = tempfile::tempdir().unwrap();
    let (file, reports) = (
        folder.path().join("fig6.toml"),
        folder.path().join("reports"),
    );
    let shipped = Path::new(env!("CARGO_MANIFEST_DIR")).join("experiments/fig6.toml");
    std::fs::copy(shipped, &file).unwrap();
    std::fs::create_dir(folder.path().join("reference")).unwrap();
    std::fs::write(folder.path().join("reference/fig6.csv"), "damaged\n").unwrap();
    let experiment = Experiment::load(&file, "smoke", &[]).unwrap();
    let results = folder.path().join("results");
    record(&results, &experiment, Origin::Cifar10, |_| Ending::Finished);
    let refig = |args: &[&str]| {
        let output = Command::new(env!("CARGO_BIN_EXE_refig"))
            .args(args)
            .args(["fig6", "--profile", "smoke"])
            .args(["--experiments-dir".as_ref(), folder.path().as_os_str()])
            .args(["--results-dir".as_ref(), results.as_os_str()])
            .args(["--reports-dir".as_ref(), reports.as_os_str()])
            .output()
            .unwrap();
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        (output.status.code().unwrap(), said)
    };
    let (code, said) = refig(&["check"]);
    assert_ne!(code, Exit::Storage as i32, "{said}");
    assert!(
        said.contains("checked without the paper's values"),
        "{said}"
    );
    for command in ["render", "report"] {
        let (code, said) = refig(&[command]);
        assert_eq!(code, Exit::Storage as i32, "{said}");
        assert!(
            said.contains("fig6.csv:1: ") && said.contains("--no-reference"),
            "{said}"
        );
        let (code, said) = refig(&[command, "--no-reference"]);
        assert_eq!(code, 0, "{said}");
    }
    let verdict = reports.join("fig6/smoke/verdict.json");
    for damaged in ["", "{}"] {
        std::fs::write(&verdict, damaged).unwrap();
        let (code, said) = refig(&["report", "--no-reference"]);
        assert_eq!(code, 0, "{said}");
        assert!(said.contains("verdict.json"), "{said}");
        assert!(std::fs::metadata(&verdict).unwrap().len() > 100);
    }
}
