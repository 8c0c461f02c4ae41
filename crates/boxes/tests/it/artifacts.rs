//! Downloads that are cut, resumed, refused, wrong, shared.

use crate::{
    server::{Server, Way},
    support::{artifact, context, settings, temporary},
};
use camino::Utf8Path;
use rig_boxes::{ArtifactStore, BoxError};
use rig_model::{ArtifactSource, ArtifactSpec, Digest};
use rig_state::CacheLayout;
use std::{collections::HashSet, time::Duration};

fn content() -> Vec<u8> {
    (0..300_000_u32).map(|i| (i.wrapping_mul(2_654_435_761) >> 24) as u8).collect()
}

fn url(server: &Server) -> ArtifactSpec {
    artifact(ArtifactSource::Url(server.url.clone()), &content())
}

fn store(folder: &Utf8Path) -> (ArtifactStore, CacheLayout) {
    let cache = CacheLayout::new(folder.join("cache"));
    (ArtifactStore::new(cache.clone(), settings()), cache)
}

/// Names of everything in the cache that is not a lock.
fn files(cache: &CacheLayout) -> Vec<String> {
    let below = |folder: &Utf8Path| -> Vec<_> {
        folder
            .read_dir_utf8()
            .map(|entries| entries.map(|entry| entry.unwrap().into_path()).collect())
            .unwrap_or_default()
    };
    let kept = below(&cache.artifacts()).into_iter().flat_map(|folder| below(&folder));
    let mut names: Vec<_> =
        kept.chain(below(&cache.partials())).map(|path| path.extension().unwrap().to_owned()).collect();
    names.sort();
    names
}

#[track_caller]
fn assert_whole(path: &Utf8Path) {
    assert!(fs_err::read(path).unwrap() == content(), "{path} is not what was served");
}

#[tokio::test]
async fn a_file_is_downloaded_once_and_told_in_bytes() {
    let server = Server::start(&content(), None, [Way::Well]).await;
    let (_guard, folder) = temporary();
    let (store, cache) = store(&folder);
    let (cx, told) = context();
    let artifact = url(&server);
    assert_eq!(store.cached(&artifact).unwrap(), None);
    let path = store.fetch(&artifact, &folder, &cx).await.unwrap();
    assert_eq!(path, cache.artifact(&artifact.sha256).join("thing.bin"));
    assert_whole(&path);
    assert_eq!(told.most(), Some(300_000));
    assert_eq!(store.fetch(&artifact, &folder, &cx).await.unwrap(), path);
    assert_eq!(server.requests().len(), 1);
    assert_eq!(files(&cache), ["bin"]);
}

#[tokio::test]
async fn a_cut_connection_is_resumed_where_it_ended() {
    let server = Server::start(&content(), Some("\"v1\""), [Way::Cut(100_000), Way::Cut(50_000), Way::Well]).await;
    let (_guard, folder) = temporary();
    let (store, cache) = store(&folder);
    let path = store.fetch(&url(&server), &folder, &context().0).await.unwrap();
    assert_whole(&path);
    assert_eq!(server.ranges(), [None, Some("bytes=100000-".to_owned()), Some("bytes=150000-".to_owned())]);
    assert_eq!(server.requests()[1].if_range.as_deref(), Some("\"v1\""));
    assert_eq!(files(&cache), ["bin"]);
}

#[tokio::test]
async fn the_next_run_resumes_what_this_one_gave_up() {
    let server = Server::start(&content(), None, [Way::Cut(1000), Way::Cut(1000), Way::Cut(1000), Way::Well]).await;
    let (_guard, folder) = temporary();
    let (store, cache) = store(&folder);
    let error = store.fetch(&url(&server), &folder, &context().0).await.unwrap_err();
    assert!(matches!(error, BoxError::Transfer { have: 3000, total: Some(300_000), .. }), "{error}");
    assert!(error.to_string().contains("3000 of 300000 bytes are there"), "{error}");
    assert!(error.hint().unwrap().contains("goes on where it ended"));
    assert_eq!(files(&cache), ["json", "part"]);
    assert_whole(&store.fetch(&url(&server), &folder, &context().0).await.unwrap());
    assert_eq!(server.ranges()[3].as_deref(), Some("bytes=3000-"));
}

#[tokio::test]
async fn a_server_that_ignores_ranges_starts_anew() {
    let server = Server::start(&content(), None, [Way::Cut(100_000), Way::IgnoreRange]).await;
    let (_guard, folder) = temporary();
    assert_whole(&store(&folder).0.fetch(&url(&server), &folder, &context().0).await.unwrap());
}

#[tokio::test]
async fn a_server_that_sends_another_range_starts_anew() {
    let server = Server::start(&content(), None, [Way::Cut(100_000), Way::WrongRange, Way::Well]).await;
    let (_guard, folder) = temporary();
    assert_whole(&store(&folder).0.fetch(&url(&server), &folder, &context().0).await.unwrap());
    assert_eq!(server.ranges()[2], None);
}

#[tokio::test]
async fn parts_of_different_files_are_noticed_and_fetched_in_one_piece() {
    let server = Server::start(&content(), None, [Way::Well]).await;
    let (_guard, folder) = temporary();
    let (store, cache) = store(&folder);
    let artifact = url(&server);
    cache.prepare().unwrap();
    fs_err::write(cache.partial(&artifact.sha256), vec![b'x'; 5000]).unwrap();
    assert_whole(&store.fetch(&artifact, &folder, &context().0).await.unwrap());
    assert_eq!(server.ranges(), [Some("bytes=5000-".to_owned()), None]);
}

#[tokio::test]
async fn a_part_longer_than_the_file_is_thrown_away() {
    let server = Server::start(&content(), None, [Way::Well]).await;
    let (_guard, folder) = temporary();
    let (store, cache) = store(&folder);
    let artifact = url(&server);
    cache.prepare().unwrap();
    fs_err::write(cache.partial(&artifact.sha256), vec![b'x'; 400_000]).unwrap();
    assert_whole(&store.fetch(&artifact, &folder, &context().0).await.unwrap());
}

#[tokio::test]
async fn a_whole_part_needs_no_server() {
    let (_guard, folder) = temporary();
    let (store, cache) = store(&folder);
    let artifact = artifact(ArtifactSource::Url("http://127.0.0.1:1/thing.bin".to_owned()), &content());
    cache.prepare().unwrap();
    fs_err::write(cache.partial(&artifact.sha256), content()).unwrap();
    assert_whole(&store.fetch(&artifact, &folder, &context().0).await.unwrap());
}

#[tokio::test]
async fn a_wrong_checksum_leaves_nothing_behind() {
    let server = Server::start(b"something else", None, [Way::Well]).await;
    let (_guard, folder) = temporary();
    let (store, cache) = store(&folder);
    let artifact = url(&server);
    let error = store.fetch(&artifact, &folder, &context().0).await.unwrap_err();
    let BoxError::Checksum { expected, actual, origin, .. } = &error else { panic!("{error}") };
    assert_eq!((expected, actual), (&artifact.sha256, &Digest::of(b"something else")));
    assert_eq!(*origin, server.url);
    assert!(files(&cache).is_empty());
    assert_eq!(server.requests().len(), 1, "tried again in vain");
}

#[tokio::test]
async fn a_wrong_file_in_pieces_is_begun_anew_once() {
    let wrong = vec![b'x'; 1000];
    let server = Server::start(&wrong, None, [Way::Cut(10), Way::Well, Way::Cut(10), Way::Well]).await;
    let (_guard, folder) = temporary();
    let (store, cache) = store(&folder);
    let error = store.fetch(&url(&server), &folder, &context().0).await.unwrap_err();
    assert!(matches!(error, BoxError::Checksum { .. }), "{error}");
    assert_eq!(server.requests().len(), 4);
    assert!(files(&cache).is_empty());
}

#[tokio::test]
async fn a_refusal_is_told_at_once_and_a_hiccup_is_tried_again() {
    let (_guard, folder) = temporary();
    let (store, _) = store(&folder);
    let server = Server::start(&content(), None, [Way::Status(404)]).await;
    let error = store.fetch(&url(&server), &folder, &context().0).await.unwrap_err();
    assert!(matches!(error, BoxError::Status { status: 404, .. }), "{error}");
    assert_eq!(server.requests().len(), 1);
    let server = Server::start(&content(), None, [Way::Status(503), Way::Status(429), Way::Well]).await;
    assert_whole(&store.fetch(&url(&server), &folder, &context().0).await.unwrap());
}

#[tokio::test]
async fn a_server_that_falls_silent_is_asked_again() {
    let server = Server::start(&content(), None, [Way::Stall(70_000), Way::Well]).await;
    let (_guard, folder) = temporary();
    let (cx, told) = context();
    assert_whole(&store(&folder).0.fetch(&url(&server), &folder, &cx).await.unwrap());
    assert_eq!(server.ranges()[1].as_deref(), Some("bytes=70000-"));
    assert!(told.steps().iter().any(|step| step.contains("sent nothing")), "{:?}", told.steps());
}

#[tokio::test]
async fn a_server_that_is_not_there_is_an_error_with_a_reason() {
    let (_guard, folder) = temporary();
    let artifact = artifact(ArtifactSource::Url("http://127.0.0.1:1/x.bin".to_owned()), b"");
    let error = store(&folder).0.fetch(&artifact, &folder, &context().0).await.unwrap_err().to_string();
    assert!(error.contains("onnection refused") && error.contains("http://127.0.0.1:1/x.bin"), "{error}");
}

#[tokio::test]
async fn two_that_want_the_same_file_download_it_once() {
    let server = Server::start(&content(), None, [Way::Slow(Duration::from_millis(300))]).await;
    let (_guard, folder) = temporary();
    let [first, second] = [store(&folder).0, store(&folder).0];
    let artifact = url(&server);
    let (cx, told) = context();
    let (one, other) = tokio::join!(first.fetch(&artifact, &folder, &cx), second.fetch(&artifact, &folder, &cx));
    assert_eq!(one.unwrap(), other.unwrap());
    assert_eq!(server.requests().len(), 1);
    assert!(told.steps().iter().any(|step| step == "waiting for another rig that downloads thing.bin"));
}

#[tokio::test]
async fn cancelling_keeps_what_is_there() {
    let server = Server::start(&content(), None, [Way::Stall(90_000), Way::Well]).await;
    let (_guard, folder) = temporary();
    let (store, _) = store(&folder);
    let artifact = url(&server);
    let (cx, _) = context();
    let cancel = cx.cancel().clone();
    tokio::spawn(async move {
        tokio::time::sleep(Duration::from_millis(150)).await;
        cancel.cancel();
    });
    let error = store.fetch(&artifact, &folder, &cx).await.unwrap_err();
    assert!(error.is_cancelled(), "{error}");
    assert_whole(&store.fetch(&artifact, &folder, &context().0).await.unwrap());
    assert_eq!(server.ranges()[1].as_deref(), Some("bytes=90000-"));
}

#[tokio::test]
async fn a_file_of_this_host_is_copied_and_checked() {
    let (_guard, folder) = temporary();
    let (store, cache) = store(&folder);
    fs_err::write(folder.join("local.bin"), content()).unwrap();
    let spec = artifact(ArtifactSource::File("local.bin".to_owned()), &content());
    assert_whole(&store.fetch(&spec, &folder, &context().0).await.unwrap());
    let wrong = artifact(ArtifactSource::File("local.bin".to_owned()), b"other");
    let error = store.fetch(&wrong, &folder, &context().0).await.unwrap_err();
    assert!(matches!(error, BoxError::Checksum { .. }), "{error}");
    assert_eq!(files(&cache), ["bin"]);
}

#[tokio::test]
async fn pruning_keeps_what_is_wanted() {
    let (_guard, folder) = temporary();
    let (store, cache) = store(&folder);
    assert_eq!(store.prune(&HashSet::new()).unwrap(), 0);
    for text in ["one", "three"] {
        fs_err::write(folder.join(format!("{text}.txt")), text).unwrap();
        let spec = artifact(ArtifactSource::File(format!("{text}.txt")), text.as_bytes());
        store.fetch(&spec, &folder, &context().0).await.unwrap();
    }
    fs_err::write(cache.partial(&Digest::of(b"cut")), "cut!").unwrap();
    assert_eq!(store.list().unwrap().len(), 2);
    assert_eq!(store.prune(&HashSet::from([Digest::of(b"one")])).unwrap(), 9);
    let left = store.list().unwrap();
    assert_eq!((left.len(), left[0].size), (1, 3));
}
