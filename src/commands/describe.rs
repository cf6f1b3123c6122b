//! `describe`, `list` and `schema`, which need neither data nor runs.

use anyhow::Result;

use super::compute;
use crate::cli::{DescribeArgs, Format, NetworkArgs, Places};
use crate::exit::Exit;
use crate::figure;
use crate::manifest;
use crate::network::{Cited, Network, Shortcut};
use crate::run::disk::Disk;
use crate::{note, out, outln};

/// The network given on the command line, and the side of its images in pixels.
pub fn network(name: &str, options: &NetworkArgs) -> Result<(Network, usize)> {
    let shortcut = match options.shortcut.as_deref().map(str::to_ascii_uppercase) {
        None => None,
        Some(option) => Some(match option.as_str() {
            "A" => Shortcut::A,
            "B" => Shortcut::B,
            "C" => Shortcut::C,
            other => {
                return Err(Exit::Usage.error(format!(
                    "--shortcut {other}: not an option of section 4.1; use A, B or C"
                )));
            }
        }),
    };
    Network::parse(name, shortcut, options.image_size)
}

/// `refig describe NETWORK`.
pub fn describe(args: &DescribeArgs) -> Result<Exit> {
    if let Some(cited) = Cited::named(&args.network) {
        return describe_cited(args, &cited);
    }
    let (network, image_size) = network(&args.network, &args.options)?;
    if let Some(path) = &args.svg {
        let svg = figure::column(&network, image_size)?;
        match path.as_os_str() == "-" {
            true => out!("{svg}"),
            false => Disk::default().replace(path, svg.as_bytes())?,
        }
        return Ok(Exit::Success);
    }
    let mut description = network.describe(image_size);
    if let Some(batch) = args.batch {
        if let Some(piece) = args.micro_batch
            && !batch.is_multiple_of(piece)
        {
            return Err(Exit::Usage.error(format!(
                "--micro-batch {piece} does not divide --batch {batch}; use a divisor"
            )));
        }
        let precision = compute::precision(&args.precision);
        description.memory = Some(network.memory(image_size, batch, args.micro_batch, precision));
    }
    match args.format {
        Format::Text => outln!("{}", description.text().trim_end()),
        Format::Json => outln!("{}", description.json().trim_end()),
    }
    Ok(Exit::Success)
}

/// `refig describe` of a network that the paper compares with, which is only known as its authors made it.
fn describe_cited(args: &DescribeArgs, cited: &Cited) -> Result<Exit> {
    let (description, options) = (cited.describe(), &args.options);
    let given = match (&options.shortcut, options.image_size) {
        (Some(_), _) => Some("--shortcut"),
        (None, Some(size)) if size != description.image_size => Some("--image-size"),
        _ => None,
    };
    if args.batch.is_some() {
        return Err(Exit::Usage.error(format!(
            "--batch cannot be used with {}, which is described and not trained; remove it",
            cited.name
        )));
    }
    if let Some(option) = given {
        return Err(Exit::Usage.error(format!(
            "{option} cannot be used with {}, which has images of {} pixels and no shortcuts; remove it",
            cited.name, description.image_size
        )));
    }
    match (&args.svg, args.format) {
        (Some(path), _) => {
            let svg = figure::cited_column(cited)?;
            match path.as_os_str() == "-" {
                true => out!("{svg}"),
                false => Disk::default().replace(path, svg.as_bytes())?,
            }
        }
        (None, Format::Text) => outln!("{}", description.text().trim_end()),
        (None, Format::Json) => outln!("{}", description.json().trim_end()),
    }
    Ok(Exit::Success)
}

/// `refig list`. Manifests that cannot be read are named after the others.
pub fn list(format: Format, places: &Places) -> Result<Exit> {
    let catalogue = manifest::list(&places.experiments_dir)?;
    if catalogue.experiments.is_empty() && catalogue.broken.is_empty() {
        return Err(Exit::Usage.error(format!(
            "no experiments in {}; run in the project's folder or pass --experiments-dir",
            places.experiments_dir.display()
        )));
    }
    match format {
        Format::Text => {
            for experiment in &catalogue.experiments {
                outln!("{}", experiment.line());
            }
        }
        Format::Json => outln!("{}", serde_json::to_string_pretty(&catalogue.experiments)?),
    }
    for broken in &catalogue.broken {
        note!("refig: {}", broken.why);
    }
    Ok(match catalogue.broken.is_empty() {
        true => Exit::Success,
        false => Exit::Usage,
    })
}

/// `refig schema`.
pub fn schema() -> Result<Exit> {
    out!("{}", manifest::schema());
    Ok(Exit::Success)
}
