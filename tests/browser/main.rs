//! Real Chromium, Firefox, headless with fake devices, and GStreamer against the real program.
//!
//! Needs Debian's `chromium`, `chromium-driver`, `firefox-esr`, and GStreamer with its Python bindings; `tests/run` installs them.
//! Scenarios run one after another: each drives several browsers, and a machine that decodes too much at once measures itself.

#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "a test fails by its panic"
)]

mod actions;
mod adaptive;
mod arrival;
mod by_tcp;
mod call;
mod calls;
mod device_calls;
mod devices;
mod firefox;
mod formats;
mod gstreamer;
mod harness;
#[allow(dead_code, reason = "each binary uses its own part of the common support")]
#[path = "../support/house.rs"]
mod house;
mod losses;
mod losses_up;
mod media;
mod meet;
mod messages;
mod one_connection;
mod outage;
mod page_logic;
mod quality;
mod reach;
#[path = "../it/clients/relay.rs"]
mod relay;
mod relayed;
mod resume;
mod robot;
mod room;
mod scalable;
mod sdk;
mod speaking;
mod steering;
#[path = "../support/mod.rs"]
mod support;
mod token;
mod unbundled;
mod whip;
