//! Ports of this host that lead to what a machine can reach.

use crate::{Result, Session, SshError};
use std::net::SocketAddr;
use std::time::Duration;
use tokio::io::copy_bidirectional;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use tokio::time::sleep;
use tokio_util::task::AbortOnDropHandle;

/// The pause after a failed accept: the process is out of file descriptors, and a loop would only burn time.
const BREATH: Duration = Duration::from_millis(100);

/// A port that is forwarded. Dropping it stops listening and ends the connections that go through it.
#[derive(Debug)]
pub struct Forward {
    address: SocketAddr,
    task: AbortOnDropHandle<()>,
}

impl Forward {
    /// Where it listens; the port is the system's choice if 0 was asked for.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Whether it no longer listens, since the connection to the machine was lost.
    #[must_use]
    pub fn is_finished(&self) -> bool {
        self.task.is_finished()
    }
}

/// Listens on an address of this host and leads each connection to a host and port, as the machine sees them.
///
/// A client of the port that does not read what it is sent holds up everything else on the session: give forwards one
/// of their own with [`Session::another`].
///
/// # Errors
/// [`SshError::File`] where the address cannot be listened on.
pub async fn forward_local(session: &Session, bind: SocketAddr, host: &str, port: u16) -> Result<Forward> {
    let listen = async {
        let listener = TcpListener::bind(bind).await?;
        let address = listener.local_addr()?;
        Ok((listener, address))
    };
    let (listener, address) = listen.await.map_err(SshError::file(format!("listening on {bind}")))?;
    let (session, host) = (session.clone(), host.to_owned());
    let task = tokio::spawn(async move {
        // Ended with this task, and so with the guard.
        let mut connections = JoinSet::new();
        loop {
            tokio::select! {
                accepted = listener.accept() => match accepted {
                    Ok((stream, _)) => drop(connections.spawn(lead(session.clone(), stream, host.clone(), port))),
                    Err(_) => sleep(BREATH).await,
                },
                Some(_) = connections.join_next() => {}
                _ = session.lost() => return,
            }
        }
    });
    Ok(Forward { address, task: AbortOnDropHandle::new(task) })
}

/// Serves one connection. What goes wrong shows to its client as a connection that ends.
async fn lead(session: Session, mut stream: TcpStream, host: String, port: u16) {
    let _ = stream.set_nodelay(true);
    if let Ok(mut tunnel) = session.tunnel(&host, port).await {
        let _ = copy_bidirectional(&mut stream, &mut tunnel).await;
    }
}
