//! Waiting until the server has spoken, on more than one connection where the first stays silent.
//!
//! What forwards a port of this host into a machine that boots may accept a connection long before the machine can answer, and then
//! knock at the machine only after pauses of its own: QEMU's user network after six seconds. Somebody who knocks later is let in
//! earlier. An SSH server speaks first (RFC 4253, section 4.2), so that a connection on which nothing was said yet can be given up
//! without harm.

use crate::connect::{Log, Trouble};
use crate::{Connection, DialError, Dialer};
use bytes::{Bytes, BytesMut};
use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use std::time::Duration;
use tokio::io::AsyncReadExt;
use tokio::time::{Instant, sleep, timeout};

/// Time for a connection, and then for the server's first words on it.
const GREETING: Duration = Duration::from_secs(20);

/// How long the server may be silent until it is asked on another connection as well, where that can help. Each further pause is a
/// quarter longer than the one before: a server that is only slow has to greet on all of them, even on those that were given up.
const SILENCE: Duration = Duration::from_millis(500);

/// Time for each of the later ones, from dialling on.
const LATER: Duration = Duration::from_secs(2);

/// What is said of a server that accepts and stays silent.
pub(crate) const SILENT: &str = "it accepted the connection, but sent no SSH greeting";

/// How patient an attempt is with a silent server: both times of the later connections are multiplied by it.
///
/// Each connection costs a server a process. One that takes seconds for that would never come to the end of all that were given up
/// meanwhile, so that each attempt that nobody greeted makes the next one knock less often and wait for longer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Pace(u32);

impl Pace {
    /// With a server of which nothing is known.
    pub(crate) const FIRST: Self = Self(1);

    /// At its slowest, five later connections begin in the time of the first: a machine that comes up late is not left waiting for long.
    const SLOWEST: Self = Self(4);

    /// For the attempt after one on which nothing was said.
    pub(crate) fn slower(self) -> Self {
        Self((self.0 * 2).min(Self::SLOWEST.0))
    }
}

/// The largest part of the first words that is read at once, in bytes: RFC 4253 allows 255 for the line with the version.
const WORDS: usize = 256;

/// A connection on which the server has spoken, and what it said, which is still to be understood.
pub(crate) struct Greeted {
    pub(crate) connection: Box<dyn Connection>,
    pub(crate) said: Bytes,
}

impl Greeted {
    /// Connects and waits for the first words. The first connection decides over failure: it has the longest time.
    pub(crate) async fn wait(dialer: &dyn Dialer, log: &Log, pace: Pace) -> Result<Self, Trouble> {
        log.now("opening a connection");
        let too_long = || Trouble::Passing(format!("no connection within {} seconds", GREETING.as_secs()));
        let connection = timeout(GREETING, dial(dialer)).await.map_err(|_| too_long())??;
        log.now(SILENT);
        let first = async { timeout(GREETING, hear(connection)).await };
        tokio::pin!(first);
        let mut later = FuturesUnordered::new();
        let mut pause = SILENCE * pace.0;
        let again = sleep(pause);
        tokio::pin!(again);
        loop {
            tokio::select! {
                biased;
                heard = &mut first => {
                    return heard.unwrap_or_else(|_| Err(Trouble::Silent));
                }
                Some(heard) = later.next() => match heard {
                    Ok(Err(Trouble::Passing(_) | Trouble::Silent)) | Err(_) => {}
                    Ok(heard) => return heard,
                },
                () = &mut again, if dialer.is_forwarded() => {
                    later.push(timeout(LATER * pace.0, async { hear(dial(dialer).await?).await }));
                    pause = pause * 5 / 4;
                    again.as_mut().reset(Instant::now() + pause);
                }
            }
        }
    }
}

async fn dial(dialer: &dyn Dialer) -> Result<Box<dyn Connection>, Trouble> {
    dialer.dial().await.map_err(|error| match error {
        DialError::Permanent { why } => Trouble::Final(crate::SshError::Unreachable { why }),
        DialError::Temporary { why } => Trouble::Passing(why),
    })
}

async fn hear(mut connection: Box<dyn Connection>) -> Result<Greeted, Trouble> {
    let mut said = BytesMut::with_capacity(WORDS);
    match connection.read_buf(&mut said).await {
        Ok(0) => Err(Trouble::Passing("the server ended the connection before it could be used".to_owned())),
        Ok(_) => Ok(Greeted { connection, said: said.freeze() }),
        Err(error) => Err(Trouble::Passing(error.to_string())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use async_trait::async_trait;
    use std::sync::atomic::{AtomicUsize, Ordering};
    use tokio::io::{AsyncWriteExt, DuplexStream, duplex};
    use tokio::sync::Mutex;

    /// Something that takes connections for a machine which boots: the first `deaf` of them stay silent.
    struct Forwarder {
        deaf: usize,
        known: bool,
        dialled: AtomicUsize,
        ends: Mutex<Vec<DuplexStream>>,
    }

    impl Forwarder {
        fn new(deaf: usize) -> Self {
            Self { deaf, known: true, dialled: AtomicUsize::new(0), ends: Mutex::default() }
        }
    }

    #[async_trait]
    impl Dialer for Forwarder {
        async fn dial(&self) -> Result<Box<dyn Connection>, DialError> {
            let (near, mut far) = duplex(1024);
            if self.dialled.fetch_add(1, Ordering::Relaxed) >= self.deaf {
                far.write_all(b"SSH-2.0-x\r\n").await.unwrap();
            }
            self.ends.lock().await.push(far);
            Ok(Box::new(near))
        }

        fn place(&self) -> String {
            "here".to_owned()
        }

        fn is_forwarded(&self) -> bool {
            self.known
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_later_connection_is_heard_where_the_first_stays_silent() {
        let began = tokio::time::Instant::now();
        let Ok(greeted) = Greeted::wait(&Forwarder::new(3), &Log::default(), Pace::FIRST).await else {
            panic!("not heard")
        };
        assert_eq!(greeted.said, "SSH-2.0-x\r\n");
        // Timers are rounded up to milliseconds.
        let pauses = 500 + 625 + 781;
        assert!((pauses..pauses + 4).contains(&began.elapsed().as_millis()), "{:?}", began.elapsed());
    }

    #[tokio::test(start_paused = true)]
    async fn one_connection_is_enough_for_a_server_that_speaks() {
        let forwarder = Forwarder::new(0);
        assert!(Greeted::wait(&forwarder, &Log::default(), Pace::FIRST).await.is_ok());
        assert_eq!(forwarder.dialled.load(Ordering::Relaxed), 1);
    }

    #[tokio::test(start_paused = true)]
    async fn a_server_that_nothing_stands_before_is_asked_once() {
        let forwarder = Forwarder { known: false, ..Forwarder::new(1) };
        assert!(Greeted::wait(&forwarder, &Log::default(), Pace::FIRST).await.is_err());
        assert_eq!(forwarder.dialled.load(Ordering::Relaxed), 1);
    }

    #[tokio::test(start_paused = true)]
    async fn silence_ends_with_the_first_connections_time() {
        let began = tokio::time::Instant::now();
        let forwarder = Forwarder::new(usize::MAX);
        let Err(Trouble::Silent) = Greeted::wait(&forwarder, &Log::default(), Pace::FIRST).await else {
            panic!("heard")
        };
        assert_eq!(began.elapsed(), GREETING);
        for end in forwarder.ends.lock().await.iter_mut() {
            assert_eq!(end.read(&mut [0]).await.unwrap(), 0, "a connection is left");
        }
    }
    /// A server that takes so long for each connection, one after the other.
    struct Slow {
        each: Duration,
        free_at: Mutex<Instant>,
    }

    #[async_trait]
    impl Dialer for Slow {
        async fn dial(&self) -> Result<Box<dyn Connection>, DialError> {
            let (near, mut far) = duplex(1024);
            let mut free_at = self.free_at.lock().await;
            *free_at = (*free_at).max(Instant::now()) + self.each;
            let when = *free_at;
            tokio::spawn(async move {
                tokio::time::sleep_until(when).await;
                // Whoever gave up has cost the time all the same.
                let _ = far.write_all(b"SSH-2.0-x\r\n").await;
            });
            Ok(Box::new(near))
        }

        fn place(&self) -> String {
            "here".to_owned()
        }

        fn is_forwarded(&self) -> bool {
            true
        }
    }

    /// Something that takes connections for a machine which is up at this time, and forgets those of before.
    struct Late(Instant);

    #[async_trait]
    impl Dialer for Late {
        async fn dial(&self) -> Result<Box<dyn Connection>, DialError> {
            let (near, mut far) = duplex(1024);
            let up = Instant::now() >= self.0;
            tokio::spawn(async move {
                if up {
                    far.write_all(b"SSH-2.0-x\r\n").await.unwrap();
                }
                let _ = far.read(&mut [0]).await;
            });
            Ok(Box::new(near))
        }

        fn place(&self) -> String {
            "here".to_owned()
        }

        fn is_forwarded(&self) -> bool {
            true
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_machine_that_comes_up_late_does_not_wait_for_long() {
        for seconds in 60..140 {
            let up = Instant::now() + Duration::from_secs(seconds);
            let mut pace = Pace::FIRST;
            while Greeted::wait(&Late(up), &Log::default(), pace).await.is_err() {
                pace = pace.slower();
            }
            assert!(up.elapsed() < Duration::from_secs(6), "{seconds}: {:?}", up.elapsed());
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_slow_server_comes_to_its_greeting() {
        let slow = Slow { each: Duration::from_secs(3), free_at: Mutex::new(Instant::now() + GREETING) };
        let mut pace = Pace::FIRST;
        let mut attempts = 1;
        while Greeted::wait(&slow, &Log::default(), pace).await.is_err() {
            pace = pace.slower();
            attempts += 1;
            assert!(attempts < 20, "it never speaks");
        }
    }
}
