//! `parity`: replays recorded training steps on this machine's engine.

use anyhow::Result;

use super::compute;
use crate::cli::ParityArgs;
use crate::exit::Exit;
use crate::measure::parity;
use crate::outln;

/// `refig parity FILE...`.
pub fn run(args: &ParityArgs) -> Result<Exit> {
    let options = compute::precise_options(&args.compute, &args.precision)?;
    let mut within = true;
    for file in &args.files {
        let report = parity::compare(file, &options)?;
        outln!(
            "{}: {}, {} steps",
            report.file,
            report.network,
            report.steps
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
        let passed = report.within(args.tolerance);
        outln!(
            "  largest relative error {:.2e}: {} the tolerance of {:.1e}",
            report.largest(),
            if passed { "within" } else { "PAST" },
            args.tolerance
        );
        within &= passed;
    }
    Ok(if within {
        Exit::Success
    } else {
        Exit::CheckFailed
    })
}
