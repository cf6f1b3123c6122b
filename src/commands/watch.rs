//! `watch`: shows runs live until all are done or Ctrl-C.

use std::io::{IsTerminal, Write};
use std::time::{Duration, Instant};

use anyhow::{Context, Result};

use super::target;
use crate::cli::{Places, WatchArgs};
use crate::exit::Exit;
use crate::inspect::watch::{Line, look};
use crate::train::Stop;

/// Polling interval for signals.
const PAUSE: Duration = Duration::from_millis(100);
/// Consecutive failures to tolerate, since files may be changing.
const PATIENCE: usize = 5;

/// `refig watch [EXPERIMENT]`.
pub fn run(args: &WatchArgs, places: &Places, stop: &Stop) -> Result<Exit> {
    let target = match &args.experiment {
        Some(name) => Some(target::named(name, &args.profile, &args.seeds, places)?),
        None => None,
    };
    let wanted = target
        .as_ref()
        .map(|target| (&target.experiment, target.seeds.as_slice()));
    let terminal = std::io::stdout().is_terminal() && !args.once;
    let mut before: Vec<Line> = Vec::new();
    let mut failures = 0;
    loop {
        match look(&places.results_dir, wanted) {
            Ok(lines) => {
                failures = 0;
                let shown = show(&lines, &before, terminal, places)?;
                let done = !lines.is_empty() && lines.iter().all(Line::is_done);
                if !shown || args.once || done {
                    return Ok(Exit::Success);
                }
                before = lines;
            }
            Err(error) => {
                failures += 1;
                if failures >= PATIENCE {
                    return Err(error);
                }
            }
        }
        let next = Instant::now() + Duration::from_secs(args.interval.max(1));
        while Instant::now() < next {
            if let Some(signal) = stop.requested() {
                return Ok(signal.exit());
            }
            std::thread::sleep(PAUSE);
        }
    }
}

/// Redraws all lines on a terminal; prints changed lines elsewhere. False if the reader has closed the pipe.
fn show(lines: &[Line], before: &[Line], terminal: bool, places: &Places) -> Result<bool> {
    let mut text = String::new();
    if terminal {
        // Cursor home, clear to the end.
        text.push_str("\x1b[H\x1b[J");
    }
    if lines.is_empty() && before.is_empty() {
        text.push_str(&format!("no runs in {}\n", places.results_dir.display()));
    }
    for line in lines {
        let known = before.iter().find(|other| other.name == line.name);
        if terminal || known.is_none_or(|known| line.changed(known)) {
            text.push_str(&line.text());
            text.push('\n');
        }
    }
    if terminal {
        let done = lines.iter().filter(|line| line.is_done()).count();
        text.push_str(&format!(
            "{done} of {} done; Ctrl-C stops watching, not the runs\n",
            lines.len()
        ));
    }
    let mut out = std::io::stdout().lock();
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        Err(error) if error.kind() == std::io::ErrorKind::BrokenPipe => Ok(false),
        written => written
            .map(|()| true)
            .context("cannot write to standard output"),
    }
}
