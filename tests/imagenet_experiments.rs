//! Experiments on ImageNet: what their manifests mean, and what is compared with the paper.

use std::path::{Path, PathBuf};

use refig::exit::Exit;
use refig::judge::{Circumstances, Status, Subject, judge_values};
use refig::manifest::{Claim, Comparison, DataName, Expectation, Experiment, Metric};
use refig::network::{Shortcut, Stem, StrideIn};
use refig::origin::{DataKind, Origin, treated};
use refig::plan::RunPlan;
use refig::processor::{Instructions, Processor};
use refig::recipe::FinalViews;
use refig::record::Ending;

fn shipped(name: &str, profile: &str) -> Experiment {
    let path = format!("experiments/{name}.toml");
    Experiment::load(Path::new(&path), profile, &[]).unwrap()
}

/// An experiment of one's own, `mine.toml`, which begins with `head`.
fn own(folder: &Path, head: &str) -> anyhow::Result<Experiment> {
    let path: PathBuf = folder.join("mine.toml");
    let rest = "[[panels]]\ntitle = \"all\"\nnetworks = [\"resnet-50\"]\n";
    let text = format!(
        "name = \"mine\"\ntitle = \"Mine\"\nnetworks = [\"resnet-50\"]\nseeds = [1]\n{head}\n{rest}"
    );
    std::fs::write(&path, text).unwrap();
    Experiment::load(&path, "default", &[])
}

#[test]
fn a_name_means_the_network_of_its_data_set_and_stem() {
    let folder = tempfile::tempdir().unwrap();
    let network = |head: &str| {
        own(folder.path(), head).unwrap().networks[0]
            .network
            .clone()
    };
    let cifar = network("");
    assert_eq!((cifar.base_width, cifar.classes), (16, 10));
    let imagenet = network("data = \"imagenet\"\nrecipe = { image_size = 224, crop = {} }");
    assert!(imagenet.bottleneck && imagenet.stem == Stem::Imagenet);
    assert_eq!((imagenet.classes, imagenet.depth()), (1000, 50));
    assert_eq!(imagenet.stride_in, StrideIn::First);
    let wide = network("stem = \"3x3\"\nstride_in = \"3x3\"");
    assert!(wide.bottleneck && wide.stem == Stem::Cifar);
    assert_eq!((wide.base_width, wide.classes), (64, 10));
    assert_eq!(wide.stride_in, StrideIn::Middle);
    for (option, expected) in [("B", Shortcut::B), ("C", Shortcut::C)] {
        let head = format!(
            "data = \"imagenet\"\nrecipe = {{ image_size = 64, crop = {{}}, shortcut = \"{option}\" }}"
        );
        assert_eq!(network(&head).shortcut, expected);
    }

    // The reverse: depths that Table 1 lacks, and sizes that a set lacks.
    for (head, says) in [
        (
            "data = \"imagenet\"\noptional_networks = [\"resnet-20\"]",
            "not in Table 1",
        ),
        (
            "data = \"imagenet\"\noptional_networks = [\"plain-50\"]",
            "not in Table 1",
        ),
        ("data = \"imagenet\"", "needs `crop`"),
        ("recipe = { crop = {} }", "many sizes"),
        ("recipe = { image_size = 64 }", "image_size = 64"),
        ("data = \"imagenette\"", "imagenet"),
    ] {
        let error = own(folder.path(), head).unwrap_err();
        assert_eq!(Exit::of(&error), Exit::Usage, "{head}");
        assert!(error.to_string().contains(says), "{head}: {error}");
    }
}

#[test]
fn the_classes_are_those_of_the_data_that_is_there() {
    let fig4 = shipped("fig4", "imagenette");
    assert_eq!((fig4.data, fig4.classes()), (DataName::Imagenet, 1000));
    let ten = fig4.with_classes(10);
    assert_eq!(ten.classes(), 10);
    let origin = Origin::ImagenetPart;
    assert_eq!(
        ten.images(origin),
        "a part of ImageNet, 10 classes, 64x64 pixels"
    );
    // A run of ten classes belongs to the experiment, whose file only knows of a thousand.
    let processor = Processor::Cpu(Instructions::Avx2);
    let (ours, entry) = (&ten.networks[0], &fig4.networks[0]);
    let plan = RunPlan::new(ours, 1, "imagenette", "ten", processor).unwrap();
    assert!(plan.belongs_to(entry));
    assert!(!plan.belongs_to(&fig4.networks[1]));
    // A constructed network starts from one of as many classes.
    let grown = shipped("construction", "smoke").with_classes(3);
    let start = |entry: &refig::manifest::NetworkEntry| {
        entry.start.as_ref().map(|start| start.network.classes)
    };
    assert!(grown.networks.iter().any(|entry| start(entry) == Some(3)));
}

#[test]
fn figure_4_and_the_tables_are_the_papers_recipe_and_share_their_runs() {
    let fig4 = shipped("fig4", "paper");
    let table2 = shipped("table2", "paper");
    let table3 = shipped("table3", "paper");
    let table4 = shipped("table4", "paper");
    let slide = shipped("slide35", "paper");
    for experiment in [&fig4, &table2, &table3, &table4, &slide] {
        assert_eq!(experiment.departures(), Vec::<String>::new());
        assert!(experiment.is_of_the_paper(), "{}", experiment.name);
    }
    assert_eq!(fig4.recipe.drops, [150_137, 300_274]);
    let processor = Processor::Cpu(Instructions::Avx2);
    let identity = |experiment: &Experiment, name: &str| {
        let entry = experiment.network(name).unwrap();
        let plan = RunPlan::new(entry, 1, "paper", "images", processor).unwrap();
        plan.identity().to_owned()
    };
    for name in ["plain-18", "plain-34", "resnet-18", "resnet-34"] {
        assert_eq!(identity(&fig4, name), identity(&table2, name));
    }
    for name in ["plain-34", "resnet-34"] {
        assert_eq!(identity(&fig4, name), identity(&table3, name));
    }
    for name in ["resnet-34-b", "resnet-34-c", "resnet-152"] {
        assert_eq!(identity(&table3, name), identity(&table4, name));
    }
    for name in ["resnet-34-c", "resnet-50", "resnet-101", "resnet-152"] {
        assert_eq!(identity(&table3, name), identity(&slide, name));
    }
    let shortcut = |name: &str| table3.network(name).unwrap().network.shortcut;
    assert_eq!(
        ["resnet-34", "resnet-34-b", "resnet-34-c", "resnet-101"].map(shortcut),
        [Shortcut::A, Shortcut::B, Shortcut::C, Shortcut::B]
    );
    // The paper did not train these on CIFAR-10, so that nothing there is called reproduced.
    assert!(!shipped("widths", "paper").is_of_the_paper());
    assert_eq!(table3.listed(), [Metric::TenCropError, Metric::TenCropTop5]);
}

#[test]
fn figure_4_and_the_tables_share_their_runs_at_imagenette_and_table_4_has_its_views() {
    let [fig4, table2, table3] =
        ["fig4", "table2", "table3"].map(|name| shipped(name, "imagenette"));
    let processor = Processor::Cpu(Instructions::Avx2);
    let plan = |experiment: &Experiment, name: &str| {
        let entry = experiment.network(name).unwrap();
        RunPlan::new(entry, 1, "imagenette", "images", processor).unwrap()
    };
    // Evaluated alike too, or either would find the other's runs measured otherwise.
    for name in ["plain-18", "plain-34", "resnet-18", "resnet-34"] {
        assert_eq!(plan(&fig4, name), plan(&table2, name));
    }
    for name in ["plain-34", "resnet-34"] {
        assert_eq!(plan(&fig4, name), plan(&table3, name));
    }
    let table4 = shipped("table4", "imagenette");
    for name in ["resnet-50", "resnet-101", "resnet-152"] {
        let run = plan(&table4, name);
        assert_eq!(run, plan(&table3, name));
        assert_eq!(run, plan(&shipped("slide35", "imagenette"), name));
        assert_eq!(run.recipe.evaluation.scales, [64, 73, 110, 137, 183]);
        let views = [FinalViews::TenCrop, FinalViews::MultiScale];
        assert_eq!(run.recipe.evaluation.final_views, views);
    }
    let names = [
        "plain-34",
        "resnet-34",
        "resnet-50",
        "resnet-101",
        "resnet-152",
    ];
    for name in names.into_iter().chain(["resnet-34-b", "resnet-34-c"]) {
        assert!(table3.network(name).is_some(), "{name}");
    }
}

fn subject(network: &str, origin: Origin, ten_crop: f64) -> Subject {
    Subject {
        network: network.into(),
        seed: 1,
        origin,
        data_digest: String::new(),
        treated: String::new(),
        ending: Ending::Finished,
        iteration: 600_000,
        test_error: Some(ten_crop + 3.0),
        moving_test_error: None,
        training_error: Some(ten_crop),
        clean_training_error: None,
        response: None,
        others: [(Metric::TenCropError, ten_crop)].into(),
        best: None,
        folder: String::new(),
        identity: String::new(),
        commit: String::new(),
        machine: String::new(),
        faults: Vec::new(),
        recipe: String::new(),
    }
}

fn circumstances() -> Circumstances {
    Circumstances {
        experiment: "table2".into(),
        profile: "paper".into(),
        networks: vec!["plain-34".into()],
        seeds: vec![1],
        papers_profile: true,
        chance: 99.9,
        data: DataName::Imagenet,
        scale: ", 1000 classes, 224x224 pixels".into(),
        ..Circumstances::default()
    }
}

fn expected() -> Expectation {
    Expectation {
        network: "plain-34".into(),
        metric: Metric::TenCropError,
        value: 28.54,
        tolerance: Some(0.5),
        source: "Table 2".into(),
        deviation: None,
        runs: None,
        data: DataKind::Imagenet,
        line: None,
    }
}

/// A claim that needs no runs.
fn complexity(higher: &str, lower: &str) -> Claim {
    Claim {
        says: "a lower time complexity".into(),
        data: DataKind::Any,
        comparisons: vec![Comparison {
            metric: Metric::MultiplyAdds,
            higher: higher.into(),
            lower: lower.into(),
            margin: 0.0,
        }],
        line: None,
    }
}

#[test]
fn only_the_whole_set_is_compared_with_the_paper() {
    for (origin, error, status) in [
        (Origin::Imagenet, 28.7, Status::Pass),
        (Origin::Imagenet, 30.0, Status::Fail),
        (Origin::ImagenetPart, 28.7, Status::NotComparable),
        (Origin::Cifar10, 28.7, Status::NotComparable),
        (Origin::Synthetic, 28.7, Status::NotComparable),
    ] {
        let runs = [subject("plain-34", origin, error)];
        let verdict = judge_values(&circumstances(), &[], &[expected()], &[], &runs);
        assert_eq!(verdict.expectations[0].status, status, "{origin:?} {error}");
        assert!(verdict.data.ends_with(", 1000 classes, 224x224 pixels"));
        let row = &verdict.networks[0];
        assert_eq!(row.others[&Metric::TenCropError].mean, error);
        let whole = origin == Origin::Imagenet;
        assert_eq!(verdict.differences.is_empty(), whole, "{origin:?}");
    }
    let part = subject("plain-34", Origin::ImagenetPart, 28.7);
    let treated = [Subject {
        treated: treated(Some(480), 2),
        ..part
    }];
    let verdict = judge_values(&circumstances(), &[], &[expected()], &[], &treated);
    assert_eq!(
        verdict.data,
        "a part of ImageNet, 1000 classes, 224x224 pixels, shrunk to a shorter side of 480 pixels, without 2 that cannot be decoded"
    );
    let runs = [subject("plain-34", Origin::Imagenet, 28.7)];
    let verdict = judge_values(&circumstances(), &[], &[expected()], &[], &runs);
    assert_eq!(
        verdict.metric(Metric::TestError, "plain-34"),
        "validation error"
    );
    let json: serde_json::Value = serde_json::from_str(&verdict.json().unwrap()).unwrap();
    assert_eq!(
        json["networks"][0]["others"]["ten-crop-error"]["mean"],
        28.7
    );
}

#[test]
fn claims_about_multiply_adds_need_no_runs_and_make_no_pass_of_missing_ones() {
    let judged = |claim: Claim, expectations: &[Expectation], runs: &[Subject]| {
        judge_values(&circumstances(), &[], expectations, &[claim], runs)
    };
    let lower = || complexity("vgg-16", "resnet-152");
    let missing = judged(lower(), &[expected()], &[]);
    assert_eq!(missing.claims[0].status, Status::Pass);
    assert!((missing.claims[0].comparisons[0].gap.unwrap() - 4.0).abs() < 0.3);
    assert_eq!(missing.status, Status::Missing);
    let part = [subject("plain-34", Origin::ImagenetPart, 28.7)];
    let apart = judged(lower(), &[expected()], &part);
    assert_eq!(apart.status, Status::NotComparable);
    // Alone it still needs the figure's runs.
    assert_eq!(judged(lower(), &[], &[]).status, Status::Missing);
    let whole = [subject("plain-34", Origin::Imagenet, 28.7)];
    assert_eq!(judged(lower(), &[], &whole).status, Status::Pass);
    let wrong = judged(complexity("resnet-152", "vgg-16"), &[expected()], &whole);
    assert_eq!(wrong.status, Status::Fail);
}

#[test]
fn claims_about_multiply_adds_name_known_networks() {
    let folder = tempfile::tempdir().unwrap();
    let claim = |falls: &str, metrics: &str| {
        own(
            folder.path(),
            &format!("claims = [{{ says = \"x\", falls = [{falls}], metrics = [{metrics}] }}]"),
        )
    };
    let computed = "\"multiply-adds\"";
    let mine = claim(
        "[\"vgg-19\", \"vgg-16\", \"resnet-34\", \"alexnet\"]",
        computed,
    )
    .unwrap();
    assert_eq!(mine.claims[0].comparisons.len(), 3);
    for (falls, metrics, says) in [
        ("[\"vgg-11\", \"resnet-34\"]", computed, "\"vgg-11\""),
        ("[\"vgg-16\", \"resnet-20\"]", computed, "\"resnet-20\""),
        (
            "[\"vgg-16\", \"resnet-50\"]",
            "\"multiply-adds\", \"test-error\"",
            "two claims",
        ),
        (
            "[\"vgg-16\", \"resnet-50\"]",
            "\"test-error\"",
            "not trained",
        ),
    ] {
        let error = claim(falls, metrics).unwrap_err();
        assert_eq!(Exit::of(&error), Exit::Usage);
        assert!(error.to_string().contains(says), "{falls}: {error}");
    }
}
