//! What `plan` prints: runs with their iterations, images, time, memory and disk.

use std::path::Path;

use serde_json::{Value, json};

use super::target::Target;
use crate::counted::counted;
use crate::data::{self, Prospect};
use crate::duration::duration;
use crate::orchestrate::jobs::memory;
use crate::orchestrate::{Left, Schedule};
use crate::origin::DataName;
use crate::outln;

/// Prints a plan for runs in `results_dir`, where so many bytes are `free`.
pub fn show(
    target: &Target,
    data: &Prospect,
    schedule: &Schedule,
    results_dir: &Path,
    free: Option<u64>,
) {
    let experiment = &target.experiment;
    outln!(
        "{} at profile {} ({}) on {}",
        experiment.name,
        experiment.profile,
        target.why,
        data.description
    );
    show_runs(schedule);
    if schedule.mean_image_seconds > 0.0 {
        outln!(
            "  mean image: about {}, once for all runs",
            duration(schedule.mean_image_seconds)
        );
    }
    outln!(
        "  total: about {} for {}",
        duration(schedule.seconds()),
        counted(schedule.iterations() as usize, "iteration")
    );
    let published = match (data.absent && data.bytes > 0, experiment.data) {
        (false, _) => "",
        (true, DataName::Cifar10) => ", as published",
        (true, DataName::Imagenet) => {
            ", all of ImageNet; a part of it, named with --data-dir, takes less time and space"
        }
    };
    outln!(
        "  images: {} for training and {} for tests{published}",
        data.training_images,
        data.test_images
    );
    if let Some((run, bytes)) = schedule.memory() {
        let recipe = &run.recipe;
        outln!(
            "  memory: about {} MB{} for a step of {}, {} of {size}x{size}, and {} MB for loading and the program",
            bytes.div_ceil(1_000_000),
            if schedule.on_gpu { " of the GPU's" } else { "" },
            run.network.name,
            counted(recipe.micro_batch.unwrap_or(recipe.batch), "image"),
            memory::of_images(experiment.data).div_ceil(1_000_000),
            size = recipe.image_size
        );
    }
    let free = free.map_or_else(String::new, |bytes| format!(" of {} MB free", bytes >> 20));
    outln!(
        "  disk: at most {} MB{free} for {}",
        schedule.disk().div_ceil(1 << 20),
        results_dir.display()
    );
    outln!("  data: {}", disk_of_data(experiment.data, data));
    let trains = schedule.runs.iter().any(|run| run.left != Left::Nothing);
    match data.download {
        _ if !trains => outln!("  download: nothing, since nothing is left to train"),
        0 => outln!("  download: nothing"),
        bytes => outln!(
            "  download: {} MB into {}",
            bytes.div_ceil(1_000_000),
            data::cache_folder().display()
        ),
    }
}

/// A line for each run, in columns as wide as what is in them.
fn show_runs(schedule: &Schedule) {
    let mut rows = vec![["run", "state", "iterations left", "time left"].map(String::from)];
    rows.extend(schedule.runs.iter().map(|scheduled| {
        let all = scheduled.run.recipe.iterations;
        [
            scheduled.run.folder(),
            scheduled.left.to_string(),
            format!("{} of {all}", scheduled.iterations()),
            duration(scheduled.seconds),
        ]
    }));
    let widths: [usize; 4] = std::array::from_fn(|column| {
        let lengths = rows.iter().map(|row| row[column].len());
        lengths.max().unwrap_or(0)
    });
    let [first, second, third, fourth] = widths;
    for [run, state, iterations, time] in &rows {
        outln!("  {run:<first$}  {state:<second$}  {iterations:>third$}  {time:>fourth$}");
    }
}

/// What the data takes on disk.
fn disk_of_data(name: DataName, data: &Prospect) -> String {
    let megabytes = data.bytes.div_ceil(1_000_000);
    match (data.absent, data.bytes, name) {
        (_, 0, _) => "made by this program".into(),
        (false, ..) => format!("{megabytes} MB of images, already there"),
        (true, _, DataName::Cifar10) => format!("{megabytes} MB of images, once unpacked"),
        (true, bytes, DataName::Imagenet) => format!(
            "about {} GB of archives, not here yet; `data prepare` writes as much",
            bytes.div_ceil(1_000_000_000)
        ),
    }
}

/// The plan with the keys that `refig plan --help` lists.
pub fn plan_json(
    target: &Target,
    data: &Prospect,
    schedule: &Schedule,
    free: Option<u64>,
) -> Value {
    let runs = schedule.runs.iter().map(|scheduled| {
        json!({
            "folder": scheduled.run.folder(),
            "state": match scheduled.left {
                Left::All => "new",
                Left::After(_) => "partial",
                Left::Nothing => "done",
            },
            "iterations": scheduled.run.recipe.iterations,
            "iterations_left": scheduled.iterations(),
            "seconds": scheduled.seconds,
        })
    });
    let iterations = schedule.runs.iter().map(|run| run.run.recipe.iterations);
    json!({
        "experiment": target.experiment.name,
        "profile": target.experiment.profile,
        "why": target.why,
        "data": data.description,
        "runs": runs.collect::<Vec<Value>>(),
        "iterations": iterations.sum::<u64>(),
        "iterations_left": schedule.iterations(),
        "images": {
            "training": data.training_images,
            "test": data.test_images,
        },
        "seconds": schedule.seconds(),
        "mean_image_seconds": schedule.mean_image_seconds,
        "memory_bytes": schedule.memory().map(|(_, bytes)| bytes),
        "loading_memory_bytes": memory::of_images(target.experiment.data),
        "disk_bytes": schedule.disk(),
        "disk_free_bytes": free,
        "data_bytes": data.bytes,
        "download_bytes": data.download,
    })
}
