//! Records of the calls that are made over HTTP: who called whom, what became of it, and what clients reported of it.

use sqlx::FromRow;

use super::call_upkeep::{ALL, HELD, ONE_LESS, ONE_MORE, REMOVE};
use super::database::{LockKey, alone, reading};
use super::{Quota, Records, TaskClaim, storable};
use crate::ids::{RoomName, UserId};
use crate::shares::{ClientAddress, Denied};

const CALL: &str = "SELECT channel, caller, extra_msg, created_at, answered_at, started_at, ended_at, ending, events_left_out \
    FROM channels";
const MEMBERS: &str = "SELECT id, member, status, created_at, joined_at, seen_at, left_at FROM channel_members \
    WHERE channel = $1 ORDER BY id";

/// A call that is to be recorded.
#[derive(Clone, Debug)]
pub struct NewCall {
    pub channel: RoomName,
    pub caller: UserId,
    pub callees: Vec<UserId>,
    pub extra_msg: String,
    pub client: ClientAddress,
    /// The task whose time has come for this call: it is recorded as made together with the call.
    pub task: Option<TaskClaim>,
}

/// The outcome of recording a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Begun {
    Made,
    /// There is a channel of that name.
    NameTaken,
    /// The task is no longer claimed as it was: another process has it, or has made its call, or it has been removed.
    TaskTaken,
    NoPlace(Denied),
}

/// The record of a call. Times are seconds since 1970-01-01 UTC.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CallRecord {
    pub channel: RoomName,
    pub caller: UserId,
    /// Text of the caller for the callees.
    pub extra_msg: String,
    pub created_s: i64,
    pub answered_s: Option<i64>,
    /// Time at which people began to talk.
    pub started_s: Option<i64>,
    pub ended_s: Option<i64>,
    pub ending: Option<Ending>,
    /// People of the call, the caller first.
    pub members: Vec<Member>,
    /// Numbers of kept events, by who reported them and what they say.
    pub reports: Vec<KeptReports>,
    /// Number of events that are not kept.
    pub left_out: i64,
}

/// Kept events of one user that say the same.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeptReports {
    pub user: UserId,
    pub code: i64,
    pub count: usize,
    /// Characters of all their descriptions.
    pub characters: usize,
}

/// Somebody of a call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Member {
    /// Number of the record. 0 for one that is yet to be recorded.
    pub id: i64,
    pub user: UserId,
    pub status: MemberStatus,
    pub created_s: i64,
    /// Time at which they entered the call; `None` if they have not.
    pub joined_s: Option<i64>,
    /// Time at which they were last heard of.
    pub seen_s: i64,
    pub left_s: Option<i64>,
}

/// How far somebody has come in a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MemberStatus {
    Called,
    Answered,
    Over,
}

/// How a call ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ending {
    /// The last one left.
    Ended,
    /// The caller gave up before anybody answered.
    Cancelled,
    NoAnswer,
    Declined,
    Busy,
    /// Clients were no longer heard of.
    Lost,
    Failed,
}

/// An event of a call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Report {
    pub user: UserId,
    pub code: i64,
    pub description: String,
    pub at_s: i64,
}

/// Somebody's part in a call that is not over.
#[derive(Clone, Debug, PartialEq, Eq, FromRow)]
pub struct RecentCall {
    pub id: i64,
    pub channel: String,
    status: i64,
    pub created_at: i64,
    pub extra_msg: String,
}

impl RecentCall {
    pub fn status(&self) -> MemberStatus {
        MemberStatus::of(self.status)
    }
}

impl MemberStatus {
    pub fn number(self) -> i64 {
        match self {
            MemberStatus::Called => 0,
            MemberStatus::Answered => 1,
            MemberStatus::Over => 2,
        }
    }

    fn of(number: i64) -> Self {
        match number {
            0 => MemberStatus::Called,
            1 => MemberStatus::Answered,
            _ => MemberStatus::Over,
        }
    }
}

impl Ending {
    const ALL: [Ending; 7] = [
        Ending::Ended,
        Ending::Cancelled,
        Ending::NoAnswer,
        Ending::Declined,
        Ending::Busy,
        Ending::Lost,
        Ending::Failed,
    ];

    /// The word in records, and in metrics.
    pub fn word(self) -> &'static str {
        match self {
            Ending::Ended => "ended",
            Ending::Cancelled => "cancelled",
            Ending::NoAnswer => "no answer",
            Ending::Declined => "declined",
            Ending::Busy => "busy",
            Ending::Lost => "lost",
            Ending::Failed => "failed",
        }
    }

    fn of(word: &str) -> Option<Self> {
        Ending::ALL.into_iter().find(|ending| ending.word() == word)
    }
}

#[derive(FromRow)]
struct CallRow {
    channel: String,
    caller: String,
    extra_msg: String,
    created_at: i64,
    answered_at: i64,
    started_at: i64,
    ended_at: i64,
    ending: String,
    events_left_out: i64,
}

#[derive(FromRow)]
struct MemberRow {
    id: i64,
    member: String,
    status: i64,
    created_at: i64,
    joined_at: i64,
    seen_at: i64,
    left_at: i64,
}

/// Events of one call that are the same: who reported them, what they say, their number, and the characters of their descriptions.
type ReportCounts = Vec<(String, i64, i64, i64)>;

/// A time in a record, where 0 stands for none.
fn time(recorded: i64) -> Option<i64> {
    (recorded != 0).then_some(recorded)
}

impl CallRow {
    fn with(self, members: Vec<MemberRow>, reports: ReportCounts) -> CallRecord {
        let number = |number: i64| usize::try_from(number).unwrap_or(0);
        let count = |(user, code, count, characters): (String, i64, i64, i64)| KeptReports {
            user: UserId(user.into()),
            code,
            count: number(count),
            characters: number(characters),
        };
        CallRecord {
            channel: RoomName(self.channel.into()),
            caller: UserId(self.caller.into()),
            extra_msg: self.extra_msg,
            created_s: self.created_at,
            answered_s: time(self.answered_at),
            started_s: time(self.started_at),
            ended_s: time(self.ended_at),
            ending: Ending::of(&self.ending),
            members: members.into_iter().map(MemberRow::member).collect(),
            reports: reports.into_iter().map(count).collect(),
            left_out: self.events_left_out,
        }
    }
}

impl MemberRow {
    fn member(self) -> Member {
        Member {
            id: self.id,
            user: UserId(self.member.into()),
            status: MemberStatus::of(self.status),
            created_s: self.created_at,
            joined_s: time(self.joined_at),
            seen_s: self.seen_at,
            left_s: time(self.left_at),
        }
    }
}

/// Numbers of events by who reported them and what they say.
const REPORTS: &str = "SELECT member, code, COUNT(*), SUM(LENGTH(description)) FROM channel_events WHERE channel = $1 \
    GROUP BY member, code ORDER BY member, code";

/// Calls that are removed at most to make room for one: there are so many too many only after the bound was set lower.
const REMOVED_FOR_ONE_MAX: usize = 100;

/// Records that the call of a task has been made.
const TASK_MADE: &str =
    "UPDATE call_tasks SET status = 2, channel = $3, failure = '' WHERE id = $1 AND status = 1 AND fired_at = $2";

const KNOWN: &str = "SELECT COUNT(*) FROM channels WHERE channel = $1";
const OLDEST: &str = "SELECT channel, client FROM channels WHERE ended_at > 0 ORDER BY ended_at LIMIT 1";
const OLDEST_THERE: &str =
    "SELECT channel, client FROM channels WHERE ended_at > 0 AND client = $1 ORDER BY ended_at LIMIT 1";
const INSERT_CALL: &str = "INSERT INTO channels \
    (channel, caller, extra_msg, created_at, answered_at, started_at, ended_at, ending, posted, client) \
    VALUES ($1, $2, $3, $4, 0, 0, 0, '', 0, $5)";

/// Takes the next ids of a kind.
const TAKE_NUMBERS: &str = "UPDATE record_numbers SET last = last + $2 WHERE kind = $1 RETURNING last";
const INSERT_MEMBER: &str = "INSERT INTO channel_members \
    (id, channel, member, status, created_at, joined_at, seen_at, left_at) VALUES ($1, $2, $3, $4, $5, $6, $7, $8)";

impl Records {
    /// Records a call with all its people, or nothing. Where there is no place, the oldest calls that are over make room.
    pub async fn begin_call(&self, call: &NewCall, now_s: i64, quota: Quota) -> Result<Begun, sqlx::Error> {
        let (channel, client) = (call.channel.as_str(), call.client.to_record());
        let people = std::iter::once(&call.caller).chain(&call.callees);
        let count = i64::try_from(call.callees.len()).unwrap_or(i64::MAX).saturating_add(1);
        let begun = alone!(&self.database, LockKey::Channels, transaction => {
                   let (known,): (i64,) = sqlx::query_as(KNOWN).bind(channel).fetch_one(&mut *transaction).await?;
                   if known > 0 {
                       transaction.rollback().await?;
        return Ok(Begun::NameTaken);
                   }
                   if let Some(task) = call.task {
                       let made = sqlx::query(TASK_MADE).bind(task.id).bind(task.claimed_s).bind(channel);
                       if made.execute(&mut *transaction).await?.rows_affected() == 0 {
                           transaction.rollback().await?;
        return Ok(Begun::TaskTaken);
                       }
                   }
                   let all: Option<(i64,)> = sqlx::query_as(HELD).bind(ALL).fetch_optional(&mut *transaction).await?;
                   let held: Option<(i64,)> = sqlx::query_as(HELD).bind(&client).fetch_optional(&mut *transaction).await?;
                   let (mut all, mut held) = (all.map_or(0, |(all,)| all), held.map_or(0, |(held,)| held));
                   let mut allowed = quota.allows(call.client, all, held);
                   for _ in 0..REMOVED_FOR_ONE_MAX {
                       let removed: Option<(String, String)> = match allowed {
                           Ok(()) => break,
                           Err(Denied::UsedUp) => sqlx::query_as(OLDEST).fetch_optional(&mut *transaction).await?,
                           Err(Denied::ShareUsedUp) => {
                               sqlx::query_as(OLDEST_THERE).bind(&client).fetch_optional(&mut *transaction).await?
                           }
                       };
                       let Some((removed, of)) = removed else { break };
                       for sql in REMOVE {
                           sqlx::query(sql).bind(&removed).execute(&mut *transaction).await?;
                       }
                       for sql in ONE_LESS {
                           sqlx::query(sql).bind(&of).execute(&mut *transaction).await?;
                       }
                       (all, held) = (all - 1, held - i64::from(of == client));
                       allowed = quota.allows(call.client, all, held);
                   }
                   if let Err(denied) = allowed {
                       transaction.rollback().await?;
        return Ok(Begun::NoPlace(denied));
                   }
                   let insert = sqlx::query(INSERT_CALL).bind(channel).bind(call.caller.as_str()).bind(&call.extra_msg);
                   insert.bind(now_s).bind(&client).execute(&mut *transaction).await?;
                   sqlx::query(ONE_MORE).bind(&client).execute(&mut *transaction).await?;
                   let take = sqlx::query_as(TAKE_NUMBERS).bind("members").bind(count);
                   let (last,): (i64,) = take.fetch_one(&mut *transaction).await?;
                   for (id, user) in (last - count + 1..).zip(people) {
                       let member = sqlx::query(INSERT_MEMBER).bind(id).bind(channel).bind(user.as_str());
                       let member = member.bind(0_i64).bind(now_s).bind(0_i64).bind(now_s).bind(0_i64);
                       member.execute(&mut *transaction).await?;
                   }
                   Begun::Made
               });
        Ok(begun)
    }

    /// The record of a call.
    pub async fn call(&self, channel: &RoomName) -> Result<Option<CallRecord>, sqlx::Error> {
        let Some(channel) = storable(channel.as_str()) else {
            return Ok(None);
        };
        let call = format!("{CALL} WHERE channel = $1");
        let found: Option<(CallRow, Vec<MemberRow>, ReportCounts)> = reading!(&self.database, pool => {
            let call = sqlx::query_as(sqlx::AssertSqlSafe(call)).bind(channel).fetch_optional(pool).await?;
            match call {
                None => None,
                Some(call) => {
                    let members = sqlx::query_as(MEMBERS).bind(channel).fetch_all(pool).await?;
                    let reports = sqlx::query_as(REPORTS).bind(channel).fetch_all(pool).await?;
                    Some((call, members, reports))
                }
            }
        });
        Ok(found.map(|(call, members, reports)| call.with(members, reports)))
    }

    /// Changes the record of a call, and adds events to it, while nobody else changes any. `None` where there is no such call.
    pub async fn change_call<T>(
        &self,
        channel: &RoomName,
        change: impl FnOnce(&mut CallRecord, &mut Vec<Report>) -> T,
    ) -> Result<Option<T>, sqlx::Error> {
        let Some(channel) = storable(channel.as_str()) else {
            return Ok(None);
        };
        let call = format!("{CALL} WHERE channel = $1");
        // A call that goes on after its end will end once more, which is to be posted, too.
        let update = "UPDATE channels SET answered_at = $2, started_at = $3, ended_at = $4, ending = $5, \
            events_left_out = $6, posted = CASE WHEN $4 = 0 THEN 0 ELSE posted END WHERE channel = $1";
        let update_member =
            "UPDATE channel_members SET status = $2, joined_at = $3, seen_at = $4, left_at = $5 WHERE id = $1";
        let report = "INSERT INTO channel_events (channel, number, member, code, description, created_at) \
            VALUES ($1, $2, $3, $4, $5, $6)";
        let changed = alone!(&self.database, LockKey::Channels, transaction => {
            let call = sqlx::query_as(sqlx::AssertSqlSafe(call)).bind(channel);
            let found: Option<CallRow> = call.fetch_optional(&mut *transaction).await?;
            match found {
                None => None,
                Some(call) => {
                    let members = sqlx::query_as(MEMBERS).bind(channel).fetch_all(&mut *transaction).await?;
                    let reports: ReportCounts =
                        sqlx::query_as(REPORTS).bind(channel).fetch_all(&mut *transaction).await?;
                    let last: i64 = reports.iter().map(|(_, _, count, _)| count).sum();
                    let before = call.with(members, reports);
                    let (mut after, mut new_reports) = (before.clone(), Vec::new());
                    let outcome = change(&mut after, &mut new_reports);
                    if (after.answered_s, after.started_s, after.ended_s, after.ending, after.left_out)
                        != (before.answered_s, before.started_s, before.ended_s, before.ending, before.left_out)
                    {
                        let ending = after.ending.map_or("", Ending::word);
                        let update = sqlx::query(update).bind(channel).bind(after.answered_s.unwrap_or(0));
                        let update = update.bind(after.started_s.unwrap_or(0)).bind(after.ended_s.unwrap_or(0));
                        update.bind(ending).bind(after.left_out).execute(&mut *transaction).await?;
                    }
                    for member in &after.members {
                        let (joined, left) = (member.joined_s.unwrap_or(0), member.left_s.unwrap_or(0));
                        let status = member.status.number();
                        if member.id == 0 {
                            let take = sqlx::query_as(TAKE_NUMBERS).bind("members").bind(1_i64);
                            let (id,): (i64,) = take.fetch_one(&mut *transaction).await?;
                            let insert = sqlx::query(INSERT_MEMBER).bind(id).bind(channel).bind(member.user.as_str());
                            let insert = insert.bind(status).bind(member.created_s).bind(joined).bind(member.seen_s);
                            insert.bind(left).execute(&mut *transaction).await?;
                        } else if !before.members.contains(member) {
                            let update = sqlx::query(update_member).bind(member.id).bind(status).bind(joined);
                            update.bind(member.seen_s).bind(left).execute(&mut *transaction).await?;
                        }
                    }
                    for (number, new) in (last + 1..).zip(&new_reports) {
                        let insert = sqlx::query(report).bind(channel).bind(number).bind(new.user.as_str());
                        let insert = insert.bind(new.code).bind(&new.description).bind(new.at_s);
                        insert.execute(&mut *transaction).await?;
                    }
                    Some(outcome)
                }
            }
        });
        Ok(changed)
    }

    /// The events of a call, the oldest first.
    pub async fn reports(&self, channel: &RoomName) -> Result<Vec<Report>, sqlx::Error> {
        let Some(channel) = storable(channel.as_str()) else {
            return Ok(Vec::new());
        };
        let sql = "SELECT member, code, description, created_at FROM channel_events WHERE channel = $1 ORDER BY number";
        let rows: Vec<(String, i64, String, i64)> =
            reading!(&self.database, pool => sqlx::query_as(sql).bind(channel).fetch_all(pool).await)?;
        let report = |(user, code, description, at_s): (String, i64, String, i64)| Report {
            user: UserId(user.into()),
            code,
            description,
            at_s,
        };
        Ok(rows.into_iter().map(report).collect())
    }

    /// The newest calls of somebody that were made at `since_s` or later and are not over for them, the oldest first.
    pub async fn recent_calls(&self, user: &UserId, since_s: i64, most: i64) -> Result<Vec<RecentCall>, sqlx::Error> {
        let Some(user) = storable(user.as_str()) else {
            return Ok(Vec::new());
        };
        let sql = "SELECT channel_members.id, channel_members.channel, status, channel_members.created_at, extra_msg \
            FROM channel_members JOIN channels ON channels.channel = channel_members.channel \
            WHERE member = $1 AND channel_members.created_at >= $2 AND status < 2 \
            ORDER BY channel_members.created_at DESC, channel_members.id DESC LIMIT $3";
        let mut rows: Vec<RecentCall> = reading!(&self.database, pool => sqlx::query_as(sql)
            .bind(user)
            .bind(since_s)
            .bind(most)
            .fetch_all(pool)
            .await)?;
        rows.reverse();
        Ok(rows)
    }

    /// The channels of calls that were over at `since_s` or later and whose end has not been handed on to be posted, those first
    /// that ended first, at most `most`.
    pub async fn channels_to_post(&self, since_s: i64, most: i64) -> Result<Vec<RoomName>, sqlx::Error> {
        let sql = "SELECT channel FROM channels WHERE posted = 0 AND ended_at >= $1 AND ended_at > 0 ORDER BY ended_at, channel \
            LIMIT $2";
        let rows: Vec<(String,)> =
            reading!(&self.database, pool => sqlx::query_as(sql).bind(since_s).bind(most).fetch_all(pool).await)?;
        Ok(rows.into_iter().map(|(channel,)| RoomName(channel.into())).collect())
    }

    /// Notes when these people of calls were heard of.
    pub async fn see_members(&self, seen: &[(RoomName, UserId, i64)]) -> Result<(), sqlx::Error> {
        let sql = "UPDATE channel_members SET seen_at = $3 WHERE channel = $1 AND member = $2 AND left_at = 0";
        alone!(&self.database, LockKey::Channels, transaction => {
            for (channel, user, seen_s) in seen {
                let seen = sqlx::query(sql).bind(channel.as_str()).bind(user.as_str()).bind(seen_s);
                seen.execute(&mut *transaction).await?;
            }
        });
        Ok(())
    }
}
