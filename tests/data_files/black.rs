//! Six batches of black images, and the error of a place.

use std::fs::File;
use std::path::Path;

use refig::data::{BATCH_BYTES, TEST_FILE, TRAINING_FILES, load};
use refig::exit::Exit;

/// Six batches of black images of class 0. They take no room on most file systems.
pub fn black(folder: &Path) {
    for name in TRAINING_FILES.into_iter().chain([TEST_FILE]) {
        File::create(folder.join(name))
            .unwrap()
            .set_len(BATCH_BYTES as u64)
            .unwrap();
    }
}

pub fn error(path: &Path) -> String {
    let error = load(path).unwrap_err();
    assert_eq!(Exit::of(&error), Exit::Data);
    format!("{error:#}")
}

/// A `.tar.gz` of black batches with these names and sizes.
pub fn archive(path: &Path, entries: &[(&str, usize)]) {
    let gzip =
        flate2::write::GzEncoder::new(File::create(path).unwrap(), flate2::Compression::fast());
    let mut tar = tar::Builder::new(gzip);
    for (name, bytes) in entries {
        let mut header = tar::Header::new_ustar();
        header.set_size(*bytes as u64);
        header.set_mode(0o644);
        header.set_cksum();
        let name = format!("cifar-10-batches-bin/{name}");
        tar.append_data(&mut header, name, vec![0u8; *bytes].as_slice())
            .unwrap();
    }
    tar.into_inner().unwrap().finish().unwrap();
}

/// Six black batches as an archive.
pub fn black_archive(path: &Path) {
    let names = TRAINING_FILES.into_iter().chain([TEST_FILE]);
    let entries: Vec<(&str, usize)> = names.map(|name| (name, BATCH_BYTES)).collect();
    archive(path, &entries);
}
