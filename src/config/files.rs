//! Settings of uploads.

use std::path::PathBuf;
use std::time::Duration;

use serde::{Deserialize, Serialize};

/// Where uploads are kept, how much of them, and for how long.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Files {
    pub directory: PathBuf,
    pub max_size_mib: u64,
    pub total_size_mib: u64,
    pub expire_after_h: u64,
    pub allowed_types: Vec<String>,
    pub max_uploads: usize,
}

impl Default for Files {
    fn default() -> Self {
        let allowed_types = [
            "image/*",
            "audio/*",
            "video/*",
            "text/plain",
            "text/csv",
            "text/markdown",
            "application/pdf",
            "application/rtf",
            "application/json",
            "application/zip",
            "application/x-zip-compressed",
            "application/x-7z-compressed",
            "application/vnd.rar",
            "application/x-rar-compressed",
            "application/gzip",
            "application/x-gzip",
            "application/x-tar",
            "application/msword",
            "application/vnd.ms-excel",
            "application/vnd.ms-powerpoint",
            "application/vnd.openxmlformats-officedocument.*",
            "application/vnd.oasis.opendocument.*",
        ];
        Self {
            directory: "data/files".into(),
            max_size_mib: 50,
            total_size_mib: 2_048,
            expire_after_h: 168,
            allowed_types: allowed_types.map(str::to_owned).to_vec(),
            max_uploads: 32,
        }
    }
}

impl Files {
    pub(crate) fn max_bytes(&self) -> u64 {
        self.max_size_mib.saturating_mul(1 << 20)
    }

    pub(crate) fn total_bytes(&self) -> u64 {
        self.total_size_mib.saturating_mul(1 << 20)
    }

    pub(crate) fn expire_after(&self) -> Duration {
        Duration::from_secs(self.expire_after_h.saturating_mul(3_600))
    }
}
