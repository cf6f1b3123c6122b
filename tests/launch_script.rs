//! Launches on a cluster without a cluster: scripts as text and run by bash, and stand-ins for Slurm's programs.
#![cfg(unix)]

use std::collections::BTreeSet;
use std::io::Write as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use refig::exit::Exit;
use refig::orchestrate::launch::{Launch, Site, Submission, Work, arguments, quote_all, script};

/// Words that a shell, sbatch or a program would take for something else.
const HOSTILE: [&str; 12] = [
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

fn launch(site: &str) -> Launch {
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
    }
}

fn runs(tasks: &[u64]) -> Submission {
    Submission {
        name: "refig-fig6-01234567-1".into(),
        work: Work::Runs {
            first: 0,
            tasks: tasks.iter().copied().collect(),
        },
        after: BTreeSet::new(),
    }
}

fn report() -> Submission {
    Submission {
        work: Work::Report,
        ..runs(&[])
    }
}

/// A program's output, given text on its standard input.
fn with_input(command: &mut Command, text: &str) -> Output {
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

fn stdout(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned()
}

fn stderr(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// A file that can be run.
fn program(path: &Path, text: &str) {
    std::fs::write(path, text).unwrap();
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o755)).unwrap();
}

#[test]
fn quoted_words_reach_a_program_as_they_are() {
    let words = HOSTILE.map(String::from);
    for shell in ["bash", "sh"] {
        let command = format!("printf '%s\\n' {}", quote_all(&words));
        let output = Command::new(shell).args(["-c", &command]).output().unwrap();
        assert_eq!(stdout(&output), HOSTILE.join("\n") + "\n", "{shell}");
    }
}

#[test]
fn scripts_are_valid_whatever_the_words_are() {
    let site = "modules = [\"cuda/12.4\", \"it's\"]\ncontainer = [\"apptainer\", \"exec\", \"a b.sif\"]\n\
                prologue = [[\"export\", \"A=$(b) c\"]]\nat_once = 3\ntime = \"1:00:00\"\n\
                [options]\ncomment = \"it's \\\"a\\\" \\\\ #b\"\nexclusive = true\n[report]\ntime = 10";
    for submission in [runs(&[0, 1, 2, 7]), report()] {
        let text = script(&launch(site), &submission).unwrap();
        let output = with_input(Command::new("bash").arg("-n"), &text);
        assert!(output.status.success(), "{text}\n{}", stderr(&output));
        let mut shellcheck = Command::new("shellcheck");
        if Command::new("shellcheck").arg("-V").output().is_err() {
            println!("SKIPPED: no shellcheck here");
            continue;
        }
        let output = with_input(shellcheck.args(["--severity=warning", "-"]), &text);
        assert!(output.status.success(), "{text}\n{}", stdout(&output));
    }
}

#[test]
fn scripts_ask_for_what_the_site_file_says() {
    let has = |text: &str, line: &str| text.lines().any(|other| other == line);
    let text = script(&launch(""), &runs(&[0, 1, 2, 7])).unwrap();
    for line in [
        "#SBATCH --job-name=refig-fig6-01234567-1",
        "#SBATCH --array=0-2,7",
        "#SBATCH --ntasks=1",
        "#SBATCH --cpus-per-task=4",
        "#SBATCH --gres=gpu:1",
        "#SBATCH --open-mode=append",
        "#SBATCH --requeue",
        "#SBATCH --signal=B:USR1@120",
        "#SBATCH \"--output=/results/.launches/it's \\\"here\\\" 100%%/%A_%a.log\"",
        "max_requeues=100",
    ] {
        assert!(has(&text, line), "no {line} in\n{text}");
    }
    let site = "partition = \"long\"\nat_once = 2\nmemory = \"8G\"\nmax_requeues = 3\nwarning = 60\ngpus = \"a100:2\"\n\
                [options]\nnice = 100\n[report]\npartition = \"short\"";
    let text = script(&launch(site), &runs(&[4])).unwrap();
    for line in [
        "#SBATCH --partition=long",
        "#SBATCH --array=4%2",
        "#SBATCH --mem=8G",
        "#SBATCH --gres=gpu:a100:2",
        "#SBATCH --signal=B:USR1@60",
        "#SBATCH --nice=100",
        "max_requeues=3",
    ] {
        assert!(has(&text, line), "no {line} in\n{text}");
    }
    let text = script(&launch(site), &report()).unwrap();
    assert!(has(&text, "#SBATCH --partition=short"), "{text}");
    assert!(!text.contains("gpu") && !text.contains("--array"), "{text}");
    // Without a GPU none is asked for, in whatever way.
    for site in ["gpus = 2", "[options]\ngpus-per-node = 1"] {
        let launch = Launch {
            on_gpu: false,
            ..launch(site)
        };
        let text = script(&launch, &runs(&[0])).unwrap();
        assert!(!text.contains("gpu") && !text.contains("gres"), "{text}");
    }
    let launch = Launch {
        folder: "/results\\".into(),
        ..launch("")
    };
    let error = script(&launch, &runs(&[0])).unwrap_err();
    assert_eq!(Exit::of(&error), Exit::Usage);
}

#[test]
fn hyperqueue_gets_words_and_a_constant_script() {
    let mut launch = launch("container = [\"box\"]\n[options]\npriority = 3");
    launch.folder = "/results/.launches/a".into();
    let words = arguments(&launch, &runs(&[0, 1])).unwrap();
    let at = words.iter().position(|word| word == "--").unwrap();
    assert_eq!(words[at + 1..at + 3], ["sh", "-c"]);
    assert_eq!(words[at + 4..at + 7], ["refig", "0", "box"]);
    assert_eq!(words[at + 7..], launch.worker[..]);
    assert!(words.contains(&"--priority=3".to_owned()), "{words:?}");

    // What it runs: the words as they are, and the number of the run.
    let output = Command::new("sh")
        .args(["-c", &words[at + 3], "refig", "40", "printf", "%s\\n"])
        .args(HOSTILE)
        .env("HQ_TASK_ID", "2")
        .output()
        .unwrap();
    let expected = [&HOSTILE[..], &["--index", "42"]].concat().join("\n") + "\n";
    assert_eq!(stdout(&output), expected);
}

/// Runs the script of a task with a worker that ends with a code, and gives what `scontrol` was asked for.
fn run_task(code: &str, restarts: &str, state: &str) -> (Option<i32>, String) {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    program(
        &at("scontrol"),
        "#!/bin/sh\necho \"$*\" >> \"$FAKE/asked\"\n",
    );
    program(&at("squeue"), "#!/bin/sh\necho \"7_3 $STATE node\"\n");
    // Is warned once it is there, where it has to save its state first.
    program(
        &at("worker"),
        "#!/bin/bash\ntrap 'exit \"$CODE\"' TERM\n\
         [ \"$CODE\" != 143 ] || kill -USR1 \"$PPID\"\nfor _ in {1..100}; do [ \"$CODE\" = 143 ] || exit \"$CODE\"; sleep 0.1; done\n",
    );
    let mut launch = launch("max_requeues = 2");
    launch.worker = vec![at("worker").to_str().unwrap().into(), "a b".into()];
    let submission = Submission {
        work: Work::Runs {
            first: 1000,
            tasks: BTreeSet::from([3]),
        },
        ..runs(&[])
    };
    let text = script(&launch, &submission).unwrap();
    std::fs::write(at("script"), text).unwrap();
    let path = std::env::var("PATH").unwrap();
    let output = Command::new("bash")
        .arg(at("script"))
        .env("PATH", format!("{}:{path}", folder.path().display()))
        .env("FAKE", folder.path())
        .env("CODE", code)
        .env("STATE", state)
        .env("SLURM_RESTART_COUNT", restarts)
        .env("SLURM_ARRAY_JOB_ID", "7")
        .env("SLURM_ARRAY_TASK_ID", "3")
        .output()
        .unwrap();
    let asked = std::fs::read_to_string(at("asked")).unwrap_or_default();
    (output.status.code(), asked)
}

#[test]
fn a_task_that_was_stopped_is_queued_again_a_number_of_times_unless_cancelled() {
    let again = "requeue 7_3\n".to_owned();
    assert_eq!(run_task("143", "0", "RUNNING"), (Some(143), again.clone()));
    assert_eq!(run_task("143", "1", "RUNNING"), (Some(143), again.clone()));
    assert_eq!(run_task("143", "2", "RUNNING"), (Some(143), String::new()));
    assert_eq!(
        run_task("143", "0", "COMPLETING"),
        (Some(143), String::new())
    );
    assert_eq!(run_task("130", "0", "RUNNING"), (Some(130), again));
    for code in [0, 4, 7, 70, 137] {
        let asked = run_task(&code.to_string(), "0", "RUNNING");
        assert_eq!(asked, (Some(code), String::new()));
    }
}

/// Stand-ins for sbatch and squeue. Everything submitted stays queued until it is taken out of `queue`.
struct Cluster {
    folder: tempfile::TempDir,
}

impl Cluster {
    fn new() -> Self {
        let cluster = Self {
            folder: tempfile::tempdir().unwrap(),
        };
        std::fs::create_dir(cluster.at("bin")).unwrap();
        program(
            &cluster.at("bin/sbatch"),
            r##"#!/bin/bash
echo "sbatch $*" >> "$FAKE/calls"
number=$(($(cat "$FAKE/number" 2>/dev/null || echo 100) + 1))
echo "$number" > "$FAKE/number"
script=${!#}
name=$(sed -n 's/^#SBATCH --job-name=//p' "$script")
array=$(sed -n 's/^#SBATCH --array=//p' "$script")
[ ! -e "$FAKE/refuse" ] || { echo "sbatch: error: invalid partition specified" >&2; exit 1; }
echo "$number $name $array" >> "$FAKE/queue"
# Its caller dies before it hears of the number.
[ ! -e "$FAKE/die" ] || { kill -KILL "$PPID"; exit 1; }
echo "$number"
"##,
        );
        program(
            &cluster.at("bin/squeue"),
            r##"#!/bin/bash
echo "squeue $*" >> "$FAKE/calls"
[ -z "${SQUEUE_STATES:-}" ] || { echo "squeue: only some states are shown" >&2; exit 1; }
[ ! -e "$FAKE/down" ] || { echo "slurm_load_jobs error: Unable to contact slurm controller" >&2; exit 1; }
name=
numbers=
while [ $# -gt 0 ]; do
    case $1 in
    -j) numbers=,$2, ;;
    --name=*) name=${1#--name=} ;;
    esac
    shift
done
found=
while read -r number job array; do
    [ -z "$name" ] || [ "$job" = "$name" ] || continue
    [ -z "$numbers" ] || [[ $numbers == *,$number,* ]] || continue
    found=yes
    if [ -n "$array" ]; then echo "${number}_[$array] PENDING (Priority)"; else echo "$number PENDING (Dependency)"; fi
done < <(cat "$FAKE/queue" 2>/dev/null)
if [ -n "$numbers" ] && [ -z "$found" ]; then
    echo "slurm_load_jobs error: Invalid job id specified" >&2
    exit 1
fi
"##,
        );
        cluster
    }

    fn at(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn text(&self, name: &str) -> String {
        std::fs::read_to_string(self.at(name)).unwrap_or_default()
    }

    fn calls(&self, program: &str) -> usize {
        let begin = format!("{program} ");
        let calls = self.text("calls");
        calls
            .lines()
            .filter(|line| line.starts_with(&begin))
            .count()
    }

    /// Lines of the queue: number, name and array.
    fn queue(&self) -> Vec<String> {
        self.text("queue").lines().map(String::from).collect()
    }

    fn refig(&self, arguments: &[&str]) -> Output {
        let path = std::env::var("PATH").unwrap();
        Command::new(env!("CARGO_BIN_EXE_refig"))
            .args(arguments)
            .args(["--experiments-dir", "tests/fixtures/experiments"])
            .arg("--results-dir")
            .arg(self.at("results"))
            .arg("--reports-dir")
            .arg(self.at("reports"))
            .env("PATH", format!("{}:{path}", self.at("bin").display()))
            .env("FAKE", self.folder.path())
            .env("REFIG_CACHE", self.at("cache"))
            .env("SQUEUE_STATES", "RUNNING")
            .env_remove("CIFAR10_DIR")
            .output()
            .unwrap()
    }

    fn reproduce(&self, more: &[&str]) -> Output {
        let begin = [
            "reproduce",
            "tiny",
            "--profile",
            "tiny",
            "--offline",
            "--device",
            "cpu",
        ];
        self.refig(&[&begin[..], more].concat())
    }

    fn launch(&self, more: &[&str]) -> Output {
        self.reproduce(&[&["--launch", "slurm"][..], more].concat())
    }
}

fn succeeded(output: Output) -> Output {
    assert!(output.status.success(), "{}", stderr(&output));
    output
}

#[test]
fn a_second_start_submits_nothing_that_is_queued() {
    let cluster = Cluster::new();
    let printed = succeeded(cluster.launch(&["--print"]));
    assert!(
        stdout(&printed).contains("#SBATCH --array=0-1"),
        "{}",
        stdout(&printed)
    );
    assert!(!stdout(&printed).contains("gres"), "{}", stdout(&printed));
    assert_eq!(cluster.calls("sbatch") + cluster.calls("squeue"), 0);
    assert!(!cluster.at("results").exists());

    let first = succeeded(cluster.launch(&[]));
    assert!(
        stdout(&first).contains("job 101: 2 runs"),
        "{}",
        stdout(&first)
    );
    assert!(
        stdout(&first).contains("job 102: draws and checks"),
        "{}",
        stdout(&first)
    );
    let queue = cluster.queue();
    assert_eq!(queue.len(), 2, "{queue:?}");
    assert!(queue[0].ends_with(" 0-1"), "{queue:?}");
    assert!(cluster.text("calls").contains("--dependency=afterany:101 "));

    let second = succeeded(cluster.launch(&[]));
    assert!(
        stderr(&second).contains("2 queued or running, 0 submitted"),
        "{}",
        stderr(&second)
    );
    // Other seeds are another plan, with runs that are queued as well.
    let more = succeeded(cluster.launch(&["--seeds", "1,2"]));
    assert!(
        stderr(&more).contains("2 queued or running, 2 submitted"),
        "{}",
        stderr(&more)
    );
    let queue = cluster.queue();
    assert!(
        queue[2].starts_with("103 ") && queue[2].ends_with(" 2-3"),
        "{queue:?}"
    );
    assert!(
        cluster
            .text("calls")
            .contains("--dependency=afterany:101:103 ")
    );

    let status = stdout(&succeeded(cluster.refig(&["status"])));
    assert_eq!(
        status.matches("PENDING (Priority), job 101_").count(),
        2,
        "{status}"
    );
    assert_eq!(
        status.matches("PENDING (Priority), job 103_").count(),
        2,
        "{status}"
    );
    for line in cluster
        .text("calls")
        .lines()
        .filter(|line| line.starts_with("squeue"))
    {
        assert!(
            line.ends_with("-o %i %T %R") && line.starts_with("squeue -h "),
            "{line}"
        );
    }

    // They have ended, and left no run: all are submitted again.
    std::fs::remove_file(cluster.at("queue")).unwrap();
    let again = succeeded(cluster.launch(&[]));
    assert!(
        stderr(&again).contains("0 queued or running, 2 submitted"),
        "{}",
        stderr(&again)
    );
}

#[test]
fn quietly_the_numbers_of_the_jobs_are_printed_alone() {
    let cluster = Cluster::new();
    let first = succeeded(cluster.launch(&["--quiet"]));
    assert_eq!(stdout(&first), "101\n102\n");
    assert_eq!(stdout(&succeeded(cluster.launch(&["--quiet"]))), "");
}

#[test]
fn a_program_without_a_slash_is_looked_for_on_the_node() {
    let cluster = Cluster::new();
    let site = cluster.at("site.toml");
    for (program, word) in [
        ("refig", "refig".to_owned()),
        (
            "bin/refig",
            std::env::current_dir()
                .unwrap()
                .join("bin/refig")
                .display()
                .to_string(),
        ),
    ] {
        std::fs::write(&site, format!("program = \"{program}\"\n")).unwrap();
        let output = cluster.launch(&["--print", "--site", site.to_str().unwrap()]);
        let text = stdout(&succeeded(output));
        for begin in ["command=(", "exec "] {
            let words = quote_all(std::slice::from_ref(&word));
            assert!(text.contains(&format!("\n{begin}{words} ")), "{text}");
        }
    }
}

#[test]
fn a_crash_between_submitting_and_recording_submits_nothing_twice() {
    let cluster = Cluster::new();
    std::fs::write(cluster.at("die"), "").unwrap();
    let killed = cluster.launch(&[]);
    assert_eq!(killed.status.code(), None, "{}", stderr(&killed));
    assert_eq!(cluster.queue().len(), 1);
    std::fs::remove_file(cluster.at("die")).unwrap();
    let second = succeeded(cluster.launch(&[]));
    assert!(
        stderr(&second).contains("2 queued or running, 0 submitted"),
        "{}",
        stderr(&second)
    );
    // Only the job that draws and checks was missing.
    let queue = cluster.queue();
    assert_eq!(queue.len(), 2, "{queue:?}");
    assert!(
        stdout(&second).contains("job 102: draws and checks"),
        "{}",
        stdout(&second)
    );
}

#[test]
fn nothing_is_submitted_where_the_queue_does_not_answer() {
    let cluster = Cluster::new();
    succeeded(cluster.launch(&[]));
    std::fs::write(cluster.at("down"), "").unwrap();
    let output = cluster.launch(&[]);
    assert_eq!(output.status.code(), Some(Exit::Internal as i32));
    assert!(
        stderr(&output).contains("nothing was submitted"),
        "{}",
        stderr(&output)
    );
    assert_eq!(cluster.calls("sbatch"), 2);
    // Looking goes on without it.
    assert!(!stdout(&succeeded(cluster.refig(&["status"]))).contains("PENDING"));
}

#[test]
fn a_refusal_is_told_and_the_next_start_tries_again() {
    let cluster = Cluster::new();
    std::fs::write(cluster.at("refuse"), "").unwrap();
    let output = cluster.launch(&[]);
    assert_eq!(output.status.code(), Some(Exit::Usage as i32));
    assert!(
        stderr(&output).contains("invalid partition"),
        "{}",
        stderr(&output)
    );
    std::fs::remove_file(cluster.at("refuse")).unwrap();
    let output = succeeded(cluster.launch(&[]));
    assert!(
        stdout(&output).contains("job 102: 2 runs"),
        "{}",
        stdout(&output)
    );
}

#[test]
fn complete_runs_are_not_submitted_and_arrays_are_cut() {
    let cluster = Cluster::new();
    cluster.reproduce(&["--quiet", "--networks", "plain-8"]);
    let site = cluster.at("site.toml");
    std::fs::write(&site, "array_limit = 1\n").unwrap();
    let site = site.to_str().unwrap();
    let output = succeeded(cluster.launch(&["--site", site, "--seeds", "1,2"]));
    assert!(
        stderr(&output).contains("4 runs: 1 complete, 0 queued or running, 3 submitted"),
        "{}",
        stderr(&output)
    );
    let queue = cluster.queue();
    assert_eq!(queue.len(), 4, "{queue:?}");
    assert!(
        queue[..3].iter().all(|line| line.ends_with(" 0")),
        "{queue:?}"
    );
    let launches = std::fs::read_dir(cluster.at("results/.launches")).unwrap();
    let folder = launches
        .flatten()
        .find(|entry| entry.path().is_dir())
        .unwrap();
    let mut offsets: Vec<String> = std::fs::read_dir(folder.path())
        .unwrap()
        .flatten()
        .filter(|entry| {
            entry
                .path()
                .extension()
                .is_some_and(|ending| ending == "sh")
        })
        .filter_map(|entry| {
            let text = std::fs::read_to_string(entry.path()).unwrap();
            let line = text.lines().find(|line| line.starts_with("index="))?;
            Some(line.to_owned())
        })
        .collect();
    offsets.sort();
    assert_eq!(
        offsets,
        [1, 2, 3].map(|first| format!("index=$((SLURM_ARRAY_TASK_ID + {first}))"))
    );

    // With nothing left, there is nothing to print, and the second start draws and checks.
    cluster.reproduce(&["--quiet"]);
    let printed = succeeded(cluster.launch(&["--print"]));
    assert_eq!(stdout(&printed), "");
    assert!(
        stderr(&printed).contains("nothing to submit: all 2 runs are complete"),
        "{}",
        stderr(&printed)
    );
    let output = cluster.launch(&[]);
    assert_eq!(
        output.status.code(),
        Some(Exit::Success as i32),
        "{}",
        stderr(&output)
    );
    assert!(
        stderr(&output).contains("all 2 runs are complete"),
        "{}",
        stderr(&output)
    );
}

#[test]
fn what_contradicts_itself_is_refused() {
    let cluster = Cluster::new();
    let site = cluster.at("site.toml");
    std::fs::write(&site, "gpus = 1\n[options]\ngres = \"gpu:1\"\n").unwrap();
    let path = site.to_str().unwrap();
    let output = cluster.launch(&["--site", path]);
    assert_eq!(output.status.code(), Some(Exit::Usage as i32));
    let said = stderr(&output);
    assert!(said.contains("gpus and options.gres"), "{said}");
    for flags in [&["--fresh"][..], &["--jobs", "2"], &["--device", "cuda:1"]] {
        let begin = [
            "reproduce",
            "tiny",
            "--profile",
            "tiny",
            "--launch",
            "slurm",
        ];
        let output = cluster.refig(&[&begin[..], flags].concat());
        assert_eq!(output.status.code(), Some(Exit::Usage as i32), "{flags:?}");
    }
    let output = cluster.reproduce(&["--print"]);
    assert_eq!(output.status.code(), Some(Exit::Usage as i32));
    assert_eq!(cluster.calls("sbatch"), 0);
}

/// The text of a block of code in the documentation.
fn block(language: &str) -> String {
    let page = include_str!("../docs/cluster.md");
    let (_, after) = page.split_once(&format!("```{language}\n")).unwrap();
    after.split("```").next().unwrap().to_owned()
}

#[test]
fn the_documented_site_file_is_one() {
    let site = Site::parse(&block("toml")).unwrap();
    assert_eq!(site.options.len(), 2);
    let text = script(&Launch { site, ..launch("") }, &runs(&[0]));
    let text = text.unwrap();
    assert!(
        text.contains("\nsource /home/me/env.sh || exit\n"),
        "{text}"
    );
    assert!(text.contains("#SBATCH --constraint=a100|h100\n"), "{text}");
}

#[test]
fn the_documented_kubernetes_job_is_one() {
    let check = r#"
import sys
try:
    import yaml
except ImportError:
    print("SKIPPED: no Python here reads YAML; `pip install pyyaml`")
    sys.exit()
job = yaml.safe_load(sys.stdin)
def only(place, *keys):
    assert set(place) <= set(keys), set(place) - set(keys)
only(job, "apiVersion", "kind", "metadata", "spec")
assert (job["apiVersion"], job["kind"]) == ("batch/v1", "Job")
spec = job["spec"]
only(spec, "completionMode", "completions", "parallelism", "backoffLimitPerIndex", "maxFailedIndexes",
     "podFailurePolicy", "template")
assert spec["completionMode"] == "Indexed" and spec["maxFailedIndexes"] <= spec["completions"]
for rule in spec["podFailurePolicy"]["rules"]:
    assert rule.pop("action") in ("Ignore", "FailIndex", "Count")
    (kind, what), = rule.items()
    if kind == "onPodConditions":
        for condition in what:
            only(condition, "type", "status")
            assert condition["status"] in ("True", "False", "Unknown")
    else:
        assert kind == "onExitCodes"
        only(what, "containerName", "operator", "values")
        assert what["operator"] in ("In", "NotIn") and 0 not in what["values"]
        assert what["values"] == sorted(set(what["values"]))
pod = spec["template"]["spec"]
only(pod, "restartPolicy", "terminationGracePeriodSeconds", "containers", "volumes")
# Others are refused beside a podFailurePolicy.
assert pod["restartPolicy"] == "Never"
container, = pod["containers"]
only(container, "name", "image", "command", "env", "resources", "volumeMounts")
assert container["name"] == "refig" and all(type(word) is str for word in container["command"])
assert "--index=$(JOB_COMPLETION_INDEX)" in container["command"]
assert [mount["name"] for mount in container["volumeMounts"]] == [volume["name"] for volume in pod["volumes"]]
"#;
    let python = std::env::var("PYTHON").unwrap_or_else(|_| "python3".into());
    if Command::new(&python).arg("-V").output().is_err() {
        println!("SKIPPED: no Python here");
        return;
    }
    let output = with_input(Command::new(python).args(["-c", check]), &block("yaml"));
    assert!(output.status.success(), "{}", stderr(&output));
    print!("{}", stdout(&output));
}
