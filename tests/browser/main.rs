//! Real Chromium, and Firefox, headless with fake devices, against the real program.
//!
//! Needs Debian's `chromium`, `chromium-driver` and `firefox-esr`; `tests/run` installs them. Scenarios run one after another: each
//! drives several browsers, and a machine that decodes too much at once measures itself.

mod actions;
mod arrival;
mod call;
mod device_calls;
mod devices;
mod firefox;
mod formats;
mod harness;
mod media;
mod messages;
mod outage;
mod page_logic;
mod reach;
#[path = "../it/clients/relay.rs"]
mod relay;
mod room;
#[path = "../support/mod.rs"]
mod support;
