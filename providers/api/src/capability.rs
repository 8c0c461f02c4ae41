//! What some backends can do and others cannot.

use crate::{Context, MachineRef, ProviderError, Result};
use async_trait::async_trait;
use bytes::Bytes;
use camino::{Utf8Path, Utf8PathBuf};
use futures_util::stream::BoxStream;
use jiff::Timestamp;
use rig_model::{
    BoxName, Digest, Exit, MachineId, Name, ObservedBox, ObservedSnapshot, PublishedPort, ResolvedNetwork, Stream,
    TakenSnapshot,
};
use std::{
    net::{Ipv4Addr, SocketAddr},
    pin::Pin,
};
use tokio::io::{AsyncRead, AsyncWrite};

/// A tar archive on its way to an engine.
pub type ByteStream = BoxStream<'static, std::io::Result<Bytes>>;

/// What is written on a box so that it is known again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BoxTag {
    /// The box.
    pub name: BoxName,
    /// Its content hash.
    pub digest: Digest,
    /// The parent box.
    pub parent: Option<BoxName>,
    /// The reference that it gets.
    pub image: String,
}

/// A box to be built from a context with a Dockerfile.
pub struct BuildRequest {
    /// What it becomes.
    pub tag: BoxTag,
    /// The context, an uncompressed tar archive.
    pub context: ByteStream,
    /// Build arguments.
    pub args: Vec<(String, String)>,
    /// Whether cached layers are left unused.
    pub no_cache: bool,
}

/// A box of rig's store, unpacked, or a cloud image: what machines of hypervisors are made of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredFiles {
    /// Which one, in words (`debian/bookworm64 12.1 (virtualbox, amd64)`).
    pub what: String,
    /// The folder that its files are in.
    pub folder: Utf8PathBuf,
    /// Its disks, in their order.
    pub disks: Vec<StoredDisk>,
    /// The address of the first network card that it was installed with: twelve hexadecimal digits.
    pub mac: Option<String>,
    /// How its machines learn who they are.
    pub introduction: Introduction,
}

/// How machines that rig did not install learn who they are, and whom they let in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Introduction {
    /// Over SSH, from whoever comes with the key that is published for Vagrant's boxes.
    FirstContact,
    /// From a disk that they read at their first start: cloud-init's NoCloud seed
    /// (<https://cloudinit.readthedocs.io/en/latest/reference/datasources/nocloud.html>).
    Seed,
}

/// A disk of a stored box.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredDisk {
    /// Its file, relative to the box's folder.
    pub path: Utf8PathBuf,
    /// Its format as its first bytes say it, in QEMU's words (`qcow2`, `vmdk`, `raw`).
    pub format: String,
}

/// Boxes as images of an engine.
#[async_trait]
pub trait Images: Send + Sync {
    /// The reference that a box with this hash has.
    fn reference(&self, name: &BoxName, digest: &Digest) -> String;

    /// Boxes that are there.
    async fn list(&self, cx: &Context) -> Result<Vec<ObservedBox>>;

    /// Makes a box of a root file system.
    async fn import(&self, cx: &Context, tag: &BoxTag, root: ByteStream) -> Result<()>;

    /// Builds a box; progress names the step.
    async fn build(&self, cx: &Context, request: BuildRequest) -> Result<()>;

    /// Pulls an image from a registry.
    async fn pull(&self, cx: &Context, reference: &str) -> Result<()>;

    /// Makes a box of one of rig's store or of a cloud image, whose files stay as they are.
    async fn adopt(&self, _: &Context, tag: &BoxTag, stored: &StoredFiles) -> Result<()> {
        let doing = format!("making box {} of {}", tag.name, stored.what);
        Err(ProviderError::failed(doing, "its provider makes no virtual machines")
            .hinted("give the box's machines `provider \"qemu\"`"))
    }

    /// Removes a box. Absence is success.
    async fn remove(&self, cx: &Context, image: &str) -> Result<()>;
}

/// A command for the inside of a machine.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ExecRequest {
    /// Program and arguments.
    pub command: Vec<String>,
    /// Environment beyond the machine's own.
    pub env: Vec<(String, String)>,
    /// The user to run as, instead of the machine's.
    pub user: Option<String>,
    /// The folder to run in.
    pub workdir: Option<String>,
    /// Whether standard input is wanted.
    pub stdin: bool,
    /// A terminal of this size, which joins the two output streams.
    pub terminal: Option<Terminal>,
}

/// The size of a terminal in characters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Terminal {
    /// Columns.
    pub columns: u16,
    /// Rows.
    pub rows: u16,
}

/// What a running command says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ExecEvent {
    /// Output, in pieces as they came.
    Output(Stream, Bytes),
    /// It ended with this code; always the last event of a session that was not cut.
    Exit(i64),
}

/// A command that runs inside a machine.
pub struct ExecSession {
    /// Its output and its end.
    pub events: BoxStream<'static, Result<ExecEvent>>,
    /// Its input, if wanted; dropping it closes the input.
    pub stdin: Option<Pin<Box<dyn AsyncWrite + Send>>>,
    /// Takes new sizes of the terminal.
    pub resize: Option<tokio::sync::mpsc::Sender<Terminal>>,
}

/// Commands inside machines.
#[async_trait]
pub trait Exec: Send + Sync {
    /// Starts a command.
    async fn exec(&self, cx: &Context, machine: &MachineRef, request: &ExecRequest) -> Result<ExecSession>;
}

/// Which part of a log is wanted.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LogRequest {
    /// Whether to go on with what is written from now on.
    pub follow: bool,
    /// At most this many of the last lines.
    pub tail: Option<u32>,
    /// Nothing older than this.
    pub since: Option<Timestamp>,
    /// Whether each line begins with its time.
    pub timestamps: bool,
}

/// A piece of a log, as it came.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogEvent {
    /// The stream.
    pub stream: Stream,
    /// The bytes.
    pub bytes: Bytes,
}

/// The output of process 1.
#[async_trait]
pub trait Logs: Send + Sync {
    /// Opens a log.
    async fn logs(
        &self,
        cx: &Context,
        machine: &MachineRef,
        request: &LogRequest,
    ) -> Result<BoxStream<'static, Result<LogEvent>>>;
}

/// Networks of a topology.
#[async_trait]
pub trait Networks: Send + Sync {
    /// Creates a network. One that is there in the same form is success.
    async fn create_network(&self, cx: &Context, workspace: &Name, network: &ResolvedNetwork) -> Result<()>;

    /// Removes a network by the provider's identifier. Absence is success.
    async fn remove_network(&self, cx: &Context, native: &str) -> Result<()>;
}

/// Volumes that outlive machines.
#[async_trait]
pub trait Volumes: Send + Sync {
    /// Removes a volume by the provider's identifier. Absence is success.
    async fn remove_volume(&self, cx: &Context, native: &str) -> Result<()>;
}

/// What machines were at a moment, to go back to it: their own file systems and the contents of their volumes. Folders of
/// the host are not part of that, nor are folders in memory and what processes hold in memory, unless the provider keeps a
/// running machine's memory as a whole.
///
/// A snapshot is of one machine and has one name among those of that machine. It is complete once it is listed as taken:
/// what a call made that was cut is listed as well, belongs to nobody else, and goes with the next save under that name or
/// with its deletion.
#[async_trait]
pub trait Snapshots: Send + Sync {
    /// Takes a snapshot; the machine is frozen meanwhile, if it runs, and runs on afterwards. A name that is taken is an
    /// error.
    async fn save(&self, cx: &Context, machine: &MachineRef, name: &Name) -> Result<TakenSnapshot>;

    /// Makes a machine what it was: files, volumes, and all that it was made with. It gets another identity and does not run
    /// afterwards, whether it ran before or not; where what it held in memory was kept too, it is suspended and goes on from
    /// there. A snapshot that is not there is an error, and nothing was touched then. A call that was cut leaves a machine that
    /// does not run (dead, where it holds no snapshots itself) or none, and the next one makes it whole.
    async fn restore(&self, cx: &Context, machine: &MachineRef, name: &Name) -> Result<()>;

    /// The snapshots of a workspace's machines, also of machines that are not there any more, in no order.
    async fn list_snapshots(&self, cx: &Context, workspace: &Name) -> Result<Vec<ObservedSnapshot>>;

    /// Removes a snapshot. Absence is success. A machine that was restored from it goes on.
    async fn delete(&self, cx: &Context, machine: &MachineRef, name: &Name) -> Result<()>;
}

/// Machines that stop in the middle of what they do, and go on later with all that they held in memory. What was connected to
/// them finds them gone meanwhile; their clocks may be late afterwards.
#[async_trait]
pub trait Suspension: Send + Sync {
    /// Suspends a running machine: it becomes paused, where its memory stays on this host, or suspended, where that is on disk.
    /// Whether one or the other is the backend's. A machine that is suspended already is success, one that does not run an error.
    async fn suspend(&self, cx: &Context, machine: &MachineRef) -> Result<()>;

    /// Lets a machine go on. One that runs is success; one that was stopped is an error. Stopping a suspended machine makes it
    /// forget what it held in memory.
    async fn resume(&self, cx: &Context, machine: &MachineRef) -> Result<()>;
}

/// Folders of this host that machines have as copies, because they cannot see them themselves.
#[async_trait]
pub trait Folders: Send + Sync {
    /// Brings the copies of a running machine's folders up to date. What did not change here is left as it is there.
    async fn bring(&self, cx: &Context, machine: &MachineRef) -> Result<()>;
}

/// What was written of a machine to make a box of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PackagedFiles {
    /// What such boxes are made for, in the words of boxes (`virtualbox`, `libvirt`).
    pub kind: &'static str,
    /// The address of the first network card, as boxes write it: twelve hexadecimal digits.
    pub mac: Option<String>,
    /// The only disk, where boxes of this kind say what it is.
    pub disk: Option<PackagedDisk>,
}

/// What a box says of its only disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PackagedDisk {
    /// Its format, in QEMU's words (`qcow2`).
    pub format: &'static str,
    /// The size that it has for its machine.
    pub size: rig_model::Bytes,
}

/// Machines as boxes, from which others are made elsewhere.
#[async_trait]
pub trait Packaging: Send + Sync {
    /// Says before a machine is stopped for it that no box can be made of it.
    async fn check(&self, _: &Context, _: &MachineRef) -> Result<()> {
        Ok(())
    }

    /// Writes what a box of a machine consists of into an empty folder: its description and its disks as they are now, without
    /// anything of this host. The machine must not run. What a call wrote that failed or was cut is the caller's to remove.
    async fn package(&self, cx: &Context, machine: &MachineRef, folder: &Utf8Path) -> Result<PackagedFiles>;
}

/// A path that a machine has otherwise than its box.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct PathChange {
    /// The absolute path.
    pub path: String,
    /// What became of it.
    pub kind: PathChangeKind,
}

/// What can become of a path.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum PathChangeKind {
    /// The box has no such path.
    Added,
    /// The box has it too. Of a folder: something in it differs, or its rights do.
    Modified,
    /// Only the box has it.
    Removed,
}

/// What a machine's file system has otherwise than its box. Volumes, folders of the host and folders in memory are not part
/// of that.
#[async_trait]
pub trait Changes: Send + Sync {
    /// The paths that differ, in no order; also of a machine that has stopped. In a machine that was restored from a snapshot
    /// a path may be named that is not there: what no snapshot keeps, a socket for instance.
    async fn changes(&self, cx: &Context, machine: &MachineRef) -> Result<Vec<PathChange>>;

    /// A file as the machine's box has it, at most its first `limit` bytes; `None` when the box has no such file.
    async fn original(&self, cx: &Context, machine: &MachineRef, path: &str, limit: usize) -> Result<Option<Bytes>>;
}

/// A stream of bytes in both directions.
pub trait Connection: AsyncRead + AsyncWrite + Send + Unpin {}
impl<T: AsyncRead + AsyncWrite + Send + Unpin> Connection for T {}

/// An open connection into a machine.
pub type DialStream = Box<dyn Connection>;

/// Connections to a port inside a machine, wherever its engine runs.
#[async_trait]
pub trait Dial: Send + Sync {
    /// Connects.
    async fn dial(&self, cx: &Context, machine: &MachineRef, port: u16) -> Result<DialStream>;
}

/// Ports of this host that lead into a machine while it runs, beside those that it was made with.
#[async_trait]
pub trait Forwards: Send + Sync {
    /// The ports that were made to lead into a machine in its present run; none of one that does not run.
    async fn forwards(&self, cx: &Context, machine: &MachineRef) -> Result<Vec<PublishedPort>>;

    /// Makes a port of this host lead to one of the running machine's. A port that leads there already is success; one that
    /// something else has is an error. The machine's next run knows nothing of it.
    async fn forward(&self, cx: &Context, machine: &MachineRef, port: &PublishedPort) -> Result<()>;

    /// Ends that. Absence is success, also that of the machine.
    async fn withdraw(&self, cx: &Context, machine: &MachineRef, port: &PublishedPort) -> Result<()>;
}

/// The machine that an engine runs in, where that is not this host but one that this host has for it.
#[async_trait]
pub trait EngineHost: Send + Sync {
    /// What the machine is called, for people.
    fn name(&self) -> String;

    /// A connection to the engine's API.
    async fn engine(&self) -> Result<DialStream>;

    /// A connection to an address that the machine reaches.
    async fn dial(&self, cx: &Context, address: SocketAddr) -> Result<DialStream>;

    /// The machine's own address, at which connections arrive that come through [`EngineHost::publish`].
    fn address(&self) -> Ipv4Addr;

    /// The ports of this host that lead to the ports of the same number on the machine.
    async fn published(&self, cx: &Context) -> Result<Vec<PublishedPort>>;

    /// Makes ports of this host lead to the ports of the same number on the machine.
    async fn publish(&self, cx: &Context, ports: &[PublishedPort]) -> Result<()>;

    /// Ends that. Ports that do not lead there are left alone.
    async fn withdraw(&self, cx: &Context, ports: &[PublishedPort]) -> Result<()>;

    /// Where a folder of this host lies on the machine once it was brought there.
    fn place(&self, folder: &str) -> String;

    /// The folder of this host that lies at a place on the machine.
    fn folder_at(&self, place: &str) -> Option<String>;

    /// Brings a folder of this host to the machine as it is now, without what its `.rigignore` names.
    async fn bring(&self, cx: &Context, folder: &str) -> Result<()>;

    /// The same for one that may have changed since it was brought.
    async fn bring_again(&self, cx: &Context, folder: &str) -> Result<()>;
}

/// Something that happened to a machine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MachineEvent {
    /// The machine.
    pub id: MachineId,
    /// What happened.
    pub kind: MachineEventKind,
}

/// What can happen to a machine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum MachineEventKind {
    /// Its process 1 began.
    Started,
    /// Its process 1 ended.
    Died(Exit),
    /// It was removed.
    Destroyed,
}

/// News of machines.
#[async_trait]
pub trait Watch: Send + Sync {
    /// Opens the stream of what happens from now on to the workspace's machines. The stream ends with an error when the
    /// backend goes away.
    async fn watch(&self, cx: &Context, workspace: &Name) -> Result<BoxStream<'static, Result<MachineEvent>>>;
}
