//! The documentation's site file and Kubernetes job.

use std::process::Command;

use refig::orchestrate::launch::{Launch, Site, script};

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
