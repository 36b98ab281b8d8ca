//! The life of one call, as its record has it: who is in it, what an event means, and when it is over. Pure; the time is given.

mod kept;

use crate::ids::UserId;
use crate::storage::{CallRecord, Ending, Member, MemberStatus, Report};

/// People of one call. A room holds a hundred.
pub(super) const MEMBERS_MAX: usize = 100;

/// Time after the end of a call that nobody has answered, in which a robot may still take it: callers decide at once.
const TAKEN_UP_WITHIN_S: i64 = 600;

/// Codes of events, as the app's back end knows them.
pub(super) mod code {
    /// People have begun to talk.
    pub const BEGUN: i64 = 1;
    /// Somebody has left who talked.
    pub const LEFT: i64 = 2;
    /// Nothing was heard of somebody. The server's own.
    pub const SILENT: i64 = 3;
    pub const CANCELLED: i64 = 1000;
    pub const NO_ANSWER: i64 = 1001;
    /// The caller says that a callee has declined.
    pub const WAS_DECLINED: i64 = 1002;
    pub const DECLINED: i64 = 1003;
    /// A callee says that the caller has given up.
    pub const WAS_CANCELLED: i64 = 1006;
    pub const FAILED: i64 = 1007;
}

/// The description of [`code::SILENT`].
const MISSED: &str = "通话记录timeout检测";

/// What follows from a change of a record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Consequence {
    Nothing,
    /// They are in the call, and have to be heard of from now on. If `answers`, as a callee they have thereby answered.
    Joined {
        answers: bool,
    },
    Left,
    /// A callee does not want the call, or cannot take it; it rings at others.
    Out,
    /// The call is over.
    Over,
}

/// What becomes of somebody of whom this process has heard nothing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Missed {
    /// They have left the call by that.
    Silent(Consequence),
    /// Another process has heard of them, so many seconds ago.
    Heard { ago_s: i64 },
    /// They are not in the call.
    Gone,
}

/// Why an event is not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum NotTaken {
    TooManyMembers,
    /// The call is over, or they have left it.
    Over,
}

impl CallRecord {
    pub(super) fn is_over(&self) -> bool {
        self.ended_s.is_some()
    }

    /// Whether somebody has answered, or people talk: the call no longer ends because it has rung for long enough.
    pub(super) fn is_taken(&self) -> bool {
        self.answered_s.is_some() || self.started_s.is_some()
    }

    pub(super) fn has_callees(&self) -> bool {
        self.members.iter().any(|member| member.user != self.caller)
    }

    pub(super) fn is_in(&self, user: &UserId) -> bool {
        self.members.iter().any(|member| member.user == *user && member.is_in())
    }

    pub(super) fn people_in(&self) -> usize {
        self.members.iter().filter(|member| member.is_in()).count()
    }

    fn member_mut(&mut self, user: &UserId) -> Option<&mut Member> {
        self.members.iter_mut().find(|member| member.user == *user)
    }

    /// Whether this is a callee who has neither answered nor declined.
    pub(super) fn is_called(&self, user: &UserId) -> bool {
        let is_called = |member: &Member| member.status == MemberStatus::Called && member.joined_s.is_none();
        *user != self.caller
            && self
                .members
                .iter()
                .any(|member| member.user == *user && is_called(member))
    }

    /// A callee has answered. Returns whether they have: anybody else has nothing to answer.
    pub(super) fn answer(&mut self, user: &UserId, now_s: i64) -> bool {
        if self.is_over() || !self.is_called(user) {
            return false;
        }
        if let Some(member) = self.member_mut(user) {
            (member.status, member.seen_s) = (MemberStatus::Answered, now_s);
        }
        self.answered_s.get_or_insert(now_s);
        true
    }

    /// Takes an event that a client reports. Its meaning does not depend on whether it is kept.
    pub(super) fn report(
        &mut self,
        report: Report,
        reports: &mut Vec<Report>,
        now_s: i64,
    ) -> Result<Consequence, NotTaken> {
        let user = report.user.clone();
        let is_callers = user == self.caller && self.started_s.is_none();
        let consequence = match report.code {
            _ if self.is_over() => Consequence::Nothing,
            code::BEGUN => {
                let answers = self.join(&user, now_s)?;
                self.started_s.get_or_insert(now_s);
                if let Some(member) = self.member_mut(&user) {
                    member.status = MemberStatus::Answered;
                }
                Consequence::Joined { answers }
            }
            code::LEFT if self.is_called(&user) => self.out(&user, Ending::Ended, now_s),
            code::LEFT => self.leave(&user, Ending::Ended, now_s),
            code::CANCELLED if is_callers => self.close(Ending::Cancelled, now_s),
            code::NO_ANSWER if is_callers => self.close(Ending::NoAnswer, now_s),
            code::WAS_DECLINED if is_callers => self.close(Ending::Declined, now_s),
            code::DECLINED if self.is_called(&user) => self.out(&user, Ending::Declined, now_s),
            code::WAS_CANCELLED if self.is_called(&user) => self.out(&user, Ending::Cancelled, now_s),
            code::FAILED => self.fail(&user, now_s),
            _ => Consequence::Nothing,
        };
        self.record(report, reports);
        Ok(consequence)
    }

    /// Somebody is in the call. Returns whether they have answered it thereby.
    pub(super) fn join(&mut self, user: &UserId, now_s: i64) -> Result<bool, NotTaken> {
        if self.is_over() {
            return Err(NotTaken::Over);
        }
        let answers = self.answer(user, now_s);
        if self.member_mut(user).is_none() {
            if self.members.len() >= MEMBERS_MAX {
                return Err(NotTaken::TooManyMembers);
            }
            self.members.push(Member {
                id: 0,
                user: user.clone(),
                status: MemberStatus::Answered,
                created_s: now_s,
                joined_s: None,
                seen_s: now_s,
                left_s: None,
            });
        }
        if let Some(member) = self.member_mut(user) {
            member.joined_s.get_or_insert(now_s);
            (member.seen_s, member.left_s) = (now_s, None);
        }
        Ok(answers)
    }

    /// Whether somebody is in the call by being in the room of its channel. A callee who has not answered is not, and nobody who
    /// has left: their client may be on its way out.
    pub(super) fn counts_presence_of(&self, user: &UserId) -> bool {
        let has_left = |member: &Member| member.user == *user && member.left_s.is_some();
        !self.is_over() && !self.is_called(user) && !self.members.iter().any(has_left)
    }

    /// Somebody has left. The call is over if nobody else is in it.
    pub(super) fn leave(&mut self, user: &UserId, last: Ending, now_s: i64) -> Consequence {
        let Some(member) = self.member_mut(user) else {
            return Consequence::Nothing;
        };
        member.part(now_s);
        match self.people_in() {
            0 => self.close(last, now_s),
            _ => Consequence::Left,
        }
    }

    /// A callee who has not answered is out of the call, which goes on ringing at others. Without others it is over, unless
    /// people are in it.
    pub(super) fn out(&mut self, user: &UserId, last: Ending, now_s: i64) -> Consequence {
        if self.is_over() || !self.is_called(user) {
            return Consequence::Nothing;
        }
        if let Some(member) = self.member_mut(user) {
            member.part(now_s);
        }
        let is_ringing = self.members.iter().any(|member| self.is_called(&member.user));
        match is_ringing || self.is_taken() {
            true => Consequence::Out,
            false => self.close(last, now_s),
        }
    }

    /// It rings nowhere any more: every callee who has not answered is out. The call is over, unless people are in it.
    pub(super) fn stop_ringing(&mut self, last: Ending, now_s: i64) -> Consequence {
        if !self.is_taken() {
            return self.close(last, now_s);
        }
        let callees: Vec<UserId> = self.members.iter().map(|member| member.user.clone()).collect();
        for user in callees {
            self.out(&user, last, now_s);
        }
        Consequence::Nothing
    }

    /// Whether a robot may come: as long as the call goes on, and for a while after it has ended without an answer.
    pub(super) fn takes_robot(&self, now_s: i64) -> bool {
        self.ended_s
            .is_none_or(|ended_s| !self.is_taken() && now_s <= ended_s.saturating_add(TAKEN_UP_WITHIN_S))
    }

    /// A robot has come in place of the callees: the messages about the call are over, and it rings nowhere. A call that has
    /// ended without an answer goes on. Returns whether the call goes on.
    pub(super) fn hand_to_robot(&mut self, now_s: i64) -> bool {
        if !self.takes_robot(now_s) {
            return false;
        }
        let caller = self.caller.clone();
        if self.ended_s.take().is_some() {
            self.ending = None;
            // The end of the call was no departure of theirs.
            if let Some(member) = self.member_mut(&caller).filter(|member| member.left_s.is_some()) {
                (member.left_s, member.seen_s) = (None, now_s);
            }
        }
        for member in &mut self.members {
            member.status = MemberStatus::Over;
        }
        self.answered_s.get_or_insert(now_s);
        true
    }

    /// Something failed at somebody. With one other person or none the call is over; otherwise only they have left.
    fn fail(&mut self, user: &UserId, now_s: i64) -> Consequence {
        let others = self.people_in() - usize::from(self.is_in(user));
        match () {
            () if self.is_called(user) => self.out(user, Ending::Failed, now_s),
            () if self.member_mut(user).is_none() => Consequence::Nothing,
            () if others > 1 => self.leave(user, Ending::Failed, now_s),
            () => self.close(Ending::Failed, now_s),
        }
    }

    /// Nothing has been heard of somebody by this process. Nor by another one, if the newest sign of life is `silence_s` old.
    pub(super) fn miss(&mut self, user: &UserId, silence_s: i64, reports: &mut Vec<Report>, now_s: i64) -> Missed {
        let member = self.members.iter().find(|member| member.user == *user);
        let member = member.filter(|member| member.is_in() && !self.is_over());
        let Some(Member { seen_s, .. }) = member else {
            return Missed::Gone;
        };
        // A time as far ahead is that of a clock which was put back since, and says nothing. One that is a little ahead is that of
        // another process.
        let ago_s = now_s.saturating_sub(*seen_s);
        if ago_s.saturating_abs() < silence_s {
            return Missed::Heard { ago_s };
        }
        let missed = Report {
            user: user.clone(),
            code: code::SILENT,
            description: MISSED.to_owned(),
            at_s: now_s,
        };
        self.record(missed, reports);
        Missed::Silent(self.leave(user, Ending::Lost, now_s))
    }

    pub(super) fn close(&mut self, ending: Ending, now_s: i64) -> Consequence {
        if self.is_over() {
            return Consequence::Nothing;
        }
        self.members.iter_mut().for_each(|member| member.part(now_s));
        (self.ended_s, self.ending) = (Some(now_s), Some(ending));
        Consequence::Over
    }
}

impl Member {
    fn is_in(&self) -> bool {
        self.joined_s.is_some() && self.left_s.is_none()
    }

    fn part(&mut self, now_s: i64) {
        self.status = MemberStatus::Over;
        if self.joined_s.is_some() {
            self.left_s.get_or_insert(now_s);
        }
    }
}

#[cfg(test)]
mod tests;
