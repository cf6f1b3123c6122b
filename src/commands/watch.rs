//! `watch`: shows runs live until all are done or Ctrl-C.

use std::io::IsTerminal;
use std::time::{Duration, Instant};

use anyhow::Result;

use super::target;
use crate::cli::{Places, WatchArgs};
use crate::console;
use crate::exit::Exit;
use crate::inspect::watch::{Seen, look};
use crate::train::Stop;
use crate::{note, out};

/// Polling interval for signals.
const PAUSE: Duration = Duration::from_millis(100);
/// Consecutive looks in which files may be unreadable, since they may be changing.
const PATIENCE: usize = 5;

/// `refig watch [EXPERIMENT]`. With `-q`, shows the runs once all are done.
pub fn run(args: &WatchArgs, places: &Places, stop: &Stop) -> Result<Exit> {
    let target = target::named(&args.runs, places)?;
    let wanted = target
        .as_ref()
        .map(|target| (&target.experiment, target.seeds.as_slice()));
    let terminal = std::io::stdout().is_terminal() && !args.once;
    let mut before: Option<Seen> = None;
    let (mut failures, mut settled) = (0, 0);
    loop {
        match look(&places.results_dir, wanted) {
            Ok(seen) => {
                failures = 0;
                settled = if seen.is_done() { settled + 1 } else { 0 };
                let enough = if seen.skipped.is_empty() { 1 } else { PATIENCE };
                let ends = args.once || settled >= enough;
                if ends || !places.quiet {
                    show(&seen, before.as_ref(), terminal, places);
                    before = Some(seen);
                }
                if ends || !console::is_open() {
                    return Ok(Exit::Success);
                }
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

/// Redraws everything on a terminal; prints what has changed elsewhere.
fn show(seen: &Seen, before: Option<&Seen>, terminal: bool, places: &Places) {
    let mut text = String::new();
    if seen.lines.is_empty() && (terminal || before.is_none()) {
        text.push_str(&format!("no runs in {}\n", places.results_dir.display()));
    }
    let names = seen.lines.iter().map(|line| line.name.chars().count());
    let width = names.max().unwrap_or_default();
    for line in &seen.lines {
        let known = before.and_then(|before| before.lines.iter().find(|l| l.name == line.name));
        if terminal || known.is_none_or(|known| line.changed(known)) {
            text.push_str(&line.text(width));
            text.push('\n');
        }
    }
    for skipped in &seen.skipped {
        if terminal || before.is_none_or(|before| !before.skipped.contains(skipped)) {
            text.push_str(&format!("skipped {skipped}\n"));
        }
    }
    let changed = seen.changed.as_ref().filter(|_| !places.quiet);
    if !terminal {
        if let Some(changed) = changed
            && before.is_none_or(|before| before.changed != seen.changed)
        {
            note!("note: {changed}");
        }
        out!("{text}");
        return;
    }
    if let Some(changed) = changed {
        text.push_str(&format!("note: {changed}\n"));
    }
    let done = seen.lines.iter().filter(|line| line.is_done()).count();
    text.push_str(&format!(
        "{done} of {} done; Ctrl-C stops watching, not the runs\n",
        seen.lines.len()
    ));
    console::redraw(&text);
}
