//! Downloads and packs that are killed and begun again are whole in the end, or not there; so are downloads that find no room.

use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use md5::{Digest, Md5};
use refig::data::{Archive, DownloadError, Pace, download};
use refig::exit::Exit;
use refig::run;

use super::disk::{PAGE, SmallDisk};
use super::scene::{ended_before, kill, kills, moments, numbers, program, reproduce, undisturbed};

/// Bytes of what is downloaded, and of a piece of it.
const SIZE: usize = 3 << 20;
const PIECE: usize = 16 << 10;
/// How long the server takes for a piece.
const PAUSE: Duration = Duration::from_millis(1);
/// Names the address and the target to a child.
const CHILD: &str = "REFIG_FAULTS_DOWNLOAD";

#[test]
fn a_pack_whose_unpacking_is_killed_is_unpacked_whole() {
    let made = tempfile::tempdir().unwrap();
    assert!(reproduce(made.path()).status().unwrap().success());
    let runs = run::find(&made.path().join("results")).unwrap();
    let pack = made.path().join("run.tar");
    run::pack(&made.path().join("results"), &runs[0].folder, &pack).unwrap();
    let name = runs[0].folder.file_name().unwrap().to_owned();
    let mut moments = moments("unpacking");
    let all = kills(5, 1);
    let mut hits = 0;
    while hits < all {
        let place = tempfile::tempdir().unwrap();
        let unpack = || {
            let mut command = program(place.path());
            command.args(["run", "unpack"]).arg(&pack);
            command
        };
        // A few kills of the same unpacking, then its end.
        for _ in 0..=moments.below(3) {
            let mut child = unpack().spawn().unwrap();
            let moment = Duration::from_micros(moments.below(40_000));
            if ended_before(&mut child, moment).is_some() {
                break;
            }
            kill(child);
            hits += 1;
            // What is there is the whole run.
            let there = run::scan(&place.path().join("results")).unwrap();
            assert!(there.skipped.is_empty(), "{:?}", there.skipped);
        }
        let there = run::find(&place.path().join("results")).unwrap();
        if there.is_empty() {
            assert!(unpack().status().unwrap().success());
        }
        let found = numbers(place.path());
        assert_eq!(found.len(), 1);
        let mut expected = undisturbed().0.iter();
        let same = expected.any(|numbers| *numbers == found[0]);
        assert!(same, "{name:?} differs");
    }
    println!("{hits} kills of an unpacking");
}

/// Serves `content` slowly, from any byte on.
fn server(content: Arc<Vec<u8>>) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = format!("http://{}/file", listener.local_addr().unwrap());
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let content = content.clone();
            // A client that was killed has hung up.
            std::thread::spawn(move || serve(stream, &content).ok());
        }
    });
    address
}

fn serve(mut stream: TcpStream, content: &[u8]) -> std::io::Result<()> {
    let mut reader = BufReader::new(stream.try_clone()?);
    let mut start = 0;
    let mut line = String::new();
    while reader.read_line(&mut line)? > 2 {
        if let Some(range) = line.to_lowercase().strip_prefix("range: bytes=") {
            start = range.trim().trim_end_matches('-').parse().unwrap_or(0);
        }
        line.clear();
    }
    let (size, left) = (content.len(), content.len() - start);
    let head = match start {
        0 => "HTTP/1.1 200 OK\r\n".to_owned(),
        _ => format!(
            "HTTP/1.1 206 Partial Content\r\nContent-Range: bytes {start}-{}/{size}\r\n",
            size - 1
        ),
    };
    let rest = format!("Content-Length: {left}\r\nConnection: close\r\n\r\n");
    stream.write_all(head.as_bytes())?;
    stream.write_all(rest.as_bytes())?;
    for piece in content[start..].chunks(PIECE) {
        stream.write_all(piece)?;
        std::thread::sleep(PAUSE);
    }
    stream.flush()
}

fn content() -> Vec<u8> {
    (0..SIZE as u32)
        .map(|at| (at.wrapping_mul(2_654_435_761) >> 24) as u8)
        .collect()
}

fn md5(bytes: &[u8]) -> String {
    let digest = Md5::digest(bytes);
    digest.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Downloads to `target`.
fn fetch(address: &str, target: &Path) -> Result<(), DownloadError> {
    let content = content();
    let md5 = md5(&content);
    let archive = Archive {
        bytes: SIZE as u64,
        md5: &md5,
    };
    let sources = [address.to_owned()];
    download(&sources, &archive, target, Pace::default(), &mut |_| Ok(()))
}

/// The downloading process, which the next test starts and kills. Else there is nothing to do.
#[test]
fn a_child_downloads() {
    if let Ok(order) = std::env::var(CHILD) {
        let (address, target) = order.split_once(' ').unwrap();
        fetch(address, Path::new(target)).unwrap();
    }
}

#[test]
fn a_download_that_is_killed_is_whole_in_the_end_or_not_there() {
    let content = Arc::new(content());
    let address = server(content.clone());
    let mut moments = moments("downloading");
    let all = kills(5, 1);
    let mut hits = 0;
    while hits < all {
        let place = tempfile::tempdir().unwrap();
        let target = place.path().join("file");
        for _ in 0..3 {
            let mut child = Command::new(std::env::current_exe().unwrap())
                .args(["--exact", "transfers::a_child_downloads"])
                .env(CHILD, format!("{address} {}", target.display()))
                .stdout(Stdio::null())
                .stderr(Stdio::null())
                .spawn()
                .unwrap();
            let moment = Duration::from_millis(moments.below(250) + 1);
            if ended_before(&mut child, moment).is_some() {
                break;
            }
            kill(child);
            hits += 1;
            // Never half of a file under its own name.
            if target.exists() {
                assert!(std::fs::read(&target).unwrap() == *content);
            }
        }
        if !target.exists() {
            fetch(&address, &target).unwrap();
        }
        assert!(std::fs::read(&target).unwrap() == *content);
    }
    println!("{hits} kills of a download");
}

#[test]
fn a_download_that_finds_no_room_is_not_there() {
    let Some(disk) = SmallDisk::new(8) else {
        return;
    };
    let content = Arc::new(content());
    let address = server(content.clone());
    let target = disk.at.join("file");
    let mut moments = moments("downloading without room");
    for _ in 0..kills(10, 1) {
        disk.clear();
        disk.fill(moments.below(SIZE as u64 / PAGE));
        let error = anyhow::Error::from(fetch(&address, &target).unwrap_err());
        assert_eq!(Exit::of(&error), Exit::Storage, "{error:#}");
        assert!(error.to_string().contains("make room"), "{error:#}");
        assert!(disk.files().is_empty(), "{:?}", disk.files().keys());
        disk.free();
        fetch(&address, &target).unwrap();
        assert!(std::fs::read(&target).unwrap() == *content);
    }
}
