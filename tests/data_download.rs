//! The download of an archive against a server on this machine: resumed, checked, and never half there.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use md5::{Digest, Md5};
use refig::data::{Archive, DownloadError, Pace, Progress, Request, download, open};
use refig::exit::Exit;

/// What the server does with one request.
#[derive(Clone, Copy)]
enum Answer {
    /// The file, or the range of it that is asked for.
    Serve,
    /// As many bytes as given, then the connection is cut.
    Cut(usize),
    /// The whole file, whatever range is asked for.
    IgnoreRange,
    /// A little of the file, then a byte every 10 ms.
    Stall,
    Status(u16),
}

/// Serves `content` on a port of its own, one answer a request, the last one for ever. Logs the ranges asked for.
struct Server {
    address: String,
    ranges: Arc<Mutex<Vec<Option<usize>>>>,
}

impl Server {
    fn start(content: Vec<u8>, answers: Vec<Answer>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = format!("http://{}/archive.tar.gz", listener.local_addr().unwrap());
        let ranges = Arc::new(Mutex::new(Vec::new()));
        let log = Arc::clone(&ranges);
        std::thread::spawn(move || {
            for (count, stream) in listener.incoming().enumerate() {
                let answer = answers[count.min(answers.len() - 1)];
                serve(stream.unwrap(), &content, answer, &log);
            }
        });
        Self { address, ranges }
    }

    fn sources(&self) -> Vec<String> {
        vec![self.address.clone()]
    }

    fn ranges(&self) -> Vec<Option<usize>> {
        self.ranges.lock().unwrap().clone()
    }
}

fn serve(mut stream: TcpStream, content: &[u8], answer: Answer, log: &Mutex<Vec<Option<usize>>>) {
    let mut range = None;
    let mut reader = BufReader::new(stream.try_clone().unwrap());
    let mut line = String::new();
    while reader.read_line(&mut line).unwrap_or(0) > 2 {
        let lower = line.to_lowercase();
        if let Some(value) = lower.strip_prefix("range: bytes=") {
            range = value.trim().trim_end_matches('-').parse().ok();
        }
        line.clear();
    }
    log.lock().unwrap().push(range);
    let start = match answer {
        Answer::IgnoreRange => 0,
        _ => range.unwrap_or(0),
    };
    let head = match answer {
        Answer::Status(status) => {
            format!("HTTP/1.1 {status} No\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
        }
        _ => {
            let (status, extra) = if start > 0 {
                let range = format!(
                    "Content-Range: bytes {start}-{}/{}\r\n",
                    content.len() - 1,
                    content.len()
                );
                ("206 Partial Content", range)
            } else {
                ("200 OK", String::new())
            };
            format!(
                "HTTP/1.1 {status}\r\nContent-Length: {}\r\n{extra}Connection: close\r\n\r\n",
                content.len() - start
            )
        }
    };
    stream.write_all(head.as_bytes()).unwrap();
    let bytes: &[u8] = match answer {
        Answer::Status(_) => &[],
        Answer::Cut(count) => &content[start..(start + count).min(content.len())],
        Answer::Stall => {
            let (some, rest) = content[start..].split_at(1000);
            let mut sent = stream.write_all(some);
            // Until the client hangs up.
            for byte in rest {
                sent = sent.and_then(|()| stream.write_all(std::slice::from_ref(byte)));
                if sent.is_err() {
                    break;
                }
                std::thread::sleep(Duration::from_millis(10));
            }
            &[]
        }
        Answer::Serve | Answer::IgnoreRange => &content[start..],
    };
    // The client may have hung up.
    stream.write_all(bytes).ok();
    stream.flush().ok();
}

fn content() -> Vec<u8> {
    (0..1_000_003u32)
        .map(|at| (at.wrapping_mul(2_654_435_761) >> 13) as u8)
        .collect()
}

fn md5(bytes: &[u8]) -> String {
    Md5::digest(bytes)
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect()
}

/// Downloads into `folder/archive`; what was there already is gone on with.
fn fetch(sources: &[String], content: &[u8], folder: &Path) -> Result<(), DownloadError> {
    let md5 = md5(content);
    let expected = Archive {
        bytes: content.len() as u64,
        md5: &md5,
    };
    let (target, pace) = (folder.join("archive"), Pace::default());
    download(sources, &expected, &target, pace, &mut |_| Ok(()))
}

fn names(folder: &Path) -> Vec<String> {
    std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect()
}

/// The error of sources that deliver something wrong.
fn refused(result: Result<(), DownloadError>) -> anyhow::Error {
    match result {
        Err(DownloadError::Refused(error)) => error,
        other => panic!("expected a refusal, got {other:?}"),
    }
}

fn unreachable(result: Result<(), DownloadError>) -> String {
    match result {
        Err(DownloadError::Unreachable(error)) => {
            assert_eq!(Exit::of(&error), Exit::Data);
            error.to_string()
        }
        other => panic!("expected no source to be reachable, got {other:?}"),
    }
}

#[test]
fn a_whole_file_arrives_with_its_progress() {
    let (content, folder) = (content(), tempfile::tempdir().unwrap());
    let server = Server::start(content.clone(), vec![Answer::Serve]);
    let md5 = md5(&content);
    let expected = Archive {
        bytes: content.len() as u64,
        md5: &md5,
    };
    let mut told = Vec::new();
    download(
        &server.sources(),
        &expected,
        &folder.path().join("archive"),
        Pace::default(),
        &mut |progress| {
            if let Progress::Download { done, total } = progress {
                assert_eq!(total, expected.bytes);
                told.push(done);
            }
            Ok(())
        },
    )
    .unwrap();
    assert!(
        told.is_sorted() && told.last() == Some(&expected.bytes),
        "{told:?}"
    );
    assert_eq!(
        std::fs::read(folder.path().join("archive")).unwrap(),
        content
    );
    assert_eq!(names(folder.path()), ["archive"], "no part is left");
}

#[test]
fn a_part_is_gone_on_with_at_its_end() {
    let (content, folder) = (content(), tempfile::tempdir().unwrap());
    let server = Server::start(content.clone(), vec![Answer::Serve]);
    std::fs::write(folder.path().join("archive.part"), &content[..400_000]).unwrap();
    fetch(&server.sources(), &content, folder.path()).unwrap();
    assert_eq!(server.ranges(), [Some(400_000)]);
    assert_eq!(
        std::fs::read(folder.path().join("archive")).unwrap(),
        content
    );
}

#[test]
fn a_cut_connection_is_taken_up_again() {
    let (content, folder) = (content(), tempfile::tempdir().unwrap());
    let server = Server::start(
        content.clone(),
        vec![Answer::Cut(300_000), Answer::Cut(1000), Answer::Serve],
    );
    fetch(&server.sources(), &content, folder.path()).unwrap();
    assert_eq!(server.ranges(), [None, Some(300_000), Some(301_000)]);
    assert_eq!(
        std::fs::read(folder.path().join("archive")).unwrap(),
        content
    );
}

#[test]
fn a_server_without_ranges_starts_over() {
    let (content, folder) = (content(), tempfile::tempdir().unwrap());
    let server = Server::start(content.clone(), vec![Answer::IgnoreRange]);
    std::fs::write(folder.path().join("archive.part"), &content[..400_000]).unwrap();
    fetch(&server.sources(), &content, folder.path()).unwrap();
    assert_eq!(
        std::fs::read(folder.path().join("archive")).unwrap(),
        content
    );
}

#[test]
fn a_part_of_something_else_is_thrown_away_once() {
    let (content, folder) = (content(), tempfile::tempdir().unwrap());
    let server = Server::start(content.clone(), vec![Answer::Serve]);
    std::fs::write(folder.path().join("archive.part"), vec![9; 400_000]).unwrap();
    fetch(&server.sources(), &content, folder.path()).unwrap();
    assert_eq!(server.ranges(), [Some(400_000), None]);
    assert_eq!(
        std::fs::read(folder.path().join("archive")).unwrap(),
        content
    );
}

#[test]
fn a_short_read_keeps_the_part_and_says_how_far_it_came() {
    let (content, folder) = (content(), tempfile::tempdir().unwrap());
    let server = Server::start(content.clone(), vec![Answer::Cut(300_000), Answer::Cut(0)]);
    let error = unreachable(fetch(&server.sources(), &content, folder.path()));
    assert!(
        error.contains("ended after 300000 of 1000003 bytes") && error.contains("--from"),
        "{error}"
    );
    assert_eq!(names(folder.path()), ["archive.part"]);
}

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

#[cfg(unix)]
#[test]
fn a_link_where_the_part_should_be_is_not_followed() {
    let (content, folder) = (content(), tempfile::tempdir().unwrap());
    let server = Server::start(content.clone(), vec![Answer::Serve]);
    let (elsewhere, part) = (
        folder.path().join("mine"),
        folder.path().join("archive.part"),
    );
    for hard in [false, true] {
        std::fs::write(&elsewhere, b"precious").unwrap();
        let linked = match hard {
            true => std::fs::hard_link(&elsewhere, &part),
            false => std::os::unix::fs::symlink(&elsewhere, &part),
        };
        linked.unwrap();
        fetch(&server.sources(), &content, folder.path()).unwrap();
        assert_eq!(std::fs::read(&elsewhere).unwrap(), b"precious");
        assert_eq!(
            std::fs::read(folder.path().join("archive")).unwrap(),
            content
        );
        assert!(!part.exists());
    }
    // Nor is a file made through a link that leads nowhere.
    std::fs::remove_file(&elsewhere).unwrap();
    std::os::unix::fs::symlink(&elsewhere, &part).unwrap();
    fetch(&server.sources(), &content, folder.path()).unwrap();
    assert!(!elsewhere.exists());
}

#[test]
fn two_downloads_at_once_do_not_damage_each_other() {
    let (content, folder) = (content(), tempfile::tempdir().unwrap());
    std::fs::write(folder.path().join("archive.part"), &content[..400_000]).unwrap();
    let sources = Server::start(content.clone(), vec![Answer::Serve]).sources();
    std::thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| fetch(&sources, &content, folder.path()).unwrap());
        }
    });
    assert_eq!(
        std::fs::read(folder.path().join("archive")).unwrap(),
        content
    );
    assert_eq!(names(folder.path()), ["archive"], "no part is left");
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
fn whoever_is_told_may_end_it() {
    let (content, folder) = (content(), tempfile::tempdir().unwrap());
    let server = Server::start(content.clone(), vec![Answer::Serve]);
    let md5 = md5(&content);
    let expected = Archive {
        bytes: content.len() as u64,
        md5: &md5,
    };
    let stopped = download(
        &server.sources(),
        &expected,
        &folder.path().join("archive"),
        Pace::default(),
        &mut |_| Err(Exit::Interrupted.error("stopped")),
    );
    assert_eq!(Exit::of(&refused(stopped)), Exit::Interrupted);
    let mut part = Vec::new();
    std::fs::File::open(folder.path().join("archive.part"))
        .unwrap()
        .read_to_end(&mut part)
        .unwrap();
    assert!(
        !part.is_empty() && content.starts_with(&part),
        "what came is kept"
    );
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
