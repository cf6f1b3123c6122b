//! `describe`, `list` and `schema`: what needs neither data nor runs.

use anyhow::Result;

use crate::cli::{DescribeArgs, Format, NetworkArgs, Places};
use crate::exit::Exit;
use crate::manifest;
use crate::network::{Network, Shortcut};

/// Classes of CIFAR-10.
pub const CLASSES: usize = 10;

/// The network that a command line names.
pub fn network(name: &str, options: &NetworkArgs) -> Result<Network> {
    let shortcut = match options.shortcut.to_ascii_uppercase().as_str() {
        "A" => Shortcut::A,
        "B" => Shortcut::B,
        "C" => Shortcut::C,
        other => {
            return Err(Exit::Usage.error(format!(
                "--shortcut {other}: not an option of section 4.1; write A, B or C"
            )));
        }
    };
    if options.image_size < 4 || !options.image_size.is_multiple_of(4) {
        return Err(Exit::Usage.error(format!(
            "--image-size {}: must be a multiple of 4, for two subsamplings; the paper's is 32",
            options.image_size
        )));
    }
    Network::parse_cifar(name, shortcut, CLASSES)
}

/// `refig describe NETWORK`.
pub fn describe(args: &DescribeArgs) -> Result<Exit> {
    let description = network(&args.network, &args.options)?.describe(args.options.image_size);
    match args.format {
        Format::Text => println!("{}", description.text().trim_end()),
        Format::Json => println!("{}", description.json().trim_end()),
    }
    Ok(Exit::Success)
}

/// `refig list`.
pub fn list(places: &Places) -> Result<Exit> {
    let listed = manifest::list(&places.experiments_dir)?;
    if listed.is_empty() {
        return Err(Exit::Usage.error(format!(
            "no experiments in {}; run in the project's folder or name it with --experiments-dir",
            places.experiments_dir.display()
        )));
    }
    for experiment in listed {
        println!("{}", experiment.line());
    }
    Ok(Exit::Success)
}

/// `refig schema`.
pub fn schema() -> Result<Exit> {
    print!("{}", manifest::schema());
    Ok(Exit::Success)
}
