//! Pages of other sites: what a browser sends because of a link, a form or a picture there must not call anybody, nor change
//! anything else.
//!
//! Pages that name themselves in `Origin` have been looked at before ([`crate::http::origin`]). A link names nobody there.
//! Browsers say instead in `Sec-Fetch-Site` how the page is related to this server (Fetch Metadata Request Headers §2.3); pages
//! of the same site, which are on another host of the same owner or on another port, count as others. They do not say so over
//! plain HTTP to a host that is not this machine, and old ones never do. There, the page in `Referer` has to be one of ours. A
//! page can keep even that from being sent, so whoever looks like a browser and says nothing at all is refused, too. Programs
//! that are no browsers are let in, and so is whoever shows the key, which no link carries.

use std::sync::Arc;

use aws_lc_rs::constant_time;
use axum::extract::{Request, State};
use axum::http::{HeaderMap, StatusCode, Uri, header};
use axum::middleware::Next;
use axum::response::Response;

use super::envelope::refuse;
use crate::config::Config;
use crate::http::host;
use crate::http::origin::Origins;

/// The beginning of the `User-Agent` of every browser (RFC 9110 §10.1.5 says why there is one).
const BROWSER: &str = "Mozilla/";

#[derive(Clone)]
pub(super) struct Sites {
    pub origins: Origins,
    pub config: Arc<Config>,
}

pub(super) async fn guard(State(sites): State<Sites>, request: Request, next: Next) -> Response {
    let headers = request.headers();
    let is_known = headers.contains_key(header::ORIGIN) || has_key(headers, &sites.config.dapi.key);
    if !is_known && !sites.let_in(&request) {
        let sentence = "links, forms and pictures on pages of other sites may not do this; http.allowed_origins lists the \
            pages that may, with fetch";
        return refuse(StatusCode::FORBIDDEN, sentence);
    }
    next.run(request).await
}

impl Sites {
    fn let_in(&self, request: &Request) -> bool {
        let said = |name| text(request.headers(), name);
        if let Some(site) = said("sec-fetch-site") {
            return matches!(site, "same-origin" | "none");
        }
        match said("referer") {
            Some(page) => origin_of(page).is_some_and(|origin| self.origins.allow(&origin, host::of(request).as_ref())),
            None => !said("user-agent").is_some_and(|program| program.starts_with(BROWSER)),
        }
    }
}

/// Whether the request shows the key. Where no key is set, none does.
pub(super) fn has_key(headers: &HeaderMap, key: &str) -> bool {
    let shown = headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok());
    let shown = shown.and_then(|value| {
        let (scheme, shown) = value.split_once(' ')?;
        scheme.eq_ignore_ascii_case("bearer").then_some(shown.trim())
    });
    let is_it = |shown: &str| constant_time::verify_slices_are_equal(shown.as_bytes(), key.as_bytes()).is_ok();
    !key.is_empty() && shown.is_some_and(is_it)
}

/// What a header says. What is no text is the empty one, which is nobody's.
fn text<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    headers.get(name).map(|value| value.to_str().unwrap_or_default())
}

/// The origin of a page, from its address.
fn origin_of(page: &str) -> Option<String> {
    let page: Uri = page.parse().ok()?;
    Some(format!("{}://{}", page.scheme_str()?, page.authority()?))
}
