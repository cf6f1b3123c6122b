//! What the files of a report hold.

use std::path::Path;

use refig::exit::Exit;
use refig::judge::judge;
use refig::manifest::Experiment;
use refig::publish::Report;
use refig::publish::page::{self, Material, site};
use refig::run;

use super::common;
use super::recorded::{evidence, record, report};

#[test]
fn the_page_is_one_file_that_shouts_what_must_not_be_overlooked_and_leads_to_the_runs() {
    let folder = tempfile::tempdir().unwrap();
    let path = report(folder.path());
    let html = std::fs::read_to_string(&path).unwrap();
    let markdown = std::fs::read_to_string(path.with_file_name("report.md")).unwrap();
    let (sections, figure) = html.split_once("id=\"figure\"").unwrap();
    assert!(
        sections.contains("class=\"headline\""),
        "the answer comes first"
    );
    for shout in [
        "<strong>SYNTHETIC</strong>",
        "<strong>CHANGED RECIPE</strong>",
    ] {
        assert!(sections.contains(shout), "lacks {shout}");
    }
    assert!(markdown.contains("> **SYNTHETIC**") && markdown.contains("> **CHANGED RECIPE**"));
    // The sections in their order, each once.
    let headings = |text: &str, start: &str| -> Vec<String> {
        text.lines()
            .filter_map(|line| line.strip_prefix(start))
            .map(|line| line.split('>').next_back().unwrap_or(line).to_owned())
            .collect()
    };
    let in_page: Vec<String> = html
        .split("<h2 id=")
        .skip(1)
        .map(|rest| {
            rest[rest.find('>').unwrap() + 1..rest.find("</h2>").unwrap()].replace("&#39;", "'")
        })
        .collect();
    assert_eq!(in_page, headings(&markdown, "## "));
    assert_eq!(in_page[..3], ["Figure", "Verdict", "Final errors"]);
    assert_eq!(in_page.last().map(String::as_str), Some("How to reproduce"));
    // What is drawn: lines, the paper's, the band of two seeds, the run that is not in the mean.
    for part in [
        "data-kind=\"test\"",
        "data-kind=\"paper\"",
        "data-kind=\"band\"",
        "data-kind=\"single\"",
    ] {
        assert!(figure.contains(part), "lacks {part}");
    }
    assert!(
        figure.contains("(n = 1 to 2)"),
        "the caption says of how many runs"
    );
    assert!(figure.contains("class=\"watermark\""));
    // Every link to a run leads to a folder.
    let mut links = 0;
    for part in html.split("href=\"").skip(1) {
        let href = &part[..part.find('"').unwrap()];
        if href.contains("results") {
            links += 1;
            assert!(
                path.with_file_name(href).join("run.toml").exists(),
                "{href}"
            );
        }
    }
    assert_eq!(links, 6);
    // Nothing is loaded from anywhere, and the same files give the same bytes.
    for outside in ["src=\"http", "url(", "@import", "<link rel=\"stylesheet\""] {
        assert!(!html.contains(outside), "{outside}");
    }
    assert!(html.contains("default-src 'none'"));
    let again = report(folder.path().join("again").as_path());
    let differs = std::fs::read_to_string(again).unwrap();
    let facts = |text: &str| text[..text.find("id=\"provenance\"").unwrap()].to_owned();
    assert_eq!(facts(&differs), facts(&html));
    let index = std::fs::read_to_string(folder.path().join("reports/index.html")).unwrap();
    assert!(index.contains("href=\"fig6/smoke-synthetic-set-"));
    for shout in ["SYNTHETIC", "CHANGED RECIPE"] {
        let shout = format!("<p class=\"shout\">{shout}</p>");
        assert!(index.contains(&shout), "lacks {shout}");
    }
    assert!(!index.contains("Not run yet"));
    let blank = site::Blank {
        experiment: "fig1".into(),
        profile: "paper".into(),
    };
    let index = site::write(&folder.path().join("reports"), &[blank]).unwrap();
    let index = std::fs::read_to_string(index).unwrap();
    assert!(index.contains("<code>cargo run -- reproduce fig1 --profile paper</code>"));
    // What has no verdict stands there by its title.
    assert!(
        index.contains(
            "<a href=\"context/index.html\">Depth and error: ImageNet and PASCAL VOC</a>"
        )
    );
    assert!(index.contains("published values, none measured here."));
}

#[test]
fn a_report_is_six_files_and_a_folder_that_cannot_be_written_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("experiments/fig6.toml");
    let experiment = Experiment::load(&path, "smoke", &[]).unwrap();
    let (results, reports) = (folder.path().join("results"), folder.path().join("reports"));
    record(&results, &experiment);
    let evidence = evidence(&experiment, &results);
    let verdict = judge(&evidence).unwrap();
    let report = Report::new(&evidence, &verdict, &reports, true).unwrap();
    report.write_figure().unwrap();
    report.write(&results, false).unwrap();
    let mut files: Vec<_> = std::fs::read_dir(report.folder())
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    files.sort();
    assert_eq!(
        files,
        [
            "fig6.png",
            "fig6.svg",
            "index.html",
            "junit.xml",
            "report.md",
            "verdict.json"
        ]
    );
    let taken = folder.path().join("taken");
    std::fs::write(&taken, "").unwrap();
    let report = Report::new(&evidence, &verdict, &taken, true).unwrap();
    for error in [
        report.write_figure().unwrap_err(),
        report.write(&results, false).unwrap_err(),
    ] {
        assert_eq!(Exit::of(&error), Exit::Storage);
        assert!(error.to_string().contains("taken"), "{error}");
    }
}

/// `report.md` of the runs below a folder.
fn markdown(folder: &Path) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("experiments/fig6.toml");
    let set = ["seeds=[1]", "recipe.weight_decay=0.0002"].map(String::from);
    let experiment = Experiment::load(&path, "smoke", &set).unwrap();
    let evidence = evidence(&experiment, &folder.join("results"));
    let verdict = judge(&evidence).unwrap();
    let material = Material {
        runs: &evidence.runs,
        ..Material::default()
    };
    page::markdown(&page::page(&verdict, &material).unwrap())
}

#[test]
fn provenance_says_what_the_runs_were_made_of_and_which_commit_makes_them_again() {
    let folder = tempfile::tempdir().unwrap();
    report(folder.path());
    let one = "1".repeat(40);
    let change = |name: &str, from: &str, to: &str| {
        for view in run::find(&folder.path().join("results")).unwrap() {
            let path = view.folder.join("run.toml");
            let text = std::fs::read_to_string(&path).unwrap();
            if view.plan().network.name.starts_with(name) {
                let changed: Vec<&str> = text
                    .lines()
                    .map(|line| if line.starts_with(from) { to } else { line })
                    .collect();
                common::write_sealed(&path, &(changed.join("\n") + "\n"));
            }
        }
    };
    change("", "commit = ", &format!("commit = \"{one}\""));
    change("", "dirty = ", "dirty = false");
    let clean = markdown(folder.path());
    assert!(
        clean.contains(&format!("\ngit checkout {one}\n")),
        "{clean}"
    );
    for row in [
        "| data | synthetic |",
        "| data digest | feed |",
        "| device | cpu avx2 |",
        &format!("| commit | {one} |"),
        "| dirty | no |",
    ] {
        assert!(clean.contains(row), "lacks {row}:\n{clean}");
    }
    for row in [
        "rustc", "cpu", "system", "host", "threads", "version", "made",
    ] {
        assert!(
            clean.contains(&format!("\n| {row} | ")),
            "lacks {row}:\n{clean}"
        );
    }
    // One that differs is named, and then there is no one commit.
    change("resnet", "dirty = ", "dirty = true");
    let dirty = markdown(folder.path());
    assert!(!dirty.contains("git checkout"), "{dirty}");
    assert!(
        dirty.contains("| dirty | no (plain-20 seed 1, plain-20 seed 2, plain-56 seed 1, plain-56 seed 2); yes (resnet-20 seed 1, resnet-20 seed 2) |"),
        "{dirty}"
    );
    change("resnet", "dirty = ", "dirty = false");
    assert!(markdown(folder.path()).contains("git checkout"));
    // So does a restart by another one.
    let view = run::find(&folder.path().join("results")).unwrap().remove(0);
    let path = view.folder.join("run.toml");
    let mut about = std::fs::read_to_string(&path).unwrap();
    let start = about[about.find("[start]").unwrap()..].to_owned();
    about += &start
        .replace("[start]", "[[restarts]]")
        .replace("[start.", "[restarts.")
        .replace(&one, &"2".repeat(40));
    common::write_sealed(&path, &about);
    let restarted = markdown(folder.path());
    assert!(!restarted.contains("git checkout"), "{restarted}");
    assert!(restarted.contains(", 1 restart |"), "{restarted}");
}

#[test]
fn nothing_is_wider_than_its_window() {
    let folder = tempfile::tempdir().unwrap();
    let html = std::fs::read_to_string(report(folder.path())).unwrap();
    assert!(html.contains("<meta name=\"viewport\" content=\"width=device-width"));
    // Every table scrolls in a box of its own.
    let boxes = html.matches("<div class=\"wide\"").count();
    assert_eq!(html.matches("<table>").count(), boxes);
    for (place, _) in html.match_indices("<table>") {
        let before = &html[..place];
        assert!(
            before.ends_with('>') && before.rfind("<div class=\"wide\"") > before.rfind("</div>")
        );
    }
    let style = &html[html.find("<style>").unwrap()..html.find("</style>").unwrap()];
    for rule in [
        ".wide { overflow-x: auto; max-width: 100%; }",
        "img, svg { max-width: 100%; }",
        "code { overflow-wrap: anywhere; }",
        "pre { overflow-x: auto;",
    ] {
        assert!(style.contains(rule), "lacks {rule}");
    }
    // No width in the style sheet is more than a phone's.
    for part in style.split(" width: ").skip(1) {
        let value = part.split([';', '}']).next().unwrap().trim();
        let wide = |unit: &str, most: f64| {
            let number = value
                .strip_suffix(unit)
                .and_then(|number| number.parse().ok());
            number.is_some_and(|number: f64| number > most)
        };
        assert!(!wide("px", 360.0) && !wide("rem", 22.5), "{value}");
    }
}

#[test]
fn held_out_images_are_not_called_a_test_set() {
    let folder = tempfile::tempdir().unwrap();
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("experiments/fig6.toml");
    let change = "recipe.split=45k/5k".to_owned();
    let experiment = Experiment::load(&path, "smoke", &[change]).unwrap();
    let (results, reports) = (folder.path().join("results"), folder.path().join("reports"));
    record(&results, &experiment);
    let evidence = evidence(&experiment, &results);
    let verdict = judge(&evidence).unwrap();
    let report = Report::new(&evidence, &verdict, &reports, false).unwrap();
    let png = report.write_figure().unwrap();
    report.write(&results, false).unwrap();
    let table = refig::console::plain(&refig::publish::table(&verdict));
    let read = |name: &str| std::fs::read_to_string(report.folder().join(name)).unwrap();
    let svg = std::fs::read_to_string(png.with_extension("svg")).unwrap();
    for text in [
        table,
        svg,
        read("report.md"),
        read("index.html"),
        read("junit.xml"),
    ] {
        let text = text.to_lowercase();
        assert!(!text.contains("test error"), "{text}");
    }
    assert!(read("report.md").contains("| plain-20 | validation error |"));
    assert!(read("index.html").contains(">validation</button>"));
}

#[test]
fn a_damaged_verdict_does_not_hide_the_reports_from_the_index() {
    let folder = tempfile::tempdir().unwrap();
    let path = report(folder.path());
    std::fs::write(path.with_file_name("verdict.json"), "").unwrap();
    assert!(site::summary(path.parent().unwrap()).is_err());
    let index = site::write(&folder.path().join("reports"), &[]).unwrap();
    let html = std::fs::read_to_string(index).unwrap();
    assert!(
        html.contains("href=\"fig6/") && html.contains("context"),
        "{html}"
    );
}
