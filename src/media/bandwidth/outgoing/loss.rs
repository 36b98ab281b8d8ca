//! Whether packets are lost because we send too much. The only way to know is to send something else and to look.
//!
//! First a short probe sends more. If no more of it is lost, then the loss does not depend on us (a radio link, say), and nothing
//! changes for viewers; it is asked again each ten seconds. If more is lost, or that is not clear, less is sent for a second. If then
//! as much arrives as before, or less is lost, the path was full. If not, sending less would only be less. Rules that follow the loss
//! alone (RFC 8298 §4.1.2.1, draft-ietf-rmcat-gcc-02 §6) starve on such a path.

use super::Micros;
use super::flight::Lost;

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
/// Percent of what was sent at which a probe asks whether more is lost then: usually, and where the path does not carry that. So much
/// has to be sent at least.
const MORE_PERCENT: u64 = 200;
const LESS_PERCENT: u64 = 150;
const SENT_PERCENT: u64 = 125;
/// Packets of such a probe, and of media beside it, whose loss says something.
const PROBE_PACKETS_MIN: u32 = 12;
/// The highest rate of such a probe, in bits per second.
const PROBE_MAX: u64 = 30_000_000;
/// Where a greater share is lost, nearly as much would be lost of a probe if the path is not full as if it is.
const CHANCE_MAX: f64 = 0.35;
/// Times that it is asked before less is sent to find out.
const ASKS_MAX: u8 = 2;
/// The time after which it is asked again whether loss is by chance, if as much is lost. A wrong answer would otherwise stay for ever.
const ASKS_EACH: Micros = 10_000_000;
/// The time after which such a probe is not waited for any longer, besides two round trips.
const PATIENCE: Micros = 700_000;

#[derive(Clone, Copy, Default)]
struct Bucket {
    packets: u32,
    lost: u32,
}

impl Bucket {
    fn share(self) -> f64 {
        f64::from(self.lost) / f64::from(self.packets.max(1))
    }

    fn with(self, packets: u32, lost: u32) -> Bucket {
        Bucket {
            packets: self.packets.saturating_add(packets),
            lost: self.lost.saturating_add(lost),
        }
    }

    /// The least that is lost of so many packets if the share is the same as of those `before`, two standard deviations below what is
    /// to be expected.
    fn expected_least(self, packets: f64, before: u32) -> f64 {
        let expected = packets * self.share();
        let variance = expected * (1.0 - self.share()) * (1.0 + packets / f64::from(before.max(1)));
        expected - 2.0 * variance.sqrt()
    }
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

/// A probe that is to show whether more is lost if more is sent.
#[derive(Clone, Copy)]
struct Question {
    /// The rate that was sent before, in bits per second.
    sending: u64,
    lost: Bucket,
    /// Whether media filled the target.
    is_filled: bool,
    /// The rate of its probe, in percent of what was sent.
    percent: u64,
    until: Micros,
    /// How often it has been asked.
    times: u8,
    /// Whether the loss is believed to be by chance. Then nothing but a sure answer changes anything.
    is_believed: bool,
}

/// What a probe says of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Answer {
    /// No more is lost although more is sent: the path is not full.
    Chance,
    /// More is lost.
    Full,
    /// Neither is sure.
    Unclear,
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
    question: Option<Question>,
    /// The time of the last question or verdict.
    asked_at: Micros,
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
            question: None,
            asked_at: 0,
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
        (self.trial, self.question) = (None, None);
    }

    fn total(&self) -> Bucket {
        let buckets = self.buckets.iter();
        buckets.fold(Bucket::default(), |sum, bucket| sum.with(bucket.packets, bucket.lost))
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

    /// Whether it is being found out why packets are lost.
    pub(super) fn is_busy(&self) -> bool {
        self.trial.is_some() || self.question.is_some()
    }

    /// Whether more is lost than chance explains.
    pub(super) fn is_significant(&self) -> bool {
        self.exceeds(self.inherent)
    }

    /// Whether it is time to ask once more whether what is lost is by chance.
    pub(super) fn is_doubtful(&self, now: Micros) -> bool {
        now.saturating_sub(self.asked_at) >= ASKS_EACH && self.exceeds(INHERENT_LOSS)
    }

    fn exceeds(&self, inherent: f64) -> bool {
        let total = self.total();
        let packets = f64::from(total.packets);
        let deviation = (packets * inherent * (1.0 - inherent)).sqrt();
        total.packets > PACKETS_MIN && f64::from(total.lost) > packets * inherent + 3.0 * deviation + 2.0
    }

    /// Whether so little is lost that it may be by chance, and that a probe shows it.
    pub(super) fn may_be_chance(&self) -> bool {
        self.total().share() <= CHANCE_MAX
    }

    /// Begins to ask whether more is lost if more than `sending` is sent. `is_filled` says whether media fill the target. Returns the
    /// rate of the probe that shows it.
    pub(super) fn ask(&mut self, now: Micros, round_trip: Micros, sending: u64, is_filled: bool) -> u64 {
        let before = self.question;
        let is_believed = self.inherent > INHERENT_LOSS && !self.is_significant();
        let lost = self.total();
        self.asked_at = now;
        let question = Question {
            sending,
            lost: before.map_or(lost, |before| before.lost),
            is_filled: before.map_or(is_filled, |before| before.is_filled),
            percent: before.map_or(MORE_PERCENT, |before| before.percent),
            until: now
                .saturating_add(PATIENCE)
                .saturating_add(round_trip.saturating_mul(2)),
            times: before.map_or(1, |before| before.times + 1),
            is_believed: before.map_or(is_believed, |before| before.is_believed),
        };
        self.question = Some(question);
        (sending / 100).saturating_mul(question.percent).min(PROBE_MAX)
    }

    /// The rate that was sent before the question that is asked now.
    pub(super) fn asked_at(&self) -> Option<u64> {
        self.question.map(|question| question.sending)
    }

    pub(super) fn may_ask_again(&self) -> bool {
        self.question.is_some_and(|question| question.times < ASKS_MAX)
    }

    /// Whether less is to be sent to find out, because the answer has not come in time. Then it is not waited for any longer.
    pub(super) fn is_unanswered(&mut self, now: Micros) -> bool {
        let late = self.question.take_if(|question| now >= question.until);
        late.is_some_and(|question| !question.is_believed)
    }

    /// Gives up a question whose answer is believed to be known. False if it is not.
    pub(super) fn keeps_belief(&mut self) -> bool {
        self.question.take_if(|question| question.is_believed).is_some()
    }

    /// What a probe says of the question that is asked.
    pub(super) fn answer(&mut self, shown: Lost) -> Answer {
        let Some(question) = &mut self.question else {
            return Answer::Unclear;
        };
        let (packets, lost) = (f64::from(shown.packets), f64::from(shown.lost));
        let all = question.lost.with(shown.packets, shown.lost);
        let before = question.lost.share();
        // On a full path as much would have arrived as before.
        let full = 1.0 - (1.0 - before) * 100.0 / question.percent as f64;
        // A short queue loses more of media, which leave in bursts, than of a probe, whose packets leave one by one.
        let is_less = lost < all.expected_least(packets, question.lost.packets);
        let is_more = lost > packets * (before + full) / 2.0;
        let was_sent = shown.packets >= PROBE_PACKETS_MIN && shown.sent >= question.sending / 100 * SENT_PERCENT;
        if is_more && (question.is_filled || shown.saturated) {
            return Answer::Full;
        }
        if shown.saturated {
            question.percent = LESS_PERCENT;
        }
        if !was_sent || is_less || is_more || shown.saturated {
            return Answer::Unclear;
        }
        self.is_inherent(all.share().min(before));
        Answer::Chance
    }

    fn is_inherent(&mut self, loss: f64) {
        self.inherent = self.inherent.max(loss).min(INHERENT_LOSS_MAX);
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
        (self.trial, self.asked_at) = (None, now);
        let after = self.total();
        let before = trial.lost.share();
        let all = trial.lost.with(after.packets, after.lost);
        let (packets, lost) = (f64::from(after.packets), f64::from(after.lost));
        let fell = lost < FALLEN * before * packets && lost < all.expected_least(packets, trial.lost.packets);
        let stayed = arrived as f64 > trial.arrived as f64 * (1.0 + trial.kept) / 2.0;
        if fell || stayed {
            // What was believed to be by chance was not, but for what is lost still.
            self.inherent = self.inherent.min(after.share().max(INHERENT_LOSS));
            return Some(Verdict::Full {
                arrived: trial.arrived.max(arrived),
            });
        }
        self.is_inherent(all.share().min(before));
        Some(Verdict::Inherent { target: trial.target })
    }

    /// Lets the inherent loss follow what is measured, downwards: by a twentieth of the difference each second.
    pub(super) fn settle(&mut self, now: Micros) {
        let passed = now.saturating_sub(self.settled_at).min(1_000_000);
        self.settled_at = now;
        let total = self.total();
        let measured = total.share().max(INHERENT_LOSS);
        if self.trial.is_none() && total.packets > PACKETS_MIN && measured < self.inherent {
            self.inherent -= (self.inherent - measured) * 0.05 * (passed as f64 / 1e6);
        }
    }
}
