//! The machine that the server runs on.

/// The name that this machine has for itself.
pub(super) fn machine_name() -> Option<String> {
    let name = nix::unistd::gethostname().ok()?.into_string().ok()?;
    (!name.is_empty()).then_some(name)
}
