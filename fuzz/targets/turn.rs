//! See `tests/fuzz/targets/`.

#![no_main]

patchbay_fuzz::target!("turn");
