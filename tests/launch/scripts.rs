//! Scripts as text, and run by bash.

use std::collections::BTreeSet;
use std::process::Command;

use refig::exit::Exit;
use refig::orchestrate::launch::{Launch, Submission, Work, arguments, quote_all, script};

use super::cluster::program;
use super::words::{HOSTILE, launch, report, runs, stderr, stdout, with_input};

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
        "export CIFAR10_DIR='/data/it'\\''s here'",
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
    let data = words.iter().position(|word| word == "--env").unwrap();
    assert_eq!(words[data + 1], "CIFAR10_DIR=/data/it's here");

    // What it runs: the words as they are, and the number of the run. Made again, it takes the run over.
    for (instance, flags) in [("0", &[][..]), ("1", &["--take-over"][..])] {
        let output = Command::new("sh")
            .args(["-c", &words[at + 3], "refig", "40", "printf", "%s\\n"])
            .args(HOSTILE)
            .env("HQ_TASK_ID", "2")
            .env("HQ_INSTANCE_ID", instance)
            .output()
            .unwrap();
        let expected = [&HOSTILE[..], flags, &["--index", "42"]]
            .concat()
            .join("\n")
            + "\n";
        assert_eq!(stdout(&output), expected);
    }
}

/// Runs the script of a task with a worker that ends with a code, and gives what `scontrol` was asked for. The worker takes over
/// if the task was restarted.
fn run_task(code: &str, restarts: &str, state: &str) -> (Option<i32>, String) {
    run_task_with("", code, restarts, state)
}

/// A container's program: starts what it is given, and passes on signals and the exit code. So that a worker in it can warn the
/// task, it does that in the other direction, too.
const CONTAINER: &str = r#"#!/bin/bash
trap 'kill -TERM "$inside"' TERM
trap 'kill -USR1 "$PPID"' USR1
"$@" &
inside=$!
wait "$inside"
code=$?
# A signal ends the waiting, not what is inside.
while kill -0 "$inside" 2>/dev/null; do
    wait "$inside"
    code=$?
done
exit "$code"
"#;

/// [`run_task`], with more in the site file.
fn run_task_with(site: &str, code: &str, restarts: &str, state: &str) -> (Option<i32>, String) {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    program(
        &at("scontrol"),
        "#!/bin/sh\necho \"$*\" >> \"$FAKE/asked\"\n",
    );
    // A controller that is busy does not answer the first time.
    program(
        &at("squeue"),
        "#!/bin/sh\ncase $STATE in BUSY*) [ -e \"$FAKE/busy\" ] || { : > \"$FAKE/busy\"; exit 1; } ;; esac\n\
         echo \"7_3 ${STATE#BUSY } node\"\n",
    );
    // Of a site, which does not think of scripts that source it.
    std::fs::write(at("env.sh"), "set -eu\n").unwrap();
    // Is warned once it is there, where it has to save its state first.
    program(
        &at("worker"),
        "#!/bin/bash\ntrap 'exit \"$CODE\"' TERM\nprintf '%s\\n' \"$@\" > \"$FAKE/words\"\n\
         [ \"$CODE\" != 143 ] || kill -USR1 \"$PPID\"\nfor _ in {1..100}; do [ \"$CODE\" = 143 ] || exit \"$CODE\"; sleep 0.1; done\n",
    );
    let prologue = format!("prologue = [[\"source\", {:?}]]", at("env.sh"));
    program(&at("container"), CONTAINER);
    let mut launch = launch(&format!("max_requeues = 2\n{prologue}\n{site}"));
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
    let flag = if restarts == "0" { "" } else { "--take-over\n" };
    let words = std::fs::read_to_string(at("words")).unwrap();
    assert_eq!(words, format!("a b\n{flag}--index\n1003\n"));
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
    assert_eq!(
        run_task("143", "0", "BUSY RUNNING"),
        (Some(143), again.clone())
    );
    assert_eq!(run_task("130", "0", "RUNNING"), (Some(130), again));
    for code in [0, 4, 7, 70, 137] {
        let asked = run_task(&code.to_string(), "0", "RUNNING");
        assert_eq!(asked, (Some(code), String::new()));
    }
}

#[test]
fn a_signal_reaches_the_worker_in_a_container_and_its_code_comes_out() {
    let site = "container = [\"container\"]";
    let stopped = run_task_with(site, "143", "0", "RUNNING");
    assert_eq!(stopped, (Some(143), "requeue 7_3\n".to_owned()));
    let failed = run_task_with(site, "4", "0", "RUNNING");
    assert_eq!(failed, (Some(4), String::new()));
}
