//! Downloads and adds that end in the middle.

use crate::{
    server::{Server, Way},
    support::{
        context, everything, libvirt, named, request, sha256, store, stored, tar_gz, temporary, virtualbox, write,
    },
};
use rig_box_store::{AddRequest, StoreError};
use rig_boxes::BoxError;
use rig_model::Progress;
use rig_provider_api::{Context, NoProgress, ProgressSink};
use std::{
    sync::{Arc, Mutex, mpsc},
    time::Duration,
};
use tokio::sync::oneshot;
use tokio_util::sync::CancellationToken;

/// What does not compress, so that it can be cut anywhere.
fn noise() -> String {
    (0..2000_u32).map(|i| format!("{:x}", i.wrapping_mul(2_654_435_761))).collect()
}

#[tokio::test]
async fn a_download_that_was_cut_goes_on() {
    let bytes = tar_gz(&virtualbox(&noise()));
    let server = Server::start(&bytes, Some("\"1\""), [Way::Cut(1000), Way::Cut(1000), Way::Well]).await;
    let (_guard, folder) = temporary();
    let store = store(&folder, "");
    let name = "example/box".parse().ok();
    let request = AddRequest { name, checksum: sha256(&bytes).parse().ok(), ..request(server.url.as_str()) };
    let error = store.add(&request, &context()).await.unwrap_err();
    assert!(matches!(error, StoreError::Fetch(BoxError::Transfer { have: 2000, .. })), "{error}");
    assert!(error.hint().unwrap().contains("goes on where it ended"), "{error}");
    assert_eq!(everything(&folder.join("boxes")), [""; 0]);
    let added = store.add(&request, &context()).await.unwrap();
    assert!(added.stored.record.checked);
    assert_eq!(server.ranges()[2].as_deref(), Some("bytes=2000-"));
    // What is unpacked is not kept packed as well.
    assert_eq!(everything(&folder.join("cache")), [""; 0]);
}

/// Keeps everything that is told.
struct Heard(Mutex<String>);

impl ProgressSink for Heard {
    fn progress(&self, progress: Progress) {
        self.0.lock().unwrap().push_str(&progress.step);
    }
}

#[tokio::test]
async fn a_download_that_was_cut_leaves_no_secrets() {
    let bytes = tar_gz(&virtualbox(&noise()));
    let server = Server::start(&bytes, Some("\"1\""), [Way::Cut(1000), Way::Cut(1000)]).await;
    let (_guard, folder) = temporary();
    let url = format!("{}?SECRET", server.url.replace("//", "//me:SECRET@"));
    let request =
        AddRequest { name: "example/box".parse().ok(), checksum: sha256(&bytes).parse().ok(), ..request(url) };
    let heard = Arc::new(Heard(Mutex::default()));
    let cx = Context::new(CancellationToken::new(), Duration::from_secs(60), heard.clone());
    let error = store(&folder, "").add(&request, &cx).await.unwrap_err();
    assert!(matches!(error, StoreError::Fetch(BoxError::Transfer { .. })), "{error}");
    assert!(!error.to_string().contains("SECRET") && !heard.0.lock().unwrap().contains("SECRET"), "{error}");
    let left = everything(&folder.join("cache"));
    assert!(left.len() > 1, "{left:?}");
    for file in left {
        let bytes = fs_err::read(folder.join("cache").join(file)).unwrap();
        assert!(!String::from_utf8_lossy(&bytes).contains("SECRET"));
    }
}

#[tokio::test]
async fn without_a_checksum_only_a_server_that_knows_its_files_is_asked_for_the_rest() {
    let bytes = tar_gz(&virtualbox(&noise()));
    for (etag, second) in [(None, None), (Some("\"1\""), Some("bytes=1000-"))] {
        let server = Server::start(&bytes, etag, [Way::Cut(1000), Way::Well]).await;
        let (_guard, folder) = temporary();
        let name = "example/box".parse().ok();
        let request = AddRequest { name, insecure: true, ..request(server.url.replace("thing.bin", "thing.box")) };
        let added = store(&folder, "").add(&request, &context()).await.unwrap();
        assert!(!added.stored.record.checked);
        assert_eq!(server.ranges()[1].as_deref(), second);
        assert_eq!(everything(&folder.join("cache")), [""; 0]);
    }
}

#[tokio::test]
async fn an_add_that_was_killed_is_completed_by_the_next() {
    let (_guard, folder) = temporary();
    let path = write(&folder.join("a.box"), &tar_gz(&virtualbox("a")));
    let store = store(&folder, "");
    // What a rig that was killed while it unpacked leaves, and one that was killed while it replaced.
    let work = folder.join("boxes/.work/example%2fbox");
    write(&work.join("new/box/box-disk001.vmdk"), b"a part");
    write(&work.join("old/record.json"), b"{");
    write(&folder.join("boxes/.work/other/new/box/x"), b"a part");
    assert_eq!(stored(&store), [""; 0]);
    store.add(&named(&path), &context()).await.unwrap();
    assert_eq!(stored(&store).len(), 1);
    assert!(!work.exists());
    let pruned = store.prune(&Default::default(), 1, &[], &context(), |_| {}).await.unwrap();
    assert_eq!((pruned.boxes.len(), pruned.leftovers), (0, 1));
    assert_eq!(everything(&folder.join("boxes/.work")), [""; 0]);
}

#[tokio::test]
async fn a_replacement_that_was_killed_in_the_middle_is_ended() {
    let (_guard, folder) = temporary();
    let [one, two] =
        ["a", "b"].map(|text| write(&folder.join(text).with_extension("box"), &tar_gz(&libvirt(text, "amd64"))));
    let store = store(&folder, "");
    let new = store.add(&named(&one), &context()).await.unwrap().stored;
    // The new box is whole, the old one taken out, and then the power went.
    let (slot, work) = (new.folder.parent().unwrap(), folder.join("boxes/.work/example%2fbox"));
    fs_err::create_dir_all(work.join("old")).unwrap();
    fs_err::rename(slot, work.join("new")).unwrap();
    assert_eq!(stored(&store), [""; 0]);
    let request = AddRequest { version: Some("2".to_owned()), ..named(&two) };
    store.add(&request, &context()).await.unwrap();
    assert_eq!(stored(&store), ["example/box 0 (libvirt, amd64)", "example/box 2 (libvirt, amd64)"]);
    assert_eq!(store.verify(&new, &context()).await.unwrap().changes, []);
    assert!(!work.exists());
}

#[tokio::test]
async fn a_replacement_that_fails_leaves_the_old_box() {
    let (_guard, folder) = temporary();
    let [one, two] =
        ["a", "b"].map(|text| write(&folder.join(text).with_extension("box"), &tar_gz(&libvirt(text, "amd64"))));
    let store = store(&folder, "");
    let versioned = |path, version: &str| AddRequest { version: Some(version.to_owned()), ..named(path) };
    let old = store.add(&versioned(&one, "1.0"), &context()).await.unwrap().stored;
    // The same version, written in another way, has another place, and something is in the way to it.
    let way = write(&folder.join("boxes/example%2fbox/1"), b"a file");
    let forced = AddRequest { force: true, ..versioned(&two, "1") };
    store.add(&forced, &context()).await.unwrap_err();
    assert_eq!(stored(&store), ["example/box 1.0 (libvirt, amd64)"]);
    assert_eq!(store.verify(&old, &context()).await.unwrap().changes, []);
    assert_eq!(everything(&folder.join("boxes/.work")), [""; 0]);
    fs_err::remove_file(way).unwrap();
    store.add(&forced, &context()).await.unwrap();
    assert_eq!(stored(&store), ["example/box 1 (libvirt, amd64)"]);
}

/// Says when unpacking begins, and lets it wait.
struct Gate {
    reached: Mutex<Option<oneshot::Sender<()>>>,
    open: Mutex<mpsc::Receiver<()>>,
}

impl ProgressSink for Gate {
    fn progress(&self, progress: Progress) {
        if progress.step == "unpacking"
            && let Some(reached) = self.reached.lock().unwrap().take()
        {
            reached.send(()).unwrap();
            self.open.lock().unwrap().recv().unwrap();
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_lock_is_held_as_long_as_there_is_work() {
    let (_guard, folder) = temporary();
    let path = write(&folder.join("a.box"), &tar_gz(&libvirt("a", "amd64")));
    let store = store(&folder, "");
    let ((reached, begun), (go_on, open)) = (oneshot::channel(), mpsc::channel());
    let gate = Gate { reached: Mutex::new(Some(reached)), open: Mutex::new(open) };
    let cx = Context::new(CancellationToken::new(), Duration::from_secs(60), Arc::new(gate));
    let adding = tokio::spawn({
        let (store, path) = (store.clone(), path.clone());
        async move { store.add(&named(&path), &cx).await.map(|_| ()) }
    });
    begun.await.unwrap();
    // Nobody waits for the add any more, but it goes on.
    adding.abort();
    assert!(adding.await.unwrap_err().is_cancelled());
    let short = Context::alone(Duration::from_millis(300));
    let error = store.add(&named(&path), &short).await.unwrap_err();
    assert!(matches!(error, StoreError::Busy { .. }), "{error}");
    go_on.send(()).unwrap();
    let added = store.add(&named(&path), &context()).await.unwrap();
    assert!(added.already);
    assert_eq!(store.verify(&added.stored, &context()).await.unwrap().changes, []);
}

#[tokio::test]
async fn a_place_without_a_record_holds_no_box() {
    let (_guard, folder) = temporary();
    let path = write(&folder.join("a.box"), &tar_gz(&libvirt("a", "amd64")));
    let store = store(&folder, "");
    let slot = folder.join("boxes/example%2fbox/0/amd64/libvirt");
    write(&slot.join("box/box.img"), b"something");
    assert_eq!(stored(&store), [""; 0]);
    let error = store.add(&named(&path), &context()).await.unwrap_err();
    assert!(error.to_string().contains("in the way"), "{error}");
    store.add(&AddRequest { force: true, ..named(&path) }, &context()).await.unwrap();
    assert_eq!(stored(&store), ["example/box 0 (libvirt, amd64)"]);
    fs_err::write(slot.join("record.json"), "{\"format\": \"rig.stored-box/1\"").unwrap();
    let listing = store.list().unwrap();
    assert_eq!((listing.boxes.len(), listing.unreadable.len()), (0, 1));
    // By its place it is still a box that can be removed; what a newer rig stored, only by insisting.
    let key = listing.unreadable[0].key.clone().unwrap();
    assert_eq!(key.to_string(), "example/box 0 (libvirt, amd64)");
    assert_eq!(store.unreadable(&Default::default()).unwrap().first(), Some(&key));
    fs_err::write(slot.join("record.json"), "{\"format\": \"rig.stored-box/99\"}").unwrap();
    let error = store.remove(&key, false, &context()).await.unwrap_err();
    assert!(matches!(error, StoreError::NewerStored { .. }) && error.hint().unwrap().contains("--force"), "{error}");
    store.remove(&key, true, &context()).await.unwrap();
    store.add(&named(&path), &context()).await.unwrap();
    fs_err::write(slot.join("record.json"), "{").unwrap();
    store.remove(&key, false, &context()).await.unwrap();
    assert!(!slot.exists());
}

#[tokio::test]
async fn who_cancels_gets_nothing() {
    let (_guard, folder) = temporary();
    let path = write(&folder.join("a.box"), &tar_gz(&virtualbox(&noise())));
    let cancel = CancellationToken::new();
    let cx = Context::new(cancel.clone(), Duration::from_secs(60), Arc::new(NoProgress));
    cancel.cancel();
    let error = store(&folder, "").add(&named(&path), &cx).await.unwrap_err();
    assert!(error.is_cancelled(), "{error}");
    assert_eq!(everything(&folder.join("boxes")), [""; 0]);
}
