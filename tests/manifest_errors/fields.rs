//! Keys, types, and names of what the manifest has.

use std::path::Path;

use refig::exit::Exit;
use refig::manifest::Experiment;

use super::refused::{refused, refused_in};

#[test]
fn keys_and_types() {
    refused(
        "iterations = 6400",
        "iteration = 6400",
        &[
            "unknown field `iteration`; did you mean `iterations`?",
            "fix or remove",
        ],
    );
    refused(
        "iterations = 6400",
        "iterations = \"many\"",
        &["invalid type", "many", "a whole number of 0 or more"],
    );
    refused(
        "\"caffe\"",
        "\"nesterov\"",
        &["unknown value `nesterov`", "pytorch"],
    );
    refused("seeds = [1]", "seeds = [-1]", &["-1", "a whole number"]);
    refused("seeds = [1]", "seeds = 1", &["`1`", "expected a list"]);
    refused(
        "learning_rate = 0.02",
        "learning_rate = []",
        &["invalid type: list", "expected a number"],
    );
    refused(
        "title =",
        "tilte =",
        &["unknown field `tilte`; did you mean `title`?"],
    );
    refused("name = \"fig6\"", "name = fig6", &["fig6"]);
    refused(
        "warm_up = { learning_rate = 0.01,",
        "warm_up = { rate = 0.01,",
        &["unknown field `rate`"],
    );
    refused("warm_up = false", "warm_up = true", &["true", "or false"]);
}

#[test]
fn networks() {
    refused(
        "\"plain-44\", \"plain-56\",\n",
        "\"plain-45\", \"plain-56\",\n",
        &["plain-45", "not 6n+2", "44 and 50"],
    );
    refused(
        "optional_networks = [\"resnet-1202\"]",
        "optional_networks = [\"vgg-20\"]",
        &["unknown family \"vgg\"", "plain and resnet"],
    );
    refused(
        "\"plain-20\", \"plain-32\",",
        "\"plain-20\", \"plain-20\",",
        &["\"plain-20\" is listed twice", "remove"],
    );
    refused(
        "\"plain-20\", \"plain-32\",",
        "\"Plain-20\", \"plain-32\",",
        &["write \"plain-20\"", "\"Plain-20\""],
    );
    refused(
        "[exceptions.resnet-110]",
        "[exceptions.resnet-116]",
        &["exception for \"resnet-116\"", "not trained"],
    );
    refused(
        "[profiles.smoke]",
        "[profiles.quick.exceptions.resnet-116]\n[profiles.smoke]",
        &["exception for \"resnet-116\"", "not trained"],
    );
    refused(
        "networks = [\"resnet-110\", \"resnet-1202\"]",
        "networks = [\"resnet-110\", \"resnet-1208\"]",
        &["unknown network \"resnet-1208\"", "resnet-1202"],
    );
    refused(
        "\"plain-56\", \"resnet-20\"]",
        "\"plain-56\", \"resnet-26\"]",
        &["\"resnet-26\" is not in `networks`"],
    );
    refused(
        "name = \"fig6\"",
        "name = \"figure6\"",
        &["\"figure6\"", "does not match", "fig6.toml"],
    );
}

#[test]
fn panels_claims_expectations_and_style() {
    refused(
        "falls = [[\"plain-56\", \"plain-20\"]]",
        "falls = [[\"plain-62\", \"plain-20\"]]",
        &["\"plain-62\"", "not trained at profile"],
    );
    refused(
        "falls = [[\"plain-32\", \"resnet-32\"], [\"plain-44\", \"resnet-44\"], [\"plain-56\", \"resnet-56\"]]\nmargin = { tenth = 0, quick = 0 }",
        "falls = [[\"plain-32\", \"resnet-32\"]]\nmargin = { tenth = 0, smoke = 0 }",
        &["not trained at profile smoke"],
    );
    refused(
        "margin = { paper = 1,",
        "margin = { papre = 1,",
        &["profile \"papre\"", "paper, quick, smoke, tenth"],
    );
    refused(
        "falls = [[\"plain-56\", \"plain-20\"]]",
        "falls = [[\"plain-56\"]]",
        &["at least two networks"],
    );
    refused(
        "falls = [[\"plain-56\", \"plain-20\"]]",
        "falls = [[\"plain-56\", \"plain-20\", \"plain-20\"]]",
        &["compares plain-20 with itself"],
    );
    refused(
        "title = \"ResNet\"",
        "title = \"plain\"",
        &["duplicate panel title \"plain\""],
    );
    refused(
        "\"reference/fig6.csv\"",
        "\"reference/fig66.csv\"",
        &["file not found", "fig66.csv", "relative to the manifest"],
    );
    refused(
        "\"#e02020\"",
        "\"red\"",
        &["\"red\" is not a colour", "#rrggbb"],
    );
    refused("error_axis = [0, 20]", "error_axis = [20, 0]", &["[20, 0]"]);
    refused(
        "value = 8.75, tolerance = 0.5",
        "value = 8.75, tolerance = 0",
        &["tolerance = 0", "resnet-20"],
    );
    refused(
        "{ network = \"resnet-32\", metric = \"test-error\"",
        "{ network = \"resnet-20\", metric = \"test-error\"",
        &["duplicate expectation", "resnet-20"],
    );
    refused(
        "{ network = \"resnet-20\"",
        "{ network = \"resnet-26\"",
        &["resnet-26", "not trained"],
    );
}

#[test]
fn a_manifest_without_runs_of_its_own() {
    let (line, error) = refused_in("fig1.toml", "runs_from = \"fig6\"", "runs_from = \"fig5\"");
    assert!(
        error.contains(&format!("fig1.toml:{line}:")) && error.contains("fig5"),
        "{error}"
    );
    let (line, error) = refused_in(
        "fig1.toml",
        "runs_from = \"fig6\"",
        "runs_from = \"fig6\"\nseeds = [1]",
    );
    assert!(
        error.contains(&format!("fig1.toml:{}:", line + 1)) && error.contains("`seeds`"),
        "{error}"
    );
    let (_, error) = refused_in(
        "fig6.toml",
        "name = \"fig6\"",
        "name = \"fig6\"\nruns_from = \"fig1\"",
    );
    assert!(error.contains("fig1"), "{error}");
}

#[test]
fn profiles_overrides_and_files() {
    let load = |profile: &str, set: &str| {
        let set: Vec<String> = [set]
            .iter()
            .filter(|s| !s.is_empty())
            .map(|s| s.to_string())
            .collect();
        let error = Experiment::load(Path::new("experiments/fig6.toml"), profile, &set)
            .expect_err("must be rejected");
        assert_eq!(Exit::of(&error), Exit::Usage);
        format!("{error:#}")
    };
    let says = |error: String, parts: &[&str]| {
        for part in parts {
            assert!(error.contains(part), "`{part}` is not in: {error}");
        }
    };
    says(
        load("papre", ""),
        &["no profile \"papre\"; did you mean \"paper\"?"],
    );
    says(
        load("fast", ""),
        &["no profile \"fast\"", "paper, quick, smoke, tenth"],
    );
    says(
        load("quick", "recipe.batches=64"),
        &[
            "--set recipe.batches=64",
            "unknown field `batches`; did you mean `batch`?",
            "recipe.batch=64",
        ],
    );
    says(
        load("quick", "recipe.batch=many"),
        &["--set recipe.batch=many", "many"],
    );
    says(
        load("quick", "recipe.batch=0"),
        &["--set recipe.batch=0", "use 1 to 50000"],
    );
    says(
        load("quick", "recipe.drops=[9,3]"),
        &["--set recipe.drops=[9,3]", "ascending"],
    );
    says(
        load("quick", "recipe.batch"),
        &["--set recipe.batch", "no value"],
    );
    says(load("quick", "name=\"x\""), &["unknown field `name`"]);
    says(load("quick", "recipe.init.from=\"x\""), &["[variants]"]);
    let error = Experiment::load(Path::new("experiments/fig99.toml"), "quick", &[]).unwrap_err();
    says(format!("{error:#}"), &["fig99.toml", "refig list"]);
}
