use std::sync::atomic::{AtomicUsize, Ordering};

use super::super::Threads;

#[test]
fn a_pool_calls_every_task_once() {
    for count in [1, 2, 3, 7] {
        let threads = Threads::new(count);
        assert_eq!(threads.count(), count);
        for round in 0..300 {
            let tasks = round % 40;
            let calls: Vec<AtomicUsize> = (0..tasks).map(|_| AtomicUsize::new(0)).collect();
            threads.run(tasks, &|task| {
                calls[task].fetch_add(1, Ordering::Relaxed);
            });
            assert!(calls.iter().all(|calls| calls.load(Ordering::Relaxed) == 1));
        }
    }
}

#[test]
fn a_panic_in_a_task_reaches_the_caller_and_the_pool_goes_on() {
    let threads = Threads::new(3);
    for bad in [0, 17, 63] {
        let run = std::panic::AssertUnwindSafe(|| threads.run(64, &|task| assert!(task != bad)));
        assert!(std::panic::catch_unwind(run).is_err());
    }
    let done = AtomicUsize::new(0);
    threads.run(64, &|_| {
        done.fetch_add(1, Ordering::Relaxed);
    });
    assert_eq!(done.into_inner(), 64);
}
