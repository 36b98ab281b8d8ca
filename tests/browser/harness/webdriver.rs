//! The few WebDriver commands that are needed (W3C WebDriver §6 to §18), and Chromium's own two: logs and DevTools.

use reqwest::{Client, Method};
use serde_json::{Value, json};

/// One driven browser. Errors are sentences: a test shows them and ends.
pub struct Session {
    http: Client,
    url: String,
    pub capabilities: Value,
}

impl Session {
    pub async fn new(driver_url: &str, capabilities: Value) -> Result<Session, String> {
        let http = Client::builder()
            .no_proxy()
            .build()
            .map_err(|error| error.to_string())?;
        let body = json!({ "capabilities": { "alwaysMatch": capabilities } });
        let value = request(&http, Method::POST, &format!("{driver_url}/session"), Some(body)).await?;
        let id = value["sessionId"].as_str().ok_or("no sessionId")?;
        let url = format!("{driver_url}/session/{id}");
        Ok(Session {
            http,
            url,
            capabilities: value["capabilities"].clone(),
        })
    }

    pub async fn go(&self, url: &str) -> Result<(), String> {
        self.post("url", json!({ "url": url })).await.map(drop)
    }

    pub async fn reload(&self) -> Result<(), String> {
        self.post("refresh", json!({})).await.map(drop)
    }

    /// Runs the body of an async function. Returns its result as JSON.
    pub async fn run(&self, body: &str, arguments: &[Value]) -> Result<Value, String> {
        let script = format!("return (async (...args) => {{ {body} }})(...arguments)");
        self.post("execute/sync", json!({ "script": script, "args": arguments }))
            .await
    }

    /// Presses keys one after the other, as on a keyboard: whatever has the focus gets them (W3C WebDriver §15.6).
    pub async fn keys(&self, keys: &str) -> Result<(), String> {
        let presses: Vec<Value> = keys
            .chars()
            .flat_map(|key| ["keyDown", "keyUp"].map(|kind| json!({ "type": kind, "value": key.to_string() })))
            .collect();
        let keyboard = json!({ "type": "key", "id": "keyboard", "actions": presses });
        self.post("actions", json!({ "actions": [keyboard] })).await.map(drop)
    }

    /// A DevTools command.
    pub async fn devtools(&self, command: &str, parameters: Value) -> Result<Value, String> {
        self.post("goog/cdp/execute", json!({ "cmd": command, "params": parameters }))
            .await
    }

    /// The lines of the console since the last call.
    pub async fn console(&self) -> Result<Vec<String>, String> {
        let entries = self.post("se/log", json!({ "type": "browser" })).await?;
        let line = |entry: &Value| format!("{} {}", entry["level"].as_str().unwrap_or(""), entry["message"]);
        Ok(entries
            .as_array()
            .map(|entries| entries.iter().map(line).collect())
            .unwrap_or_default())
    }

    /// A picture of the page: PNG in base64.
    pub async fn screenshot(&self) -> Result<String, String> {
        let value = request(&self.http, Method::GET, &format!("{}/screenshot", self.url), None).await?;
        value
            .as_str()
            .map(str::to_owned)
            .ok_or_else(|| "no screenshot".to_owned())
    }

    pub async fn post(&self, command: &str, body: Value) -> Result<Value, String> {
        request(&self.http, Method::POST, &format!("{}/{command}", self.url), Some(body)).await
    }
}

async fn request(http: &Client, method: Method, url: &str, body: Option<Value>) -> Result<Value, String> {
    let mut request = http.request(method, url);
    if let Some(body) = body {
        request = request.json(&body);
    }
    let response = request.send().await.map_err(|error| format!("{url}: {error}"))?;
    let failed = !response.status().is_success();
    let mut answer: Value = response.json().await.map_err(|error| format!("{url}: {error}"))?;
    let value = answer["value"].take();
    if failed {
        return Err(format!("{}: {}", value["error"], value["message"]));
    }
    Ok(value)
}
