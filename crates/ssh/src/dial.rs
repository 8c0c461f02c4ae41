//! Ways to a machine's SSH server.

use crate::{Session, SshError};
use async_trait::async_trait;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;

/// A stream of bytes to a server.
pub trait Connection: AsyncRead + AsyncWrite + Send + Unpin {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin> Connection for T {}

/// Why a dialer has no connection.
#[derive(Clone, Debug, thiserror::Error)]
pub enum DialError {
    /// It will not work later either: the machine is gone or has exited.
    #[error("{why}")]
    Permanent {
        /// The reason.
        why: String,
    },
    /// It may work later: the machine still boots.
    #[error("{why}")]
    Temporary {
        /// The reason.
        why: String,
    },
}

/// Something that opens connections to one machine's SSH server.
#[async_trait]
pub trait Dialer: Send + Sync {
    /// Opens a connection. The caller limits the time by dropping the future.
    async fn dial(&self) -> Result<Box<dyn Connection>, DialError>;

    /// Where that is, for messages: `127.0.0.1:2222`.
    fn place(&self) -> String;

    /// Whether something between may accept connections before the server can be reached, and keep them waiting longer than another
    /// one would wait: the network that an emulator makes itself.
    fn is_forwarded(&self) -> bool {
        false
    }
}

/// A plain TCP connection.
#[derive(Clone, Debug)]
pub struct Tcp {
    /// Name or address.
    pub host: String,
    /// Port.
    pub port: u16,
}

#[async_trait]
impl Dialer for Tcp {
    async fn dial(&self) -> Result<Box<dyn Connection>, DialError> {
        // A refused connection and an unknown name are what a booting machine looks like.
        let temporary = |error: std::io::Error| DialError::Temporary { why: error.to_string() };
        let stream = TcpStream::connect((self.host.as_str(), self.port)).await.map_err(temporary)?;
        stream.set_nodelay(true).map_err(temporary)?;
        Ok(Box::new(stream))
    }

    fn place(&self) -> String {
        if self.host.contains(':') {
            format!("[{}]:{}", self.host, self.port)
        } else {
            format!("{}:{}", self.host, self.port)
        }
    }
}

/// A connection that another machine opens on this one's behalf (`ProxyJump`).
///
/// All traffic goes through the jump host's session: give it one of its own.
#[derive(Clone, Debug)]
pub struct Jump {
    /// The session with the jump host.
    pub through: Session,
    /// Name or address, as the jump host sees it.
    pub host: String,
    /// Port.
    pub port: u16,
}

#[async_trait]
impl Dialer for Jump {
    async fn dial(&self) -> Result<Box<dyn Connection>, DialError> {
        match self.through.tunnel(&self.host, self.port).await {
            Ok(tunnel) => Ok(Box::new(tunnel)),
            // The jump host answers, the machine behind it does not yet.
            Err(error @ SshError::Denied { .. }) => Err(DialError::Temporary { why: error.to_string() }),
            Err(error) => Err(DialError::Permanent { why: format!("the jump host: {error}") }),
        }
    }

    fn place(&self) -> String {
        format!("{}:{}", self.host, self.port)
    }
}
