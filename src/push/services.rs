//! The push services that are configured, and what each is sent.

use std::time::Duration;

use super::apns::{Apns, ApnsNotice, Kind};
use super::errors::PushError;
use super::jpush::{JPush, JPushNotice};
use super::outcome::{Attempt, Outcome};
use crate::clock::{MonotonicClock, WallClock, now_s};
use crate::config;
use crate::ids::{PushService, RoomName};
use crate::signaling::push::{self as words, Invitation, Ringing};

/// The push services that are configured.
pub struct Services {
    apns: Option<Apns>,
    jpush: Option<JPush>,
    clock: WallClock,
}

/// A notice in the words of one app, the same in each attempt.
#[derive(Clone, Debug)]
pub(super) enum Message {
    Apns(ApnsNotice),
    JPush(JPushNotice),
}

impl Services {
    /// Reads the keys. Asks no service anything.
    pub fn open(config: &config::Push, clock: WallClock, passed: MonotonicClock) -> Result<Services, PushError> {
        let apns = config.apns.is_configured();
        let jpush = config.jpush.is_configured();
        Ok(Services {
            apns: apns.then(|| Apns::open(config, clock.clone(), passed)).transpose()?,
            jpush: jpush.then(|| JPush::open(config, clock.clone())).transpose()?,
            clock,
        })
    }

    pub(super) fn has(&self, service: PushService) -> bool {
        match service {
            PushService::ApnsAlert | PushService::ApnsVoip => self.apns.is_some(),
            PushService::JPush => self.jpush.is_some(),
        }
    }

    pub(super) async fn send(&self, device: &str, message: &Message, within: Duration) -> Attempt {
        match (message, &self.apns, &self.jpush) {
            (Message::Apns(notice), Some(apns), _) => apns.send(device, notice).await,
            (Message::JPush(notice), _, Some(jpush)) => jpush.send(device, notice, within).await,
            (Message::Apns(_) | Message::JPush(_), ..) => Attempt::new(Outcome::NotAllowed, "not configured"),
        }
    }

    /// Lets one device ring as if somebody called, to see whether the service takes that. Returns what the service said. `None`
    /// where the service is not configured.
    pub async fn try_out(&self, service: PushService, device: &str) -> Option<Attempt> {
        let test = Ringing {
            caller: "patchbay".to_owned(),
            room: "test".to_owned(),
            began_s: now_s(&self.clock),
            invitation: Invitation::default(),
        };
        let message = message(service, Some(&test)).filter(|_| self.has(service))?;
        Some(self.send(device, &message, words::FRESH_FOR).await)
    }
}

/// What a device of this service is sent: that a call rings, or that it is over. `None` where its app knows no such notice.
pub(super) fn message(service: PushService, call: Option<&Ringing>) -> Option<Message> {
    let payload = match (service, call) {
        (PushService::ApnsAlert, Some(call)) => words::alert(call)?,
        (PushService::ApnsAlert, None) => return None,
        (PushService::ApnsVoip, Some(call)) => words::voip_call(call),
        (PushService::ApnsVoip, None) => words::voip_cancel(),
        (PushService::JPush, Some(call)) => words::call(call),
        (PushService::JPush, None) => words::cancel(),
    };
    let apns = |kind, payload| {
        let id = uuid::Builder::from_random_bytes(rand::random()).into_uuid();
        Message::Apns(ApnsNotice { id, kind, payload })
    };
    Some(match service {
        PushService::ApnsAlert => apns(Kind::Alert, payload),
        PushService::ApnsVoip => apns(Kind::Call, payload),
        // The service reads it as a signed number.
        PushService::JPush => Message::JPush(JPushNotice {
            number: rand::random_range(1..=i32::MAX.unsigned_abs()),
            payload,
        }),
    })
}

/// Whether the app of a device of this service knows a notice of such a call: that it rings (`room`: where its parties meet), or that
/// it is over (`None`).
pub(super) fn knows(service: PushService, rings_in: Option<&RoomName>) -> bool {
    match service {
        PushService::ApnsAlert => rings_in.is_some_and(RoomName::is_channel),
        PushService::ApnsVoip | PushService::JPush => true,
    }
}

/// Time for which an app takes the notice that a call rings, if that is shorter than it rings.
pub(super) fn fresh_for(service: PushService) -> Option<Duration> {
    match service {
        PushService::ApnsAlert => None,
        PushService::ApnsVoip | PushService::JPush => Some(words::FRESH_FOR),
    }
}
