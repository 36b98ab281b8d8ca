//! The reasons why a port cannot be opened, in sentences that say what to do.

use std::io::ErrorKind;

/// The name of the setting that has the port or its address.
pub(crate) type Setting = &'static str;

#[derive(Debug, thiserror::Error)]
pub enum PortError {
    #[error(
        "the port is in use. Stop the other program (is patchbay running already?), or change {0} in the configuration"
    )]
    InUse(Setting),
    #[error(
        "this user may not open ports below 1024. Give the program the right CAP_NET_BIND_SERVICE \
        (`setcap cap_net_bind_service=+ep <the program>`, or AmbientCapabilities= in its systemd unit), or choose a higher \
        port under {0} in the configuration"
    )]
    Privileged(Setting),
    #[error("{source}. Choose another address under {setting} in the configuration")]
    Failed { setting: Setting, source: std::io::Error },
}

impl PortError {
    pub fn of(source: std::io::Error, port: u16, setting: Setting) -> PortError {
        match source.kind() {
            ErrorKind::AddrInUse => PortError::InUse(setting),
            // ip(7): ports below ip_unprivileged_port_start are privileged. It is 1024 unless somebody has
            // changed it.
            ErrorKind::PermissionDenied if (1..1024).contains(&port) => PortError::Privileged(setting),
            _ => PortError::Failed { setting, source },
        }
    }

    /// Whether this machine lacks the address, or all addresses of that kind (as a machine without IPv6
    /// does).
    pub(crate) fn is_missing_address(&self) -> bool {
        let PortError::Failed { source, .. } = self else {
            return false;
        };
        matches!(source.kind(), ErrorKind::AddrNotAvailable | ErrorKind::Unsupported)
            || source.raw_os_error() == Some(nix::errno::Errno::EAFNOSUPPORT as i32)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_keeps_a_port_from_opening_names_its_setting_and_what_to_do() {
        let text = |kind: ErrorKind, port, setting| PortError::of(kind.into(), port, setting).to_string();
        let taken = text(ErrorKind::AddrInUse, 9100, "metrics.address");
        assert!(
            taken.contains("in use") && taken.contains("change metrics.address"),
            "{taken}"
        );
        let privileged = text(ErrorKind::PermissionDenied, 443, "listeners");
        assert!(privileged.contains("CAP_NET_BIND_SERVICE"), "{privileged}");
        let forbidden = text(ErrorKind::PermissionDenied, 8443, "listeners");
        assert!(!forbidden.contains("CAP_NET_BIND_SERVICE"), "{forbidden}");
        let elsewhere = text(ErrorKind::AddrNotAvailable, 80, "metrics.address");
        assert!(
            elsewhere.contains("another address under metrics.address"),
            "{elsewhere}"
        );
    }
}
