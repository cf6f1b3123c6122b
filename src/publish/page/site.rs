//! `index.html` of the reports folder: every report there with its status and figure, so that the folder can be served as a
//! site.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use maud::{Markup, html};
use serde::Deserialize;

use super::escape::relative;
use super::html::{badge, document};
use crate::console::one_line;
use crate::exit::Exit;
use crate::judge::Status;
use crate::publish::cells::seeds_text;
use crate::publish::foreign::unescaped;
use crate::run::disk::Disk;

/// The part of a `verdict.json` that the index shows and that is needed to regenerate a report.
#[derive(Clone, Debug, PartialEq, Deserialize)]
pub struct Summary {
    pub experiment: String,
    pub title: String,
    pub profile: String,
    pub data: String,
    pub synthetic: bool,
    pub seeds: Vec<u64>,
    pub status: Status,
    pub headline: String,
    #[serde(default)]
    pub overrides: Vec<String>,
}

/// A profile of an experiment without a report.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Blank {
    pub experiment: String,
    pub profile: String,
}

/// A report in the index.
struct Card {
    folder: PathBuf,
    name: String,
    summary: Option<Summary>,
    /// Title and headline of a page without a verdict.
    page: Option<(String, String)>,
    picture: Option<String>,
}

/// The summary in a report's folder; none without a `verdict.json`.
///
/// # Errors
/// [`Exit::Storage`] if it cannot be read.
pub fn summary(folder: &Path) -> Result<Option<Summary>> {
    let path = folder.join("verdict.json");
    // Opening a pipe would wait for its writer.
    if !path.is_file() {
        return Ok(None);
    }
    std::fs::read_to_string(&path)
        .map_err(anyhow::Error::from)
        .and_then(|text| Ok(serde_json::from_str(&text)?))
        .map(Some)
        .map_err(|error| {
            Exit::Storage.error(format!(
                "cannot read {}: {}; `refig report` writes it again",
                path.display(),
                one_line(&error.to_string())
            ))
        })
}

/// Writes `index.html` to `reports_dir` and returns its path. It lists `blanks` as not run. A report whose `verdict.json` cannot
/// be read is shown as one without.
///
/// # Errors
/// [`Exit::Storage`] if the folder cannot be read or written.
pub fn write(reports_dir: &Path, blanks: &[Blank]) -> Result<PathBuf> {
    let disk = Disk::default();
    disk.create_dir(reports_dir)?;
    let path = reports_dir.join("index.html");
    let html = index(reports_dir, &cards(reports_dir)?, blanks);
    disk.replace(&path, html.as_bytes())?;
    Ok(path)
}

/// Every folder with a verdict or a figure, by name.
fn cards(reports_dir: &Path) -> Result<Vec<Card>> {
    let mut cards = Vec::new();
    let folders = walkdir::WalkDir::new(reports_dir)
        .min_depth(1)
        .max_depth(2)
        .sort_by_file_name();
    for entry in folders {
        let entry = entry.with_context(|| {
            Exit::Storage.error(format!("cannot read {}", reports_dir.display()))
        })?;
        if !entry.file_type().is_dir() {
            continue;
        }
        let folder = entry.into_path();
        let summary = summary(&folder).ok().flatten();
        let picture = picture(&folder);
        if summary.is_none() && picture.is_none() {
            continue;
        }
        let name = folder.strip_prefix(reports_dir).unwrap_or(&folder);
        let name = name.display().to_string();
        cards.push(Card {
            page: title_and_headline(&folder),
            folder,
            name,
            summary,
            picture,
        });
    }
    Ok(cards)
}

/// Title and headline of a folder's `report.md`.
fn title_and_headline(folder: &Path) -> Option<(String, String)> {
    let text = std::fs::read_to_string(folder.join("report.md")).ok()?;
    let mut lines = text.lines();
    let title = lines.next()?.strip_prefix("# ")?;
    let headline = lines.find_map(|line| line.strip_prefix("**")?.strip_suffix(".**"))?;
    Some((unescaped(title), unescaped(headline)))
}

/// The first PNG of a folder, else its first SVG.
fn picture(folder: &Path) -> Option<String> {
    let mut names: Vec<String> = std::fs::read_dir(folder)
        .ok()?
        .filter_map(|entry| entry.ok()?.file_name().into_string().ok())
        .collect();
    names.sort();
    let ending = |wanted: &str| names.iter().find(|name| name.ends_with(wanted)).cloned();
    ending(".png").or_else(|| ending(".svg"))
}

const PAPER: &str = "https://arxiv.org/abs/1512.03385";

fn index(reports_dir: &Path, cards: &[Card], blanks: &[Blank]) -> String {
    let body = html! {
        header {
            h1 { "Reports" }
            p.line {
                "Figures of " a href=(PAPER) { "Deep Residual Learning for Image Recognition" }
                " reproduced, and how close they came."
            }
        }
        main {
            ul.cards { @for card in cards { (card_markup(reports_dir, card)) } }
            @if cards.is_empty() {
                p { "No reports yet." }
            }
            @if !blanks.is_empty() {
                h2 { "Not run yet" }
                p.about { "Profiles without runs, and the command to run each." }
                ul {
                    @for Blank { experiment, profile } in blanks {
                        li {
                            (experiment) ", profile " (profile) ": "
                            code { "cargo run -- reproduce " (experiment) " --profile " (profile) }
                        }
                    }
                }
            }
        }
    };
    document("Reports", &body)
}

fn card_markup(reports_dir: &Path, card: &Card) -> Markup {
    let address = relative(reports_dir, &card.folder);
    let target = if card.folder.join("index.html").exists() {
        format!("{address}/index.html")
    } else {
        let picture = card.picture.as_deref().unwrap_or("report.md");
        format!("{address}/{picture}")
    };
    let title = card
        .summary
        .as_ref()
        .map(|summary| &summary.title)
        .or(card.page.as_ref().map(|(title, _)| title))
        .unwrap_or(&card.name);
    let headline = match (&card.summary, &card.page) {
        (Some(summary), _) => Some(&summary.headline),
        (None, page) => page.as_ref().map(|(_, headline)| headline),
    };
    html! {
        "\n"
        li.card {
            h3 { a href=(target) { (title) } }
            @if let Some(summary) = &card.summary {
                p {
                    (badge(summary.status)) " profile " (summary.profile) ", " (summary.data) ", "
                    (seeds_text(&summary.seeds))
                }
                @if summary.synthetic {
                    p.shout { "SYNTHETIC" }
                }
                @if !summary.overrides.is_empty() {
                    p.shout { "CHANGED RECIPE" }
                }
            }
            @if let Some(picture) = &card.picture {
                a href=(target) {
                    img src={ (address) "/" (picture) } alt={ "the figure of " (card.name) } loading="lazy";
                }
            }
            @if let Some(headline) = headline {
                p.note { (headline) "." }
            }
        }
    }
}
