//! Values that cannot be trained with.

use std::path::Path;

use refig::manifest::Experiment;

use super::refused::{refused, refused_in, set_refused};

#[test]
fn recipes() {
    refused(
        "drops = [3200, 4800]",
        "drops = [4800, 3200]",
        &["[4800, 3200]", "ascending", "sort"],
    );
    refused(
        "image_size = 16",
        "image_size = 24",
        &["image_size = 24", "32, 16 or 8"],
    );
    refused(
        "group = 0",
        "group = 48",
        &["group = 48", "does not divide"],
    );
    refused(
        "interval = 640",
        "interval = 0",
        &["evaluation.interval = 0"],
    );
    refused(
        "until_error_below = 80",
        "until_error_below = 800",
        &["at most 100"],
    );
    refused("seeds = [1]", "seeds = [1, 2, 1]", &["[1, 2, 1]", "twice"]);
    refused(
        "statistics_images = 640",
        "statistics_images = 64000",
        &["64000", "50000"],
    );
    // Other profiles are checked, too.
    refused("iterations = 120", "iterations = 0", &["iterations = 0"]);
}

#[test]
fn crops_that_cannot_be_taken() {
    for (crop, says) in [
        (
            "shorter_side = [300, 200]",
            "crop.shorter_side = [300, 200]; use [smallest, largest]",
        ),
        (
            "shorter_side = [63, 99]",
            "crop.shorter_side = 63; use 64 to 4096",
        ),
        ("test_side = 9999", "crop.test_side = 9999; use 64 to 4096"),
        (
            "colour = { deviation = -1.0 }",
            "crop.colour.deviation = -1; use 0 to 10",
        ),
        ("colours = {}", "unknown field `colours`"),
    ] {
        let find = "crop = { shorter_side = [73, 137], test_side = 73 }   # the same";
        let with_crop = format!("crop = {{ {crop} }}   # the same");
        let (line, error) = refused_in("fig4.toml", find, &with_crop);
        assert!(error.contains(&format!("fig4.toml:{line}:")), "{error}");
        assert!(error.contains(says), "{says} is not in: {error}");
    }
    let said = set_refused("recipe.crop.test_side=256");
    assert!(said.contains("data = \"imagenet\""), "{said}");
}

/// Responses of `count` images to the networks of Fig. 4.
fn responses_on_imagenet(count: usize) -> anyhow::Result<Experiment> {
    let folder = tempfile::tempdir().unwrap();
    for file in ["fig4.toml", "reference/fig4.csv"] {
        let to = folder.path().join(file);
        std::fs::create_dir_all(to.parent().unwrap()).unwrap();
        std::fs::copy(Path::new("experiments").join(file), to).unwrap();
    }
    let path = folder.path().join("own.toml");
    let text = format!(
        r#"name = "own"
title = "responses"
kind = "responses"
runs_from = "fig4"
responses = {{ images = "training", count = {count}, statistics = "population", pooling = "layer" }}
panels = [{{ title = "layers", networks = ["plain-18"], order = "original" }}]
"#
    );
    std::fs::write(&path, text).unwrap();
    Experiment::load(&path, "paper", &[])
}

#[test]
fn no_more_images_are_asked_for_than_the_data_set_has() {
    let find = "interval = 200, statistics_images = 2000";
    let many = "interval = 200, statistics_images = 1281168";
    let (line, error) = refused_in("fig4.toml", find, many);
    assert!(error.contains(&format!("fig4.toml:{line}:")), "{error}");
    let says = "evaluation.statistics_images = 1281168; use 1 to 1281167";
    assert!(error.contains(says), "{error}");
    let all = [
        "recipe.evaluation.statistics_images=1281167".to_owned(),
        "recipe.evaluation.clean_images=1281167".to_owned(),
    ];
    Experiment::load(Path::new("experiments/fig4.toml"), "paper", &all).unwrap();

    responses_on_imagenet(1_281_167).unwrap();
    let error = responses_on_imagenet(1_281_168).unwrap_err().to_string();
    let says = "own.toml:5: count = 1281168; use 1 to 1281167";
    assert!(error.contains(says), "{error}");
}

#[test]
fn sizes_have_limits() {
    let large = "4611686018427387904";
    for (find, field, most) in [
        ("iterations = 6400", "iterations", "100000000"),
        ("batch = 64", "batch", "50000"),
        ("interval = 640", "evaluation.interval", "100000000"),
        (
            "statistics_images = 5000",
            "evaluation.statistics_images",
            "50000",
        ),
        ("clean_images = 5000", "evaluation.clean_images", "50000"),
        ("window = 20", "warm_up.window", "100000000"),
        ("group = 0", "batch_norm.group", "50000"),
        ("image_size = 16", "image_size", "32"),
        ("pad = 2", "augmentation.pad", "16"),
    ] {
        let key = find.split(" = ").next().unwrap();
        let said = format!("{field} = {large}; use ");
        let end = format!(" to {most}");
        refused(find, &format!("{key} = {large}"), &[&said, &end]);
        // TOML's integers end at 64 bits with a sign.
        let beyond = "18446744073709551615";
        let said = format!("{beyond} is out of range");
        refused(find, &format!("{key} = {beyond}"), &[&said]);
    }
    refused(
        "seeds = [1]",
        "seeds = [18446744073709551615]",
        &["18446744073709551615 is out of range; use at most 9223372036854775807"],
    );
    refused(
        "error_axis = [0, 20]",
        "training_window = 4611686018427387904",
        &["training_window = 4611686018427387904; use 1 to 100000000"],
    );
    refused(
        "error_axis = [0, 20]",
        "error_axis = [0, inf]",
        &["[0, inf]"],
    );
    refused(
        "\"resnet-20\", \"resnet-32\",",
        "\"resnet-99999998\", \"resnet-32\",",
        &["99999998 layers are too many; use at most 20000"],
    );
    for (argument, says) in [
        ("recipe.batch=99999999999999999999", "is out of range"),
        ("seeds=[18446744073709551615]", "is out of range"),
        ("seeds=[1, 1]", "lists a seed twice"),
        ("seeds=[]", "no seeds"),
        (
            "recipe.iterations=9223372036854775807",
            "use 1 to 100000000",
        ),
        ("recipe.evaluation.statistics_batch=0", "use 1 to 50000"),
        ("recipe.micro_batch=0", "use 1 to 50000"),
        ("recipe.micro_batch=24", "does not divide batch = 64"),
    ] {
        let said = set_refused(argument);
        let place = format!("--set {argument}: ");
        assert!(said.starts_with(&place) && said.contains(says), "{said}");
    }
}

#[test]
fn numbers_that_cannot_be_trained_with() {
    for value in ["nan", "inf", "-0.1", "0", "1e300", "1e-300"] {
        let find = "learning_rate = 0.02";
        refused(find, &format!("learning_rate = {value}"), &["above 0"]);
    }
    for argument in [
        "recipe.weight_decay=-1",
        "recipe.weight_decay=inf",
        "recipe.drop_factor=inf",
        "recipe.drop_factor=nan",
        "recipe.momentum=2",
        "recipe.momentum=nan",
        "recipe.batch_norm.epsilon=1e-300",
        "recipe.batch_norm.momentum=-inf",
        "recipe.initialisation.residual_scale=nan",
        "recipe.initialisation.residual_scale=-1",
    ] {
        let (field, _) = argument.split_once('=').unwrap();
        let field = field.strip_prefix("recipe.").unwrap();
        let said = set_refused(argument);
        assert!(
            said.contains(&format!("--set {argument}: {field} = ")) && said.contains("; use "),
            "{said}"
        );
    }
    refused(
        "tolerance = 0.5",
        "tolerance = inf",
        &["tolerance = inf for resnet-20"],
    );
}

#[test]
fn the_learning_rate_drops_before_the_end_or_not_at_all() {
    refused(
        "drops = [3200, 4800]",
        "drops = [3200, 6400]",
        &[
            "drops = [3200, 6400]",
            "at 6400 is not before the end",
            "drops = [3200, 4800], or drops = []",
        ],
    );
    // Only the iterations were changed, and the drops are the paper's.
    refused(
        "iterations = 6400\ndrops = [3200, 4800]",
        "iterations = 6400",
        &[
            "iterations = 6400 with drops = [32000, 48000]",
            "drops = []",
        ],
    );
    let said = set_refused("recipe.iterations=100");
    assert!(
        said.contains("--set recipe.iterations=100: iterations = 100 with drops = [360, 540]")
            && said.contains("e.g. drops = [50, 75]"),
        "{said}"
    );
    let path = Path::new("experiments/fig6.toml");
    let set = ["recipe.iterations=100", "recipe.drops=[]"].map(String::from);
    let constant = Experiment::load(path, "quick", &set).unwrap();
    assert_eq!(constant.recipe.drops, [0_u64; 0]);
}
