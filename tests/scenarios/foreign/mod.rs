//! Machines of disks that others made, on QEMU: a cloud image, and a box of Vagrant's for libvirt. The disk is made here, as those are:
//! of Debian's packages, with systemd, cloud-init and GRUB. It boots from its first sector.

use crate::lab::Lab;
use std::process::Command;

/// The system, as a container's box: in a container its disk is made.
const MAKER: &str = r#"
box "system" {
    bootstrap "bookworm" {
        package "systemd-sysv" "systemd-resolved" "udev" "dbus" "cloud-init" "cloud-guest-utils" "openssh-server" "sudo" "iproute2"
        package "linux-image-cloud-amd64" "initramfs-tools" "grub-pc-bin" "fdisk" "e2fsprogs" "ca-certificates"
    }
}
topology "maker" idiom="immutable" {
    machine "maker" {
        box "system"
        command "sleep" "infinity"
        cap add="CHOWN DAC_OVERRIDE FOWNER FSETID SETFCAP"
        sync "tools" "/tools"
        sync "out" "/out" writable=#true
    }
}
"#;

/// The key that is published for Vagrant's boxes.
const PUBLISHED: &str = include_str!("../../../crates/engine/src/provision/well_known/vagrant.pub");

/// Runs a program of this host, and gives what it says.
fn program(name: &str, arguments: &[&str]) -> String {
    let output = Command::new(name).args(arguments).output().unwrap();
    assert!(output.status.success(), "{name} {arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8_lossy(&output.stdout).into_owned()
}

#[test]
fn disks_that_others_made_become_machines() {
    // It goes after the lab, which looks in it for what is to be destroyed.
    let data = tempfile::tempdir().unwrap();
    let mut lab = Lab::new("foreign", MAKER);
    lab.put("tools/make-disk.sh", include_str!("make-disk.sh"));
    lab.put("out/.keep", "");
    lab.ok(&["up"]);
    lab.ok(&["exec", "maker", "--", "/tools/make-disk.sh", "/out/disk.raw", PUBLISHED.trim()]);
    lab.ok(&["destroy", "-f"]);

    // A box as vagrant-libvirt has them (<https://vagrant-libvirt.github.io/vagrant-libvirt/boxes.html>).
    let folder = lab.folder.path().to_owned();
    let path = |name: &str| folder.join(name).display().to_string();
    program("qemu-img", &["convert", "-O", "qcow2", &path("out/disk.raw"), &path("out/box.img")]);
    lab.put("out/metadata.json", r#"{"provider": "libvirt", "format": "qcow2", "virtual_size": 3}"#);
    program("tar", &["-C", &path("out"), "-cf", &path("foreign.box"), "metadata.json", "box.img"]);
    let sum = program("sha256sum", &[&path("out/disk.raw")]);
    let file = path("foreign.box");
    // A home of its own: the store is this workspace's alone.
    lab.env("XDG_DATA_HOME", data.path().as_os_str().to_owned());
    lab.ok(&["box", "add", &file, "--name", "lab/foreign", "--version", "1.0"]);
    std::fs::remove_file(&file).unwrap();

    lab.write(&format!(
        r#"
artifact "disk" {{
    source "file:out/disk.raw"
    sha256 "{}"
}}
box "cloud" {{ cloud-image "disk"; }}
box "stored" {{ stored "lab/foreign" version="~> 1.0"; }}
topology "lab" idiom="mutable" {{
    defaults {{
        limits memory="512MiB" cpus=1
        // Both boot for minutes where processors are emulated.
        ready-timeout "15m"
    }}
    machine "cloud" {{
        provider "auto"
        box "cloud"
        shell "site" inline="mkdir -p /srv/site && hostname >/srv/site/hello"
        service "web" {{ command "python3" "-m" "http.server" "--directory" "/srv/site" "80"; }}
        ready http=":80/hello"
    }}
    machine "stored" {{
        provider "qemu"
        box "stored"
        shell "name" inline="hostname >/srv/name"
    }}
}}
check "names" on="stored" {{
    run "python3" "-c" "import urllib.request as u; print(u.urlopen('http://cloud/hello').read())"
}}
"#,
        sum.split_whitespace().next().unwrap()
    ));
    lab.ok(&["up"]);
    lab.ok(&["check"]);
    assert_eq!(lab.openssh("cloud", "id -un; hostname; cat /srv/site/hello"), "rig\ncloud\ncloud\n");
    assert_eq!(lab.openssh("stored", "id -un; hostname; cat /srv/name"), "vagrant\nstored\nstored\n");
    // The disk of a cloud image grows into its room, and nobody comes in any more by a key that everybody has.
    let room: u64 = lab.openssh("cloud", "df --output=size -B1 / | tail -1").trim().parse().unwrap();
    assert!(room > 10 << 30, "{room}");
    let keys = lab.openssh("stored", "cat ~/.ssh/authorized_keys");
    assert!(!keys.contains(PUBLISHED.split_whitespace().nth(1).unwrap()), "{keys}");
    let plan = lab.ok(&["plan", "--json"]).json();
    assert_eq!(plan["operations"].as_array().unwrap().len(), 0, "{plan}");

    // The same after another start.
    lab.openssh("stored", "echo once | sudo tee /srv/before");
    lab.ok(&["reload"]);
    lab.ok(&["check"]);
    assert_eq!(lab.openssh("stored", "hostname"), "stored\n");

    // A box of a machine of a box: what was done in it is there, and so is the published key, for a moment.
    lab.ok(&["package", "stored", "-o", &path("again.box")]);
    lab.ok(&["box", "add", &path("again.box"), "--name", "lab/foreign", "--version", "1.1"]);
    lab.ok(&["destroy", "-f"]);
    lab.ok(&["up", "stored"]);
    assert_eq!(lab.openssh("stored", "cat /srv/before"), "once\n");
    lab.ok(&["destroy", "-f"]);
}
