//! The download of an archive against a server on this machine: resumed, checked, and never half there.

mod fallback;
mod fetched;
mod part;
mod server;
mod sources;
