//! Who we say we are.

use crate::connect::{Link, Trouble, Watch};
use crate::{KeyPair, SshError};
use russh::client::{AuthResult, Handle};
use russh::keys::agent::{AgentIdentity, client::AgentClient};
use russh::keys::{Algorithm, HashAlg, PrivateKeyWithHashAlg};
use std::path::PathBuf;

/// A user and what proves that it is them.
#[derive(Clone, Debug)]
pub struct Credentials {
    /// The user on the machine.
    pub user: String,
    /// The proof.
    pub identity: Identity,
}

/// What proves who we are.
#[derive(Clone, Debug)]
pub enum Identity {
    /// Keys, offered in this order. Servers hang up after a few that they do not know (`MaxAuthTries`, usually 6).
    Keys(Vec<KeyPair>),
    /// The keys of an SSH agent: its unix socket (`SSH_AUTH_SOCK`), or its named pipe on Windows.
    Agent(PathBuf),
}

impl Credentials {
    /// A user with one key.
    #[must_use]
    pub fn key(user: impl Into<String>, key: KeyPair) -> Self {
        Self { user: user.into(), identity: Identity::Keys(vec![key]) }
    }

    pub(crate) async fn prove(&self, handle: &mut Handle<Watch>, link: &Link) -> Result<(), Trouble> {
        let mut tried = Tried { user: &self.user, link, offered: Vec::new(), refusals: 0 };
        match &self.identity {
            Identity::Keys(keys) => {
                for pair in keys {
                    tried.offered.push(pair.fingerprint());
                    let key = pair.private();
                    let hash = hash(handle, &key.algorithm()).await?;
                    let key = PrivateKeyWithHashAlg::new(key, hash);
                    let result =
                        handle.authenticate_publickey(self.user.as_str(), key).await.map_err(|_| tried.failed())?;
                    if tried.accepted(&result, handle)? {
                        return Ok(());
                    }
                }
            }
            Identity::Agent(path) => {
                let wrong = |why: String| Trouble::Final(SshError::Agent { path: path.display().to_string(), why });
                let mut agent = agent(path).await.map_err(|error| wrong(error.to_string()))?;
                let identities = agent.request_identities().await.map_err(|error| wrong(error.to_string()))?;
                let keys = identities.into_iter().filter_map(|identity| match identity {
                    AgentIdentity::PublicKey { key, .. } => Some(key),
                    AgentIdentity::Certificate { .. } => None,
                });
                for key in keys {
                    tried.offered.push(key.fingerprint(HashAlg::Sha256).to_string());
                    let hash = hash(handle, &key.algorithm()).await?;
                    match handle.authenticate_publickey_with(self.user.as_str(), key, hash, &mut agent).await {
                        Ok(result) if tried.accepted(&result, handle)? => return Ok(()),
                        Ok(_) => {}
                        Err(_) if link.gone.is_cancelled() => return Err(tried.failed()),
                        // The agent would not sign with this key; it may with the next.
                        Err(error) => tried.offered.push(format!("which the agent would not use: {error}")),
                    }
                }
            }
        }
        Err(tried.refused())
    }
}

/// How the offers of one connection went.
struct Tried<'a> {
    user: &'a str,
    link: &'a Link,
    offered: Vec<String>,
    refusals: u32,
}

impl Tried<'_> {
    /// Whether the server let us in.
    fn accepted(&mut self, result: &AuthResult, handle: &Handle<Watch>) -> Result<bool, Trouble> {
        match result {
            AuthResult::Success => Ok(true),
            // russh reports a connection that ended as a refusal.
            AuthResult::Failure { .. } if handle.is_closed() => Err(self.failed()),
            AuthResult::Failure { partial_success: true, remaining_methods } => {
                Err(Trouble::Final(SshError::Protocol {
                    why: format!("it accepts the key, but wants {remaining_methods:?} as well"),
                }))
            }
            AuthResult::Failure { .. } => {
                self.refusals += 1;
                Ok(false)
            }
        }
    }

    /// The connection ended: after refusals that is the server's last word, before them an accident.
    fn failed(&self) -> Trouble {
        if self.refusals > 0 {
            self.refused()
        } else {
            Trouble::Passing(format!(
                "the server ended the connection while it was to check the key: {}",
                self.link.why()
            ))
        }
    }

    fn refused(&self) -> Trouble {
        Trouble::Final(SshError::Refused { user: self.user.to_owned(), offered: self.offered.clone() })
    }
}

/// The hash to sign with: RSA keys alone have a choice, and the server says what it takes.
async fn hash(handle: &Handle<Watch>, algorithm: &Algorithm) -> Result<Option<HashAlg>, Trouble> {
    if !matches!(algorithm, Algorithm::Rsa { .. }) {
        return Ok(None);
    }
    match handle.best_supported_rsa_hash().await {
        Ok(Some(best)) => Ok(best),
        Ok(None) => Ok(Some(HashAlg::Sha256)),
        Err(error) => Err(Trouble::Passing(error.to_string())),
    }
}

#[cfg(unix)]
async fn agent(path: &PathBuf) -> Result<AgentClient<impl AgentStream>, russh::keys::Error> {
    AgentClient::connect_uds(path).await
}

#[cfg(windows)]
async fn agent(path: &PathBuf) -> Result<AgentClient<impl AgentStream>, russh::keys::Error> {
    AgentClient::connect_named_pipe(path).await
}

/// What an agent's connection can do.
trait AgentStream: tokio::io::AsyncRead + tokio::io::AsyncWrite + Send + Unpin + 'static {}

impl<T: tokio::io::AsyncRead + tokio::io::AsyncWrite + Send + Unpin + 'static> AgentStream for T {}
