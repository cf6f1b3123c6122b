//! Whatever is in a file: no panic, no unbounded memory, and either a value or an error of one line. Valid files are changed
//! at random and read with the library's own entry points.
//!
//! - `REFIG_MUTATIONS=10000000 cargo test --test mutated_files -- --nocapture` makes that many cases; there are a few
//!   thousand without it
//! - `REFIG_MUTATION=pictures:17` makes case 17 of a kind again
//! - `memory.rs` counts what is allocated, `mutate.rs` changes files, `hold.rs` reads them; the other files have the kinds

#![allow(clippy::print_stdout, reason = "the counts are the result")]

mod data;
mod hold;
mod memory;
mod mutate;
mod runs;
mod texts;

#[allow(dead_code, unused_imports, reason = "shared with other tests")]
#[path = "../common/mod.rs"]
mod common;

#[global_allocator]
static ALLOCATOR: memory::Counting = memory::Counting;
