//! What gets into the cache, and what is left of a copy that ended early.

use std::path::Path;

use refig::data::{BATCH_BYTES, Pace, Progress, Request, fetch, load, open};
use refig::exit::Exit;
use refig::origin::Origin;

use super::black::{black, black_archive};

#[test]
fn a_copy_can_be_stopped_within_a_megabyte_and_leaves_nothing() {
    let (folder, cache) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let packed = folder.path().join("cifar.tar.gz");
    black_archive(&packed);
    black(folder.path());
    for from in [folder.path(), packed.as_path()] {
        let (mut before, mut calls) = (0, 0);
        let stopped = fetch(
            from.to_str(),
            cache.path(),
            &[],
            Pace::default(),
            &mut |progress| {
                if let Progress::Unpack { done, total } = progress {
                    assert!(done - before <= 1 << 20, "{before} to {done}");
                    assert_eq!(total, 6 * BATCH_BYTES as u64);
                    (before, calls) = (done, calls + 1);
                }
                match calls {
                    100.. => Err(Exit::Interrupted.error("stopped")),
                    _ => Ok(()),
                }
            },
        );
        let error = anyhow::Error::from(stopped.unwrap_err());
        assert_eq!(Exit::of(&error), Exit::Interrupted, "{error:#}");
        assert_eq!(std::fs::read_dir(cache.path()).unwrap().count(), 1);
    }
}

#[test]
fn what_a_killed_process_left_is_removed_or_resumed() {
    let (folder, cache) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    black(folder.path());
    let left = |name: &str| cache.path().join(name);
    std::fs::create_dir(left("cifar-10-batches-bin.77-0.part")).unwrap();
    std::fs::write(left("cifar-10-binary.tar.gz.77-1.part"), b"some").unwrap();
    fetch(
        folder.path().to_str(),
        cache.path(),
        &[],
        Pace::default(),
        &mut |_| Ok(()),
    )
    .unwrap_err();
    assert!(!left("cifar-10-batches-bin.77-0.part").exists());
    assert_eq!(
        std::fs::read(left("cifar-10-binary.tar.gz.part")).unwrap(),
        b"some"
    );
}

#[cfg(unix)]
#[test]
fn a_link_where_the_lock_should_be_is_not_followed() {
    let (folder, cache) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let elsewhere = folder.path().join("elsewhere");
    std::os::unix::fs::symlink(&elsewhere, cache.path().join("cifar10.lock")).unwrap();
    let refused = fetch(
        Some("nowhere"),
        cache.path(),
        &[],
        Pace::default(),
        &mut |_| Ok(()),
    )
    .unwrap_err();
    let error = anyhow::Error::from(refused);
    assert_eq!(Exit::of(&error), Exit::Storage);
    assert!(error.to_string().contains("cifar10.lock"), "{error:#}");
    assert!(!elsewhere.exists());
}

#[test]
fn other_images_do_not_get_into_the_cache() {
    let (folder, cache) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    black(folder.path());
    let from = folder.path().to_str().unwrap();
    let refused = fetch(Some(from), cache.path(), &[], Pace::default(), &mut |_| {
        Ok(())
    })
    .unwrap_err();
    let error = anyhow::Error::from(refused);
    assert!(format!("{error:#}").contains("wrong digest"), "{error:#}");
    assert_eq!(Exit::of(&error), Exit::Data);
    let left: Vec<_> = std::fs::read_dir(cache.path())
        .unwrap()
        .map(|entry| entry.unwrap().file_name())
        .collect();
    assert_eq!(left, ["cifar10.lock"], "nothing half-written stays");
}

#[test]
fn real_cifar10_is_known() {
    let Some(path) = std::env::var_os("CIFAR10_DIR").filter(|path| !path.is_empty()) else {
        println!("CIFAR10_DIR is not set: nothing to look at");
        return;
    };
    let data = load(Path::new(&path)).unwrap();
    assert_eq!(data.origin, Origin::Cifar10);
    for class in 0..10 {
        assert_eq!(
            data.train
                .labels
                .iter()
                .filter(|&&label| label == class)
                .count(),
            5000
        );
        assert_eq!(
            data.test
                .labels
                .iter()
                .filter(|&&label| label == class)
                .count(),
            1000
        );
    }
    let cache = tempfile::tempdir().unwrap();
    let fetched = fetch(
        path.to_str(),
        cache.path(),
        &[],
        Pace::default(),
        &mut |_| Ok(()),
    )
    .unwrap();
    assert_eq!(fetched.digest(), data.digest());
    // A damaged copy is noticed and fetched again.
    let third = cache.path().join("cifar-10-batches-bin/data_batch_3.bin");
    let mut bytes = std::fs::read(&third).unwrap();
    bytes[12_345] ^= 4;
    std::fs::write(&third, bytes).unwrap();
    let doubt = load(cache.path()).unwrap().doubt().unwrap();
    assert!(
        doubt.contains("probably a damaged CIFAR-10") && doubt.contains("training images"),
        "{doubt}"
    );
    let request = Request {
        dir: None,
        cache: cache.path().to_path_buf(),
        mirrors: Vec::new(),
        pace: Pace::default(),
        allow_download: false,
        allow_synthetic: true,
        synthetic_seed: 0,
        require_official: false,
    };
    let error = open(&request, &mut |_| Ok(())).unwrap_err().to_string();
    assert!(error.contains("wrong digest"), "{error}");
    fetch(
        path.to_str(),
        cache.path(),
        &[],
        Pace::default(),
        &mut |_| Ok(()),
    )
    .unwrap();
    assert_eq!(
        open(&request, &mut |_| Ok(())).unwrap().digest(),
        data.digest()
    );
}
