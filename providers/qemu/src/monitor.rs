//! QEMU's monitor: one JSON object per line, as `docs/interop/qmp-spec` of QEMU describes it.

use rig_provider_api::{Context, ProviderError, Result};
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt, AsyncRead, AsyncWrite, AsyncWriteExt, BufReader, Lines, ReadHalf, WriteHalf};

/// A connection to one virtual machine's monitor, after the greeting. A monitor serves one connection at a time.
pub(crate) struct Monitor<S> {
    lines: Lines<BufReader<ReadHalf<S>>>,
    write: WriteHalf<S>,
    /// The names of what happened while answers were waited for (`SHUTDOWN`, `STOP`, …), the oldest first.
    events: Vec<String>,
}

/// A line from QEMU. What it does not hold is absent; unknown keys are skipped.
#[derive(Deserialize)]
struct Line {
    #[serde(rename = "QMP")]
    greeting: Option<Value>,
    #[serde(rename = "return")]
    returned: Option<Value>,
    error: Option<Refusal>,
    event: Option<String>,
}

#[derive(Deserialize)]
struct Refusal {
    desc: String,
}

/// What a virtual machine is doing, in QEMU's words (`running`, `paused`, `shutdown`, …).
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub(crate) struct Status {
    pub(crate) status: String,
}

impl<S: AsyncRead + AsyncWrite> Monitor<S> {
    /// Takes the greeting and leaves the mode in which only capabilities are spoken of.
    ///
    /// # Errors
    /// When what answers is no monitor.
    pub(crate) async fn greet(cx: &Context, stream: S) -> Result<Self> {
        let (read, write) = tokio::io::split(stream);
        let mut monitor = Self { lines: BufReader::new(read).lines(), write, events: Vec::new() };
        let doing = "greeting a monitor of QEMU";
        cx.run(doing, async {
            if monitor.line(doing).await?.greeting.is_none() {
                return Err(ProviderError::failed(doing, "something else answers"));
            }
            monitor.exchange(doing, "qmp_capabilities", json!({})).await.map(drop)
        })
        .await?;
        Ok(monitor)
    }

    /// Asks for something and gives QEMU's answer. `doing` says what for.
    ///
    /// # Errors
    /// QEMU's refusal, or the end of the connection.
    pub(crate) async fn ask(&mut self, cx: &Context, doing: &str, command: &str, arguments: Value) -> Result<Value> {
        cx.run(doing, self.exchange(doing, command, arguments)).await
    }

    /// What the virtual machine is doing.
    ///
    /// # Errors
    /// As [`Self::ask`].
    pub(crate) async fn status(&mut self, cx: &Context) -> Result<Status> {
        let doing = "asking QEMU for a machine's state";
        let answer = self.ask(cx, doing, "query-status", json!({})).await?;
        serde_json::from_value(answer).map_err(|error| ProviderError::failed(doing, error))
    }

    /// The identity that the virtual machine was started with.
    ///
    /// # Errors
    /// As [`Self::ask`].
    pub(crate) async fn uuid(&mut self, cx: &Context) -> Result<String> {
        let doing = "asking QEMU for a machine's identity";
        let answer = self.ask(cx, doing, "query-uuid", json!({})).await?;
        let uuid = answer.get("UUID").and_then(Value::as_str);
        uuid.map(str::to_owned).ok_or_else(|| ProviderError::failed(doing, format!("it answers {answer}")))
    }

    /// Waits until something of this name happens; `false` when QEMU closes the connection instead, as it does when it ends.
    ///
    /// # Errors
    /// When the context ends first.
    pub(crate) async fn until(&mut self, cx: &Context, doing: &str, name: &str) -> Result<bool> {
        cx.run(doing, async {
            loop {
                if let Some(at) = self.events.iter().position(|event| event == name) {
                    self.events.remove(at);
                    return Ok(true);
                }
                match self.line(doing).await {
                    Ok(line) => self.events.extend(line.event),
                    Err(_) => return Ok(false),
                }
            }
        })
        .await
    }

    async fn exchange(&mut self, doing: &str, command: &str, arguments: Value) -> Result<Value> {
        let mut text = json!({ "execute": command, "arguments": arguments }).to_string();
        text.push('\n');
        self.write.write_all(text.as_bytes()).await.map_err(|error| ProviderError::failed(doing, error))?;
        loop {
            let line = self.line(doing).await?;
            if let Some(refusal) = line.error {
                return Err(ProviderError::failed(doing, refusal.desc));
            }
            match line.returned {
                Some(answer) => return Ok(answer),
                None => self.events.extend(line.event),
            }
        }
    }

    async fn line(&mut self, doing: &str) -> Result<Line> {
        let text = self.lines.next_line().await.map_err(|error| ProviderError::failed(doing, error))?;
        let text = text.ok_or_else(|| ProviderError::failed(doing, "QEMU ended"))?;
        serde_json::from_str(&text).map_err(|error| ProviderError::failed(doing, format!("QEMU says {text}: {error}")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    /// A monitor that says these lines, each after it was asked something, the first by itself.
    fn says(lines: &'static [&'static str]) -> tokio::io::DuplexStream {
        let (ours, theirs) = tokio::io::duplex(4096);
        tokio::spawn(async move {
            let (read, mut write) = tokio::io::split(theirs);
            let mut asked = BufReader::new(read).lines();
            for answers in lines {
                for line in answers.split('\n') {
                    write.write_all(format!("{line}\r\n").as_bytes()).await.unwrap();
                }
                if asked.next_line().await.unwrap().is_none() {
                    return;
                }
            }
        });
        ours
    }

    const GREETING: &str = r#"{"QMP": {"version": {"qemu": {"major": 7}}, "capabilities": ["oob"]}}"#;

    fn cx() -> Context {
        Context::alone(Duration::from_secs(5))
    }

    #[tokio::test]
    async fn events_do_not_hide_answers() {
        let stream = says(&[
            GREETING,
            r#"{"return": {}}"#,
            "{\"event\": \"STOP\", \"timestamp\": {}}\n{\"return\": {\"status\": \"paused\", \"running\": false}}",
        ]);
        let mut monitor = Monitor::greet(&cx(), stream).await.unwrap();
        assert_eq!(monitor.status(&cx()).await.unwrap().status, "paused");
        assert!(monitor.until(&cx(), "stopping", "STOP").await.unwrap());
    }

    #[tokio::test]
    async fn refusals_are_told_in_qemus_words() {
        let stream = says(&[
            GREETING,
            r#"{"return": {}}"#,
            r#"{"error": {"class": "GenericError", "desc": "there is no such disk"}}"#,
        ]);
        let mut monitor = Monitor::greet(&cx(), stream).await.unwrap();
        let refused = monitor.ask(&cx(), "ejecting", "eject", json!({})).await.unwrap_err().to_string();
        assert_eq!(refused, "ejecting: there is no such disk");
    }

    #[tokio::test]
    async fn what_is_no_monitor_is_refused() {
        let other = Monitor::greet(&cx(), says(&[r#"{"return": {}}"#])).await.err().unwrap().to_string();
        assert!(other.contains("something else answers"), "{other}");
        let text = Monitor::greet(&cx(), says(&["SSH-2.0-OpenSSH_9.2"])).await.err().unwrap().to_string();
        assert!(text.contains("SSH-2.0-OpenSSH_9.2"), "{text}");
    }
}
