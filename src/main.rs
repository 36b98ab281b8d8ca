//! The program. The module [`patchbay::cli`] reads the arguments.

fn main() -> std::process::ExitCode {
    patchbay::cli::main()
}
