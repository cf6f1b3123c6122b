//! Experiments of one's own: what may be left out, and a folder in which not every manifest is right.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use refig::exit::Exit;
use refig::manifest::{self, Experiment};
use refig::plan;
use refig::processor::{Instructions, Processor};
use refig::run::{Notes, RunDirectory};

/// The smallest useful experiment of one's own; the README shows it.
const TWINS: &str = r#"# Do shortcuts help at 20 layers already, and after 2,000 iterations?
name = "twins"
title = "ResNet-20 and its plain twin"
networks = ["plain-20", "resnet-20"]
seeds = [1]

[recipe]                       # the rest is the paper's
iterations = 2000
drops = [1000, 1500]

[[panels]]
title = "CIFAR-10"
networks = ["plain-20", "resnet-20"]

[[claims]]
says = "with shortcuts it ends lower"
falls = [["plain-20", "resnet-20"]]
"#;

/// A folder with this text as `<name>.toml`.
fn folder_with(manifests: &[(&str, &str)]) -> (tempfile::TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    for (name, text) in manifests {
        std::fs::write(folder.path().join(format!("{name}.toml")), text).unwrap();
    }
    let path = folder.path().join(format!("{}.toml", manifests[0].0));
    (folder, path)
}

fn refig(args: &[&str], experiments: &Path, elsewhere: &Path) -> Output {
    Command::new(env!("CARGO_BIN_EXE_refig"))
        .args(args)
        .arg("--experiments-dir")
        .arg(experiments)
        .arg("--results-dir")
        .arg(elsewhere.join("results"))
        .arg("--reports-dir")
        .arg(elsewhere.join("reports"))
        .env("REFIG_CACHE", elsewhere.join("cache"))
        .env_remove("CIFAR10_DIR")
        .output()
        .unwrap()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

#[test]
fn an_experiment_of_ones_own_takes_fifteen_lines() {
    let lines = TWINS.lines().filter(|line| !line.trim().is_empty());
    assert!(lines.count() <= 15);
    let readme = include_str!("../README.md");
    assert!(readme.contains(TWINS), "README.md shows another manifest");
    let (folder, path) = folder_with(&[("twins", TWINS)]);
    let (_, profiles) = Experiment::profiles(&path).unwrap();
    assert_eq!(profiles, ["default"]);
    let twins = Experiment::load(&path, "default", &[]).unwrap();
    let names: Vec<&str> = (twins.networks.iter())
        .map(|entry| entry.name.as_str())
        .collect();
    assert_eq!(names, ["plain-20", "resnet-20"]);
    let colours: BTreeSet<&str> = (twins.networks.iter())
        .map(|entry| entry.colour.as_str())
        .collect();
    assert_eq!(colours.len(), 2);
    assert!(!colours.contains("#000000"), "{colours:?}");
    assert_eq!(twins.claims.len(), 1);
    let comparisons = &twins.claims[0].comparisons;
    assert_eq!(
        comparisons[0].text(),
        "test error: resnet-20 not above plain-20"
    );
    assert_eq!(twins.recipe.evaluation.interval, 200);
    let processor = Processor::Cpu(Instructions::Avx2);
    let runs = plan::runs(&twins, &twins.seeds, "d1", processor).unwrap();
    assert_eq!(runs.len(), 2);
    assert!(runs[0].folder().starts_with("default/plain-20-s1-"));

    // Without --profile, and from anywhere.
    let empty = tempfile::tempdir().unwrap();
    let output = refig(&["plan", "twins"], folder.path(), empty.path());
    let said = text(&output.stdout);
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
    assert!(
        said.starts_with("twins at profile default (the only profile)"),
        "{said}"
    );
    assert_eq!(std::fs::read_dir(empty.path()).unwrap().count(), 0);
}

#[test]
fn colours_take_turns_and_none_is_given_twice() {
    let eight = "networks = [\"plain-8\", \"plain-14\", \"plain-20\", \"plain-26\", \"plain-32\", \"resnet-8\", \"resnet-14\", \"resnet-20\"]";
    let twins = "networks = [\"plain-20\", \"resnet-20\"]";
    let manifest = TWINS.replace("name = \"twins\"", "name = \"eight\"");
    let style = "[style]\ncolours = { plain-26 = \"#0072B2\" }\n[[panels]]";
    let manifest = manifest.replace(twins, eight).replace("[[panels]]", style);
    let scales = "[profiles.all]\n[profiles.two]\nnetworks = [\"plain-20\", \"resnet-20\"]\n";
    let (_folder, path) = folder_with(&[("eight", &format!("{manifest}\n{scales}"))]);
    let all = Experiment::load(&path, "all", &[]).unwrap();
    let colours: BTreeSet<String> = (all.networks.iter())
        .map(|entry| entry.colour.to_lowercase())
        .collect();
    assert_eq!(colours.len(), 8, "{colours:?}");
    assert_eq!(all.network("plain-26").unwrap().colour, "#0072B2");
    // The same at a profile with fewer networks.
    let two = Experiment::load(&path, "two", &[]).unwrap();
    for entry in &two.networks {
        assert_eq!(entry.colour, all.network(&entry.name).unwrap().colour);
    }
}

#[test]
fn a_margin_is_one_number_or_one_for_each_profile() {
    let scales = "[profiles.all]\n[profiles.one]\nnetworks = [\"plain-20\"]\n";
    let margin = |margin: &str| format!("{TWINS}{margin}\n{scales}");
    for (written, points) in [("", 0.0), ("margin = 2", 2.0), ("margin = -0.5", -0.5)] {
        let (_folder, path) = folder_with(&[("twins", &margin(written))]);
        let all = Experiment::load(&path, "all", &[]).unwrap();
        assert_eq!(all.claims[0].comparisons[0].margin, points, "{written}");
        // A profile that does not train the networks does not make the claim.
        let one = Experiment::load(&path, "one", &[]).unwrap();
        assert!(one.claims.is_empty());
    }
    for (written, says) in [
        ("margin = inf", "twins.toml:18: margin = inf"),
        ("margin = { one = 0 }", "not trained at profile one"),
        ("margin = { al = 0 }", "did you mean \"all\"?"),
    ] {
        let (_folder, path) = folder_with(&[("twins", &margin(written))]);
        let error = Experiment::load(&path, "all", &[]).unwrap_err();
        assert!(error.to_string().contains(says), "{error}");
    }
    let unknown = TWINS.replace("falls = [[\"plain-20\"", "falls = [[\"plian-20\"");
    let (_folder, path) = folder_with(&[("twins", &unknown)]);
    let error = Experiment::load(&path, "default", &[]).unwrap_err();
    let said = error.to_string();
    assert!(
        said.contains("twins.toml:17: claim") && said.contains("did you mean \"plain-20\"?"),
        "{said}"
    );
}

#[test]
fn expectations_need_no_profile_where_there_is_only_one() {
    let expected = "\n[[expectations]]\nnetwork = \"resnet-20\"\nmetric = \"test-error\"\nvalue = 12\nsource = \"a guess\"\n";
    let (_folder, path) = folder_with(&[("twins", &format!("{TWINS}{expected}"))]);
    let twins = Experiment::load(&path, "default", &[]).unwrap();
    assert_eq!(twins.expectations.len(), 1);
    assert_eq!(twins.expectations[0].tolerance, None);
    assert_eq!(twins.expectations[0].line, Some(19));
    let wrong = expected.replace("value = 12", "value = 120");
    let (_folder, path) = folder_with(&[("twins", &format!("{TWINS}{wrong}"))]);
    let error = Experiment::load(&path, "default", &[]).unwrap_err();
    assert!(
        error.to_string().contains("twins.toml:19: value = 120"),
        "{error}"
    );
    let scales = "[profiles.a]\n[profiles.b]\n";
    let (_folder, path) = folder_with(&[("twins", &format!("{TWINS}{expected}{scales}"))]);
    let error = Experiment::load(&path, "a", &[]).unwrap_err();
    assert!(
        error
            .to_string()
            .contains("one of [profiles.a], [profiles.b]"),
        "{error}"
    );
}

#[test]
fn the_profile_is_chosen_by_name_if_there_are_several_and_none_is_usual() {
    let scales = "[profiles.short]\n[profiles.long]\n";
    let (folder, _) = folder_with(&[("twins", &format!("{TWINS}{scales}"))]);
    let empty = tempfile::tempdir().unwrap();
    let output = refig(&["plan", "twins"], folder.path(), empty.path());
    let said = text(&output.stderr);
    assert_eq!(output.status.code(), Some(Exit::Usage as i32), "{said}");
    assert!(said.contains("--profile with one of long, short"), "{said}");
}

#[test]
fn a_broken_manifest_does_not_hide_the_others() {
    let invalid = TWINS.replace("name = \"twins\"", "name = \"invalid\"");
    let invalid = invalid.replace("iterations = 2000", "iterations = 0");
    let (folder, path) = folder_with(&[
        ("twins", TWINS),
        ("broken", "name = \"broken\ntitle = 3\n"),
        ("invalid", &invalid),
    ]);
    let catalogue = manifest::list(folder.path()).unwrap();
    assert_eq!(catalogue.experiments, [manifest::listed(&path).unwrap()]);
    let broken: Vec<&str> = (catalogue.broken.iter())
        .map(|broken| broken.why.as_str())
        .collect();
    assert_eq!(broken.len(), 2);
    assert!(broken[0].contains("broken.toml:1: "), "{broken:?}");
    assert!(broken[1].contains("invalid.toml:8: "), "{broken:?}");

    let empty = tempfile::tempdir().unwrap();
    let run = |args: &[&str]| {
        let output = refig(args, folder.path(), empty.path());
        let (out, errors) = (text(&output.stdout), text(&output.stderr));
        (output.status.code().unwrap(), out, errors)
    };
    let (code, out, errors) = run(&["list"]);
    assert_eq!(code, Exit::Usage as i32, "{errors}");
    assert!(
        out.starts_with("twins ") && out.contains("(default)"),
        "{out}"
    );
    assert!(
        errors.contains("broken.toml:1") && errors.contains("invalid.toml:8"),
        "{errors}"
    );
    let (code, out, _) = run(&["list", "--format", "json"]);
    assert_eq!(code, Exit::Usage as i32);
    let listed: Vec<serde_json::Value> = serde_json::from_str(&out).unwrap();
    assert_eq!(listed.len(), 1);
    assert_eq!(listed[0]["name"], "twins");
    assert_eq!(listed[0]["title"], "ResNet-20 and its plain twin");
    assert_eq!(listed[0]["kind"], "curves");
    assert_eq!(listed[0]["profiles"][0], "default");
    let (code, out, errors) = run(&["clean"]);
    assert_eq!(code, 0, "{errors}");
    assert!(out.starts_with("no runs to remove"), "{out}");
    assert!(errors.contains("broken.toml:1"), "{errors}");
    let (code, _, errors) = run(&["report", "--all"]);
    assert_eq!(code, Exit::Usage as i32, "{errors}");
    assert!(errors.contains("broken.toml:1"), "{errors}");
    let (code, _, errors) = run(&["report", "twins", "--profile", "defualt"]);
    assert_eq!(code, Exit::Usage as i32, "{errors}");
    assert!(errors.contains("did you mean \"default\"?"), "{errors}");
    // The others can be used by name.
    let (code, _, errors) = run(&["plan", "twins"]);
    assert_eq!(code, 0, "{errors}");
}

#[cfg(unix)]
#[test]
fn what_is_called_like_a_manifest_and_is_no_file_is_broken() {
    use std::os::unix::fs::symlink;

    let (folder, _) = folder_with(&[("twins", TWINS)]);
    let place = |name: &str| folder.path().join(name);
    std::fs::create_dir(place("folder.toml")).unwrap();
    symlink("nowhere", place("link.toml")).unwrap();
    let pipe = Command::new("mkfifo").arg(place("pipe.toml")).status();
    assert!(pipe.unwrap().success());
    // An editor's, while it has the file open.
    symlink("somebody@host.1", place(".#twins.toml")).unwrap();
    let catalogue = manifest::list(folder.path()).unwrap();
    assert_eq!(catalogue.experiments.len(), 1);
    let broken: Vec<&str> = (catalogue.broken.iter())
        .map(|broken| broken.why.as_str())
        .collect();
    assert_eq!(broken.len(), 3, "{broken:?}");
    for (why, name) in broken.iter().zip(["folder.toml", "link.toml", "pipe.toml"]) {
        assert!(why.contains(name), "{why}");
    }
}

#[test]
fn clean_asks_before_it_removes_what_a_broken_manifest_may_use() {
    let (folder, path) = folder_with(&[("twins", TWINS), ("broken", "")]);
    let empty = tempfile::tempdir().unwrap();
    // A run of another recipe.
    let set = ["recipe.batch=64".to_string()];
    let other = Experiment::load(&path, "default", &set).unwrap();
    let processor = Processor::Cpu(Instructions::Avx2);
    let plans = plan::runs(&other, &[1], "d1", processor).unwrap();
    let results = empty.path().join("results");
    let notes = Notes {
        experiment: "twins".into(),
        ..Notes::default()
    };
    drop(RunDirectory::open(&results, &plans[0], &notes, false).unwrap());
    let kept = results.join(plans[0].folder());
    let output = refig(&["clean", "--yes"], folder.path(), empty.path());
    let errors = text(&output.stderr);
    assert_eq!(output.status.code(), Some(Exit::Usage as i32), "{errors}");
    assert!(errors.contains("--yes: ") && kept.is_dir(), "{errors}");
    std::fs::remove_file(folder.path().join("broken.toml")).unwrap();
    let output = refig(&["clean", "--yes"], folder.path(), empty.path());
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
    assert!(!kept.exists());
}

#[test]
fn a_folder_that_does_not_exist_is_an_error_and_not_an_empty_list() {
    let empty = tempfile::tempdir().unwrap();
    let missing = empty.path().join("nowhere");
    for error in [
        manifest::list(&missing).unwrap_err(),
        manifest::find(&missing, "fig6").unwrap_err(),
    ] {
        assert_eq!(Exit::of(&error), Exit::Usage);
        let said = error.to_string();
        assert!(
            said.contains("nowhere") && said.contains("--experiments-dir"),
            "{said}"
        );
    }
    for args in [&["list"][..], &["clean"], &["report", "--all"]] {
        let output = refig(args, &missing, empty.path());
        let said = text(&output.stderr);
        assert_eq!(output.status.code(), Some(Exit::Usage as i32), "{said}");
        assert!(said.contains("nowhere"), "{args:?}: {said}");
    }
}
