//! The ways in which a participant joins: each server has its own signaling.

mod context;
mod janus;
mod livekit;
mod patchbay;

use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

pub(crate) use self::context::Context;
use self::context::clock;
use super::error::LoadError;
use super::options::Server;
use super::plan::Participant;
use crate::media::peer::srtp::Profile;

/// The connection of a participant's task with the run.
pub(crate) struct Conduct {
    /// The signal to leave.
    pub stop: CancellationToken,
    /// The channel for failures.
    pub failures: mpsc::UnboundedSender<LoadError>,
}

/// Takes part until `conduct.stop` is cancelled. Reports a failure.
pub(crate) async fn take_part(context: &Context, participant: Participant, conduct: Conduct) {
    let began = clock();
    let joined = || context.count_join(clock().saturating_duration_since(began));
    let done = match context.options.server {
        Server::Patchbay => patchbay::take_part(context, &participant, joined, &conduct.stop).await,
        Server::Janus => janus::take_part(context, &participant, joined, &conduct.stop).await,
        Server::Livekit => livekit::take_part(context, &participant, joined, &conduct.stop).await,
    };
    context.leave(&participant).await;
    if let Err(error) = done {
        let _ = conduct.failures.send(error);
    }
}

/// The name of a profile in the figures.
pub(crate) fn profile_name(profile: Profile) -> &'static str {
    match profile {
        Profile::AeadAes128Gcm => "AEAD_AES_128_GCM",
        Profile::AeadAes256Gcm => "AEAD_AES_256_GCM",
        Profile::Aes128CmHmacSha1_80 => "AES128_CM_HMAC_SHA1_80",
    }
}
