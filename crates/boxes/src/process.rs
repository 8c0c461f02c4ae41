//! A program of the host whose output is a stream.

use bytes::{Bytes, BytesMut};
use futures_util::StreamExt;
use rig_provider_api::{ByteStream, Context};
use std::{
    collections::VecDeque,
    io,
    process::Stdio,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};
use tokio::{
    io::{AsyncBufReadExt, AsyncReadExt, BufReader},
    process::{Child, ChildStderr, ChildStdout, Command},
    sync::{mpsc, oneshot},
    task::JoinHandle,
    time::timeout,
};
use tokio_stream::wrappers::ReceiverStream;

/// Bytes read at once.
const CHUNK: usize = 256 * 1024;

/// Chunks on their way to a reader that is slower.
const QUEUE: usize = 8;

/// Lines of the log that are kept for an error.
const TAIL: usize = 20;

/// How long a program may take to tidy up after TERM before it is killed.
const GRACE: Duration = Duration::from_secs(10);

/// How a program ended.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Ended {
    /// With exit code 0, and everything it wrote was read.
    Well,
    /// With another exit code, or its output could not be read.
    Failed {
        /// Why.
        why: String,
        /// The last lines of its standard error.
        tail: Vec<String>,
    },
    /// It was ended because nobody reads its output any more, the caller cancelled or the deadline passed.
    Stopped,
}

/// Starts a program. Its standard output becomes a stream that ends with an error unless the program ends well; lines of
/// its standard error go to `line`. The program ends with the stream, with cancellation and with the deadline. `keep` is
/// dropped when it has ended.
///
/// # Errors
/// When the program cannot be started.
pub(crate) fn stream(
    mut command: Command,
    cx: &Context,
    line: impl Fn(&str) + Send + 'static,
    keep: impl Send + 'static,
) -> io::Result<(ByteStream, oneshot::Receiver<Ended>)> {
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(true);
    // A group of its own: the terminal's Ctrl-C is for rig, which then decides, and its children are ended with it.
    #[cfg(unix)]
    command.process_group(0);
    let mut child = command.spawn()?;
    let (Some(stdout), Some(stderr)) = (child.stdout.take(), child.stderr.take()) else {
        return Err(io::Error::other("the program has no output"));
    };
    let log = Log::collect(stderr, line);
    let (sender, receiver) = mpsc::channel(QUEUE);
    let (report, outcome) = oneshot::channel();
    let cx = cx.clone();
    tokio::spawn(async move {
        let ended = pump(child, stdout, log, &sender, &cx).await;
        let error = match &ended {
            Ended::Well => None,
            Ended::Failed { why, .. } => Some(why.clone()),
            Ended::Stopped => Some("interrupted".to_owned()),
        };
        // Reported first: a reader that does not read on must not keep the reason back.
        let _ = report.send(ended);
        if let Some(error) = error {
            let _ = timeout(GRACE, sender.send(Err(io::Error::other(error)))).await;
        }
        drop(keep);
    });
    Ok((ReceiverStream::new(receiver).boxed(), outcome))
}

type Sender = mpsc::Sender<io::Result<Bytes>>;

async fn pump(mut child: Child, stdout: ChildStdout, log: Log, sender: &Sender, cx: &Context) -> Ended {
    let work = async {
        let copied = copy(stdout, sender).await;
        (copied, child.wait().await)
    };
    let finished = tokio::select! {
        biased;
        () = cx.cancel().cancelled() => None,
        () = tokio::time::sleep_until(cx.deadline()) => None,
        () = sender.closed() => None,
        finished = work => Some(finished),
    };
    match finished {
        None => {
            stop(&mut child).await;
            Ended::Stopped
        }
        Some((_, Ok(status))) if !status.success() => {
            Ended::Failed { why: format!("it ended with {status}"), tail: log.tail().await }
        }
        Some((Err(error), _) | (_, Err(error))) => {
            stop(&mut child).await;
            Ended::Failed { why: format!("its output could not be read: {error}"), tail: log.tail().await }
        }
        Some((Ok(()), Ok(_))) => Ended::Well,
    }
}

async fn copy(mut stdout: ChildStdout, sender: &Sender) -> io::Result<()> {
    let mut buffer = BytesMut::with_capacity(CHUNK);
    while stdout.read_buf(&mut buffer).await? > 0 {
        // Nobody reads any more: `pump` sees that too and ends the program.
        if sender.send(Ok(buffer.split().freeze())).await.is_err() {
            break;
        }
        buffer.reserve(CHUNK);
    }
    Ok(())
}

/// Asks a program and its children to end, so that they remove what they made; kills them when they do not.
async fn stop(child: &mut Child) {
    signal(child, Force::Ask);
    if timeout(GRACE, child.wait()).await.is_err() {
        signal(child, Force::Kill);
        // It cannot refuse; an error means that it is gone already.
        let _ = child.kill().await;
    }
}

#[derive(Clone, Copy)]
enum Force {
    Ask,
    Kill,
}

#[cfg(unix)]
fn signal(child: &Child, force: Force) {
    use rustix::process::{Pid, Signal, kill_process_group};
    let Some(group) = child.id().and_then(|id| i32::try_from(id).ok()).and_then(Pid::from_raw) else {
        return;
    };
    let signal = match force {
        Force::Ask => Signal::TERM,
        Force::Kill => Signal::KILL,
    };
    // An error means that the group is gone already.
    let _ = kill_process_group(group, signal);
}

/// There is no way to ask here, and programs are not in groups.
#[cfg(windows)]
fn signal(child: &mut Child, _: Force) {
    let _ = child.start_kill();
}

/// The last lines of a program's standard error, collected while it runs.
struct Log {
    lines: Arc<Mutex<VecDeque<String>>>,
    reader: JoinHandle<()>,
}

impl Log {
    fn collect(stderr: ChildStderr, line: impl Fn(&str) + Send + 'static) -> Self {
        let lines = Arc::new(Mutex::new(VecDeque::with_capacity(TAIL)));
        let shared = Arc::clone(&lines);
        let reader = tokio::spawn(async move {
            let mut reader = BufReader::new(stderr);
            let mut bytes = Vec::new();
            while matches!(reader.read_until(b'\n', &mut bytes).await, Ok(1..)) {
                let text = String::from_utf8_lossy(&bytes).trim_end().to_owned();
                bytes.clear();
                if text.is_empty() {
                    continue;
                }
                line(&text);
                let mut kept = shared.lock().unwrap_or_else(PoisonError::into_inner);
                if kept.len() == TAIL {
                    kept.pop_front();
                }
                kept.push_back(text);
            }
        });
        Self { lines, reader }
    }

    async fn tail(self) -> Vec<String> {
        // A grandchild that lives on may keep the pipe open.
        let _ = timeout(Duration::from_secs(1), self.reader).await;
        let mut kept = self.lines.lock().unwrap_or_else(PoisonError::into_inner);
        kept.drain(..).collect()
    }
}
