//! The devices that are connected to this process.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::storage::DeviceRecord;

/// The number of connections of each device. Bounded by the connections that the server takes. Cheap to
/// clone.
#[derive(Clone, Default)]
pub(super) struct DevicesInUse(Arc<Mutex<HashMap<DeviceRecord, usize>>>);

/// One connection of a device. It counts until it is dropped.
pub struct InUse {
    devices: DevicesInUse,
    device: DeviceRecord,
}

impl DevicesInUse {
    pub(super) fn add(&self, device: &DeviceRecord) -> InUse {
        *self.lock().entry(device.clone()).or_default() += 1;
        InUse {
            devices: self.clone(),
            device: device.clone(),
        }
    }

    pub(super) fn contains(&self, device: &DeviceRecord) -> bool {
        self.lock().contains_key(device)
    }

    pub(super) fn all(&self) -> Vec<DeviceRecord> {
        self.lock().keys().cloned().collect()
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<DeviceRecord, usize>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for InUse {
    fn drop(&mut self) {
        let mut devices = self.devices.lock();
        let left = devices.get(&self.device).map_or(0, |count| count.saturating_sub(1));
        if left == 0 {
            devices.remove(&self.device);
        } else {
            devices.insert(self.device.clone(), left);
        }
    }
}
