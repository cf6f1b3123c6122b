//! Runs in child processes: several at a time, on one device or on several.
//!
//! - `supervise.rs` starts a worker for each run and waits for all of them
//! - `slots.rs`: where runs can be made at the same time; `memory.rs`: how many there is memory for; `order.rs`: which run is
//!   next
//! - `child.rs`: one worker, its device, its log and what it says; `board.rs` shows all of them

mod board;
mod child;
pub mod memory;
mod order;
mod slots;
mod supervise;

pub use board::Board;
pub use child::{Workers, option};
pub use order::Order;
pub use slots::{Slot, slots};
pub use supervise::{Failed, supervise};
