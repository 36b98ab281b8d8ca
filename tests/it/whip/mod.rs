//! WHIP and WHEP: requests against a whole server, and media between clients that have no socket and those that have one.

mod media;
mod requests;
mod who;

use patchbay::config::Config;
use reqwest::Response;

use crate::front::running::{self, Running, header};
use crate::transcripts::offers::offer;

pub const SDP: &str = "application/sdp";
pub const TRICKLE: &str = "application/trickle-ice-sdpfrag";

/// A whole server, and programs that publish and watch there. Watching needs no token, unless a test says so.
pub struct Studio {
    pub running: Running,
}

impl Studio {
    pub async fn open() -> Studio {
        Studio::open_with(|_| {}).await
    }

    pub async fn open_with(adjust: impl FnOnce(&mut Config)) -> Studio {
        let running = running::start(|config| {
            config.whip.watch_without_token = true;
            adjust(config);
        });
        let running = running.await;
        Studio { running }
    }

    pub fn post(&self, path: &str) -> reqwest::RequestBuilder {
        let request = self.running.http.post(self.running.url(path));
        request.header("content-type", SDP)
    }

    /// Offers a connection that never connects: to publish for WHIP, to watch for WHEP.
    pub async fn offer(&self, path: &str, number: u32) -> Response {
        let direction = if path.starts_with("/whip") {
            "sendonly"
        } else {
            "recvonly"
        };
        let request = self.post(path).body(offer(direction, number, false));
        request.send().await.unwrap()
    }

    /// The address of the session that such an offer makes.
    pub async fn session(&self, path: &str, number: u32) -> String {
        let answer = self.offer(path, number).await;
        assert_eq!(answer.status().as_u16(), 201, "{}", answer.text().await.unwrap());
        header(&answer, "location").to_owned()
    }

    pub async fn patch(&self, session: &str, if_match: Option<&str>, fragment: &str) -> Response {
        let request = self.running.http.patch(self.running.url(session));
        let request = request.header("content-type", TRICKLE).body(fragment.to_owned());
        let request = match if_match {
            Some(tag) => request.header("if-match", tag),
            None => request,
        };
        request.send().await.unwrap()
    }

    pub async fn delete(&self, session: &str) -> u16 {
        let request = self.running.http.delete(self.running.url(session));
        request.send().await.unwrap().status().as_u16()
    }
}

/// The status and the sentence of a refusal.
pub async fn refusal(response: Response) -> (u16, String) {
    let status = response.status().as_u16();
    assert_eq!(header(&response, "content-type"), "application/json");
    let body: serde_json::Value = response.json().await.unwrap();
    (status, body["error"].as_str().unwrap().to_owned())
}
