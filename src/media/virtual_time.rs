//! The clock of unit tests: one fixed instant from which a test counts on its own.

#[cfg(test)]
#[allow(
    clippy::disallowed_methods,
    reason = "no other way to make an Instant; tests only add to it"
)]
pub(crate) fn epoch() -> std::time::Instant {
    static EPOCH: std::sync::OnceLock<std::time::Instant> = std::sync::OnceLock::new();
    *EPOCH.get_or_init(std::time::Instant::now)
}
