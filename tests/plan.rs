//! A run's identity: the same whenever the same numbers would come out, another one whenever they would not.

use std::path::Path;

use refig::manifest::*;
use refig::network::Shortcut;
use refig::plan::{self, NUMERICS_VERSION, RunPlan, SAME_BUT_FOR_ROUNDING};
use refig::processor::{Instructions, Processor};
use refig::recipe::*;

fn experiment(set: &[&str]) -> Experiment {
    let set: Vec<String> = set.iter().map(|s| s.to_string()).collect();
    Experiment::load(Path::new("experiments/fig6.toml"), "quick", &set).unwrap()
}

/// The run of ResNet-20 with its entry changed.
fn changed(change: impl FnOnce(&mut NetworkEntry)) -> RunPlan {
    let mut entry = experiment(&[]).network("resnet-20").unwrap().clone();
    change(&mut entry);
    RunPlan::new(&entry, 1, "quick", "d1", Processor::Cpu(Instructions::Avx2)).unwrap()
}

#[test]
fn an_identity_does_not_change_between_versions_of_the_program() {
    // Reckoned outside of this program from the canonical JSON of the paper's recipe. A field that is renamed or added
    // shows here: every run made before would get another identity.
    let run = changed(|entry| {
        entry.recipe = Recipe::default();
        entry.recipe.batch_norm.group = 0;
    });
    assert_eq!(
        run.identity(),
        "b5270e041b408dffd6fa1533f6f2ea0d55753e260172cfc8c4ddaf2f6594a13f"
    );
    assert_eq!(
        run.measured(),
        "92ade3a045330e7c67e7a0144cd2f9122f40aa8969c367213b86662f57bc9c75"
    );
    assert_eq!(
        run.folder(),
        format!("quick/resnet-20-s1-{}", &run.identity()[..8])
    );
}

#[test]
fn every_choice_that_shapes_the_trajectory_is_in_the_identity() {
    let changes: Vec<fn(&mut Recipe)> = vec![
        |r| r.batch = 32,
        |r| r.micro_batch = Some(32),
        |r| r.iterations += 1,
        |r| r.learning_rate *= 2.0,
        |r| r.drops = vec![300, 540],
        |r| r.drop_factor = 0.2,
        |r| r.warm_up = Some(WarmUp::default()),
        |r| r.momentum = 0.8,
        |r| r.momentum_form = MomentumForm::Pytorch,
        |r| r.weight_decay = 2e-4,
        |r| r.weight_decay_on = DecayOn::Weights,
        |r| r.initialisation.fan = Fan::Out,
        |r| r.initialisation.residual_scale = Some(0.0),
        |r| r.initialisation.classifier = ClassifierInitialisation::HeFanOut,
        |r| r.augmentation.pad = 4,
        |r| r.augmentation.padding_value = PaddingValue::Black,
        |r| r.augmentation.flip = false,
        |r| r.crop = Some(Crop::default()),
        |r| r.crop.get_or_insert_default().shorter_side = [200, 480],
        |r| r.crop.get_or_insert_default().test_side = 300,
        |r| r.crop.get_or_insert_default().colour.kind = ColourKind::None,
        |r| r.crop.get_or_insert_default().colour.scale = ColourScale::SquareRoots,
        |r| r.crop.get_or_insert_default().colour.deviation = 0.2,
        |r| r.partial_batch = PartialBatch::Drop,
        |r| r.normalisation = Normalisation::ChannelMeanStd,
        |r| r.split = TrainingSplit::HoldOut,
        |r| r.shortcut = Shortcut::B,
        |r| r.batch_norm.momentum = 0.2,
        |r| r.batch_norm.epsilon = 1e-3,
        |r| r.batch_norm.group = 32,
        |r| r.precision = Precision::Bf16,
        |r| r.image_size = 32,
        |r| r.init.from = Some("other".into()),
    ];
    let base = changed(|_| {});
    let mut seen = vec![base.identity().to_owned()];
    for (index, change) in changes.iter().enumerate() {
        let run = changed(|entry| change(&mut entry.recipe));
        assert!(
            !seen.iter().any(|seen| seen == run.identity()),
            "change {index} leaves the identity as it was"
        );
        assert_eq!(run.measured(), base.measured(), "change {index}");
        seen.push(run.identity().to_owned());
    }
    let entry = experiment(&[]).network("resnet-20").unwrap().clone();
    let plain = experiment(&[]).network("plain-20").unwrap().clone();
    let others = [
        RunPlan::new(&entry, 2, "quick", "d1", Processor::Cpu(Instructions::Avx2)),
        RunPlan::new(&entry, 1, "quick", "d2", Processor::Cpu(Instructions::Avx2)),
        RunPlan::new(&entry, 1, "quick", "d1", Processor::Cuda),
        RunPlan::new(
            &entry,
            1,
            "quick",
            "d1",
            Processor::Cpu(Instructions::Avx512),
        ),
        RunPlan::new(&plain, 1, "quick", "d1", Processor::Cpu(Instructions::Avx2)),
    ];
    for run in others {
        let run = run.unwrap();
        assert!(!seen.iter().any(|seen| seen == run.identity()), "{run:?}");
        seen.push(run.identity().to_owned());
    }
}

#[test]
fn how_a_run_is_measured_is_not_its_identity() {
    let base = changed(|_| {});
    let changes: Vec<fn(&mut EvaluationRecipe)> = vec![
        |e| e.interval = 100,
        |e| e.statistics_images = 500,
        |e| e.statistics_batch = 64,
        |e| e.statistics_augmented = true,
        |e| e.pooling = Pooling::Total,
        |e| e.clean_images = 0,
    ];
    for (index, change) in changes.iter().enumerate() {
        let run = changed(|entry| change(&mut entry.recipe.evaluation));
        assert!(run.same_run(&base), "change {index}");
        assert_ne!(run.measured(), base.measured(), "change {index}");
    }
}

#[test]
fn a_profiles_name_is_the_folder_and_not_the_identity() {
    let entry = experiment(&[]).network("resnet-20").unwrap().clone();
    let run = |profile| {
        RunPlan::new(&entry, 7, profile, "d1", Processor::Cpu(Instructions::Avx2)).unwrap()
    };
    assert_eq!(run("quick").identity(), run("other").identity());
    assert_eq!(run("quick").name(), run("other").name());
    assert!(run("other").folder().starts_with("other/resnet-20-s7-"));
}

#[test]
fn an_experiment_trains_its_networks_for_every_seed() {
    let fig6 = experiment(&[]);
    let runs = plan::runs(&fig6, &fig6.seeds, "d1", Processor::Cpu(Instructions::Avx2)).unwrap();
    assert_eq!(runs.len(), 9 * fig6.seeds.len());
    assert!(runs.iter().all(|run| run.network.name != "resnet-1202"));
    assert_eq!(
        runs[..9]
            .iter()
            .filter(|run| run.seed == fig6.seeds[0])
            .count(),
        9
    );
    assert!(plan::runs(&fig6, &[], "d1", Processor::Cpu(Instructions::Avx2)).is_err());
    // Fig. 1's runs are among them.
    let fig1 = Experiment::load(Path::new("experiments/fig1.toml"), "quick", &[]).unwrap();
    for run in plan::runs(&fig1, &fig1.seeds, "d1", Processor::Cpu(Instructions::Avx2)).unwrap() {
        assert!(runs.contains(&run));
    }
}

#[test]
fn a_run_belongs_to_the_curve_with_its_recipe() {
    let fig6 = experiment(&[]);
    let entry = fig6.network("resnet-20").unwrap();
    let run = RunPlan::new(entry, 9, "quick", "elsewhere", Processor::Cuda).unwrap();
    assert!(run.belongs_to(entry));
    assert!(!run.belongs_to(fig6.network("resnet-32").unwrap()));
    let measured = experiment(&["recipe.evaluation.interval=50"]);
    assert!(run.belongs_to(measured.network("resnet-20").unwrap()));
    let other = experiment(&["recipe.weight_decay=0"]);
    assert!(!run.belongs_to(other.network("resnet-20").unwrap()));
    // What differs in rounding alone shows the same experiment, what was made by other arithmetic does not.
    let version = |version: u32| run.by_version(version).unwrap();
    assert!(version(SAME_BUT_FOR_ROUNDING).belongs_to(entry));
    assert!(!version(SAME_BUT_FOR_ROUNDING - 1).belongs_to(entry));
    assert!(!version(NUMERICS_VERSION + 1).belongs_to(entry));
    let recipe = |number| version(number).recipe_digest().unwrap();
    assert_eq!(recipe(SAME_BUT_FOR_ROUNDING), recipe(NUMERICS_VERSION));
    assert_ne!(recipe(SAME_BUT_FOR_ROUNDING - 1), recipe(NUMERICS_VERSION));
}

#[test]
fn a_plan_survives_being_written() {
    let run = changed(|entry| entry.recipe.warm_up = Some(WarmUp::default()));
    let toml: RunPlan = toml::from_str(&toml::to_string(&run).unwrap()).unwrap();
    assert_eq!(toml, run);
    let json: RunPlan =
        serde_json::from_str(&serde_json::to_string(&changed(|_| {})).unwrap()).unwrap();
    assert_eq!(json, changed(|_| {}));
}

#[test]
fn a_plan_that_lies_about_its_identity_is_refused_by_name() {
    let text = toml::to_string(&changed(|_| {})).unwrap();
    let refused = |text: &str| {
        let error = toml::from_str::<RunPlan>(text).unwrap_err();
        error.to_string()
    };
    // The recipe was changed behind the identity's back, or the identity itself.
    let other = refused(&text.replace("momentum = 0.9", "momentum = 0.8"));
    assert!(other.contains("identity = "), "{other}");
    let made_up = refused(&text.replace(changed(|_| {}).identity(), ""));
    assert!(made_up.contains("identity = \"\""), "{made_up}");
    let measured = refused(&text.replace("statistics_images = 2000", "statistics_images = 50"));
    assert!(measured.contains("measured = "), "{measured}");
    let device = refused(&text.replace("device = \"cpu\"", "device = \"abacus\""));
    assert!(device.contains("no device \"abacus\""), "{device}");
}

#[test]
fn a_plan_from_elsewhere_stays_in_its_folder_and_within_limits() {
    let text = toml::to_string(&changed(|_| {})).unwrap();
    for (find, replace, says) in [
        (
            "profile = \"quick\"",
            "profile = \"../../x\"",
            "profile \"../../x\" cannot be part of a path",
        ),
        (
            "name = \"resnet-20\"",
            "name = \"/tmp/x\"",
            "network name \"/tmp/x\" cannot be part of a path",
        ),
        (
            "iterations = 600",
            "iterations = 9223372036854775807",
            "recipe.iterations = 9223372036854775807; use 1 to 100000000",
        ),
        ("batch = 64", "batch = 0", "recipe.batch = 0"),
        (
            "blocks = [3, 3, 3]",
            "blocks = [9223372036854775807, 9223372036854775807, 3]",
            "blocks; use at most 20000",
        ),
        ("blocks = [3, 3, 3]", "blocks = []", "0 stages"),
        (
            "base_width = 16",
            "base_width = 4611686018427387904",
            "base_width = 4611686018427387904; use 1 to 1024",
        ),
        ("classes = 10", "classes = 0", "classes = 0"),
    ] {
        let foreign = text.replacen(find, replace, 1);
        assert_ne!(foreign, text, "{find}");
        let error = toml::from_str::<RunPlan>(&foreign).unwrap_err();
        assert!(error.to_string().contains(says), "{find}: {error}");
    }
}
