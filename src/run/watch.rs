//! Whether the owner of a run on another host lives: its record is watched for some seconds, by the clock of this host.

use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::Result;

use super::heartbeat::{Locking, Record, Records, at_work, read, refuse};
use crate::duration::duration;
use crate::exit::Exit;

/// How many counts may fail to appear until there is no sign of life.
const MISSED: u32 = 5;

/// How another host's process is watched, which takes some seconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Watching<'a> {
    /// It begins; the text says of what, and how long it takes at the most.
    Begins(&'a str),
    GoesOn,
}

/// Is told how the watching goes, and ends it by an error.
pub type Watcher<'a> = dyn FnMut(Watching<'_>) -> Result<()> + 'a;

/// What became of a record while it was watched.
enum Seen {
    Gone,
    /// It was written to, and now says this.
    Alive(String),
    /// Nothing, for this time.
    Still(Duration),
}

impl Records {
    /// Watches a record until it changes, or has missed too many counts.
    ///
    /// # Errors
    /// The watcher's; [`Exit::Storage`] if the record cannot be read.
    fn watch(
        &self,
        (number, text): (u64, &str),
        beat: Duration,
        watcher: &mut Watcher<'_>,
    ) -> Result<Seen> {
        let path = self.path(number);
        let begun = Instant::now();
        loop {
            watcher(Watching::GoesOn)?;
            std::thread::sleep(beat / 4);
            let waited = begun.elapsed();
            match read(&path).map_err(|error| refuse(&path, &error))? {
                None => return Ok(Seen::Gone),
                Some(now) if now != text => return Ok(Seen::Alive(now)),
                Some(_) if waited >= beat * MISSED => return Ok(Seen::Still(waited)),
                Some(_) => {}
            }
        }
    }

    /// Whether the run may be taken from the owner that a record names, given that the system's lock is held. False if the
    /// record is gone by now.
    pub fn is_free(
        &self,
        (number, text): (u64, &str),
        run: &Path,
        locking: &Locking,
        watcher: &mut Watcher<'_>,
    ) -> Result<bool> {
        let owner = Record::parse(text);
        if owner
            .as_ref()
            .is_some_and(|owner| owner.is_of_machine(locking))
        {
            return Ok(true);
        }
        let name = owner.as_ref().map(Record::name);
        watcher(Watching::Begins(&format!(
            "{}: taken by {}; watching for up to {} whether that lives",
            run.display(),
            name.as_deref().unwrap_or("another process"),
            duration((locking.beat * MISSED).as_secs_f64())
        )))?;
        let waited = match self.watch((number, text), locking.beat, watcher)? {
            Seen::Gone => return Ok(false),
            Seen::Alive(now) => {
                let owner = owner.or_else(|| Record::parse(&now));
                let name = owner.map(|owner| owner.name());
                return Err(at_work(run, name.as_deref().unwrap_or("another process")));
            }
            Seen::Still(waited) => waited,
        };
        let Some(owner) = owner else {
            // Cut off where its process was killed. A living one would have written it by now.
            return Ok(true);
        };
        // This host was restarted: none of its processes are left.
        if owner.host == locking.host || locking.take_over {
            return Ok(true);
        }
        // Both may be wrong by what the clocks differ, so it is only said.
        let written = fs::metadata(self.path(number)).and_then(|metadata| metadata.modified());
        let age = written.ok().and_then(|time| time.elapsed().ok());
        let age =
            age.map(|age| format!(" (last written about {} ago)", duration(age.as_secs_f64())));
        Err(Exit::Busy.error(format!(
            "{}: {} has this run, but gave no sign of life for {}{}; if it has ended, take the run over with the flag \
             --take-over of `reproduce` or `run`",
            run.display(),
            owner.name(),
            duration(waited.as_secs_f64()),
            age.unwrap_or_default()
        )))
    }
}
