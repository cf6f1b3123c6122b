//! Invalid manifests are rejected with file, line, value and remedy, before anything else happens.

use std::path::Path;

use refig::exit::Exit;
use refig::manifest::Experiment;

/// Loads a shipped manifest with `find` replaced. Returns the line of the change and the error message.
fn refused_in(name: &str, find: &str, replace: &str) -> (usize, String) {
    let folder = tempfile::tempdir().unwrap();
    std::fs::create_dir(folder.path().join("reference")).unwrap();
    for file in [
        "fig6.toml",
        "fig1.toml",
        "fig4.toml",
        "reference/fig6.csv",
        "reference/fig1.csv",
        "reference/fig4.csv",
    ] {
        std::fs::copy(
            Path::new("experiments").join(file),
            folder.path().join(file),
        )
        .unwrap();
    }
    let path = folder.path().join(name);
    let text = std::fs::read_to_string(&path).unwrap();
    let at = text
        .find(find)
        .unwrap_or_else(|| panic!("{find} is not in {name}"));
    std::fs::write(&path, text.replacen(find, replace, 1)).unwrap();
    let error = Experiment::load(&path, "quick", &[]).expect_err("must be rejected");
    assert_eq!(Exit::of(&error), Exit::Usage, "{error:#}");
    let text_before = &text[..at];
    (text_before.matches('\n').count() + 1, format!("{error:#}"))
}

/// Asserts the line and parts of the message for a change to fig6.toml.
fn refused(find: &str, replace: &str, parts: &[&str]) {
    let (line, error) = refused_in("fig6.toml", find, replace);
    let place = format!("fig6.toml:{}:", line);
    assert!(error.contains(&place), "{place} is not in: {error}");
    for part in parts {
        assert!(error.contains(part), "`{part}` is not in: {error}");
    }
    assert!(!error.contains('\n'), "more than a line: {error}");
}

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

/// What `--set` with this argument is answered with, at `quick`.
fn set_refused(argument: &str) -> String {
    let path = Path::new("experiments/fig6.toml");
    let error = Experiment::load(path, "quick", &[argument.into()]).expect_err(argument);
    assert_eq!(Exit::of(&error), Exit::Usage, "{argument}: {error:#}");
    format!("{error:#}")
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

#[test]
fn names_that_become_paths_stay_in_their_folder() {
    let long = "a".repeat(101);
    for name in [
        "../../x",
        "/tmp/x",
        ".hidden",
        "a b",
        "",
        "caf\u{e9}",
        long.as_str(),
    ] {
        refused(
            "[profiles.smoke]",
            &format!("[profiles.\"{name}\"]"),
            &["profile name", "at most 100 letters, digits"],
        );
        let (line, error) = refused_in(
            "fig1.toml",
            "runs_from = \"fig6\"",
            &format!("runs_from = \"{name}\""),
        );
        let place = format!("fig1.toml:{line}: runs_from = {name:?} is not the name");
        assert!(error.contains(&place), "{place} is not in: {error}");
        refused(
            "[[panels]]",
            &format!("[variants.\"{name}\"]\nof = \"plain-20\"\n[[panels]]"),
            &["invalid variant name"],
        );
    }
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("my figure.toml");
    let text =
        "name = \"my figure\"\ntitle = \"t\"\nnetworks = [\"plain-8\"]\nseeds = [1]\npanels = []\n";
    std::fs::write(&path, text).unwrap();
    let error = Experiment::load(&path, "default", &[]).unwrap_err();
    assert!(
        error.to_string().contains("my figure.toml:1: name = "),
        "{error}"
    );
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

#[test]
fn text_is_one_line_without_control_characters() {
    for (find, letter) in [
        ("title = \"Fig. 6", "\\u001b"),
        ("says = \"plain networks", "\\n"),
        ("summary = \"the schedule", "\\u0007"),
        ("source = \"Table 6", "\\u202e"),
        ("title = \"plain", "\\u0000"),
    ] {
        refused(
            find,
            &format!("{find}{letter}"),
            &["contains the control character U+", "remove it"],
        );
    }
    refused(
        "name = \"fig6\"",
        "variants.x = { of = \"plain-20\", label = \"a\\tb\" }\nname = \"fig6\"",
        &["U+0009"],
    );
    let said = set_refused("recipe.batch=32\nseeds=[3]");
    assert!(said.contains("U+000A"), "{said}");
}

#[test]
fn unknown_names_are_answered_with_the_nearest() {
    refused(
        "margin = { paper = 1,",
        "margin = { papr = 1,",
        &["did you mean \"paper\"?"],
    );
    refused(
        "[exceptions.resnet-110]",
        "[exceptions.resnet-1100]",
        &["\"resnet-1100\"", "not trained"],
    );
    refused(
        "56 = \"#e02020\"",
        "57 = \"#e02020\"",
        &["colour of \"57\"", "did you mean \"56\"?"],
    );
    refused(
        "\"plain-20\", \"plain-32\",",
        "\"plian-20\", \"plain-32\",",
        &["unknown family \"plian\"; did you mean \"plain\"?"],
    );
    let said = set_refused("batch=32");
    assert!(
        said.contains("did you mean --set recipe.batch=32?"),
        "{said}"
    );
    let mut fig6 = Experiment::load(Path::new("experiments/fig6.toml"), "quick", &[]).unwrap();
    let error = fig6.only(&["resent-56".into()]).unwrap_err();
    assert!(
        error.to_string().contains("did you mean \"resnet-56\"?"),
        "{error}"
    );
}

#[test]
fn messages_speak_of_numbers_and_lists() {
    let rust = [
        "usize",
        "u64",
        "f64",
        "sequence",
        " map",
        "unit variant",
        "struct",
        "boolean",
        "string",
    ];
    for argument in [
        "recipe.batch=1.5",
        "recipe.batch=-1",
        "recipe.batch=many",
        "recipe.iterations=[1]",
        "recipe.drops=3",
        "recipe.drops={a=1}",
        "recipe.learning_rate=[]",
        "recipe.shortcut=[1]",
        "recipe.shortcut=3",
        "recipe.batch_norm=3",
        "recipe.augmentation.flip=3",
        "recipe=[1, 2]",
        "seeds=1",
        "seeds=[1.5]",
    ] {
        let said = set_refused(argument);
        for word in rust {
            assert!(!said.contains(word), "{word} in: {said}");
        }
    }
    refused("title = ", "title = 3 #", &["expected text in quotes"]);
    refused(
        "margin = { paper = 1, tenth = 1, quick = 5 }",
        "margin = \"1\"",
        &["expected a number of points, or a table of them by profile"],
    );
    let (_, error) = refused_in("fig6.toml", "title = \"Fig. 6: training", "#");
    assert!(error.contains("missing field `title`; add it"), "{error}");
}
