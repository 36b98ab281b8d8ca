//! Records of users.

use super::database::{LockKey, alone, reading, writing};
use super::{RecordError, Records, check_id, passwords, storable};
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

/// A user who can log in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UserAccount {
    pub person: Person,
    /// Number by which programs know the user that want a short one. It never comes again.
    pub number: i64,
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
        self.insert_user(person, None).await
    }

    /// Adds a user who can log in. One who is there already and has no password gets this one, and is shown as before.
    pub async fn add_user_account(&self, person: &Person, password: &str) -> Result<(), RecordError> {
        self.insert_user(person, Some(password)).await
    }

    async fn insert_user(&self, person: &Person, password: Option<&str>) -> Result<(), RecordError> {
        let id = person.user.as_str();
        check_id("a user's id", id)?;
        check_texts([&person.name, &person.prefix, &person.postfix])?;
        let hash = passwords::hash(password).await?;
        let give = "UPDATE users SET password_hash = $2 WHERE id = $1 AND password_hash IS NULL AND $2 IS NOT NULL";
        let take = "UPDATE record_numbers SET last = last + 1 WHERE kind = 'users' RETURNING last";
        let insert =
            "INSERT INTO users (id, name, prefix, postfix, number, password_hash) VALUES ($1, $2, $3, $4, $5, $6)";
        alone!(&self.database, LockKey::Users, transaction => {
            let give = sqlx::query(give).bind(id).bind(&hash).execute(&mut *transaction).await?;
            if give.rows_affected() == 0 {
                let (number,): (i64,) = sqlx::query_as(take).fetch_one(&mut *transaction).await?;
                let insert = sqlx::query(insert).bind(id).bind(&person.name).bind(&person.prefix).bind(&person.postfix);
                let inserted = insert.bind(number).bind(&hash).execute(&mut *transaction).await;
                inserted.map_err(|e| RecordError::of_insert(e, WHAT, id))?;
            }
        });
        Ok(())
    }

    /// Changes the password of a user; `None` removes it, so that they cannot log in.
    pub async fn set_user_password(&self, user: &UserId, password: Option<&str>) -> Result<(), RecordError> {
        let hash = passwords::hash(password).await?;
        let sql = "UPDATE users SET password_hash = $2 WHERE id = $1";
        let changed = writing!(&self.database, pool => sqlx::query(sql)
            .bind(user.as_str())
            .bind(&hash)
            .execute(pool)
            .await
            .map(|done| done.rows_affected()))?;
        RecordError::unless_found(changed, WHAT, user.as_str())
    }

    /// The users who can log in, by id, with their numbers.
    pub async fn user_accounts(&self) -> Result<Vec<UserAccount>, sqlx::Error> {
        let sql = "SELECT id, name, prefix, postfix, number FROM users WHERE password_hash IS NOT NULL ORDER BY id";
        let rows: Vec<(String, String, String, String, i64)> =
            reading!(&self.database, pool => sqlx::query_as(sql).fetch_all(pool).await)?;
        let account = |(id, name, prefix, postfix, number)| UserAccount {
            person: person((id, name, prefix, postfix)),
            number,
        };
        Ok(rows.into_iter().map(account).collect())
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

    /// Removes a user. Calls to that name no longer ring at their devices.
    pub async fn remove_user(&self, user: &UserId) -> Result<(), RecordError> {
        self.remove_push_devices(user).await?;
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
