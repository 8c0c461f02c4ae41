//! Files and folders, both ways.

use crate::lab::{Lab, output, seconds};
use bytes::Bytes;
use camino::{Utf8Path, Utf8PathBuf};
use rig_ssh::transfer::{DownloadOptions, UploadOptions, UploadSource, download, upload};
use rig_ssh::{Session, SshError};
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::process::Command;
use std::sync::Mutex;
use std::time::{Duration, UNIX_EPOCH};
use tokio::time::{Instant, sleep, timeout};

const ALL: DownloadOptions = DownloadOptions { sudo: false, limit: 1 << 30 };

async fn send(session: &Session, source: UploadSource, target: &Utf8Path) -> Result<u64, SshError> {
    upload(session, source, target.as_str(), &UploadOptions::default(), &|_, _| {}).await
}

fn text(content: &'static str) -> UploadSource {
    UploadSource::Bytes(Bytes::from(content))
}

fn write(path: &Utf8Path, content: impl AsRef<[u8]>, mode: u32) {
    fs_err::create_dir_all(path.parent().unwrap()).unwrap();
    fs_err::write(path, content).unwrap();
    fs_err::set_permissions(path, std::fs::Permissions::from_mode(mode)).unwrap();
    fs_err::File::options()
        .write(true)
        .open(path)
        .unwrap()
        .file()
        .set_modified(UNIX_EPOCH + Duration::from_secs(1_600_000_000))
        .unwrap();
}

/// Names, kinds, modes, times and content of all that is in a folder.
fn listing(folder: &Utf8Path) -> Vec<String> {
    let mut lines = Vec::new();
    let mut rest = vec![folder.to_owned()];
    while let Some(path) = rest.pop() {
        let name = path.strip_prefix(folder).unwrap().to_owned();
        let metadata = fs_err::symlink_metadata(&path).unwrap();
        let content = if metadata.is_dir() {
            rest.extend(path.read_dir_utf8().unwrap().map(|entry| entry.unwrap().into_path()));
            String::new()
        } else if metadata.is_symlink() {
            format!("-> {}", fs_err::read_link(&path).unwrap().display())
        } else {
            format!("{} bytes at {}", fs_err::read(&path).unwrap().len(), metadata.mtime())
        };
        lines.push(format!("{name} {:o} {content}", metadata.permissions().mode()));
    }
    lines.sort();
    lines
}

fn tree(root: &Utf8Path) {
    write(&root.join("plain.txt"), "plain", 0o640);
    write(&root.join("with space/日本語 'n \"such\"\n.sh"), "#!/bin/sh", 0o755);
    write(&root.join("a".repeat(90)).join("b".repeat(90)).join("c".repeat(90)), vec![7; 100_000], 0o600);
    write(&root.join("-dash"), "", 0o644);
    fs_err::create_dir_all(root.join("empty")).unwrap();
    symlink("../plain.txt", root.join("with space/link")).unwrap();
    symlink("nowhere", root.join("dangling")).unwrap();
    fs_err::set_permissions(root.join("empty"), std::fs::Permissions::from_mode(0o555)).unwrap();
}

/// What lies beside the target, hidden things included.
fn beside(target: &Utf8Path) -> Vec<String> {
    let mut names: Vec<_> =
        target.parent().unwrap().read_dir_utf8().unwrap().map(|entry| entry.unwrap().file_name().to_owned()).collect();
    names.sort();
    names
}

#[tokio::test]
async fn a_file_with_mode_and_time() {
    let lab = Lab::start();
    let session = lab.connect().await;
    let (here, there, back) = (lab.utf8("here"), lab.utf8("new/folder/it's there"), lab.utf8("back/file"));
    write(&here, "content", 0o751);
    let heard = Mutex::new(Vec::new());
    let progress = |done, total| heard.lock().unwrap().push((done, total));
    let options = UploadOptions::default();
    let sent = upload(&session, UploadSource::File(here.clone()), there.as_str(), &options, &progress).await.unwrap();
    assert_eq!(sent, 7);
    assert_eq!(heard.into_inner().unwrap().last(), Some(&(7, 7)));
    assert_eq!(beside(&there), ["it's there"]);
    let come = download(&session, there.as_str(), &back, &ALL, &|_| {}).await.unwrap();
    assert_eq!(come.bytes, 7);
    for path in [&there, &back] {
        let metadata = fs_err::metadata(path).unwrap();
        assert_eq!((metadata.permissions().mode() & 0o7777, metadata.mtime()), (0o751, 1_600_000_000), "{path}");
        assert_eq!(fs_err::read_to_string(path).unwrap(), "content");
    }
    // Over a file that is there, with a mode of its own; and over a link, which is replaced, not followed.
    let options = UploadOptions { mode: Some(0o600), ..UploadOptions::default() };
    upload(&session, text("newer"), there.as_str(), &options, &|_, _| {}).await.unwrap();
    assert_eq!(fs_err::read_to_string(&there).unwrap(), "newer");
    assert_eq!(fs_err::metadata(&there).unwrap().permissions().mode() & 0o7777, 0o600);
    let link = lab.utf8("new/link");
    symlink(&there, &link).unwrap();
    send(&session, text("own"), &link).await.unwrap();
    assert!(!link.is_symlink() && fs_err::read_to_string(&there).unwrap() == "newer");
    download(&session, link.as_str(), &back, &ALL, &|_| {}).await.unwrap();
    assert_eq!(fs_err::read_to_string(&back).unwrap(), "own");
    assert_eq!(beside(&back), ["file"]);
}

#[tokio::test]
async fn a_tree_there_and_back() {
    let lab = Lab::start();
    let session = lab.connect().await;
    let (here, there, back) = (lab.utf8("here"), lab.utf8("there/tree"), lab.utf8("back/tree"));
    tree(&here);
    send(&session, UploadSource::Folder(here.clone()), &there).await.unwrap();
    assert_eq!(listing(&there), listing(&here));
    // Again: what is no longer here goes away there, and what is left out does not come, wherever it is.
    write(&there.join("stale"), "x", 0o644);
    let whole = listing(&here);
    let (secret, inner) = (here.join("secret"), here.join("inner"));
    write(&secret.join("key"), "x", 0o600);
    write(&inner.join("secret"), "x", 0o600);
    let options = UploadOptions { leave_out: Some("secret".to_owned()), ..UploadOptions::default() };
    upload(&session, UploadSource::Folder(here.clone()), there.as_str(), &options, &|_, _| {}).await.unwrap();
    assert!(there.join("inner").is_dir());
    fs_err::remove_dir(there.join("inner")).unwrap();
    assert_eq!(listing(&there), whole);
    fs_err::remove_dir_all(secret).unwrap();
    fs_err::remove_dir_all(inner).unwrap();
    assert_eq!(beside(&there), ["tree"]);

    let come = download(&session, there.as_str(), &back, &ALL, &|_| {}).await.unwrap();
    assert!(come.skipped.is_empty());
    assert_eq!(listing(&back), listing(&here));
    let error = download(&session, there.as_str(), &back, &ALL, &|_| {}).await.unwrap_err();
    assert!(error.to_string().contains("not empty"), "{error}");
    assert_eq!(beside(&back), ["tree"]);
}

#[tokio::test]
async fn a_machine_with_nothing_but_busybox() {
    let tools = tempfile::tempdir().unwrap();
    let busybox = output(Command::new("sh").args(["-c", "command -v busybox"]));
    if busybox.is_empty() {
        return;
    }
    for tool in ["sh", "tar", "mv", "mkdir", "rm", "chown", "cat", "kill"] {
        symlink(&busybox, tools.path().join(tool)).unwrap();
    }
    let lab = Lab::with(&format!("SetEnv PATH={}", tools.path().display()));
    let session = lab.connect().await;
    let path = session.run("echo $PATH; tar --help", None, 1000).await.unwrap();
    assert!(String::from_utf8_lossy(&path.stderr).contains("BusyBox"), "{path:?}");
    let (here, there, back) = (lab.utf8("here"), lab.utf8("there/tree"), lab.utf8("back/tree"));
    tree(&here);
    for _ in 0..2 {
        send(&session, UploadSource::Folder(here.clone()), &there).await.unwrap();
        assert_eq!(listing(&there), listing(&here));
    }
    download(&session, there.as_str(), &back, &ALL, &|_| {}).await.unwrap();
    assert_eq!(listing(&back), listing(&here));
    let options = UploadOptions { owner: Some("0".to_owned()), ..UploadOptions::default() };
    if lab.user == "root" {
        upload(&session, text("x"), lab.utf8("there/file").as_str(), &options, &|_, _| {}).await.unwrap();
    }
}

#[tokio::test]
async fn paths_below_the_home_folder() {
    let lab = Lab::start();
    let session = lab.connect().await;
    let home = String::from_utf8(session.run("pwd", None, 1000).await.unwrap().stdout).unwrap();
    let name = format!(".rig-ssh-test-{}", lab.port);
    send(&session, text("x"), Utf8Path::new(&name)).await.unwrap();
    let path = Utf8PathBuf::from(home.trim()).join(&name);
    let found = fs_err::read_to_string(&path);
    let _ = fs_err::remove_file(&path);
    assert_eq!(found.unwrap(), "x");
}

#[tokio::test]
async fn failures_say_what_the_machine_said() {
    let lab = Lab::start();
    let session = lab.connect().await;
    let file = lab.utf8("file");
    write(&file, "x", 0o644);
    let folder = lab.utf8("folder");
    write(&folder.join("x"), "x", 0o644);
    let big = UploadSource::Bytes(Bytes::from(vec![0; 50_000_000]));
    for (source, target, says) in [
        (text("x"), folder.clone(), "is a folder"),
        (UploadSource::Folder(folder.clone()), file.clone(), "is not a folder"),
        (big, file.join("below"), "mkdir"),
        (UploadSource::File(lab.utf8("absent")), lab.utf8("new"), "absent"),
        (text("x"), Utf8PathBuf::from("/proc/no"), "rig-upload"),
    ] {
        let error = send(&session, source, &target).await.unwrap_err();
        assert!(error.to_string().contains(says), "{target}: {error}");
    }
    assert_eq!(fs_err::read_to_string(&file).unwrap(), "x");
    assert_eq!(beside(&folder.join("x")), ["x"]);
    assert!(!beside(&file).iter().any(|name| name.contains("rig-")), "{:?}", beside(&file));

    let missing = download(&session, "/nowhere/at all", &lab.utf8("new"), &ALL, &|_| {}).await.unwrap_err();
    assert!(matches!(missing, SshError::Missing { .. }), "{missing}");
    let small = DownloadOptions { limit: 1_000_000, ..ALL };
    let start = Instant::now();
    let zeros = lab.utf8("zeros");
    fs_err::File::create(&zeros).unwrap().set_len(20 << 30).unwrap();
    let error = download(&session, zeros.as_str(), &lab.utf8("new"), &small, &|_| {}).await.unwrap_err();
    assert!(matches!(error, SshError::TooLarge { .. }), "{error}");
    assert!(start.elapsed() < Duration::from_secs(5));
    assert!(!lab.utf8("new").exists());
}

#[tokio::test]
async fn an_upload_that_is_cut_leaves_the_old_in_place() {
    let lab = Lab::start();
    let file = lab.utf8("target/file");
    let folder = lab.utf8("target/folder");
    write(&file, "old", 0o644);
    write(&folder.join("old"), "old", 0o644);
    let here = lab.utf8("here");
    write(&here.join("a"), vec![1; 1000], 0o644);
    write(&here.join("b"), vec![0; 300_000_000], 0o644);

    for (source, target) in [(UploadSource::File(here.join("b")), &file), (UploadSource::Folder(here.clone()), &folder)]
    {
        let session = lab.connect().await;
        let under_way = tokio::sync::Notify::new();
        let progress = |done, _| {
            if done > 50_000_000 {
                under_way.notify_one();
            }
        };
        let options = UploadOptions::default();
        let sending = upload(&session, source, target.as_str(), &options, &progress);
        let killing = async {
            under_way.notified().await;
            assert!(beside(&file).iter().any(|name| name.contains("rig-upload")));
            lab.kill_connections();
        };
        let (sent, ()) = tokio::join!(timeout(Duration::from_secs(20), sending), killing);
        let error = sent.expect("the loss shows").unwrap_err();
        assert!(matches!(error, SshError::Lost { .. }), "{error}");
    }
    // The script cleans up by itself, once its input has ended.
    for _ in 0..100 {
        if beside(&file) == ["file", "folder"] {
            break;
        }
        sleep(Duration::from_millis(50)).await;
    }
    assert_eq!(beside(&file), ["file", "folder"]);
    assert_eq!(fs_err::read_to_string(&file).unwrap(), "old");
    assert_eq!(listing(&folder).len(), 2);
}

#[tokio::test]
async fn an_upload_that_is_dropped_leaves_nothing() {
    let lab = Lab::start();
    let session = lab.connect().await;
    let target = lab.utf8("target/file");
    let source = UploadSource::Bytes(Bytes::from(vec![0; 300_000_000]));
    let under_way = tokio::sync::Notify::new();
    let progress = |done, _| {
        if done > 50_000_000 {
            under_way.notify_one();
        }
    };
    let options = UploadOptions::default();
    tokio::select! {
        sent = upload(&session, source, target.as_str(), &options, &progress) => panic!("{sent:?}"),
        () = under_way.notified() => {}
    }
    for _ in 0..100 {
        if beside(&target).is_empty() {
            break;
        }
        sleep(Duration::from_millis(50)).await;
    }
    assert!(beside(&target).is_empty(), "{:?}", beside(&target));
    assert!(session.run("true", None, 0).await.unwrap().success());
}

#[tokio::test]
async fn what_a_killed_upload_left_is_cleaned_up_at_the_next() {
    let lab = Lab::start();
    let session = lab.connect().await;
    let target = lab.utf8("target/folder");
    // Killed between the two renames: the old folder is in the stage only. And a live one, which is left alone.
    let mut gone = Command::new("true").spawn().unwrap();
    gone.wait().unwrap();
    let stage = |pid: u32| lab.utf8(&format!("target/.folder.rig-upload-{pid}"));
    write(&stage(gone.id()).join("old/precious"), "x", 0o644);
    write(&stage(std::process::id()).join("content"), "x", 0o644);
    let error = send(&session, text("x"), &target).await.unwrap_err();
    assert!(error.to_string().contains("is a folder"), "{error}");
    assert_eq!(fs_err::read_to_string(target.join("precious")).unwrap(), "x");
    assert_eq!(beside(&target), [stage(std::process::id()).file_name().unwrap(), "folder"]);
}

/// Whether files can be given away: as root, or through a sudo that asks for nothing.
fn is_mighty(lab: &Lab) -> bool {
    lab.user == "root" || Command::new("sudo").args(["-n", "true"]).status().is_ok_and(|status| status.success())
}

#[tokio::test]
async fn owners_are_set_and_links_not_followed() {
    let lab = Lab::start();
    if !is_mighty(&lab) {
        return;
    }
    let session = lab.connect().await;
    let (here, there, outside) = (lab.utf8("here"), lab.utf8("there"), lab.utf8("outside"));
    write(&here.join("file"), "x", 0o644);
    write(&outside, "x", 0o644);
    symlink(&outside, here.join("link")).unwrap();
    let options = UploadOptions {
        owner: Some("nobody:daemon".to_owned()),
        sudo: true,
        mode: Some(0o700),
        ..UploadOptions::default()
    };
    upload(&session, UploadSource::Folder(here), there.as_str(), &options, &|_, _| {}).await.unwrap();
    let nobody: u32 = output(Command::new("id").args(["-u", "nobody"])).parse().unwrap();
    let find = format!("sudo -n find {0} -user nobody || find {0} -user nobody", rig_ssh::quote(there.as_str()));
    let found = session.run(&find, None, 1000).await.unwrap().stdout;
    assert_eq!(String::from_utf8(found).unwrap().lines().count(), 3);
    assert_eq!(fs_err::metadata(&there).unwrap().permissions().mode() & 0o7777, 0o700);
    assert_ne!(fs_err::metadata(&outside).unwrap().uid(), nobody);
    // Only root may look into it now.
    let sudo = DownloadOptions { sudo: true, ..ALL };
    let come = download(&session, there.as_str(), &lab.utf8("back"), &sudo, &|_| {}).await.unwrap();
    assert_eq!((come.bytes, come.skipped), (1, vec!["link".to_owned()]));
    session.run(&format!("sudo -n rm -rf {0} || rm -rf {0}", rig_ssh::quote(there.as_str())), None, 0).await.unwrap();
    let options = UploadOptions { owner: Some("--help".to_owned()), ..UploadOptions::default() };
    upload(&session, text("x"), there.as_str(), &options, &|_, _| {}).await.unwrap_err();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hundred_megabytes() {
    let lab = Lab::start();
    let session = lab.connect().await.another(&seconds(20), &|_| {}).await.unwrap();
    let size = 100_000_000;
    let here = lab.utf8("here");
    write(&here, (0..size).map(|n: u32| n.wrapping_mul(2_654_435_761).to_le_bytes()[3]).collect::<Vec<_>>(), 0o644);
    let start = Instant::now();
    send(&session, UploadSource::File(here.clone()), &lab.utf8("there")).await.unwrap();
    let up = start.elapsed();
    let start = Instant::now();
    download(&session, lab.utf8("there").as_str(), &lab.utf8("back"), &ALL, &|_| {}).await.unwrap();
    println!("up {:.0} MB/s, down {:.0} MB/s", 100.0 / up.as_secs_f64(), 100.0 / start.elapsed().as_secs_f64());
    assert!(fs_err::read(here).unwrap() == fs_err::read(lab.utf8("back")).unwrap());
    assert!(up < Duration::from_secs(30));
}

/// A connection changes its keys once a gigabyte has passed, in each direction.
#[tokio::test(flavor = "multi_thread")]
async fn keys_are_changed_on_the_way() {
    const SIZE: u64 = (1 << 30) + (200 << 20);
    let lab = Lab::start();
    let session = lab.connect().await;
    let large = lab.utf8("large");
    fs_err::File::create(&large).unwrap().set_len(SIZE).unwrap();
    send(&session, UploadSource::File(large), &lab.utf8("there")).await.unwrap();
    let options = DownloadOptions { limit: 2 << 30, ..ALL };
    let come = download(&session, lab.utf8("there").as_str(), &lab.utf8("back"), &options, &|_| {}).await.unwrap();
    assert_eq!(come.bytes, SIZE);
}
