//! The program as people run it: commands, starts that fail with a sentence, and how it ends.

mod commands;
mod conferences;
#[cfg(debug_assertions)]
mod failing;
pub mod program;
mod robot;
mod serving;
mod signals;
mod starts_that_fail;
mod tokens;
