//! Sources that are wrong, slow or not there, and what is said of them.

use std::net::TcpListener;
use std::path::Path;
use std::time::Duration;

use refig::data::{Archive, DownloadError, Pace, Progress, Request, download, open};
use refig::exit::Exit;

use super::fetched::{content, fetch, md5, names, refused, unreachable};
use super::server::{Answer, Server};

#[test]
fn a_wrong_digest_is_refused_and_nothing_stays() {
    let (content, folder) = (content(), tempfile::tempdir().unwrap());
    let mut other = content.clone();
    other[500_000] ^= 1;
    let server = Server::start(other.clone(), vec![Answer::Serve]);
    let error = refused(fetch(&server.sources(), &content, folder.path()));
    let text = error.to_string();
    assert!(
        text.contains(&md5(&other)) && text.contains(&md5(&content)),
        "{text}"
    );
    assert_eq!(Exit::of(&error), Exit::Data);
    assert!(names(folder.path()).is_empty());
}

#[test]
fn a_file_of_another_size_is_refused_before_it_is_fetched() {
    let (content, folder) = (content(), tempfile::tempdir().unwrap());
    let server = Server::start(content[..1000].to_vec(), vec![Answer::Serve]);
    let text = refused(fetch(&server.sources(), &content, folder.path())).to_string();
    assert!(
        text.contains("holds 1000 bytes instead of 1000003"),
        "{text}"
    );
    assert!(names(folder.path()).is_empty());
}

#[test]
fn the_next_source_is_tried() {
    let (content, folder) = (content(), tempfile::tempdir().unwrap());
    let gone = Server::start(content.clone(), vec![Answer::Status(404)]);
    let wrong = Server::start(vec![1; 50], vec![Answer::Serve]);
    let right = Server::start(content.clone(), vec![Answer::Serve]);
    let sources = [gone.sources(), wrong.sources(), right.sources()].concat();
    fetch(&sources, &content, folder.path()).unwrap();
    assert_eq!(
        std::fs::read(folder.path().join("archive")).unwrap(),
        content
    );
    let told = unreachable(fetch(&gone.sources(), &content, &folder.path().join("..")));
    assert!(told.contains("status 404"), "{told}");
}

#[test]
fn a_mirror_without_tls_may_lead_to_another() {
    let (content, folder) = (content(), tempfile::tempdir().unwrap());
    let right = Server::start(content.clone(), vec![Answer::Serve]);
    let first = Server::start(Vec::new(), vec![Answer::Redirect(right.port())]);
    fetch(&first.sources(), &content, folder.path()).unwrap();
    assert_eq!((first.ranges().len(), right.ranges().len()), (1, 1));
}

#[test]
fn no_network_is_told_quickly() {
    let folder = tempfile::tempdir().unwrap();
    // A port that nobody listens on.
    let port = TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap()
        .port();
    let start = std::time::Instant::now();
    let source = format!("http://127.0.0.1:{port}/archive");
    let error = unreachable(fetch(std::slice::from_ref(&source), b"x", folder.path()));
    assert!(
        error.contains(&source) && error.contains("--data-dir"),
        "{error}"
    );
    assert!(start.elapsed().as_secs() < 10);
}

#[test]
fn no_message_tells_a_password() {
    let (content, folder) = (content(), tempfile::tempdir().unwrap());
    for answer in [Answer::Status(404), Answer::Cut(0), Answer::Serve] {
        let server = Server::start(content[..1000].to_vec(), vec![answer]);
        let address = server.address.replace("http://", "http://user:hunter2@") + "?token=hunter2";
        let error = match fetch(&[address], &content, folder.path()) {
            Err(DownloadError::Unreachable(error) | DownloadError::Refused(error)) => error,
            Ok(()) => panic!("a file of another size was taken"),
        };
        let text = format!("{error:#}");
        assert!(
            text.contains("http://127.0.0.1") && !text.contains("hunter2"),
            "{text}"
        );
    }
    let request = Request {
        dir: None,
        cache: folder.path().join("cache"),
        mirrors: vec!["ftp://user:hunter2@host/archive".into()],
        pace: Pace::default(),
        allow_download: true,
        allow_synthetic: true,
        synthetic_seed: 0,
        require_official: false,
    };
    let error = open(&request, &mut |_| Ok(())).unwrap_err();
    assert_eq!(Exit::of(&error), Exit::Usage);
    let text = format!("{error:#}");
    assert!(
        text.contains("ftp://host/archive") && !text.contains("hunter2"),
        "{text}"
    );
}

/// Downloads with a window that passes at once, and gives the notes.
fn hurry(sources: &[String], content: &[u8], folder: &Path) -> Vec<String> {
    let md5 = md5(content);
    let expected = Archive {
        bytes: content.len() as u64,
        md5: &md5,
    };
    let pace = Pace {
        bytes_per_second: 50_000_000,
        window: Duration::from_millis(30),
    };
    let mut notes = Vec::new();
    let target = folder.join("archive");
    download(sources, &expected, &target, pace, &mut |progress| {
        if let Progress::Note(note) = progress {
            notes.push(note);
        }
        Ok(())
    })
    .unwrap();
    assert_eq!(std::fs::read(target).unwrap(), content);
    notes
}

#[test]
fn a_slow_source_gives_way_to_the_next_which_goes_on_with_its_part() {
    let (content, folder) = (content(), tempfile::tempdir().unwrap());
    let slow = Server::start(content.clone(), vec![Answer::Stall]);
    let fast = Server::start(content.clone(), vec![Answer::Serve]);
    let sources = [slow.sources(), fast.sources()].concat();
    let notes = hurry(&sources, &content, folder.path());
    assert_eq!(notes.len(), 1, "{notes:?}");
    let (who, next) = (&slow.address, &fast.address);
    assert!(
        notes[0].starts_with(&format!("{who} delivers ")),
        "{notes:?}"
    );
    assert!(
        notes[0].ends_with(&format!(
            " kB/s, less than 50000 kB/s (see --min-rate); trying {next}"
        )),
        "{notes:?}"
    );
    assert!(fast.ranges()[0] >= Some(1), "{:?}", fast.ranges());
}

#[test]
fn a_slow_source_goes_on_if_no_other_has_the_file() {
    let (content, folder) = (content(), tempfile::tempdir().unwrap());
    let slow = Server::start(content.clone(), vec![Answer::Stall, Answer::Serve]);
    let gone = Server::start(content.clone(), vec![Answer::Status(404)]);
    let sources = [slow.sources(), gone.sources()].concat();
    let notes = hurry(&sources, &content, folder.path());
    assert_eq!(notes.len(), 2, "{notes:?}");
    assert_eq!(
        notes[1],
        format!("going on with {}, the fastest", slow.address)
    );
    assert_eq!(slow.ranges().len(), 2);
}

#[test]
fn the_only_source_may_be_slow() {
    let (content, folder) = (content()[..1010].to_vec(), tempfile::tempdir().unwrap());
    let slow = Server::start(content.clone(), vec![Answer::Stall]);
    assert!(hurry(&slow.sources(), &content, folder.path()).is_empty());
}

#[test]
fn without_a_download_the_synthetic_set_stands_in_only_where_allowed() {
    let cache = tempfile::tempdir().unwrap();
    let mut request = Request {
        dir: None,
        cache: cache.path().to_path_buf(),
        mirrors: Vec::new(),
        pace: Pace::default(),
        allow_download: false,
        allow_synthetic: false,
        synthetic_seed: 0,
        require_official: false,
    };
    let error = open(&request, &mut |_| Ok(())).unwrap_err();
    assert_eq!(Exit::of(&error), Exit::Data);
    assert!(error.to_string().contains("--data-dir"), "{error}");

    request.allow_synthetic = true;
    let mut notes = String::new();
    let data = open(&request, &mut |progress| {
        if let Progress::Note(note) = progress {
            notes += &note;
        }
        Ok(())
    })
    .unwrap();
    assert_eq!(data.origin.name(), "SYNTHETIC images");
    assert!(
        notes.contains("SYNTHETIC") && notes.contains("downloading is turned off"),
        "{notes}"
    );

    assert_eq!(data.description(), "SYNTHETIC images from seed 0");
    request.require_official = true;
    let error = open(&request, &mut |_| Ok(())).unwrap_err();
    assert_eq!(Exit::of(&error), Exit::Data);
    request.require_official = false;

    // A named place is never replaced.
    request.dir = Some(cache.path().join("nowhere"));
    let error = open(&request, &mut |_| Ok(())).unwrap_err();
    assert!(error.to_string().contains("no data at"), "{error}");
}
