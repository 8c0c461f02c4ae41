//! The arguments of `rig box`.

use super::Execution;
use camino::Utf8PathBuf;
use clap::{Args, Subcommand};
use rig_box_store::{Architecture, BoxProvider, Checksum, Constraint, StoreName, Version};

#[derive(Debug, Subcommand)]
pub(crate) enum Boxes {
    /// Lists the file's boxes with size and parent, and the stored ones
    List(BoxList),
    /// Makes the file's boxes without starting anything
    Build {
        /// Boxes to make, with those they are built from [default: all]
        #[arg(value_name = "BOX")]
        boxes: Vec<String>,
        /// Builds anew, without cached layers
        #[arg(long)]
        no_cache: bool,
        #[command(flatten)]
        execution: Execution,
    },
    /// Stores a box for virtual machines
    #[command(disable_version_flag = true)]
    Add(AddBox),
    /// Removes stored boxes
    #[command(disable_version_flag = true)]
    Remove(RemoveBox),
    /// Asks catalogues for newer versions of stored boxes
    Outdated(OutdatedBoxes),
    /// Stores the newest versions of boxes that are outdated
    Update(UpdateBoxes),
    /// Removes old versions: of the file's boxes those that no machine is made from, of stored boxes all but the newest
    Prune(PruneBoxes),
    /// Makes a box file of a stored box
    #[command(disable_version_flag = true)]
    Repackage(RepackageBox),
    /// Compares stored boxes with what they were when they were added
    Verify(VerifyBoxes),
}

/// What a box is made for.
#[derive(Debug, Clone, Args)]
pub(crate) struct Which {
    /// What it is made for (virtualbox, libvirt, qemu, …)
    #[arg(long)]
    pub(crate) provider: Option<BoxProvider>,
    /// What it runs on (amd64, arm64, …)
    #[arg(long)]
    pub(crate) architecture: Option<Architecture>,
}

#[derive(Debug, Args)]
pub(crate) struct BoxList {
    /// Only the stored ones; asks no engine
    #[arg(long)]
    pub(crate) stored: bool,
}

#[derive(Debug, Args)]
pub(crate) struct AddBox {
    /// A short name (user/box), or the address or file of a catalogue or of a box
    #[arg(value_name = "NAME|URL|FILE")]
    pub(crate) source: String,
    /// The name to store it under; a box file has none of its own
    #[arg(long)]
    pub(crate) name: Option<StoreName>,
    /// Which versions of a catalogue will do ("~> 1.0", ">= 1.0, < 3"), the newest is taken; for a box file the version
    /// it gets
    #[arg(long, value_name = "CONSTRAINT")]
    pub(crate) version: Option<String>,
    #[command(flatten)]
    pub(crate) which: Which,
    /// What the box file must have: a sha256, or "sha512:…"
    #[arg(long, value_name = "SHA256")]
    pub(crate) checksum: Option<Checksum>,
    /// Takes what is not encrypted, has no checksum, or one that can be forged (sha1, md5)
    #[arg(long)]
    pub(crate) insecure: bool,
    /// Replaces the box that is there
    #[arg(short, long)]
    pub(crate) force: bool,
    /// A server with the same paths as the one that the box file is on, asked before it; may be given several times
    #[arg(long = "mirror", value_name = "URL")]
    pub(crate) mirrors: Vec<String>,
}

#[derive(Debug, Args)]
pub(crate) struct RemoveBox {
    /// The box
    pub(crate) name: StoreName,
    /// Which version
    #[arg(long, conflicts_with = "all")]
    pub(crate) version: Option<Version>,
    /// All versions, for all providers and architectures that are not excluded
    #[arg(long)]
    pub(crate) all: bool,
    /// Also what a newer rig has stored
    #[arg(short, long)]
    pub(crate) force: bool,
    #[command(flatten)]
    pub(crate) which: Which,
}

#[derive(Debug, Args)]
pub(crate) struct OutdatedBoxes {
    /// The box [default: all]
    pub(crate) name: Option<StoreName>,
    #[command(flatten)]
    pub(crate) which: Which,
    /// Asks catalogues that are not encrypted too
    #[arg(long)]
    pub(crate) insecure: bool,
}

#[derive(Debug, Args)]
pub(crate) struct UpdateBoxes {
    #[command(flatten)]
    pub(crate) boxes: OutdatedBoxes,
    /// A server with the same paths as the one that the box file is on, asked before it; may be given several times
    #[arg(long = "mirror", value_name = "URL")]
    pub(crate) mirrors: Vec<String>,
}

#[derive(Debug, Args)]
pub(crate) struct PruneBoxes {
    /// Only the stored ones; asks no engine
    #[arg(long)]
    pub(crate) stored: bool,
    /// How many versions of each stored box stay
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u16).range(1..))]
    pub(crate) keep: u16,
    /// Says what would be removed
    #[arg(long)]
    pub(crate) dry_run: bool,
}

#[derive(Debug, Args)]
pub(crate) struct RepackageBox {
    /// The box
    pub(crate) name: StoreName,
    /// Which version [default: the newest]
    #[arg(long, value_name = "CONSTRAINT")]
    pub(crate) version: Option<Constraint>,
    #[command(flatten)]
    pub(crate) which: Which,
    /// Where the box file goes
    #[arg(short, long, value_name = "FILE", default_value = "package.box")]
    pub(crate) output: Utf8PathBuf,
    /// Overwrites a file that is there
    #[arg(short, long)]
    pub(crate) force: bool,
}

#[derive(Debug, Args)]
pub(crate) struct VerifyBoxes {
    /// The box [default: all]
    pub(crate) name: Option<StoreName>,
    #[command(flatten)]
    pub(crate) which: Which,
}
