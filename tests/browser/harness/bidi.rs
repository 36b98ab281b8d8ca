//! The few commands of WebDriver BiDi that are needed, over Firefox's own socket (W3C WebDriver BiDi §7).

use futures_util::{SinkExt, StreamExt};
use serde_json::{Value, json};
use tokio::net::TcpStream;
use tokio::sync::Mutex;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::{WebSocketStream, client_async};

/// One driven browser with one page. Errors are sentences: a test shows them and ends.
pub struct Session {
    line: Mutex<Line>,
    context: String,
}

struct Line {
    socket: WebSocketStream<TcpStream>,
    last_id: u64,
    console: Vec<String>,
}

impl Session {
    /// `address` is where Firefox is reached. It answers only those who call it by its loopback address.
    pub async fn new(address: &str, port: &str) -> Result<Session, String> {
        let failed = |error: String| format!("{address}:{port}: {error}");
        let stream = TcpStream::connect(format!("{address}:{port}")).await;
        let stream = stream.map_err(|error| failed(error.to_string()))?;
        let (socket, _) = client_async(format!("ws://127.0.0.1:{port}/session"), stream)
            .await
            .map_err(|error| failed(error.to_string()))?;
        let mut line = Line {
            socket,
            last_id: 0,
            console: Vec::new(),
        };
        let capabilities = json!({ "alwaysMatch": { "acceptInsecureCerts": true } });
        line.request("session.new", json!({ "capabilities": capabilities }))
            .await?;
        line.request("session.subscribe", json!({ "events": ["log.entryAdded"] }))
            .await?;
        let tree = line.request("browsingContext.getTree", json!({})).await?;
        let context = tree["contexts"][0]["context"].as_str().ok_or("no page")?.to_owned();
        Ok(Session {
            line: Mutex::new(line),
            context,
        })
    }

    async fn request(&self, method: &str, parameters: Value) -> Result<Value, String> {
        self.line.lock().await.request(method, parameters).await
    }

    pub async fn before_load(&self, script: &str) -> Result<(), String> {
        let function = format!("() => {{ {script} }}");
        self.request("script.addPreloadScript", json!({ "functionDeclaration": function }))
            .await
            .map(drop)
    }

    pub async fn go(&self, url: &str) -> Result<(), String> {
        let parameters = json!({ "context": self.context, "url": url, "wait": "complete" });
        self.request("browsingContext.navigate", parameters).await.map(drop)
    }

    pub async fn reload(&self) -> Result<(), String> {
        let parameters = json!({ "context": self.context, "wait": "complete" });
        self.request("browsingContext.reload", parameters).await.map(drop)
    }

    /// Runs the body of an async function. Returns its result as JSON.
    pub async fn run(&self, body: &str, arguments: &[Value]) -> Result<Value, String> {
        // Both ways as one text: the protocol's own forms of values are of no use here.
        let function = format!(
            "async (text) => {{
                const result = await (async (...args) => {{ {body} }})(...JSON.parse(text));
                return JSON.stringify(result ?? null);
            }}"
        );
        let arguments = Value::from(arguments).to_string();
        let parameters = json!({
            "functionDeclaration": function,
            "awaitPromise": true,
            "target": { "context": self.context },
            "arguments": [{ "type": "string", "value": arguments }],
        });
        let answer = self.request("script.callFunction", parameters).await?;
        match answer["result"]["value"].as_str() {
            Some(text) => serde_json::from_str(text).map_err(|error| error.to_string()),
            None => Err(answer["exceptionDetails"]["text"].to_string()),
        }
    }

    /// The lines of the console since the last call.
    pub async fn console(&self) -> Result<Vec<String>, String> {
        Ok(std::mem::take(&mut self.line.lock().await.console))
    }

    /// A picture of the page: PNG in base64.
    pub async fn screenshot(&self) -> Result<String, String> {
        let parameters = json!({ "context": self.context });
        let answer = self.request("browsingContext.captureScreenshot", parameters).await?;
        answer["data"]
            .as_str()
            .map(str::to_owned)
            .ok_or_else(|| "no screenshot".to_owned())
    }
}

impl Line {
    /// Asks one question at a time. Answers to questions that were given up are skipped.
    async fn request(&mut self, method: &str, parameters: Value) -> Result<Value, String> {
        self.last_id += 1;
        let question = json!({ "id": self.last_id, "method": method, "params": parameters });
        let sent = self.socket.send(Message::text(question.to_string())).await;
        sent.map_err(|error| format!("{method}: {error}"))?;
        loop {
            let message = self
                .socket
                .next()
                .await
                .ok_or_else(|| format!("{method}: Firefox has gone"))?;
            let text = message.map_err(|error| format!("{method}: {error}"))?;
            let Ok(mut message) = serde_json::from_str::<Value>(text.to_text().unwrap_or_default()) else {
                continue;
            };
            if message["method"] == "log.entryAdded" {
                let entry = &message["params"];
                let level = entry["level"].as_str().unwrap_or_default().to_uppercase();
                self.console.push(format!("{level} {}", entry["text"]));
            } else if message["id"] == self.last_id {
                if message["type"] == "error" {
                    return Err(format!("{method}: {} {}", message["error"], message["message"]));
                }
                return Ok(message["result"].take());
            }
        }
    }
}
