//! A small thread pool that runs one loop at a time. Any thread may take any task, so a task's result must depend on its
//! index alone; then nothing depends on the number of threads.

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;

/// Spins before a worker goes to sleep: about 20 microseconds, the pause between two layers of a network.
const SPINS: usize = 1000;

/// A thread pool, of which the calling thread is part.
pub struct Threads {
    shared: Arc<State>,
    workers: Vec<JoinHandle<()>>,
    /// Held by the loop that is running.
    turn: Mutex<()>,
}

struct State {
    post: Mutex<Post>,
    wake: Condvar,
    /// `Post::generation` of the latest loop, for reading while spinning.
    generation: AtomicU64,
    next_task: AtomicUsize,
    /// Workers that are running tasks of the posted loop.
    active: AtomicUsize,
    panicked: AtomicBool,
    spins: usize,
}

struct Post {
    job: Option<Job>,
    generation: u64,
    stop: bool,
}

#[derive(Clone, Copy)]
struct Job {
    tasks: usize,
    body: *const (dyn Fn(usize) + Sync),
}

// SAFETY: `body` is `Sync`, and `Threads::run` keeps it alive until no worker holds the job.
unsafe impl Send for Job {}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Threads {
    /// Creates a pool of `count` threads, at least one, by starting `count - 1`; fewer if the system starts fewer.
    pub fn new(count: usize) -> Threads {
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        let shared = Arc::new(State {
            post: Mutex::new(Post {
                job: None,
                generation: 0,
                stop: false,
            }),
            wake: Condvar::new(),
            generation: AtomicU64::new(0),
            next_task: AtomicUsize::new(0),
            active: AtomicUsize::new(0),
            panicked: AtomicBool::new(false),
            // With more threads than cores, spinning threads would slow down working ones.
            spins: if count <= cores { SPINS } else { 0 },
        });
        let workers = (1..count)
            .map_while(|index| {
                let shared = Arc::clone(&shared);
                std::thread::Builder::new()
                    .name(format!("kernel-{index}"))
                    .spawn(move || shared.work())
                    .ok()
            })
            .collect();
        Threads {
            shared,
            workers,
            turn: Mutex::new(()),
        }
    }

    /// The number of threads, including the caller.
    pub fn count(&self) -> usize {
        self.workers.len() + 1
    }

    /// Calls `body` once for each of `0..tasks`, on any thread, and returns when all calls have returned. Must not be
    /// called from within a task.
    ///
    /// # Panics
    /// If a task panics, after the other threads have left the loop.
    pub fn run(&self, tasks: usize, body: &(dyn Fn(usize) + Sync)) {
        if self.workers.is_empty() || tasks <= 1 {
            (0..tasks).for_each(body);
            return;
        }
        let _turn = lock(&self.turn);
        let shared = &*self.shared;
        // SAFETY: only the lifetime is changed. Before this function returns or unwinds, the job is withdrawn and every
        // worker that took it has left it.
        let body: &'static (dyn Fn(usize) + Sync) = unsafe { std::mem::transmute(body) };
        let job = Job { tasks, body };
        shared.next_task.store(0, Ordering::Relaxed);
        {
            let mut post = lock(&shared.post);
            post.job = Some(job);
            post.generation += 1;
            shared.generation.store(post.generation, Ordering::Release);
        }
        shared.wake.notify_all();
        let own = shared.take_tasks(job);
        lock(&shared.post).job = None;
        let mut turns = 0;
        while shared.active.load(Ordering::Acquire) > 0 {
            if turns < shared.spins {
                turns += 1;
                std::hint::spin_loop();
            } else {
                std::thread::yield_now();
            }
        }
        let panicked = shared.panicked.swap(false, Ordering::Relaxed);
        if let Err(payload) = own {
            resume_unwind(payload);
        }
        assert!(!panicked, "a task on another thread panicked");
    }
}

impl Drop for Threads {
    fn drop(&mut self) {
        {
            let mut post = lock(&self.shared.post);
            post.stop = true;
            post.generation += 1;
            self.shared
                .generation
                .store(post.generation, Ordering::Release);
        }
        self.shared.wake.notify_all();
        for worker in self.workers.drain(..) {
            // Workers catch the panics of their tasks, so there is no error to handle.
            let _ = worker.join();
        }
    }
}

impl State {
    fn take_tasks(&self, job: Job) -> Result<(), Box<dyn Any + Send>> {
        // SAFETY: see `Job`.
        let body = unsafe { &*job.body };
        catch_unwind(AssertUnwindSafe(|| {
            loop {
                let task = self.next_task.fetch_add(1, Ordering::Relaxed);
                if task >= job.tasks {
                    break;
                }
                body(task);
            }
        }))
    }

    fn work(&self) {
        let mut seen = 0;
        loop {
            let mut turns = 0;
            while turns < self.spins && self.generation.load(Ordering::Acquire) == seen {
                turns += 1;
                std::hint::spin_loop();
            }
            let mut post = lock(&self.post);
            while post.generation == seen {
                post = self.wake.wait(post).unwrap_or_else(PoisonError::into_inner);
            }
            seen = post.generation;
            if post.stop {
                return;
            }
            // The loop may be over by the time the worker wakes.
            let Some(job) = post.job else { continue };
            self.active.fetch_add(1, Ordering::Relaxed);
            drop(post);
            if self.take_tasks(job).is_err() {
                self.panicked.store(true, Ordering::Relaxed);
            }
            self.active.fetch_sub(1, Ordering::Release);
        }
    }
}
