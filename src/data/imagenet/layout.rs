//! Finds where the images of a place are, without being told its layout.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::Result;

use super::archives::{self, Members};
use super::classes::{first, is_synset};
use super::labels::{self, Labels};
use super::listing::{self, Listing, entries, is_image};
use super::shards;
use crate::counted::counted;
use crate::data::progress::Report;
use crate::exit::Exit;

/// The names of the two parts.
const TRAIN: &[&str] = &["train"];
const TEST: &[&str] = &["val", "validation"];
/// The archives as downloaded.
pub(super) const TRAIN_TAR: &str = "ILSVRC2012_img_train.tar";
pub(super) const TEST_TAR: &str = "ILSVRC2012_img_val.tar";
/// Where Kaggle's archive and Hugging Face's repositories keep the images.
const INNER: [&str; 3] = ["ILSVRC/Data/CLS-LOC", "Data/CLS-LOC", "data"];
/// What `data prepare imagenet` writes beside its archives.
pub(super) const PACKED: &str = "packed.json";

/// What to name instead.
const REMEDY: &str = "name with --data-dir the folder that holds `train` and `val` (class folders, or a flat `val` with labels), ILSVRC2012_img_train.tar and ILSVRC2012_img_val.tar, Hugging Face's Parquet files, or an uncompressed .tar of such a folder";

/// How one part of the data is kept.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Place {
    /// A folder of class folders.
    Classes(PathBuf),
    /// A folder of images.
    Flat(PathBuf),
    /// A tar of a tar for each class.
    Nested(PathBuf),
    /// A tar for each class.
    ClassTars(Vec<PathBuf>),
    /// A tar of images.
    FlatTar(PathBuf),
    /// Tars of a tree of class folders below one of these names.
    Tree(Vec<PathBuf>, &'static [&'static str]),
    /// Parquet files.
    Shards(Vec<PathBuf>),
}

/// Where the parts of the data are.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Layout {
    /// The place that was named.
    pub named: PathBuf,
    /// The folder that names are relative to.
    pub root: PathBuf,
    pub train: Option<Place>,
    pub test: Option<Place>,
}

impl Place {
    /// What users call it.
    pub fn name(&self) -> &'static str {
        match self {
            Place::Classes(_) => "class folders",
            Place::Flat(_) => "a folder of images with a list of labels",
            Place::Nested(_) | Place::FlatTar(_) => "the official archives",
            Place::ClassTars(_) => "an archive for each class",
            Place::Tree(..) => "archives of class folders",
            Place::Shards(_) => "Parquet files",
        }
    }

    /// The files that hold many images, which need no listing as long as they do not change.
    pub fn containers(&self) -> &[PathBuf] {
        match self {
            Place::Classes(_) | Place::Flat(_) => &[],
            Place::Nested(path) | Place::FlatTar(path) => std::slice::from_ref(path),
            Place::ClassTars(paths) | Place::Tree(paths, _) | Place::Shards(paths) => paths,
        }
    }

    /// Lists the images. Those in containers are read and digested at once; those in a flat set have no class yet.
    pub fn list(&self, root: &Path, progress: &mut Report) -> Result<Listing> {
        let one = std::slice::from_ref;
        match self {
            Place::Classes(folder) => listing::class_folders(root, folder, progress),
            Place::Flat(folder) => listing::flat_folder(root, folder),
            Place::Nested(path) => {
                archives::list(root, one(path), true, Members::OneClass, progress)
            }
            Place::ClassTars(paths) => {
                archives::list(root, paths, false, Members::OneClass, progress)
            }
            Place::FlatTar(path) => archives::list(root, one(path), false, Members::Flat, progress),
            Place::Tree(paths, parts) => {
                let parts = *parts;
                let listing = archives::list(root, paths, false, Members::Tree(parts), progress)?;
                if listing.images.is_empty() {
                    for path in paths {
                        if archives::has_flat(path, parts)? {
                            return Err(Exit::Data.error(format!(
                                "`{}` in {} holds images without class folders, so nothing tells their classes: unpack it, and {}",
                                parts[0],
                                path.display(),
                                labels::REMEDY
                            )));
                        }
                    }
                }
                Ok(listing)
            }
            Place::Shards(paths) => shards::list(root, paths, progress),
        }
    }
}

impl Layout {
    /// What users call it: the name of the training images' place, or of the others' if there are none.
    pub fn name(&self) -> &'static str {
        let place = self.train.as_ref().or(self.test.as_ref());
        place.map_or("nothing", Place::name)
    }

    /// Checks that of numbered Parquet files none is missing.
    pub fn check_complete(&self) -> Result<()> {
        for place in [&self.train, &self.test].into_iter().flatten() {
            if let Place::Shards(files) = place {
                shards::check_complete(files)?;
            }
        }
        Ok(())
    }

    /// The labels of a flat part, for [`apply`]. None for a part whose images tell their classes.
    pub fn labels(&self, place: &Place) -> Result<Option<Labels>> {
        match place {
            Place::Flat(path) | Place::FlatTar(path) => {
                labels::find(&self.beside(path), &path.display().to_string()).map(Some)
            }
            _ => Ok(None),
        }
    }

    /// The folders that may hold labels: the images' own, and those around it up to the one that was named.
    fn beside(&self, images: &Path) -> Vec<PathBuf> {
        let top = if self.named.is_dir() {
            self.named.as_path()
        } else {
            self.root.as_path()
        };
        images
            .ancestors()
            .take_while(|folder| folder.starts_with(top))
            .filter(|folder| folder.is_dir())
            .map(Path::to_owned)
            .collect()
    }
}

/// Gives the images of a flat part their classes.
pub(super) fn apply(labels: &Labels, listing: &mut Listing) -> Result<()> {
    listing.groups.clear();
    let mut missing = Vec::new();
    for index in 0..listing.images.len() {
        let name = &listing.images[index].name;
        match labels.of(name) {
            Some(synset) => {
                let group = listing.group(synset);
                listing.images[index].group = group;
            }
            None => missing.push(name.clone()),
        }
    }
    if missing.is_empty() {
        return Ok(());
    }
    let names: Vec<&str> = missing.iter().map(String::as_str).collect();
    Err(Exit::Data.error(format!(
        "{} does not tell the class of {} of {} ({}); {}",
        labels.source.display(),
        missing.len(),
        counted(listing.images.len(), "image"),
        first(&names),
        labels::REMEDY
    )))
}

/// Finds the parts of the data at `named`, of which at least one is there.
///
/// # Errors
/// [`Exit::Data`] if neither is, with what is missing.
pub(super) fn locate(named: &Path) -> Result<Layout> {
    let metadata = fs::metadata(named).map_err(|error| {
        Exit::Data.error(format!(
            "cannot open {}: {error}; {REMEDY}",
            named.display()
        ))
    })?;
    if !metadata.is_dir() {
        return archive(named);
    }
    let own = at(named, named)?;
    if own.train.is_some() && own.test.is_some() {
        return Ok(own);
    }
    for inner in INNER {
        let root = named.join(inner);
        if root.is_dir() {
            let found = at(named, &root)?;
            if found.train.is_some() || found.test.is_some() {
                return Ok(found);
            }
        }
    }
    if own.train.is_some() || own.test.is_some() {
        return Ok(own);
    }
    let mut nested = Vec::new();
    let inside = entries(named)?;
    for (_, path) in &inside {
        if path.is_dir() {
            let found = at(named, path)?;
            if found.train.is_some() && found.test.is_some() {
                nested.push(found);
            }
        }
    }
    if nested.len() > 1 {
        return Err(Exit::Data.error(format!(
            "{} holds several data sets: name one of them with --data-dir, such as {}",
            named.display(),
            nested[0].root.display()
        )));
    }
    if let Some(found) = nested.pop() {
        return Ok(found);
    }
    let classes = inside
        .iter()
        .filter(|(name, path)| is_synset(name) && path.is_dir())
        .count();
    Err(Exit::Data.error(if classes > 0 {
        format!(
            "{} holds {} but no `train` and `val`: name the folder around it with --data-dir",
            named.display(),
            counted(classes, "class folder")
        )
    } else {
        format!(
            "no images in a known layout in {}: {REMEDY}",
            named.display()
        )
    }))
}

/// A file that was named instead of a folder.
fn archive(named: &Path) -> Result<Layout> {
    let root = named.parent().unwrap_or(named).to_owned();
    let name = named.file_name().and_then(|name| name.to_str());
    let name = name.unwrap_or_default();
    if name == TRAIN_TAR || name == TEST_TAR {
        return at(&root, &root);
    }
    if name.ends_with(".tar") {
        let tree = |parts| Some(Place::Tree(vec![named.to_owned()], parts));
        return Ok(Layout {
            named: named.to_owned(),
            root,
            train: tree(TRAIN),
            test: tree(TEST),
        });
    }
    let what = if [".tgz", ".gz", ".zip"]
        .iter()
        .any(|end| name.ends_with(end))
    {
        "is compressed, so images in it cannot be read in place: unpack it, or"
    } else {
        "is neither a folder nor a .tar:"
    };
    Err(Exit::Data.error(format!("{} {what} {REMEDY}", named.display())))
}

/// The parts that lie directly in `root`.
fn at(named: &Path, root: &Path) -> Result<Layout> {
    let inside = entries(root)?;
    if inside.iter().any(|(name, _)| name == PACKED) {
        super::pack::check_complete(&root.join(PACKED), &inside)?;
    }
    Ok(Layout {
        named: named.to_owned(),
        root: root.to_owned(),
        train: part(&inside, TRAIN, TRAIN_TAR)?,
        test: part(&inside, TEST, TEST_TAR)?,
    })
}

/// One part among the entries of a folder: a folder first, then archives, then Parquet files.
fn part(
    inside: &[(String, PathBuf)],
    names: &'static [&'static str],
    official: &str,
) -> Result<Option<Place>> {
    for (_, path) in inside
        .iter()
        .filter(|(name, _)| names.contains(&name.as_str()))
    {
        if path.is_dir()
            && let Some(place) = folder(path)?
        {
            return Ok(Some(place));
        }
    }
    if let Some((_, path)) = inside.iter().find(|(name, _)| name == official) {
        return Ok(Some(if names == TRAIN {
            Place::Nested(path.clone())
        } else {
            Place::FlatTar(path.clone())
        }));
    }
    let ending = |ending: &str| -> Vec<PathBuf> {
        let own = inside.iter().filter(|(name, path)| {
            let rest = names.iter().find_map(|part| {
                name.strip_suffix(ending)?
                    .strip_prefix(part)?
                    .strip_prefix('-')
            });
            rest.is_some_and(|rest| rest.starts_with(|letter: char| letter.is_ascii_digit()))
                && path.is_file()
        });
        own.map(|(_, path)| path.clone()).collect()
    };
    let archives = ending(".tar");
    if !archives.is_empty() {
        return Ok(Some(Place::Tree(archives, names)));
    }
    let shards = ending(".parquet");
    Ok((!shards.is_empty()).then_some(Place::Shards(shards)))
}

/// What a folder `train` or `val` holds.
fn folder(path: &Path) -> Result<Option<Place>> {
    let (mut flat, mut folders, mut tars) = (false, false, Vec::new());
    for (name, inner) in entries(path)? {
        if name.starts_with('.') {
            continue;
        }
        // A folder may be named like an image.
        if is_image(&name) && (flat || !inner.is_dir()) {
            flat = true;
        } else if name.ends_with(".tar") {
            tars.push(inner);
        } else if inner.is_dir() {
            if is_synset(&name) {
                return Ok(Some(Place::Classes(path.to_owned())));
            }
            folders = true;
        }
    }
    Ok(if !tars.is_empty() {
        Some(Place::ClassTars(tars))
    } else if flat {
        // Beside images, other folders are no classes.
        Some(Place::Flat(path.to_owned()))
    } else {
        folders.then(|| Place::Classes(path.to_owned()))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_are_found_where_users_have_them() {
        let folder = tempfile::tempdir().unwrap();
        let touch = |path: &str| {
            let path = folder.path().join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, "x").unwrap();
        };
        let locate = |path: &str| locate(&folder.path().join(path)).unwrap();
        touch("folders/imagenette2-160/train/n01440764/a.JPEG");
        touch("folders/imagenette2-160/val/n01440764/b.JPEG");
        let found = locate("folders");
        assert!(found.root.ends_with("imagenette2-160"));
        assert!(matches!(found.test, Some(Place::Classes(_))));
        touch("kaggle/ILSVRC/Data/CLS-LOC/train/n01440764/a.JPEG");
        touch("kaggle/ILSVRC/Data/CLS-LOC/val/ILSVRC2012_val_00000001.JPEG");
        touch("kaggle/LOC_val_solution.csv");
        let found = locate("kaggle");
        let Some(Place::Flat(images)) = &found.test else {
            panic!("{found:?}");
        };
        let beside = found.beside(images);
        assert!(beside.contains(&folder.path().join("kaggle")));
        assert!(!beside.contains(&folder.path().to_owned()), "{beside:?}");
        touch("official/ILSVRC2012_img_train.tar");
        touch("official/ILSVRC2012_img_val.tar");
        let found = locate("official");
        assert!(matches!(found.train, Some(Place::Nested(_))));
        assert!(matches!(found.test, Some(Place::FlatTar(_))));
        assert_eq!(locate("official/ILSVRC2012_img_val.tar").test, found.test);
        touch("hub/data/train-00000-of-00294.parquet");
        touch("hub/data/validation-00000-of-00014.parquet");
        touch("hub/data/test-00000-of-00028.parquet");
        let found = locate("hub");
        assert!(matches!(&found.test, Some(Place::Shards(files)) if files.len() == 1));
    }

    #[test]
    fn what_is_missing_is_said() {
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir(folder.path().join("n01440764")).unwrap();
        fs::write(folder.path().join("imagenette2.tgz"), "").unwrap();
        for (name, part) in [
            ("", "folder around it"),
            ("n01440764", "no images"),
            ("absent", "cannot open"),
            ("imagenette2.tgz", "compressed"),
        ] {
            let error = locate(&folder.path().join(name)).unwrap_err();
            assert_eq!(Exit::of(&error), Exit::Data);
            assert!(error.to_string().contains(part), "{name}: {error}");
        }
    }
}
