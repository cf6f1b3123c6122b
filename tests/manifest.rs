//! The shipped experiments resolve as their files say, with overrides applied last.

use std::collections::BTreeSet;
use std::path::Path;

use refig::exit::Exit;
use refig::judge::PaperCurves;
use refig::manifest::{self, Experiment, Metric, Panel};
use refig::origin::DataKind;
use refig::recipe::{MomentumForm, Shortcut, WarmUp};
use refig::record::Split;

fn load(name: &str, profile: &str, set: &[&str]) -> anyhow::Result<Experiment> {
    let set: Vec<String> = set.iter().map(|s| s.to_string()).collect();
    Experiment::load(
        Path::new(&format!("experiments/{name}.toml")),
        profile,
        &set,
    )
}

fn names(experiment: &Experiment) -> Vec<&str> {
    let trained = experiment.networks.iter().filter(|entry| !entry.optional);
    trained.map(|entry| entry.name.as_str()).collect()
}

const NINE: [&str; 9] = [
    "plain-20",
    "plain-32",
    "plain-44",
    "plain-56",
    "resnet-20",
    "resnet-32",
    "resnet-44",
    "resnet-56",
    "resnet-110",
];

#[test]
fn fig6_at_paper_scale_uses_the_papers_recipe() {
    let fig6 = load("fig6", "paper", &[]).unwrap();
    assert_eq!(names(&fig6), NINE);
    assert_eq!(fig6.departures(), Vec::<String>::new());
    assert_eq!((fig6.recipe.batch, fig6.recipe.iterations), (128, 64_000));
    assert_eq!(fig6.recipe.drops, [32_000, 48_000]);
    assert_eq!(fig6.error_axis, Some([0.0, 20.0]));
    assert_eq!(fig6.training_window, 20);
    for entry in &fig6.networks {
        let deep = ["resnet-110", "resnet-1202"].contains(&entry.name.as_str());
        assert_eq!(
            entry.recipe.warm_up,
            deep.then(WarmUp::default),
            "{}",
            entry.name
        );
    }
    assert_eq!(fig6.network("resnet-110").unwrap().label, "ResNet-110");
    assert_eq!(
        fig6.network("plain-20").unwrap().colour,
        fig6.network("resnet-20").unwrap().colour
    );
    assert!(fig6.network("resnet-1202").unwrap().optional);
    let order = &fig6
        .claims
        .iter()
        .find(|c| c.says.starts_with("ResNets gain"))
        .unwrap()
        .comparisons;
    assert_eq!(order.len(), 4);
    assert_eq!(
        (order[0].higher.as_str(), order[0].lower.as_str()),
        ("resnet-20", "resnet-32")
    );
}

#[test]
fn expectations_at_paper_scale_match_table_6() {
    let fig6 = load("fig6", "paper", &[]).unwrap();
    let text = std::fs::read_to_string("experiments/reference/table6.toml").unwrap();
    let table: toml::Table = toml::from_str(&text).unwrap();
    let mut compared = 0;
    for expectation in fig6
        .expectations
        .iter()
        .filter(|e| e.metric == Metric::TestError)
    {
        let rows = table["value"].as_array().unwrap();
        let row = rows
            .iter()
            .find(|r| r["network"].as_str() == Some(&expectation.network))
            .unwrap();
        assert_eq!(
            row["test_error"].as_float(),
            Some(expectation.value),
            "{}",
            expectation.network
        );
        assert_eq!(
            row["from"].as_str() == Some("table"),
            expectation.source.starts_with("Table 6")
        );
        assert_eq!(expectation.data, DataKind::Cifar10);
        compared += 1;
    }
    assert_eq!(compared, 9);
    assert_eq!(fig6.expectations.len(), 18);
}

#[test]
fn quick_and_smoke_are_small_and_allow_synthetic_data() {
    let quick = load("fig6", "quick", &[]).unwrap();
    assert_eq!(names(&quick), NINE);
    assert!(quick.synthetic);
    assert_eq!(
        (
            quick.recipe.image_size,
            quick.recipe.batch,
            quick.recipe.iterations
        ),
        (16, 64, 600)
    );
    assert!(
        quick
            .networks
            .iter()
            .all(|entry| entry.recipe.warm_up.is_none())
    );
    assert!(
        quick
            .departures()
            .contains(&"batch 64 (paper: 128)".to_string()),
        "{:?}",
        quick.departures()
    );
    // Recorded values, not the paper's.
    assert!(
        quick
            .expectations
            .iter()
            .all(|e| !e.source.contains("Table 6"))
    );
    let plain = &quick.claims[0].comparisons;
    assert_eq!(plain.len(), 2);
    assert!(
        plain
            .iter()
            .all(|c| c.margin == 5.0 && c.higher == "plain-56" && c.lower == "plain-20")
    );
    assert!(
        plain[0].holds(40.0, 35.0)
            && !plain[0].holds(39.9, 35.0)
            && !plain[0].holds(f64::NAN, 35.0)
    );
    let within = quick
        .claims
        .iter()
        .find(|c| c.says.contains("do not degrade"))
        .unwrap();
    assert_eq!(
        within.comparisons[0].text(),
        "test error: resnet-56 not above resnet-20"
    );

    let smoke = load("fig6", "smoke", &[]).unwrap();
    assert_eq!(names(&smoke), ["plain-20", "plain-56", "resnet-20"]);
    assert_eq!(smoke.panels[0].networks, ["plain-20", "plain-56"]);
    assert!(!load("fig6", "paper", &[]).unwrap().synthetic);
    assert!(!load("fig6", "tenth", &[]).unwrap().synthetic);
}

#[test]
fn quick_is_one_recipe_for_all_networks_and_paper_is_the_papers() {
    let quick = load("fig6", "quick", &[]).unwrap();
    for entry in quick.networks.iter().filter(|entry| !entry.optional) {
        assert_eq!(entry.recipe, quick.recipe, "{}", entry.name);
    }
    let departures = quick.departures();
    let said = |text: &str| departures.iter().any(|phrase| phrase == text);
    assert!(said("batch 64 (paper: 128)"), "{departures:?}");
    assert!(
        said("initialisation.residual_scale 0.2 (paper: none)"),
        "{departures:?}"
    );
    assert!(load("fig6", "paper", &[]).unwrap().departures().is_empty());
}

#[test]
fn exceptions_of_a_profile_apply_only_to_their_network() {
    let folder = tempfile::tempdir().unwrap();
    let shipped = Path::new("experiments");
    std::fs::create_dir(folder.path().join("reference")).unwrap();
    let curves = "reference/fig6.csv";
    std::fs::copy(shipped.join(curves), folder.path().join(curves)).unwrap();
    let text = std::fs::read_to_string(shipped.join("fig6.toml")).unwrap();
    let exception = "[profiles.quick.exceptions.resnet-110]\nlearning_rate = 0.05\n";
    let text = text.replace(
        "[profiles.smoke]\n",
        &format!("{exception}[profiles.smoke]\n"),
    );
    let path = folder.path().join("fig6.toml");
    std::fs::write(&path, text).unwrap();
    let quick = Experiment::load(&path, "quick", &[]).unwrap();
    for entry in quick.networks.iter().filter(|entry| !entry.optional) {
        let rate = if entry.name == "resnet-110" {
            0.05
        } else {
            0.02
        };
        assert_eq!(entry.recipe.learning_rate, rate, "{}", entry.name);
    }
    let departures = quick.departures();
    assert!(
        departures.contains(&"ResNet-110: learning_rate 0.05 (paper: 0.1)".into()),
        "{departures:?}"
    );
}

#[test]
fn tenth_divides_the_schedule_and_keeps_the_warm_up() {
    let tenth = load("fig6", "tenth", &[]).unwrap();
    assert_eq!(
        (tenth.recipe.iterations, &tenth.recipe.drops[..]),
        (6400, &[3200, 4800][..])
    );
    assert_eq!(
        tenth.network("resnet-110").unwrap().recipe.warm_up,
        Some(WarmUp::default())
    );
}

#[test]
fn fig1_draws_the_runs_of_fig6() {
    for profile in ["paper", "tenth", "quick", "smoke"] {
        let fig1 = load("fig1", profile, &[]).unwrap();
        let fig6 = load("fig6", profile, &[]).unwrap();
        assert_eq!(fig1.runs_from.as_deref(), Some("fig6"));
        assert_eq!(names(&fig1), ["plain-20", "plain-56"]);
        for entry in &fig1.networks {
            assert_eq!(entry.recipe, fig6.network(&entry.name).unwrap().recipe);
        }
        assert_eq!(fig1.seeds, fig6.seeds);
        assert_eq!(fig1.panels[0].shows, [Metric::TrainingError]);
        assert_eq!(fig1.panels[1].shows, [Metric::TestError]);
        assert!(fig1.panels[0].reference.as_ref().unwrap().file.is_file());
    }
}

#[test]
fn overrides_reach_every_network_and_are_recorded() {
    let set = [
        "recipe.batch=64",
        "recipe.shortcut=B",
        "recipe.momentum_form=pytorch",
        "recipe.split=45k/5k",
        "seeds=[4, 5]",
        "recipe.learning_rate=1",
    ];
    let changed = load("fig6", "paper", &set).unwrap();
    assert_eq!(changed.overrides, set);
    assert_eq!(changed.seeds, [4, 5]);
    for entry in &changed.networks {
        assert_eq!(entry.recipe.batch, 64);
        assert_eq!(entry.recipe.momentum_form, MomentumForm::Pytorch);
        assert_eq!(entry.network.shortcut, Shortcut::B);
        assert_eq!(entry.recipe.learning_rate, 1.0);
    }
    assert!(
        changed
            .departures()
            .contains(&"batch 64 (paper: 128)".to_string())
    );
    // The evaluation schedule does not count as recipe.
    assert!(
        load("fig6", "paper", &["recipe.evaluation.interval=500"])
            .unwrap()
            .departures()
            .is_empty()
    );
}

#[test]
fn another_reading_of_an_open_choice_is_no_departure() {
    let decay = load("decay", "paper", &[]).unwrap();
    assert_eq!(decay.departures(), Vec::<String>::new());
    assert_eq!(decay.readings(), ["weight_decay_on weights (default: all)"]);
    assert!(load("fig6", "paper", &[]).unwrap().readings().is_empty());
    // What the paper states stays a departure beside it.
    let set = ["recipe.momentum_form=pytorch", "recipe.momentum=0.8"];
    let both = load("fig6", "paper", &set).unwrap();
    assert_eq!(both.departures(), ["momentum 0.8 (paper: 0.9)"]);
    assert_eq!(both.readings(), ["momentum_form pytorch (default: caffe)"]);
    let set = ["recipe.evaluation.statistics_augmented=true"];
    assert_eq!(
        load("fig6", "paper", &set).unwrap().readings(),
        ["evaluation.statistics_augmented true (default: false)"]
    );
}

#[test]
fn a_training_error_over_other_mini_batches_is_another_reading() {
    let mut wide = load("fig6", "paper", &[]).unwrap();
    wide.training_window = 50;
    assert_eq!(wide.departures(), Vec::<String>::new());
    assert_eq!(wide.readings(), ["training_window 50 (default: 20)"]);
}

/// Before that, the paper's curves are not above the axis: they are not drawn.
#[test]
fn panels_begin_where_the_papers_do() {
    let folder = Path::new("experiments");
    for name in ["fig6", "resnet1202"] {
        let experiment = load(name, "paper", &[]).unwrap();
        let late = |panel: &&Panel| {
            let drawn = panel.reference.as_ref();
            drawn.is_some_and(|of| of.panels.contains(&"right_110_1202".into()))
        };
        let panel = experiment.panels.iter().find(late).unwrap();
        let paper = PaperCurves::read(&folder.join("reference/fig6.csv")).unwrap();
        let curve = paper.curve(&["right_110_1202".into()], "resnet-110", Split::Test);
        let first = curve.unwrap().points[0].0;
        assert!(panel.first_iteration as f64 > first - 1000.0, "{name}");
    }
}

#[test]
fn the_beginning_of_the_papers_schedule_departs_only_at_its_end() {
    let readings = load("readings", "paper", &[]).unwrap();
    assert_eq!(
        readings.departures(),
        ["the first 8000 iterations (paper: 64000)"]
    );
    let none = |experiment: &Experiment| {
        let on_the_way = experiment.departures_on_the_way();
        on_the_way.values().all(Vec::is_empty)
    };
    assert!(none(&readings));
    let said = readings.readings();
    assert!(
        said.contains(&"20 (weights decay): weight_decay_on weights (default: all)".into()),
        "{said:?}"
    );
    // Over the first drop, without it, or at another rate, it is another schedule.
    for set in ["recipe.iterations=33000", "recipe.learning_rate=0.05"] {
        let other = load("readings", "paper", &[set]).unwrap();
        assert!(!none(&other), "{set}");
    }
}

#[test]
fn only_keeps_the_named_networks() {
    let mut fig6 = load("fig6", "quick", &[]).unwrap();
    fig6.only(&["ResNet-1202".into(), "plain-20".into()])
        .unwrap();
    assert_eq!(names(&fig6), ["plain-20", "resnet-1202"]);
    let error = fig6.only(&["plain-26".into()]).unwrap_err();
    assert!(
        error.to_string().contains("no network \"plain-26\"")
            && error.to_string().contains("plain-20")
    );
}

#[test]
fn experiments_are_listed_and_found() {
    let catalogue = manifest::list(Path::new("experiments")).unwrap();
    assert!(catalogue.broken.is_empty(), "{:?}", catalogue.broken);
    let all = catalogue.experiments;
    let names: Vec<&str> = all.iter().map(|e| e.name.as_str()).collect();
    assert_eq!(
        names,
        [
            "construction",
            "context",
            "decay",
            "fig1",
            "fig4",
            "fig6",
            "fig6-decay",
            "fig7",
            "readings",
            "resnet1202",
            "shortcuts",
            "slide35",
            "table2",
            "table3",
            "table4",
            "table6",
            "widths"
        ]
    );
    assert!(
        all[3].line().contains("Fig. 1") && all[3].line().contains("runs of fig6"),
        "{}",
        all[3].line()
    );
    assert_eq!(all[5].profiles, ["paper", "quick", "smoke", "tenth"]);
    let found = manifest::find(Path::new("experiments"), "Fig6").unwrap();
    assert_eq!(found, Path::new("experiments/fig6.toml"));
    let error = manifest::find(Path::new("experiments"), "fig9").unwrap_err();
    assert_eq!(Exit::of(&error), Exit::Usage);
    assert!(
        error.to_string().contains("no experiment \"fig9\"")
            && error.to_string().contains(
                "fig1, fig4, fig6, fig6-decay, fig7, readings, resnet1202, shortcuts, slide35"
            )
    );
}

#[test]
fn the_committed_schema_is_up_to_date() {
    let committed = std::fs::read_to_string("experiments/manifest.schema.json").unwrap_or_default();
    assert!(
        committed == manifest::schema(),
        "experiments/manifest.schema.json is out of date; run `refig schema > experiments/manifest.schema.json`"
    );
}

#[test]
fn variants_change_the_recipe_of_their_base_network() {
    let shortcuts = load("shortcuts", "paper", &[]).unwrap();
    let fig6 = load("fig6", "paper", &[]).unwrap();
    let base = fig6.network("resnet-56").unwrap();
    let b = shortcuts.network("resnet-56-b").unwrap();
    assert_eq!((b.network.shortcut, b.network.depth()), (Shortcut::B, 56));
    assert_eq!(b.variant_of.as_deref(), Some("resnet-56"));
    assert_eq!(
        (b.network.name.as_str(), b.label.as_str()),
        ("resnet-56-b", "ResNet-56 B")
    );
    let mut recipe = b.recipe.clone();
    recipe.shortcut = Shortcut::A;
    assert_eq!(recipe, base.recipe);
    // The point of a variant does not count as a departure.
    assert_eq!(shortcuts.departures(), Vec::<String>::new());
    // Trained only at profiles that train the base network.
    let smoke = load("shortcuts", "smoke", &[]).unwrap();
    assert_eq!(
        names(&smoke),
        [
            "plain-20",
            "plain-56",
            "resnet-20",
            "resnet-20-b",
            "resnet-20-c"
        ]
    );

    for profile in ["paper", "tenth", "quick", "smoke"] {
        let construction = load("construction", profile, &[]).unwrap();
        let made = construction.network("plain-56-constructed").unwrap();
        let start = made.start.as_ref().unwrap();
        assert_eq!(start.name, "plain-20");
        assert_eq!(
            start.recipe,
            load("fig6", profile, &[])
                .unwrap()
                .network("plain-20")
                .unwrap()
                .recipe
        );
        assert_eq!(made.recipe.init.from.as_deref(), Some("plain-20"));
    }
}

#[test]
fn wrong_kinds_and_variants_are_rejected_with_line_and_remedy() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("odd.toml");
    let base = "name = \"odd\"\ntitle = \"t\"\nnetworks = [\"plain-8\", \"plain-20\", \"resnet-20\"]\nseeds = [1]\n";
    let panel = "[[panels]]\ntitle = \"p\"\nnetworks = [\"plain-8\"]\n";
    for (lines, says) in [
        (
            "[variants.plain-32]\nof = \"plain-8\"",
            "odd.toml:9: invalid variant name \"plain-32\"",
        ),
        (
            "[variants.x]\nof = \"plain-14\"",
            "odd.toml:10: variant of \"plain-14\"",
        ),
        (
            "[variants.x]\nof = \"plain-20\"\nrecipe = { init = { from = \"plain-14\" } }",
            "init.from = \"plain-14\"",
        ),
        (
            "[variants.x]\nof = \"plain-8\"\nrecipe = { init = { from = \"plain-20\" } }",
            "init.from = \"plain-20\" cannot be extended to plain-8",
        ),
        (
            "[variants.x]\nof = \"resnet-20\"\nrecipe = { init = { from = \"plain-8\" } }",
            "init.from = \"plain-8\" cannot be extended to resnet-20",
        ),
        (
            "[variants.x]\nof = \"plain-8\"\nrecipe = { batch = 0 }",
            "batch",
        ),
        (
            "[responses]\nimages = \"test\"\ncount = 5\nstatistics = \"batch\"\npooling = \"layer\"",
            "kind = \"responses\"",
        ),
        (
            "[[claims]]\nsays = \"s\"\nfalls = [[\"plain-8\", \"plain-20\"]]\nmetrics = [\"response\"]\nmargin = { p = 0 }",
            "\"response\" needs kind = \"responses\"",
        ),
    ] {
        std::fs::write(&path, format!("{base}[profiles.p]\n{panel}{lines}\n")).unwrap();
        let error = Experiment::load(&path, "p", &[]).unwrap_err();
        assert_eq!(Exit::of(&error), Exit::Usage, "{lines}");
        assert!(error.to_string().contains(says), "{lines}: {error}");
    }
    let bars = "name = \"odd\"\ntitle = \"t\"\nkind = \"bars\"\nseeds = [1]\npanels = []\n";
    std::fs::write(&path, bars).unwrap();
    let error = manifest::Bars::load(&path).unwrap_err();
    assert!(error.to_string().contains("odd.toml:4: `seeds`"), "{error}");
}

#[test]
fn the_interval_of_evaluations_scales_with_the_run() {
    let interval = |name: &str, profile: &str, set: &[&str]| {
        let experiment = load(name, profile, set).unwrap();
        let networks = experiment.networks.iter();
        let all: BTreeSet<u64> = networks
            .map(|entry| entry.recipe.evaluation.interval)
            .collect();
        assert_eq!(all.len(), 1);
        all.into_iter().next().unwrap()
    };
    // As in the recorded runs, which would otherwise be the same runs measured otherwise.
    for name in [
        "fig1",
        "fig6",
        "fig7",
        "table6",
        "shortcuts",
        "construction",
    ] {
        for (profile, expected) in [
            ("paper", 1000),
            ("tenth", 640),
            ("quick", 300),
            ("smoke", 60),
        ] {
            assert_eq!(interval(name, profile, &[]), expected, "{name} {profile}");
        }
    }
    assert_eq!(interval("resnet1202", "paper", &[]), 1000);
    let short = |iterations: &str| interval("fig6", "paper", &[iterations, "recipe.drops=[]"]);
    assert_eq!(short("recipe.iterations=6400"), 640);
    assert_eq!(short("recipe.iterations=5"), 1);
    assert_eq!(short("recipe.iterations=640000"), 1000);
}
