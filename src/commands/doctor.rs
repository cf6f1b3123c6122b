//! `doctor`: what this machine can train with, and what is missing.

use std::path::Path;

use anyhow::Result;

use super::dataset;
use crate::cli::{DoctorArgs, Format, Places};
use crate::counted::counted;
use crate::data::imagenet::glance;
use crate::data::{self, PictureRequest, Request};
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
    findings.push(imagenet(&request.cache));
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

/// Looks at the place of ImageNet, if one is named, without reading images.
fn imagenet(cache: &Path) -> Finding {
    let Some(dir) = PictureRequest::new(None, cache).dir else {
        return Finding::new("ImageNet", "IMAGENET_DIR is not set").missing(
            "ImageNet, for the experiments on it: name its folder or archive with IMAGENET_DIR or --data-dir; Imagenette, ten of its classes, needs no account: https://github.com/fastai/imagenette",
        );
    };
    match glance(&dir, cache) {
        Err(error) => Finding::new("ImageNet", format!("not readable at {}", dir.display()))
            .missing(format!("IMAGENET_DIR: {error:#}")),
        Ok(found) => {
            let images = match found.size {
                None => "not read yet".to_owned(),
                Some(size) => format!(
                    "{}, {} and {} when last read",
                    counted(size.classes, "class"),
                    counted(size.training_images, "training image"),
                    counted(size.test_images, "validation image")
                ),
            };
            Finding::new(
                "ImageNet",
                format!("{} at {}: {images}", found.layout, dir.display()),
            )
        }
    }
}
