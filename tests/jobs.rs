//! Runs in child processes: the same results, and whatever ends the parent or a child, nothing is left behind or lost.
#![cfg(target_os = "linux")]

mod common;

use std::path::Path;
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use common::tiny::{assert_same_results, freeze, tiny};
use refig::exit::Exit;
use refig::orchestrate::plan_file;
use refig::run::{Notes, RunDirectory, find};

/// Processes that were started with this folder as an argument, by their numbers.
fn workers(folder: &Path) -> Vec<String> {
    let results = format!("--results-dir={}", folder.join("results").display());
    let mut found = Vec::new();
    for entry in std::fs::read_dir("/proc").unwrap().flatten() {
        let arguments = std::fs::read(entry.path().join("cmdline")).unwrap_or_default();
        if String::from_utf8_lossy(&arguments)
            .split('\0')
            .any(|word| word == results)
        {
            found.push(entry.file_name().to_string_lossy().into_owned());
        }
    }
    found
}

/// The time that a process has computed, in ticks of 10 ms: on a busy machine, that of the clock says little.
fn ticks(process: &str) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{process}/stat")).unwrap_or_default();
    // Behind the program's name, in parentheses, time of its own is the twelfth field.
    let fields = status.rsplit(')').next().unwrap_or_default();
    let own = fields.split_whitespace().nth(11);
    // One that has ended has made all of its iterations.
    own.map_or(u64::MAX, |own| own.parse().unwrap())
}

fn until(what: &str, mut holds: impl FnMut() -> bool) {
    let begun = Instant::now();
    while !holds() {
        assert!(begun.elapsed() < Duration::from_secs(120), "{what}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// Both runs at once, of so many iterations.
fn both(folder: &Path, iterations: u32) -> Command {
    let mut command = tiny(folder, "reproduce", "1");
    for change in [
        format!("recipe.iterations={iterations}"),
        "recipe.drops=[]".into(),
        format!("recipe.evaluation.interval={iterations}"),
    ] {
        command.args(["--set", change.as_str()]);
    }
    command.args(["--jobs", "2"]);
    command
}

/// Both runs at once, much longer than usual.
fn long(folder: &Path) -> Command {
    both(folder, 20_000)
}

/// Begins both runs, and gives the parent once both have made some iterations.
fn at_work(folder: &Path) -> Child {
    begun(&mut long(folder), folder)
}

fn begun(command: &mut Command, folder: &Path) -> Child {
    let parent = command.spawn().unwrap();
    until("both runs begin", || {
        find(&folder.join("results")).is_ok_and(|runs| runs.len() == 2)
    });
    assert_eq!(workers(folder).len(), 2);
    until("both make iterations", || {
        workers(folder).iter().all(|worker| ticks(worker) >= 100)
    });
    parent
}

fn signal(process: &str, name: &str) {
    let sent = Command::new("kill").args([name, process]).status();
    assert!(sent.unwrap().success());
}

fn assert_kept(folder: &Path) {
    let runs = find(&folder.join("results")).unwrap();
    assert_eq!(runs.len(), 2);
    for run in runs {
        assert!(run.iteration > 0, "{}: nothing was kept", run.title());
    }
}

#[test]
fn two_at_a_time_give_the_same_results_as_one_process() {
    let (whole, apart) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let status = tiny(whole.path(), "reproduce", "2").status().unwrap();
    assert!(status.success());
    let jobs = || {
        let mut command = tiny(apart.path(), "reproduce", "1");
        command.args(["--jobs", "2", "--devices", "cpu"]);
        command.stderr(Stdio::piped()).output().unwrap()
    };
    let Output { status, stderr, .. } = jobs();
    let said = String::from_utf8(stderr).unwrap();
    assert!(status.success(), "{said}");
    assert_same_results(whole.path(), apart.path());
    assert!(said.contains("2 of 2 runs"), "{said}");
    for name in ["plain-8 s1", "resnet-8 s1"] {
        assert!(said.contains(&format!("{name}: done")), "{said}");
    }
    let report = |folder: &Path| {
        let verdict = folder.join("reports/tiny/tiny-synthetic/verdict.json");
        std::fs::metadata(verdict).is_ok()
    };
    assert!(report(whole.path()) && report(apart.path()));
    // A log each, and the plan.
    let logs = std::fs::read_dir(apart.path().join("results/.jobs")).unwrap();
    let endings: Vec<String> = logs
        .map(|entry| entry.unwrap().file_name().to_string_lossy().into_owned())
        .collect();
    let count = |ending: &str| endings.iter().filter(|name| name.ends_with(ending)).count();
    assert_eq!((count(".log"), count(".toml")), (2, 1), "{endings:?}");
    // Again, nothing is left to do.
    let said = String::from_utf8(jobs().stderr).unwrap();
    assert!(said.contains("plain-8 s1: already done"), "{said}");
}

#[test]
fn a_run_that_fails_does_not_stop_the_other_and_is_named() {
    for fail_fast in [false, true] {
        let folder = tempfile::tempdir().unwrap();
        let plan = plan_file::read(&freeze(folder.path())).unwrap();
        let [first, other] = &plan.runs[..] else {
            panic!("{} runs", plan.runs.len());
        };
        assert!(first.cost >= other.cost, "the first is not begun first");
        let results = folder.path().join("results");
        let held = RunDirectory::open(&results, &first.plan, &Notes::default(), false).unwrap();
        let mut command = tiny(folder.path(), "reproduce", "1");
        command.args(["--jobs", "1"]);
        if fail_fast {
            command.arg("--fail-fast");
        }
        let output = command.stderr(Stdio::piped()).output().unwrap();
        drop(held);
        let said = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(Exit::Busy as i32), "{said}");
        let failed = format!("failed: {}: ", first.name);
        assert!(said.contains(&failed), "{said}");
        assert!(said.contains("working on this run"), "{said}");
        assert!(said.contains("run the same command again"), "{said}");
        // Named once in its line.
        let line = said.lines().find(|line| line.starts_with(&failed));
        let line = line.unwrap_or_default();
        assert_eq!(line.matches(&*first.name).count(), 1, "{line}");
        let begin = format!("{failed}process ");
        assert!(line.starts_with(&begin), "{line}");
        let runs = find(&results).unwrap();
        let made = runs.iter().any(|run| run.plan().same_run(&other.plan));
        assert_eq!(made, !fail_fast, "{said}");
        // The same command goes on where they stand.
        let status = tiny(folder.path(), "reproduce", "1")
            .args(["--jobs", "2"])
            .status();
        assert!(status.unwrap().success());
        assert_eq!(common::tiny::folders(folder.path()).len(), 2);
    }
}

#[test]
fn a_log_that_cannot_be_written_is_named_with_a_remedy_and_not_shown() {
    let folder = tempfile::tempdir().unwrap();
    let plan = plan_file::read(&freeze(folder.path())).unwrap();
    let logs = folder.path().join("results/.jobs");
    for run in &plan.runs {
        // A folder in its place.
        let name = run.plan.folder().replace('/', "--");
        std::fs::create_dir_all(logs.join(format!("{name}.log"))).unwrap();
    }
    let output = tiny(folder.path(), "reproduce", "1")
        .args(["--jobs", "2"])
        .stderr(Stdio::piped())
        .output()
        .unwrap();
    let said = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(Exit::Storage as i32), "{said}");
    let remedy = "make room, or name a writable folder with --results-dir";
    assert!(said.contains(remedy), "{said}");
    assert!(!said.contains("(log: "), "{said}");
}

#[test]
fn a_signal_to_the_parent_keeps_the_states_and_leaves_no_child() {
    let folder = tempfile::tempdir().unwrap();
    let mut parent = at_work(folder.path());
    signal(&parent.id().to_string(), "-TERM");
    let status = parent.wait().unwrap();
    assert_eq!(status.code(), Some(Exit::Terminated as i32));
    assert_eq!(workers(folder.path()), Vec::<String>::new());
    assert_kept(folder.path());
}

/// Runs a program on a terminal that goes away once the runs have begun, and prints its exit code, or minus the signal that
/// killed it.
const TERMINAL: &str = "
import os, pty, select, signal, sys, time
child, terminal = pty.fork()
if child == 0:
    signal.signal(signal.SIGHUP, signal.SIG_DFL)
    os.execvp(sys.argv[2], sys.argv[2:])
begun = time.time()
while time.time() - begun < 120:
    if select.select([terminal], [], [], 0.05)[0]:
        os.read(terminal, 65536)
    if os.path.isdir(sys.argv[1]) and len(os.listdir(sys.argv[1])) == 2:
        break
time.sleep(1)
os.close(terminal)
status = os.waitpid(child, 0)[1]
print(os.waitstatus_to_exitcode(status))
";

#[test]
fn a_terminal_that_goes_away_keeps_the_states() {
    let folder = tempfile::tempdir().unwrap();
    let command = long(folder.path());
    let mut python = Command::new("python3");
    python
        .args(["-c", TERMINAL])
        .arg(folder.path().join("results").join("tiny"))
        .arg(command.get_program())
        .args(command.get_args());
    for (name, value) in command.get_envs() {
        match value {
            Some(value) => python.env(name, value),
            None => python.env_remove(name),
        };
    }
    let Ok(output) = python.output() else {
        println!("skipped: no python3, which makes terminals");
        return;
    };
    let said = String::from_utf8_lossy(&output.stdout);
    assert_eq!(said.trim(), (Exit::HungUp as i32).to_string());
    assert_kept(folder.path());
}

#[test]
fn a_second_signal_kills() {
    let folder = tempfile::tempdir().unwrap();
    let mut parent = at_work(folder.path());
    let children = workers(folder.path());
    // Workers that do not react.
    for child in &children {
        signal(child, "-STOP");
    }
    let process = parent.id().to_string();
    signal(&process, "-TERM");
    std::thread::sleep(Duration::from_millis(500));
    assert!(parent.try_wait().unwrap().is_none(), "it did not wait");
    signal(&process, "-TERM");
    let status = parent.wait().unwrap();
    assert_eq!(status.code(), Some(Exit::Terminated as i32));
    assert_eq!(workers(folder.path()), Vec::<String>::new());
}

#[test]
fn a_killed_parent_leaves_no_child() {
    let folder = tempfile::tempdir().unwrap();
    let mut parent = at_work(folder.path());
    // SIGKILL.
    parent.kill().unwrap();
    parent.wait().unwrap();
    until("the workers end", || workers(folder.path()).is_empty());
    assert_kept(folder.path());
}

#[test]
fn a_killed_worker_is_named_and_the_other_goes_on() {
    // Long enough that neither run ends before the signals.
    const ITERATIONS: u32 = 3000;
    let folder = tempfile::tempdir().unwrap();
    let mut command = both(folder.path(), ITERATIONS);
    let parent = begun(command.stderr(Stdio::piped()), folder.path());
    let children = workers(folder.path());
    let arguments = std::fs::read(format!("/proc/{}/cmdline", children[0])).unwrap();
    let arguments = String::from_utf8(arguments).unwrap();
    let network = ["plain-8", "resnet-8"]
        .into_iter()
        .find(|network| arguments.contains(&format!("--run={network}-s1")))
        .unwrap();
    signal(&children[0], "-KILL");
    until("the worker ends", || workers(folder.path()).len() == 1);
    std::thread::sleep(Duration::from_millis(500));
    assert_eq!(workers(folder.path()).len(), 1, "the other goes on");
    signal(&parent.id().to_string(), "-INT");
    let output = parent.wait_with_output().unwrap();
    let said = String::from_utf8(output.stderr).unwrap();
    assert_eq!(
        output.status.code(),
        Some(Exit::Interrupted as i32),
        "{said}"
    );
    assert_eq!(workers(folder.path()), Vec::<String>::new());
    let failed = format!("{network} s1: failed: killed (signal 9)");
    assert!(said.contains(&failed), "{said}");
    // The same command ends with what undisturbed runs give.
    let whole = tempfile::tempdir().unwrap();
    for place in [&folder, &whole] {
        let status = both(place.path(), ITERATIONS).status().unwrap();
        assert!(status.success());
    }
    assert_same_results(whole.path(), folder.path());
}

#[test]
fn devices_are_of_one_kind_and_named_once() {
    let folder = tempfile::tempdir().unwrap();
    for (devices, says) in [
        ("cpu,cpu", "twice"),
        ("auto", "--devices auto: name each device"),
        ("gpu", "--devices gpu: name each device"),
    ] {
        let output = tiny(folder.path(), "reproduce", "1")
            .args(["--devices", devices])
            .stderr(Stdio::piped())
            .output()
            .unwrap();
        let said = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(Exit::Usage as i32), "{said}");
        assert!(said.contains(says), "{said}");
    }
    // A GPU that no machine has.
    let output = tiny(folder.path(), "reproduce", "1")
        .args(["--devices", "cuda:999"])
        .stderr(Stdio::piped())
        .output()
        .unwrap();
    let said = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(Exit::Device as i32), "{said}");
    assert!(said.contains("--devices cuda:999: "), "{said}");
    assert!(!said.contains("--device "), "{said}");
    // Two ways to say the same.
    let both = tiny(folder.path(), "reproduce", "1")
        .args(["--device", "cpu", "--devices", "cpu"])
        .status();
    assert_eq!(both.unwrap().code(), Some(Exit::Usage as i32));
}
