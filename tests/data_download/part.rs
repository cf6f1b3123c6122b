//! A file that arrives whole or in parts.

use std::io::Read;

use refig::data::{Archive, Pace, Progress, download};
use refig::exit::Exit;

use super::fetched::{content, fetch, md5, names, refused, unreachable};
use super::server::{Answer, Server};

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
