//! The documentation's site file and Kubernetes job.

use std::path::Path;
use std::process::Command;

use refig::exit::Exit;
use refig::manifest::Experiment;
use refig::orchestrate::launch::{Launch, Site, script};
use refig::plan;
use refig::processor::Processor;
use serde_json::{Value, json};

use super::python;
use super::words::{launch, runs, stderr, stdout, with_input};

/// The text of a block of code in the documentation.
fn block(language: &str) -> String {
    let page = include_str!("../../docs/cluster.md");
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

/// How many runs the documented plan has.
fn planned() -> u64 {
    let experiment = Experiment::load(Path::new("experiments/fig6.toml"), "paper", &[]).unwrap();
    let runs = plan::runs(&experiment, &experiment.seeds, "d1", Processor::Cuda);
    runs.unwrap().len() as u64
}

/// Checks a job against the schemas of Kubernetes, which also have to refuse what is misspelt, and prints it as JSON.
const CHECK: &str = r#"
import copy, json, sys
import kubernetes_validate, yaml
job = yaml.safe_load(sys.stdin)
for version in ("1.29", "1.33", kubernetes_validate.latest_version()):
    kubernetes_validate.validate(job, version, strict=True)
misspelt = copy.deepcopy(job)
misspelt["spec"]["podFailurePolicy"]["rules"][1]["onExitCodes"]["containersName"] = "refig"
try:
    kubernetes_validate.validate(misspelt, version, strict=True)
    sys.exit("a key that Kubernetes does not know is accepted")
except kubernetes_validate.ValidationError:
    pass
print(json.dumps(job))
"#;

#[test]
fn kubernetes_takes_the_documented_job() {
    let Some(python) = python::with("kubernetes_validate, yaml") else {
        println!(
            "SKIPPED: no schemas of Kubernetes here; `pip install kubernetes-validate`, or name a Python that has it with PYTHON"
        );
        return;
    };
    let text = block("yaml");
    let output = with_input(Command::new(python).args(["-c", CHECK]), &text);
    assert!(output.status.success(), "{}", stderr(&output));
    let job: Value = serde_json::from_str(&stdout(&output)).unwrap();
    // What follows, no schema can say.
    let spec = &job["spec"];
    assert_eq!(spec["completionMode"], "Indexed");
    assert_eq!(spec["completions"], planned());
    assert_eq!(spec["maxFailedIndexes"], spec["completions"]);
    let pod = &spec["template"]["spec"];
    // Others are refused beside a podFailurePolicy.
    assert_eq!(pod["restartPolicy"], "Never");
    let [container] = &pod["containers"].as_array().unwrap()[..] else {
        panic!("{pod}");
    };
    let words = container["command"].as_array().unwrap();
    for word in ["run", "--index=$(JOB_COMPLETION_INDEX)", "--offline"] {
        assert!(words.contains(&word.into()), "{container}");
    }
    let names = |list: &Value| -> Vec<Value> {
        let entries = list.as_array().unwrap().iter();
        entries.map(|entry| entry["name"].clone()).collect()
    };
    assert!(names(&container["env"]).contains(&"JOB_COMPLETION_INDEX".into()));
    assert_eq!(names(&container["volumeMounts"]), names(&pod["volumes"]));

    // What would happen again, in order; all else is tried again.
    let last = [
        Exit::Usage,
        Exit::Data,
        Exit::Storage,
        Exit::Missing,
        Exit::Device,
    ];
    let last: Vec<Value> = last.map(|exit| Value::from(exit as i32)).to_vec();
    let rules = spec["podFailurePolicy"]["rules"].as_array().unwrap();
    assert_eq!(rules[0]["action"], "Ignore");
    let disrupted = json!([{ "type": "DisruptionTarget", "status": "True" }]);
    assert_eq!(rules[0]["onPodConditions"], disrupted);
    let codes: Vec<(&Value, &Value, &Value)> = rules
        .iter()
        .filter_map(|rule| Some((&rule["action"], rule.get("onExitCodes")?)))
        .map(|(action, codes)| {
            assert_eq!(codes["containerName"], container["name"]);
            (action, &codes["operator"], &codes["values"])
        })
        .collect();
    let last = Value::from(last);
    let [fails, counts] = ["FailIndex", "Count"].map(Value::from);
    let [among, others] = ["In", "NotIn"].map(Value::from);
    assert_eq!(codes, [(&fails, &among, &last), (&counts, &others, &last)]);
    let [hung_up, interrupted, terminated] =
        [Exit::HungUp, Exit::Interrupted, Exit::Terminated].map(|exit| exit as i32);
    for said in [
        format!("saved ({hung_up}, {interrupted}, {terminated}), "),
        format!("another pod ({}), ", Exit::Busy as i32),
        format!(" {}: see below", Exit::Missing as i32),
    ] {
        assert!(text.contains(&said), "{said}");
    }
}
