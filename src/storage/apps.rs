//! The app that signs access tokens.

use super::Records;
use super::database::{LockKey, alone};
use crate::auth::access_token::App;

impl Records {
    /// The app of this server: the configured one, or else the recorded one. Where there is neither, one is made and recorded,
    /// so that tokens stay valid over a restart, and on every server that uses the database.
    pub async fn app(&self, configured: Option<App>) -> Result<App, sqlx::Error> {
        if let Some(app) = configured {
            return Ok(app);
        }
        let select = "SELECT id, certificate FROM apps ORDER BY id LIMIT 1";
        let insert = "INSERT INTO apps (id, certificate) VALUES ($1, $2)";
        let (id, certificate): (String, String) = alone!(&self.database, LockKey::Apps, transaction => {
            match sqlx::query_as(select).fetch_optional(&mut *transaction).await? {
                Some(recorded) => recorded,
                None => {
                    let made = App::random();
                    let insert = sqlx::query(insert).bind(made.id()).bind(made.certificate());
                    insert.execute(&mut *transaction).await?;
                    (made.id().to_owned(), made.certificate().to_owned())
                }
            }
        });
        App::new(id, certificate).map_err(|bad| sqlx::Error::Decode(bad.into()))
    }
}
