//! One channel, drained by a task of its own.
//!
//! russh hands a channel's messages to a small queue, and stands still when that is full. The task here empties it
//! into a buffer that is bounded in bytes, and writes what the caller sends. It ends with the channel, with the
//! connection, or when the caller drops [`Incoming`]; it then closes the channel.

use crate::connect::Link;
use crate::{Result, Session, SshError, Terminal};
use bytes::Bytes;
use russh::client::Msg;
use russh::{Channel, ChannelMsg, ChannelReadHalf, ChannelWriteHalf, Sig};
use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};
use tokio::time::timeout;
use tokio_util::sync::{CancellationToken, DropGuard};

/// Bytes that a channel holds for a caller who does not read.
const BUFFER: usize = 8 << 20;

/// What each message counts for in addition to its bytes.
const OVERHEAD: usize = 128;

/// Pieces of input that wait for the server's window.
const INPUT: usize = 8;

/// How long nothing may come after the end of a command whose output stays open.
const LINGER: Duration = Duration::from_secs(3);

/// How long a server may take to close the channel of a program that has ended.
const CLOSING: Duration = Duration::from_secs(1);

/// The extended data of RFC 4254 that is standard error.
const STDERR: u32 = 1;

/// What comes over a channel.
#[derive(Debug)]
pub(crate) enum Message {
    Data(Bytes),
    Stderr(Bytes),
    /// No more data will come. Input may still go the other way.
    Ended,
    /// The program's exit code.
    Exited(u32),
    /// The signal that ended the program.
    Signalled(String),
    /// The other side ended the channel in good order, without saying how a program ended.
    Closed,
    Failed(SshError),
}

/// The reading end of a channel. Dropping it closes the channel.
pub(crate) struct Incoming {
    messages: mpsc::UnboundedReceiver<(Message, Option<OwnedSemaphorePermit>)>,
    _abandoned: DropGuard,
    // The connection stays for as long as a channel is read.
    _session: Session,
}

impl Incoming {
    pub(crate) fn poll_next(&mut self, context: &mut std::task::Context<'_>) -> std::task::Poll<Option<Message>> {
        self.messages.poll_recv(context).map(|item| item.map(|(message, _)| message))
    }
}

/// The writing end of a channel. Dropping it sends the end of input.
pub(crate) type Outgoing = mpsc::Sender<Bytes>;

/// Requests that go beside the data.
pub(crate) struct Beside {
    write: Arc<ChannelWriteHalf<Msg>>,
}

impl Beside {
    /// Asks for what a session's channel is to do: variables, a terminal, then a command or a shell.
    pub(crate) async fn start(
        &self,
        env: &[(String, String)],
        terminal: Option<&Terminal>,
        line: Option<&str>,
    ) -> std::result::Result<(), russh::Error> {
        for (name, value) in env {
            self.write.set_env(false, name.as_str(), value.as_str()).await?;
        }
        if let Some(Terminal { term, columns, rows }) = terminal {
            self.write.request_pty(true, term, *columns, *rows, 0, 0, &[]).await?;
        }
        match line {
            Some(line) => self.write.exec(true, line).await,
            None => self.write.request_shell(true).await,
        }
    }

    pub(crate) async fn signal(&self, name: &str) -> std::result::Result<(), russh::Error> {
        self.write.signal(Sig::Custom(name.to_owned())).await
    }

    pub(crate) async fn resize(&self, columns: u32, rows: u32) -> std::result::Result<(), russh::Error> {
        self.write.window_change(columns, rows, 0, 0).await
    }
}

/// The three ends of a channel that is served.
pub(crate) struct Served {
    pub(crate) incoming: Incoming,
    pub(crate) outgoing: Outgoing,
    pub(crate) beside: Beside,
}

/// Serves a channel. `awaited` names the requests, in order, that the server has yet to answer.
pub(crate) fn serve(session: &Session, channel: Channel<Msg>, awaited: VecDeque<&'static str>) -> Served {
    let (read, write) = channel.split();
    let write = Arc::new(write);
    let (give, messages) = mpsc::unbounded_channel();
    let (outgoing, input) = mpsc::channel(INPUT);
    let abandoned = CancellationToken::new();
    let link = session.link().clone();
    tokio::spawn({
        let (write, abandoned) = (Arc::clone(&write), abandoned.clone());
        async move {
            let drain = Drain { read, awaited, link: link.clone(), give, room: Arc::new(Semaphore::new(BUFFER)) };
            let ended = CancellationToken::new();
            let work = async {
                let feed = ended.run_until_cancelled(feed(&write, input));
                let drain = async {
                    drain.run().await;
                    ended.cancel();
                };
                tokio::join!(feed, drain);
            };
            // Dropping the reading half lets russh go on, should it wait for room in it.
            tokio::select! {
                () = abandoned.cancelled() => {}
                () = work => {}
            }
            let _ = link.gone.run_until_cancelled(write.close()).await;
        }
    });
    let incoming = Incoming { messages, _abandoned: abandoned.drop_guard(), _session: session.clone() };
    Served { incoming, outgoing, beside: Beside { write } }
}

async fn feed(write: &ChannelWriteHalf<Msg>, mut input: mpsc::Receiver<Bytes>) {
    while let Some(bytes) = input.recv().await {
        if write.data_bytes(bytes).await.is_err() {
            return;
        }
    }
    let _ = write.eof().await;
}

/// How a program ended, as the server said.
enum End {
    Code(u32),
    Signal(String),
}

struct Drain {
    read: ChannelReadHalf,
    awaited: VecDeque<&'static str>,
    link: Link,
    give: mpsc::UnboundedSender<(Message, Option<OwnedSemaphorePermit>)>,
    room: Arc<Semaphore>,
}

impl Drain {
    async fn run(mut self) {
        let last = match self.forward().await {
            Ok(last) => last,
            Err(error) => Message::Failed(error),
        };
        let _ = self.give.send((last, None));
    }

    /// Forwards data until the channel ends, and gives the message that says how.
    async fn forward(&mut self) -> Result<Message> {
        // The exit code may come before the last of the output.
        let mut end = None;
        let mut complete = false;
        loop {
            let message = match &end {
                None => self.read.wait().await,
                // A program that it left behind may keep its output open for ever.
                Some(_) => match timeout(LINGER, self.read.wait()).await {
                    Ok(message) => message,
                    Err(_) => return Ok(finished(end)),
                },
            };
            match message {
                Some(ChannelMsg::Data { data }) => self.give(data, Message::Data).await,
                Some(ChannelMsg::ExtendedData { data, ext: STDERR }) => self.give(data, Message::Stderr).await,
                Some(ChannelMsg::Success) => drop(self.awaited.pop_front()),
                Some(ChannelMsg::Failure) => {
                    if let Some(what) = self.awaited.pop_front() {
                        return Err(SshError::Denied { what: what.to_owned(), why: "it gave no reason".to_owned() });
                    }
                }
                Some(ChannelMsg::ExitStatus { exit_status }) => end = Some(End::Code(exit_status)),
                Some(ChannelMsg::ExitSignal { signal_name, .. }) => end = Some(End::Signal(name(&signal_name))),
                Some(ChannelMsg::Eof) => {
                    complete = true;
                    let _ = self.give.send((Message::Ended, None));
                }
                Some(ChannelMsg::Close) => return Ok(finished(end)),
                Some(_) => {}
                None => {
                    self.link.gone.cancelled().await;
                    return Err(self.link.lost());
                }
            }
            if complete && end.is_some() {
                // russh answers the server's close by itself. Once it has, the next command finds this one's place
                // among the few sessions that a server allows free again.
                let closed = async { while !matches!(self.read.wait().await, Some(ChannelMsg::Close) | None) {} };
                let _ = timeout(CLOSING, closed).await;
                return Ok(finished(end));
            }
        }
    }

    async fn give(&self, data: Bytes, message: fn(Bytes) -> Message) {
        let size = u32::try_from(data.len() + OVERHEAD).unwrap_or(u32::MAX);
        // The semaphore is never closed.
        if let Ok(room) = Arc::clone(&self.room).acquire_many_owned(size).await {
            let _ = self.give.send((message(data), Some(room)));
        }
    }
}

fn finished(end: Option<End>) -> Message {
    match end {
        Some(End::Code(code)) => Message::Exited(code),
        Some(End::Signal(name)) => Message::Signalled(name),
        None => Message::Closed,
    }
}

/// A signal's name without `SIG`.
fn name(signal: &Sig) -> String {
    match signal {
        Sig::Custom(name) => name.clone(),
        // The variants are called as the signals are.
        signal => format!("{signal:?}"),
    }
}
