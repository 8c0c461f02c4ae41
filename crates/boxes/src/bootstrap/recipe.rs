//! What `mmdebstrap` is told for each kind of root: packages, and hooks that run while it works.

use rig_model::BootstrapKind;

/// Essential packages and apt: a box names what else it needs.
const INSTALLED: [&str; 1] = ["--variant=apt"];

/// Packages are unpacked, and nothing is installed: no script of a package runs, and the essential ones are not there either.
/// Nor is there anything of apt to be tidied up in the end.
const UNPACKED: [&str; 2] = ["--variant=extract", "--skip=cleanup/apt"];

/// The program's own hooks that merge `/bin` into `/usr/bin` before anything is installed. Where the suite does that with
/// a package, the package brings the whole of Perl, 50 MB that nothing else needs.
pub(super) const MERGE_HOOKS: &str = "/usr/share/mmdebstrap/hooks/maybe-merged-usr";

/// Runs when the essential packages are installed.
const ESSENTIAL_HOOK: &str = include_str!("../../../../boxes/debian/essential.sh");

/// Runs when everything is installed.
const CUSTOMIZE_HOOK: &str = include_str!("../../../../boxes/debian/customize.sh");

/// Puts the host's certificates in; `$1` is the new root.
const CERTIFICATES_HOOK: &str = r#"set -eu
mkdir -p "$1/usr/local/share/ca-certificates"
cp "$RIG_CERTIFICATES"/*.crt "$1/usr/local/share/ca-certificates/"
chmod 644 "$1"/usr/local/share/ca-certificates/rig-host-*.crt
chroot "$1" update-ca-certificates >&2"#;

/// What the certificates hook needs.
const CERTIFICATES_PACKAGE: &str = "ca-certificates";

/// Unpacks a kernel for virtual machines.
const KERNEL_HOOK: &str = include_str!("../../../../boxes/vm/kernel.sh");

/// Puts [`MACHINE_FILES`] into their places.
const MACHINE_HOOK: &str = include_str!("../../../../boxes/vm/layout.sh");

/// What every virtual machine has of rig: it starts, learns from its seed disk who it is, and ends.
const VM_INIT: File = ("vm-init", include_str!("../../../../boxes/vm/vm-init"));
const VM_FINISH: File = ("vm-finish", include_str!("../../../../boxes/vm/vm-finish"));
const RIG_SEED: File = ("rig-seed", include_str!("../../../../boxes/vm/rig-seed"));

/// What a virtual machine has of rig. The SSH server is set up as in containers.
const MACHINE_FILES: [File; 5] = [
    VM_INIT,
    VM_FINISH,
    RIG_SEED,
    ("sshd-run", include_str!("../../../../boxes/vm/s6/sshd/run")),
    ("sshd_config", include_str!("../../../../boxes/sshd/sshd_config")),
];

/// The packages without which a virtual machine neither boots nor lets anybody in. `busybox-static` is what its initrd runs.
const MACHINE_PACKAGES: [&str; 10] = [
    "busybox-static",
    "iproute2",
    "kmod",
    "mount",
    "openssh-server",
    "openssh-sftp-server",
    "passwd",
    "procps",
    "s6",
    "sudo",
];

/// Keeps of the packages what a tiny machine needs, and puts [`TINY_FILES`] into their places.
const TINY_HOOK: &str = include_str!("../../../../boxes/tiny-vm/layout.sh");

/// What a tiny machine has of rig.
const TINY_FILES: [File; 4] =
    [VM_INIT, VM_FINISH, RIG_SEED, ("sshd-run", include_str!("../../../../boxes/tiny-vm/sshd-run"))];

/// The packages that a tiny machine is put together from. `kmod` is for the kernel's list of drivers, `libc-bin` for `getent`.
const TINY_PACKAGES: [&str; 8] =
    ["busybox-static", "dropbear-bin", "kmod", "libc-bin", "libpam-modules", "openssh-sftp-server", "s6", "sudo"];

/// What providers make of a root for virtual machines (`providers/hypervisor/src/image`: disk, journal, initrd). To be counted up when
/// they make another one of the same root, so that existing boxes are not taken for it.
const MACHINE_FORM: &str = "machine/2";

/// A file that hooks find in `$RIG_VM`: its name there, and its content.
type File = (&'static str, &'static str);

/// What is done for a root beside what its box says.
pub(super) struct Recipe {
    /// Which packages there are by themselves, and what happens to all of them.
    pub(super) options: &'static [&'static str],
    /// Packages beside those of the box.
    pub(super) packages: Vec<&'static str>,
    /// Scripts in the order in which they run, each behind the moment at which it does.
    pub(super) hooks: Vec<(&'static str, &'static str)>,
    /// Files for the hooks.
    pub(super) files: &'static [File],
}

impl Recipe {
    /// The recipe for a kind of root. Certificates go where there are programs that read them.
    pub(super) fn of(kind: BootstrapKind, certificates: bool) -> Self {
        if kind == BootstrapKind::TinyMachine {
            return Self {
                options: &UNPACKED,
                packages: TINY_PACKAGES.to_vec(),
                hooks: vec![("extract", KERNEL_HOOK), ("extract", TINY_HOOK)],
                files: &TINY_FILES,
            };
        }
        let mut recipe =
            Self { options: &INSTALLED, packages: Vec::new(), hooks: vec![("essential", ESSENTIAL_HOOK)], files: &[] };
        if certificates {
            recipe.packages.push(CERTIFICATES_PACKAGE);
            recipe.hooks.push(("customize", CERTIFICATES_HOOK));
        }
        if kind == BootstrapKind::Machine {
            recipe.packages.extend(MACHINE_PACKAGES);
            recipe.hooks.extend([("customize", KERNEL_HOOK), ("customize", MACHINE_HOOK)]);
            recipe.files = &MACHINE_FILES;
        }
        // The last one: it removes what the others left in caches.
        recipe.hooks.push(("customize", CUSTOMIZE_HOOK));
        recipe
    }
}

/// Everything that decides how such a root is made beside what its box says; part of the box's hash.
pub(crate) fn written(kind: BootstrapKind) -> Vec<&'static str> {
    let mut parts = Vec::new();
    match kind {
        // A root for containers has no word for what it is: such boxes were there before there was a choice.
        BootstrapKind::Container => {
            parts.extend(INSTALLED);
            parts.extend([MERGE_HOOKS, ESSENTIAL_HOOK, CUSTOMIZE_HOOK, CERTIFICATES_HOOK]);
        }
        BootstrapKind::Machine => {
            parts.extend(written(BootstrapKind::Container));
            parts.extend(["kernel", MACHINE_FORM, KERNEL_HOOK, MACHINE_HOOK]);
            parts.extend(MACHINE_PACKAGES);
            parts.extend(MACHINE_FILES.iter().flat_map(|(name, content)| [*name, *content]));
        }
        BootstrapKind::TinyMachine => {
            parts.push("tiny");
            parts.extend(UNPACKED);
            parts.extend([MERGE_HOOKS, MACHINE_FORM, KERNEL_HOOK, TINY_HOOK]);
            parts.extend(TINY_PACKAGES);
            parts.extend(TINY_FILES.iter().flat_map(|(name, content)| [*name, *content]));
        }
    }
    parts
}
