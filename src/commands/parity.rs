//! `parity`: replays recorded training steps on this machine's engine.

use anyhow::Result;

use super::compute;
use crate::cli::ParityArgs;
use crate::counted::counted;
use crate::exit::Exit;
use crate::measure::parity::{self, Outcome, Recording, Report};
use crate::outln;

/// `refig parity FILE...`.
pub fn run(args: &ParityArgs) -> Result<Exit> {
    let options = compute::precise_options(&args.compute, &args.precision)?;
    let mut success = true;
    for file in &args.files {
        let recording = Recording::read(file)?;
        let report = parity::replay(&recording, &options)?;
        print(&report);
        let outcome = parity::judge(&recording, &report, &options, args.tolerance)?;
        outln!("  {}", conclusion(&report, &outcome, args.tolerance));
        success &= outcome.is_success();
    }
    Ok(if success {
        Exit::Success
    } else {
        Exit::CheckFailed
    })
}

fn print(report: &Report) {
    outln!(
        "{}: {}, {}",
        report.file,
        report.network,
        counted(report.steps, "step")
    );
    outln!(
        "  {:<24} {:>12}  {:>7}  worst tensor",
        "quantity",
        "largest",
        "tensors"
    );
    for row in &report.rows {
        outln!(
            "  {:<24} {:>12.2e}  {:>7}  {}",
            row.quantity,
            row.error,
            row.tensors,
            row.worst
        );
    }
}

/// Whether a recording passed, and why.
fn conclusion(report: &Report, outcome: &Outcome, tolerance: f64) -> String {
    let largest = format!("largest relative error {:.2e}", report.largest());
    match outcome {
        Outcome::Passed => format!("{largest}: within the tolerance of {tolerance:.1e}"),
        Outcome::ApartFromKinks(kinks) => {
            let layers: Vec<String> = kinks
                .layers
                .iter()
                .map(|(name, count)| format!("{count} after {name}"))
                .collect();
            format!(
                "{largest}: passed apart from {} of {} activations within rounding of a ReLU's kink ({}), where the \
                 gradient jumps; step by step the engine agrees with double precision within {:.2e}",
                kinks.count,
                kinks.of,
                layers.join(", "),
                kinks.error
            )
        }
        Outcome::Failed(why) => {
            format!("{largest}: PAST the tolerance of {tolerance:.1e} ({why})")
        }
    }
}
