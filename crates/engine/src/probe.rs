//! Asking a service whether it is ready.

use crate::Providers;
use bytes::Bytes;
use futures_util::StreamExt;
use http_body_util::{BodyExt, Empty, Limited};
use hyper::{Request, StatusCode, header::HOST};
use hyper_util::rt::TokioIo;
use rig_model::{Name, Part, Probe, ProbeKind, Text, Value};
use rig_provider_api::{Context, ExecEvent, ExecRequest, LogRequest, MachineRef, Provider};
use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};
use tokio::sync::Semaphore;

/// How long one question may take. A service that is slower than this is not ready.
const LIMIT: Duration = Duration::from_secs(10);
/// The most that is read of an answer, in bytes.
const ANSWER: usize = 4 << 20;

/// How long an answer may serve others who ask the same. Every worker of a cluster may ask its master.
const FRESH: Duration = Duration::from_millis(100);

/// Asks machines. Those who ask the same service the same share the answer, one request at a time:
/// small servers (Spark's among them) queue a single connection and let others wait a second for the next try.
pub(crate) struct Prober {
    providers: Providers,
    slots: Mutex<HashMap<Service, Arc<Slot>>>,
}

type Service = (MachineRef, u16, String);
type Answer = Result<(StatusCode, Bytes), String>;

struct Slot {
    turn: Semaphore,
    last: Mutex<Option<(Instant, Answer)>>,
}

impl Prober {
    /// Asks through these providers.
    pub(crate) fn new(providers: Providers) -> Self {
        Self { providers, slots: Mutex::default() }
    }

    /// Asks once. The addresses in the probe are filled in.
    ///
    /// # Errors
    /// Why the probe does not pass, in words.
    pub(crate) async fn ask(&self, cx: &Context, workspace: &Name, probe: &Probe) -> Result<(), String> {
        let machine = MachineRef { workspace: workspace.clone(), id: probe.on.clone() };
        let provider = self.providers.of(&machine.id).map_err(|error| error.to_string())?.as_ref();
        let cx = cx.within(LIMIT);
        let question = async {
            match &probe.kind {
                ProbeKind::Tcp { port } => dial(provider, &cx, &machine, *port).await.map(|_| ()),
                ProbeKind::Http { port, path, values } => {
                    let what = |why: String| format!("http :{port}{path}: {why}");
                    let (status, body) =
                        self.answer(&cx, provider, (machine, *port, path.clone())).await.map_err(what)?;
                    judge(status, &body, values).map_err(what)
                }
                ProbeKind::Exec { command } => exec(provider, &cx, &machine, command).await,
                ProbeKind::Log { contains } => log(provider, &cx, &machine, &plain(contains)).await,
            }
        };
        tokio::select! {
            result = question => result,
            () = cx.cancel().cancelled() => Err("interrupted".to_owned()),
            () = tokio::time::sleep_until(cx.deadline()) => Err(format!("no answer within {} s", LIMIT.as_secs())),
        }
    }

    /// The answer of a service: a fresh one, or that of a request that was just made.
    async fn answer(&self, cx: &Context, provider: &dyn Provider, service: Service) -> Answer {
        let slot = lock(&self.slots).entry(service.clone()).or_insert_with(|| Arc::new(Slot::new())).clone();
        // The semaphore is never closed.
        let _turn = slot.turn.acquire().await.map_err(|error| error.to_string())?;
        if let Some((at, answer)) = lock(&slot.last).clone()
            && at.elapsed() < FRESH
        {
            return answer;
        }
        let (machine, port, path) = &service;
        let answer = get(provider, cx, machine, *port, path).await;
        *lock(&slot.last) = Some((Instant::now(), answer.clone()));
        answer
    }
}

impl Slot {
    fn new() -> Self {
        Self { turn: Semaphore::new(1), last: Mutex::default() }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// What a probe asks, in words.
#[must_use]
pub fn describe(kind: &ProbeKind) -> String {
    match kind {
        ProbeKind::Tcp { port } => format!("tcp port {port}"),
        ProbeKind::Http { port, path, .. } => format!("http :{port}{path}"),
        ProbeKind::Exec { command } => format!("exec {}", command.iter().map(plain).collect::<Vec<_>>().join(" ")),
        ProbeKind::Log { contains } => format!("log line {:?}", plain(contains)),
    }
}

async fn dial(
    provider: &dyn Provider,
    cx: &Context,
    machine: &MachineRef,
    port: u16,
) -> Result<rig_provider_api::DialStream, String> {
    let dial = provider.dial().ok_or_else(|| format!("provider {} cannot connect to machines", provider.id()))?;
    dial.dial(cx, machine, port).await.map_err(|error| match error {
        rig_provider_api::ProviderError::Failed { why, .. } => format!("port {port}: {why}"),
        other => other.to_string(),
    })
}

async fn get(provider: &dyn Provider, cx: &Context, machine: &MachineRef, port: u16, path: &str) -> Answer {
    let stream = dial(provider, cx, machine, port).await?;
    let (mut sender, connection) =
        hyper::client::conn::http1::handshake(TokioIo::new(stream)).await.map_err(|error| error.to_string())?;
    let exchange = async {
        let request = Request::get(path)
            .header(HOST, machine.id.machine.as_str())
            .body(Empty::<Bytes>::new())
            .map_err(|error| error.to_string())?;
        let answer = sender.send_request(request).await.map_err(|error| error.to_string())?;
        let status = answer.status();
        let body = Limited::new(answer.into_body(), ANSWER).collect().await.map_err(|error| error.to_string())?;
        Ok((status, body.to_bytes()))
    };
    // The connection works only while it is polled; it ends with the exchange.
    tokio::select! {
        answer = exchange => answer,
        Err(error) = connection => Err(error.to_string()),
    }
}

/// Whether an answer is what the probe asks for.
fn judge(status: StatusCode, body: &[u8], values: &[Value]) -> Result<(), String> {
    if !status.is_success() {
        return Err(format!("status {status}"));
    }
    if values.is_empty() {
        return Ok(());
    }
    let document: serde_json::Value =
        serde_json::from_slice(body).map_err(|error| format!("the answer is no JSON: {error}"))?;
    values.iter().try_for_each(|value| holds(&document, value))
}

/// Whether a value is in the document as expected.
fn holds(document: &serde_json::Value, value: &Value) -> Result<(), String> {
    let path = plain(&value.path);
    let query = serde_json_path::JsonPath::parse(&path).map_err(|error| format!("{path} is no JSONPath: {error}"))?;
    let found = query.query(document).all();
    if found.is_empty() {
        return Err(format!("{path} selects nothing"));
    }
    let Some(is) = &value.is else { return Ok(()) };
    let expected = plain(is);
    match found.iter().find(|found| !same(found, &expected)) {
        None => Ok(()),
        Some(other) => Err(format!("{path} is {other}, expected {expected}")),
    }
}

/// Compares as text; numbers by value, so that `1` and `1.0` are the same.
fn same(found: &serde_json::Value, expected: &str) -> bool {
    match found {
        serde_json::Value::String(text) => text == expected,
        serde_json::Value::Number(number) => {
            number.to_string() == expected
                || expected.parse().is_ok_and(|expected: f64| number.as_f64() == Some(expected))
        }
        serde_json::Value::Bool(value) => expected.parse() == Ok(*value),
        serde_json::Value::Null => expected == "null",
        // An object or a list is compared as it is written.
        serde_json::Value::Array(_) | serde_json::Value::Object(_) => {
            serde_json::from_str::<serde_json::Value>(expected).is_ok_and(|expected| expected == *found)
        }
    }
}

async fn exec(provider: &dyn Provider, cx: &Context, machine: &MachineRef, command: &[Text]) -> Result<(), String> {
    let exec = provider.exec().ok_or_else(|| format!("provider {} cannot run commands", provider.id()))?;
    let request = ExecRequest { command: shell_or_words(command), ..ExecRequest::default() };
    let mut session = exec.exec(cx, machine, &request).await.map_err(|error| error.to_string())?;
    let mut output = Vec::new();
    while let Some(event) = session.events.next().await {
        match event.map_err(|error| error.to_string())? {
            ExecEvent::Output(_, bytes) if output.len() < 4096 => output.extend_from_slice(&bytes),
            ExecEvent::Output(..) => {}
            ExecEvent::Exit(0) => return Ok(()),
            ExecEvent::Exit(code) => {
                let text = String::from_utf8_lossy(&output);
                let last = text.lines().rev().find(|line| !line.trim().is_empty()).unwrap_or_default();
                return Err(format!("{} ended with exit code {code}: {last}", request.command.join(" ")));
            }
        }
    }
    Err("the command's connection was cut".to_owned())
}

/// The words of a command; a single one is a shell line.
pub(crate) fn shell_or_words(command: &[Text]) -> Vec<String> {
    match command {
        [line] => vec!["sh".to_owned(), "-c".to_owned(), plain(line)],
        words => words.iter().map(plain).collect(),
    }
}

async fn log(provider: &dyn Provider, cx: &Context, machine: &MachineRef, contains: &str) -> Result<(), String> {
    let logs = provider.logs().ok_or_else(|| format!("provider {} has no logs", provider.id()))?;
    let started = provider.inspect(cx, machine).await.map_err(|error| error.to_string())?.and_then(|seen| seen.started);
    let request = LogRequest { since: started, ..LogRequest::default() };
    let mut stream = logs.logs(cx, machine, &request).await.map_err(|error| error.to_string())?;
    let needle = contains.as_bytes();
    let mut window: Vec<u8> = Vec::new();
    while let Some(piece) = stream.next().await {
        window.extend_from_slice(&piece.map_err(|error| error.to_string())?.bytes);
        if window.windows(needle.len().max(1)).any(|bytes| bytes == needle) {
            return Ok(());
        }
        // The text may lie across two pieces.
        let keep = window.len().min(needle.len());
        window.drain(..window.len() - keep);
    }
    Err(format!("no log line contains {contains:?}"))
}

/// A text whose open parts have been filled in.
fn plain(text: &Text) -> String {
    text.0
        .iter()
        .map(|part| match part {
            Part::Literal(text) => text.clone(),
            Part::Ip(machine) => format!("{{{machine}.ip}}"),
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn value(path: &str, is: &str) -> Value {
        Value { path: path.into(), is: Some(is.into()) }
    }

    #[test]
    fn values_are_compared_as_people_read_them() {
        let document = json!({ "status": "ALIVE", "workers": [
            { "host": "10.0.0.2", "state": "ALIVE", "cores": 1 },
            { "host": "10.0.0.3", "state": "DEAD", "cores": 4 },
        ]});
        assert_eq!(holds(&document, &value("$.status", "ALIVE")), Ok(()));
        assert_eq!(holds(&document, &value("$.workers[?@.host=='10.0.0.2'].cores", "1")), Ok(()));
        assert_eq!(holds(&document, &value("$.workers[?@.host=='10.0.0.2'].cores", "1.0")), Ok(()));
        assert_eq!(
            holds(&document, &value("$.workers[*].cores", "1")),
            Err("$.workers[*].cores is 4, expected 1".to_owned())
        );
        assert_eq!(holds(&document, &value("$.nothing", "1")), Err("$.nothing selects nothing".to_owned()));
        assert!(holds(&document, &Value { path: "$.workers".into(), is: None }).is_ok());
    }
}
