//! A report's folder: figure, verdict and pages, each file written atomically.

use std::path::{Path, PathBuf};

use anyhow::Result;

use super::foreign::one_line;
use super::illustration::Illustration;
use super::junit;
use super::page::{self, Material, Page};
use crate::digest::sha256;
use crate::exit::Exit;
use crate::figure::{self, Drawing};
use crate::judge::{Evidence, Verdict};
use crate::manifest::{Bars, Experiment};
use crate::origin::Origin;
use crate::run::disk::Disk;

/// Letters of the longest list of networks in a folder's name.
const LONGEST_PART: usize = 40;

/// The report of an experiment at a profile.
#[derive(Clone, Debug)]
pub struct Report<'a> {
    evidence: &'a Evidence,
    verdict: &'a Verdict,
    /// None if there is nothing to draw.
    figure: Option<Illustration>,
    folder: PathBuf,
    /// Runs that are missing, unfinished, diverged or left out of the figure.
    pub warnings: Vec<String>,
}

/// The folder for an experiment's report: `fig6/quick`. Reports of other images than the paper's, of changed fields or of some of
/// the networks are kept apart: `fig6/quick-synthetic`, `fig6/quick-set-1a2b3c4d`, `fig6/quick-plain-20`.
pub fn folder(experiment: &Experiment, data: Option<Origin>, reports_dir: &Path) -> PathBuf {
    let mut name = experiment.profile.clone();
    if let Some(other) = data.filter(|data| *data != experiment.data.origin()) {
        name = format!("{name}-{}", other.key());
    }
    if !experiment.overrides.is_empty() {
        let digest = sha256(experiment.overrides.join("\n").as_bytes());
        name = format!("{name}-set-{}", &digest[..8]);
    }
    if !experiment.part.is_empty() {
        let all = experiment.part.join("+");
        let digest = sha256(all.as_bytes());
        let short = all.len() <= LONGEST_PART;
        let part = if short { &all } else { &digest[..8] };
        name = format!("{name}-{part}");
    }
    reports_dir.join(&experiment.name).join(name)
}

impl<'a> Report<'a> {
    /// Draws the figure, with `reference` over the paper's curves. Writes nothing.
    ///
    /// # Errors
    /// As [`Drawing::of`].
    pub fn new(
        evidence: &'a Evidence,
        verdict: &'a Verdict,
        reports_dir: &Path,
        reference: bool,
    ) -> Result<Self> {
        let mut warnings = [&evidence.left_out[..], &evidence.unread].concat();
        if let Some(why) = evidence.without_paper.as_ref().filter(|_| !reference) {
            warnings.push(format!("{why}; nothing is compared with it"));
        }
        let figure = match Drawing::of(evidence, verdict, reference)? {
            Some((drawing, missing)) => {
                warnings.extend(missing);
                let figure = Illustration::of(drawing)?;
                warnings.extend(unknown_letters(&figure.svg));
                Some(figure)
            }
            None => None,
        };
        Ok(Self {
            evidence,
            verdict,
            figure,
            folder: folder(
                &evidence.experiment,
                evidence.runs.first().map(|run| run.view.file.notes.data),
                reports_dir,
            ),
            warnings: warnings.iter().map(|warning| one_line(warning)).collect(),
        })
    }

    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// Writes the SVG and PNG, and a table's Markdown; returns the path of the PNG. The same records give the same
    /// bytes.
    ///
    /// # Errors
    /// [`Exit::Missing`] if there is nothing to draw; [`Exit::Storage`] if the folder cannot be written.
    pub fn write_figure(&self) -> Result<PathBuf> {
        let experiment = &self.evidence.experiment;
        let (name, profile) = (&experiment.name, &experiment.profile);
        let Some(figure) = &self.figure else {
            // With the seeds and the changes that were asked for.
            let command = self.verdict.command.replacen("cargo run --", "refig", 1);
            let command = format!("`{command}`");
            return Err(Exit::Missing.error(match self.evidence.runs.is_empty() {
                true => format!("no run of {name} at profile {profile}; train with {command}"),
                false => format!(
                    "no run of {name} at profile {profile} was measured; {command} measures finished runs"
                ),
            }));
        };
        write_picture(&self.folder, name, figure)
    }

    /// Writes figure, `verdict.json`, `junit.xml` and the pages; returns the path of `index.html`. With `strict`, `better` is
    /// a failure in `junit.xml`.
    ///
    /// # Errors
    /// [`Exit::Storage`] if the folder cannot be written.
    pub fn write(&self, results_dir: &Path, strict: bool) -> Result<PathBuf> {
        if self.figure.is_some() {
            self.write_figure()?;
        }
        let page = self.page(results_dir)?;
        let disk = Disk::default();
        disk.create_dir(&self.folder)?;
        let json = self.verdict.json()?;
        disk.replace(&self.folder.join("verdict.json"), json.as_bytes())?;
        let junit = junit(self.verdict, strict)?;
        disk.replace(&self.folder.join("junit.xml"), junit.as_bytes())?;
        write_page(&self.folder, &page, self.figure.as_ref())?;
        Ok(self.folder.join("index.html"))
    }

    /// The report's page.
    ///
    /// # Errors
    /// If a path cannot be shown, which is a bug.
    pub fn page(&self, results_dir: &Path) -> Result<Page> {
        let drawing = self.figure.as_ref().map(|figure| &figure.drawing);
        let material = Material {
            figure: drawing.filter(|drawing| !drawing.is_empty()),
            runs: &self.evidence.runs,
            results: &page::relative(&self.folder, results_dir),
        };
        page::page(self.verdict, &material)
    }
}

/// A warning about letters that the figures' font lacks.
fn unknown_letters(svg: &str) -> Option<String> {
    let letters: Vec<String> = figure::missing_letters(svg)
        .into_iter()
        .map(|letter| letter.to_string())
        .collect();
    (!letters.is_empty()).then(|| {
        format!(
            "the figure's font has no {}; the PNG shows a question mark, the SVG the viewer's own font",
            letters.join(", ")
        )
    })
}

/// Writes a figure of published values and its page to `<reports_dir>/<name>`; returns the path of the PNG. The same
/// files give the same bytes.
///
/// # Errors
/// As [`figure::published_bars`]; [`Exit::Storage`] if the folder cannot be written.
pub fn publish_bars(bars: &Bars, reports_dir: &Path) -> Result<PathBuf> {
    let values = figure::published_bars(bars)?;
    let page = page::published(bars, &values)?;
    let figure = Illustration::of(Drawing::Bars(values))?;
    let folder = reports_dir.join(&bars.name);
    let png = write_picture(&folder, &bars.name, &figure)?;
    write_page(&folder, &page, Some(&figure))?;
    Ok(png)
}

fn write_picture(folder: &Path, name: &str, figure: &Illustration) -> Result<PathBuf> {
    let disk = Disk::default();
    disk.create_dir(folder)?;
    if let Drawing::Table(table) = &figure.drawing {
        let text = page::figure_table(table);
        disk.replace(&folder.join(format!("{name}.md")), text.as_bytes())?;
    }
    let svg = folder.join(format!("{name}.svg"));
    disk.replace(&svg, figure.svg.as_bytes())?;
    let png = folder.join(format!("{name}.png"));
    disk.replace(&png, &figure::png(&figure.svg)?)?;
    Ok(png)
}

fn write_page(folder: &Path, page: &Page, figure: Option<&Illustration>) -> Result<()> {
    let disk = Disk::default();
    disk.create_dir(folder)?;
    let html = page::html(page, figure);
    disk.replace(&folder.join("index.html"), html.as_bytes())?;
    disk.replace(&folder.join("report.md"), page::markdown(page).as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::figure::{Whose, published_bars};

    fn shipped() -> Bars {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("experiments/context.toml");
        Bars::load(&path).unwrap().unwrap()
    }

    #[test]
    fn published_bars_are_deterministic() {
        let folder = tempfile::tempdir().unwrap();
        let png = publish_bars(&shipped(), folder.path()).unwrap();
        let svg = folder.path().join("context/context.svg");
        let first = (std::fs::read(&png).unwrap(), std::fs::read(&svg).unwrap());
        publish_bars(&shipped(), folder.path()).unwrap();
        assert_eq!(first.0, std::fs::read(&png).unwrap());
        let text = String::from_utf8(first.1).unwrap();
        assert!(text.contains("3.57") && text.contains("GoogLeNet"));
    }

    #[test]
    fn published_page_lists_each_value_with_its_source_and_claims_nothing() {
        let folder = tempfile::tempdir().unwrap();
        publish_bars(&shipped(), folder.path()).unwrap();
        let read =
            |name: &str| std::fs::read_to_string(folder.path().join("context").join(name)).unwrap();
        let (html, markdown) = (read("index.html"), read("report.md"));
        for plot in published_bars(&shipped()).unwrap().plots {
            for bar in plot.bars {
                let row = markdown.lines().find(|line| {
                    let cells = [&plot.title, &bar.label, &bar.below, &bar.source];
                    cells.iter().all(|cell| line.contains(cell.as_str()))
                });
                let row = row.unwrap_or_else(|| panic!("no row of {bar:?}"));
                assert!(row.contains(&bar.text), "{row}");
                assert_eq!(
                    row.contains(&format!("**{}**", bar.text)),
                    bar.whose == Whose::Paper,
                    "{row}"
                );
            }
        }
        assert!(html.contains("data:image/svg+xml,") && html.contains("nothing claimed"));
        assert!(html.contains("href=\"../index.html\"") && !html.contains("verdict.json"));
        assert!(markdown.contains("| context.csv | sha256 "), "{markdown}");
    }
}
