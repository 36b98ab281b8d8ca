//! An authority that issues certificates by ACME (RFC 8555), for tests: real HTTPS with a root of its own, orders, validations over
//! loopback, certificates. It is strict with its clients, writes down what they do wrong, and plays the failures that it is told to.

mod issuing;
mod jws;
mod validation;

use std::convert::Infallible;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::{Duration, SystemTime};

use axum::body::{Body, Bytes, to_bytes};
use axum::http::{HeaderMap, Method, Request, Response};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::CancellationToken;

use self::issuing::Authority;
use self::jws::{Account, Message};
pub use self::validation::{Ports, connect};

/// What the authority does instead of what it should.
#[derive(Clone, Debug, PartialEq)]
pub enum Mood {
    Well,
    /// Connections are closed at once.
    Down,
    /// Orders are refused with this type and reason.
    Refuses(&'static str, &'static str),
    /// Certificates are no certificates.
    Garbage,
    /// Certificates are for a key of somebody else.
    OtherKey,
    /// Every answer is longer than anything that ACME knows.
    Endless,
    /// Orders are never done, and ask for a wait that no clock can count.
    Never,
}

/// A name that a client wants to have certified.
struct Authorization {
    name: String,
    token: String,
    status: &'static str,
    /// The challenge that was used, and the problem that was found.
    outcome: Option<(&'static str, Option<String>)>,
    /// The key authorization that is to be found.
    key_authorization: String,
}

struct Order {
    authorizations: Vec<usize>,
    status: &'static str,
    certificate: Option<String>,
}

pub struct State {
    pub mood: Mood,
    /// Where the names lead. Validations wait until this is known.
    pub ports: Option<Ports>,
    /// Time for which certificates are valid.
    pub lifetime: Duration,
    /// When certificates should be renewed (RFC 9773).
    pub window: Option<(SystemTime, SystemTime)>,
    nonces: Vec<String>,
    accounts: Vec<Account>,
    authorizations: Vec<Authorization>,
    orders: Vec<Order>,
    /// What clients have done wrong.
    pub faults: Vec<String>,
    /// Challenges that were found: `tls-alpn-01 name`.
    pub found: Vec<String>,
    /// Certificates that a client has said it replaces.
    pub replaced: Vec<String>,
    /// Contacts of the accounts.
    pub contacts: Vec<Value>,
    counter: u64,
}

pub struct Twin {
    pub address: SocketAddr,
    shared: Arc<Shared>,
    stop: CancellationToken,
    folder: TempDir,
}

struct Shared {
    authority: Authority,
    base: String,
    state: Mutex<State>,
}

impl Drop for Twin {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

impl Twin {
    pub async fn start() -> Twin {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let address = listener.local_addr().unwrap();
        let authority = Authority::new();
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("root.pem"), authority.root_pem()).unwrap();
        let acceptor = TlsAcceptor::from(Arc::new(authority.server()));
        let shared = Arc::new(Shared {
            authority,
            base: format!("https://localhost:{}", address.port()),
            state: Mutex::new(State::new()),
        });
        let stop = CancellationToken::new();
        let (serving, until) = (Arc::clone(&shared), stop.clone());
        tokio::spawn(stop.clone().run_until_cancelled_owned(async move {
            loop {
                let (socket, _) = listener.accept().await.unwrap();
                let serving = serve(socket, acceptor.clone(), Arc::clone(&serving));
                tokio::spawn(until.clone().run_until_cancelled_owned(serving));
            }
        }));
        Twin {
            address,
            shared,
            stop,
            folder,
        }
    }

    pub fn directory(&self) -> String {
        format!("{}/directory", self.shared.base)
    }

    /// The file of the root by which its server, and what it issues, is checked.
    pub fn root(&self) -> PathBuf {
        self.folder.path().join("root.pem")
    }

    pub fn state(&self) -> MutexGuard<'_, State> {
        self.shared.state()
    }

    /// Accounts and orders until now.
    pub fn counts(&self) -> (usize, usize) {
        let state = self.state();
        (state.accounts.len(), state.orders.len())
    }
}

impl State {
    fn new() -> State {
        State {
            mood: Mood::Well,
            ports: None,
            lifetime: Duration::from_secs(90 * 86_400),
            window: None,
            nonces: Vec::new(),
            accounts: Vec::new(),
            authorizations: Vec::new(),
            orders: Vec::new(),
            faults: Vec::new(),
            found: Vec::new(),
            replaced: Vec::new(),
            contacts: Vec::new(),
            counter: 0,
        }
    }

    /// A text that was never made before.
    fn unique(&mut self, kind: &str) -> String {
        self.counter += 1;
        format!("{kind}-{}", self.counter)
    }

    fn nonce(&mut self) -> String {
        let nonce = self.unique("nonce");
        self.nonces.push(nonce.clone());
        nonce
    }
}

/// An answer: its status, one more header, its body.
struct Answer(u16, Option<(&'static str, String)>, String);

impl Answer {
    fn json(status: u16, body: &Value) -> Answer {
        Answer(status, None, body.to_string())
    }

    fn problem(status: u16, kind: &str, detail: &str) -> Answer {
        Answer::json(
            status,
            &json!({ "type": format!("urn:ietf:params:acme:error:{kind}"), "detail": detail, "status": status }),
        )
    }

    fn at(mut self, location: String) -> Answer {
        self.1 = Some(("location", location));
        self
    }
}

async fn serve(socket: TcpStream, acceptor: TlsAcceptor, shared: Arc<Shared>) {
    if shared.state().mood == Mood::Down {
        return;
    }
    let Ok(tls) = acceptor.accept(socket).await else { return };
    let service = service_fn(|request: Request<Incoming>| {
        let shared = Arc::clone(&shared);
        async move {
            let (head, body) = request.into_parts();
            let body = to_bytes(Body::new(body), 1 << 20).await.unwrap();
            let path = head.uri.path().to_owned();
            Ok::<_, Infallible>(answer(&shared, &head.method, &path, &head.headers, body))
        }
    });
    let http = hyper::server::conn::http1::Builder::new();
    http.serve_connection(TokioIo::new(tls), service).await.ok();
}

fn answer(shared: &Arc<Shared>, method: &Method, path: &str, headers: &HeaderMap, body: Bytes) -> Response<Body> {
    let nonce = shared.state().nonce();
    let Answer(status, header, body) = if shared.state().mood == Mood::Endless {
        Answer(200, None, "[".repeat(8 << 20))
    } else if *method == Method::POST {
        shared.posted(path, headers, &body)
    } else {
        shared.asked(path)
    };
    let mut response = Response::builder().status(status).header("replay-nonce", nonce);
    if let Some((name, value)) = header {
        response = response.header(name, value);
    }
    response.body(Body::from(body)).unwrap()
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap()
    }

    fn asked(&self, path: &str) -> Answer {
        let base = &self.base;
        if let Some(certificate) = path.strip_prefix("/renewal/") {
            return self.renewal(certificate);
        }
        match path {
            "/directory" => Answer::json(
                200,
                &json!({
                    "newNonce": format!("{base}/nonce"),
                    "newAccount": format!("{base}/account"),
                    "newOrder": format!("{base}/order"),
                    "renewalInfo": format!("{base}/renewal"),
                }),
            ),
            "/nonce" => Answer(200, None, String::new()),
            _ => Answer::problem(404, "malformed", "there is nothing here"),
        }
    }

    fn renewal(&self, certificate: &str) -> Answer {
        if !self.authority.has_issued(certificate) {
            return Answer::problem(404, "malformed", "no such certificate");
        }
        let at = |date: SystemTime| jiff::Timestamp::try_from(date).unwrap().to_string();
        match self.state().window {
            Some((start, end)) => {
                let window = json!({ "suggestedWindow": { "start": at(start), "end": at(end) } });
                let mut answer = Answer::json(200, &window);
                // More seconds than any clock can count.
                answer.1 = Some(("retry-after", u64::MAX.to_string()));
                answer
            }
            None => Answer::problem(404, "malformed", "there is no advice"),
        }
    }

    fn posted(self: &Arc<Shared>, path: &str, headers: &HeaderMap, body: &[u8]) -> Answer {
        if headers
            .get("content-type")
            .is_none_or(|kind| kind != "application/jose+json")
        {
            return self.fault("the content type is wrong");
        }
        let message = match jws::read(&mut self.state(), &self.base, path, body) {
            Ok(message) => message,
            Err(fault) => return self.fault(&fault),
        };
        let parts: Vec<&str> = path.trim_start_matches('/').split('/').collect();
        match parts[..] {
            ["account"] => self.new_account(&message),
            ["order"] => self.new_order(&message),
            ["order", order] => self.order(order.parse().unwrap()),
            ["order", order, "finalize"] => self.finalize(order.parse().unwrap(), &message),
            ["authorization", number] => Answer::json(200, &self.authorization(number.parse().unwrap())),
            ["challenge", number, kind] => self.challenged(number.parse().unwrap(), kind),
            ["certificate", order] => {
                let order: usize = order.parse().unwrap();
                let certificate = self.state().orders[order].certificate.clone();
                Answer(200, None, certificate.unwrap())
            }
            _ => self.fault(&format!("nobody knows {path}")),
        }
    }

    /// Writes down what a client has done wrong, and says so.
    fn fault(&self, what: &str) -> Answer {
        self.state().faults.push(what.to_owned());
        Answer::problem(400, "malformed", what)
    }

    fn new_account(&self, message: &Message) -> Answer {
        let Some(account) = &message.new_account else {
            return self.fault("a new account comes with its key");
        };
        if message.payload["termsOfServiceAgreed"] != true {
            return self.fault("the terms are not agreed to");
        }
        let mut state = self.state();
        state.contacts.push(message.payload["contact"].clone());
        state.accounts.push(account.clone());
        let place = format!("{}/account/{}", self.base, state.accounts.len() - 1);
        Answer::json(201, &json!({ "status": "valid" })).at(place)
    }

    fn new_order(&self, message: &Message) -> Answer {
        let mut state = self.state();
        if let Mood::Refuses(kind, detail) = state.mood {
            return Answer::problem(403, kind, detail);
        }
        if let Some(replaced) = message.payload["replaces"].as_str() {
            state.replaced.push(replaced.to_owned());
        }
        let mut authorizations = Vec::new();
        for identifier in message.payload["identifiers"].as_array().unwrap() {
            let token = state.unique("token");
            let print = state.accounts[message.account].print.clone();
            authorizations.push(state.authorizations.len());
            state.authorizations.push(Authorization {
                name: identifier["value"].as_str().unwrap().to_owned(),
                key_authorization: format!("{token}.{print}"),
                token,
                status: "pending",
                outcome: None,
            });
        }
        state.orders.push(Order {
            authorizations,
            status: "pending",
            certificate: None,
        });
        let number = state.orders.len() - 1;
        drop(state);
        let mut body = self.described(number);
        if let Some(replaced) = message.payload.get("replaces") {
            body["replaces"] = replaced.clone();
        }
        Answer::json(201, &body).at(format!("{}/order/{number}", self.base))
    }

    fn order(&self, number: usize) -> Answer {
        if self.state().mood == Mood::Never {
            let mut body = self.described(number);
            body["status"] = json!("processing");
            let mut answer = Answer::json(200, &body);
            answer.1 = Some(("retry-after", u64::MAX.to_string()));
            return answer;
        }
        Answer::json(200, &self.described(number))
    }

    fn described(&self, number: usize) -> Value {
        let base = &self.base;
        let mut state = self.state();
        let of = &state.orders[number].authorizations;
        let statuses: Vec<&str> = of.iter().map(|&a| state.authorizations[a].status).collect();
        let status = match state.orders[number].status {
            "pending" if statuses.contains(&"invalid") => "invalid",
            "pending" if statuses.iter().all(|status| *status == "valid") => "ready",
            status => status,
        };
        let authorizations: Vec<String> = of.iter().map(|a| format!("{base}/authorization/{a}")).collect();
        state.orders[number].status = status;
        let mut described = json!({
            "status": status,
            "authorizations": authorizations,
            "finalize": format!("{base}/order/{number}/finalize"),
        });
        if status == "valid" {
            described["certificate"] = json!(format!("{base}/certificate/{number}"));
        }
        described
    }

    fn authorization(&self, number: usize) -> Value {
        let state = self.state();
        let it = &state.authorizations[number];
        let challenge = |kind: &str| {
            let mut challenge = json!({
                "type": kind,
                "url": format!("{}/challenge/{number}/{kind}", self.base),
                "token": it.token,
                "status": "pending",
            });
            if let Some((used, problem)) = &it.outcome
                && *used == kind
            {
                challenge["status"] = json!(it.status);
                if let Some(problem) = problem {
                    challenge["error"] = json!({ "type": "urn:ietf:params:acme:error:connection", "detail": problem });
                }
            }
            challenge
        };
        json!({
            "status": it.status,
            "identifier": { "type": "dns", "value": it.name },
            "challenges": [challenge("dns-01"), challenge("http-01"), challenge("tls-alpn-01")],
        })
    }

    /// A client says that a challenge can be found. Looking takes its time.
    fn challenged(self: &Arc<Shared>, number: usize, kind: &str) -> Answer {
        let kind = match kind {
            "tls-alpn-01" => "tls-alpn-01",
            "http-01" => "http-01",
            _ => return self.fault("nobody can have answered this challenge"),
        };
        let shared = Arc::clone(self);
        tokio::spawn(async move {
            let problem = shared.validate(number, kind).await.err();
            let mut state = shared.state();
            let it = &mut state.authorizations[number];
            it.status = if problem.is_none() { "valid" } else { "invalid" };
            let found = format!("{kind} {}", it.name);
            it.outcome = Some((kind, problem.clone()));
            if problem.is_none() {
                state.found.push(found);
            }
        });
        let authorization = self.authorization(number);
        let mut challenges = authorization["challenges"].as_array().unwrap().iter();
        let mut challenge = challenges.find(|challenge| challenge["type"] == kind).unwrap().clone();
        challenge["status"] = json!("processing");
        Answer::json(200, &challenge)
    }

    async fn validate(&self, number: usize, kind: &str) -> Result<(), String> {
        let ports = loop {
            if let Some(ports) = self.state().ports {
                break ports;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        };
        let (name, token, wanted) = {
            let state = self.state();
            let it = &state.authorizations[number];
            (it.name.clone(), it.token.clone(), it.key_authorization.clone())
        };
        match kind {
            "http-01" => validation::by_http(ports.http, &name, &token, &wanted).await,
            _ => validation::by_tls(ports.tls, &name, &wanted).await,
        }
    }

    fn finalize(&self, number: usize, message: &Message) -> Answer {
        if self.described(number)["status"] != "ready" {
            return self.fault("the order is not ready");
        }
        let (mood, lifetime, mut names) = {
            let state = self.state();
            let of = state.orders[number].authorizations.iter();
            let names: Vec<String> = of.map(|&a| state.authorizations[a].name.clone()).collect();
            (state.mood.clone(), state.lifetime, names)
        };
        names.sort();
        let request = jws::decoded(message.payload["csr"].as_str().unwrap());
        let issued = match self.authority.issue(&request, &names, lifetime, mood == Mood::OtherKey) {
            Ok(_) if mood == Mood::Garbage => "<html>busy</html>".to_owned(),
            Ok(chain) => chain,
            Err(fault) => return self.fault(&fault),
        };
        {
            let mut state = self.state();
            state.orders[number].status = "valid";
            state.orders[number].certificate = Some(issued);
        }
        Answer::json(200, &self.described(number))
    }
}
