//! What CI reads of a verdict: JUnit's XML and GitHub's annotations.

use refig::console::plain;
use refig::judge::{Circumstances, Status, Subject, Verdict, judge_values};
use refig::manifest::{Claim, Comparison, Expectation, Metric};
use refig::origin::DataKind;
use refig::origin::Origin;
use refig::publish::page::{self, Material};
use refig::publish::{annotations, headline, junit, summary, table};
use refig::record::Ending;
use resvg::usvg::roxmltree::{Document, Node};

fn run(network: &str, test: f64) -> Subject {
    Subject {
        network: network.into(),
        seed: 0,
        origin: Origin::Cifar10,
        data_digest: String::new(),
        treated: String::new(),
        ending: Ending::Finished,
        iteration: 600,
        test_error: Some(test),
        moving_test_error: None,
        training_error: Some(test),
        clean_training_error: None,
        response: None,
        others: Default::default(),
        best: None,
        folder: format!("quick/{network}-s0-0123abcd"),
        identity: "0123abcd".repeat(8),
        commit: "74c629c".into(),
        machine: "cpu".into(),
        faults: Vec::new(),
        recipe: String::new(),
    }
}

fn expect(network: &str, value: f64, line: usize) -> Expectation {
    Expectation {
        network: network.into(),
        metric: Metric::TestError,
        value,
        tolerance: Some(2.0),
        source: "100 % \"by hand\" & <measured>".into(),
        deviation: None,
        runs: None,
        data: DataKind::Cifar10,
        line: Some(line),
    }
}

/// Passes, fails, is better, is missing, is not comparable; a claim that fails.
fn verdict() -> Verdict {
    let circumstances = Circumstances {
        experiment: "fig6".into(),
        manifest: "experiments/fig6.toml".into(),
        title: "Fig. 6".into(),
        profile: "quick".into(),
        seeds: vec![0],
        departures: ["plain-20", "plain-32"]
            .map(|name| (name.into(), vec!["batch 64 (paper: 128)".into()]))
            .into(),
        chance: 90.0,
        ..Default::default()
    };
    let own = [
        expect("plain-20", 60.0, 11),
        expect("plain-32", 60.0, 12),
        expect("plain-44", 60.0, 13),
        expect("plain-56", 60.0, 14),
    ];
    let claim = Claim {
        says: "deeper is worse: always, everywhere".into(),
        data: DataKind::Any,
        comparisons: vec![Comparison {
            metric: Metric::TestError,
            higher: "plain-44".into(),
            lower: "plain-20".into(),
            margin: 0.0,
        }],
        line: Some(30),
    };
    let subjects = [
        run("plain-20", 61.0),
        run("plain-32", 65.0),
        run("plain-44", 50.0),
    ];
    let papers = [expect("plain-20", 9.68, 5)];
    judge_values(&circumstances, &own, &papers, &[claim], &subjects)
}

fn only<'a>(case: &Node<'a, 'a>) -> Option<Node<'a, 'a>> {
    case.children().find(Node::is_element)
}

#[test]
fn junit_tells_failures_errors_and_what_was_left_out_apart() {
    for (strict, failures) in [(false, 2), (true, 3)] {
        let text = junit(&verdict(), strict).unwrap();
        let document = Document::parse(&text).expect("well-formed");
        let suite = document
            .descendants()
            .find(|node| node.has_tag_name("testsuite"))
            .expect("a suite");
        assert_eq!(suite.attribute("name"), Some("fig6/quick"));
        let count = |name| {
            suite
                .attribute(name)
                .map(|n| n.parse::<usize>().expect("a number"))
        };
        assert_eq!(count("tests"), Some(6));
        assert_eq!(count("failures"), Some(failures));
        assert_eq!((count("errors"), count("skipped")), (Some(1), Some(1)));
        let cases: Vec<Node> = document
            .descendants()
            .filter(|node| node.has_tag_name("testcase"))
            .collect();
        let told: Vec<&str> = cases
            .iter()
            .map(|case| only(case).map_or("", |node| node.tag_name().name()))
            .collect();
        let better = if strict { "failure" } else { "system-out" };
        assert_eq!(told, ["", "failure", better, "error", "skipped", "failure"]);
        assert_eq!(cases[1].attribute("line"), Some("12"));
        let message = only(&cases[1]).and_then(|node| node.attribute("message"));
        let message = message.expect("a message");
        assert!(
            message.contains("plain-32 test error 65.00 (1), expected 60.00 within 2.00"),
            "{message}"
        );
        assert!(message.contains("\"by hand\" & <measured>"), "{message}");
    }
}

#[test]
fn junit_of_nothing_comparable_is_no_pass() {
    let mut verdict = verdict();
    verdict.claims.clear();
    verdict.expectations.drain(..4);
    verdict.status = Status::NotComparable;
    let text = junit(&verdict, false).unwrap();
    assert!(
        text.contains("errors=\"1\"") && text.contains("skipped=\"0\""),
        "{text}"
    );
}

#[test]
fn github_gets_a_line_of_the_manifest_and_no_broken_commands() {
    let text = annotations(&verdict(), false);
    let lines: Vec<&str> = text.lines().collect();
    assert_eq!(lines.len(), 4, "{text}");
    assert!(
        lines[0].starts_with(
            "::error file=experiments/fig6.toml,line=12,title=fail%3A plain-32 test error"
        ),
        "{text}"
    );
    assert!(lines[0].contains("(100 %25 \"by hand\""), "{text}");
    assert!(
        lines
            .iter()
            .any(|line| line.contains("line=14") && line.contains("has not been run"))
    );
    assert!(lines.iter().any(|line| {
        line.contains("line=30,title=fail%3A deeper is worse%3A always%2C everywhere")
    }));
    // Better is the last and only a warning.
    assert!(
        lines[3].starts_with("::warning file=experiments/fig6.toml,line=13,"),
        "{text}"
    );
    let strict = annotations(&verdict(), true);
    assert!(!strict.contains("::warning"), "{strict}");
    let page = summary(&page::page(&verdict(), &Material::default()).unwrap());
    assert!(
        page.starts_with("# Fig. 6\n") && !page.contains("!["),
        "{page}"
    );
}

/// What a title, a claim or a source may hold at worst.
const HOSTILE: &str =
    "# a|b `c` <script>x</script> [l](http://x) ![i](y)\n::error::z\r\n%0A\u{0}\u{1b}[31m\u{fffe}";

fn hostile() -> Verdict {
    let circumstances = Circumstances {
        experiment: "fig6".into(),
        manifest: HOSTILE.into(),
        title: HOSTILE.into(),
        profile: "quick".into(),
        seeds: vec![0],
        networks: vec!["plain-20".into(), "plain-44".into()],
        differences: vec![HOSTILE.into()],
        departures: ["plain-20", "plain-44"]
            .map(|name| (name.into(), vec![HOSTILE.into()]))
            .into(),
        overrides: vec![HOSTILE.into()],
        chance: 90.0,
        ..Default::default()
    };
    let own = Expectation {
        source: HOSTILE.into(),
        ..expect("plain-20", 60.0, 11)
    };
    let claim = Claim {
        says: HOSTILE.into(),
        data: DataKind::Any,
        comparisons: vec![Comparison {
            metric: Metric::TestError,
            higher: "plain-44".into(),
            lower: "plain-20".into(),
            margin: 0.0,
        }],
        line: None,
    };
    let subjects = ["plain-20", "plain-44"].map(|network| Subject {
        machine: HOSTILE.into(),
        ..run(network, if network == "plain-20" { 60.0 } else { 50.0 })
    });
    judge_values(&circumstances, &[own], &[], &[claim], &subjects)
}

/// Whether GitHub Actions would read the line as a workflow command.
fn is_command(line: &str) -> bool {
    line.trim_start().starts_with("::") || line.contains("##[")
}

#[test]
fn hostile_text_stays_text_in_every_format() {
    let verdict = hostile();
    let junit = junit(&verdict, false).unwrap();
    Document::parse(&junit).expect("well-formed");
    assert!(!junit.lines().any(is_command), "{junit}");

    let annotations = annotations(&verdict, false);
    for line in annotations.lines() {
        assert!(line.starts_with("::error file="), "{line}");
        let (properties, text) = line[2..].split_once("::").unwrap();
        assert_eq!(properties.matches(',').count(), 1, "{properties}");
        assert!(!text.is_empty() && !line.contains('\r'), "{line}");
    }
    // What was a percent sign in the file is not a line break now.
    assert!(annotations.contains("%250A"), "{annotations}");

    let page = page::page(&verdict, &Material::default()).unwrap();
    let markdown = page::markdown(&page);
    for markup in ["<script", "[l](", "![i](", "\n# a", "\n::"] {
        assert!(!markdown.contains(markup), "{markup} in\n{markdown}");
    }
    assert!(!markdown.lines().any(is_command), "{markdown}");
    assert!(
        markdown.starts_with("# \\# a\\|b \\`c\\` &lt;script&gt;"),
        "{markdown}"
    );
    let html = page::html(&page, None);
    for markup in ["<script>x", "<a href=\"http://x"] {
        assert!(!html.contains(markup), "{markup} in\n{html}");
    }

    let table = plain(&table(&verdict)) + &plain(&headline(&verdict));
    assert!(!table.lines().any(is_command), "{table}");
    for line in table.lines().rev().skip(1) {
        assert!(line.chars().count() <= 80, "{line}");
    }
}
