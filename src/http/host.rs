//! The host names under which this server answers, checked before any route; and HSTS, which needs the same name.
//!
//! A page on the web can let its own host name point to the address of this machine (DNS rebinding). The browser then
//! takes this server for that page's own, and the page may read and send what it likes. The Host header shows it, because
//! it still has the foreign name. A numeric address cannot be rebound, so any is accepted.

use std::net::IpAddr;
use std::sync::Arc;

use axum::extract::{Request, State};
use axum::http::request::Parts;
use axum::http::uri::Authority;
use axum::http::{HeaderMap, HeaderValue, StatusCode, Uri, Version, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};

use super::errors::HttpError;
use super::machine::machine_name;
use super::tls::Certificate;
use crate::config::Config;

/// Whether a request came over TLS. Each request has this among its extensions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct OverTls(pub bool);

/// The name by which a client asked for the connection in TLS (SNI, RFC 6066 §3), if it named one. Each request has this among its
/// extensions.
#[derive(Clone, Debug, Default)]
pub(crate) struct AskedFor(pub Option<Arc<str>>);

impl AskedFor {
    /// Whether a request for this host may come by the connection. By HTTP/2 a browser also sends what it wants of other hosts that
    /// the certificate covers and that have the same address (RFC 9113 §9.1.1), and those may be other servers behind one proxy.
    fn suits(&self, version: Version, host: &str) -> bool {
        let same = |name: &Arc<str>| plain(name) == plain(host);
        version != Version::HTTP_2 || self.0.as_ref().is_none_or(same)
    }
}

/// The names of this server. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Hosts {
    /// The names in `http.allowed_hosts` and `tls.acme.domains`, and this machine's own name.
    named: Arc<[String]>,
    /// The certificate. Its names count, too, whichever certificate is in use at the moment.
    certificate: Option<Certificate>,
    /// The header for clients that came over TLS by a name of a certificate that is not self-made.
    hsts: Option<HeaderValue>,
}

impl Hosts {
    pub fn new(config: &Config, certificate: Option<Certificate>) -> Hosts {
        let mut named: Vec<String> = config.http.allowed_hosts.iter().map(|name| plain(name)).collect();
        if let Some(machine) = machine_name() {
            // The name that other machines of the same network use: RFC 6762 §3.
            named.push(format!("{}.local", plain(&machine)));
            named.push(plain(&machine));
        }
        // The certificate has them only once an authority has come here by them.
        named.extend(config.tls.acme.names());
        Hosts {
            named: named.into(),
            hsts: hsts(config),
            certificate,
        }
    }

    fn are(&self, name: &str) -> bool {
        let name = plain(name);
        is_address(&name)
            || is_localhost(&name)
            || self.named.iter().any(|pattern| covers(pattern, &name))
            || self.is_certified(&name)
    }

    fn is_certified(&self, name: &str) -> bool {
        self.certificate
            .as_ref()
            .is_some_and(|certificate| certificate.names().iter().any(|pattern| covers(pattern, name)))
    }

    /// The HSTS header for a name. RFC 6797 §8.1.1 excludes addresses; localhost is shared by all programs of a machine.
    fn hsts_for(&self, name: &str, OverTls(encrypted): OverTls) -> Option<&HeaderValue> {
        let name = plain(name);
        let certificate = self
            .certificate
            .as_ref()
            .filter(|certificate| !certificate.is_self_made());
        let suits = encrypted && !is_address(&name) && !is_localhost(&name) && self.is_certified(&name);
        let suits = suits && certificate.is_some();
        self.hsts.as_ref().filter(|_| suits)
    }
}

/// The HSTS header, if no listener without TLS can be reached from other machines.
/// Browsers apply HSTS to every port of a host (RFC 6797 §8.3), and could not reach such listeners any more.
fn hsts(config: &Config) -> Option<HeaderValue> {
    let days = config.http.hsts_d;
    let open_without_tls = |listener: &crate::config::Listener| !listener.tls && !listener.address.ip().is_loopback();
    if days == 0 || config.listeners.iter().any(open_without_tls) {
        return None;
    }
    let seconds = u64::from(days) * 24 * 3_600;
    HeaderValue::from_str(&format!("max-age={seconds}")).ok()
}

/// The host that the client wants, from the request's target or its Host header (RFC 9112 §3.2, §3.2.2).
pub fn of<B>(request: &axum::http::Request<B>) -> Option<Authority> {
    named(request.version(), request.uri(), request.headers())
}

pub(super) fn of_parts(parts: &Parts) -> Option<Authority> {
    named(parts.version, &parts.uri, &parts.headers)
}

fn named(version: Version, target: &Uri, headers: &HeaderMap) -> Option<Authority> {
    let mut hosts = headers.get_all(header::HOST).iter();
    if let Some(authority) = target.authority() {
        // In HTTP/2 another name in the Host header makes the request malformed: RFC 9113 §8.3.1.
        let is_same = |host: &HeaderValue| host.to_str().is_ok_and(|host| are_same(host, authority, target));
        let is_clear = version != Version::HTTP_2 || hosts.all(is_same);
        return is_clear.then(|| authority.clone());
    }
    let host = hosts.next()?;
    let authority: Authority = host.to_str().ok()?.parse().ok()?;
    (hosts.next().is_none() && !authority.as_str().contains('@')).then_some(authority)
}

pub(super) async fn check(State(hosts): State<Hosts>, request: Request, next: Next) -> Response {
    // HTTP/1.0 has no Host header. Browsers, which alone can be deceived, have always sent it since.
    if request.version() == Version::HTTP_10 && !request.headers().contains_key(header::HOST) {
        return next.run(request).await;
    }
    let Some(host) = of(&request) else {
        let sentence = "a request needs one Host header with the name or address of this server";
        return HttpError::new(StatusCode::BAD_REQUEST, sentence).into_response();
    };
    let name = host.host();
    let asked_for = request.extensions().get::<AskedFor>();
    if asked_for.is_some_and(|asked_for| !asked_for.suits(request.version(), name)) {
        let sentence = format!("this connection was not made for `{name}`; ask for it by a connection of its own");
        return HttpError::new(StatusCode::MISDIRECTED_REQUEST, sentence).into_response();
    }
    if !hosts.are(name) {
        let sentence = format!(
            "this server does not answer under the name `{name}`; if it is one of its names, add it to http.allowed_hosts"
        );
        return HttpError::new(StatusCode::MISDIRECTED_REQUEST, sentence).into_response();
    }
    let transport = request.extensions().get().copied().unwrap_or(OverTls(false));
    let hsts = hosts.hsts_for(name, transport).cloned();
    let mut response = next.run(request).await;
    if let Some(hsts) = hsts {
        response.headers_mut().insert(header::STRICT_TRANSPORT_SECURITY, hsts);
    }
    response
}

/// Whether a Host header and the authority of a target mean the same, with or without the port that the scheme has anyway.
fn are_same(host: &str, authority: &Authority, target: &Uri) -> bool {
    let usual = match target.scheme_str() {
        Some("http") => 80,
        _ => 443,
    };
    let port = |authority: &Authority| authority.port_u16().unwrap_or(usual);
    host.parse::<Authority>()
        .is_ok_and(|host| plain(host.host()) == plain(authority.host()) && port(&host) == port(authority))
}

/// The form for comparison: names differ neither by case nor by the dot of the root (RFC 4343, RFC 1034 §3.1).
fn plain(name: &str) -> String {
    name.strip_suffix('.').unwrap_or(name).to_ascii_lowercase()
}

fn is_address(name: &str) -> bool {
    let bare = name.strip_prefix('[').and_then(|rest| rest.strip_suffix(']'));
    bare.unwrap_or(name).parse::<IpAddr>().is_ok()
}

/// Whether the name is localhost, for which no name server is asked (RFC 6761 §6.3).
fn is_localhost(name: &str) -> bool {
    name == "localhost" || name.ends_with(".localhost")
}

/// Whether a pattern covers a name. `*` stands for all names, `*.` at the beginning for one label (RFC 9525 §6.3).
fn covers(pattern: &str, name: &str) -> bool {
    if pattern == "*" {
        return true;
    }
    match pattern.strip_prefix("*.") {
        Some(parent) => name
            .split_once('.')
            .is_some_and(|(label, rest)| !label.is_empty() && rest == parent),
        None => pattern == name,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::WallClock;
    use crate::config;

    fn hosts(allowed: &[&str]) -> Hosts {
        let mut config = Config::default();
        config.http.allowed_hosts = allowed.iter().map(|name| (*name).to_owned()).collect();
        Hosts::new(&config, None)
    }

    #[test]
    fn addresses_and_localhost_are_ours_and_foreign_names_are_not() {
        let hosts = hosts(&[]);
        for name in [
            "127.0.0.1",
            "192.168.1.7",
            "[::1]",
            "[2001:db8::7]",
            "localhost",
            "LocalHost.",
            "a.localhost",
        ] {
            assert!(hosts.are(name), "{name}");
        }
        for name in [
            "rebind.example",
            "127.0.0.1.rebind.example",
            "localhost.example",
            "notlocalhost",
            "*",
            "1.2.3",
        ] {
            assert!(!hosts.are(name), "{name}");
        }
    }

    #[test]
    fn this_machines_own_name_is_ours() {
        let machine = machine_name().unwrap();
        assert!(hosts(&[]).are(&machine));
        assert!(hosts(&[]).are(&format!("{machine}.local")));
        assert!(!hosts(&[]).are(&format!("{machine}.example")));
    }

    #[test]
    fn configured_names_are_ours_whatever_their_case_and_a_star_stands_for_one_label() {
        let some = hosts(&["Calls.Example.org", "*.meet.example"]);
        for name in ["calls.example.org", "CALLS.example.org.", "a.meet.example"] {
            assert!(some.are(name), "{name}");
        }
        for name in [
            "example.org",
            "meet.example",
            "a.b.meet.example",
            ".meet.example",
            "xmeet.example",
        ] {
            assert!(!some.are(name), "{name}");
        }
        assert!(hosts(&["*"]).are("rebind.example"));
    }

    #[test]
    fn hsts_needs_a_given_certificate_and_nothing_that_is_open_to_other_machines_without_tls() {
        let folder = tempfile::tempdir().unwrap();
        #[allow(clippy::disallowed_methods, reason = "a certificate made here is valid today")]
        let clock = || -> WallClock { Arc::new(std::time::SystemTime::now) };
        let mut tls = config::Tls {
            directory: folder.path().to_owned(),
            ..config::Tls::default()
        };
        tls.acme.domains = vec!["calls.example.org".to_owned()];
        let self_made = Certificate::load(&tls, clock()).unwrap();
        let key = rcgen::KeyPair::generate().unwrap();
        let params = rcgen::CertificateParams::new(tls.acme.domains.clone()).unwrap();
        tls.certificate = folder.path().join("given.pem");
        tls.key.clone_from(&tls.certificate);
        let pem = params.self_signed(&key).unwrap().pem() + &key.serialize_pem();
        std::fs::write(&tls.certificate, pem).unwrap();
        let given = Certificate::load(&tls, clock()).unwrap();
        let is_sent = |certificate: &Certificate, plain: Option<&str>| {
            let listener = |address: &str, tls| config::Listener {
                address: address.parse().unwrap(),
                tls,
            };
            let with_tls = [listener("0.0.0.0:443", true)].into_iter();
            let config = Config {
                listeners: with_tls.chain(plain.map(|address| listener(address, false))).collect(),
                ..Config::default()
            };
            let hosts = Hosts::new(&config, Some(certificate.clone()));
            hosts.hsts_for("calls.example.org", OverTls(true)).is_some()
        };
        assert!(is_sent(&given, None));
        assert!(
            is_sent(&given, Some("127.0.0.1:80")),
            "only a proxy on this machine can use it"
        );
        for open in ["0.0.0.0:80", "[::]:80", "192.0.2.1:80"] {
            assert!(!is_sent(&given, Some(open)), "{open}");
        }
        assert!(!is_sent(&self_made, None));
    }

    #[test]
    fn a_connection_by_http_2_is_for_the_host_for_which_it_was_made() {
        let made_for = |name: &str| AskedFor(Some(name.into()));
        assert!(made_for("calls.example.org").suits(Version::HTTP_2, "Calls.example.org."));
        assert!(!made_for("calls.example.org").suits(Version::HTTP_2, "shop.example.org"));
        assert!(made_for("calls.example.org").suits(Version::HTTP_11, "shop.example.org"));
        assert!(
            AskedFor(None).suits(Version::HTTP_2, "192.0.2.1"),
            "addresses are not named"
        );
    }

    #[test]
    fn the_host_is_the_targets_or_the_headers_and_never_two() {
        let by = |version, target: &str, hosts: &[&str]| {
            let mut request = axum::http::Request::get(target).version(version);
            for host in hosts {
                request = request.header(header::HOST, *host);
            }
            of(&request.body(()).unwrap()).map(|host| host.to_string())
        };
        let request = |target: &str, hosts: &[&str]| by(Version::HTTP_11, target, hosts);
        assert_eq!(request("/", &["a.example:1"]).as_deref(), Some("a.example:1"));
        assert_eq!(
            request("http://b.example/", &["a.example"]).as_deref(),
            Some("b.example")
        );
        for hosts in [&[][..], &[""], &["a b"], &["a", "b"], &["x@a"], &["a/b"]] {
            assert_eq!(request("/", hosts), None, "{hosts:?}");
        }
        for (hosts, is_clear) in [
            (&[][..], true),
            (&["B.example"], true),
            (&["b.example:443"], true),
            (&["b.example:444"], false),
            (&["a.example"], false),
            (&["b.example", "a.example"], false),
        ] {
            let host = by(Version::HTTP_2, "https://b.example/", hosts);
            assert_eq!(host.is_some(), is_clear, "{hosts:?}");
        }
    }
}
