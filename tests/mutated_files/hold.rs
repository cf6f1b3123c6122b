//! Reads changed files and holds what every reader promises.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

use refig::digest::sha256;
use refig::random::{Purpose, Stream};

use super::memory;
use super::mutate::mutate;

/// Cases of all kinds together, unless the environment says otherwise.
const CASES: u64 = 20_000;
/// What the shares of all kinds add up to.
const WHOLE: u64 = 1183;
/// Bytes that reading a small file may take at once.
const MOST: usize = 256 << 20;

/// One kind at a time: memory is counted for the whole process.
static TURN: Mutex<()> = Mutex::new(());

/// A kind of file, while it is its turn.
pub struct Kind {
    name: &'static str,
    cases: std::ops::Range<u64>,
    _turn: MutexGuard<'static, ()>,
}

impl Kind {
    /// The kind `name`, which has `share` of [`WHOLE`] cases.
    pub fn new(name: &'static str, share: u64) -> Self {
        let turn = TURN.lock().unwrap_or_else(PoisonError::into_inner);
        let all = std::env::var("REFIG_MUTATIONS").ok();
        let all = all.map_or(CASES, |all| all.parse().unwrap());
        let mut cases = 0..(all * share / WHOLE).max(1);
        if let Ok(one) = std::env::var("REFIG_MUTATION") {
            let (kind, number) = one.split_once(':').unwrap();
            let number: u64 = number.parse().unwrap();
            cases = match kind == name {
                true => number..number + 1,
                false => 0..0,
            };
        }
        Self {
            name,
            cases,
            _turn: turn,
        }
    }

    /// Reads changed `files`. `read` gets the number of the file that was changed.
    pub fn hold(self, files: &[Vec<u8>], read: impl Fn(usize, &[u8]) -> anyhow::Result<()>) {
        let (name, count) = (self.name, self.cases.end - self.cases.start);
        let letters = name.bytes().map(u64::from);
        let key = letters.fold(0u64, |key, letter| {
            key.wrapping_mul(31).wrapping_add(letter)
        });
        let (mut refused, mut most) = (0, 0);
        for case in self.cases {
            let mut random = Stream::new(case, Purpose::Synthetic, key, 0);
            let which = random.below(files.len() as u64) as usize;
            let bytes = mutate(files, which, &mut random);
            let again = format!("REFIG_MUTATION={name}:{case} makes it again");
            memory::begin(case);
            let done = catch_unwind(AssertUnwindSafe(|| read(which, &bytes)));
            let taken = memory::most();
            most = most.max(taken);
            let done = done.unwrap_or_else(|_| panic!("a panic; {again}"));
            assert!(taken <= MOST, "{taken} bytes at once; {again}");
            if let Err(error) = done {
                refused += 1;
                let text = format!("{error:#}");
                let odd = text.chars().any(char::is_control);
                assert!(!odd, "an error with control characters: {text:?}; {again}");
            }
        }
        println!(
            "{name}: {count} cases, {refused} refused, at most {} kB at once",
            most >> 10
        );
    }
}

/// A folder for files that are read by their path: in memory, where there is one.
pub fn folder() -> tempfile::TempDir {
    let memory = Path::new("/dev/shm");
    match memory.is_dir() {
        true => tempfile::tempdir_in(memory).or_else(|_| tempfile::tempdir()),
        false => tempfile::tempdir(),
    }
    .unwrap()
}

/// Files in a folder, of which one at a time is changed.
pub struct Files {
    paths: Vec<PathBuf>,
    whole: Vec<Vec<u8>>,
}

impl Files {
    /// The files at `paths`.
    pub fn of(paths: Vec<PathBuf>) -> Self {
        let whole = paths.iter().map(|path| std::fs::read(path).unwrap());
        Self {
            whole: whole.collect(),
            paths,
        }
    }

    pub fn whole(&self) -> &[Vec<u8>] {
        &self.whole
    }

    pub fn path(&self, which: usize) -> &Path {
        &self.paths[which]
    }

    /// Calls `read` while file `which` holds `bytes`.
    pub fn with<T>(&self, which: usize, bytes: &[u8], read: impl FnOnce() -> T) -> T {
        std::fs::write(&self.paths[which], bytes).unwrap();
        let done = catch_unwind(AssertUnwindSafe(read));
        std::fs::write(&self.paths[which], &self.whole[which]).unwrap();
        done.unwrap_or_else(|panic| std::panic::resume_unwind(panic))
    }
}

/// A text file of a run with the digest that belongs to what is in it, if it still has a place for one.
pub fn sealed(bytes: &[u8]) -> Option<Vec<u8>> {
    let text = std::str::from_utf8(bytes).ok()?;
    let key = text.find("sha256")?;
    let sign = key + text[key..].find(['=', ':'])?;
    let open = sign + text[sign..].find('"')? + 1;
    let close = open + text[open..].find('"')?;
    let digest = sha256(format!("{}{}", &text[..open], &text[close..]).as_bytes());
    Some(format!("{}{digest}{}", &text[..open], &text[close..]).into_bytes())
}
