//! HTTP to an engine in a machine of its own.

use bollard::{BollardRequest, errors::Error};
use hyper::{Method, Request, Response, Uri, body::Incoming};
use hyper_util::{
    client::legacy::{
        Client,
        connect::{Connected, Connection},
    },
    rt::{TokioExecutor, TokioIo},
};
use rig_provider_api::{DialStream, EngineHost};
use std::{
    future::Future,
    io,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// What requests name as their server. Nobody looks it up.
pub(crate) const AUTHORITY: &str = "http://engine";

/// How often a question is asked anew whose connection was lost before the answer began.
const AGAIN: u32 = 2;

/// An answer that has begun.
type Answer = Pin<Box<dyn Future<Output = Result<Response<Incoming>, Error>> + Send>>;

/// Sends requests over connections that the machine opens. A question that changes nothing is asked again when its connection is
/// lost; what changes something is up to whoever asked.
pub(crate) fn transport(host: Arc<dyn EngineHost>) -> impl Fn(BollardRequest) -> Answer + Send + Sync {
    let client = Arc::new(Client::builder(TokioExecutor::new()).build(Connector(host)));
    move |request| {
        let client = client.clone();
        Box::pin(async move {
            let mut tries = 0;
            let mut next = request;
            loop {
                let again = copy(&next).filter(|_| tries < AGAIN);
                match (client.request(next).await, again) {
                    (Err(_), Some(again)) => next = again,
                    (answer, _) => return answer.map_err(Error::from),
                }
                tries += 1;
            }
        })
    }
}

/// The same question once more, if it is one that can be asked twice: without a body, and without an effect.
fn copy(request: &BollardRequest) -> Option<BollardRequest> {
    if *request.method() != Method::GET && *request.method() != Method::HEAD {
        return None;
    }
    let mut copy = Request::builder().method(request.method()).uri(request.uri()).version(request.version());
    copy.headers_mut()?.clone_from(request.headers());
    copy.body(bollard::body_full(bytes::Bytes::new())).ok()
}

/// Opens connections to the engine.
#[derive(Clone)]
struct Connector(Arc<dyn EngineHost>);

impl tower_service::Service<Uri> for Connector {
    type Response = TokioIo<Stream>;
    type Error = io::Error;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Self::Error>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, _: Uri) -> Self::Future {
        let host = self.0.clone();
        Box::pin(async move {
            let stream = host.engine().await;
            stream.map(|stream| TokioIo::new(Stream(stream))).map_err(|error| io::Error::other(error.to_string()))
        })
    }
}

/// A connection to the engine, as the client takes it.
struct Stream(DialStream);

impl Connection for Stream {
    fn connected(&self) -> Connected {
        Connected::new()
    }
}

impl AsyncRead for Stream {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_read(cx, buffer)
    }
}

impl AsyncWrite for Stream {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.0).poll_write(cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_shutdown(cx)
    }
}
