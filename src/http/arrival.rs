//! Whether a link of another site opened a page. Such a page asks before it joins, calls or logs in; a page opened by this
//! site, by an app, or by hand does so at once.
//!
//! Browsers say so in `Sec-Fetch-Site` (Fetch Metadata §2.3), which covers redirects, new windows and frames, and which the
//! other page cannot change. A page cannot read the headers of its own request, so an attribute of its document says it.
//! Browsers without that header are judged by `Referer`, which the other page can leave out.

use std::sync::Arc;

use axum::http::uri::Authority;
use axum::http::{HeaderMap, HeaderName, Uri, header};

use super::origin;

const SEC_FETCH_SITE: HeaderName = HeaderName::from_static("sec-fetch-site");

/// The other sites that may open pages as this one does: `http.trusted_sites`. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Arrivals(Arc<[String]>);

impl Arrivals {
    pub fn new(trusted: &[String]) -> Arrivals {
        Arrivals(trusted.into())
    }

    /// Whether the page has to ask first.
    pub(crate) fn is_from_elsewhere(&self, headers: &HeaderMap, host: Option<&Authority>) -> bool {
        let text = |name: HeaderName| headers.get(name).and_then(|value| value.to_str().ok());
        let from: Option<Uri> = text(header::REFERER).and_then(|referer| referer.parse().ok());
        let is_foreign = match text(SEC_FETCH_SITE) {
            // "none": a typed address, a bookmark, an app. "same-site": another host of the same owner.
            Some("none" | "same-origin" | "same-site") => false,
            Some(_) => true,
            None => from.as_ref().is_some_and(|from| !is_same_host(from, host)),
        };
        is_foreign && !self.is_trusted(from.as_ref())
    }

    fn is_trusted(&self, from: Option<&Uri>) -> bool {
        let origin = from.and_then(|from| Some(format!("{}://{}", from.scheme_str()?, from.authority()?)));
        // Where all sites are trusted, sites that do not name themselves are, too.
        origin::lists(&self.0, &origin.unwrap_or_default())
    }
}

fn is_same_host(from: &Uri, host: Option<&Authority>) -> bool {
    let names = from.host().zip(host.map(Authority::host));
    names.is_some_and(|(from, own)| from.eq_ignore_ascii_case(own))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn needs_consent(site: Option<&str>, referer: Option<&str>, trusted: &[&str]) -> bool {
        let mut headers = HeaderMap::new();
        for (name, value) in [(SEC_FETCH_SITE, site), (header::REFERER, referer)] {
            if let Some(value) = value {
                headers.insert(name, value.parse().unwrap());
            }
        }
        let trusted: Vec<String> = trusted.iter().map(|site| (*site).to_owned()).collect();
        Arrivals::new(&trusted).is_from_elsewhere(&headers, "calls.example:8443".parse().ok().as_ref())
    }

    #[test]
    fn a_link_of_another_site_has_to_ask_and_nothing_else_has() {
        for site in ["none", "same-origin", "same-site"] {
            assert!(!needs_consent(Some(site), Some("https://evil.example/"), &[]), "{site}");
        }
        assert!(needs_consent(Some("cross-site"), Some("https://evil.example/"), &[]));
        assert!(
            needs_consent(Some("cross-site"), None, &[]),
            "it may hide where it comes from"
        );
        assert!(needs_consent(Some("something new"), None, &[]));
    }

    #[test]
    fn without_the_header_the_referrer_decides() {
        assert!(!needs_consent(None, None, &[]), "a web view, an old browser");
        assert!(!needs_consent(None, Some("https://calls.example:9090/messages"), &[]));
        assert!(needs_consent(None, Some("https://evil.example/"), &[]));
    }

    #[test]
    fn trusted_sites_need_not_ask() {
        let trusted = ["https://app.example"];
        assert!(!needs_consent(
            Some("cross-site"),
            Some("https://app.example/chat"),
            &trusted
        ));
        assert!(!needs_consent(None, Some("https://app.example/"), &trusted));
        assert!(needs_consent(
            Some("cross-site"),
            Some("https://app.example.evil.example/"),
            &trusted
        ));
        assert!(needs_consent(Some("cross-site"), Some("http://app.example/"), &trusted));
        assert!(needs_consent(Some("cross-site"), None, &trusted));
        assert!(!needs_consent(Some("cross-site"), None, &["*"]));
    }
}
