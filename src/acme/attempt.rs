//! One attempt to get a certificate (RFC 8555 §7.1): account, order, challenges, certificate. Whatever the authority answers, it asks for
//! nothing but the names of the configuration.

use std::time::Duration;

use instant_acme::{
    Account, AuthorizationHandle, AuthorizationStatus, CertificateIdentifier, ChallengeType, Error, Identifier,
    NewAccount, NewOrder, Order, OrderStatus, RetryPolicy,
};
use rcgen::{CertificateParams, DistinguishedName, KeyPair};
use rustls::pki_types::{CertificateDer, Der};

use super::challenges::{Challenges, Shown};
use super::client::{Bounded, Roots};
use super::failure::{Failure, Kind};
use super::schedule::Method;
use super::store::{self, Store};
use crate::config;
use crate::x509;

/// Time that an authority has to validate all names, and as much to issue the certificate. Authorities look from several places of the
/// world, which takes some ten seconds.
const POLLING: RetryPolicy = RetryPolicy::new()
    .initial_delay(Duration::from_millis(300))
    .backoff(1.6)
    .timeout(Duration::from_secs(120));

/// Characters of a challenge's token. They are those of base64url (RFC 8555 §8.3), 43 at Let's Encrypt.
const TOKEN_MAX: usize = 256;

/// What an attempt needs.
pub(super) struct Attempt<'a> {
    pub(super) config: &'a config::Acme,
    pub(super) store: &'a Store,
    pub(super) roots: &'a Roots,
    pub(super) challenges: &'a Challenges,
    pub(super) names: &'a [String],
    /// The challenge to prefer.
    pub(super) method: Method,
    /// Whether HTTP-01 may be used.
    pub(super) has_http: bool,
    /// The certificate that is to be replaced, where the authority should be told.
    pub(super) replaces: Option<CertificateDer<'static>>,
}

/// What an authority has sent, not looked at yet, and the key that it is for.
pub(super) struct Sent {
    pub(super) chain: String,
    pub(super) key: KeyPair,
}

impl Attempt<'_> {
    /// Gets a certificate. Takes as long as the authority likes; the caller sets a limit.
    pub(super) async fn run(&self) -> Result<Sent, Failure> {
        let account = self.account().await?;
        let identifiers: Vec<Identifier> = self.names.iter().cloned().map(Identifier::Dns).collect();
        let mut wanted = NewOrder::new(&identifiers);
        if let Some(identifier) = self.replaces.as_ref().and_then(identifier_of) {
            wanted = wanted.replaces(identifier);
        }
        let mut order = match account.new_order(&wanted).await {
            Ok(order) => order,
            Err(error) => {
                self.forget_if_unknown(&error);
                return Err(error.into());
            }
        };
        if order.state().authorizations.len() > self.names.len() {
            return Err(Failure::new(
                Kind::Answer,
                "the order has more authorizations than names",
            ));
        }
        let shown = self.prove(&mut order).await?;
        self.validated(&mut order).await?;
        drop(shown);
        self.issued(&mut order).await
    }

    /// The account that is kept, if it is one of this authority; otherwise a new one.
    pub(super) async fn account(&self) -> Result<Account, Failure> {
        let client = Bounded::new(self.roots, self.names.len())
            .map_err(|error| Failure::new(Kind::Unreachable, format!("cannot make a client: {error}")))?;
        let builder = Account::builder_with_http(Box::new(client));
        let contact = match self.config.contact.as_str() {
            "" => Vec::new(),
            address => vec![format!("mailto:{address}")],
        };
        let contact: Vec<&str> = contact.iter().map(String::as_str).collect();
        let (account, kept) = match self.store.account() {
            Some(kept) if kept.directory == self.config.directory && kept.contact == self.config.contact => {
                return Ok(builder.from_credentials(kept.credentials).await?);
            }
            Some(kept) if kept.directory == self.config.directory => {
                let again = serde_json::to_string(&kept.credentials).and_then(|text| serde_json::from_str(&text));
                let credentials = again.map_err(|error| Failure::new(Kind::Storage, error))?;
                let account = builder.from_credentials(kept.credentials).await?;
                let updated = account.update_contacts(&contact).await;
                updated.inspect_err(|error| self.forget_if_unknown(error))?;
                (account, credentials)
            }
            _ => {
                let new = NewAccount {
                    contact: &contact,
                    terms_of_service_agreed: true,
                    only_return_existing: false,
                };
                builder.create(&new, self.config.directory.clone(), None).await?
            }
        };
        let kept = store::Account {
            directory: self.config.directory.clone(),
            contact: self.config.contact.clone(),
            credentials: kept,
        };
        self.store
            .write_account(&kept)
            .map_err(|error| Failure::new(Kind::Storage, format!("cannot keep the account: {error}")))?;
        Ok(account)
    }

    /// Forgets an account that the authority does not know any more, so that the next attempt makes one.
    fn forget_if_unknown(&self, error: &Error) {
        let Error::Api(problem) = error else { return };
        let kind = problem.r#type.as_deref().unwrap_or_default();
        if kind.ends_with(":accountDoesNotExist")
            && let Err(error) = self.store.remove_account()
        {
            tracing::warn!(%error, "cannot remove the file of an ACME account that the authority does not know");
        }
    }

    /// Shows a challenge for each name that the authority does not believe yet, and says that it may come to look.
    async fn prove(&self, order: &mut Order) -> Result<Shown, Failure> {
        let shown = self.challenges.show();
        let mut authorizations = order.authorizations();
        while let Some(authorization) = authorizations.next().await {
            let mut authorization = authorization?;
            match authorization.status {
                AuthorizationStatus::Valid => {}
                AuthorizationStatus::Pending => self.prove_one(&mut authorization, &shown).await?,
                status => {
                    let reason = format!("a new order has an authorization that is {status:?}");
                    return Err(Failure::new(Kind::Answer, reason));
                }
            }
        }
        Ok(shown)
    }

    async fn prove_one<'a>(
        &self,
        authorization: &'a mut AuthorizationHandle<'a>,
        shown: &Shown,
    ) -> Result<(), Failure> {
        let name = self.name_of(authorization)?;
        let offered = |method: Method| {
            let kind = challenge_type(method);
            authorization
                .challenges
                .iter()
                .any(|challenge| challenge.r#type == kind)
        };
        let methods = [self.method, self.method.other()];
        let usable = |method: &&Method| offered(**method) && (self.has_http || **method == Method::Tls);
        let Some(method) = methods.iter().find(usable).copied() else {
            let reason = format!("{name}: it offers no challenge that this server can answer");
            return Err(Failure::new(Kind::Refused, reason));
        };
        let Some(mut challenge) = authorization.challenge(challenge_type(method)) else {
            return Err(Failure::new(Kind::Answer, "a challenge has vanished"));
        };
        let is_token = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_';
        if !(1..=TOKEN_MAX).contains(&challenge.token.len()) || !challenge.token.bytes().all(is_token) {
            return Err(Failure::new(Kind::Answer, "a challenge has a token that is none"));
        }
        let key_authorization = challenge.key_authorization();
        match method {
            Method::Tls => shown
                .by_tls(&name, key_authorization.digest().as_ref())
                .map_err(|error| Failure::new(Kind::Certificate, format!("cannot show the challenge: {error}")))?,
            Method::Http => shown.by_http(&challenge.token, key_authorization.as_str()),
        }
        tracing::debug!(name, ?method, "an authority may look for a challenge");
        challenge.set_ready().await.map_err(|error| match error {
            Error::Api(problem) => Failure::validation(&name, Some(&problem)),
            other => other.into(),
        })
    }

    /// The name that an authorization is about, if it is one of ours.
    fn name_of(&self, authorization: &AuthorizationHandle<'_>) -> Result<String, Failure> {
        let about = authorization.identifier();
        match about.identifier {
            Identifier::Dns(name) if !about.wildcard && self.names.contains(name) => Ok(name.clone()),
            _ => Err(Failure::new(
                Kind::Answer,
                format!("an authorization is about {about}, which was not asked for"),
            )),
        }
    }

    /// Waits until the authority believes all names.
    async fn validated(&self, order: &mut Order) -> Result<(), Failure> {
        if order.state().status == OrderStatus::Ready {
            return Ok(());
        }
        let refusal = match order.poll_ready(&POLLING).await {
            Ok(OrderStatus::Ready) => return Ok(()),
            // Only the authorizations say why.
            Ok(_) => None,
            Err(Error::Api(problem)) => Some(problem),
            Err(error) => return Err(error.into()),
        };
        let mut authorizations = order.authorizations();
        while let Some(authorization) = authorizations.next().await {
            let mut authorization = authorization?;
            authorization.refresh().await?;
            let name = self.name_of(&authorization)?;
            let problem = authorization
                .challenges
                .iter()
                .find_map(|challenge| challenge.error.as_ref());
            if authorization.status != AuthorizationStatus::Valid
                && let Some(problem) = problem
            {
                return Err(Failure::validation(&name, Some(problem)));
            }
        }
        Err(Failure::validation("the order", refusal.as_ref()))
    }

    /// Makes a key, and has it certified.
    async fn issued(&self, order: &mut Order) -> Result<Sent, Failure> {
        let certificate =
            |error: rcgen::Error| Failure::new(Kind::Certificate, format!("cannot make a request: {error}"));
        let key = KeyPair::generate().map_err(certificate)?;
        let mut params = CertificateParams::new(self.names).map_err(certificate)?;
        params.distinguished_name = DistinguishedName::new();
        let request = params.serialize_request(&key).map_err(certificate)?;
        order.finalize_csr(request.der()).await?;
        let chain = order.poll_certificate(&POLLING).await?;
        Ok(Sent { chain, key })
    }
}

fn challenge_type(method: Method) -> ChallengeType {
    match method {
        Method::Tls => ChallengeType::TlsAlpn01,
        Method::Http => ChallengeType::Http01,
    }
}

/// What an authority knows a certificate by (RFC 9773 §4.1).
pub(super) fn identifier_of(certificate: &CertificateDer<'_>) -> Option<CertificateIdentifier<'static>> {
    let (key, serial) = x509::authority_key_and_serial(certificate)?;
    let identifier = CertificateIdentifier::new(Der::from_slice(&key), Der::from_slice(&serial));
    Some(identifier.into_owned())
}
