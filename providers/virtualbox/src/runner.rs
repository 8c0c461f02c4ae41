//! Runs VBoxManage.

use crate::output::{Answer, Kind, Refusal, progress};
use camino::{Utf8Path, Utf8PathBuf};
use rig_hypervisor::{Lock, files};
use rig_model::Progress;
use rig_provider_api::{Context, ProviderError, Result};
use std::{
    fs::File,
    io::{Read, Seek},
    path::PathBuf,
    time::Duration,
};
use tokio::{
    process::Command,
    time::{Instant, sleep},
};

/// How long a question may take: VirtualBox's daemon can lock itself up, and then answers nobody any more.
const QUESTION: Duration = Duration::from_secs(60);

/// How long somebody may have a machine before a call that needs it is given up: VirtualBox lets go of one a moment after it has
/// stopped.
const LOCKED: Duration = Duration::from_secs(15);

/// The pause between two tries.
const PAUSE: Duration = Duration::from_millis(250);

/// How long another call is waited for without a word.
const SILENT: Duration = Duration::from_secs(2);

/// `CREATE_NEW_PROCESS_GROUP`: Ctrl-C does not reach the program
/// (<https://learn.microsoft.com/en-us/windows/win32/procthread/process-creation-flags>).
#[cfg(windows)]
const NEW_PROCESS_GROUP: u32 = 0x0000_0200;

/// How often it is looked at how far a program has come.
const LOOK: Duration = Duration::from_millis(200);

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
        self.patiently(cx, doing, arguments, Cut::Asks).await
    }

    /// Waits until VirtualBox has done what it was last told, by whoever that was.
    pub(crate) async fn quiet(&self, cx: &Context, doing: &str) -> Result<()> {
        self.turn(cx, doing).await.map(drop)
    }

    /// Runs one command and gives its output.
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
        self.patiently(cx, doing, arguments, Cut::Left).await
    }

    /// The same for a command that is somebody else's: it may wait for ever, and is ended with its caller.
    pub(crate) async fn run_for_user(&self, cx: &Context, doing: &str, arguments: &[String]) -> Result<String> {
        self.patiently(cx, doing, arguments, Cut::Killed).await
    }

    /// Runs one command and gives its answer, whatever it is.
    ///
    /// # Errors
    /// When it cannot be run, or the context ends first.
    pub(crate) async fn ask(&self, cx: &Context, doing: &str, arguments: &[String]) -> Result<Answer> {
        self.spoken(cx, doing, arguments, Cut::Left).await
    }

    async fn patiently(&self, cx: &Context, doing: &str, arguments: &[String], cut: Cut) -> Result<String> {
        let mut end: Option<Instant> = None;
        loop {
            let answer = self.spoken(cx, doing, arguments, cut).await?;
            // From the first answer on: the call may have had to wait for its turn.
            let end = *end.get_or_insert_with(|| Instant::now() + LOCKED);
            match answer {
                Answer { stdout, refusal: None } => return Ok(stdout),
                Answer { refusal: Some(Refusal { kind: Kind::Locked, .. }), .. } if Instant::now() < end => {
                    pause(cx, doing, PAUSE).await?;
                }
                Answer { refusal: Some(refusal), .. } => return Err(failure(doing, refusal)),
            }
        }
    }

    /// Waits until nobody else speaks with VirtualBox.
    async fn turn(&self, cx: &Context, doing: &str) -> Result<Lock> {
        let lock = self.lock.clone();
        let folder = lock.parent().map(ToOwned::to_owned);
        let prepare = files::blocking(doing, move || folder.map_or(Ok(()), |folder| files::make_folder(&folder)));
        cx.run(doing, prepare).await?;
        let take = Lock::take(cx, doing, lock);
        tokio::pin!(take);
        tokio::select! {
            turn = &mut take => return turn,
            () = sleep(SILENT) => {}
        }
        cx.progress(Progress::step("waiting for VirtualBox, which does something else"));
        take.await
    }

    async fn spoken(&self, cx: &Context, doing: &str, arguments: &[String], cut: Cut) -> Result<Answer> {
        let turn = self.turn(cx, doing).await?;
        let folder = self.lock.parent().map(ToOwned::to_owned).unwrap_or_default();
        let said = cx.run(doing, Said::new(doing, folder)).await?;
        let failed = |error: std::io::Error| ProviderError::failed(doing, error);
        let mut command = Command::new(&self.program);
        command.args(arguments).stdin(turn.stdin().map_err(failed)?);
        said.listen(&mut command).map_err(failed)?;
        // Its words are read; of translations only the codes in them would be understood.
        command.env("LC_ALL", "C.UTF-8").env("LANGUAGE", "C").kill_on_drop(cut != Cut::Left);
        // Ctrl-C at the terminal is rig's.
        #[cfg(unix)]
        command.process_group(0);
        #[cfg(windows)]
        command.creation_flags(NEW_PROCESS_GROUP);
        let work = async {
            let mut child = command.spawn().map_err(failed)?;
            // The command has handles of its own, and one of them is the lock.
            drop(command);
            let status = loop {
                tokio::select! {
                    status = child.wait() => break status.map_err(failed)?,
                    () = sleep(LOOK) => {
                        if let Some(progress) = progress(&said.err.text(doing).await?, doing) {
                            cx.progress(progress);
                        }
                    }
                }
            };
            let (out, err) = (said.out.text(doing).await?, said.err.text(doing).await?);
            Ok(Answer::read(out, &err, status.code()))
        };
        let cx = if cut == Cut::Asks { &cx.within(QUESTION) } else { cx };
        let answer = cx.run(doing, work).await;
        drop(turn);
        answer
    }
}

/// What becomes of a program when its caller stops waiting.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Cut {
    /// It is ended: it only asks, which takes no time.
    Asks,
    /// It is ended.
    Killed,
    /// It goes on to its end, and has its turn until then: VirtualBox's daemon goes on in any case, and nobody would know for how long.
    Left,
}

/// What a program writes. Files, not pipes: a program that is left, or whose rig was killed, can write into them to its end, and one
/// that it started may keep them.
struct Said {
    out: Output,
    err: Output,
}

impl Said {
    /// In files of a folder, which is on the disk that machines are on.
    async fn new(doing: &str, folder: Utf8PathBuf) -> Result<Self> {
        let why = doing.to_owned();
        let open = move || {
            let file = || Output::new(&folder).map_err(|error| ProviderError::failed(&why, error));
            Ok(Self { out: file()?, err: file()? })
        };
        files::blocking(doing, open).await
    }

    /// Lets a command write here.
    fn listen(&self, command: &mut Command) -> std::io::Result<()> {
        command.stdout(self.out.write.try_clone()?).stderr(self.err.write.try_clone()?);
        Ok(())
    }
}

/// A file that goes when nobody has it any more.
struct Output {
    write: File,
    /// With a place of its own in the file: what is read moves no writer.
    read: File,
}

impl Output {
    fn new(folder: &Utf8Path) -> std::io::Result<Self> {
        let file = tempfile::NamedTempFile::new_in(folder)?;
        let read = file.reopen()?;
        // Its name goes at once.
        let (write, _) = file.into_parts();
        Ok(Self { write, read })
    }

    /// Everything that it has so far.
    async fn text(&self, doing: &str) -> Result<String> {
        let failed = |error: std::io::Error| ProviderError::failed(doing, error);
        let (mut file, why) = (self.read.try_clone().map_err(failed)?, doing.to_owned());
        let read = move || {
            let mut bytes = Vec::new();
            let read = file.rewind().and_then(|()| file.read_to_end(&mut bytes));
            read.map_err(|error| ProviderError::failed(why, error))?;
            Ok(String::from_utf8_lossy(&bytes).into_owned())
        };
        files::blocking(doing, read).await
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
