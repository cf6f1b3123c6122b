//! Makes the runs of a plan, each by a worker, as many at a time as there are slots.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::mpsc::{self, Sender};
use std::time::Duration;

use super::child::{Said, Worker};
use super::{Board, Order, Slot, Workers};
use crate::exit::Exit;
use crate::orchestrate::event::Event;
use crate::orchestrate::plan_file::FrozenPlan;
use crate::train::Stop;

/// The longest time until a signal is noticed.
const PAUSE: Duration = Duration::from_millis(50);

/// A run that has failed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failed {
    pub name: String,
    /// The exit code of its worker.
    pub exit: Exit,
    pub why: String,
    /// What its worker wrote to standard error; none if another process holds the run, or there was no worker.
    pub log: Option<PathBuf>,
}

/// Makes the runs that are left in `order`. A run that fails does not stop the others, unless `fail_fast`. If `stop` is
/// raised, the workers save their states and end; if it is urgent, they are killed. Returns the runs that failed, in the
/// plan's order, once no worker is left.
pub fn supervise(
    (plan, order): (&FrozenPlan, Order),
    slots: &[Slot],
    workers: &Workers,
    fail_fast: bool,
    stop: &Stop,
    board: &mut Board,
) -> Vec<Failed> {
    let (sender, receiver) = mpsc::channel();
    let mut supervisor = Supervisor {
        plan,
        order,
        slots,
        workers,
        fail_fast,
        board,
        sender,
        free: (0..slots.len()).collect(),
        working: BTreeMap::new(),
        failed: BTreeMap::new(),
        stopping: false,
        killed: false,
    };
    stop.supervise(true);
    stop.attend(true);
    loop {
        if stop.requested().is_some() {
            supervisor.stop();
        }
        if stop.is_urgent() {
            supervisor.kill();
        }
        supervisor.begin();
        if supervisor.working.is_empty() {
            break;
        }
        // An error says that nothing was heard: there is always a sender.
        match receiver.recv_timeout(PAUSE) {
            Ok((run, Some(event))) => supervisor.heard(run, event),
            Ok((run, None)) => supervisor.ended(run),
            Err(_) => {}
        }
    }
    stop.attend(false);
    stop.supervise(false);
    supervisor.board.finish();
    supervisor.failed.into_values().collect()
}

struct Supervisor<'a> {
    plan: &'a FrozenPlan,
    order: Order,
    slots: &'a [Slot],
    workers: &'a Workers,
    fail_fast: bool,
    board: &'a mut Board,
    sender: Sender<Said>,
    /// Slots without a worker, in order.
    free: Vec<usize>,
    /// By run.
    working: BTreeMap<usize, Working>,
    failed: BTreeMap<usize, Failed>,
    /// Whether no more runs are begun, and the workers were asked to stop.
    stopping: bool,
    killed: bool,
}

struct Working {
    worker: Worker,
    slot: usize,
    /// The error that it told.
    said: Option<String>,
}

impl Supervisor<'_> {
    /// Begins runs in the free slots.
    fn begin(&mut self) {
        while !self.stopping
            && let Some(&slot) = self.free.first()
            && let Some(run) = self.order.begin()
        {
            let started = self.workers.start(
                (run, &self.plan.runs[run]),
                self.slots[slot],
                self.sender.clone(),
            );
            match started {
                Ok(worker) => {
                    self.free.remove(0);
                    let said = None;
                    self.working.insert(run, Working { worker, slot, said });
                }
                Err(error) => self.fail(run, Exit::of(&error), &format!("{error:#}"), None),
            }
        }
    }

    fn heard(&mut self, run: usize, event: Event) {
        self.board.event(run, &event);
        if let (Event::Failed { error, .. }, Some(working)) = (event, self.working.get_mut(&run)) {
            working.said = Some(error);
        }
    }

    /// The worker of a run has ended.
    fn ended(&mut self, run: usize) {
        let Some(working) = self.working.remove(&run) else {
            return;
        };
        self.free.push(working.slot);
        self.free.sort_unstable();
        let ended = working.worker.wait(working.said);
        match ended.exit {
            Some(Exit::Success) => {
                self.order.done(run);
                self.board.done(run);
            }
            Some(exit) if exit.is_stopped() && self.stopping => self.board.stopped(run),
            None if self.killed => self.board.stopped(run),
            exit => {
                let frozen = &self.plan.runs[run];
                let why = self.workers.without_folder(frozen, &ended.why);
                let log = self.workers.log(frozen);
                // Who else works on it is all that there is to say.
                let log = (exit != Some(Exit::Busy) && log.is_file()).then_some(log);
                self.fail(run, exit.unwrap_or(Exit::Internal), why, log);
            }
        }
    }

    fn fail(&mut self, run: usize, exit: Exit, why: &str, log: Option<PathBuf>) {
        self.board.failed(run, why);
        let name = &self.plan.runs[run].name;
        let waiting = format!("starts from the weights of {name}, which failed");
        for other in self.order.failed(run) {
            self.note_failed(other, exit, &waiting, None);
        }
        self.note_failed(run, exit, why, log);
        if self.fail_fast {
            self.stop();
        }
    }

    fn note_failed(&mut self, run: usize, exit: Exit, why: &str, log: Option<PathBuf>) {
        let failed = Failed {
            name: self.plan.runs[run].name.clone(),
            exit,
            why: why.into(),
            log,
        };
        self.failed.insert(run, failed);
    }

    /// Asks all workers to stop. Idempotent.
    fn stop(&mut self) {
        self.stopping = true;
        for working in self.working.values_mut() {
            working.worker.stop();
        }
    }

    fn kill(&mut self) {
        self.killed = true;
        for working in self.working.values_mut() {
            working.worker.kill();
        }
    }
}
