//! Which events of a call are kept. What more is reported has its meaning all the same, and is counted. So no client that repeats
//! itself fills the database, the answer to whoever asks for the record, or the message that the call is over.

use std::collections::HashMap;

use super::code;
use crate::ids::UserId;
use crate::storage::{CallRecord, Report};

/// Events of each user that begin or end somebody's part in the call, and are kept whatever else is reported: they come, they leave,
/// and both once more where the network is bad.
pub(super) const OWN_MAX: usize = 4;

/// Events of one user that are kept beside these: an app reports some five, and more where the network is bad.
pub(super) const REPORTS_OF_ONE_MAX: usize = 30;

/// Events of a call that are kept beside these. Seven users can have all that one may have.
pub(super) const REPORTS_MAX: usize = 200;

/// Characters of all descriptions in a call. An app writes a few words.
pub(super) const CHARACTERS_MAX: usize = 32_768;

/// Number of kept events: those that begin or end a part, and all others.
#[derive(Clone, Copy, Default)]
struct Kept {
    of_parts: usize,
    others: usize,
}

impl Kept {
    /// Those for which there is no place of the user's own.
    fn shared(self) -> usize {
        self.others + self.of_parts.saturating_sub(OWN_MAX)
    }
}

impl CallRecord {
    /// Keeps an event, or counts it where there is no place for it. Of those who are not in the call all count as one user.
    pub(super) fn record(&mut self, mut report: Report, reports: &mut Vec<Report>) {
        let mut kept: HashMap<Option<&UserId>, Kept> = HashMap::new();
        for one in &self.reports {
            let kept = kept.entry(self.member_of(&one.user)).or_default();
            match is_of_part(one.code) {
                true => kept.of_parts += one.count,
                false => kept.others += one.count,
            }
        }
        let of_this = kept.get(&self.member_of(&report.user)).copied().unwrap_or_default();
        let has_own_place = is_of_part(report.code) && of_this.of_parts < OWN_MAX;
        let shared: usize = kept.values().map(|kept| kept.shared()).sum();
        if !has_own_place && (of_this.shared() >= REPORTS_OF_ONE_MAX || shared >= REPORTS_MAX) {
            self.left_out += 1;
            return;
        }
        let described: usize = self.reports.iter().map(|one| one.characters).sum();
        let left = CHARACTERS_MAX.saturating_sub(described);
        if let Some((end, _)) = report.description.char_indices().nth(left) {
            report.description.truncate(end);
        }
        reports.push(report);
    }

    fn member_of(&self, user: &UserId) -> Option<&UserId> {
        let member = self.members.iter().find(|member| member.user == *user);
        member.map(|member| &member.user)
    }
}

/// Whether such an event begins or ends somebody's part in a call.
fn is_of_part(code: i64) -> bool {
    matches!(
        code,
        code::BEGUN
            | code::LEFT
            | code::SILENT
            | code::CANCELLED
            | code::NO_ANSWER
            | code::WAS_DECLINED
            | code::DECLINED
            | code::WAS_CANCELLED
            | code::FAILED
    )
}
