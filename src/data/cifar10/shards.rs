//! CIFAR-10 as Hugging Face has it (`uoft-cs/cifar10`): Parquet files of training and test images, each image a PNG.

use std::io::Cursor;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use png::{BitDepth, ColorType, Decoder, Limits};

use super::layout::{self, BATCH_BYTES, RECORDS_PER_BATCH, REMEDY, TRAINING_FILES, Take, Tick};
use super::records::RECORD_BYTES;
use crate::console::one_line;
use crate::counted::counted;
use crate::exit::Exit;
use crate::record::foreign::ForeignImages;

/// The most bytes that the rows of a row group may take: twice those of all of CIFAR-10's PNGs, stored and decompressed.
const MOST_BYTES: usize = 768 << 20;
/// The most bytes that decoding a PNG of 32x32 may take.
const MOST_PNG: usize = 1 << 20;
/// Images decoded between two ticks.
const IMAGES_PER_TICK: usize = 256;
const PLANE: usize = 32 * 32;

/// The files of the training images and of the test images.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Shards {
    folder: PathBuf,
    sets: [Vec<PathBuf>; 2],
}

/// The words with which the names of the files begin.
pub(super) const SETS: [&str; 2] = ["train", "test"];

impl Shards {
    /// The Parquet files in a folder, if there are any of these names.
    pub fn find(folder: &Path) -> Option<Self> {
        let mut sets = [Vec::new(), Vec::new()];
        for entry in std::fs::read_dir(folder).ok()?.flatten() {
            let name = entry.file_name();
            let name = name.to_string_lossy();
            let set = SETS.iter().position(|set| name.starts_with(set));
            if let Some(set) = set.filter(|_| name.ends_with(".parquet")) {
                sets[set].push(entry.path());
            }
        }
        for files in &mut sets {
            files.sort();
        }
        let shards = Self {
            folder: folder.to_path_buf(),
            sets,
        };
        shards
            .sets
            .iter()
            .any(|set| !set.is_empty())
            .then_some(shards)
    }

    /// These two files.
    pub fn of(train: &Path, test: &Path) -> Self {
        Self {
            folder: train.parent().unwrap_or(train).to_path_buf(),
            sets: [vec![train.to_path_buf()], vec![test.to_path_buf()]],
        }
    }

    /// All files.
    pub fn files(&self) -> impl Iterator<Item = &PathBuf> {
        self.sets.iter().flatten()
    }

    /// Hands each of the six batches to `take`, validated.
    pub fn read(&self, tick: &mut Tick, take: &mut Take) -> Result<()> {
        // Report missing files before anything wrong with the others.
        for (files, name) in self.sets.iter().zip(SETS) {
            if files.is_empty() {
                return Err(Exit::Data.error(format!(
                    "{} lacks CIFAR-10's {name}-*.parquet: {REMEDY}",
                    self.folder.display()
                )));
            }
        }
        let batches = [
            0..TRAINING_FILES.len(),
            TRAINING_FILES.len()..TRAINING_FILES.len() + 1,
        ];
        for (files, batches) in self.sets.iter().zip(batches) {
            let mut wanted = batches.len() * RECORDS_PER_BATCH;
            let mut opened = Vec::new();
            for path in files {
                let images = ForeignImages::open(path).map_err(|fault| damaged(path, &fault))?;
                opened.push((path, images));
            }
            let rows: usize = opened.iter().map(|(_, images)| images.rows()).sum();
            if rows != wanted {
                return Err(Exit::Data.error(format!(
                    "{} holds {} instead of {wanted}: {REMEDY}",
                    shown(files),
                    counted(rows, "image")
                )));
            }
            let mut number = batches.start;
            let mut batch = Vec::with_capacity(BATCH_BYTES);
            for (path, images) in opened {
                for group in 0..images.groups() {
                    let rows = images.read(group, MOST_BYTES);
                    for row in rows.map_err(|fault| damaged(path, &fault))? {
                        if wanted.is_multiple_of(IMAGES_PER_TICK) {
                            tick((number * BATCH_BYTES + batch.len()) as u64)?;
                        }
                        wanted -= 1;
                        append(&row.bytes, row.label, &mut batch)
                            .with_context(|| format!("image {} of it", batch.len() / RECORD_BYTES))
                            .map_err(|fault| damaged(path, &fault))?;
                        if batch.len() == BATCH_BYTES {
                            layout::check_labels(&path.display().to_string(), &batch)?;
                            take(number, &batch)?;
                            (number, batch) = (number + 1, Vec::with_capacity(BATCH_BYTES));
                        }
                    }
                }
            }
        }
        tick(layout::ALL_BYTES as u64)
    }
}

fn shown(files: &[PathBuf]) -> String {
    let files: Vec<String> = files
        .iter()
        .map(|path| path.display().to_string())
        .collect();
    files.join(", ")
}

fn damaged(path: &Path, fault: &anyhow::Error) -> anyhow::Error {
    Exit::Data.error(format!(
        "{} is not a Parquet file of CIFAR-10, or damaged: {}; {REMEDY}",
        path.display(),
        one_line(&format!("{fault:#}"))
    ))
}

/// Appends an image as a record: its label, then its three planes.
fn append(png: &[u8], label: i64, records: &mut Vec<u8>) -> Result<()> {
    let label = u8::try_from(label).context("its label is not from 0 to 9")?;
    let pixels = decode(png)?;
    records.push(label);
    for channel in 0..3 {
        records.extend(pixels.iter().skip(channel).step_by(3));
    }
    Ok(())
}

/// The pixels of a PNG of 32x32 pixels in red, green and blue with eight bits each.
fn decode(png: &[u8]) -> Result<[u8; 3 * PLANE]> {
    let mut decoder = Decoder::new_with_limits(Cursor::new(png), Limits { bytes: MOST_PNG });
    let header = decoder.read_header_info()?;
    let found = (header.width, header.height);
    let kind = (header.color_type, header.bit_depth);
    if found != (32, 32) || kind != (ColorType::Rgb, BitDepth::Eight) {
        bail!(
            "its PNG has {} x {} pixels of {:?} with {} bits, not 32 x 32 of Rgb with 8",
            found.0,
            found.1,
            kind.0,
            kind.1 as u8
        );
    }
    let mut pixels = [0; 3 * PLANE];
    decoder.read_info()?.next_frame(&mut pixels)?;
    Ok(pixels)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn png(side: u32, kind: ColorType, depth: BitDepth, data: &[u8]) -> Vec<u8> {
        let mut bytes = Vec::new();
        let mut encoder = png::Encoder::new(&mut bytes, side, side);
        encoder.set_color(kind);
        encoder.set_depth(depth);
        let mut writer = encoder.write_header().unwrap();
        writer.write_image_data(data).unwrap();
        writer.finish().unwrap();
        bytes
    }

    fn pixels() -> Vec<u8> {
        (0..3 * PLANE).map(|at| (at * 7 % 256) as u8).collect()
    }

    #[test]
    fn a_png_becomes_a_label_and_three_planes() {
        let pixels = pixels();
        let mut record = Vec::new();
        let image = png(32, ColorType::Rgb, BitDepth::Eight, &pixels);
        append(&image, 6, &mut record).unwrap();
        assert_eq!((record.len(), record[0]), (RECORD_BYTES, 6));
        for (place, pixel) in pixels.chunks_exact(3).enumerate() {
            let planes = [0, 1, 2].map(|channel| record[1 + channel * PLANE + place]);
            assert_eq!(planes[..], *pixel);
        }
        assert!(append(&image, 256, &mut record).is_err());
        assert!(append(&image, -1, &mut record).is_err());
    }

    #[test]
    fn other_pngs_are_refused_by_their_header() {
        for (side, kind, depth, bytes) in [
            (31, ColorType::Rgb, BitDepth::Eight, 31 * 31 * 3),
            (32, ColorType::Rgba, BitDepth::Eight, PLANE * 4),
            (32, ColorType::Grayscale, BitDepth::Eight, PLANE),
            (32, ColorType::Rgb, BitDepth::Sixteen, PLANE * 6),
        ] {
            let image = png(side, kind, depth, &vec![9; bytes]);
            let error = decode(&image).unwrap_err().to_string();
            assert!(error.contains("not 32 x 32 of Rgb with 8"), "{error}");
        }
        assert!(decode(b"no image").is_err());
    }

    #[test]
    fn no_damaged_png_does_worse_than_an_error() {
        use crate::random::{Purpose, Stream};
        let whole = png(32, ColorType::Rgb, BitDepth::Eight, &pixels());
        let mut stream = Stream::new(1, Purpose::Synthetic, 0, 0);
        for _ in 0..5000 {
            let mut image = whole.clone();
            for _ in 0..=stream.below(3) {
                let place = stream.below(image.len() as u64) as usize;
                image[place] = stream.below(256) as u8;
            }
            if stream.below(4) == 0 {
                image.truncate(stream.below(image.len() as u64) as usize);
            }
            // A change of what does not count, such as a chunk's name, may pass.
            let _ = decode(&image);
        }
        for cut in 0..whole.len() / 2 {
            assert!(decode(&whole[..cut]).is_err(), "{cut} bytes");
        }
    }
}
