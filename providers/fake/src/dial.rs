//! Connections to ports that scripts let machines listen on.

use crate::{FakeProvider, Verb, script::Service, state::key};
use async_trait::async_trait;
use rig_provider_api::{Context, Dial, DialStream, MachineRef, ProviderError, Result};
use std::{sync::Arc, time::Duration};
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream};

/// How much waits in a connection in each direction.
const WINDOW: usize = 64 * 1024;

#[async_trait]
impl Dial for FakeProvider {
    async fn dial(&self, cx: &Context, machine: &MachineRef, port: u16) -> Result<DialStream> {
        let work = async {
            let doing = format!("connecting to port {port} of machine {machine}");
            self.running(machine, &doing)?;
            let services = {
                let inside = self.engine.lock();
                let began = inside.world.machines.get(&key(machine)).and_then(|there| there.began);
                let ran = began.map_or(Duration::ZERO, |began| began.elapsed());
                inside.scripts.services(&machine.id.to_string(), port, ran)
            };
            if services.is_empty() {
                return Err(ProviderError::failed(doing, "Connection refused (os error 111)"));
            }
            let (near, far) = tokio::io::duplex(WINDOW);
            let (engine, key) = (Arc::clone(&self.engine), key(machine));
            let received = move |length| engine.lock().world.count(&key, |work| work.receive(length));
            tokio::spawn(serve(far, services, received));
            Ok(Box::new(near) as DialStream)
        };
        self.engine.call(cx, Verb::Dial, &format!("{machine}:{port}"), work).await
    }
}

/// Answers until the other side closes; an HTTP connection serves one request.
async fn serve(mut connection: DuplexStream, services: Vec<Service>, received: impl Fn(usize)) {
    let mut asked = Vec::new();
    let mut buffer = vec![0; WINDOW];
    while let Ok(length @ 1..) = connection.read(&mut buffer).await {
        received(length);
        asked.extend_from_slice(&buffer[..length]);
        let answer = match services.first() {
            Some(Service::Replies(reply)) => reply(&buffer[..length]),
            Some(Service::Http { .. }) if asked.windows(4).any(|end| end == b"\r\n\r\n") => {
                // The other side may have gone; then nobody misses the answer.
                let _ = connection.write_all(&http(&asked, &services)).await;
                return;
            }
            _ => continue,
        };
        if connection.write_all(&answer).await.is_err() {
            return;
        }
    }
}

/// The answer to a request: that of the service with its path, or 404.
fn http(request: &[u8], services: &[Service]) -> Vec<u8> {
    let request = String::from_utf8_lossy(request);
    let asked = request.split_whitespace().nth(1).unwrap_or_default();
    let found = services.iter().find_map(|service| match service {
        Service::Http { path, status, body } if path == asked => Some((*status, body.as_str())),
        _ => None,
    });
    let (status, body) = found.unwrap_or((404, "not found"));
    let kind = if body.starts_with(['{', '[']) { "application/json" } else { "text/plain" };
    let length = body.len();
    format!(
        "HTTP/1.1 {status} Fake\r\nContent-Type: {kind}\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n{body}"
    )
    .into_bytes()
}
