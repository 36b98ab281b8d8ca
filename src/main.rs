//! The program. The module [`patchbay::cli`] reads the arguments.

#![forbid(unsafe_code)]

fn main() -> std::process::ExitCode {
    patchbay::cli::main()
}
