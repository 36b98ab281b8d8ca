//! The machine that the server runs on.

/// What this machine calls itself.
pub(super) fn machine_name() -> Option<String> {
    let name = nix::unistd::gethostname().ok()?.into_string().ok()?;
    (!name.is_empty()).then_some(name)
}
