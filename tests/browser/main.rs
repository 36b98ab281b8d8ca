//! Real Chromium, headless with fake devices, against the real program.
//!
//! Needs Debian's `chromium` and `chromium-driver`; `tests/run` installs them. Scenarios run one after another: each
//! drives several browsers, and a machine that decodes too much at once measures itself.

mod devices;
mod harness;
mod page_logic;
