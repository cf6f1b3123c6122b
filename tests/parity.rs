//! The engine's numbers against training steps recorded in float64 by another framework.

use std::path::{Path, PathBuf};
use std::process::Command;

use refig::engine::{Instructions, Options};
use refig::exit::Exit;
use refig::measure::parity;
use refig::weights::Weights;

fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/fixtures")
        .join(name)
}

#[test]
fn recorded_steps_are_replayed_within_a_ten_thousandth() {
    for file in [
        "plain-8",
        "resnet-8-a",
        "resnet-8-b",
        "resnet-10-imagenet-stem",
        "resnet-14-bottleneck",
    ] {
        let file = fixture(&format!("{file}.safetensors"));
        for set in Instructions::ALL.into_iter().filter(|set| set.available()) {
            let compare = |threads| {
                let options = Options {
                    threads,
                    instructions: Some(set),
                    ..Options::default()
                };
                parity::compare(&file, &options).unwrap()
            };
            let one = compare(1);
            assert_eq!(one.rows.len(), 6);
            assert!(one.rows.iter().all(|row| row.tensors > 0), "{one:?}");
            assert!(one.within(1e-4), "{} {one:#?}", set.name());
            assert_eq!(
                one,
                compare(2),
                "{} depends on the number of threads",
                set.name()
            );
        }
    }
}

#[test]
fn what_is_no_recording_is_refused() {
    let error = parity::compare(Path::new(env!("CARGO_MANIFEST_DIR")), &Options::default());
    assert!(error.is_err());
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("weights.safetensors");
    Weights {
        metadata: "{}".into(),
        ..Default::default()
    }
    .save(&file)
    .unwrap();
    let error = parity::compare(&file, &Options::default()).unwrap_err();
    assert_eq!(Exit::of(&error), Exit::Usage);
    assert!(
        format!("{error:#}").contains("weights.safetensors"),
        "{error:#}"
    );
}

#[test]
fn a_recording_that_contradicts_itself_is_refused_with_its_file() {
    let mut weights = refig::weights::Weights::load(&fixture("plain-8.safetensors")).unwrap();
    weights.tensors.get_mut("labels.1").unwrap().data[0] = 10.0;
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("labels.safetensors");
    weights.save(&file).unwrap();
    let error = parity::compare(&file, &Options::default()).unwrap_err();
    assert_eq!(Exit::of(&error), Exit::Usage);
    let text = format!("{error:#}");
    assert!(
        text.contains("labels.safetensors") && text.contains("labels.1 contains 10"),
        "{text}"
    );
}

#[test]
fn a_tolerance_that_nothing_can_exceed_is_refused() {
    for tolerance in ["nan", "inf", "0"] {
        let output = Command::new(env!("CARGO_BIN_EXE_refig"))
            .args(["parity", "--tolerance", tolerance])
            .arg(fixture("plain-8.safetensors"))
            .output()
            .unwrap();
        assert_eq!(
            output.status.code(),
            Some(Exit::Usage as i32),
            "{tolerance}"
        );
        let told = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(told.contains("finite number above 0"), "{told}");
    }
}
