//! Calls that are made when their time comes.

use sqlx::FromRow;

use super::database::{LockKey, alone, reading, writing};
use super::{Quota, Records, storable};
use crate::ids::UserId;
use crate::shares::{ClientAddress, Denied};

const TASK: &str =
    "SELECT id, caller, callees, due_at, task, status, fired_at, tried_at, channel, failure, client FROM call_tasks";

/// Which tasks can be claimed at `$1`: those that wait, and those that were claimed before `$2` and are not finished, because their
/// attempt has failed or its process has ended. A time of a claim that is as far ahead is that of a clock which was put back; one
/// that is a little ahead, of another process.
const CLAIMABLE: &str =
    "due_at <= $1 AND (status = 0 OR (status = 1 AND (fired_at < $2 OR fired_at > $1 + ($1 - $2))))";

/// Tasks that are removed at most to make room for one: there are so many too many only after the bound was set lower.
const REMOVED_FOR_ONE_MAX: usize = 100;

/// A call that is to be made. Times are seconds since 1970-01-01 UTC.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CallTask {
    pub id: i64,
    pub caller: UserId,
    pub callees: Vec<UserId>,
    pub due_s: i64,
    /// The app's own id of it.
    pub task: String,
    pub status: TaskStatus,
    /// Time at which the call was made, or tried last.
    pub fired_s: Option<i64>,
    /// Time at which it was tried first.
    pub tried_s: Option<i64>,
    /// Channel of the call that was made; otherwise empty.
    pub channel: String,
    /// Why no call was made; otherwise empty.
    pub failure: String,
    /// Client address from which the task came, whose share its call uses.
    pub client: ClientAddress,
}

/// What has become of a task.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TaskStatus {
    Waits,
    /// A process is making the call, or will try again.
    IsFiring,
    Fired,
    Failed,
}

impl TaskStatus {
    pub fn number(self) -> i64 {
        match self {
            TaskStatus::Waits => 0,
            TaskStatus::IsFiring => 1,
            TaskStatus::Fired => 2,
            TaskStatus::Failed => 3,
        }
    }

    fn of(number: i64) -> Self {
        match number {
            0 => TaskStatus::Waits,
            1 => TaskStatus::IsFiring,
            2 => TaskStatus::Fired,
            _ => TaskStatus::Failed,
        }
    }
}

/// A task that a process has claimed. Nobody else's attempt is recorded until another claims it, at another time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TaskClaim {
    pub id: i64,
    pub claimed_s: i64,
}

/// A task as somebody wants it.
#[derive(Clone, Debug)]
pub struct NewTask {
    /// Number of the task that is to be changed; `None` for a new one.
    pub id: Option<i64>,
    pub caller: UserId,
    pub callees: Vec<UserId>,
    pub due_s: i64,
    pub task: String,
    pub client: ClientAddress,
}

/// The outcome of recording a task.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scheduled {
    Task(i64),
    /// The caller has no task of this number.
    Missing,
    /// Its call is being made at this moment.
    IsFiring,
    NoPlace(Denied),
}

#[derive(FromRow)]
struct TaskRow {
    id: i64,
    caller: String,
    callees: String,
    due_at: i64,
    task: String,
    status: i64,
    fired_at: i64,
    tried_at: i64,
    channel: String,
    failure: String,
    client: String,
}

impl TaskRow {
    fn task(self) -> CallTask {
        let callees: Vec<String> = serde_json::from_str(&self.callees).unwrap_or_default();
        CallTask {
            id: self.id,
            caller: UserId(self.caller.into()),
            callees: callees.into_iter().map(|name| UserId(name.into())).collect(),
            due_s: self.due_at,
            task: self.task,
            status: TaskStatus::of(self.status),
            fired_s: (self.fired_at != 0).then_some(self.fired_at),
            tried_s: (self.tried_at != 0).then_some(self.tried_at),
            channel: self.channel,
            failure: self.failure,
            client: ClientAddress::from_record(&self.client),
        }
    }
}

fn list(users: &[UserId]) -> String {
    let names = users.iter().map(|user| serde_json::Value::from(user.as_str()));
    serde_json::Value::Array(names.collect()).to_string()
}

impl Records {
    /// Records a task, or changes one of the same caller, which then waits for its new time. Where there is no place, the oldest
    /// tasks whose calls have been made, or have failed, make room.
    pub async fn schedule(&self, new: &NewTask, quota: Quota) -> Result<Scheduled, sqlx::Error> {
        let own = "SELECT status FROM call_tasks WHERE id = $1 AND caller = $2";
        let update = "UPDATE call_tasks SET callees = $2, due_at = $3, task = $4, status = 0, fired_at = 0, tried_at = 0, \
            channel = '', failure = '' WHERE id = $1 AND status <> 1";
        let all = "SELECT COUNT(*) FROM call_tasks";
        let held = "SELECT COUNT(*) FROM call_tasks WHERE client = $1";
        let oldest = "SELECT id, client FROM call_tasks WHERE status > 1 ORDER BY fired_at, id LIMIT 1";
        let oldest_there =
            "SELECT id, client FROM call_tasks WHERE status > 1 AND client = $1 ORDER BY fired_at, id LIMIT 1";
        let remove = "DELETE FROM call_tasks WHERE id = $1";
        let take = "UPDATE record_numbers SET last = last + 1 WHERE kind = 'tasks' RETURNING last";
        let insert = "INSERT INTO call_tasks (id, caller, callees, due_at, task, status, fired_at, channel, failure, client) \
            VALUES ($1, $2, $3, $4, $5, 0, 0, '', '', $6)";
        let (callees, client) = (list(&new.callees), new.client.to_record());
        let scheduled = alone!(&self.database, LockKey::Tasks, transaction => match new.id {
            Some(id) => {
                let own = sqlx::query_as(own).bind(id).bind(new.caller.as_str());
                let status: Option<(i64,)> = own.fetch_optional(&mut *transaction).await?;
                match status.map(|(status,)| TaskStatus::of(status)) {
                    None => Scheduled::Missing,
                    Some(TaskStatus::IsFiring) => Scheduled::IsFiring,
                    Some(_) => {
                        let update = sqlx::query(update).bind(id).bind(&callees).bind(new.due_s).bind(&new.task);
                        // Another process may have claimed it since the look at its status.
                        match update.execute(&mut *transaction).await?.rows_affected() {
                            0 => Scheduled::IsFiring,
                            _ => Scheduled::Task(id),
                        }
                    }
                }
            }
            None => {
                let (mut all,): (i64,) = sqlx::query_as(all).fetch_one(&mut *transaction).await?;
                let (mut held,): (i64,) = sqlx::query_as(held).bind(&client).fetch_one(&mut *transaction).await?;
                let mut allowed = quota.allows(new.client, all, held);
                for _ in 0..REMOVED_FOR_ONE_MAX {
                    let removed: Option<(i64, String)> = match allowed {
                        Ok(()) => break,
                        Err(Denied::UsedUp) => sqlx::query_as(oldest).fetch_optional(&mut *transaction).await?,
                        Err(Denied::ShareUsedUp) => {
                            sqlx::query_as(oldest_there).bind(&client).fetch_optional(&mut *transaction).await?
                        }
                    };
                    let Some((removed, of)) = removed else { break };
                    sqlx::query(remove).bind(removed).execute(&mut *transaction).await?;
                    (all, held) = (all - 1, held - i64::from(of == client));
                    allowed = quota.allows(new.client, all, held);
                }
                match allowed {
                    Err(denied) => Scheduled::NoPlace(denied),
                    Ok(()) => {
                        let (id,): (i64,) = sqlx::query_as(take).fetch_one(&mut *transaction).await?;
                        let insert = sqlx::query(insert).bind(id).bind(new.caller.as_str()).bind(&callees);
                        let insert = insert.bind(new.due_s).bind(&new.task).bind(&client);
                        insert.execute(&mut *transaction).await?;
                        Scheduled::Task(id)
                    }
                }
            }
        });
        Ok(scheduled)
    }

    /// Removes a task of somebody, or of anybody if nobody is named. Returns whether there was one.
    pub async fn remove_task(&self, id: i64, caller: Option<&UserId>) -> Result<bool, sqlx::Error> {
        let sql = "DELETE FROM call_tasks WHERE id = $1 AND ($2 = '' OR caller = $2)";
        let caller = caller.map_or("", UserId::as_str);
        let removed = writing!(&self.database, pool => sqlx::query(sql)
            .bind(id)
            .bind(caller)
            .execute(pool)
            .await
            .map(|done| done.rows_affected()))?;
        Ok(removed > 0)
    }

    /// Some of the tasks of somebody, the newest first, and the number of all.
    pub async fn tasks(&self, caller: &UserId, skip: i64, most: i64) -> Result<(Vec<CallTask>, i64), sqlx::Error> {
        let Some(caller) = storable(caller.as_str()) else {
            return Ok((Vec::new(), 0));
        };
        let page = format!("{TASK} WHERE caller = $1 ORDER BY id DESC LIMIT $2 OFFSET $3");
        let count = "SELECT COUNT(*) FROM call_tasks WHERE caller = $1";
        let (rows, (count,)): (Vec<TaskRow>, (i64,)) = reading!(&self.database, pool => {
            let page = sqlx::query_as(sqlx::AssertSqlSafe(page)).bind(caller).bind(most).bind(skip);
            let rows = page.fetch_all(pool).await?;
            (rows, sqlx::query_as(count).bind(caller).fetch_one(pool).await?)
        });
        Ok((rows.into_iter().map(TaskRow::task).collect(), count))
    }

    /// The numbers of tasks whose time has come and that nobody has claimed since `since_s`, those first that have waited longest.
    pub async fn due_tasks(&self, now_s: i64, since_s: i64, most: i64) -> Result<Vec<i64>, sqlx::Error> {
        let sql = format!("SELECT id FROM call_tasks WHERE {CLAIMABLE} ORDER BY due_at, id LIMIT $3");
        let rows: Vec<(i64,)> = reading!(&self.database, pool => sqlx::query_as(sqlx::AssertSqlSafe(sql))
            .bind(now_s)
            .bind(since_s)
            .bind(most)
            .fetch_all(pool)
            .await)?;
        Ok(rows.into_iter().map(|(id,)| id).collect())
    }

    /// Claims a task whose time has come, so that no other process makes its call. `None` if another has claimed it since
    /// `since_s`, or if it has been changed meanwhile.
    pub async fn claim_task(
        &self,
        id: i64,
        now_s: i64,
        since_s: i64,
    ) -> Result<Option<(CallTask, TaskClaim)>, sqlx::Error> {
        let sql = format!(
            "UPDATE call_tasks SET status = 1, fired_at = $1, tried_at = CASE WHEN tried_at = 0 THEN $1 ELSE tried_at END \
             WHERE id = $3 AND {CLAIMABLE} \
             RETURNING id, caller, callees, due_at, task, status, fired_at, tried_at, channel, failure, client"
        );
        let row: Option<TaskRow> = writing!(&self.database, pool => sqlx::query_as(sqlx::AssertSqlSafe(sql))
            .bind(now_s)
            .bind(since_s)
            .bind(id)
            .fetch_optional(pool)
            .await)?;
        let claimed_s = now_s;
        Ok(row.map(|row| (row.task(), TaskClaim { id, claimed_s })))
    }

    /// Records why the call of a claimed task could not be made. Unless that `is_final`, the task is claimed again later. That its call
    /// has been made is recorded with the call ([`Records::begin_call`]).
    pub async fn fail_task(&self, claim: TaskClaim, failure: &str, is_final: bool) -> Result<(), sqlx::Error> {
        let sql = "UPDATE call_tasks SET status = $3, channel = '', failure = $4 \
            WHERE id = $1 AND status IN (1, 2) AND fired_at = $2";
        let status = match is_final {
            true => TaskStatus::Failed,
            false => TaskStatus::IsFiring,
        };
        writing!(&self.database, pool => sqlx::query(sql)
            .bind(claim.id)
            .bind(claim.claimed_s)
            .bind(status.number())
            .bind(failure)
            .execute(pool)
            .await
            .map(drop))
    }

    /// Removes tasks that were finished before `before_s`, at most `most`. Returns their number.
    pub async fn expire_tasks(&self, before_s: i64, most: i64) -> Result<u64, sqlx::Error> {
        let sql = "DELETE FROM call_tasks WHERE id IN (SELECT id FROM call_tasks WHERE status > 1 AND fired_at < $1 \
            ORDER BY fired_at, id LIMIT $2)";
        writing!(&self.database, pool => sqlx::query(sql)
            .bind(before_s)
            .bind(most)
            .execute(pool)
            .await
            .map(|done| done.rows_affected()))
    }
}
