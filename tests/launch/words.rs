//! Launches with words that a shell takes for something else, and programs that are given them.

use std::collections::BTreeSet;
use std::io::Write as _;
use std::process::{Command, Output, Stdio};

use refig::orchestrate::launch::{Launch, Site, Submission, Work};

/// Words that a shell, sbatch or a program would take for something else.
pub const HOSTILE: [&str; 12] = [
    "a b",
    "it's",
    "\"quoted\"",
    "$(touch /tmp/refig-was-here)",
    "`touch /tmp/refig-was-here`",
    "$HOME",
    "~",
    "*",
    "back\\slash",
    "#comment",
    "; exit 9",
    "",
];

pub fn launch(site: &str) -> Launch {
    Launch {
        site: Site::parse(site).unwrap(),
        folder: "/results/.launches/it's \"here\" 100%".into(),
        worker: [&["/bin/refig", "run"][..], &HOSTILE[..]]
            .concat()
            .into_iter()
            .map(String::from)
            .collect(),
        report: HOSTILE.map(String::from).to_vec(),
        on_gpu: true,
        threads: 4,
        environment: vec![("CIFAR10_DIR", "/data/it's here".into())],
    }
}

pub fn runs(tasks: &[u64]) -> Submission {
    Submission {
        name: "refig-fig6-01234567-1".into(),
        work: Work::Runs {
            first: 0,
            tasks: tasks.iter().copied().collect(),
        },
        after: BTreeSet::new(),
    }
}

pub fn report() -> Submission {
    Submission {
        work: Work::Report,
        ..runs(&[])
    }
}

/// A program's output, given text on its standard input.
pub fn with_input(command: &mut Command, text: &str) -> Output {
    let mut child = command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    // It may end before it has read all.
    let _ = child.stdin.take().unwrap().write_all(text.as_bytes());
    child.wait_with_output().unwrap()
}

pub fn stdout(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned()
}

pub fn stderr(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}
