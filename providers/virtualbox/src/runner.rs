//! Runs VBoxManage.

use crate::output::{Answer, Kind, Refusal, progress};
use camino::Utf8PathBuf;
use rig_hypervisor::{Lock, files};
use rig_provider_api::{Context, ProviderError, Result};
use std::{path::PathBuf, process::Stdio, time::Duration};
use tokio::{
    io::{AsyncRead, AsyncReadExt},
    process::Command,
    time::{Instant, sleep, timeout},
};

/// How long a question may take: VirtualBox's daemon can lock itself up, and then answers nobody any more.
const QUESTION: Duration = Duration::from_secs(60);

/// How long somebody may have a machine before a call that needs it is given up: VirtualBox lets go of one a moment after it has
/// stopped.
const LOCKED: Duration = Duration::from_secs(15);

/// The pause between two tries.
const PAUSE: Duration = Duration::from_millis(250);

/// How long what it wrote is waited for when it has ended: a program that it started may still hold the other end.
const REST: Duration = Duration::from_secs(1);

/// The most that is read at once, in bytes.
const PIECE: usize = 4096;

/// The program, and how it is spoken with: by one call at a time. Two at once make VirtualBox's daemon stall for 10 s, four make it
/// refuse, and what both change is lost by one of them (7.2.22).
#[derive(Clone, Debug)]
pub(crate) struct Runner {
    program: PathBuf,
    /// Held by every call of this user.
    lock: Utf8PathBuf,
}

/// Words of a command line.
pub(crate) fn words<const N: usize>(words: [&str; N]) -> Vec<String> {
    words.map(str::to_owned).to_vec()
}

impl Runner {
    pub(crate) fn new(program: PathBuf, lock: Utf8PathBuf) -> Self {
        Self { program, lock }
    }

    /// Asks for something that takes no time.
    ///
    /// # Errors
    /// As [`Self::run`].
    pub(crate) async fn question(&self, cx: &Context, doing: &str, arguments: &[String]) -> Result<String> {
        self.run_patiently(&cx.within(QUESTION), doing, arguments).await
    }

    /// Runs one command and gives its output. A call that is cut ends the program.
    ///
    /// # Errors
    /// VirtualBox's refusal.
    pub(crate) async fn run(&self, cx: &Context, doing: &str, arguments: &[String]) -> Result<String> {
        match self.ask(cx, doing, arguments).await? {
            Answer { stdout, refusal: None } => Ok(stdout),
            Answer { refusal: Some(refusal), .. } => Err(failure(doing, refusal)),
        }
    }

    /// The same for a command that may be given again: while somebody else has the machine, it is.
    pub(crate) async fn run_patiently(&self, cx: &Context, doing: &str, arguments: &[String]) -> Result<String> {
        let end = Instant::now() + LOCKED;
        loop {
            match self.ask(cx, doing, arguments).await? {
                Answer { stdout, refusal: None } => return Ok(stdout),
                Answer { refusal: Some(Refusal { kind: Kind::Locked, .. }), .. } if Instant::now() < end => {
                    pause(cx, doing, PAUSE).await?;
                }
                Answer { refusal: Some(refusal), .. } => return Err(failure(doing, refusal)),
            }
        }
    }

    /// Runs one command and gives its answer, whatever it is.
    ///
    /// # Errors
    /// When it cannot be run, or the context ends first.
    pub(crate) async fn ask(&self, cx: &Context, doing: &str, arguments: &[String]) -> Result<Answer> {
        let _turn = self.turn(cx, doing).await?;
        self.spoken(cx, doing, arguments).await
    }

    /// Waits until nobody else speaks with VirtualBox.
    async fn turn(&self, cx: &Context, doing: &str) -> Result<Lock> {
        let lock = self.lock.clone();
        let folder = lock.parent().map(ToOwned::to_owned);
        let prepare = files::blocking(doing, move || folder.map_or(Ok(()), |folder| files::make_folder(&folder)));
        cx.run(doing, prepare).await?;
        Lock::take(cx, doing, lock).await
    }

    async fn spoken(&self, cx: &Context, doing: &str, arguments: &[String]) -> Result<Answer> {
        let mut command = Command::new(&self.program);
        command.args(arguments).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        // Its words are read; of translations only the codes in them would be understood.
        command.env("LC_ALL", "C.UTF-8").env("LANGUAGE", "C").kill_on_drop(true);
        // Ctrl-C at the terminal is rig's: a call in flight ends.
        #[cfg(unix)]
        command.process_group(0);
        let failed = |error: std::io::Error| ProviderError::failed(doing, error);
        let work = async {
            let mut child = command.spawn().map_err(failed)?;
            let (stdout, stderr) = (child.stdout.take(), child.stderr.take());
            let mut out = Vec::new();
            let mut err = Vec::new();
            let status = {
                let both = async {
                    tokio::join!(
                        read(stdout, &mut out, |_| ()),
                        read(stderr, &mut err, |written| {
                            if let Some(progress) = progress(&String::from_utf8_lossy(written), doing) {
                                cx.progress(progress);
                            }
                        })
                    )
                };
                tokio::pin!(both);
                tokio::select! {
                    _ = &mut both => child.wait().await.map_err(failed)?,
                    status = child.wait() => {
                        let status = status.map_err(failed)?;
                        // What it has written is there by now; what is not belongs to somebody else.
                        let _ = timeout(REST, both).await;
                        status
                    }
                }
            };
            let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
            Ok(Answer::read(text(&out), &text(&err), status.code()))
        };
        cx.run(doing, work).await
    }
}

/// Reads to the end; what was read so far is told.
async fn read(from: Option<impl AsyncRead + Unpin>, into: &mut Vec<u8>, mut told: impl FnMut(&[u8])) {
    let Some(mut from) = from else { return };
    let mut piece = vec![0; PIECE];
    // A pipe that breaks has ended.
    while let Ok(count @ 1..) = from.read(&mut piece).await {
        into.extend_from_slice(&piece[..count]);
        told(into);
    }
}

/// Waits for a moment.
pub(crate) async fn pause(cx: &Context, doing: &str, time: Duration) -> Result<()> {
    let sleep = async {
        sleep(time).await;
        Ok(())
    };
    cx.run(doing, sleep).await
}

/// A refusal as an error, with what to do about it.
pub(crate) fn failure(doing: &str, Refusal { why, more, kind }: Refusal) -> ProviderError {
    let hint = match kind {
        Kind::Locked => Some("close the machine's windows and whatever else uses it, and run the command again"),
        Kind::Driver if cfg!(target_os = "linux") => Some(
            "load VirtualBox's kernel driver: `sudo modprobe vboxdrv`, after `sudo /sbin/vboxconfig` where it is not built yet",
        ),
        Kind::Driver => Some("reinstall VirtualBox and allow its kernel driver"),
        Kind::NotFound | Kind::Taken | Kind::State | Kind::Other => None,
    };
    ProviderError::Failed { doing: doing.to_owned(), why, tail: more, hint: hint.map(str::to_owned) }
}
