//! A run's directory: one owner, falling back, refusing by name, and what others read from it.

mod common;

use std::path::{Path, PathBuf};

use common::{LAST, evaluation, iteration, notes, plan, plan_on, rows_of, train, weights};
use refig::exit::Exit;
use refig::plan::RunPlan;
use refig::processor::{Instructions, Processor};
use refig::record::{Ending, Recorder, Statistics};
use refig::run::disk::Disk;
use refig::run::{Resume, RunDirectory, find, space};
use refig::weights::Weights;

fn open(results: &Path, plan: &RunPlan) -> anyhow::Result<RunDirectory> {
    RunDirectory::open(results, plan, &notes(), false)
}

/// The exit code and the words of a failure.
fn failure<T: std::fmt::Debug>(result: anyhow::Result<T>) -> (Exit, String) {
    let error = result.unwrap_err();
    (Exit::of(&error), format!("{error:#}"))
}

/// A run with checkpoints at iterations 1 and 2.
fn partial(results: &Path, plan: &RunPlan) -> PathBuf {
    let mut run = open(results, plan).unwrap();
    assert_eq!(run.resume().unwrap(), Resume::New);
    for place in 1..=2 {
        let state = weights(place as f32);
        run.iteration(iteration(place, &state)).unwrap();
        run.evaluation(evaluation(place, &state, Statistics::Moving))
            .unwrap();
        run.checkpoint(place, &state, "{\"iteration\":0}").unwrap();
    }
    // Not kept, and so made again.
    run.iteration(iteration(3, &weights(9.0))).unwrap();
    run.folder().to_path_buf()
}

fn flip_a_bit(path: &Path) {
    let mut bytes = std::fs::read(path).unwrap();
    let last = bytes.len() - 2;
    bytes[last] ^= 4;
    std::fs::write(path, bytes).unwrap();
}

#[test]
fn a_run_goes_on_from_its_last_checkpoint() {
    let results = tempfile::tempdir().unwrap();
    let folder = partial(results.path(), &plan());
    assert!(folder.ends_with(plan().folder()));
    let mut run = open(results.path(), &plan()).unwrap();
    let Resume::At(checkpoint) = run.resume().unwrap() else {
        panic!("nothing to go on from");
    };
    assert_eq!(checkpoint.iteration, 2);
    assert_eq!(checkpoint.state, weights(2.0));
    assert_eq!(checkpoint.loop_state, "{\"iteration\":0}");
    assert!(run.warnings().is_empty());
    let error = run.iteration(iteration(5, &weights(1.0))).unwrap_err();
    assert!(error.to_string().contains("5 was recorded after 2"));
}

#[test]
fn a_second_owner_is_refused_by_name_and_the_lock_dies_with_the_first() {
    let results = tempfile::tempdir().unwrap();
    let first = open(results.path(), &plan()).unwrap();
    let (exit, message) = failure(open(results.path(), &plan()));
    assert_eq!(exit, Exit::Busy);
    let folder = plan().folder();
    assert!(
        message.contains(&folder) && message.contains(&format!("process {}", std::process::id())),
        "{message}"
    );
    let view = find(results.path()).unwrap().remove(0);
    assert_eq!(failure(view.remove(results.path())).0, Exit::Busy);
    drop(first);
    open(results.path(), &plan()).unwrap();
}

#[test]
fn a_damaged_checkpoint_gives_way_to_the_one_before_and_two_are_an_error() {
    let results = tempfile::tempdir().unwrap();
    let folder = partial(results.path(), &plan());
    flip_a_bit(&folder.join("checkpoint.safetensors"));
    let mut run = open(results.path(), &plan()).unwrap();
    let Resume::At(checkpoint) = run.resume().unwrap() else {
        panic!("nothing to go on from");
    };
    assert_eq!(checkpoint.iteration, 1);
    assert_eq!(checkpoint.state, weights(1.0));
    assert!(
        run.warnings()[0].contains("damaged"),
        "{:?}",
        run.warnings()
    );
    assert!(!folder.join("parts/iterations-000002.parquet").exists());
    let log = std::fs::read_to_string(folder.join("log")).unwrap();
    assert!(log.contains("damaged"), "{log}");
    // The next checkpoint leaves a whole one behind it.
    run.iteration(iteration(2, &weights(2.0))).unwrap();
    run.checkpoint(2, &weights(2.0), "").unwrap();
    drop(run);
    flip_a_bit(&folder.join("checkpoint.safetensors"));
    flip_a_bit(&folder.join("checkpoint.previous.safetensors"));
    // A look asks the progress file alone.
    assert_eq!(find(results.path()).unwrap()[0].iteration, 2);
    let (exit, message) = failure(open(results.path(), &plan()).unwrap().resume());
    assert_eq!(exit, Exit::Storage);
    for word in [
        "checkpoint.safetensors",
        "checkpoint.previous.safetensors",
        "remove the run's folder",
    ] {
        assert!(message.contains(word), "{message}");
    }
    let fresh = RunDirectory::open(results.path(), &plan(), &notes(), true);
    assert_eq!(fresh.unwrap().resume().unwrap(), Resume::New);
}

#[test]
fn a_damaged_part_counts_as_a_damaged_checkpoint() {
    let results = tempfile::tempdir().unwrap();
    let folder = partial(results.path(), &plan());
    std::fs::remove_file(folder.join("parts/evaluations-000002.parquet")).unwrap();
    let mut run = open(results.path(), &plan()).unwrap();
    assert!(matches!(run.resume().unwrap(), Resume::At(found) if found.iteration == 1));
    assert!(run.warnings()[0].contains("evaluations-000002.parquet"));
}

#[test]
fn newer_formats_are_refused_by_name() {
    let results = tempfile::tempdir().unwrap();
    let folder = partial(results.path(), &plan());
    let refused = |name: &str| {
        let (exit, message) =
            failure(open(results.path(), &plan()).and_then(|mut run| run.resume()));
        assert_eq!(exit, Exit::Storage);
        assert!(
            message.contains(name) && message.contains("newer"),
            "{message}"
        );
    };
    let path = folder.join("run.toml");
    let text = std::fs::read_to_string(&path).unwrap();
    common::write_sealed(&path, &text.replace("format = 2", "format = 3"));
    refused("run.toml");
    std::fs::write(&path, text).unwrap();

    let path = folder.join("checkpoint.safetensors");
    let bytes = std::fs::read(&path).unwrap();
    let mut newer = Weights::from_bytes(&bytes).unwrap();
    let header: serde_json::Value = serde_json::from_str(&newer.metadata).unwrap();
    let digest = header["sha256"].as_str().unwrap();
    newer.metadata = newer.metadata.replace("\"format\":2", "\"format\":3");
    newer.metadata = newer.metadata.replace(digest, "");
    let filled = refig::digest::sha256(&newer.to_bytes().unwrap());
    let empty = "\"sha256\":\"";
    newer.metadata = newer.metadata.replace(empty, &format!("{empty}{filled}"));
    newer.save(&path).unwrap();
    refused("checkpoint.safetensors");
    std::fs::write(&path, bytes).unwrap();

    let done = r#"{"format":3,"outcome":"split","iteration":2,"time":""}"#;
    std::fs::write(folder.join("done.json"), done).unwrap();
    refused("done.json");
}

#[test]
fn another_instruction_set_is_refused_by_name_until_a_fresh_start() {
    let results = tempfile::tempdir().unwrap();
    partial(results.path(), &plan());
    let other = plan_on(Processor::Cpu(Instructions::Avx512));
    let (exit, message) = failure(open(results.path(), &other));
    assert_eq!(exit, Exit::Storage);
    for word in [
        plan().folder().as_str(),
        "avx2",
        "avx512",
        "iteration 2",
        "--fresh",
    ] {
        assert!(message.contains(word), "{message}");
    }
    RunDirectory::open(results.path(), &other, &notes(), true).unwrap();
    assert_eq!(find(results.path()).unwrap().len(), 2, "the old run stays");
    // A finished run is in nobody's way.
    let results = tempfile::tempdir().unwrap();
    train(Disk::default(), results.path(), false).unwrap();
    open(results.path(), &other).unwrap();
}

#[test]
fn a_run_measured_otherwise_is_not_mixed_with_the_first() {
    let results = tempfile::tempdir().unwrap();
    partial(results.path(), &plan());
    let mut entry = common::entry();
    entry.recipe.evaluation.interval = 1;
    let otherwise = RunPlan::new(
        &entry,
        3,
        "quick",
        "feed",
        Processor::Cpu(Instructions::Avx2),
    )
    .unwrap();
    assert_eq!(otherwise.folder(), plan().folder());
    let (_, message) = failure(open(results.path(), &otherwise));
    assert!(message.contains("recipe.evaluation"), "{message}");
    let results = tempfile::tempdir().unwrap();
    train(Disk::default(), results.path(), false).unwrap();
    let mut run = open(results.path(), &otherwise).unwrap();
    assert_eq!(run.resume().unwrap(), Resume::Done(Ending::Finished));
    assert!(run.warnings()[0].contains("evaluated differently"));
}

#[test]
fn a_finished_run_says_all_about_itself_and_needs_no_weights() {
    let results = tempfile::tempdir().unwrap();
    train(Disk::default(), results.path(), false).unwrap();
    let run = find(results.path()).unwrap().remove(0);
    assert_eq!(run.plan(), &plan());
    assert_eq!(run.file.notes, notes());
    assert!(run.file.start.rustc.starts_with("rustc"));
    assert!(!run.file.start.cpu.is_empty() && !run.file.start.time.is_empty());
    assert_eq!(rows_of(&run).iterations.len() as u64, LAST);
    assert_eq!(rows_of(&run).evaluations.len(), 4);
    let weights = Weights::load(&run.weights().unwrap()).unwrap();
    let metadata: serde_json::Value = serde_json::from_str(&weights.metadata).unwrap();
    assert_eq!(metadata["network"]["name"], "plain-20");
    assert_eq!(metadata["identity"], plan().identity());
    let records = run.folder.join("iterations.parquet");
    let inside = refig::record::parquet::read_provenance(&records).unwrap();
    assert_eq!(inside["identity"], plan().identity());
    assert_eq!(inside["overrides"], "recipe.iterations=8");

    std::fs::remove_file(run.weights().unwrap()).unwrap();
    let mut again = open(results.path(), &plan()).unwrap();
    assert_eq!(again.resume().unwrap(), Resume::Done(Ending::Finished));
    assert!(find(results.path()).unwrap()[0].ending.is_final());
}

#[test]
fn a_partial_run_shows_the_rows_that_will_stay() {
    let results = tempfile::tempdir().unwrap();
    partial(results.path(), &plan());
    let before = files(results.path());
    let run = find(results.path()).unwrap().remove(0);
    assert_eq!((run.ending, run.iteration), (Ending::Partial, 2));
    assert_eq!(rows_of(&run).iterations.len(), 2);
    assert_eq!(rows_of(&run).evaluations.len(), 2);
    assert_eq!(run.weights(), None);
    assert_eq!(files(results.path()), before, "looking changed something");
}

/// Every path with its bytes.
fn files(folder: &Path) -> Vec<(PathBuf, Vec<u8>)> {
    walkdir::WalkDir::new(folder)
        .sort_by_file_name()
        .into_iter()
        .map(|entry| entry.unwrap().into_path())
        .map(|path| (path.clone(), std::fs::read(&path).unwrap_or_default()))
        .collect()
}

#[test]
fn a_diverged_run_is_done() {
    let results = tempfile::tempdir().unwrap();
    let mut run = open(results.path(), &plan()).unwrap();
    run.resume().unwrap();
    let mut row = iteration(1, &weights(1.0));
    row.loss = f64::NAN;
    run.iteration(row).unwrap();
    run.finish(Ending::Diverged, &weights(f32::NAN)).unwrap();
    drop(run);
    let run = find(results.path()).unwrap().remove(0);
    assert_eq!((run.ending, run.iteration), (Ending::Diverged, 1));
    assert!(rows_of(&run).iterations[0].loss.is_nan());
}

#[test]
fn a_run_is_removed_alone() {
    let results = tempfile::tempdir().unwrap();
    train(Disk::default(), results.path(), false).unwrap();
    drop(
        open(
            results.path(),
            &plan_on(Processor::Cpu(Instructions::Portable)),
        )
        .unwrap(),
    );
    let mut gone = find(results.path()).unwrap();
    gone.retain(|run| !run.plan().same_run(&plan()));
    assert_eq!(gone.len(), 1);
    gone[0].remove(results.path()).unwrap();
    assert!(!gone[0].folder.exists());
    assert_eq!(find(results.path()).unwrap().len(), 1);
    assert_eq!(find(&results.path().join("nowhere")).unwrap(), []);
}

#[test]
fn a_run_without_room_is_refused_before_it_begins() {
    let folder = Path::new("results");
    let needed = space::needed(&plan());
    // Weights and velocity of plain-20 in three checkpoints, and the weights.
    assert!(needed > 7 * 4 * 269_722 && needed < 20 << 20, "{needed}");
    assert!(space::available(folder).unwrap() > 0);
    let (exit, message) = failure(space::check(folder, needed, Some(needed - 1)));
    assert_eq!(exit, Exit::Storage);
    assert!(message.contains("MB needed") && message.contains("--results-dir"));
    space::check(folder, needed, Some(needed)).unwrap();
}

#[test]
fn a_folder_that_cannot_be_written_is_named_with_a_way_out() {
    let results = tempfile::tempdir().unwrap();
    let file = results.path().join("file");
    std::fs::write(&file, "").unwrap();
    let (exit, message) = failure(open(&file, &plan()));
    assert_eq!(exit, Exit::Storage);
    assert!(
        message.contains("file") && message.contains("--results-dir"),
        "{message}"
    );
}
