//! Containers of an engine that runs in a virtual machine, because this host has none: the same file, the same commands.

use crate::lab::{Lab, Run};
use std::{
    io::{Read, Write},
    net::TcpStream,
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

/// A host without a container engine: no docker program on the `PATH`, no `dockerd`, and a data folder in which rig has none yet.
fn lab(name: &str, text: &str) -> Lab {
    of(Lab::new(name, text))
}

fn of(mut lab: Lab) -> Lab {
    let programs = lab.folder.path().join("programs");
    std::fs::create_dir(&programs).unwrap();
    let path = std::env::var_os("PATH").unwrap();
    for folder in std::env::split_paths(&path) {
        for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
            let name = entry.file_name();
            let is_engine =
                ["docker", "containerd", "runc", "ctr"].iter().any(|of| name.to_string_lossy().starts_with(of));
            if !is_engine {
                // The first of a name is the one that counts.
                let _ = std::os::unix::fs::symlink(entry.path(), programs.join(name));
            }
        }
    }
    let data = lab.folder.path().join("data");
    lab.env("PATH", programs.into());
    lab.env("XDG_DATA_HOME", data.into());
    lab.env("RIG_ENGINE", "vm".into());
    // What would lead to an engine of this host.
    lab.env("DOCKER_HOST", "unix:///nonexistent/docker.sock".into());
    lab
}

/// The workspace of the virtual machine itself.
fn file(lab: &Lab) -> PathBuf {
    lab.folder.path().join("data/rig/engine-vm")
}

/// Runs a command in the virtual machine, as root.
fn in_vm(lab: &Lab, line: &str) -> Run {
    let began = Instant::now();
    let output = lab.command_on(&file(lab), &["exec", "vm", "--", "sh", "-c", line]).output().unwrap();
    Run::of(&output, began)
}

/// The QEMU that has the virtual machine.
fn processes(lab: &Lab) -> usize {
    let disk = lab.folder.path().join("data/rig/qemu/machines").display().to_string();
    let entries = std::fs::read_dir("/proc").unwrap().flatten();
    let lines = entries.filter_map(|entry| std::fs::read(entry.path().join("cmdline")).ok());
    lines.filter(|line| String::from_utf8_lossy(line).contains(&disk)).count()
}

/// What a port of this host answers.
fn get(port: u16, path: &str) -> std::io::Result<String> {
    let mut stream = TcpStream::connect(("127.0.0.1", port))?;
    stream.set_read_timeout(Some(Duration::from_secs(20)))?;
    write!(stream, "GET {path} HTTP/1.1\r\nHost: machine\r\nConnection: close\r\n\r\n")?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    Ok(answer)
}

/// The port of this host that leads to a port of a machine.
fn port(lab: &Lab, machine: &str, guest: u16) -> u16 {
    let document = lab.ok(&["port", machine, "--json"]).json();
    let ports = document["machines"][0]["ports"].as_array().unwrap();
    let port = ports.iter().find(|port| port["guest"] == guest).unwrap_or_else(|| panic!("{document}"));
    u16::try_from(port["host"].as_u64().unwrap()).unwrap()
}

/// Ends every connection over SSH into the virtual machine, from inside.
fn cut_connections(lab: &Lab) {
    in_vm(lab, "pkill -f '^sshd: rig'");
}

/// The virtual machine goes with the lab, whatever becomes of the test.
struct Vm<'a>(&'a Lab);

impl Drop for Vm<'_> {
    fn drop(&mut self) {
        let destroyed = self.0.run(&["engine", "destroy", "-f"]);
        if destroyed.code != 0 && !std::thread::panicking() {
            panic!("removing the virtual machine: {}", destroyed.stderr);
        }
    }
}

/// The port of a server on this host's loopback that greets whoever connects, until the test ends.
fn says_hello() -> u16 {
    use std::io::Write as _;
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    std::thread::spawn(move || {
        while let Ok((mut connection, _)) = listener.accept() {
            // One that is gone again was no failure of this server.
            drop(connection.write_all(b"hello\n"));
        }
    });
    port
}

#[test]
fn containers_run_in_a_virtual_machine() {
    let text = r#"
box "debian" { bootstrap "bookworm" { package "busybox-static"; } }
topology "t" idiom="immutable" {
    defaults { box "debian"; limits memory="128MiB"; }
    machine "web" {
        command "sh" "-c" "sleep $DELAY; exec busybox httpd -f -p 8000 -h /site"
        env { DELAY "{delay}"; }
        sync "site" "/site"
        port 8000 host="auto"
        restart "always"
        ready http=":8000/hello"
    }
    machine "client" { command "sleep" "inf"; after "web" is="ready"; }
}
check "name" on="client" { run "busybox" "wget" "-q" "-O" "-" "http://web:8000/hello"; expect stdout="hello"; }
variable "delay" 0
"#;
    let lab = lab("engine-vm", text);
    let vm = Vm(&lab);
    lab.put("site/hello", "hello\n");
    lab.put("site/gone", "gone\n");
    lab.put("site/heavy/large", "large\n");
    lab.put("site/.rigignore", "/heavy\n");
    // Nothing is there, and nothing is started to find that out.
    let before = lab.run(&["status"]).code(1);
    assert!(before.stderr.contains("rig engine start"), "{}", before.stderr);
    assert_eq!(processes(&lab), 0);

    lab.ok(&["up"]);
    assert_eq!(processes(&lab), 1);
    let engine = lab.ok(&["engine", "status", "--json"]).json();
    assert_eq!((engine["endpoint"].as_str(), engine["ports_here"].as_bool()), (Some("vm"), Some(true)), "{engine}");
    // A name of a neighbour, a port of this host, a folder of this host.
    lab.ok(&["check"]);
    let here = port(&lab, "web", 8000);
    assert!(get(here, "/hello").unwrap().ends_with("hello\n"));
    assert!(get(here, "/gone").unwrap().ends_with("gone\n"));
    assert!(get(here, "/heavy/large").unwrap().contains(" 404 "), "what is ignored was copied");
    assert_eq!(lab.ok(&["plan", "--json"]).json()["operations"].as_array().unwrap().len(), 0);

    // What listens on this host's loopback is out of reach, as with an engine of this host.
    let own = says_hello();
    let reach = format!("timeout 5 busybox nc 10.0.2.2 {own} </dev/null");
    let reached = in_vm(&lab, &reach);
    assert_eq!(reached.stdout, "hello\n", "the virtual machine itself reaches it: {}", reached.stderr);
    let refused = lab.run(&["exec", "client", "--", "sh", "-c", &reach]);
    assert!(refused.code != 0 && refused.stdout.is_empty(), "{}", refused.stdout);

    // A start copies what changed, and what is gone here is gone there.
    lab.put("site/new", "new\n");
    std::fs::remove_file(lab.folder.path().join("site/gone")).unwrap();
    lab.ok(&["reload", "web"]);
    assert!(get(here, "/new").unwrap().ends_with("new\n"));
    assert!(get(here, "/gone").unwrap().contains(" 404 "));
    // A machine that was halted gives its port up.
    lab.ok(&["halt", "web"]);
    assert!(get(here, "/hello").is_err());

    // The connection is lost in the middle of a start, and while it is waited for what was started.
    let began = Instant::now();
    let child = lab.start(&["up", "--var", "delay=12"]);
    let web = format!("{}.t.web", lab.name);
    lab.until(|| {
        in_vm(&lab, &format!("docker -H unix:///run/docker.sock inspect -f '{{{{.Config.Env}}}}' {web}"))
            .stdout
            .contains("DELAY=12")
    });
    cut_connections(&lab);
    std::thread::sleep(Duration::from_secs(2));
    cut_connections(&lab);
    Lab::finish(child, began).code(0);
    assert_eq!(lab.fact("t/web", "health"), "ready");

    // What always runs comes back with the engine, and its port leads to it again.
    lab.ok(&["engine", "stop"]);
    assert_eq!(processes(&lab), 0);
    assert!(get(here, "/hello").is_err());
    lab.run(&["status"]).code(1);
    // Whatever its file says by now, it is never made anew: everything is in it.
    let path = file(&lab).join("workspace.kdl");
    let changed = std::fs::read_to_string(&path)
        .unwrap()
        .replace("stop-timeout \"60s\"", "stop-timeout \"60s\"; hostname \"other\"");
    std::fs::write(&path, changed).unwrap();
    let started = lab.ok(&["engine", "start"]);
    assert!(started.stderr.contains("rig engine destroy"), "{}", started.stderr);
    lab.until(|| get(here, "/hello").is_ok_and(|answer| answer.ends_with("hello\n")));

    // A machine that ends by itself gives its port up, so that it is there for the next start.
    in_vm(&lab, &format!("docker -H unix:///run/docker.sock kill {web}"));
    lab.ok(&["up"]);
    assert_eq!(port(&lab, "web", 8000), here);
    assert!(get(here, "/hello").unwrap().ends_with("hello\n"));
    let known = lab.ok(&["global-status", "--json"]).json();
    let known: Vec<&str> =
        known["machines"].as_array().unwrap().iter().filter_map(|machine| machine["machine"].as_str()).collect();
    assert!(known.contains(&"t/web") && known.contains(&"engine/vm"), "{known:?}");

    // A file that asks for what cannot be had is refused before anything happens.
    let writable = text.replace(r#"sync "site" "/site""#, r#"sync "site" "/site" writable=#true"#);
    lab.put("writable.kdl", &format!("workspace \"other\"\n{writable}"));
    let refused = lab.command_on(&lab.folder.path().join("writable.kdl"), &["up"]).output().unwrap();
    assert_eq!(refused.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&refused.stderr).contains("does not come back"), "{refused:?}");

    lab.ok(&["destroy", "-f"]);
    assert!(get(here, "/hello").is_err());
    drop(vm);
    assert_eq!(processes(&lab), 0);
    assert!(!file(&lab).exists());
}

/// Half an hour where every processor is emulated: not part of the gate. `cargo test … --test scenarios -- --ignored` runs it.
#[test]
#[ignore = "half an hour under emulation"]
fn the_immutable_spark_runs_in_a_virtual_machine() {
    let lab = of(Lab::root());
    let vm = Vm(&lab);
    let slow = ["cassandra-nodes=0", "class-data=no", "patience=300", "slices=2"];
    let slow: Vec<&str> = slow.iter().flat_map(|variable| ["--var", variable]).collect();
    let check = [&["check", "--topology", "immutable", "cluster", "pi"][..], &slow].concat();
    lab.ok(&[&["up", "immutable"][..], &slow].concat());
    lab.ok(&check);
    let here = port(&lab, "spark-master", 8080);
    assert!(get(here, "/").unwrap().contains("Spark Master"));
    let synced = lab.ok(&["exec", "spark-master", "--", "cat", "/scale-shared/README.md"]).stdout;
    assert_eq!(synced, std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("README.md")).unwrap());
    // No machine is lost with the connections to it.
    let child = lab.start(&check);
    std::thread::sleep(Duration::from_secs(3));
    cut_connections(&lab);
    drop(child.wait_with_output());
    lab.ok(&check);
    lab.ok(&["destroy", "-f", "--volumes"]);
    drop(vm);
    assert_eq!(processes(&lab), 0);
}
