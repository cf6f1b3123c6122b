//! What runs write: records, weights, the text files of a run's folder, packs; and recorded training steps.

use std::path::{Path, PathBuf};

use refig::measure::parity::Recording;
use refig::record::parquet::{evaluations_from, iterations_from, provenance_from};
use refig::record::{Recorder, Statistics};
use refig::run::disk::Disk;
use refig::run::{RunDirectory, RunView, WeightsHeader, pack, unpack};
use refig::weights::Weights;

use super::common::{evaluation, iteration, notes, plan, train, weights};
use super::hold::{Files, Kind, folder, sealed};

/// The folder of a finished run.
fn finished(results: &Path) -> PathBuf {
    train(Disk::default(), results, false).unwrap();
    results.join(plan().folder())
}

/// The folder of a run with checkpoints at iterations 2 and 4.
fn partial(results: &Path) -> PathBuf {
    let mut run = RunDirectory::open(results, &plan(), &notes(), false).unwrap();
    run.resume().unwrap();
    for place in 1..=4 {
        let state = weights(place as f32);
        run.iteration(iteration(place, &state)).unwrap();
        if place % 2 == 0 {
            run.evaluation(evaluation(place, &state, Statistics::Moving))
                .unwrap();
            run.checkpoint(place, &state, "{}").unwrap();
        }
    }
    run.folder().to_path_buf()
}

fn read(path: &Path) -> Vec<u8> {
    std::fs::read(path).unwrap()
}

#[test]
fn records() {
    let kind = Kind::new("records", 150);
    let results = folder();
    let run = finished(results.path());
    let mut files = vec![
        read(&run.join("iterations.parquet")),
        read(&run.join("evaluations.parquet")),
    ];
    // Of a real run, with more than one kind of evaluation.
    let real = walkdir::WalkDir::new("results").sort_by_file_name();
    let real = real.into_iter().flatten().map(|entry| entry.into_path());
    let mut real = real.filter(|path| path.ends_with("evaluations.parquet"));
    files.push(read(&real.next().unwrap()));
    let path = Path::new("records.parquet");
    assert!(iterations_from(path, files[0].clone()).is_ok());
    assert!(evaluations_from(path, files[1].clone()).is_ok());
    assert!(evaluations_from(path, files[2].clone()).is_ok());
    kind.hold(&files, |which, bytes| {
        provenance_from(path, bytes)?;
        match which {
            0 => iterations_from(path, bytes.to_vec()).map(drop),
            _ => evaluations_from(path, bytes.to_vec()).map(drop),
        }
    });
}

#[test]
fn tensors() {
    let kind = Kind::new("tensors", 150);
    let results = folder();
    let finished = finished(results.path());
    let others = folder();
    let partial = partial(others.path());
    let files = [
        read(&finished.join("weights.safetensors")),
        read(&partial.join("checkpoint.safetensors")),
    ];
    kind.hold(&files, |_, bytes| {
        let weights = Weights::from_bytes(bytes)?;
        weights.to_bytes()?;
        WeightsHeader::of(&weights, Path::new("w.safetensors")).map(drop)
    });
}

#[test]
fn recordings() {
    let kind = Kind::new("recordings", 10);
    let files = [
        read(Path::new("tests/fixtures/plain-8.safetensors")),
        read(Path::new("tests/fixtures/resnet-8-a.safetensors")),
    ];
    kind.hold(&files, |_, bytes| {
        let weights = Weights::from_bytes(bytes)?;
        Recording::of(Path::new("r.safetensors"), &weights).map(drop)
    });
}

#[test]
fn folders() {
    let kind = Kind::new("folders", 40);
    let (one, other) = (folder(), folder());
    let (ended, begun) = (finished(one.path()), partial(other.path()));
    let files = Files::of(vec![
        ended.join("run.toml"),
        ended.join("done.json"),
        begun.join("run.toml"),
        begun.join("progress.json"),
    ]);
    kind.hold(files.whole(), |which, bytes| {
        // Half of them with the digest that belongs to what is in them: it keeps out what is damaged, not what is forged.
        let forged = bytes.len().is_multiple_of(2).then(|| sealed(bytes));
        let bytes = forged.flatten().unwrap_or_else(|| bytes.to_vec());
        files.with(which, &bytes, || {
            let run = files.path(which).parent().unwrap();
            if let Some(view) = RunView::look(run)? {
                view.load_weights()?;
                view.read()?;
            }
            Ok(())
        })
    });
}

#[test]
fn packs() {
    let kind = Kind::new("packs", 3);
    let (ended, begun, place) = (folder(), folder(), folder());
    let whole = place.path().join("run.tar");
    let mut packs = Vec::new();
    for (results, run) in [
        (ended.path(), finished(ended.path())),
        (begun.path(), partial(begun.path())),
    ] {
        pack(results, &run, &whole).unwrap();
        packs.push(read(&whole));
    }
    kind.hold(&packs, |_, bytes| {
        let results = folder();
        std::fs::write(&whole, super::data::summed(bytes)).unwrap();
        let done = unpack(&whole, results.path()).map(drop);
        // Nothing beside the results' folder, and no half of a run in it.
        assert_eq!(std::fs::read_dir(place.path()).unwrap().count(), 1);
        if done.is_err() {
            assert!(refig::run::find(results.path()).unwrap().is_empty());
        }
        done
    });
}
