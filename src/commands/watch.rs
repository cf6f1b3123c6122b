//! `watch`: shows runs live until all are done or Ctrl-C.

use std::io::IsTerminal;
use std::time::{Duration, Instant};

use anyhow::Result;

use super::target;
use crate::cli::{Places, WatchArgs};
use crate::console;
use crate::exit::Exit;
use crate::inspect::watch::{Line, look};
use crate::out;
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
                show(&lines, &before, terminal, places);
                let done = !lines.is_empty() && lines.iter().all(Line::is_done);
                if !console::is_open() || args.once || done {
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

/// Redraws all lines on a terminal; prints changed lines elsewhere.
fn show(lines: &[Line], before: &[Line], terminal: bool, places: &Places) {
    let mut text = String::new();
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
    if !terminal {
        out!("{text}");
        return;
    }
    let done = lines.iter().filter(|line| line.is_done()).count();
    text.push_str(&format!(
        "{done} of {} done; Ctrl-C stops watching, not the runs\n",
        lines.len()
    ));
    console::redraw(&text);
}
