//! How far several views of the test images have come, kept with the run: the test may outlast the time that a job is given.

use std::time::{Duration, Instant};

use anyhow::Result;

use crate::engine::Tally;
use crate::record::Views;
use crate::run::{RunDirectory, ViewTally};

/// The sums over the first test images, for each kind of views.
pub(super) struct Tallies<'a> {
    all: Vec<(Views, Tally)>,
    /// The run, and the wall clock between keeping.
    keeper: Option<(&'a RunDirectory, Duration)>,
    kept_at: Instant,
}

impl<'a> Tallies<'a> {
    /// Of weights of no run, where nothing is kept.
    pub fn unkept() -> Self {
        Self {
            all: Vec::new(),
            keeper: None,
            kept_at: Instant::now(),
        }
    }

    /// Of a run, from where it was interrupted.
    pub fn of(run: &'a RunDirectory, keep_every: Duration) -> Self {
        let begun = run.view_tallies().iter().map(|kept| {
            let tally = Tally {
                images: kept.images,
                loss: f64::from_bits(kept.loss_bits),
                wrong: kept.wrong,
                wrong_top5: kept.wrong_top5,
            };
            (kept.views, tally)
        });
        Self {
            all: begun.collect(),
            keeper: Some((run, keep_every)),
            kept_at: Instant::now(),
        }
    }

    /// The sums over the first of `images` images by these views.
    pub fn begun(&self, views: Views, images: usize) -> Tally {
        let begun = self.all.iter().find(|(of, _)| *of == views);
        let possible = begun.filter(|(_, tally)| tally.images <= images as u64);
        possible.map_or_else(Tally::default, |(_, tally)| *tally)
    }

    /// Takes note that the sums by these views are now `tally`, and keeps all if that was long ago.
    ///
    /// # Errors
    /// As for [`RunDirectory::keep_view_tallies`].
    pub fn advance(&mut self, views: Views, tally: Tally) -> Result<()> {
        match self.all.iter_mut().find(|(of, _)| *of == views) {
            Some((_, begun)) => *begun = tally,
            None => self.all.push((views, tally)),
        }
        match self.keeper {
            Some((_, every)) if self.kept_at.elapsed() >= every => self.keep(),
            _ => Ok(()),
        }
    }

    /// Keeps all.
    ///
    /// # Errors
    /// As for [`RunDirectory::keep_view_tallies`].
    pub fn keep(&mut self) -> Result<()> {
        if let Some((run, _)) = self.keeper
            && !self.all.is_empty()
        {
            let kept = self.all.iter().map(|&(views, tally)| ViewTally {
                views,
                images: tally.images,
                loss_bits: tally.loss.to_bits(),
                wrong: tally.wrong,
                wrong_top5: tally.wrong_top5,
            });
            run.keep_view_tallies(&kept.collect::<Vec<ViewTally>>())?;
            self.kept_at = Instant::now();
        }
        Ok(())
    }
}
