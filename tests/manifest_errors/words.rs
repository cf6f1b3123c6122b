//! Names and text, and the words of the messages.

use std::path::Path;

use refig::manifest::Experiment;

use super::refused::{refused, refused_in, set_refused};

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
