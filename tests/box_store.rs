//! `rig box` with stored boxes, from end to end: the program, a store, catalogues and box files. No engine.

#![expect(clippy::unwrap_used, clippy::panic, reason = "a test that cannot go on ends")]

use serde_json::{Value, json};
use std::{
    fs,
    path::{Path, PathBuf},
    process::{Command, Output, Stdio},
    time::{Duration, Instant},
};

/// A home of its own, with box files and catalogues in it.
struct Home(tempfile::TempDir);

impl Home {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn rig(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_rig"));
        command
            .args(arguments)
            .current_dir(self.0.path())
            .env("HOME", self.0.path())
            .env("XDG_DATA_HOME", self.path("data"))
            .env("XDG_CACHE_HOME", self.path("cache"))
            .env("APPDATA", self.path("data"))
            .env("LOCALAPPDATA", self.path("cache"))
            .env_remove("RIG_WORKSPACE")
            .env_remove("VAGRANT_SERVER_URL")
            .env("RIG_CATALOG", "http://127.0.0.1:9")
            .stdin(Stdio::null());
        command
    }

    /// Runs the program; its exit code, what it said as a result, and what it said beside that.
    #[track_caller]
    fn run(&self, arguments: &[&str], code: i32) -> (String, String) {
        let Output { status, stdout, stderr } = self.rig(arguments).output().unwrap();
        let [stdout, stderr] = [stdout, stderr].map(|bytes| String::from_utf8(bytes).unwrap());
        assert_eq!(status.code(), Some(code), "{arguments:?}: {stdout}{stderr}");
        (stdout, stderr)
    }

    /// The document that a command writes at its end.
    #[track_caller]
    fn json(&self, arguments: &[&str], code: i32) -> Value {
        let (stdout, stderr) = self.run(&[arguments, &["--json"]].concat(), code);
        let last = stdout.lines().last().unwrap_or_default();
        serde_json::from_str(&stdout)
            .or_else(|_| serde_json::from_str(last))
            .unwrap_or_else(|error| panic!("{arguments:?}: {error} in {stdout}{stderr}"))
    }
}

/// A box for libvirt with a disk that begins with some text.
fn write_box(path: &Path, text: &str, size: usize) {
    let mut archive = tar::Builder::new(fs::File::create(path).unwrap());
    let mut add = |name: &str, content: &[u8]| {
        let mut header = tar::Header::new_ustar();
        header.set_size(content.len() as u64);
        header.set_mode(0o644);
        archive.append_data(&mut header, name, content).unwrap();
    };
    add("metadata.json", br#"{"provider": "libvirt", "format": "raw", "virtual_size": 1}"#);
    let mut disk = text.as_bytes().to_vec();
    disk.resize(size.max(disk.len()), 7);
    add("box.img", &disk);
    archive.finish().unwrap();
}

fn write_catalogue(home: &Home, versions: &[&str]) {
    let versions: Vec<Value> = versions
        .iter()
        .map(|version| {
            let file = format!("{version}.box");
            write_box(&home.path(&file), version, 0);
            json!({"version": version, "providers": [{"name": "libvirt", "url": file}]})
        })
        .collect();
    let catalogue = json!({"name": "example/box", "versions": versions});
    fs::write(home.path("box.json"), catalogue.to_string()).unwrap();
}

#[test]
fn a_box_is_added_outdated_updated_pruned_and_removed() {
    let home = Home::new();
    let (_, stderr) = home.run(&["box", "list"], 0);
    assert!(stderr.contains("no boxes are stored"), "{stderr}");
    write_catalogue(&home, &["1.0.0", "1.1.0"]);
    let (stdout, _) = home.run(&["box", "add", "box.json", "--version", "< 1.1", "--provider", "qemu"], 0);
    assert!(stdout.contains("stored example/box 1.0.0 (libvirt, unknown)"), "{stdout}");
    assert_eq!(home.json(&["box", "add", "box.json", "--version", "1"], 0)["already"], true);
    let outdated = home.json(&["box", "outdated"], 0);
    assert_eq!((&outdated["schema"], &outdated["boxes"][0]["newest"]), (&json!("rig.box-outdated/1"), &json!("1.1.0")));
    write_catalogue(&home, &["1.0.0", "1.1.0", "2.0.0"]);
    assert!(home.run(&["box", "outdated", "example/box"], 0).0.contains("outdated"));
    let (stdout, _) = home.run(&["box", "update"], 0);
    assert!(stdout.contains("stored example/box 2.0.0 (libvirt, unknown)"), "{stdout}");
    assert!(home.run(&["box", "update"], 0).1.contains("nothing to update"));
    let listed = home.json(&["box", "list"], 0);
    let versions: Vec<&Value> = listed["stored"].as_array().unwrap().iter().map(|row| &row["version"]).collect();
    assert_eq!((versions, &listed["boxes"]), (vec![&json!("1.0.0"), &json!("2.0.0")], &json!([])));
    assert!(home.run(&["box", "list"], 0).0.starts_with("STORED"));
    assert!(home.run(&["box", "remove", "example/box"], 2).1.contains("--all"));
    assert!(home.run(&["box", "prune", "--dry-run"], 0).0.contains("would remove example/box 1.0.0"));
    assert_eq!(home.json(&["box", "prune"], 0)["stored"][0]["version"], "1.0.0");
    assert!(home.run(&["box", "prune"], 0).1.contains("nothing to remove"));
    home.run(&["box", "remove", "example/box"], 0);
    assert!(home.run(&["box", "remove", "example/box"], 2).1.contains("the store has no box example/box"));
}

#[test]
fn a_box_is_verified_and_packed_again() {
    let home = Home::new();
    write_box(&home.path("a.box"), "a", 1000);
    assert!(home.run(&["box", "add", "a.box"], 2).1.contains("--name"));
    home.run(&["box", "add", "a.box", "--name", "mine"], 0);
    home.run(&["box", "verify"], 0);
    let packed = home.json(&["box", "repackage", "mine", "-o", "b.box"], 0);
    assert!(home.path("b.box").is_file());
    assert!(home.run(&["box", "repackage", "mine", "-o", "b.box"], 2).1.contains("--force"));
    let checksum = packed["sha256"].as_str().unwrap();
    let added = home.json(&["box", "add", "b.box", "--name", "other", "--checksum", checksum], 0);
    assert_eq!(added["box"]["checked"], true);
    let disk = Path::new(added["box"]["folder"].as_str().unwrap()).join("box.img");
    fs::write(disk, "changed").unwrap();
    let verdict = home.json(&["box", "verify"], 3);
    assert_eq!(verdict["changed"], 1);
    assert_eq!(verdict["boxes"][1]["changes"], json!([{"path": "box.img", "change": "changed"}]));
    let (stdout, _) = home.run(&["box", "verify", "other"], 3);
    assert_eq!(stdout.trim(), "other 0 (libvirt, unknown): box.img is changed");
    assert!(home.run(&["box", "repackage", "other"], 1).1.contains("box.img is changed"));
}

#[test]
fn a_box_whose_record_is_damaged_is_removed_by_its_name() {
    let home = Home::new();
    write_box(&home.path("a.box"), "a", 0);
    home.run(&["box", "add", "a.box", "--name", "mine"], 0);
    let record = home.path("data/rig/boxes/mine/0/unknown/libvirt/record.json");
    fs::write(&record, "{").unwrap();
    let (_, stderr) = home.run(&["box", "list"], 0);
    assert!(stderr.contains("`rig box remove mine --version 0 --provider libvirt --architecture unknown`"), "{stderr}");
    fs::write(&record, r#"{"format": "rig.stored-box/99"}"#).unwrap();
    assert!(home.run(&["box", "remove", "mine"], 2).1.contains("--force"));
    assert!(home.run(&["box", "remove", "mine", "--force"], 0).0.contains("removed mine 0"));
    assert!(!record.exists());
    home.run(&["box", "remove", "mine"], 2);
}

#[test]
fn what_is_wrong_is_said() {
    let home = Home::new();
    fs::write(home.path("box.json"), r#"{"name": "a/b", "versions": [{"version": 1}]}"#).unwrap();
    assert!(home.run(&["box", "add", "box.json"], 1).1.contains("versions[0].version"));
    assert!(home.run(&["box", "add", "box.json", "--version", "~> x"], 2).1.contains("is no version constraint"));
    assert!(home.run(&["box", "add", "http://files.example/a.box", "--name", "a"], 2).1.contains("checksum"));
    assert!(home.run(&["box", "add", "absent.box", "--name", "a"], 2).1.contains("neither a short name"));
    fs::write(home.path("a.box"), "no box").unwrap();
    let error = home.json(&["box", "add", "a.box", "--name", "a"], 1);
    assert_eq!(error["schema"], "rig.error/1");
    assert!(error["error"].as_str().unwrap().contains("neither a tar"), "{error}");
    assert!(home.run(&["box", "add", "a.box", "--name", "a", "--checksum", "abc"], 2).1.contains("checksum"));
}

#[test]
fn a_killed_add_is_completed_by_the_next() {
    let home = Home::new();
    write_box(&home.path("a.box"), "a", 24 << 20);
    let arguments = ["box", "add", "a.box", "--name", "mine"];
    let half = || home.path("data/rig/boxes/.work/mine/new/box/box.img").exists();
    let stored = || home.json(&["box", "list"], 0)["stored"].as_array().unwrap().len();
    let cut = (0..10).any(|_| {
        let mut child = home.rig(&arguments).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        let began = Instant::now();
        while !half() && child.try_wait().unwrap().is_none() && began.elapsed() < Duration::from_secs(60) {
            std::thread::sleep(Duration::from_millis(1));
        }
        child.kill().unwrap();
        child.wait().unwrap();
        // On a busy machine it may have been too late: once more then.
        let late = stored() > 0;
        if late {
            home.run(&["box", "remove", "mine"], 0);
        }
        !late
    });
    assert!(cut, "every add ended before it was killed");
    home.run(&arguments, 0);
    assert_eq!(stored(), 1);
    home.run(&["box", "verify"], 0);
    assert_eq!(fs::read_dir(home.path("data/rig/boxes/.work")).unwrap().count(), 0);
}

#[test]
fn two_processes_add_the_same_box() {
    let home = Home::new();
    write_box(&home.path("a.box"), "a", 2 << 20);
    let children: Vec<_> = (0..3)
        .map(|_| {
            let mut command = home.rig(&["box", "add", "a.box", "--name", "mine", "--json"]);
            command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
        })
        .collect();
    let mut added = 0;
    for child in children {
        let output = child.wait_with_output().unwrap();
        let text = String::from_utf8(output.stdout).unwrap();
        assert!(output.status.success(), "{text}");
        let last: Value = serde_json::from_str(text.lines().last().unwrap()).unwrap();
        added += usize::from(last["already"] == false);
    }
    assert_eq!(added, 1);
    home.run(&["box", "verify"], 0);
}
