//! Virtual machines of QEMU from end to end: the same file, the same commands.

use crate::lab::Lab;

/// A box that rig makes of Debian's packages, for machines with a kernel of their own.
const BOX: &str = r#"
box "debian-vm" {
    bootstrap "bookworm" {
        kernel
        package "ca-certificates"
    }
}
"#;

/// The processes of a workspace's virtual machines.
fn processes(lab: &Lab) -> Vec<String> {
    let machines = format!("/machines/{}.", lab.name);
    let entries = std::fs::read_dir("/proc").unwrap().flatten();
    let lines = entries.filter_map(|entry| std::fs::read(entry.path().join("cmdline")).ok());
    let lines = lines.map(|line| String::from_utf8_lossy(&line).replace('\0', " "));
    lines
        .filter(|line| line.starts_with("qemu-system") || line.contains("/qemu-system"))
        .filter(|line| line.contains(&machines))
        .collect()
}

#[test]
fn virtual_machines_live_as_containers_do() {
    let text = format!(
        r#"{BOX}
topology "lab" idiom="mutable" {{
    defaults {{ provider "qemu"; box "debian-vm"; limits memory="256MiB" }}
    machine "web" {{
        port 8000 host="auto"
        shell "site" inline="mkdir -p /srv/site && hostname >/srv/site/hello"
        service "web" {{ command "busybox" "httpd" "-f" "-p" "8000" "-h" "/srv/site" }}
        ready http=":8000/hello"
    }}
    machine "client" {{
        after "web" is="ready"
        shell "fetch" inline="busybox wget -q -O /srv/fetched http://web:8000/hello"
    }}
}}
check "names" on="client" {{ run "busybox" "wget" "-q" "-O" "-" "http://web:8000/hello" }}
"#
    );
    let lab = Lab::new("vms", &text);
    lab.ok(&["up"]);
    assert_eq!(processes(&lab).len(), 2);
    assert_eq!(lab.ok(&["exec", "client", "--", "cat", "/srv/fetched"]).stdout, "web\n");
    assert_eq!(lab.ok(&["ssh", "web", "-c", "id -un"]).stdout, "rig\n");
    assert_eq!(lab.openssh("web", "hostname"), "web\n");
    lab.ok(&["check"]);
    let plan = lab.ok(&["plan", "--json"]).json();
    assert_eq!(plan["operations"].as_array().unwrap().len(), 0, "{plan}");

    // A suspended machine takes nothing, and goes on where it was.
    lab.ok(&["exec", "web", "--", "sh", "-c", "sleep 3600 >/dev/null 2>&1 & echo $! >/run/sleeper"]);
    lab.ok(&["suspend"]);
    assert_eq!(processes(&lab), Vec::<String>::new());
    assert_eq!(lab.fact("lab/web", "state"), "suspended");
    lab.ok(&["resume"]);
    assert_eq!(lab.fact("lab/web", "health"), "ready");
    let sleeper = lab.ok(&["exec", "web", "--", "sh", "-c", "cat /proc/$(cat /run/sleeper)/cmdline"]).stdout;
    assert_eq!(sleeper, "sleep\x003600\0");
    let late: i64 = lab.ok(&["exec", "web", "--", "date", "+%s"]).stdout.trim().parse().unwrap();
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_secs() as i64;
    assert!((now - late).abs() < 30, "its clock says {late}, it is {now}");
    lab.ok(&["check"]);

    // A snapshot holds what a machine that runs has in memory, and the machine is known afterwards.
    lab.ok(&["snapshot", "save", "before", "web"]);
    let change = "echo changed >/srv/site/hello; kill $(cat /run/sleeper)";
    lab.ok(&["exec", "web", "--", "sh", "-c", change]);
    // Later than what counts as a late clock.
    std::thread::sleep(std::time::Duration::from_secs(12));
    lab.ok(&["snapshot", "restore", "before", "-f", "web"]);
    let late: i64 = lab.openssh("web", "date +%s").trim().parse().unwrap();
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_secs() as i64;
    assert!((now - late).abs() < 10, "its clock says {late}, it is {now}");
    let restored = lab.ok(&["exec", "web", "--", "sh", "-c", "cat /srv/site/hello /proc/$(cat /run/sleeper)/cmdline"]);
    assert_eq!(restored.stdout, "web\nsleep\x003600\0");
    let plan = lab.ok(&["plan", "--json"]).json();
    assert_eq!(plan["operations"].as_array().unwrap().len(), 0, "{plan}");
    lab.ok(&["check"]);

    // What was written is there after a stop that lets the machine write it.
    lab.ok(&["exec", "web", "--", "sh", "-c", "echo kept >/srv/site/kept"]);
    lab.ok(&["halt"]);
    assert_eq!(processes(&lab), Vec::<String>::new());
    assert_eq!(lab.fact("lab/web", "state"), "exited");
    lab.ok(&["up"]);
    assert_eq!(lab.ok(&["exec", "web", "--", "cat", "/srv/site/kept"]).stdout, "kept\n");
    assert!(lab.ok(&["logs", "web"]).stdout.contains("vm-init"));

    // A machine that somebody else killed is noticed and mended.
    let killed = std::process::Command::new("pkill")
        .args(["-KILL", "-f", &format!("machines/{}.lab.client/", lab.name)])
        .status();
    assert!(killed.unwrap().success());
    assert_eq!(lab.fact("lab/client", "state"), "exited");
    lab.ok(&["up"]);
    lab.ok(&["check"]);

    // What changed is named, on machines that only SSH leads into as well.
    lab.ok(&["exec", "client", "--", "sh", "-c", "echo changed >>/etc/motd; echo new >/usr/local/bin/tool"]);
    let drift = lab.run(&["drift", "client"]).stdout;
    assert!(drift.contains("/usr/local/bin/tool"), "{drift}");

    lab.ok(&["destroy", "-f"]);
    assert_eq!(processes(&lab), Vec::<String>::new());
}

#[test]
fn a_tiny_machine_is_a_machine() {
    let lab = Lab::new(
        "tiny",
        r#"
box "tiny-vm" { bootstrap "bookworm" { tiny; } }
topology "lab" idiom="mutable" {
    defaults { provider "qemu"; box "tiny-vm"; limits cpus=1 memory="256MiB" }
    machine "web" {
        file "site" "/srv/site"
        service "web" { command "busybox" "httpd" "-f" "-p" "80" "-h" "/srv/site" }
        sync "share" "/srv/share"
        ready http=":80/hello"
    }
    machine "other" {
        ssh user="ada.l"
        after "web" is="ready"
        shell "fetch" inline="wget -q -O /srv/fetched http://web/hello && echo \"$0\" >/srv/shell"
    }
}
"#,
    );
    lab.put("site/hello", "hello\n");
    lab.put("share/a b/first", "one\n");
    lab.put("share/gone", "gone\n");
    lab.put("share/.rigignore", "/heavy\n");
    lab.put("share/heavy/large", "large\n");
    lab.ok(&["up"]);
    let copy = |line: &str| lab.openssh("web", &format!("cd /srv/share && {line}"));
    assert_eq!(copy("find . | sort; cat 'a b/first'"), ".\n./.rigignore\n./a b\n./a b/first\n./gone\none\n");
    // Who has the folder open keeps it, and what did not change is left alone.
    let before = copy("stat -c %i . .rigignore");
    lab.put("share/a b/first", "two words\n");
    std::fs::remove_file(lab.folder.path().join("share/gone")).unwrap();
    lab.ok(&["sync"]);
    assert_eq!(copy("find . | sort; cat 'a b/first'"), ".\n./.rigignore\n./a b\n./a b/first\ntwo words\n");
    assert_eq!(copy("stat -c %i . .rigignore"), before);
    let table = lab.ok(&["status"]).stdout;
    assert!(table.contains("/srv/share (copy)"), "{table}");
    let mut watch = lab.start(&["sync", "--watch"]);
    lab.until(|| {
        // The first copy may still be under way: what is written now counts in any case.
        lab.put("share/a b/first", &format!("{}\n", lab.folder.path().display()));
        copy("cat 'a b/first'").trim() == lab.folder.path().display().to_string()
    });
    let pid = rustix::process::Pid::from_child(&watch);
    rustix::process::kill_process(pid, rustix::process::Signal::INT).unwrap();
    // Interrupted while it waits, or in the middle of a copy.
    assert!(matches!(watch.wait().unwrap().code(), Some(0 | 130)));
    assert_eq!(processes(&lab).len(), 2);
    assert_eq!(lab.ok(&["exec", "other", "--", "cat", "/srv/fetched"]).stdout, "hello\n");
    assert_eq!(lab.ok(&["ssh", "other", "-c", "id -un; pwd; sudo id -un"]).stdout, "ada.l\n/home/ada.l\nroot\n");
    assert_eq!(lab.openssh("web", "id -un; sudo id -un"), "rig\nroot\n");
    // The disk of its user is there again after the power button, and who it is comes from the seed again.
    lab.ok(&["exec", "web", "--", "sh", "-c", "echo kept >/home/rig/kept"]);
    lab.ok(&["reload"]);
    assert_eq!(lab.openssh("web", "hostname; cat kept"), "web\nkept\n");
    lab.ok(&["exec", "web", "--", "sh", "-c", "echo new >/etc/motd"]);
    let drift = lab.run(&["drift", "web"]).stdout;
    assert!(drift.contains("/etc/motd"), "{drift}");
    lab.ok(&["destroy", "-f"]);
    assert_eq!(processes(&lab), Vec::<String>::new());
}

/// The recipes of the root workspace's containers, unchanged. What they install of Debian's packages is in the box already: in an
/// emulated machine that would take minutes.
const SPARK: &str = r#"
artifact "spark" {
    source "pypi:pyspark" version="3.5.8"
    sha256 "54cca0767b21b40e3953ad1d30f8601c53abf9cbda763653289cdcfcac52313c"
}
artifact "connector" {
    source "list:boxes/spark/connector.list"
    sha256 "0c4769650080472e1e23e8627ccef3fa631aa14088f5ac8ce5a919e5d9968358"
}
box "java-vm" {
    bootstrap "bookworm" {
        kernel
        package "ca-certificates" "openjdk-17-jdk-headless" "ca-certificates-java" "python3"
    }
}
topology "vms" idiom="mutable" {
    defaults {
        provider "qemu"
        box "java-vm"
        limits cpus=1 memory="1536MiB"
        recipe "jdk" version=17
    }
    machine "scale" role="{if-first master worker}" count=2 {
        hostname "scale{n}.vm"
        drift { temporary "/opt/spark/work/**"; }
        file "jobs" "/scale-shared/jobs"
        recipe "spark" role="{role}" master="scale1" cores=1 memory="576m"
        ready http=":8080/json/" only=1 { value "$.status" is="ALIVE"; }
        ready http=":8080/json/" on="scale1" except=1 {
            value "$.workers[?@.state=='ALIVE' && @.host=='{ip}'].cores" is="1"
        }
        ready-timeout "10m"
    }
}
check "pi" on="scale1" {
    run "env" "EXECUTOR_PATIENCE_SECONDS=300" "spark-submit" "/scale-shared/jobs/pi.py" "2"
    expect stdout="Pi is roughly 3.1"
    timeout "15m"
}
"#;

#[test]
#[ignore = "ten minutes where processors are emulated"]
fn spark_runs_on_virtual_machines_by_the_recipes_of_containers() {
    let lab = Lab::new("spark-vms", SPARK);
    for folder in ["recipes", "boxes/spark", "jobs"] {
        lab.bring(folder);
    }
    lab.ok(&["up"]);
    lab.ok(&["check"]);
    // Logs and temporary files of a cluster that works, and nothing else.
    let drift = lab.ok(&["drift", "--json"]).json();
    let machines = drift["machines"].as_array().unwrap();
    assert_eq!(machines.len(), 2, "{drift}");
    let files = machines.iter().flat_map(|machine| machine["files"].as_array().unwrap());
    let grave = files.filter(|file| ["program", "configuration"].contains(&file["class"].as_str().unwrap()));
    assert_eq!(grave.count(), 0, "{drift}");
    lab.ok(&["destroy", "-f"]);
    assert_eq!(processes(&lab), Vec::<String>::new());
}
