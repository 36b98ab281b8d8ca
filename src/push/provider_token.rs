//! The token by which Apple's push service believes that a request comes from the app's developer: a JSON Web Token, signed with
//! ES256 (RFC 7518 §3.4). Apple takes one for an hour, and refuses whoever makes a new one more often than every twenty minutes
//! ("Establishing a token-based connection to APNs").

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use jsonwebtoken::{Algorithm, EncodingKey, Header};
use rustls::pki_types::PrivatePkcs8KeyDer;
use rustls::pki_types::pem::PemObject;
use serde::Serialize;
use tokio::time::Instant;

use super::keys::{self, KeyFileError};
use crate::clock::{MonotonicClock, WallClock, now_s};
use crate::config;

/// Age at which a token is replaced: well before Apple refuses it, also if the two clocks are some minutes apart.
const RENEWED_AFTER: Duration = Duration::from_secs(50 * 60);

/// Least time between two tokens.
const KEPT_FOR: Duration = Duration::from_secs(20 * 60);

/// Makes the tokens of one key.
pub(super) struct ProviderTokens {
    key: EncodingKey,
    header: Header,
    team_id: String,
    key_file: PathBuf,
    clock: WallClock,
    passed: MonotonicClock,
    current: Mutex<Option<Made>>,
}

struct Made {
    token: Arc<str>,
    at: Instant,
    at_s: i64,
}

#[derive(Serialize)]
struct Claims<'a> {
    iss: &'a str,
    iat: i64,
}

impl ProviderTokens {
    /// Reads the key, and tries it.
    pub fn open(config: &config::Apns, clock: WallClock, passed: MonotonicClock) -> Result<Self, KeyFileError> {
        let mut header = Header::new(Algorithm::ES256);
        header.typ = None;
        header.kid = Some(config.key_id.clone());
        let tokens = Self {
            key: read_key(&config.key_file)?,
            header,
            team_id: config.team_id.clone(),
            key_file: config.key_file.clone(),
            clock,
            passed,
            current: Mutex::default(),
        };
        tokens.make()?;
        Ok(tokens)
    }

    /// The token to use now.
    pub fn token(&self) -> Result<Arc<str>, KeyFileError> {
        let mut current = self.current();
        if let Some(made) = current.as_ref().filter(|made| self.age(made) < RENEWED_AFTER) {
            return Ok(Arc::clone(&made.token));
        }
        let made = self.make()?;
        let token = Arc::clone(&made.token);
        *current = Some(made);
        Ok(token)
    }

    /// Apple has refused this token. Whether there is another one now, or may be made.
    pub fn refused(&self, token: &str) -> bool {
        let mut current = self.current();
        match current.as_ref() {
            Some(made) if *made.token == *token => {
                let may_be_made = self.age(made) >= KEPT_FOR;
                if may_be_made {
                    *current = None;
                }
                may_be_made
            }
            Some(_) | None => true,
        }
    }

    fn current(&self) -> MutexGuard<'_, Option<Made>> {
        self.current.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The age of a token: the date counts, too, because the other clock stands still while a machine sleeps.
    fn age(&self, made: &Made) -> Duration {
        let by_date = u64::try_from(now_s(&self.clock) - made.at_s).unwrap_or(0);
        (self.passed)()
            .saturating_duration_since(made.at)
            .max(Duration::from_secs(by_date))
    }

    fn make(&self) -> Result<Made, KeyFileError> {
        let (at, at_s) = ((self.passed)(), now_s(&self.clock));
        let claims = Claims {
            iss: &self.team_id,
            iat: at_s,
        };
        let token = jsonwebtoken::encode(&self.header, &claims, &self.key)
            .map_err(|_| keys::content(&self.key_file, "holds no key of the curve P-256, as Apple's keys are"))?
            .into();
        Ok(Made { token, at, at_s })
    }
}

fn read_key(path: &Path) -> Result<EncodingKey, KeyFileError> {
    let text = keys::read(path)?;
    let key = PrivatePkcs8KeyDer::from_pem_slice(&text).map_err(|_| {
        keys::content(
            path,
            "holds no private key; Apple's begins with -----BEGIN PRIVATE KEY-----",
        )
    })?;
    Ok(EncodingKey::from_ec_der(key.secret_pkcs8_der()))
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU64, Ordering};
    use std::time::UNIX_EPOCH;

    use super::*;

    const MINUTE: u64 = 60;

    /// A clock that the test moves, in seconds.
    #[derive(Clone, Default)]
    struct Time(Arc<AtomicU64>);

    impl Time {
        fn pass(&self, seconds: u64) {
            self.0.fetch_add(seconds, Ordering::Relaxed);
        }

        fn since(&self) -> Duration {
            Duration::from_secs(self.0.load(Ordering::Relaxed))
        }
    }

    /// Tokens of a new key, with the date and the other clock.
    fn tokens() -> (ProviderTokens, Time, Time) {
        let folder = tempfile::tempdir().unwrap();
        let key_file = folder.path().join("key.p8");
        std::fs::write(&key_file, rcgen::KeyPair::generate().unwrap().serialize_pem()).unwrap();
        let config = config::Apns {
            key_file,
            key_id: "ABC1234567".to_owned(),
            team_id: "DEF1234567".to_owned(),
            ..config::Apns::default()
        };
        let (date, passed) = (Time::default(), Time::default());
        let clock: WallClock = {
            let date = date.clone();
            Arc::new(move || UNIX_EPOCH + Duration::from_secs(1_767_323_045) + date.since())
        };
        let beginning = Instant::now();
        let stopwatch: MonotonicClock = {
            let passed = passed.clone();
            Arc::new(move || beginning + passed.since())
        };
        (ProviderTokens::open(&config, clock, stopwatch).unwrap(), date, passed)
    }

    #[test]
    fn a_token_is_used_for_fifty_minutes_by_whichever_clock_says_so_first() {
        let (tokens, date, passed) = tokens();
        let first = tokens.token().unwrap();
        passed.pass(50 * MINUTE - 1);
        assert_eq!(tokens.token().unwrap(), first);
        passed.pass(1);
        date.pass(1);
        let second = tokens.token().unwrap();
        assert_ne!(second, first);
        // The machine has slept.
        date.pass(50 * MINUTE);
        assert_ne!(tokens.token().unwrap(), second);
    }

    #[test]
    fn a_token_that_is_refused_is_made_anew_if_it_is_twenty_minutes_old() {
        let (tokens, date, passed) = tokens();
        let first = tokens.token().unwrap();
        passed.pass(20 * MINUTE - 1);
        assert!(!tokens.refused(&first));
        assert_eq!(tokens.token().unwrap(), first);
        passed.pass(1);
        date.pass(1);
        assert!(tokens.refused(&first));
        let second = tokens.token().unwrap();
        assert_ne!(second, first);
        // Another request had the first one still.
        assert!(tokens.refused(&first));
        assert_eq!(tokens.token().unwrap(), second);
        assert!(!tokens.refused(&second));
    }

    #[test]
    fn a_file_without_such_a_key_is_refused_with_its_name() {
        let folder = tempfile::tempdir().unwrap();
        let open = |text: &str| {
            let key_file = folder.path().join("key.p8");
            std::fs::write(&key_file, text).unwrap();
            let config = config::Apns {
                key_file,
                ..config::Apns::default()
            };
            let clock: WallClock = Arc::new(|| UNIX_EPOCH);
            let opened = ProviderTokens::open(&config, clock, Arc::new(Instant::now));
            opened.err().map(|error| error.to_string()).unwrap_or_default()
        };
        for text in [
            "",
            "nonsense",
            "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n",
        ] {
            assert!(open(text).contains("key.p8 holds no "), "{}", open(text));
        }
        let other = rcgen::KeyPair::generate_for(&rcgen::PKCS_ED25519)
            .unwrap()
            .serialize_pem();
        assert!(open(&other).contains("no key of the curve P-256"), "{}", open(&other));
    }
}
