//! The workspace file of the machine.

use rig_model::{Bytes, MachineId, Name, Workspace};

/// What its workspace is called. No other may have the name: it would have this machine.
pub const WORKSPACE: &str = "rig-engine";

/// The engine's socket in the machine.
pub(crate) const SOCKET: &str = "/run/docker.sock";

/// This host in the network that QEMU makes itself.
const GATEWAY: &str = "10.0.2.2";

/// Memory that the engine and the system around it need beside that of the machines in it, in bytes. Measured with Docker 20.10:
/// 150 MiB when nothing runs, and builds that unpack packages like to have 500 MiB more.
const OWN: u64 = 768 << 20;

/// Less has no use, in bytes.
const LEAST: u64 = 2 << 30;

/// Sizes are multiples of this, in bytes.
const STEP: u64 = 256 << 20;

/// What the machine has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Size {
    /// Processors.
    pub cpus: usize,
    /// Memory.
    pub memory: Bytes,
}

impl Size {
    /// Room for the containers of a workspace: the memory that they may have together, at most three quarters of what this host has.
    /// Without a workspace, or with one that sets no limits, half of the host's. All processors: those are shared.
    #[must_use]
    pub fn of(workspace: Option<&Workspace>, provider: &Name, host: Bytes, cpus: usize) -> Self {
        let machines = workspace.into_iter().flat_map(Workspace::machines);
        let limits = machines.filter(|machine| machine.provider == *provider).map(|machine| machine.limits.memory);
        let wanted: u64 = limits.flatten().map(|memory| memory.0).sum();
        let wanted = if wanted == 0 { host.0 / 2 } else { wanted + OWN };
        let memory = wanted.max(LEAST).next_multiple_of(STEP).min(host.0 / 4 * 3);
        Self { cpus: cpus.max(1), memory: Bytes(memory) }
    }
}

/// The file. It is the user's to change: it is written once, when there is no machine.
#[must_use]
pub fn file(size: Size) -> String {
    let Size { cpus, memory } = size;
    let memory = memory.0 >> 20;
    format!(
        r#"// The virtual machine of the container engine, for `engine "vm"`. Other sizes count once the machine is made anew:
//   rig engine destroy
workspace "{WORKSPACE}"

box "engine-vm" {{
    bootstrap "bookworm" {{
        kernel
        package "ca-certificates" "docker.io" "iptables" "rsync"
    }}
}}

topology "engine" idiom="mutable" {{
    machine "vm" {{
        provider "qemu"
        box "engine-vm"
        limits cpus={cpus} memory="{memory}MiB"
        stop-timeout "60s"
        // Whoever may use the socket is root in this machine, as its user is anyway. Containers open no connections to this host's
        // loopback, which is {GATEWAY} in QEMU's network; those that come from there are answered.
        service "dockerd" {{
            command "sh" "-c" "iptables -N DOCKER-USER; rule='DOCKER-USER -d {GATEWAY} -m conntrack --ctstate NEW -j DROP'; iptables -C $rule || iptables -I $rule; exec dockerd --group rig --host unix://{SOCKET}"
        }}
        // The socket is there before anybody answers at it.
        ready every="500ms" {{ exec "docker" "--host" "unix://{SOCKET}" "version"; }}
        ready-timeout "5m"
    }}
}}
"#
    )
}

/// The machine in the file.
#[must_use]
#[expect(clippy::expect_used, reason = "constants that a test covers")]
pub fn machine() -> MachineId {
    let name = |text| Name::new(text).expect("it is a name");
    MachineId { topology: name("engine"), machine: name("vm") }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rig_config::Overrides;

    fn read(text: &str) -> Workspace {
        let folder = tempfile::tempdir().unwrap();
        let path = camino::Utf8PathBuf::from_path_buf(folder.path().join("workspace.kdl")).unwrap();
        fs_err::write(&path, text).unwrap();
        rig_config::load(&path, &Overrides::default()).map_err(|error| format!("{error:?}")).unwrap().workspace
    }

    #[test]
    fn the_file_can_be_read_and_has_the_machine() {
        let workspace = read(&file(Size { cpus: 3, memory: Bytes(5 << 30) }));
        assert_eq!(workspace.name.as_str(), WORKSPACE);
        let spec = workspace.machine(&machine()).unwrap();
        assert_eq!(spec.limits.memory, Some(Bytes(5 << 30)));
        assert_eq!(spec.limits.cpus.map(|cpus| cpus.0), Some(3000));
    }

    #[test]
    fn the_size_follows_the_machines_that_run_in_it() {
        let docker = Name::new("docker").unwrap();
        let gib = |count: u64| Bytes(count << 30);
        let two = r#"workspace "w"
            box "b" { image "debian"; }
            topology "t" idiom="immutable" {
                machine "a" count=2 { box "b"; limits memory="1536MiB"; }
                machine "vm" { box "b"; provider "qemu"; limits memory="8GiB"; }
            }"#;
        let two = read(two);
        let size = |workspace, host| Size::of(workspace, &docker, host, 4).memory;
        assert_eq!(size(Some(&two), gib(16)), Bytes((3072 + 768) << 20));
        assert_eq!(size(Some(&two), gib(4)), gib(3));
        assert_eq!(size(None, gib(16)), gib(8));
        assert_eq!(size(None, gib(3)), gib(2));
    }
}
