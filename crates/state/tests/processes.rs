//! What holds between processes, and when one of them is killed.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use camino::{Utf8Path, Utf8PathBuf};
use rig_state::{Access, FileLock, Layout, LockOwner, WorkspaceLock, write_atomically};
use std::{
    process::{Child, Command, Stdio},
    thread::sleep,
    time::{Duration, Instant},
};

/// Tells a child what to do and where.
const ROLE: &str = "RIG_STATE_TEST_ROLE";
const FOLDER: &str = "RIG_STATE_TEST_FOLDER";

/// How large the file is that a child writes again and again, in bytes.
const SIZE: usize = 200_000;

fn temporary() -> (tempfile::TempDir, Utf8PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let path = Utf8PathBuf::from_path_buf(folder.path().to_owned()).unwrap();
    (folder, path)
}

/// Starts this very program as another process that plays a role.
fn start(role: &str, folder: &Utf8Path) -> Child {
    Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "child", "--test-threads=1"])
        .env(ROLE, role)
        .env(FOLDER, folder)
        .stdout(Stdio::null())
        .spawn()
        .unwrap()
}

/// What the other tests start as a process of its own. Without a role it is a test like any other, of nothing.
#[test]
fn child() {
    #[expect(clippy::disallowed_methods, reason = "the only way to tell a test its arguments")]
    let [role, folder] = [ROLE, FOLDER].map(|name| std::env::var(name).unwrap_or_default());
    let folder = Utf8PathBuf::from(folder);
    match role.as_str() {
        "hold" => {
            let owner =
                LockOwner { pid: std::process::id(), command: "rig up".to_owned(), since: jiff::Timestamp::now() };
            let _lock = WorkspaceLock::try_acquire(&Layout::new(&folder), &owner).unwrap().unwrap();
            fs_err::write(folder.join("holding"), "").unwrap();
            sleep(Duration::from_secs(60));
        }
        "write" => {
            for byte in (b'a'..=b'z').cycle() {
                write_atomically(&folder.join("file"), &[byte; SIZE], Access::Default).unwrap();
            }
        }
        // Among the other tests it has nothing to do.
        _ => {}
    }
}

fn wait_for(path: &Utf8Path) {
    let began = Instant::now();
    while !path.exists() {
        assert!(began.elapsed() < Duration::from_secs(20), "{path} did not appear");
        sleep(Duration::from_millis(5));
    }
}

#[test]
fn the_lock_of_another_process_is_seen_and_ends_with_it() {
    let (_guard, folder) = temporary();
    let mut holder = start("hold", &folder);
    wait_for(&folder.join("holding"));
    let layout = Layout::new(&folder);
    assert!(FileLock::try_acquire(&layout.lock()).unwrap().is_none());
    assert_eq!(WorkspaceLock::last_owner(&layout).unwrap().pid, holder.id());
    holder.kill().unwrap();
    holder.wait().unwrap();
    assert!(FileLock::try_acquire(&layout.lock()).unwrap().is_some(), "killed, yet it holds the lock");
}

#[test]
fn a_file_is_whole_whenever_its_writer_is_killed() {
    let (_guard, folder) = temporary();
    let file = folder.join("file");
    for round in 0..20 {
        let mut writer = start("write", &folder);
        wait_for(&file);
        sleep(Duration::from_millis(round * 3));
        writer.kill().unwrap();
        writer.wait().unwrap();
        let content = fs_err::read(&file).unwrap();
        assert!(content.len() == SIZE && content.iter().all(|byte| *byte == content[0]));
    }
}
