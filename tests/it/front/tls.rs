//! Certificates: made by the server, given by the operator, changed, and bad.

use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use patchbay::clock::WallClock;
use patchbay::config;
use patchbay::http::tls::Certificate;
use rcgen::{CertificateParams, KeyPair};

use super::running::{listener, start};

#[allow(clippy::disallowed_methods, reason = "certificates made here are valid today")]
fn at(days_from_now: u64) -> WallClock {
    Arc::new(move || SystemTime::now() + Duration::from_secs(days_from_now * 86_400))
}

fn self_made(directory: &Path) -> config::Tls {
    config::Tls {
        directory: directory.to_owned(),
        ..config::Tls::default()
    }
}

fn given(directory: &Path) -> config::Tls {
    config::Tls {
        certificate: directory.join("cert.pem"),
        key: directory.join("key.pem"),
        directory: directory.to_owned(),
        ..config::Tls::default()
    }
}

/// A fresh pair for `name`: certificate and key as PEM.
fn pair(name: &str) -> (String, String) {
    let key = KeyPair::generate().unwrap();
    let certificate = CertificateParams::new([name.to_owned()])
        .unwrap()
        .self_signed(&key)
        .unwrap();
    (certificate.pem(), key.serialize_pem())
}

fn write(config: &config::Tls, (certificate, key): &(String, String)) {
    std::fs::write(&config.key, key).unwrap();
    std::fs::write(&config.certificate, certificate).unwrap();
}

fn error(config: &config::Tls) -> String {
    Certificate::load(config, at(0))
        .err()
        .expect("it does not load")
        .to_string()
}

#[tokio::test]
async fn the_self_made_certificate_is_valid_for_every_name_of_this_machine() {
    let running =
        start(|config| config.listeners = vec![listener("127.0.0.1:0", true), listener("[::1]:0", true)]).await;
    let pem = std::fs::read(running.data.path().join("certs/localhost.pem")).unwrap();
    // A client that verifies, and trusts this one certificate.
    let client = reqwest::Client::builder()
        .tls_certs_only([reqwest::Certificate::from_pem(&pem).unwrap()])
        .build()
        .unwrap();
    let [v4, v6] = [0, 1].map(|n| running.server.listeners()[n].address.port());
    for url in [
        format!("https://localhost:{v4}/healthz"),
        format!("https://127.0.0.1:{v4}/healthz"),
        format!("https://[::1]:{v6}/healthz"),
    ] {
        assert_eq!(client.get(&url).send().await.unwrap().status().as_u16(), 200, "{url}");
    }
}

#[test]
fn the_self_made_key_is_private_and_kept_until_it_is_about_to_expire() {
    let folder = tempfile::tempdir().unwrap();
    let config = self_made(&folder.path().join("certs"));
    let read = || std::fs::read(config.directory.join("localhost.pem")).unwrap();
    assert!(Certificate::load(&config, at(0)).unwrap().is_self_made());
    let key = config.directory.join("localhost-key.pem");
    assert_eq!(key.metadata().unwrap().permissions().mode() & 0o777, 0o600);
    let first = read();
    Certificate::load(&config, at(600)).unwrap();
    assert_eq!(read(), first, "still valid for months");
    Certificate::load(&config, at(720)).unwrap();
    assert_ne!(read(), first, "it would have expired within days");
    let second = read();
    std::fs::remove_file(&key).unwrap();
    Certificate::load(&config, at(720)).unwrap();
    assert_ne!(read(), second, "a certificate without its key is of no use");
}

#[test]
fn a_directory_that_cannot_keep_it_is_named() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("file"), "").unwrap();
    let error = error(&self_made(&folder.path().join("file/certs")));
    assert!(error.contains("file/certs") && error.contains("writable"), "{error}");
}

#[test]
fn a_bad_pair_is_refused_with_the_name_of_the_file_and_what_is_wrong() {
    let folder = tempfile::tempdir().unwrap();
    let config = given(folder.path());
    let good = pair("localhost");
    assert!(
        error(&config).contains("cannot read the certificate"),
        "{}",
        error(&config)
    );
    for (certificate, key, named, wrong) in [
        ("", good.1.as_str(), "cert.pem", "no usable certificate"),
        ("nonsense", &good.1, "cert.pem", "no usable certificate"),
        (&good.0, "nonsense", "key.pem", "no usable private key"),
        (&good.0, &pair("localhost").1, "key.pem", "cannot be used together"),
        (
            "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n",
            &good.1,
            "cert.pem",
            "cannot be used together",
        ),
    ] {
        write(&config, &(certificate.to_owned(), key.to_owned()));
        let error = error(&config);
        assert!(error.contains(named) && error.contains(wrong), "{error}");
    }
    write(&config, &good);
    assert!(!Certificate::load(&config, at(0)).unwrap().is_self_made());
}

#[tokio::test(start_paused = true)]
async fn changed_files_are_taken_up_and_bad_ones_leave_the_old_certificate_in_use() {
    let folder = tempfile::tempdir().unwrap();
    let config = given(folder.path());
    write(&config, &pair("first"));
    let certificate = Certificate::load(&config, at(0)).unwrap();
    let watching = tokio::spawn(certificate.clone().watch());
    let settle = || tokio::time::sleep(Duration::from_secs(20));
    settle().await;
    let first = certificate.current();

    std::fs::write(&config.certificate, "half a certific").unwrap();
    settle().await;
    assert!(Arc::ptr_eq(&certificate.current(), &first), "the bad pair is not used");

    write(&config, &pair("the second one"));
    settle().await;
    assert!(!Arc::ptr_eq(&certificate.current(), &first), "the good pair is");

    watching.abort();
}

#[tokio::test]
async fn a_running_server_shows_new_clients_the_changed_certificate() {
    let folder = tempfile::tempdir().unwrap();
    let config = given(folder.path());
    write(&config, &pair("localhost"));
    let mut running = start(|c| {
        c.listeners = vec![listener("127.0.0.1:0", true)];
        c.tls = config.clone();
    })
    .await;
    let url = format!("https://localhost:{}/healthz", running.address().port());
    let new = pair("localhost");
    running.http = reqwest::Client::builder()
        .tls_certs_only([reqwest::Certificate::from_pem(new.0.as_bytes()).unwrap()])
        .build()
        .unwrap();
    assert!(
        running.http.get(&url).send().await.is_err(),
        "the old one is not trusted"
    );
    write(&config, &new);
    let taken_up = async {
        while running.http.get(&url).send().await.is_err() {
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    };
    tokio::time::timeout(super::running::PATIENCE, taken_up).await.unwrap();
}

/// A running server with a given certificate for a name, and a client that trusts it and finds the name on loopback.
async fn certified(
    name: &str,
    adjust: impl FnOnce(&mut config::Config),
) -> (super::running::Running, tempfile::TempDir) {
    let folder = tempfile::tempdir().unwrap();
    let config = given(folder.path());
    let made = pair(name);
    write(&config, &made);
    let mut running = start(|c| {
        c.listeners = vec![listener("127.0.0.1:0", true)];
        c.tls = config.clone();
        adjust(c);
    })
    .await;
    let address = running.address();
    running.http = trusting(&made.0, address).build().unwrap();
    (running, folder)
}

/// A client that trusts this certificate alone.
fn trusting(pem: &str, address: std::net::SocketAddr) -> reqwest::ClientBuilder {
    reqwest::Client::builder()
        .tls_certs_only([reqwest::Certificate::from_pem(pem.as_bytes()).unwrap()])
        .resolve("calls.example.org", address)
        .resolve("localhost", address)
}

#[tokio::test]
async fn the_names_of_the_certificate_are_names_of_the_server_also_of_a_changed_one() {
    for name in ["calls.example.org", "*.example.org"] {
        let (running, folder) = certified(name, |_| {}).await;
        let url = format!("https://calls.example.org:{}/healthz", running.address().port());
        let pem = std::fs::read_to_string(folder.path().join("cert.pem")).unwrap();
        let by_http_1 = trusting(&pem, running.address()).http1_only().build().unwrap();
        assert_eq!(
            running.http.get(&url).send().await.unwrap().status().as_u16(),
            200,
            "{name}"
        );
        // By HTTP/2 the address of the request already names a host.
        for (client, status) in [(&by_http_1, 421), (&running.http, 400)] {
            let other = client.get(&url).header("host", "other.example");
            assert_eq!(other.send().await.unwrap().status().as_u16(), status);
        }
    }
}

#[test]
fn a_changed_certificate_has_its_own_names() {
    let folder = tempfile::tempdir().unwrap();
    let config = given(folder.path());
    write(&config, &pair("Calls.example.org"));
    let certificate = Certificate::load(&config, at(0)).unwrap();
    assert_eq!(*certificate.names(), ["calls.example.org"]);
    write(&config, &pair("new.example.org"));
    assert_eq!(*Certificate::load(&config, at(0)).unwrap().names(), ["new.example.org"]);
}

#[tokio::test]
async fn hsts_is_for_the_names_of_a_given_certificate_where_nothing_is_open_without_tls() {
    let hsts = async |running: &super::running::Running, url: &str| {
        let response = running.http.get(url).send().await.unwrap();
        super::running::header(&response, "strict-transport-security").to_owned()
    };
    let (running, _folder) = certified("calls.example.org", |_| {}).await;
    let url = format!("https://calls.example.org:{}/", running.address().port());
    assert_eq!(hsts(&running, &url).await, "max-age=2592000");

    let (running, _folder) = certified("localhost", |_| {}).await;
    let url = format!("https://localhost:{}/", running.address().port());
    assert_eq!(hsts(&running, &url).await, "", "localhost is every program's");

    let (running, _folder) = certified("calls.example.org", |config| config.http.hsts_d = 0).await;
    let url = format!("https://calls.example.org:{}/", running.address().port());
    assert_eq!(hsts(&running, &url).await, "", "switched off");

    let on_loopback = |config: &mut config::Config| config.listeners.push(listener("127.0.0.1:0", false));
    let (running, _folder) = certified("calls.example.org", on_loopback).await;
    let url = format!("https://calls.example.org:{}/", running.address().port());
    assert_eq!(
        hsts(&running, &url).await,
        "max-age=2592000",
        "for a proxy on this machine"
    );
    let plain = format!("http://{}/", running.server.listeners()[1].address);
    let request = running.http.get(plain).header("host", "calls.example.org");
    let response = request.send().await.unwrap();
    assert_eq!(response.status().as_u16(), 200);
    assert!(
        response.headers().get("strict-transport-security").is_none(),
        "without TLS it would mean nothing"
    );

    let running = start(|config| config.listeners = vec![listener("127.0.0.1:0", true)]).await;
    // It is for this machine's own name, too.
    let machine = nix::unistd::gethostname().unwrap().into_string().unwrap();
    let request = running.http.get(running.url("/")).header("host", machine);
    let response = request.send().await.unwrap();
    assert!(
        response.headers().get("strict-transport-security").is_none(),
        "self-made"
    );
}

#[test]
fn a_directory_that_cannot_keep_what_an_authority_issues_is_named() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("file"), "").unwrap();
    let mut config = self_made(&folder.path().join("file/certs"));
    config.acme.domains = vec!["calls.example.org".to_owned()];
    let error = error(&config);
    assert!(error.contains("file/certs") && error.contains("tls.acme"), "{error}");
}

#[test]
fn a_self_made_certificate_stands_in_until_an_authority_has_issued_one() {
    let folder = tempfile::tempdir().unwrap();
    let mut config = self_made(folder.path());
    config.acme.domains = vec!["Calls.example.org".to_owned()];
    let load = || Certificate::load(&config, at(0)).unwrap();
    assert!(load().is_self_made());
    assert_eq!(*load().names(), ["calls.example.org"]);
    let file = folder.path().join("acme/certificate.pem");
    std::fs::write(&file, "half a certific").unwrap();
    assert!(load().is_self_made(), "a damaged file stops no start");
    let (certificate, key) = pair("calls.example.org");
    std::fs::write(&file, certificate + &key).unwrap();
    assert!(!load().is_self_made());
}
