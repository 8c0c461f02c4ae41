//! Commands and shells on a machine.

use crate::channel::{Beside, Incoming, Message, Outgoing, Served};
use crate::session::Wanted;
use crate::{Result, Session, SshError};
use bytes::Bytes;
use futures_util::{Stream, StreamExt};
use std::collections::VecDeque;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use tokio::io::AsyncWrite;
use tokio_util::sync::PollSender;

/// The largest piece that one write to [`Stdin`] takes.
const PIECE: usize = 64 << 10;

/// A command for a machine's shell.
#[derive(Clone, Debug, Default)]
pub struct ExecCommand {
    /// The command line, for the user's login shell. [`quote`](crate::quote()) makes words of texts.
    pub line: String,
    /// Variables, sent as SSH `env` requests. **Most servers ignore all but `LANG` and `LC_*`** (`AcceptEnv`), and
    /// say nothing about it. They are not put into the command line, since everybody on the machine can read that; a
    /// caller who must set a variable writes it to the command's standard input, or to a file, and has the command
    /// read it there.
    pub env: Vec<(String, String)>,
    /// Whether the command gets standard input; else that is at its end from the start.
    pub stdin: bool,
    /// A terminal for the command. Standard error then comes as standard output.
    pub terminal: Option<Terminal>,
}

impl ExecCommand {
    /// A command without input, variables and terminal.
    #[must_use]
    pub fn new(line: impl Into<String>) -> Self {
        Self { line: line.into(), ..Self::default() }
    }
}

/// A terminal.
#[derive(Clone, Debug)]
pub struct Terminal {
    /// Its kind, the value of `TERM`.
    pub term: String,
    /// Its width, in characters.
    pub columns: u32,
    /// Its height, in characters.
    pub rows: u32,
}

/// Standard output or standard error.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Output {
    /// Standard output.
    Stdout,
    /// Standard error.
    Stderr,
}

/// What a running command does.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// It wrote something.
    Output(Output, Bytes),
    /// It ended with this code. Nothing comes after.
    Exited(i32),
    /// A signal ended it. Nothing comes after.
    Signalled {
        /// The signal's name without `SIG`.
        name: String,
    },
}

/// A command that runs. Its parts can be taken apart.
#[derive(Debug)]
pub struct Running {
    /// What it does. Dropping this lets the command go: its channel is closed, upon which servers close its streams,
    /// and hang up where it has a terminal. They do not end a command that ignores both; [`Control::signal`] may.
    pub events: Events,
    /// Its input, where it has one.
    pub stdin: Option<Stdin>,
    /// Its terminal's size, and signals.
    pub control: Control,
}

/// The events of a command: output, then exactly one [`Event::Exited`] or [`Event::Signalled`], or an error instead.
pub struct Events {
    incoming: Option<Incoming>,
    /// Keeps the input of a terminal open that nobody writes to: Dropbear closes the whole terminal when its input ends.
    _input: Option<Outgoing>,
}

impl Stream for Events {
    type Item = Result<Event>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let Some(incoming) = &mut self.incoming else { return Poll::Ready(None) };
        let message = loop {
            match ready!(incoming.poll_next(context)) {
                Some(Message::Ended) => {}
                message => break message,
            }
        };
        let item = match message {
            Some(Message::Data(bytes)) => return Poll::Ready(Some(Ok(Event::Output(Output::Stdout, bytes)))),
            Some(Message::Stderr(bytes)) => return Poll::Ready(Some(Ok(Event::Output(Output::Stderr, bytes)))),
            // Codes are 0 to 255 in practice.
            Some(Message::Exited(code)) => Ok(Event::Exited(i32::try_from(code).unwrap_or(i32::MAX))),
            Some(Message::Signalled(name)) => Ok(Event::Signalled { name }),
            Some(Message::Failed(error)) => Err(error),
            Some(Message::Closed | Message::Ended) | None => {
                Err(SshError::Lost { why: "the server ended the command without an exit code".to_owned() })
            }
        };
        self.incoming = None;
        Poll::Ready(Some(item))
    }
}

impl std::fmt::Debug for Events {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("Events").field("ended", &self.incoming.is_none()).finish()
    }
}

/// A command's standard input. Dropping it, or shutting it down, is the end of the input.
#[derive(Debug)]
pub struct Stdin {
    pieces: PollSender<Bytes>,
}

impl Stdin {
    pub(crate) fn new(outgoing: Outgoing) -> Self {
        Self { pieces: PollSender::new(outgoing) }
    }

    /// Sends bytes without copying them.
    ///
    /// # Errors
    /// `BrokenPipe` when the command has ended or the connection was lost; the events say which.
    pub async fn send(&mut self, bytes: Bytes) -> io::Result<()> {
        std::future::poll_fn(|context| self.pieces.poll_reserve(context)).await.map_err(|_| broken())?;
        self.pieces.send_item(bytes).map_err(|_| broken())
    }
}

impl AsyncWrite for Stdin {
    fn poll_write(mut self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        ready!(self.pieces.poll_reserve(context)).map_err(|_| broken())?;
        let size = bytes.len().min(PIECE);
        let piece = bytes.get(..size).unwrap_or_default();
        self.pieces.send_item(Bytes::copy_from_slice(piece)).map_err(|_| broken())?;
        Poll::Ready(Ok(size))
    }

    fn poll_flush(self: Pin<&mut Self>, _context: &mut Context<'_>) -> Poll<io::Result<()>> {
        // Nothing is held back.
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, _context: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.pieces.close();
        Poll::Ready(Ok(()))
    }
}

fn broken() -> io::Error {
    io::Error::new(io::ErrorKind::BrokenPipe, "the other side does not read any more")
}

/// What can be told to a command besides its input.
pub struct Control {
    beside: Beside,
    session: Session,
}

impl Control {
    /// Sends a signal, named without `SIG`. Servers may ignore it, and do not say so: OpenSSH takes it from version 8.1
    /// on, and never from root.
    ///
    /// # Errors
    /// [`SshError::Lost`].
    pub async fn signal(&self, name: &str) -> Result<()> {
        self.beside.signal(name).await.map_err(|_| self.session.link().lost())
    }

    /// Says that the terminal has a new size, in characters.
    ///
    /// # Errors
    /// [`SshError::Lost`].
    pub async fn resize(&self, columns: u32, rows: u32) -> Result<()> {
        self.beside.resize(columns, rows).await.map_err(|_| self.session.link().lost())
    }
}

impl std::fmt::Debug for Control {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("Control").finish_non_exhaustive()
    }
}

/// How a command went.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Outcome {
    /// Its exit code; none where a signal ended it.
    pub code: Option<i32>,
    /// The signal that ended it, without `SIG`.
    pub signal: Option<String>,
    /// The end of its standard output.
    pub stdout: Vec<u8>,
    /// The end of its standard error.
    pub stderr: Vec<u8>,
}

impl Outcome {
    /// Whether it ended with code 0.
    #[must_use]
    pub fn success(&self) -> bool {
        self.code == Some(0)
    }

    /// How it ended, in words: `exit code 1`.
    #[must_use]
    pub fn ending(&self) -> String {
        match (self.code, &self.signal) {
            (Some(code), _) => format!("exit code {code}"),
            (None, Some(name)) => format!("signal {name}"),
            (None, None) => "no exit code".to_owned(),
        }
    }
}

impl Session {
    /// Starts a command.
    ///
    /// # Errors
    /// [`SshError::Denied`] where the server gives no channel, [`SshError::Lost`]. That it refuses the command, the
    /// terminal or the input shows among the events.
    pub async fn exec(&self, command: &ExecCommand) -> Result<Running> {
        self.start(Some(&command.line), &command.env, command.terminal.as_ref(), command.stdin).await
    }

    /// Starts the user's login shell in a terminal.
    ///
    /// # Errors
    /// As [`Session::exec`].
    pub async fn shell(&self, terminal: &Terminal) -> Result<Running> {
        self.start(None, &[], Some(terminal), true).await
    }

    /// Runs a command to its end and keeps the last `keep` bytes of each of its two outputs.
    ///
    /// # Errors
    /// As [`Session::exec`]. A command that fails is no error.
    pub async fn run(&self, line: &str, stdin: Option<Bytes>, keep: usize) -> Result<Outcome> {
        let command = ExecCommand { stdin: stdin.is_some(), ..ExecCommand::new(line) };
        let mut running = self.exec(&command).await?;
        if let (Some(bytes), Some(mut stdin)) = (stdin, running.stdin.take()) {
            // It waits in the channel's queue for as long as the command does not read it. A command that ended
            // without reading it is no error here.
            let _ = stdin.send(bytes).await;
        }
        running.outcome(keep).await
    }

    async fn start(
        &self,
        line: Option<&str>,
        env: &[(String, String)],
        terminal: Option<&Terminal>,
        stdin: bool,
    ) -> Result<Running> {
        let awaited = terminal.map(|_| "a terminal").into_iter();
        let awaited = awaited.chain([if line.is_some() { "to run a command" } else { "a shell" }]).collect();
        let Served { incoming, outgoing, beside } = self.open(Wanted::Session, awaited).await?;
        beside.start(env, terminal, line).await.map_err(|_| self.link().lost())?;
        let input = (!stdin && terminal.is_some()).then(|| outgoing.clone());
        Ok(Running {
            events: Events { incoming: Some(incoming), _input: input },
            stdin: stdin.then(|| Stdin::new(outgoing)),
            control: Control { beside, session: self.clone() },
        })
    }
}

impl Running {
    /// Waits for the command's end and keeps the last `keep` bytes of each of its two outputs. Input that was not
    /// taken is ended.
    ///
    /// # Errors
    /// [`SshError::Lost`], [`SshError::Denied`].
    pub async fn outcome(mut self, keep: usize) -> Result<Outcome> {
        drop(self.stdin.take());
        let (mut stdout, mut stderr) = (Tail::new(keep), Tail::new(keep));
        let mut outcome = Outcome::default();
        while let Some(event) = self.events.next().await {
            match event? {
                Event::Output(Output::Stdout, bytes) => stdout.push(&bytes),
                Event::Output(Output::Stderr, bytes) => stderr.push(&bytes),
                Event::Exited(code) => outcome.code = Some(code),
                Event::Signalled { name } => outcome.signal = Some(name),
            }
        }
        (outcome.stdout, outcome.stderr) = (stdout.into_bytes(), stderr.into_bytes());
        Ok(outcome)
    }
}

/// The end of a stream.
pub(crate) struct Tail {
    keep: usize,
    bytes: VecDeque<u8>,
}

impl Tail {
    pub(crate) fn new(keep: usize) -> Self {
        Self { keep, bytes: VecDeque::new() }
    }

    pub(crate) fn push(&mut self, bytes: &[u8]) {
        let wanted = bytes.len().saturating_sub(self.keep);
        let bytes = bytes.get(wanted..).unwrap_or_default();
        let surplus = (self.bytes.len() + bytes.len()).saturating_sub(self.keep);
        self.bytes.drain(..surplus.min(self.bytes.len()));
        self.bytes.extend(bytes);
    }

    pub(crate) fn into_bytes(self) -> Vec<u8> {
        self.bytes.into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn a_tail_is_the_end_of_what_was_pushed(pieces: Vec<Vec<u8>>, keep in 0_usize..64) {
            let mut tail = Tail::new(keep);
            let whole: Vec<u8> = pieces.concat();
            for piece in &pieces {
                tail.push(piece);
            }
            prop_assert_eq!(tail.into_bytes(), whole[whole.len().saturating_sub(keep)..].to_vec());
        }
    }
}
