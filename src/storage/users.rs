//! Records of users.

use super::database::{reading, writing};
use super::{RecordError, Records, check_id, storable};
use crate::domain::Person;
use crate::ids::UserId;
use crate::text::TextLimit;

const WHAT: &str = "the user";

/// The changes to a user; `None` leaves a value as it is.
#[derive(Clone, Debug, Default)]
pub struct PersonChange {
    pub name: Option<String>,
    pub prefix: Option<String>,
    pub postfix: Option<String>,
}

type Row = (String, String, String, String);

fn person((id, name, prefix, postfix): Row) -> Person {
    Person {
        user: UserId::from(id.as_str()),
        name,
        prefix,
        postfix,
    }
}

impl Records {
    /// All users, by id.
    pub async fn users(&self) -> Result<Vec<Person>, sqlx::Error> {
        let sql = "SELECT id, name, prefix, postfix FROM users ORDER BY id";
        let rows: Vec<Row> = reading!(&self.database, pool => sqlx::query_as(sql).fetch_all(pool).await)?;
        Ok(rows.into_iter().map(person).collect())
    }

    pub async fn user(&self, user: &UserId) -> Result<Option<Person>, sqlx::Error> {
        let Some(id) = storable(user.as_str()) else {
            return Ok(None);
        };
        let sql = "SELECT id, name, prefix, postfix FROM users WHERE id = $1";
        let row: Option<Row> =
            reading!(&self.database, pool => sqlx::query_as(sql).bind(id).fetch_optional(pool).await)?;
        Ok(row.map(person))
    }

    /// Whether there are any users: only then does a name have to be the id of one.
    pub async fn has_users(&self) -> Result<bool, sqlx::Error> {
        let sql = "SELECT COUNT(*) FROM (SELECT 1 FROM users LIMIT 1) AS found";
        let (count,): (i64,) = reading!(&self.database, pool => sqlx::query_as(sql).fetch_one(pool).await)?;
        Ok(count > 0)
    }

    pub async fn add_user(&self, person: &Person) -> Result<(), RecordError> {
        let id = person.user.as_str();
        check_id("a user's id", id)?;
        check_texts([&person.name, &person.prefix, &person.postfix])?;
        let sql = "INSERT INTO users (id, name, prefix, postfix) VALUES ($1, $2, $3, $4)";
        writing!(&self.database, pool => sqlx::query(sql)
            .bind(id)
            .bind(&person.name)
            .bind(&person.prefix)
            .bind(&person.postfix)
            .execute(pool)
            .await
            .map(drop))
        .map_err(|e| RecordError::of_insert(e, WHAT, id))
    }

    pub async fn set_user(&self, user: &UserId, change: &PersonChange) -> Result<(), RecordError> {
        check_texts([&change.name, &change.prefix, &change.postfix].into_iter().flatten())?;
        let sql = "UPDATE users SET name = COALESCE($2, name), prefix = COALESCE($3, prefix), \
            postfix = COALESCE($4, postfix) WHERE id = $1";
        let changed = writing!(&self.database, pool => sqlx::query(sql)
            .bind(user.as_str())
            .bind(&change.name)
            .bind(&change.prefix)
            .bind(&change.postfix)
            .execute(pool)
            .await
            .map(|done| done.rows_affected()))?;
        RecordError::unless_found(changed, WHAT, user.as_str())
    }

    pub async fn remove_user(&self, user: &UserId) -> Result<(), RecordError> {
        let sql = "DELETE FROM users WHERE id = $1";
        let removed = writing!(&self.database, pool => sqlx::query(sql)
            .bind(user.as_str())
            .execute(pool)
            .await
            .map(|done| done.rows_affected()))?;
        RecordError::unless_found(removed, WHAT, user.as_str())
    }
}

fn check_texts<'a>(texts: impl IntoIterator<Item = &'a String>) -> Result<(), RecordError> {
    const LIMIT: TextLimit = TextLimit::characters(256);
    let bad = |text: &String| !LIMIT.holds(text) || text.chars().any(char::is_control);
    if texts.into_iter().any(bad) {
        let max = LIMIT.characters;
        return Err(RecordError::BadText { max });
    }
    Ok(())
}
