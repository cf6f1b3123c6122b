//! A data set of either kind, and its images as a recipe sees them: in memory, or in files that are read as they are needed.

use std::path::Path;
use std::sync::Arc;

use anyhow::Result;

use super::imagenet::{self, Collection, Framing, Pictures};
use super::images::{Dataset, ImageSet, set_digest};
use super::minibatch::{Batch, Decision, Originals};
use super::normalise::Normaliser;
use super::progress::Report;
use super::{Loader, Order};
use super::{augment, imagenet::PictureLoader};
use crate::counted::counted;
use crate::origin::{self, Origin, Size};
use crate::recipe::{Normalisation, Recipe};
use crate::record::Split;

/// A training and a test set.
#[derive(Clone, Debug)]
pub enum DataSet {
    Memory(Dataset),
    Pictures {
        collection: Arc<Collection>,
        origin: Origin,
    },
}

impl From<Dataset> for DataSet {
    fn from(dataset: Dataset) -> Self {
        DataSet::Memory(dataset)
    }
}

impl DataSet {
    /// Where the images come from.
    pub fn origin(&self) -> Origin {
        match self {
            DataSet::Memory(dataset) => dataset.origin,
            DataSet::Pictures { origin, .. } => *origin,
        }
    }

    /// The number of classes.
    pub fn classes(&self) -> usize {
        match self {
            DataSet::Memory(dataset) => dataset.classes,
            DataSet::Pictures { collection, .. } => collection.classes.len(),
        }
    }

    /// As [`Collection::number_among_all`]. False too for images in memory, and for those that a copy of this shares.
    pub fn number_among_all(&mut self) -> bool {
        match self {
            DataSet::Memory(_) => false,
            DataSet::Pictures { collection, .. } => {
                Arc::get_mut(collection).is_some_and(Collection::number_among_all)
            }
        }
    }

    /// The digests of the training and the test images.
    pub fn digests(&self) -> (String, String) {
        match self {
            DataSet::Memory(dataset) => (dataset.train.digest.clone(), dataset.test.digest.clone()),
            DataSet::Pictures { collection, .. } => (
                collection.train.digest().into(),
                collection.test.digest().into(),
            ),
        }
    }

    /// Identifies a run's data: sha256 (hex) over both digests.
    pub fn digest(&self) -> String {
        let (train, test) = self.digests();
        set_digest(&train, &test)
    }

    /// Classes and images.
    pub fn size(&self) -> Size {
        let (training_images, test_images) = match self {
            DataSet::Memory(dataset) => (dataset.train.len(), dataset.test.len()),
            DataSet::Pictures { collection, .. } => (collection.train.len(), collection.test.len()),
        };
        Size {
            classes: self.classes(),
            training_images,
            test_images,
        }
    }

    /// How many images cannot be decoded and were left out.
    pub fn unreadable(&self) -> usize {
        match self {
            DataSet::Memory(_) => 0,
            DataSet::Pictures { collection, .. } => collection.unreadable.len(),
        }
    }

    /// The shorter side that larger pictures were shrunk to before.
    pub fn shrunk(&self) -> Option<u32> {
        match self {
            DataSet::Memory(_) => None,
            DataSet::Pictures { collection, .. } => collection.shrunk,
        }
    }

    /// What the images are and where they were found, as it follows "on" in a sentence.
    pub fn description(&self) -> String {
        match self {
            DataSet::Memory(dataset) => dataset.description(),
            DataSet::Pictures { collection, origin } => {
                let size = self.size();
                format!(
                    "{} ({}, {} training and {}{}, {}) at {}",
                    origin.name(),
                    counted(size.classes, "class"),
                    size.training_images,
                    counted(size.test_images, "validation image"),
                    origin::treated(self.shrunk(), self.unreadable()),
                    collection.layout,
                    collection.source
                )
            }
        }
    }

    /// The images as `recipe` sees them. Of pictures, the mean image may have to be computed first, and `threads` decode.
    ///
    /// # Errors
    /// [`Exit::Usage`](crate::exit::Exit::Usage) if the recipe is for other images; errors of the data.
    pub fn for_recipe(
        &self,
        recipe: &Recipe,
        cache: &Path,
        threads: usize,
        progress: &mut Report,
    ) -> Result<RunImages> {
        match self {
            DataSet::Memory(dataset) => {
                let (train, test) = dataset.for_recipe(recipe)?;
                RunImages::of_sets(train, test, recipe.normalisation)
            }
            DataSet::Pictures { collection, .. } => {
                let crop = recipe.crop.as_ref().ok_or_else(imagenet::no_crop)?;
                let size = recipe.image_size;
                let mean = match recipe.normalisation {
                    Normalisation::PerPixelMean => {
                        let of = (crop.test_side, size);
                        imagenet::mean_image(collection, of, cache, threads, progress)?
                    }
                    Normalisation::ChannelMeanStd => imagenet::channel_mean(size),
                };
                let framing = Framing::new(crop, size, recipe.augmentation.flip);
                let pictures =
                    Pictures::new(collection.clone(), framing, crop.test_side, mean, threads);
                Ok(RunImages::Pictures(Arc::new(pictures)))
            }
        }
    }

    /// Computes the mean images that `recipes` need and keeps them in `cache`, so that processes which start after this find
    /// them. Images in memory need none.
    ///
    /// # Errors
    /// As [`DataSet::for_recipe`].
    pub fn keep_means<'a>(
        &self,
        recipes: impl IntoIterator<Item = &'a Recipe>,
        cache: &Path,
        threads: usize,
        progress: &mut Report,
    ) -> Result<()> {
        let DataSet::Pictures { collection, .. } = self else {
            return Ok(());
        };
        let mut kept = Vec::new();
        for recipe in recipes {
            let crop = recipe.crop.as_ref().ok_or_else(imagenet::no_crop)?;
            let of = (crop.test_side, recipe.image_size);
            if recipe.normalisation == Normalisation::PerPixelMean && !kept.contains(&of) {
                imagenet::mean_image(collection, of, cache, threads, progress)?;
                kept.push(of);
            }
        }
        Ok(())
    }
}

/// The images of one recipe.
#[derive(Clone)]
pub enum RunImages {
    Memory {
        train: Arc<Originals>,
        test: Arc<Originals>,
    },
    Pictures(Arc<Pictures>),
}

/// Augmented mini-batches.
pub enum Batches {
    Memory(Loader),
    Pictures(PictureLoader),
}

impl RunImages {
    /// Images in memory, with a normalisation fitted to the training images.
    ///
    /// # Errors
    /// [`Exit::Internal`](crate::exit::Exit::Internal) if the sets differ in image size.
    pub fn of_sets(
        train: Arc<ImageSet>,
        test: Arc<ImageSet>,
        normalisation: Normalisation,
    ) -> Result<Self> {
        let normaliser = Normaliser::fit(&train, normalisation);
        Ok(RunImages::Memory {
            train: Arc::new(Originals::new(train, normaliser.clone())?),
            test: Arc::new(Originals::new(test, normaliser)?),
        })
    }

    /// The number of images of a split.
    pub fn len(&self, split: Split) -> usize {
        match self {
            RunImages::Memory { train, test } => match split {
                Split::Train => train.images().len(),
                Split::Test => test.images().len(),
            },
            RunImages::Pictures(pictures) => pictures.len(split),
        }
    }

    /// Unaugmented images: normalised pixels, or, if they are normalised `on_device`, decisions or crops.
    ///
    /// # Errors
    /// [`Exit::Data`](crate::exit::Exit::Data) if a file cannot be read or decoded.
    pub fn batch(&self, split: Split, indices: &[u32], on_device: bool) -> Result<Batch> {
        match self {
            RunImages::Memory { train, test } => {
                let originals = match split {
                    Split::Train => train,
                    Split::Test => test,
                };
                Ok(match on_device {
                    true => originals.batch(indices),
                    false => augment::batch(originals.images(), originals.normaliser(), indices),
                })
            }
            RunImages::Pictures(pictures) => {
                let mut batch = Batch::default();
                pictures.plain(split, indices, on_device, &mut batch)?;
                Ok(batch)
            }
        }
    }

    /// Training images behind the population statistics of a run, as in [`RunImages::batch`]; augmented if `recipe` says so.
    ///
    /// # Errors
    /// As [`RunImages::batch`].
    pub fn statistics_batch(
        &self,
        recipe: &Recipe,
        seed: u64,
        indices: &[u32],
        on_device: bool,
    ) -> Result<Batch> {
        let augmented = recipe.evaluation.statistics_augmented;
        let mut batch = Batch::default();
        match self {
            RunImages::Memory { .. } if !augmented => {
                return self.batch(Split::Train, indices, on_device);
            }
            RunImages::Memory { train, .. } => {
                let augmentation = &recipe.augmentation;
                let decisions: Vec<Decision> = indices
                    .iter()
                    .map(|&index| augment::decide_for_statistics(augmentation, seed, index))
                    .collect();
                match on_device {
                    true => train.fill(augmentation, &decisions, &mut batch),
                    false => augment::apply(
                        train.images(),
                        train.normaliser(),
                        augmentation,
                        &decisions,
                        &mut batch,
                    ),
                }
            }
            RunImages::Pictures(pictures) => {
                pictures.for_statistics(augmented, seed, indices, on_device, &mut batch)?;
            }
        }
        Ok(batch)
    }

    /// The augmented mini-batches of `recipe` and `seed` after `iteration` updates, as in [`RunImages::batch`]. `workers`
    /// threads prepare images in memory.
    ///
    /// # Errors
    /// Those of [`Order::new`], or if a thread cannot be started.
    pub fn batches(
        &self,
        recipe: &Recipe,
        seed: u64,
        iteration: u64,
        workers: usize,
        on_device: bool,
    ) -> Result<Batches> {
        match self {
            RunImages::Memory { train, .. } => Ok(Batches::Memory(match on_device {
                true => Loader::drawing(train.clone(), recipe, seed, iteration)?,
                false => Loader::of(train.clone(), recipe, seed, iteration, workers)?,
            })),
            RunImages::Pictures(pictures) => {
                let order = Order::new(pictures.len(Split::Train), recipe, seed)?;
                let pictures = pictures.clone();
                let loader = PictureLoader::new(pictures, order, seed, iteration, on_device)?;
                Ok(Batches::Pictures(loader))
            }
        }
    }
}

impl Batches {
    /// The next mini-batch.
    ///
    /// # Errors
    /// Those of the loader.
    #[allow(clippy::should_implement_trait)] // endless and fallible: a `for` loop would hide both
    pub fn next(&mut self) -> Result<Batch> {
        match self {
            Batches::Memory(loader) => loader.next(),
            Batches::Pictures(loader) => loader.next(),
        }
    }

    /// Returns a used mini-batch so that its memory can be reused.
    pub fn recycle(&mut self, batch: Batch) {
        match self {
            Batches::Memory(loader) => loader.recycle(batch),
            Batches::Pictures(loader) => loader.recycle(batch),
        }
    }
}
