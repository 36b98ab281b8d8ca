//! Whether packets are lost because we send too much. The only way to know is to send less and to look.
//!
//! If as much arrives as before, or less is lost, then the path was full. If not, then the loss does not depend on us (a radio link,
//! say), and sending less would only be less. Rules that follow the loss alone (RFC 8298 §4.1.2.1, draft-ietf-rmcat-gcc-02 §6) starve
//! on such a path.

use super::Micros;

const BUCKET: Micros = 100_000;
const BUCKETS: usize = 10;
/// The loss that is taken for granted at first.
const INHERENT_LOSS: f64 = 0.01;
const INHERENT_LOSS_MAX: f64 = 0.5;
/// Packets that must have been sent in the last second before their loss says something.
const PACKETS_MIN: u32 = 30;
/// The loss has fallen if it is below this share of what it was.
const FALLEN: f64 = 0.6;
const TRIAL: Micros = 1_000_000;

#[derive(Clone, Copy, Default)]
struct Bucket {
    packets: u32,
    lost: u32,
}

#[derive(Clone, Copy)]
struct Trial {
    judged_at: Micros,
    /// The target before the trial.
    target: u64,
    arrived: u64,
    /// The share of what was sent that the trial sends.
    kept: f64,
    lost: Bucket,
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Verdict {
    /// The path was full; this rate arrived.
    Full { arrived: u64 },
    /// The loss does not depend on us. The target before the trial was this.
    Inherent { target: u64 },
}

pub(super) struct Loss {
    buckets: [Bucket; BUCKETS],
    newest: u64,
    /// Packets that were sent before this time do not count: they belong to a rate that is no longer sent.
    from: Micros,
    inherent: f64,
    settled_at: Micros,
    trial: Option<Trial>,
}

impl Loss {
    pub(super) fn new() -> Loss {
        Loss {
            buckets: [Bucket::default(); BUCKETS],
            newest: 0,
            from: 0,
            inherent: INHERENT_LOSS,
            settled_at: 0,
            trial: None,
        }
    }

    pub(super) fn packet(&mut self, sent: Micros, lost: bool) {
        let bucket = sent / BUCKET;
        if sent < self.from || bucket + (BUCKETS as u64) <= self.newest {
            return;
        }
        for skipped in (self.newest + 1).max(bucket.saturating_sub(BUCKETS as u64))..=bucket {
            if let Some(slot) = self.buckets.get_mut((skipped % BUCKETS as u64) as usize) {
                *slot = Bucket::default();
            }
        }
        self.newest = self.newest.max(bucket);
        if let Some(slot) = self.buckets.get_mut((bucket % BUCKETS as u64) as usize) {
            slot.packets = slot.packets.saturating_add(1);
            slot.lost = slot.lost.saturating_add(u32::from(lost));
        }
    }

    /// Forgets what was sent before `now`.
    pub(super) fn begin_anew(&mut self, now: Micros) {
        self.buckets = [Bucket::default(); BUCKETS];
        self.from = now;
        self.trial = None;
    }

    fn total(&self) -> Bucket {
        self.buckets.iter().fold(Bucket::default(), |sum, bucket| Bucket {
            packets: sum.packets.saturating_add(bucket.packets),
            lost: sum.lost.saturating_add(bucket.lost),
        })
    }

    /// The share that was lost in the last second, in 1/256.
    pub(super) fn in_256(&self) -> u8 {
        let total = self.total();
        (u64::from(total.lost) * 256 / u64::from(total.packets).max(1)).min(255) as u8
    }

    /// The rate that was sent if `arrived` arrived.
    pub(super) fn before_loss(&self, arrived: u64) -> u64 {
        let total = self.total();
        let came = u64::from(total.packets.saturating_sub(total.lost)).max(1);
        arrived.saturating_mul(u64::from(total.packets.max(1))) / came
    }

    pub(super) fn inherent(&self) -> f64 {
        self.inherent
    }

    pub(super) fn is_on_trial(&self) -> bool {
        self.trial.is_some()
    }

    /// Whether more is lost than chance explains.
    pub(super) fn is_significant(&self) -> bool {
        let total = self.total();
        let packets = f64::from(total.packets);
        let deviation = (packets * self.inherent * (1.0 - self.inherent)).sqrt();
        total.packets > PACKETS_MIN && f64::from(total.lost) > packets * self.inherent + 3.0 * deviation + 2.0
    }

    /// Begins to look whether less is lost at `kept` times the rate. `target` was the target, and `arrived` the rate that arrived.
    pub(super) fn begin_trial(&mut self, now: Micros, round_trip: Micros, target: u64, arrived: u64, kept: f64) {
        let lost = self.total();
        self.begin_anew(now);
        self.trial = Some(Trial {
            judged_at: now.saturating_add(TRIAL).saturating_add(round_trip.saturating_mul(2)),
            target,
            arrived,
            kept,
            lost,
        });
    }

    /// The end of a trial, once it has lasted long enough. `arrived` is the rate of the last second.
    pub(super) fn judge(&mut self, now: Micros, arrived: u64) -> Option<Verdict> {
        let trial = self.trial.filter(|trial| now >= trial.judged_at)?;
        self.trial = None;
        let after = self.total();
        let before = share(f64::from(trial.lost.lost), trial.lost.packets);
        let all = share(
            f64::from(trial.lost.lost.saturating_add(after.lost)),
            trial.lost.packets.saturating_add(after.packets),
        );
        // What would be lost now if nothing had changed, and how far chance may lead away from that.
        let packets = f64::from(after.packets);
        let expected = packets * all;
        let chance = (expected * (1.0 - all) * (1.0 + packets / f64::from(trial.lost.packets.max(1)))).sqrt();
        let lost = f64::from(after.lost);
        let fell = lost < FALLEN * before * packets && lost < expected - 2.0 * chance;
        let stayed = arrived as f64 > trial.arrived as f64 * (1.0 + trial.kept) / 2.0;
        if fell || stayed {
            return Some(Verdict::Full {
                arrived: trial.arrived.max(arrived),
            });
        }
        self.inherent = self.inherent.max(all.min(before)).min(INHERENT_LOSS_MAX);
        Some(Verdict::Inherent { target: trial.target })
    }

    /// Lets the inherent loss follow what is measured, downwards: by a twentieth of the difference each second.
    pub(super) fn settle(&mut self, now: Micros) {
        let passed = now.saturating_sub(self.settled_at).min(1_000_000);
        self.settled_at = now;
        let total = self.total();
        let measured = share(f64::from(total.lost), total.packets).max(INHERENT_LOSS);
        if self.trial.is_none() && total.packets > PACKETS_MIN && measured < self.inherent {
            self.inherent -= (self.inherent - measured) * 0.05 * (passed as f64 / 1e6);
        }
    }
}

fn share(lost: f64, packets: u32) -> f64 {
    lost.max(0.0) / f64::from(packets.max(1))
}
