//! `doctor`: what this machine can train with, and what is missing.

use anyhow::Result;

use super::dataset;
use crate::cli::{DoctorArgs, Format, Places};
use crate::data::{self, Request};
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
    findings.push(cifar10(&request));
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

/// Reads the data, if it is here.
fn cifar10(request: &Request) -> Finding {
    if !request.is_local() {
        return Finding::new("CIFAR-10", "not found").missing(
            "CIFAR-10: download it with `refig data fetch cifar10` (144 MB), or point --data-dir or CIFAR10_DIR to it",
        );
    }
    match data::foresee(request) {
        Err(error) => Finding::new("CIFAR-10", "not readable").missing(format!("{error:#}")),
        Ok(found) => {
            let finding = Finding::new("CIFAR-10", found.description);
            match found.doubt {
                None => finding,
                Some(doubt) => finding.missing(format!(
                    "{doubt}; fetch CIFAR-10 with `refig data fetch cifar10`"
                )),
            }
        }
    }
}
