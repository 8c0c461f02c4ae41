//! Connecting: attempts, repeated until one works, the deadline passes or there is no hope.

use crate::greeting::{Greeted, Pace, SILENT};
use crate::session::Settings;
use crate::{Credentials, Dialer, HostKey, Result, Session, SshError, wire::Wire};
use russh::client::{Config, DisconnectReason, Handler, connect_stream};
use russh::keys::ssh_key::rand_core::Rng;
use russh::keys::{Algorithm, HashAlg, PublicKeyOrCertificate};
use russh::{Preferred, cipher, compression};
use std::borrow::Cow;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Duration;
use tokio::time::{Instant, sleep, sleep_until, timeout};
use tokio_util::sync::{CancellationToken, DropGuard};

/// Time for one attempt as a whole: connection, key exchange and authentication.
const ATTEMPT: Duration = Duration::from_secs(45);

/// The pause after the first failed attempt; each further one is twice as long, up to [`LONGEST`].
const SHORTEST: Duration = Duration::from_millis(100);
const LONGEST: Duration = Duration::from_secs(2);

/// Bytes that a channel's other side may send ahead. Large, since a round trip's worth of them bounds the throughput.
const WINDOW: u32 = 16 << 20;

/// The largest packet that russh takes.
const PACKET: u32 = 65_535;

/// How long a caller is ready to wait.
#[derive(Clone, Debug)]
pub struct Patience {
    /// When to give up.
    pub deadline: Instant,
    /// Ends the wait at once.
    pub cancel: CancellationToken,
}

/// Which host keys are taken for the machine's own.
#[derive(Clone, Debug)]
pub enum Trust {
    /// These and no others; none at all, if it is empty.
    Pinned(Vec<HostKey>),
    /// Whatever key is shown on this first contact: the caller pins [`Session::host_key`] for the later ones.
    FirstUse,
}

impl Trust {
    pub(crate) fn pinned(&self) -> &[HostKey] {
        match self {
            Self::Pinned(keys) => keys,
            Self::FirstUse => &[],
        }
    }

    fn accepts(&self, key: &HostKey) -> bool {
        match self {
            Self::Pinned(keys) => keys.contains(key),
            Self::FirstUse => true,
        }
    }
}

/// Connects, and keeps trying until the deadline: a booting machine refuses, resets, or accepts and stays silent.
///
/// `waiting` hears the reason of every attempt that failed.
///
/// # Errors
/// At once, where waiting does not help: [`SshError::Refused`], [`SshError::HostKeyChanged`],
/// [`SshError::Unreachable`], [`SshError::Protocol`], [`SshError::Agent`]. Else [`SshError::TimedOut`] or
/// [`SshError::Cancelled`].
pub async fn connect(
    dialer: Arc<dyn Dialer>,
    credentials: Credentials,
    trust: Trust,
    patience: &Patience,
    waiting: &(dyn Fn(&str) + Send + Sync),
) -> Result<Session> {
    Settings { dialer, credentials, trust }.connect(patience, waiting).await
}

impl Settings {
    pub(crate) async fn connect(self, patience: &Patience, waiting: &(dyn Fn(&str) + Send + Sync)) -> Result<Session> {
        let place = self.dialer.place();
        let log = Log::default();
        let attempts = async {
            let (mut pause, mut pace) = (SHORTEST, Pace::FIRST);
            loop {
                match timeout(ATTEMPT, self.attempt(&log, pace)).await.unwrap_or_else(|_| Err(log.too_slow())) {
                    Ok(session) => return Ok(session),
                    Err(Trouble::Final(error)) => return Err(error),
                    Err(Trouble::Passing(why)) => {
                        waiting(&why);
                        log.failed(why);
                    }
                    Err(Trouble::Silent) => {
                        pace = pace.slower();
                        waiting(SILENT);
                        log.failed(SILENT.to_owned());
                    }
                }
                sleep(jittered(pause)).await;
                pause = LONGEST.min(pause * 2);
            }
        };
        tokio::select! {
            biased;
            () = patience.cancel.cancelled() => Err(SshError::Cancelled { doing: format!("connecting to {place}") }),
            result = attempts => result,
            () = sleep_until(patience.deadline) => {
                Err(SshError::TimedOut { waited_for: format!("waiting for SSH at {place}"), last: log.last() })
            }
        }
    }

    async fn attempt(&self, log: &Log, pace: Pace) -> std::result::Result<Session, Trouble> {
        let greeted = Greeted::wait(&*self.dialer, log, pace).await?;
        log.now("exchanging keys");
        let link = Link::default();
        // An attempt that is given up must take russh's task with it.
        let abandoned = link.cut.clone().drop_guard();
        let shown = Arc::new(OnceLock::new());
        let watch = Watch {
            trust: self.trust.clone(),
            shown: Arc::clone(&shown),
            why: Arc::clone(&link.why),
            _gone: link.gone.clone().drop_guard(),
        };
        let wire = Wire::new(greeted, link.cut.clone());
        let handshake = connect_stream(Arc::new(config(&self.trust)), wire, watch);
        let mut handle = handshake.await.map_err(|error| self.explain(&error, &shown))?;

        log.now("authenticating");
        self.credentials.prove(&mut handle, &link).await?;
        let Some(host_key) = shown.get().cloned() else {
            return Err(Trouble::Passing("the server showed no host key".to_owned()));
        };
        abandoned.disarm();
        Ok(Session::new(handle, link, host_key, self.clone()))
    }

    fn explain(&self, error: &russh::Error, shown: &OnceLock<HostKey>) -> Trouble {
        match (error, shown.get()) {
            (russh::Error::UnknownKey, Some(got)) => Trouble::Final(SshError::changed(&self.trust, got.fingerprint())),
            (russh::Error::NoCommonAlgo { kind, theirs, .. }, _) => Trouble::Final(SshError::Protocol {
                why: format!("no common {kind:?} algorithm; it offers {}", theirs.join(", ")),
            }),
            (russh::Error::Disconnect | russh::Error::HUP, _) => {
                Trouble::Passing("the server ended the connection before it could be used".to_owned())
            }
            (error, _) => Trouble::Passing(error.to_string()),
        }
    }
}

/// Why an attempt failed.
pub(crate) enum Trouble {
    /// The next one may work.
    Passing(String),
    /// The same: somebody accepted, and nothing was said.
    Silent,
    /// No other will.
    Final(SshError),
}

/// What the attempts do and did, for the message when time is up.
#[derive(Default)]
pub(crate) struct Log {
    entries: Mutex<(&'static str, Option<String>)>,
}

impl Log {
    fn entries(&self) -> std::sync::MutexGuard<'_, (&'static str, Option<String>)> {
        self.entries.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn now(&self, stage: &'static str) {
        self.entries().0 = stage;
    }

    pub(crate) fn stage(&self) -> &'static str {
        self.entries().0
    }

    fn failed(&self, why: String) {
        *self.entries() = ("", Some(why));
    }

    fn too_slow(&self) -> Trouble {
        Trouble::Passing(format!("{} took longer than {} seconds", self.stage(), ATTEMPT.as_secs()))
    }

    fn last(&self) -> String {
        match &*self.entries() {
            ("", None) => "none was made".to_owned(),
            ("", Some(why)) => why.clone(),
            (stage, None) => (*stage).to_owned(),
            (stage, Some(why)) => format!("{stage} (before it: {why})"),
        }
    }
}

/// One connection's life, seen from outside russh's task.
#[derive(Clone, Debug, Default)]
pub(crate) struct Link {
    /// Ends it.
    pub(crate) cut: CancellationToken,
    /// Cancelled once it has ended.
    pub(crate) gone: CancellationToken,
    why: Arc<OnceLock<String>>,
}

impl Link {
    pub(crate) fn why(&self) -> String {
        self.why.get().cloned().unwrap_or_else(|| "it ended".to_owned())
    }

    pub(crate) fn lost(&self) -> SshError {
        SshError::Lost { why: self.why() }
    }
}

/// What russh tells about a connection. It is dropped when the connection ends.
pub(crate) struct Watch {
    trust: Trust,
    shown: Arc<OnceLock<HostKey>>,
    why: Arc<OnceLock<String>>,
    _gone: DropGuard,
}

impl Handler for Watch {
    type Error = russh::Error;

    async fn check_server_key(&mut self, shown: &PublicKeyOrCertificate) -> std::result::Result<bool, Self::Error> {
        // Certificates are never asked for, so none is taken.
        let PublicKeyOrCertificate::PublicKey { key, .. } = shown else { return Ok(false) };
        let key = HostKey::new(key.clone());
        let accepted = self.trust.accepts(&key);
        let _ = self.shown.set(key);
        Ok(accepted)
    }

    async fn disconnected(&mut self, reason: DisconnectReason<Self::Error>) -> std::result::Result<(), Self::Error> {
        let why = match reason {
            DisconnectReason::ReceivedDisconnect(info) => format!("the server ended it: {}", info.message),
            DisconnectReason::Error(russh::Error::KeepaliveTimeout) => {
                format!("the machine did not answer for {} seconds", KEEPALIVE.as_secs() * (KEEPALIVES as u64 + 1))
            }
            DisconnectReason::Error(russh::Error::Disconnect | russh::Error::HUP) => "the server closed it".to_owned(),
            DisconnectReason::Error(russh::Error::IO(error)) if error.kind() == std::io::ErrorKind::UnexpectedEof => {
                "the server closed it".to_owned()
            }
            DisconnectReason::Error(error) => error.to_string(),
        };
        let _ = self.why.set(why);
        Ok(())
    }
}

/// Silence after which the machine is asked for a sign of life, and how many of these may stay without an answer.
const KEEPALIVE: Duration = Duration::from_secs(15);
const KEEPALIVES: usize = 3;

fn config(trust: &Trust) -> Config {
    Config {
        window_size: WINDOW,
        maximum_packet_size: PACKET,
        keepalive_interval: Some(KEEPALIVE),
        keepalive_max: KEEPALIVES,
        nodelay: true,
        preferred: Preferred {
            key: Cow::Owned(host_key_algorithms(trust)),
            cipher: Cow::Borrowed(CIPHERS),
            compression: Cow::Borrowed(&[compression::NONE]),
            ..Preferred::DEFAULT
        },
        ..Config::default()
    }
}

/// The fastest first, all of them safe.
const CIPHERS: &[cipher::Name] = &[
    cipher::AES_256_GCM,
    cipher::AES_128_GCM,
    cipher::CHACHA20_POLY1305,
    cipher::AES_256_CTR,
    cipher::AES_192_CTR,
    cipher::AES_128_CTR,
];

/// Kinds of pinned keys come first: a server with several host keys must show the one that we know.
fn host_key_algorithms(trust: &Trust) -> Vec<Algorithm> {
    let pinned: Vec<Algorithm> = trust.pinned().iter().map(HostKey::algorithm).collect();
    let rsa = |algorithm: &Algorithm| matches!(algorithm, Algorithm::Rsa { .. });
    let known = |algorithm: &Algorithm| pinned.iter().any(|pin| pin == algorithm || (rsa(pin) && rsa(algorithm)));
    let (mut first, rest): (Vec<_>, Vec<_>) = Preferred::DEFAULT
        .key
        .iter()
        // RSA with SHA-1 signatures.
        .filter(|algorithm| **algorithm != (Algorithm::Rsa { hash: None::<HashAlg> }))
        .cloned()
        .partition(known);
    first.extend(rest);
    first
}

/// A pause between half and the whole of `pause`, so that many machines' attempts spread.
fn jittered(pause: Duration) -> Duration {
    let part = russh::keys::key::safe_rng().next_u32();
    pause / 2 + (pause / 2).mul_f64(f64::from(part) / f64::from(u32::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::KeyPair;

    #[test]
    fn pauses_stay_within_their_bounds() {
        for _ in 0..100 {
            let pause = jittered(LONGEST);
            assert!(pause >= LONGEST / 2 && pause <= LONGEST, "{pause:?}");
        }
    }

    #[test]
    fn pinned_kinds_of_keys_come_first() {
        let ecdsa = HostKey::parse("ecdsa-sha2-nistp256 AAAAE2VjZHNhLXNoYTItbmlzdHAyNTYAAAAIbmlzdHAyNTYAAABBBEmKSENjQEezOmxkZMy7opKgwFB9nkt5YRrYMjNuG5N87uRgg6CLrbo5wAdT/y6v0mKV0U2w0WZ2YB/++Tpockg= github").unwrap();
        let order = host_key_algorithms(&Trust::Pinned(vec![ecdsa.clone()]));
        assert_eq!(order.first(), Some(&ecdsa.algorithm()));
        assert_eq!(order.len(), Preferred::DEFAULT.key.len() - 1);
        assert_eq!(host_key_algorithms(&Trust::FirstUse).first(), Some(&Algorithm::Ed25519));
    }

    #[test]
    fn trust_is_about_key_data() {
        let [ours, other] = [(); 2].map(|()| KeyPair::generate("").unwrap().host_key());
        assert!(Trust::Pinned(vec![ours.clone()]).accepts(&ours));
        assert!(!Trust::Pinned(vec![ours]).accepts(&other));
        assert!(!Trust::Pinned(vec![]).accepts(&other));
        assert!(Trust::FirstUse.accepts(&other));
    }
}
