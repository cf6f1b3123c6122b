//! `doctor`: what this machine can train with, and what is missing.

use anyhow::Result;

use super::dataset;
use crate::cli::{DoctorArgs, Format, Places};
use crate::exit::Exit;
use crate::measure::doctor::{self, Finding};
use crate::outln;
use crate::run;

/// `refig doctor`.
pub fn run(args: &DoctorArgs, places: &Places) -> Result<Exit> {
    let mut findings = doctor::machine();
    let request = dataset::request(&args.data);
    findings.push(Finding::new(
        "cache folder",
        request.cache.display().to_string(),
    ));
    let data = match &request.dir {
        Some(dir) => Finding::new("CIFAR-10", format!("given: {}", dir.display())),
        None if request.is_local() => Finding::new("CIFAR-10", "in the cache folder"),
        None => Finding::new("CIFAR-10", "not found").missing(
            "CIFAR-10: download it with `refig data fetch cifar10` (170 MB), or point --data-dir or CIFAR10_DIR to it",
        ),
    };
    let gone = request.dir.as_ref().filter(|dir| !dir.exists());
    findings.push(match gone {
        Some(dir) => data.missing(format!("{} does not exist", dir.display())),
        None => data,
    });
    findings.push(match run::space::available(&places.results_dir) {
        Some(bytes) => {
            let found = format!(
                "{} MB free for {}",
                bytes >> 20,
                places.results_dir.display()
            );
            Finding::new("disk", found)
        }
        None => Finding::new("disk", "free space unknown"),
    });
    match args.format {
        Format::Json => outln!("{}", serde_json::to_string_pretty(&findings)?),
        Format::Text => {
            for finding in &findings {
                outln!("{:<18}  {}", finding.what, finding.found);
            }
            let missing = findings
                .iter()
                .filter_map(|finding| finding.missing.as_ref());
            for (place, missing) in missing.enumerate() {
                if place == 0 {
                    outln!("\nmissing:");
                }
                outln!("  {missing}");
            }
        }
    }
    Ok(Exit::Success)
}
