//! Records of rooms.

use super::database::{reading, writing};
use super::{RecordError, Records, check_id, passwords, storable};
use crate::ids::RoomName;

const WHAT: &str = "the room";

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RoomRecord {
    pub room: RoomName,
    pub has_password: bool,
}

impl Records {
    /// All rooms with a record, by name. There may be other rooms, with people in them.
    pub async fn rooms(&self) -> Result<Vec<RoomRecord>, sqlx::Error> {
        let sql = "SELECT name, password_hash FROM rooms ORDER BY name";
        let rows: Vec<(String, Option<String>)> =
            reading!(&self.database, pool => sqlx::query_as(sql).fetch_all(pool).await)?;
        let record = |(name, hash): (String, Option<String>)| RoomRecord {
            room: RoomName::from(name.as_str()),
            has_password: hash.is_some(),
        };
        Ok(rows.into_iter().map(record).collect())
    }

    pub(super) async fn password_hash(&self, room: &RoomName) -> Result<Option<String>, sqlx::Error> {
        let Some(name) = storable(room.as_str()) else {
            return Ok(None);
        };
        let sql = "SELECT password_hash FROM rooms WHERE name = $1";
        let row: Option<(Option<String>,)> =
            reading!(&self.database, pool => sqlx::query_as(sql).bind(name).fetch_optional(pool).await)?;
        Ok(row.and_then(|(hash,)| hash))
    }

    pub async fn add_room(&self, room: &RoomName, password: Option<&str>) -> Result<(), RecordError> {
        let name = room.as_str();
        check_id("a room's name", name)?;
        if self.conference_row(name, name).await?.is_some() {
            return Err(RecordError::IsConference(name.to_owned()));
        }
        let hash = passwords::hash(password).await?;
        let sql = "INSERT INTO rooms (name, password_hash) VALUES ($1, $2)";
        writing!(&self.database, pool => sqlx::query(sql).bind(name).bind(&hash).execute(pool).await.map(drop))
            .map_err(|e| RecordError::of_insert(e, WHAT, name))
    }

    /// Changes the password of a room; `None` removes it.
    pub async fn set_room_password(&self, room: &RoomName, password: Option<&str>) -> Result<(), RecordError> {
        let hash = passwords::hash(password).await?;
        let sql = "UPDATE rooms SET password_hash = $2 WHERE name = $1";
        let changed = writing!(&self.database, pool => sqlx::query(sql)
            .bind(room.as_str())
            .bind(&hash)
            .execute(pool)
            .await
            .map(|done| done.rows_affected()))?;
        RecordError::unless_found(changed, WHAT, room.as_str())
    }

    pub async fn remove_room(&self, room: &RoomName) -> Result<(), RecordError> {
        let sql = "DELETE FROM rooms WHERE name = $1";
        let removed = writing!(&self.database, pool => sqlx::query(sql)
            .bind(room.as_str())
            .execute(pool)
            .await
            .map(|done| done.rows_affected()))?;
        RecordError::unless_found(removed, WHAT, room.as_str())
    }
}
