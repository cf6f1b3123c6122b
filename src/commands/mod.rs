//! A thin file per verb: from clap's types to the library and back to an exit code.
mod describe;
mod seeds;
mod selection;
