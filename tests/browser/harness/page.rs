//! One participant's browser: goes somewhere, asks the page, waits for it, and shows its state when an expected
//! thing does not come.

use std::time::Duration;

use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use tempfile::TempDir;

use super::{bidi, webdriver};
use crate::support::process::{Process, signal};

/// The interval at which a condition is checked.
const POLL: Duration = Duration::from_millis(50);

/// How a browser is driven.
pub enum Driver {
    Chromium(webdriver::Session),
    Firefox {
        session: Box<bidi::Session>,
        /// The browser, which nothing else ends.
        browser: Process,
        /// A program that passes its port on, if it is in another network.
        _forwarding: Option<Process>,
    },
}

impl Driver {
    fn pid(&self) -> u32 {
        match self {
            Driver::Chromium(session) => session.capabilities["goog:processID"]
                .as_u64()
                .and_then(|pid| u32::try_from(pid).ok())
                .expect("chromedriver tells the browser's process id"),
            Driver::Firefox { browser, .. } => browser.pid(),
        }
    }

    async fn before_load(&self, script: &str) -> Result<(), String> {
        match self {
            Driver::Chromium(session) => {
                let parameters = json!({ "source": script });
                let command = "Page.addScriptToEvaluateOnNewDocument";
                session.devtools(command, parameters).await.map(drop)
            }
            Driver::Firefox { session, .. } => session.before_load(script).await,
        }
    }

    async fn go(&self, url: &str) -> Result<(), String> {
        match self {
            Driver::Chromium(session) => session.go(url).await,
            Driver::Firefox { session, .. } => session.go(url).await,
        }
    }

    async fn reload(&self) -> Result<(), String> {
        match self {
            Driver::Chromium(session) => session.reload().await,
            Driver::Firefox { session, .. } => session.reload().await,
        }
    }

    async fn run(&self, body: &str, arguments: &[Value]) -> Result<Value, String> {
        match self {
            Driver::Chromium(session) => session.run(body, arguments).await,
            Driver::Firefox { session, .. } => session.run(body, arguments).await,
        }
    }

    async fn console(&self) -> Result<Vec<String>, String> {
        match self {
            Driver::Chromium(session) => session.console().await,
            Driver::Firefox { session, .. } => session.console().await,
        }
    }

    async fn keys(&self, keys: &str) -> Result<(), String> {
        match self {
            Driver::Chromium(session) => session.keys(keys).await,
            Driver::Firefox { .. } => Err("no scenario presses keys in Firefox".to_owned()),
        }
    }

    async fn screenshot(&self) -> Result<String, String> {
        match self {
            Driver::Chromium(session) => session.screenshot().await,
            Driver::Firefox { session, .. } => session.screenshot().await,
        }
    }
}

pub struct Page {
    name: String,
    session: Driver,
    pid: u32,
    _profile: TempDir,
}

impl Page {
    pub fn new(name: &str, session: Driver, profile: TempDir) -> Page {
        Page {
            name: name.to_owned(),
            pid: session.pid(),
            session,
            _profile: profile,
        }
    }

    pub async fn before_load(&self, script: &str) {
        if !script.is_empty() {
            let done = self.session.before_load(script).await;
            done.unwrap_or_else(|error| panic!("{}: {error}", self.name));
        }
    }

    pub async fn go(&self, url: &str) {
        if let Err(error) = self.session.go(url).await {
            panic!("{}: cannot open {url}: {error}", self.name);
        }
    }

    pub async fn reload(&self) {
        self.session
            .reload()
            .await
            .unwrap_or_else(|error| panic!("{}: reload: {error}", self.name));
    }

    /// Runs the body of an async function in the page. Returns its result.
    pub async fn run<T: DeserializeOwned>(&self, body: &str, arguments: &[Value]) -> T {
        match self.session.run(body, arguments).await {
            Ok(value) => serde_json::from_value(value.clone())
                .unwrap_or_else(|error| panic!("{}: {error} in {value}, from: {body}", self.name)),
            Err(error) => panic!("{}: {error}, from: {body}\n{}", self.name, self.evidence().await),
        }
    }

    /// Presses keys one after the other: characters, or those that WebDriver has numbers for.
    pub async fn keys(&self, keys: &str) {
        let pressed = self.session.keys(keys).await;
        pressed.unwrap_or_else(|error| panic!("{}: {error}, from the keys {keys:?}", self.name));
    }

    /// The value of an expression (it may await).
    pub async fn eval<T: DeserializeOwned>(&self, expression: &str) -> T {
        self.run(&format!("return {expression};"), &[]).await
    }

    /// Waits until the expression is true; otherwise fails with the page's picture and its messages.
    pub async fn until(&self, what: &str, within: Duration, expression: &str) {
        let mut last = Value::Null;
        let seen = tokio::time::timeout(within, async {
            loop {
                // A page that is being replaced has no answer; it is asked again.
                match self.session.run(&format!("return {expression};"), &[]).await {
                    Ok(Value::Bool(true)) => break,
                    Ok(value) => last = value,
                    Err(error) => last = Value::String(error),
                }
                tokio::time::sleep(POLL).await;
            }
        })
        .await;
        if seen.is_err() {
            let evidence = self.evidence().await;
            panic!(
                "{}: not within {within:?}: {what}\n  {expression}\n  was last: {last}\n{evidence}",
                self.name
            );
        }
    }

    /// Evidence for a failure's message: the console, the probe's records, and where a picture of the page is.
    pub async fn evidence(&self) -> String {
        let console = self.session.console().await.unwrap_or_default().join("\n    ");
        let probe = self
            .session
            .run("return window.probe ? probe.summary() : null;", &[])
            .await;
        let picture = match self.session.screenshot().await {
            Ok(base64) => self.keep_picture(&base64),
            Err(error) => error,
        };
        let probe = probe.unwrap_or_else(Value::String);
        format!("  console:\n    {console}\n  probe: {probe:#}\n  picture: {picture}")
    }

    fn keep_picture(&self, base64: &str) -> String {
        let Some(bytes) = decode_base64(base64) else {
            return "unreadable".to_owned();
        };
        let path = std::env::temp_dir().join(format!("patchbay-{}-{}.png", self.name, self.pid));
        match std::fs::write(&path, bytes) {
            Ok(()) => path.display().to_string(),
            Err(error) => error.to_string(),
        }
    }

    pub async fn console(&self) -> Vec<String> {
        self.session
            .console()
            .await
            .unwrap_or_else(|error| panic!("{}: {error}", self.name))
    }

    /// Ends the browser as if the machine had lost its power: no layer says goodbye.
    pub fn kill(&self) {
        signal(self.pid, "KILL");
    }
}

impl Drop for Page {
    fn drop(&mut self) {
        self.kill();
    }
}

fn decode_base64(text: &str) -> Option<Vec<u8>> {
    let mut bytes = Vec::with_capacity(text.len() / 4 * 3);
    let (mut bits, mut held) = (0u32, 0);
    for symbol in text.bytes().filter(|symbol| *symbol != b'=') {
        let value = match symbol {
            b'A'..=b'Z' => symbol - b'A',
            b'a'..=b'z' => symbol - b'a' + 26,
            b'0'..=b'9' => symbol - b'0' + 52,
            b'+' => 62,
            b'/' => 63,
            _ => return None,
        };
        bits = bits << 6 | u32::from(value);
        held += 6;
        if held >= 8 {
            held -= 8;
            bytes.push((bits >> held) as u8);
        }
    }
    Some(bytes)
}
