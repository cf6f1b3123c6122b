//! Manifests, plans, site files, baselines, verdicts and the paper's curves.

use std::path::{Path, PathBuf};

use refig::console::one_line;
use refig::exit::Exit;
use refig::judge::{Baseline, PaperCurves};
use refig::manifest;
use refig::orchestrate::launch::Site;
use refig::orchestrate::plan_file::{self, FrozenPlan};
use refig::plan::{self, RunPlan};
use refig::processor::{Instructions, Processor};
use refig::publish::page::site;

use super::common;
use super::hold::{Files, Kind, folder, sealed};

/// The files of a folder with this ending, in order.
fn ending(folder: &str, ending: &str) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder).unwrap();
    let mut paths: Vec<PathBuf> = entries.map(|entry| entry.unwrap().path()).collect();
    paths.retain(|path| path.extension().is_some_and(|own| own == ending));
    paths.sort();
    paths
}

/// Copies files into a folder.
fn copied(paths: &[PathBuf], folder: &Path) -> Vec<PathBuf> {
    let copy = |path: &PathBuf| {
        let to = folder.join(path.file_name().unwrap());
        std::fs::copy(path, &to).unwrap();
        to
    };
    paths.iter().map(copy).collect()
}

#[test]
fn manifests() {
    let kind = Kind::new("manifests", 10);
    let folder = folder();
    let reference = folder.path().join("reference");
    std::fs::create_dir(&reference).unwrap();
    for kind in ["csv", "toml"] {
        copied(&ending("experiments/reference", kind), &reference);
    }
    let files = Files::of(copied(&ending("experiments", "toml"), folder.path()));
    kind.hold(files.whole(), |which, bytes| {
        files.with(which, bytes, || {
            let path = files.path(which);
            let listed = manifest::listed(path)?;
            for profile in &listed.profiles {
                manifest::Experiment::load(path, profile, &[])?;
            }
            Ok(())
        })
    });
}

#[test]
fn plans() {
    let kind = Kind::new("plans", 150);
    let plan = serde_json::to_vec(&common::plan()).unwrap();
    let read = |bytes: &[u8]| serde_json::from_slice::<RunPlan>(bytes);
    assert!(read(&plan).is_ok());
    kind.hold(&[plan], |_, bytes| {
        // serde quotes the file; whoever reads a plan makes one line of it.
        let read = read(bytes).map_err(|error| Exit::Usage.error(one_line(&error.to_string())));
        read.map(drop)
    });
}

/// The files that `refig plan` writes.
#[test]
fn frozen() {
    let kind = Kind::new("frozen", 20);
    let folder = folder();
    let path = Path::new("experiments/construction.toml");
    let experiment = manifest::Experiment::load(path, "quick", &[]).unwrap();
    let processor = Processor::Cpu(Instructions::Avx2);
    let runs = plan::runs(&experiment, &[1], "d1", processor).unwrap();
    let path = folder.path().join("plan.toml");
    plan_file::write(&path, &FrozenPlan::new(&experiment, &runs, 2000)).unwrap();
    let files = Files::of(vec![path]);
    assert!(plan_file::read(files.path(0)).is_ok());
    kind.hold(files.whole(), |which, bytes| {
        // Half of them with the digest that belongs to what is in them, as for runs.
        let forged = bytes.len().is_multiple_of(2).then(|| sealed(bytes));
        let bytes = forged.flatten().unwrap_or_else(|| bytes.to_vec());
        files.with(which, &bytes, || {
            let plan = plan_file::read(files.path(which))?;
            assert!(plan.at(0).is_ok());
            Ok(())
        })
    });
}

#[test]
fn sites() {
    let kind = Kind::new("sites", 30);
    let documented = include_str!("../../docs/cluster.md");
    let (_, block) = documented.split_once("```toml\n").unwrap();
    let (block, _) = block.split_once("```").unwrap();
    assert!(Site::parse(block).is_ok());
    let others = "gpus = \"a100:2\"\nprogram = \"refig\"\n[options]\nnice = 10\n[report]\nexclusive = true\n";
    assert!(Site::parse(others).is_ok());
    let files = [block, others].map(|text| text.as_bytes().to_vec());
    kind.hold(&files, |_, bytes| {
        let text = String::from_utf8_lossy(bytes);
        let site = Site::parse(&text).map_err(|fault| Exit::Usage.error(fault))?;
        // What its script has of it.
        let _ = (site.gres(), site.others(true).count());
        Ok(())
    });
}

#[test]
fn baselines() {
    let kind = Kind::new("baselines", 30);
    let folder = folder();
    let files = Files::of(copied(
        &ending("experiments/baselines", "toml"),
        folder.path(),
    ));
    kind.hold(files.whole(), |which, bytes| {
        files.with(which, bytes, || Baseline::read(files.path(which)).map(drop))
    });
}

#[test]
fn verdicts() {
    let kind = Kind::new("verdicts", 30);
    let folder = folder();
    let found = walkdir::WalkDir::new("reports").sort_by_file_name();
    let found = found.into_iter().flatten().map(|entry| entry.into_path());
    let one = found
        .into_iter()
        .find(|path| path.ends_with("verdict.json"))
        .unwrap();
    let files = Files::of(copied(&[one], folder.path()));
    assert!(site::summary(folder.path()).unwrap().is_some());
    kind.hold(files.whole(), |which, bytes| {
        files.with(which, bytes, || site::summary(folder.path()).map(drop))
    });
}

#[test]
fn curves() {
    let kind = Kind::new("curves", 20);
    let files: Vec<Vec<u8>> = ending("experiments/reference", "csv")
        .iter()
        .map(|path| std::fs::read(path).unwrap())
        .collect();
    kind.hold(&files, |_, bytes| {
        let text = String::from_utf8_lossy(bytes);
        let curves = PaperCurves::parse(&text, "curves.csv")?;
        // What is drawn from them.
        let _ = (curves.sampling(), curves.limit());
        Ok(())
    });
}
