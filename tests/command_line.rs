//! What a new user meets: help, wrong flags, missing files, and the exit codes that say so.

use std::path::Path;
use std::process::{Command, Output};

use refig::exit::Exit;

fn refig(args: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_refig"))
        .args(args)
        .env_remove("CIFAR10_DIR")
        .output()
        .unwrap()
}

fn code(output: &Output) -> i32 {
    output.status.code().unwrap()
}

fn stderr(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

fn stdout(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned()
}

#[test]
fn list_names_the_experiments() {
    let output = refig(&["list"]);
    assert_eq!(code(&output), 0);
    assert!(
        stdout(&output)
            .lines()
            .any(|line| line.starts_with("fig6 "))
    );
    assert!(
        stdout(&output)
            .lines()
            .any(|line| line.starts_with("fig1 "))
    );
}

#[test]
fn describe_gives_the_papers_counts_in_any_case() {
    let output = refig(&["describe", "ResNet-110", "--format", "json"]);
    assert_eq!(code(&output), 0, "{}", stderr(&output));
    let described: serde_json::Value = serde_json::from_str(&stdout(&output)).unwrap();
    assert_eq!(described["parameters"], 1_727_962);
    assert!(described["multiply_adds"].as_u64().unwrap() > 250_000_000);
}

#[test]
fn describe_states_the_memory_of_a_step() {
    let output = refig(&["describe", "resnet-34", "--batch", "256"]);
    let text = stdout(&output);
    assert_eq!(code(&output), 0, "{}", stderr(&output));
    for says in [
        "memory of a training step, batch 256, fp32",
        "a GPU of 80 GB holds 2022 images at once, 2307 with activations made again",
    ] {
        assert!(text.contains(says), "{says} is not in: {text}");
    }
    let memory = |args: &[&str]| -> serde_json::Value {
        let described = &["describe", "resnet-152", "--format", "json"][..];
        let output = refig(&[described, args].concat());
        assert_eq!(code(&output), 0, "{}", stderr(&output));
        let all: serde_json::Value = serde_json::from_str(&stdout(&output)).unwrap();
        all["memory"].clone()
    };
    assert!(memory(&[]).is_null());
    let whole = memory(&["--batch", "256"]);
    let pieces = memory(&["--batch", "256", "--micro-batch", "32"]);
    let number = |of: &serde_json::Value, path: &str| of.pointer(path).unwrap().as_u64().unwrap();
    for path in ["/kept/kept", "/kept/passing", "/recomputed/kept"] {
        assert_eq!(number(&whole, path), 8 * number(&pieces, path), "{path}");
    }
    let gradients = number(&pieces, "/gradients");
    assert_eq!(2 * number(&whole, "/gradients"), gradients);
    // ResNet-152 fits at batch 256, and more than 600 images do in 16 bits.
    assert!((256..512).contains(&number(&whole, "/kept/most_images")));
    let narrow = memory(&["--batch", "256", "--precision", "bf16"]);
    assert!(number(&narrow, "/kept/most_images") > 600);
    assert!(number(&narrow, "/kept/total") < 32_000_000_000);
    for (args, says) in [
        (
            &["--batch", "256", "--micro-batch", "48"][..],
            "use a divisor",
        ),
        (&["--micro-batch", "32"][..], "--batch"),
        (&["--batch", "0"][..], "--batch"),
    ] {
        let output = refig(&[&["describe", "resnet-34"][..], args].concat());
        assert_eq!(code(&output), 2, "{args:?}");
        assert!(stderr(&output).contains(says), "{}", stderr(&output));
    }
}

#[test]
fn a_column_of_layers_and_bars_are_drawn_without_runs_or_data() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("resnet-20.svg");
    let output = refig(&["describe", "resnet-20", "--svg", file.to_str().unwrap()]);
    assert_eq!(code(&output), 0, "{}", stderr(&output));
    let svg = std::fs::read_to_string(&file).unwrap();
    assert!(svg.starts_with("<svg") && svg.contains("3x3 conv, 64"));
    let output = refig(&["describe", "resnet-20", "--svg", "-"]);
    assert_eq!(code(&output), 0, "{}", stderr(&output));
    assert_eq!(stdout(&output), svg);
    assert!(!Path::new("-").exists());
    let reports = folder.path().to_str().unwrap();
    let output = refig(&["render", "context", "--reports-dir", reports]);
    assert_eq!(code(&output), 0, "{}", stderr(&output));
    assert!(folder.path().join("context/context.png").is_file());
    let output = refig(&["reproduce", "context"]);
    assert_eq!(code(&output), Exit::Usage as i32);
    assert!(
        stderr(&output).contains("refig render context"),
        "{}",
        stderr(&output)
    );
}

#[test]
fn wrong_usage_ends_with_its_code_and_the_remedy() {
    for (args, says) in [
        (&["reproduce", "fig6", "--nonsense"][..], "--nonsense"),
        (&["reproduce", "fig9"], "fig6"),
        (&["plan", "fig6", "--profile", "huge"], "quick"),
        (&["plan", "fig6", "--set", "recipe.bacth=64"], "bacth"),
        (&["plan", "fig6", "--seeds", "4..0"], "0..4"),
        (&["plan", "fig6", "--networks", "resnet-21"], "resnet-20"),
        (&["describe", "resnet-21"], "20"),
        (
            &[
                "parity",
                "tests/fixtures/plain-8.safetensors",
                "--threads",
                "0",
            ],
            "--threads",
        ),
    ] {
        let output = refig(args);
        assert_eq!(
            code(&output),
            Exit::Usage as i32,
            "{args:?}: {}",
            stderr(&output)
        );
        assert!(
            stderr(&output).contains(says),
            "{args:?}: {}",
            stderr(&output)
        );
    }
}

#[test]
fn a_device_that_is_not_there_is_refused_by_name() {
    let step = |device| {
        refig(&[
            "bench", "step", "--batch", "2", "--steps", "1", "--device", device,
        ])
    };
    let output = step("tpu");
    assert_eq!(code(&output), Exit::Usage as i32, "{}", stderr(&output));
    assert!(stderr(&output).contains("cuda:N"), "{}", stderr(&output));
    // More GPUs than any machine has.
    let output = step("cuda:4096");
    assert_eq!(code(&output), Exit::Device as i32, "{}", stderr(&output));
    let remedy = match refig::engine::has_cuda() {
        true => "--device cpu",
        false => "cargo build --release --features cuda",
    };
    assert!(stderr(&output).contains(remedy), "{}", stderr(&output));
}

#[test]
fn a_precision_that_the_cpu_has_not_is_refused_before_anything_is_done() {
    let folder = tempfile::tempdir().unwrap();
    let results = folder.path().join("results");
    let of = |words: &[&str]| {
        let results = ["--results-dir", results.to_str().unwrap()];
        let output = refig(&[words, &results].concat());
        assert_eq!(code(&output), Exit::Device as i32, "{}", stderr(&output));
        stderr(&output)
    };
    for precision in ["tf32", "bf16"] {
        let set = format!("recipe.precision=\"{precision}\"");
        let smoke = ["fig6", "--profile", "smoke", "--offline", "--device", "cpu"];
        let bench = ["--network", "plain-8", "--device", "cpu"];
        for said in [
            of(&[&["reproduce"], &smoke[..], &["--set", &set]].concat()),
            of(&[&["plan"], &smoke[..], &["--set", &set]].concat()),
            of(&[&["bench", "step"], &bench[..], &["--precision", precision]].concat()),
        ] {
            let remedy = format!("precision {precision}: the CPU computes in fp32 only");
            assert!(
                said.contains(&remedy) && said.contains("--device cuda"),
                "{said}"
            );
        }
    }
    assert!(!results.exists());
}

#[test]
fn doctor_says_what_is_here_and_what_is_missing() {
    let empty = tempfile::tempdir().unwrap();
    let output = Command::new(env!("CARGO_BIN_EXE_refig"))
        .args(["doctor", "--format", "json"])
        .env_remove("CIFAR10_DIR")
        .envs(["IMAGENET_DIR", "REFIG_CACHE"].map(|name| (name, empty.path())))
        .output()
        .unwrap();
    assert_eq!(code(&output), 0, "{}", stderr(&output));
    let findings: Vec<serde_json::Value> = serde_json::from_str(&stdout(&output)).unwrap();
    let find = |what: &str| {
        findings
            .iter()
            .find(|finding| finding["what"] == what)
            .unwrap()
    };
    for what in [
        "processor",
        "threads",
        "instruction sets",
        "memory",
        "NVIDIA driver",
        "GPU",
        "disk",
    ] {
        assert!(!find(what)["found"].as_str().unwrap().is_empty(), "{what}");
    }
    let remedy = find("CIFAR-10")["missing"].as_str().unwrap();
    assert!(remedy.contains("data fetch cifar10"), "{remedy}");
    let remedy = find("ImageNet")["missing"].as_str().unwrap();
    assert!(remedy.contains("no images in a known layout"), "{remedy}");
}

#[test]
fn a_named_folder_without_cifar_is_an_error_never_the_synthetic_set() {
    let empty = tempfile::tempdir().unwrap();
    let output = refig(&[
        "reproduce",
        "fig6",
        "--profile",
        "smoke",
        "--data-dir",
        empty.path().to_str().unwrap(),
        "--results-dir",
        empty.path().join("results").to_str().unwrap(),
    ]);
    assert_eq!(code(&output), Exit::Data as i32, "{}", stderr(&output));
    assert!(!empty.path().join("results").exists());
}

#[test]
fn a_check_without_results_is_never_a_pass() {
    let empty = tempfile::tempdir().unwrap();
    let output = refig(&[
        "check",
        "fig6",
        "--profile",
        "quick",
        "--results-dir",
        empty.path().to_str().unwrap(),
        "--reports-dir",
        empty.path().to_str().unwrap(),
    ]);
    assert_eq!(code(&output), Exit::Missing as i32, "{}", stderr(&output));
}

#[test]
fn a_recorded_step_past_the_tolerance_fails() {
    let output = refig(&[
        "parity",
        "tests/fixtures/plain-8.safetensors",
        "--tolerance",
        "1e-12",
    ]);
    assert_eq!(
        code(&output),
        Exit::CheckFailed as i32,
        "{}",
        stderr(&output)
    );
    let output = refig(&["parity", "tests/fixtures/nothing-there.safetensors"]);
    assert_ne!(code(&output), 0);
    assert!(
        stderr(&output).contains("nothing-there"),
        "{}",
        stderr(&output)
    );
}

#[test]
fn plan_names_time_disk_and_download_and_changes_nothing() {
    let empty = tempfile::tempdir().unwrap();
    let cache = empty.path().join("cache");
    let results = empty.path().join("results");
    // An address where nobody listens: a download would fail, and take its time.
    let plan = |flags: &[&str]| {
        let output = Command::new(env!("CARGO_BIN_EXE_refig"))
            .args(["plan", "fig6", "--profile", "paper"])
            .args(["--mirror", "http://127.0.0.1:9/none.tar.gz"])
            .args(["--results-dir", results.to_str().unwrap()])
            .args(flags)
            .env("REFIG_CACHE", &cache)
            .env_remove("CIFAR10_DIR")
            .output()
            .unwrap();
        assert_eq!(code(&output), 0, "{}", stderr(&output));
        stdout(&output)
    };
    let text = plan(&[]);
    let runs = text.lines().filter(|line| line.contains(" new ")).count();
    assert_eq!(runs, 9, "{text}");
    for says in [
        "64000 of 64000",
        "total: about",
        "images: 50000 for training and 10000 for tests, as published",
        "memory: about",
        "disk: at most",
        "data: 185 MB",
        "download: 171 MB",
    ] {
        assert!(text.contains(says), "{says} in {text}");
    }
    let text = plan(&["--networks", "resnet-20", "--format", "json"]);
    let json: serde_json::Value = serde_json::from_str(&text).unwrap();
    assert_eq!(json["experiment"], "fig6");
    assert_eq!(json["profile"], "paper");
    assert_eq!(json["download_bytes"], 170_052_171);
    let run = &json["runs"][0];
    assert_eq!(run["state"], "new");
    assert_eq!(run["iterations_left"], 64_000);
    assert_eq!(run["seconds"], json["seconds"]);
    assert_eq!(json["iterations"], 64_000);
    assert_eq!(json["images"]["training"], 50_000);
    assert!(json["loading_memory_bytes"].as_u64() > Some(0));
    assert!(json["memory_bytes"].as_u64() > Some(0));
    assert!(json["disk_bytes"].as_u64() > Some(0));
    assert_eq!(std::fs::read_dir(empty.path()).unwrap().count(), 0);
}

#[test]
fn what_a_download_would_bring_is_known_as_the_same_runs() {
    // The runs of data still to be fetched are found by the digests of the official images.
    let empty = tempfile::tempdir().unwrap();
    let foreseen = refig::data::foresee(&refig::data::Request {
        dir: None,
        cache: empty.path().into(),
        mirrors: Vec::new(),
        pace: refig::data::Pace::default(),
        allow_download: true,
        allow_synthetic: true,
        synthetic_seed: 0,
        require_official: false,
    })
    .unwrap();
    assert_eq!(foreseen.test_images, 10_000);
    // sha256 of the two digests of the set's records, a line each.
    assert_eq!(
        foreseen.digest,
        "9ed84342a06d22b2238869634bf51a3c9da3c4785abfada5e8fd1451e84b7768"
    );
    assert_eq!(foreseen.download, 143_646_105);
}

#[test]
fn every_shell_gets_completions() {
    for shell in ["bash", "zsh", "fish", "powershell", "elvish"] {
        let output = refig(&["completions", shell]);
        assert_eq!(code(&output), 0, "{}", stderr(&output));
        let script = stdout(&output);
        assert!(
            script.contains("refig") && script.contains("reproduce"),
            "{shell}: {script}"
        );
    }
    let output = refig(&["completions", "csh"]);
    assert_eq!(code(&output), Exit::Usage as i32);
}

#[test]
fn the_project_is_found_from_a_folder_in_it() {
    let root = tempfile::tempdir().unwrap();
    let root = root.path();
    let below = root.join("notes/today");
    for folder in [&root.join("experiments"), &below] {
        std::fs::create_dir_all(folder).unwrap();
    }
    std::fs::create_dir(root.join("experiments/reference")).unwrap();
    for name in ["fig6.toml", "reference/fig6.csv"] {
        let to = root.join("experiments").join(name);
        std::fs::copy(Path::new("experiments").join(name), to).unwrap();
    }
    let refig_in = |folder: &Path, args: &[&str]| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_refig"));
        command.args(args).current_dir(folder).output().unwrap()
    };
    let output = refig_in(&below, &["list"]);
    assert_eq!(code(&output), 0, "{}", stderr(&output));
    assert!(stdout(&output).starts_with("fig6 "));
    let above = Path::new("..").join("..");
    let note = format!("using the project at {}\n", above.display());
    assert_eq!(stderr(&output), format!("note: {note}"));
    let output = refig_in(&below, &["status"]);
    let results = above.join("results");
    assert_eq!(
        stdout(&output),
        format!("no runs in {}\n", results.display())
    );
    // Without a word where nothing is found, needed or to be said.
    let output = refig_in(&below, &["status", "-q"]);
    assert_eq!(stderr(&output), "");
    let output = refig_in(&below, &["describe", "resnet-20"]);
    assert_eq!(stderr(&output), "");
    let output = refig_in(root, &["status"]);
    assert_eq!(stdout(&output), "no runs in results\n");
    assert_eq!(stderr(&output), "");
    // What is named or here stays.
    let output = refig_in(&below, &["status", "--results-dir", "mine"]);
    assert_eq!(stdout(&output), "no runs in mine\n");
    std::fs::create_dir(below.join("results")).unwrap();
    // A project is used as a whole, whatever else is called so here.
    let output = refig_in(&below, &["status"]);
    assert!(stdout(&output).starts_with("no runs in ../../results"));
    // Another repository.
    std::fs::create_dir(root.join("notes/.git")).unwrap();
    let output = refig_in(&below, &["list"]);
    assert_eq!(code(&output), Exit::Usage as i32, "{}", stderr(&output));
}

#[test]
fn the_documentation_names_every_command_and_exit_code() {
    let page = include_str!("../docs/commands.md");
    let help = stdout(&refig(&["--help"]));
    let commands: Vec<&str> = help
        .lines()
        .skip_while(|line| *line != "Commands:")
        .skip(1)
        .take_while(|line| !line.is_empty())
        // Descriptions go on in lines that are indented further.
        .filter_map(|line| line.strip_prefix("  ")?.split(' ').next())
        .filter(|name| !name.is_empty() && *name != "help")
        .collect();
    assert!(commands.contains(&"reproduce"), "{help}");
    for name in commands {
        let row = format!("\n| `{name}");
        assert!(page.contains(&row), "docs/commands.md lacks {name}");
    }
    let (_, after) = page.split_once("\n## Exit codes\n").unwrap();
    let section = after.split("\n## ").next().unwrap_or_default();
    let documented: Vec<i32> = section
        .lines()
        .filter_map(|line| line.strip_prefix("| ")?.split(" |").next())
        .flat_map(|cell| cell.split(", "))
        .filter_map(|code| code.parse().ok())
        .collect();
    let all = [
        Exit::Success,
        Exit::CheckFailed,
        Exit::Usage,
        Exit::Data,
        Exit::Storage,
        Exit::Missing,
        Exit::Device,
        Exit::Busy,
        Exit::Internal,
        Exit::HungUp,
        Exit::Interrupted,
        Exit::Terminated,
    ];
    assert_eq!(documented, all.map(|exit| exit as i32));
}

#[test]
fn links_in_the_documentation_lead_somewhere() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let pages = std::fs::read_dir(root.join("docs")).unwrap();
    let mut pages: Vec<_> = pages.map(|entry| entry.unwrap().path()).collect();
    pages.push(root.join("README.md"));
    let mut links = 0;
    for page in &pages {
        let text = std::fs::read_to_string(page).unwrap();
        for rest in text.split("](").skip(1) {
            let link = rest.split([')', '#']).next().unwrap_or_default();
            if link.is_empty() || link.starts_with("http") {
                continue;
            }
            let target = page.with_file_name(link);
            assert!(target.exists(), "{}: {link}", page.display());
            links += 1;
        }
    }
    assert!(links > 10, "{links}");
}
