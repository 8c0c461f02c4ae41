//! A connection that is up.

use crate::channel::{Served, serve};
use crate::connect::{Link, Watch};
use crate::{Credentials, Dialer, HostKey, Patience, Result, SshError, Trust};
use russh::Disconnect;
use russh::client::Handle;
use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::{sleep, timeout};

/// How long a server may take to end a connection that we ask it to end.
const FAREWELL: Duration = Duration::from_secs(2);

/// What a connection was made with.
#[derive(Clone)]
pub(crate) struct Settings {
    pub(crate) dialer: Arc<dyn Dialer>,
    pub(crate) credentials: Credentials,
    pub(crate) trust: Trust,
}

/// A connection to a machine. Clones share it; it ends when the last of them, and the last command, tunnel or
/// forward that runs over it, is dropped.
///
/// # One connection for each purpose
/// All channels of a connection share one stream. Each channel has a buffer of its own of 8 MiB; when the caller does
/// not read what arrives and the buffer of **one** channel is full, **all** channels of the connection stand still
/// until it is read. So read the events of each command as they come or drop it, and give bulk transfers and forwards
/// a connection of their own with [`Session::another`].
#[derive(Clone)]
pub struct Session {
    inner: Arc<Inner>,
}

pub(crate) struct Inner {
    handle: Handle<Watch>,
    link: Link,
    host_key: HostKey,
    settings: Settings,
}

impl Drop for Inner {
    fn drop(&mut self) {
        self.link.cut.cancel();
    }
}

impl std::fmt::Debug for Session {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter
            .debug_struct("Session")
            .field("user", &self.inner.settings.credentials.user)
            .field("place", &self.inner.settings.dialer.place())
            .finish_non_exhaustive()
    }
}

impl Session {
    pub(crate) fn new(handle: Handle<Watch>, link: Link, host_key: HostKey, settings: Settings) -> Self {
        Self { inner: Arc::new(Inner { handle, link, host_key, settings }) }
    }

    /// A new connection with the same settings, for bulk transfers and whatever else must not hold this one up. It
    /// takes no host key but this connection's.
    ///
    /// # Errors
    /// As [`connect`](crate::connect()).
    pub async fn another(&self, patience: &Patience, waiting: &(dyn Fn(&str) + Send + Sync)) -> Result<Self> {
        let mut settings = self.inner.settings.clone();
        settings.trust = Trust::Pinned(vec![self.inner.host_key.clone()]);
        settings.connect(patience, waiting).await
    }

    /// The host key that the server showed.
    #[must_use]
    pub fn host_key(&self) -> &HostKey {
        &self.inner.host_key
    }

    /// The user on the machine.
    #[must_use]
    pub fn user(&self) -> &str {
        &self.inner.settings.credentials.user
    }

    /// Whether the connection still stands, as far as one knows.
    #[must_use]
    pub fn is_alive(&self) -> bool {
        !self.inner.link.gone.is_cancelled()
    }

    /// Waits until the connection has ended, and says why.
    pub async fn lost(&self) -> SshError {
        self.inner.link.gone.cancelled().await;
        self.inner.link.lost()
    }

    /// Ends the connection, and with it everything that runs over it, in the way that servers log as orderly.
    pub async fn close(self) {
        let farewell = async {
            let _ = self.inner.handle.disconnect(Disconnect::ByApplication, "done", "en").await;
            self.inner.link.gone.cancelled().await;
        };
        let _ = timeout(FAREWELL, farewell).await;
        self.inner.link.cut.cancel();
    }

    pub(crate) fn link(&self) -> &Link {
        &self.inner.link
    }

    /// Opens a channel and serves it. If the caller loses interest meanwhile, the channel is closed as soon as it is
    /// open: servers have few of them. `awaited` names the requests, in order, that the server will have to answer.
    pub(crate) async fn open(&self, what: Wanted, awaited: VecDeque<&'static str>) -> Result<Served> {
        let (mut give, take) = tokio::sync::oneshot::channel();
        let session = self.clone();
        let denied = what.to_string();
        tokio::spawn(async move {
            let handle = &session.inner.handle;
            let opening = async {
                match &what {
                    Wanted::Session => handle.channel_open_session().await,
                    Wanted::Tcp { host, port } => {
                        handle.channel_open_direct_tcpip(host.as_str(), u32::from(*port), "127.0.0.1", 0).await
                    }
                    Wanted::Socket { path } => handle.channel_open_direct_streamlocal(path.as_str()).await,
                }
            };
            let opened = tokio::select! {
                opened = opening => opened,
                () = async { give.closed().await; sleep(FAREWELL).await } => return,
            };
            // What nobody receives is dropped, which closes it.
            let _ = give.send(opened.map(|channel| serve(&session, channel, awaited)));
        });
        match take.await {
            Ok(Ok(served)) => Ok(served),
            Ok(Err(russh::Error::ChannelOpenFailure(why))) => {
                Err(SshError::Denied { what: denied, why: format!("{why:?}") })
            }
            Ok(Err(_)) | Err(_) => {
                // The channel's end may be seen before the connection's.
                let _ = timeout(FAREWELL, self.inner.link.gone.cancelled()).await;
                Err(self.inner.link.lost())
            }
        }
    }
}

/// What a channel is for.
#[derive(Clone, Debug)]
pub(crate) enum Wanted {
    Session,
    Tcp { host: String, port: u16 },
    Socket { path: String },
}

impl std::fmt::Display for Wanted {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Session => formatter.write_str("a session"),
            Self::Tcp { host, port } => write!(formatter, "a connection to {host}:{port}"),
            Self::Socket { path } => write!(formatter, "a connection to {path}"),
        }
    }
}
