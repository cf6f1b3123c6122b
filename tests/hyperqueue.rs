//! Real runs by HyperQueue: server and worker of its Python package, which has no `hq`, so a stand-in takes the arguments of
//! `hq` and submits them through the package. Skipped where no Python has it.
#![cfg(unix)]

mod common;

use std::io::{BufRead as _, BufReader};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use common::program::within;
use common::python;
use common::tiny::assert_same_results;
use refig::run;

const PATIENCE: Duration = Duration::from_secs(120);

/// Serves until its standard input ends.
const SERVER: &str = r#"
import sys
from hyperqueue.cluster import LocalCluster, WorkerConfig
with LocalCluster(sys.argv[1]) as cluster:
    cluster.start_worker(WorkerConfig(cores=2))
    print("ready", flush=True)
    sys.stdin.read()
"#;

/// `hq --output-mode quiet submit ...` and `hq --output-mode json job list --all`.
const HQ: &str = r#"
import json, os, pathlib, re, sys
from hyperqueue import Client, Job

folder = pathlib.Path(os.environ["FAKE"])
jobs = folder / "jobs.json"
client = Client(str(folder / "server"))
known = json.loads(jobs.read_text()) if jobs.exists() else []
words = sys.argv[1:]
with open(folder / "calls", "a") as calls:
    calls.write(" ".join(words) + "\n")
assert words.pop(0) == "--output-mode", sys.argv
mode = words.pop(0)

class Enough(Exception):
    pass

def stats(number):
    seen = {}
    def look(progress):
        seen.update(progress)
        raise Enough()
    try:
        client.connection.wait_for_jobs((number,), look)
    except Enough:
        pass
    return seen[number]

if words[0] == "job":
    assert words == ["job", "list", "--all"] and mode == "json", sys.argv
    shown = []
    for number, name in known:
        now = stats(number)
        left = now["total"] - now["finished"] - now["failed"]
        shown.append({"id": number, "name": name, "task_count": now["total"], "task_stats": {
            "running": left, "waiting": 0, "finished": now["finished"], "failed": now["failed"], "canceled": 0}})
    print(json.dumps(shown))
else:
    assert words.pop(0) == "submit" and mode == "quiet", sys.argv
    end = words.index("--")
    words, command = words[:end], words[end + 1:]
    value = lambda flag: words[words.index(flag) + 1]
    ids = []
    for span in value("--array").split(","):
        first, _, last = span.partition("-")
        ids += range(int(first), int(last or first) + 1)
    job = Job(name=value("--name"), max_fails=None)
    for number in ids:
        fill = lambda text: re.sub(r"%\{JOB_ID\}", value("--name"), text).replace("%{TASK_ID}", str(number))
        task = job.program(command, stdout=fill(value("--stdout")), stderr=fill(value("--stderr")),
                           env={"REFIG_CACHE": os.environ["REFIG_CACHE"]})
        job.task_map.pop(task.task_id, None)
        task.task_id = number
        job.task_map[number] = task
    submitted = client.submit(job)
    known.append((submitted.id, value("--name")))
    jobs.write_text(json.dumps(known))
    print(submitted.id)
"#;

fn said(output: &Output) -> String {
    let [out, err] = [&output.stdout, &output.stderr].map(|bytes| String::from_utf8_lossy(bytes));
    format!("{}\n{out}\n{err}", output.status)
}

/// A server with a worker, stopped on drop.
struct Cluster {
    folder: tempfile::TempDir,
    server: Child,
}

impl Cluster {
    fn start(python: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let bin = folder.path().join("bin");
        std::fs::create_dir(&bin).unwrap();
        let script = folder.path().join("hq.py");
        std::fs::write(&script, HQ).unwrap();
        let hq = bin.join("hq");
        let text = format!(
            "#!/bin/sh\nexec \"{python}\" \"{}\" \"$@\"\n",
            script.display()
        );
        std::fs::write(&hq, text).unwrap();
        std::fs::set_permissions(&hq, std::fs::Permissions::from_mode(0o755)).unwrap();
        let mut server = Command::new(python)
            .args(["-c", SERVER])
            .arg(folder.path().join("server"))
            // Tasks get the worker's environment, and are to have no other images than those of the plan.
            .env_remove("CIFAR10_DIR")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        // It shows itself first.
        let mut lines = BufReader::new(server.stdout.take().unwrap()).lines();
        let ready = lines.any(|line| line.is_ok_and(|line| line == "ready"));
        assert!(ready, "the server has ended");
        // It may have more to say.
        std::thread::spawn(move || lines.for_each(drop));
        Self { folder, server }
    }

    fn at(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn reproduce(&self, folder: &Path, more: &[&str]) -> Output {
        let path = std::env::var("PATH").unwrap_or_default();
        let mut command = Command::new(env!("CARGO_BIN_EXE_refig"));
        command
            .args(["reproduce", "tiny", "--profile", "tiny", "--seeds", "1,2"])
            .args(["--offline", "--device", "cpu", "--threads", "1"])
            .args(["--experiments-dir", "tests/fixtures/experiments"])
            .args(more);
        within(&mut command, folder)
            .env("PATH", format!("{}:{path}", self.at("bin").display()))
            .env("FAKE", self.folder.path())
            // One for all of the cluster's folders.
            .env("REFIG_CACHE", self.at("cache"))
            .output()
            .unwrap()
    }

    /// Starts the launch again until it says something.
    fn until(&self, folder: &Path, words: &str) -> String {
        let begun = Instant::now();
        loop {
            let output = self.reproduce(folder, &["--launch", "hyperqueue"]);
            let told = said(&output);
            if told.contains(words) {
                return told;
            }
            assert!(begun.elapsed() < PATIENCE, "never {words}: {told}");
            std::thread::sleep(Duration::from_millis(500));
        }
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        drop(self.server.stdin.take());
        let begun = Instant::now();
        while matches!(self.server.try_wait(), Ok(None))
            && begun.elapsed() < Duration::from_secs(10)
        {
            std::thread::sleep(Duration::from_millis(50));
        }
        let _ = self.server.kill();
        let _ = self.server.wait();
    }
}

fn finished(folder: &Path) -> Vec<PathBuf> {
    let views = run::find(&folder.join("results")).unwrap();
    let done = views.into_iter().filter(|view| view.ending.is_final());
    let mut folders: Vec<PathBuf> = done.map(|view| view.folder).collect();
    folders.sort();
    folders
}

#[test]
fn hyperqueue_makes_the_same_runs() {
    let Some(python) = python::with("hyperqueue.cluster") else {
        println!(
            "SKIPPED: no HyperQueue here; `pip install hyperqueue`, or name a Python that has it with PYTHON"
        );
        return;
    };
    let cluster = Cluster::start(&python);
    let (local, remote) = (cluster.at("local"), cluster.at("it's remote"));
    std::fs::create_dir(&remote).unwrap();
    // One is complete before, so that the array is not the whole plan.
    cluster.reproduce(&remote, &["--quiet", "--networks", "plain-8"]);
    assert_eq!(finished(&remote).len(), 2);
    std::fs::remove_dir_all(&finished(&remote)[0]).unwrap();
    let submitted = cluster.reproduce(&remote, &["--launch", "hyperqueue"]);
    assert!(submitted.status.success(), "{}", said(&submitted));
    assert!(
        said(&submitted).contains("3 submitted"),
        "{}",
        said(&submitted)
    );
    // Queued, running or complete by now, and never submitted again.
    let second = cluster.reproduce(&remote, &["--launch", "hyperqueue"]);
    assert!(second.status.success(), "{}", said(&second));
    cluster.until(&remote, "all 4 runs are complete");
    let calls = std::fs::read_to_string(cluster.at("calls")).unwrap();
    let submits = calls.lines().filter(|line| line.contains(" submit "));
    assert_eq!(submits.count(), 1, "{calls}");
    assert!(remote.join("reports/tiny").is_dir());

    let here = cluster.reproduce(&local, &["--quiet"]);
    assert_eq!(finished(&local).len(), 4, "{}", said(&here));
    assert_same_results(&local, &remote);
}
