//! Shows training progress on standard error: a bar on a terminal, plain lines otherwise, nothing with `-q`.

use std::collections::VecDeque;
use std::io::{IsTerminal, Write};
use std::time::Instant;

use indicatif::{MultiProgress, ProgressBar, ProgressDrawTarget, ProgressStyle};

use crate::again::again;
use crate::console::printable;
use crate::counted::counted;
use crate::duration::duration;
use crate::note;
use crate::plan::RunPlan;
use crate::recipe::{TRAINING_WINDOW, TrainingSplit};
use crate::record::{Ending, Evaluation, Iteration, Split, Statistics, Views};
use crate::train::{Observer, Phase};

use super::{RunsObserver, Start};

/// How progress is shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Style {
    Bars,
    Lines,
    Quiet,
}

impl Style {
    /// Nothing if `quiet`, bars if standard error is a terminal, else lines.
    pub fn choose(quiet: bool) -> Self {
        if quiet {
            Style::Quiet
        } else if std::io::stderr().is_terminal() {
            Style::Bars
        } else {
            Style::Lines
        }
    }
}

/// The template of bars: fits 80 columns with names and messages of usual lengths.
const BAR: &str = "{prefix} {wide_bar} {pos}/{len}  {msg}";

/// Runs that are made at the same time, each with a [`Progress`] of its own.
#[derive(Clone)]
pub(super) struct Together {
    pub bars: MultiProgress,
    /// The last of the bars.
    pub total: ProgressBar,
    /// The number of runs, also of those that are not made now.
    pub runs: usize,
}

/// Shows the progress of runs.
pub struct Progress {
    style: Style,
    out: Box<dyn Write>,
    bar: ProgressBar,
    together: Option<Together>,
    /// Estimated cost of each run, in any unit; 0 for skipped ones.
    costs: Vec<f64>,
    /// Cost of the work done by this process since `started`.
    worked: f64,
    started: Instant,
    run: Option<Current>,
    /// Tenths of the mean image already reported, while it is computed.
    mean: Option<u64>,
}

/// The current run.
struct Current {
    /// `resnet-20 s1 (3 of 27)`.
    name: String,
    place: usize,
    /// Whether it is evaluated on images held out of training.
    held_out: bool,
    from: u64,
    iterations: u64,
    started: Instant,
    recent: VecDeque<f64>,
    loss: f64,
    rate: f64,
    iteration: u64,
    /// Tenths of the iterations already reported.
    tenths: u64,
}

impl Current {
    fn error(&self) -> f64 {
        self.recent.iter().sum::<f64>() / self.recent.len().max(1) as f64
    }

    /// Seconds per iteration so far, including evaluations.
    fn pace(&self) -> Option<f64> {
        let done = self.iteration.checked_sub(self.from).filter(|&n| n > 0)?;
        Some(self.started.elapsed().as_secs_f64() / done as f64)
    }

    /// Estimated seconds to the end of this run.
    fn left(&self) -> Option<f64> {
        Some(self.pace()? * self.iterations.saturating_sub(self.iteration) as f64)
    }
}

impl Progress {
    /// Progress on standard error.
    pub fn new(style: Style) -> Self {
        Self::to(style, Box::new(std::io::stderr()))
    }

    /// Progress whose lines go to `out`; bars always go to standard error.
    pub fn to(style: Style, out: Box<dyn Write>) -> Self {
        Self {
            style,
            out,
            bar: ProgressBar::hidden(),
            together: None,
            costs: Vec::new(),
            worked: 0.0,
            started: Instant::now(),
            run: None,
            mean: None,
        }
    }

    /// Progress on standard error of one of several runs that are made at the same time.
    pub(super) fn among(style: Style, together: Together) -> Self {
        Self {
            together: Some(together),
            ..Self::new(style)
        }
    }

    /// Several updates at once, with the last one's row and the mean error of its window.
    pub(super) fn updates(&mut self, last: &Iteration) {
        if let Some(run) = &mut self.run {
            run.recent.clear();
        }
        self.iteration(last);
    }

    /// Begins a bar in place of the last one.
    fn begin_bar(&mut self, name: &str, from: u64, length: u64) {
        self.clear();
        let bar = |target| ProgressBar::with_draw_target(Some(length), target);
        let bar = match &self.together {
            None => bar(ProgressDrawTarget::stderr()),
            Some(together) => {
                let hidden = bar(ProgressDrawTarget::hidden());
                together.bars.insert_before(&together.total, hidden)
            }
        };
        self.bar = bar
            .with_style(bar_style())
            .with_prefix(name.to_owned())
            .with_position(from);
    }

    /// The mean image is computed before a run begins, so it has a bar or lines of its own.
    fn mean_image(&mut self, done: u64, total: u64) {
        const NAME: &str = "mean image";
        if self.style == Style::Bars {
            if self.mean.is_none() {
                self.begin_bar(NAME, done, total);
            }
            self.bar.set_position(done);
            let left = duration(self.bar.eta().as_secs_f64());
            self.bar.set_message(format!("left {left}"));
        }
        let tenths = done * 10 / total.max(1);
        if self.style == Style::Lines && tenths > self.mean.unwrap_or(0) {
            self.line(&format!("{NAME}: {} %", 10 * tenths));
        }
        self.mean = Some(tenths);
        if done == total {
            self.clear();
            self.mean = None;
        }
    }

    /// Removes the bar.
    pub(super) fn clear(&mut self) {
        self.bar.finish_and_clear();
        if let Some(together) = &self.together {
            together.bars.remove(&self.bar);
        }
    }

    /// Prints a line above all bars.
    fn above(&self, text: &str) {
        match &self.together {
            // Unlike `suspend`, it survives a terminal that has gone away, as training does.
            Some(together) if !together.bars.is_hidden() => {
                let _ = together.bars.println(printable(text));
            }
            Some(_) => note!("{text}"),
            None => self.bar.suspend(|| note!("{text}")),
        }
    }

    /// Prints a line, above the bar if there is one.
    fn line(&mut self, text: &str) {
        match self.style {
            Style::Quiet => {}
            Style::Bars => self.above(text),
            Style::Lines => {
                // A closed pipe must not stop training.
                let _ = writeln!(self.out, "{text}").and_then(|()| self.out.flush());
            }
        }
    }

    /// Estimated seconds to the end of all runs; none before any work is done.
    fn all_left(&self) -> Option<f64> {
        let run = self.run.as_ref()?;
        let cost = self.costs.get(run.place)?;
        let share = |iterations: u64| cost * iterations as f64 / run.iterations.max(1) as f64;
        let worked = self.worked + share(run.iteration - run.from);
        let left = share(run.iterations - run.iteration) + self.later();
        (worked > 0.0).then(|| self.started.elapsed().as_secs_f64() * left / worked)
    }

    /// The cost of the runs after the current one.
    fn later(&self) -> f64 {
        let next = self.run.as_ref().map_or(0, |run| run.place + 1);
        self.costs.iter().skip(next).sum()
    }

    fn message(&self) -> String {
        let Some(run) = &self.run else {
            return String::new();
        };
        let pace = run.pace().map_or(0.0, |seconds| 1.0 / seconds);
        let left = run.left().map(duration).unwrap_or_default();
        let all = match self.all_left() {
            // Of the last run it would say the same in another way.
            Some(seconds) if self.later() > 0.0 => format!(", all {}", duration(seconds)),
            _ => String::new(),
        };
        if self.style == Style::Bars {
            // Fits 80 columns beside the name and the count.
            return format!("error {:.1} %  left {left}{all}", run.error());
        }
        format!(
            "lr {}  loss {:.3}  error {:.1} %  {pace:.1} it/s  left {left}{all}",
            shorten(run.rate),
            run.loss,
            run.error()
        )
    }
}

impl Observer for Progress {
    fn iteration(&mut self, row: &Iteration) {
        let Some(run) = &mut self.run else { return };
        run.iteration = row.iteration;
        run.rate = row.learning_rate;
        run.loss = row.loss;
        run.recent.push_back(row.error);
        if run.recent.len() > TRAINING_WINDOW {
            run.recent.pop_front();
        }
        match self.style {
            Style::Quiet => {}
            Style::Bars => {
                self.bar.set_message(self.message());
                self.bar.set_position(row.iteration);
            }
            Style::Lines => {
                let tenths = row.iteration * 10 / run.iterations.max(1);
                if tenths > run.tenths {
                    run.tenths = tenths;
                    let (name, iterations) = (run.name.clone(), run.iterations);
                    let text = format!(
                        "{name}: iteration {} of {iterations}, {}",
                        row.iteration,
                        self.message()
                    );
                    self.line(&text);
                }
            }
        }
    }

    fn phase(&mut self, phase: Phase, done: u64, total: u64) {
        let what = match phase {
            Phase::Mean => return self.mean_image(done, total),
            Phase::Statistics => "batch-norm statistics",
            Phase::Test => "test images",
            Phase::Clean => "clean pass",
        };
        if self.style == Style::Bars {
            self.bar.set_message(format!("{what} {done}/{total}"));
        }
    }

    fn evaluation(&mut self, row: &Evaluation) {
        // One line per evaluation; moving averages are only recorded.
        if row.statistics != Statistics::Population {
            return;
        }
        let Some(run) = &self.run else { return };
        let what = match row.split {
            Split::Test if run.held_out => "validation",
            Split::Test => "test",
            Split::Train => "clean training",
        };
        let text = format!(
            "{}: iteration {}, {what} error {:.2} % (loss {:.3}, {}{})",
            run.name,
            row.iteration,
            row.error,
            row.loss,
            counted(row.images as usize, "image"),
            match row.views {
                Views::Centre => String::new(),
                views => format!(", {}", views.name()),
            }
        );
        self.line(&text);
    }
}

impl RunsObserver for Progress {
    fn planned(&mut self, costs: &[f64]) {
        self.costs = costs.to_vec();
        self.started = Instant::now();
    }

    fn begin(&mut self, run: &RunPlan, place: usize, start: Start) {
        let of = match &self.together {
            Some(together) => together.runs,
            None => self.costs.len().max(place + 1),
        };
        let name = format!("{} s{} ({} of {of})", run.network.name, run.seed, place + 1);
        let from = match start {
            Start::New => 0,
            Start::At(iteration) => iteration,
        };
        let iterations = run.recipe.iterations;
        if from > 0 {
            self.line(&format!("{name}: resumes after iteration {from}"));
        }
        if self.style == Style::Bars {
            self.begin_bar(&name, from, iterations);
        }
        // A worker may not have said that it was complete.
        self.mean = None;
        self.run = Some(Current {
            name,
            place,
            held_out: run.recipe.split == TrainingSplit::HoldOut,
            from,
            iterations,
            started: Instant::now(),
            recent: VecDeque::new(),
            loss: f64::NAN,
            rate: f64::NAN,
            iteration: from,
            tenths: from * 10 / iterations.max(1),
        });
    }

    fn skip(&mut self, run: &RunPlan, place: usize, _ending: Ending) {
        self.line(&format!("{} s{}: already done", run.network.name, run.seed));
        if let Some(cost) = self.costs.get_mut(place) {
            *cost = 0.0;
        }
    }

    fn end(&mut self, run: &RunPlan, place: usize, ending: Ending) {
        let name = format!("{} s{}", run.network.name, run.seed);
        self.clear();
        match ending {
            Ending::Finished => {}
            Ending::Diverged => {
                self.line(&format!("{name}: diverged, loss is not finite"));
            }
            Ending::Partial => {
                self.line(&format!("{name}: stopped; {} to resume", again()));
            }
        }
        if let (Some(current), Some(cost)) = (self.run.take(), self.costs.get(place)) {
            let share = (current.iteration - current.from) as f64;
            self.worked += cost * share / current.iterations.max(1) as f64;
        }
    }

    fn tell(&mut self, text: &str) {
        self.line(text);
    }

    fn warn(&mut self, text: &str) {
        // Shown even with -q.
        self.above(&format!("warning: {text}"));
    }
}

/// The look of bars.
pub(super) fn bar_style() -> ProgressStyle {
    ProgressStyle::with_template(BAR).unwrap_or_else(|_| ProgressStyle::default_bar())
}

/// A learning rate without trailing digits from binary rounding.
fn shorten(rate: f64) -> String {
    let text = format!("{rate:.8}");
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;
    use std::rc::Rc;

    use super::*;

    /// What was written.
    #[derive(Clone, Default)]
    struct Written(Rc<RefCell<Vec<u8>>>);

    impl Write for Written {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.0.borrow_mut().write(bytes)
        }

        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn the_mean_image_has_a_line_for_each_tenth_since_it_was_resumed() {
        let written = Written::default();
        let mut progress = Progress::to(Style::Lines, Box::new(written.clone()));
        for done in (650..=1000).step_by(50) {
            progress.phase(Phase::Mean, done, 1000);
        }
        // Another set's.
        progress.phase(Phase::Mean, 1, 10);
        let text = String::from_utf8(written.0.borrow().clone()).unwrap();
        let expected = [60, 70, 80, 90, 100, 10].map(|part| format!("mean image: {part} %\n"));
        assert_eq!(text, expected.concat());
    }

    #[test]
    fn rates_have_no_rounding_digits() {
        assert_eq!(shorten(0.1 * 0.1), "0.01");
        assert_eq!(shorten(0.1), "0.1");
    }
}
