//! The real VirtualBox from end to end. `RIG_VIRTUALBOX` names the folder that `cargo xtask vbox-lab` has made: VBoxManage below `bin`, and a
//! box as Vagrant has it. Without it the scenario fails.

use crate::lab::{Lab, Run};
use std::{path::PathBuf, process::Command};

const FILE: &str = r#"
box "tiny" { stored "lab/tiny" version="~> 1.0"; }
topology "lab" idiom="mutable" {
    defaults { provider "virtualbox"; box "tiny"; limits memory="128MiB" cpus=1; }
    machine "web" {
        sync "share" "/share"
        port 8000 host="auto"
        shell "site" inline="mkdir -p /srv/site && hostname >/srv/site/hello"
    }
    machine "client"
}
"#;

/// The lab, and a count of what is run of VirtualBox.
struct VirtualBox {
    lab: Lab,
    folder: PathBuf,
    counted: tempfile::TempDir,
}

impl VirtualBox {
    fn new(name: &str, text: &str) -> Self {
        let folder =
            std::env::var_os("RIG_VIRTUALBOX").expect("RIG_VIRTUALBOX names the folder of `cargo xtask vbox-lab`");
        let folder = PathBuf::from(folder);
        let counted = tempfile::tempdir().unwrap();
        let real = folder.join("bin/VBoxManage");
        assert!(real.is_file(), "there is no {}", real.display());
        let log = counted.path().join("log");
        let wrapper = format!("#!/bin/sh\necho \"$1\" >>{}\nexec {} \"$@\"\n", log.display(), real.display());
        let program = counted.path().join("VBoxManage");
        std::fs::write(&program, wrapper).unwrap();
        std::fs::set_permissions(&program, std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
        let mut lab = Lab::new(name, text);
        lab.put("share/word", "from the host\n");
        let path = std::env::var_os("PATH").unwrap_or_default();
        let folders = std::iter::once(counted.path().to_owned()).chain(std::env::split_paths(&path));
        lab.env("PATH", std::env::join_paths(folders).unwrap());
        // A home of its own: what is left over is seen.
        lab.env("XDG_DATA_HOME", counted.path().join("data").into_os_string());
        let file = folder.join("tiny.box");
        lab.ok(&["box", "add", file.to_str().unwrap(), "--name", "lab/tiny", "--version", "1.0"]);
        Self { lab, folder, counted }
    }

    /// Runs rig, which must succeed, and says how many programs of VirtualBox that took.
    #[track_caller]
    fn counted(&self, arguments: &[&str]) -> (Run, usize) {
        let log = self.counted.path().join("log");
        let _ = std::fs::remove_file(&log);
        let run = self.lab.ok(arguments);
        (run, std::fs::read_to_string(&log).unwrap_or_default().lines().count())
    }

    /// What the real program says.
    fn manage(&self, arguments: &[&str]) -> String {
        let output = Command::new(self.folder.join("bin/VBoxManage")).args(arguments).output().unwrap();
        String::from_utf8_lossy(&output.stdout).into_owned()
    }

    /// The machines of this workspace that VirtualBox knows, and the files of theirs that there are.
    fn left(&self) -> Vec<String> {
        let known = self.manage(&["list", "vms"]);
        let mut left: Vec<String> =
            known.lines().filter(|line| line.contains(&self.lab.name)).map(str::to_owned).collect();
        left.extend(
            self.manage(&["list", "hdds"]).lines().filter(|line| line.contains(&self.lab.name)).map(str::to_owned),
        );
        let machines = self.counted.path().join("data/rig/virtualbox/machines");
        let entries = std::fs::read_dir(machines).into_iter().flatten().flatten();
        left.extend(entries.map(|entry| entry.path().display().to_string()));
        left
    }

    fn shell(&self, machine: &str, line: &str) -> String {
        self.lab.ok(&["exec", machine, "--", "sh", "-c", line]).stdout
    }
}

impl Drop for VirtualBox {
    fn drop(&mut self) {
        // The box's master stays with every other of this home, and goes with it.
        let _ = self.lab.run(&["destroy", "-f"]);
        let known = self.manage(&["list", "vms"]);
        let ours = self.counted.path().display().to_string();
        for line in known.lines() {
            let Some(identity) = line.rsplit_once('{').map(|(_, rest)| rest.trim_end_matches('}')) else { continue };
            if self.manage(&["showvminfo", identity, "--machinereadable"]).contains(&ours) {
                self.manage(&["unregistervm", identity, "--delete"]);
            }
        }
    }
}

#[test]
fn machines_of_virtualbox_live_as_vagrants_users_know_it() {
    let virtualbox = VirtualBox::new("vbox", FILE);
    let lab = &virtualbox.lab;
    lab.ok(&["up"]);
    assert_eq!(lab.fact("lab/web", "state"), "running");
    // Provisioned over SSH, with the host name that it was told, by a user who may become root.
    assert_eq!(virtualbox.shell("web", "cat /srv/site/hello /share/word"), "web\nfrom the host\n");
    assert_eq!(lab.ok(&["ssh", "web", "-c", "id -un"]).stdout, "vagrant\n");
    assert_eq!(lab.openssh("web", "hostname"), "web\n");
    assert_eq!(lab.run(&["exec", "web", "--", "touch", "/share/other"]).code, 1);
    // The published key opens nothing any more.
    let keys = virtualbox.shell("web", "cat /home/vagrant/.ssh/authorized_keys");
    assert!(keys.contains(&format!("rig {}", lab.name)) && !keys.contains("vagrant insecure"), "{keys}");
    // Fixed addresses and names between machines.
    virtualbox.shell("client", "ping -c 1 -w 20 web");

    let (_, status) = virtualbox.counted(&["status"]);
    assert!(status <= 2, "a status of two machines ran {status} programs");
    let (again, processes) = virtualbox.counted(&["up"]);
    assert!(again.stderr.contains("nothing to do"), "{}", again.stderr);
    assert!(processes <= 3, "an up with nothing to do ran {processes} programs");

    lab.ok(&["snapshot", "save", "before", "web"]);
    virtualbox.shell("web", "echo changed >/srv/site/hello; sync");
    lab.ok(&["snapshot", "restore", "before", "-f", "web"]);
    assert_eq!(virtualbox.shell("web", "cat /srv/site/hello"), "web\n");

    virtualbox.shell("web", "sleep 9999 >/dev/null 2>&1 & echo $! >/run/sleeper");
    lab.ok(&["suspend"]);
    assert_eq!(lab.fact("lab/web", "state"), "suspended");
    lab.ok(&["resume"]);
    assert_eq!(virtualbox.shell("web", "cat /proc/$(cat /run/sleeper)/cmdline"), "sleep\09999\0");
    let late: i64 = virtualbox.shell("web", "date +%s").trim().parse().unwrap();
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_secs() as i64;
    assert!((now - late).abs() < 60, "its clock says {late}, it is {now}");

    virtualbox.shell("web", "echo kept >/srv/site/kept");
    lab.ok(&["halt"]);
    assert_eq!(lab.fact("lab/web", "state"), "exited");
    lab.ok(&["up", "web"]);
    assert_eq!(virtualbox.shell("web", "cat /srv/site/kept"), "kept\n");
    lab.ok(&["reload", "web"]);
    assert_eq!(virtualbox.shell("web", "cat /srv/site/kept"), "kept\n");

    // A box of it, which lets in whoever has the published key; the machine itself does not afterwards.
    let package = lab.folder.path().join("web.box");
    let made = lab.ok(&["package", "web", "-o", package.to_str().unwrap(), "--json"]).stdout;
    let made: serde_json::Value = serde_json::from_str(made.lines().last().unwrap()).unwrap();
    assert_eq!(made["size_bytes"].as_u64(), Some(std::fs::metadata(&package).unwrap().len()));
    assert_eq!(lab.fact("lab/web", "state"), "running");
    let keys = virtualbox.shell("web", "cat /home/vagrant/.ssh/authorized_keys");
    assert!(keys.contains(&format!("rig {}", lab.name)) && !keys.contains("vagrant insecure"), "{keys}");
    let twice = lab.run(&["package", "web", "-o", package.to_str().unwrap()]).code(2);
    assert!(twice.stderr.contains("web.box"), "{}", twice.stderr);

    lab.ok(&["destroy", "-f"]);
    assert_eq!(virtualbox.left(), Vec::<String>::new());
}

/// Machines of a box that was made of a machine, again and again. Ten minutes: not part of the gate.
#[test]
#[ignore = "ten minutes where every processor is interpreted"]
fn ten_ups_in_a_row_let_somebody_in() {
    let text = r#"
box "tiny" { stored "lab/tiny"; }
topology "lab" idiom="mutable" {
    machine "web" { provider "virtualbox"; box "tiny"; limits memory="128MiB"; }
}
"#;
    let virtualbox = VirtualBox::new("vbox-ten", text);
    let lab = &virtualbox.lab;
    lab.ok(&["up"]);
    virtualbox.shell("web", "echo packaged >/etc/origin");
    let package = lab.folder.path().join("web.box");
    lab.ok(&["package", "-o", package.to_str().unwrap()]);
    lab.ok(&["destroy", "-f"]);
    lab.ok(&["box", "add", package.to_str().unwrap(), "--name", "lab/mine", "--version", "1.0"]);
    lab.write(&text.replace("lab/tiny", "lab/mine"));
    for round in 1..=10 {
        lab.ok(&["up"]);
        let said = lab.ok(&["ssh", "web", "-c", "cat /etc/origin"]).stdout;
        assert_eq!(said, "packaged\n", "up number {round}");
        lab.ok(&["destroy", "-f"]);
    }
    // The box that was made of the machine has its name in its disk's, and stays.
    let left = virtualbox.left();
    assert!(left.len() == 1 && left[0].contains("/virtualbox/boxes/rig-box-tiny-"), "{left:?}");
}

#[test]
fn one_machine_takes_few_programs_and_what_others_did_to_it_is_mended() {
    let virtualbox = VirtualBox::new(
        "vbox-one",
        r#"
box "tiny" { stored "lab/tiny"; }
topology "lab" idiom="mutable" {
    machine "web" {
        provider "virtualbox" { customize "setextradata" ":id" "lab/{name}" "pre-boot"; }
        box "tiny"
        limits memory="128MiB"
    }
}
"#,
    );
    let lab = &virtualbox.lab;
    let (_, processes) = virtualbox.counted(&["up"]);
    assert!(processes <= 20, "an up with an import ran {processes} programs");

    let machine = format!("{}.lab.web", lab.name);
    assert!(virtualbox.manage(&["getextradata", &machine, "lab/web"]).contains("pre-boot"));

    // Killed from outside.
    let killed = Command::new("pkill").args(["-KILL", "-f", "VirtualBoxVM --startvm .* --driverless"]).status();
    assert!(killed.unwrap().success());
    lab.until(|| lab.fact("lab/web", "state") == "exited");
    assert!(lab.ok(&["plan"]).stdout.contains("start machine lab/web"));

    // Taken out of VirtualBox's list, which forgets its disk with it.
    lab.until(|| {
        virtualbox.manage(&["unregistervm", &machine]);
        lab.fact("lab/web", "state") == "dead"
    });
    assert!(lab.ok(&["plan"]).stdout.contains("replace machine lab/web"));
    lab.ok(&["destroy", "-f"]);
    assert_eq!(virtualbox.left(), Vec::<String>::new());
}

#[test]
fn a_stored_box_that_is_not_there_is_said_with_what_gets_it() {
    let virtualbox = VirtualBox::new("vbox-none", &FILE.replace("~> 1.0", "> 1.0"));
    let refused = virtualbox.lab.run(&["plan"]).code(1);
    assert!(refused.stderr.contains("lab/tiny"), "{}", refused.stderr);
    assert!(refused.stderr.contains("rig box add lab/tiny"), "{}", refused.stderr);
}

/// A machine of a box that rig makes, and others.
fn own(others: &str) -> String {
    format!(
        r#"
box "tiny-vm" {{ bootstrap "bookworm" {{ tiny; }}; }}
topology "lab" idiom="mutable" {{
    defaults {{ provider "virtualbox"; box "tiny-vm"; limits memory="256MiB" cpus=1; ready-timeout "15m"; }}
    machine "web" {{
        shell "site" inline="hostname >/srv/hello"
    }}
    {others}
}}
"#
    )
}

/// Debian's kernel takes four to five minutes from UEFI to a login in VirtualBox's interpreter, and three machines boot here.
#[test]
#[ignore = "takes twenty minutes"]
fn boxes_that_rig_makes_boot_by_themselves() {
    let virtualbox = VirtualBox::new("vbox-own", &own(""));
    let lab = &virtualbox.lab;
    // What cannot be done is said before anything is.
    lab.write(&own("machine \"shares\" { sync \"share\" \"/share\"; }"));
    let refused = lab.run(&["up"]);
    assert!(
        refused.code != 0 && refused.stderr.contains("cannot mount VirtualBox's shared folders"),
        "{}",
        refused.stderr
    );
    assert_eq!(virtualbox.left(), Vec::<String>::new());

    lab.write(&own(""));
    lab.ok(&["up"]);
    // What the seed said: name, key, addresses.
    assert_eq!(virtualbox.shell("web", "cat /srv/hello"), "web\n");
    assert_eq!(lab.ok(&["ssh", "web", "-c", "id -un"]).stdout, "rig\n");

    // One that goes on from what it held in memory reads no seed. It is told of a neighbour that it cannot have known.
    lab.ok(&["snapshot", "save", "before", "web"]);
    virtualbox.shell("web", "echo changed >/srv/hello; sync");
    lab.write(&own("machine \"client\""));
    lab.ok(&["up"]);
    virtualbox.shell("client", "ping -c 1 -w 20 web");
    lab.ok(&["snapshot", "restore", "before", "-f", "web"]);
    assert_eq!(virtualbox.shell("web", "cat /srv/hello"), "web\n");
    virtualbox.shell("web", "ping -c 1 -w 20 client");
    let late: u64 = virtualbox.shell("web", "date +%s").trim().parse().unwrap();
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_secs();
    assert!(now.abs_diff(late) < 30, "its clock is {} s off", now.abs_diff(late));

    // The keys in the seed are this workspace's alone.
    lab.ok(&["halt"]);
    let package = lab.run(&["package", "web", "-o", "web.box"]);
    assert!(
        package.code == 1 && package.stderr.contains("it reads from a disk of rig's who it is"),
        "{}",
        package.stderr
    );

    // The snapshot did not take the seed along: what is read now is what is true now.
    lab.ok(&["up", "web"]);
    assert!(virtualbox.shell("web", "cat /etc/hosts").contains("\tclient\n"));

    lab.ok(&["destroy", "-f"]);
    assert_eq!(virtualbox.left(), Vec::<String>::new());
}
