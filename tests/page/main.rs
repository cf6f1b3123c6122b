//! The report in a browser: no errors, the switches switch, nothing wider than a phone. Where no Chromium is installed
//! (`chromium`, `chromium-browser`, `google-chrome`, or what `CHROMIUM` names) the test says so and passes.

mod browser;
mod recorded;
mod written;

#[path = "../common/mod.rs"]
mod common;
