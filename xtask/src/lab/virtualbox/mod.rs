//! `cargo xtask vbox-lab`: the real VirtualBox on a machine without its kernel driver, and a box whose guest boots in its interpreter.
//!
//! VirtualBox is in Debian's unstable suite. Its programs live in a file system of their own in the user's cache, as a build takes six
//! minutes; what is there is used again as long as what it is made from stays the same.

use super::packages;
use crate::cargo::{self, Result};
use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

const SUITE: &str = "sid";
const MIRROR: &str = "http://deb.debian.org/debian";

/// The first line: VirtualBox, of whose programs only VirtualBoxVM knows `--driverless`, and the display that it wants. The others
/// make the guest.
const PACKAGES: &str = "virtualbox virtualbox-qt qt6-qpa-plugins xvfb xkb-data \
    busybox-static dropbear-bin e2fsprogs fdisk grub-common grub-pc-bin \
    linux-source gcc libc6-dev make flex bison bc libelf-dev libssl-dev lz4 xz-utils";

/// Settings of apt in the lab. A mirror that stands still is as good as another.
const APT: &str = r#"Acquire::Check-Valid-Until "false";
APT::Install-Recommends "false";
Dpkg::Options:: "--force-unsafe-io";
"#;

/// What the guest's kernel can do; five of the six minutes are its.
const KERNEL: &str = include_str!("guest/kernel.config");

/// The files that the lab is made from.
const SOURCES: [(&str, &str); 10] = [
    ("VBoxManage", include_str!("VBoxManage")),
    ("key.pub", include_str!("../../../../crates/engine/src/provision/well_known/vagrant.pub")),
    ("wire.c", include_str!("wire.c")),
    ("guest/build.sh", include_str!("guest/build.sh")),
    ("guest/kernel.config", KERNEL),
    ("guest/init", include_str!("guest/init")),
    ("guest/getent", include_str!("guest/getent")),
    ("guest/power", include_str!("guest/power")),
    ("guest/seed.c", include_str!("guest/seed.c")),
    ("guest/sudo.c", include_str!("guest/sudo.c")),
];

/// What a lab is.
pub(crate) struct Lab {
    folder: PathBuf,
}

impl Lab {
    /// Everything of it.
    pub(crate) fn folder(&self) -> &Path {
        &self.folder
    }

    /// Where programs are looked for so that VBoxManage is the lab's.
    pub(crate) fn programs(&self) -> PathBuf {
        self.folder.join("bin")
    }

    /// A box as Vagrant has it, with the small guest.
    pub(crate) fn box_file(&self) -> PathBuf {
        self.folder.join("tiny.box")
    }

    fn manage(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(self.programs().join("VBoxManage"));
        command.args(arguments);
        command
    }
}

/// Makes the lab, unless it is there.
///
/// # Errors
/// When this is no Debian, a package cannot be installed, or the guest cannot be made.
pub(crate) fn prepare() -> Result<Lab> {
    let cache = std::env::var_os("XDG_CACHE_HOME").map(PathBuf::from);
    let cache = cache.or_else(|| Some(PathBuf::from(std::env::var_os("HOME")?).join(".cache")));
    let cache = cache.ok_or("there is no folder for caches: neither XDG_CACHE_HOME nor HOME is set")?;
    let name = format!("virtualbox-{:016x}", key((PACKAGES, SUITE, KERNEL)));
    let lab = Lab { folder: cache.join("rig-lab").join(name) };
    let (made, now) = (lab.folder.join("made-from"), format!("{:016x}\n", key(SOURCES)));
    if fs::read_to_string(&made).is_ok_and(|from| from == now) {
        return Ok(lab);
    }
    packages::install(&["debootstrap"])?;
    let programs = lab.folder.join("programs");
    let whole = lab.folder.join("programs-are-whole");
    if !whole.is_file() {
        bootstrap(&lab.folder, &programs)?;
        write(&whole, "")?;
    }
    for (name, text) in SOURCES {
        write(&programs.join("lab").join(name), text)?;
    }
    let manage = lab.programs().join("VBoxManage");
    write(&manage, SOURCES[0].1)?;
    executable(&manage)?;
    let build = ["bash", "/lab/guest/build.sh", SOURCES[1].1.trim()];
    cargo::run("make the guest: its kernel and its disk", &mut inside(&programs, &build))?;
    let wire = ["gcc", "-O2", "-static", "-o", "/lab/wire", "/lab/wire.c"];
    cargo::run("make the wire of internal networks", &mut inside(&programs, &wire))?;
    make_box(&lab)?;
    // Last: what has it is whole.
    write(&made, &now)?;
    Ok(lab)
}

/// A hash of what something is made from.
fn key(from: impl std::hash::Hash) -> u64 {
    use std::hash::{DefaultHasher, Hasher};
    let mut hasher = DefaultHasher::new();
    from.hash(&mut hasher);
    hasher.finish()
}

/// The file system with VirtualBox and the tools.
fn bootstrap(folder: &Path, programs: &Path) -> Result {
    remove(programs)?;
    fs::create_dir_all(folder).map_err(|error| format!("creating {}: {error}", folder.display()))?;
    // What it mounts in there goes with it, also when it is cut: nobody removes this host's files through a mount.
    let mut debootstrap = Command::new("unshare");
    debootstrap.args(["--mount", "--propagation", "private", "debootstrap"]);
    debootstrap.args(["--variant=minbase", "--components=main,contrib", SUITE]).arg(programs).arg(MIRROR);
    debootstrap.stdout(std::process::Stdio::null());
    cargo::run("bootstrap the file system of the lab", &mut debootstrap)?;
    let resolver = "etc/resolv.conf";
    fs::copy(Path::new("/").join(resolver), programs.join(resolver)).map_err(|error| format!("{resolver}: {error}"))?;
    write(&programs.join("etc/apt/apt.conf.d/99lab"), APT)?;
    // Nothing is started in there.
    let policy = programs.join("usr/sbin/policy-rc.d");
    write(&policy, "#!/bin/sh\nexit 101\n")?;
    executable(&policy)?;
    let install = format!("apt-get -qq update && apt-get -qq install {PACKAGES} >/dev/null && apt-get clean");
    cargo::run("install VirtualBox and the tools of the guest", &mut inside(programs, &["sh", "-c", &install]))?;
    remove(&programs.join("var/lib/apt/lists"))
}

/// A command inside the file system; its mounts end with it.
fn inside(programs: &Path, words: &[&str]) -> Command {
    const SCRIPT: &str = r#"mount -t proc proc "$0/proc" && mount --rbind /dev "$0/dev" && exec chroot "$0" "$@""#;
    let mut command = Command::new("unshare");
    command.args(["--mount", "--propagation", "private", "sh", "-c", SCRIPT]).arg(programs).args(words);
    command.env_clear().envs([
        ("PATH", "/usr/sbin:/usr/bin:/sbin:/bin"),
        ("HOME", "/root"),
        ("LC_ALL", "C.UTF-8"),
        ("DEBIAN_FRONTEND", "noninteractive"),
    ]);
    command
}

/// Makes a box of the guest's disk, as `vagrant package` does: by VirtualBox's own export.
fn make_box(lab: &Lab) -> Result {
    let work = lab.folder.join("work");
    remove(&work)?;
    fs::create_dir_all(work.join("box")).map_err(|error| format!("creating {}: {error}", work.display()))?;
    let text = |path: PathBuf| path.display().to_string();
    let (machines, disk) = (text(work.clone()), text(work.join("tiny/disk.vdi")));
    let raw = text(lab.folder.join("programs/guest/disk.raw"));
    let ovf = text(work.join("box/box.ovf"));
    let calls: [&[&str]; 7] = [
        &["createvm", "--name", "tiny", "--ostype", "Linux_64", "--register", "--basefolder", &machines],
        &[
            "modifyvm",
            "tiny",
            "--memory",
            "128",
            "--vram",
            "8",
            "--graphicscontroller",
            "vboxvga",
            "--audio-driver",
            "none",
            "--nic1",
            "nat",
            "--boot1",
            "disk",
            "--boot2",
            "none",
            "--boot3",
            "none",
            "--boot4",
            "none",
            "--bios-logo-fade-in",
            "off",
            "--bios-logo-fade-out",
            "off",
            "--bios-logo-display-time",
            "0",
        ],
        &["convertfromraw", &raw, &disk],
        &["storagectl", "tiny", "--name", "sata", "--add", "sata", "--portcount", "1"],
        &["storageattach", "tiny", "--storagectl", "sata", "--port", "0", "--type", "hdd", "--medium", &disk],
        &["export", "tiny", "--output", &ovf],
        &["unregistervm", "tiny", "--delete"],
    ];
    for arguments in calls {
        cargo::run(&format!("VBoxManage {}", arguments[0]), &mut lab.manage(arguments))?;
    }
    write(&work.join("box/metadata.json"), "{\"provider\": \"virtualbox\", \"architecture\": \"amd64\"}\n")?;
    write(&work.join("box/Vagrantfile"), "Vagrant.configure(\"2\") do |config|\nend\n")?;
    let unfinished = work.join("tiny.box");
    let mut tar = Command::new("tar");
    tar.arg("-czf").arg(&unfinished).arg("-C").arg(work.join("box")).arg(".");
    cargo::run("pack the box", &mut tar)?;
    fs::rename(&unfinished, lab.box_file()).map_err(|error| format!("naming {}: {error}", lab.box_file().display()))?;
    remove(&work)
}

/// `cargo xtask vbox-lab`: makes it, and says how it is used.
///
/// # Errors
/// When it cannot be made.
pub(crate) fn run() -> Result {
    let lab = prepare()?;
    cargo::run("VBoxManage --version", &mut lab.manage(&["--version"]))?;
    println!("PATH={}:$PATH", lab.programs().display());
    println!("rig box add {} --name lab/tiny --version 1.0", lab.box_file().display());
    Ok(())
}

fn write(path: &Path, text: &str) -> Result {
    let folder = path.parent().unwrap_or(Path::new("."));
    let written = fs::create_dir_all(folder).and_then(|()| fs::write(path, text));
    written.map_err(|error| format!("writing {}: {error}", path.display()))
}

fn executable(path: &Path) -> Result {
    use std::os::unix::fs::PermissionsExt;
    let set = fs::set_permissions(path, fs::Permissions::from_mode(0o755));
    set.map_err(|error| format!("making {} executable: {error}", path.display()))
}

fn remove(path: &Path) -> Result {
    match fs::remove_dir_all(path) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            Err(format!("removing {}: {error}", path.display()))
        }
        _ => Ok(()),
    }
}
