//! The program: arguments are the business of [`patchbay::cli`].

fn main() -> std::process::ExitCode {
    patchbay::cli::main()
}
