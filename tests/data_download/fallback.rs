//! CIFAR-10 from the next place where the first one, with Parquet files, does not deliver it.

use std::path::PathBuf;
use std::time::Duration;

use refig::data::{
    Dataset, DownloadError, FOLDER, OFFICIAL_ARCHIVE, PARQUET_URL, Pace, Progress, fetch,
};
use refig::exit::Exit;

use super::fetched::names;
use super::server::{Answer, Server};

/// The official archive, if `CIFAR10_DIR` names it or the folder that it is in.
fn official() -> Option<Vec<u8>> {
    let named = PathBuf::from(std::env::var_os("CIFAR10_DIR")?);
    let inside = named.join("cifar-10-binary.tar.gz");
    let is_archive = |path: &PathBuf| {
        std::fs::metadata(path)
            .is_ok_and(|about| about.is_file() && about.len() == OFFICIAL_ARCHIVE.bytes)
    };
    let path = [named, inside].into_iter().find(is_archive)?;
    Some(std::fs::read(path).unwrap())
}

/// What a fetch came to, its notes, and what lies in the cache afterwards.
struct Fetched {
    result: Result<Dataset, DownloadError>,
    notes: Vec<String>,
    left: Vec<String>,
}

/// Fetches CIFAR-10 from `parquet`, and from `archive` if that fails. Stops before a third place, which is on the network.
fn fetched(parquet: &str, archive: &Server) -> Fetched {
    let cache = tempfile::tempdir().unwrap();
    let mirrors = [parquet.to_owned(), archive.address.clone()];
    // What stalls sends 1000 bytes, and then one from time to time.
    let pace = Pace {
        bytes_per_second: 200_000,
        window: Duration::from_millis(200),
    };
    let mut notes = Vec::new();
    let result = fetch(None, cache.path(), &mirrors, pace, &mut |progress| {
        if let Progress::Note(note) = progress {
            let ends = note.ends_with(&format!("; trying {PARQUET_URL}"));
            notes.push(note);
            if ends {
                return Err(Exit::Interrupted.error("no third place"));
            }
        }
        Ok(())
    });
    let mut left = names(cache.path());
    left.sort();
    Fetched {
        result,
        notes,
        left,
    }
}

#[test]
fn behind_parquet_files_that_are_gone_wrong_or_slow_comes_the_archive() {
    for (answer, why, kept) in [
        (Answer::Status(404), None, None),
        (
            Answer::Serve,
            Some((" delivers something else (", ")")),
            None,
        ),
        (
            Answer::Stall,
            Some((
                "train-00000-of-00001.parquet delivers ",
                " kB/s, less than 200 kB/s (see --min-rate)",
            )),
            Some("cifar-10-train.parquet.part"),
        ),
    ] {
        let parquet = Server::start(vec![7; 5000], vec![answer]);
        let folder = format!("http://127.0.0.1:{}/plain_text/", parquet.port());
        let official = official();
        let content = official.clone().unwrap_or_else(|| vec![7; 1000]);
        let archive = Server::start(content, vec![Answer::Serve]);
        let fetched = fetched(&folder, &archive);

        let mut notes = fetched.notes.into_iter();
        let open = "has no TLS; what it delivers is taken only if its digest is that of CIFAR-10";
        assert_eq!(notes.next(), Some(format!("{folder} {open}")));
        if let Some((begins, ends)) = why {
            let note = notes.next().unwrap();
            let begins = format!("{folder}{begins}");
            let ends = format!("{ends}; trying {}", archive.address);
            assert!(note.starts_with(&begins) && note.ends_with(&ends), "{note}");
        }
        assert_eq!(notes.next(), Some(format!("{} {open}", archive.address)));
        assert_eq!(archive.ranges().len(), 1);
        match (official, fetched.result) {
            (Some(_), Ok(dataset)) => {
                assert_eq!(dataset.doubt(), None);
                assert_eq!(fetched.left, [FOLDER, "cifar10.lock"]);
            }
            (None, Err(DownloadError::Refused(error))) => {
                assert_eq!(Exit::of(&error), Exit::Interrupted);
                let wrong = "holds 1000 bytes instead of 170052171; trying";
                let wrong = format!("{} {wrong} {PARQUET_URL}", archive.address);
                assert_eq!(notes.next(), Some(wrong));
                // What has come waits for the next time.
                let left: Vec<&str> = kept.into_iter().chain(["cifar10.lock"]).collect();
                assert_eq!(fetched.left, left);
            }
            (_, result) => panic!("{:?}", result.map(drop)),
        }
        assert_eq!(notes.next(), None);
    }
}
