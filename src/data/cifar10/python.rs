//! A batch of CIFAR-10's Python version: a pickled dictionary with the pixels as a numpy array `data` and a list `labels`.

use anyhow::{Result, bail};

use super::pickle::{Pickle, Value};
use super::records::RECORD_BYTES;

const PIXELS: usize = RECORD_BYTES - 1;

/// The records of a pickled batch, as in the binary version.
///
/// # Errors
/// Without an exit code, if the pickle is damaged or holds something else.
pub(super) fn records(pickled: &[u8]) -> Result<Vec<u8>> {
    let pickle = Pickle::read(pickled)?;
    let labels = pickle.list("labels")?;
    let data = pickle.array("data")?;
    let images = labels.len();
    let is_rows = match data.shape[..] {
        [rows, PIXELS] => rows == images,
        // Images that keep their sides.
        [rows, 3, 32, 32] => rows == images && !data.fortran,
        _ => false,
    };
    if !is_rows {
        bail!(
            "`data` has the shape {:?} instead of [{images}, {PIXELS}]",
            data.shape
        );
    }
    let mut records = Vec::with_capacity(images * RECORD_BYTES);
    for (image, label) in labels.iter().enumerate() {
        match label {
            Value::Int(label @ 0..=255) => records.push(*label as u8),
            _ => bail!("the label of image {image} is no number from 0 to 255"),
        }
        if data.fortran {
            records.extend(data.bytes.iter().skip(image).step_by(images));
        } else {
            records.extend_from_slice(&data.bytes[image * PIXELS..][..PIXELS]);
        }
    }
    Ok(records)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Two images with the labels 7 and 1, as cPickle of Python 2 writes a batch.
    fn pickled(fortran: bool) -> Vec<u8> {
        let pixels: Vec<u8> = (0..2 * PIXELS).map(|at| (at % 251) as u8).collect();
        let mut bytes = b"\x80\x02}q\x01(U\x06labelsq\x02]q\x03(K\x07K\x01eU\x04dataq\x04".to_vec();
        bytes.extend_from_slice(
            b"cnumpy.core.multiarray\n_reconstruct\nq\x05cnumpy\nndarray\nq\x06K\x00\x85q\x07U\x01bq\x08\x87q\x09R",
        );
        bytes.extend_from_slice(b"(K\x01K\x02M\x00\x0c\x86cnumpy\ndtype\nU\x02u1K\x00K\x01\x87R");
        bytes.extend_from_slice(b"(K\x03U\x01|NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\x00tb");
        bytes.push(if fortran { 0x88 } else { 0x89 });
        bytes.push(b'T');
        bytes.extend_from_slice(&(pixels.len() as u32).to_le_bytes());
        bytes.extend_from_slice(&pixels);
        bytes.extend_from_slice(b"tbu.");
        bytes
    }

    #[test]
    fn rows_and_labels_become_records() {
        let found = records(&pickled(false)).unwrap();
        assert_eq!(found.len(), 2 * RECORD_BYTES);
        assert_eq!((found[0], found[RECORD_BYTES]), (7, 1));
        assert_eq!(found[1..4], [0, 1, 2]);
        assert_eq!(found[RECORD_BYTES + 1], (PIXELS % 251) as u8);
        let columns = records(&pickled(true)).unwrap();
        assert_eq!(columns[1..4], [0, 2, 4], "the first index changes fastest");
        assert_eq!(columns[RECORD_BYTES + 1..RECORD_BYTES + 4], [1, 3, 5]);
    }

    #[test]
    fn what_would_be_executed_is_named_and_refused() {
        let error = records(b"\x80\x02cos\nsystem\n(U\x02lstR.").unwrap_err();
        let text = error.to_string();
        assert!(
            text.contains("`system` of `os`") && text.contains("nothing was executed"),
            "{text}"
        );
    }

    #[test]
    fn other_pickles_have_their_errors() {
        let whole = pickled(false);
        let cases: [(&[u8], &[u8], &str); 6] = [
            (b"U\x06labels", b"U\x06lapels", "no `labels`"),
            (b"U\x02u1", b"U\x02f4", "array of `f4`"),
            (b"K\x07K\x01e", b"K\x07NNe", "instead of [3, 3072]"),
            (b"M\x00\x0c\x86", b"M\x01\x0c\x86", "bytes instead of 6146"),
            (b"K\x07K\x01e", b"K\x07Nee", "appends to what is no list"),
            (b"K\x07K\x01e", b"K\x07N0e", "instruction 0x30"),
        ];
        for (from, to, expected) in cases {
            let at = whole
                .windows(from.len())
                .position(|window| window == from)
                .unwrap();
            let mut changed = whole.clone();
            changed.splice(at..at + from.len(), to.iter().copied());
            let error = format!("{:#}", records(&changed).unwrap_err());
            assert!(error.contains(expected), "{error} instead of {expected}");
        }
        for cut in 0..whole.len().min(300) {
            records(&whole[..cut]).unwrap_err();
        }
        records(&whole[..whole.len() - 1]).unwrap_err();
    }

    #[test]
    fn no_damaged_pickle_does_worse_than_an_error() {
        use crate::random::{Purpose, Stream};
        let whole = pickled(false);
        let mut stream = Stream::new(4, Purpose::Synthetic, 0, 0);
        // The instructions are before and after the pixels.
        let places: Vec<usize> = (0..250).chain(whole.len() - 3..whole.len()).collect();
        for _ in 0..20_000 {
            let mut changed = whole.clone();
            for _ in 0..=stream.below(3) {
                let place = places[stream.below(places.len() as u64) as usize];
                changed[place] = match stream.below(3) {
                    // Instructions that there are, at the wrong place.
                    0 => changed[stream.below(250) as usize],
                    1 => 0xff,
                    _ => stream.below(256) as u8,
                };
            }
            // A change of what is not looked at, such as a version, may pass.
            let _ = records(&changed);
        }
    }

    #[test]
    fn a_pickle_cannot_ask_for_more_memory_than_it_has_bytes() {
        for bytes in [
            &b"\x80\x02T\xff\xff\xff\x7f"[..],
            b"\x80\x04\x8e\xff\xff\xff\xff\xff\xff\xff\x7f",
            b"\x80\x04\x96\xff\xff\xff\xff\xff\xff\xff\xff",
            b"\x80\x02]r\xff\xff\xff\xffj\xff\xff\xff\xff.",
        ] {
            assert!(records(bytes).is_err());
        }
        // Lists without end.
        let lists = vec![b']'; 2 << 20];
        let error = records(&lists).unwrap_err().to_string();
        assert!(error.contains("instructions"), "{error}");
    }
}
