//! What downloads must promise: encryption, checksums, mirrors.

use crate::support::{
    context, everything, named, request, sha256, store, tar, tar_gz, temporary, virtualbox, write, zip,
};
use rig_box_store::{AddRequest, BoxStore, Checksum, StoreError};
use rig_boxes::{ArtifactStore, BoxError, FetchSettings, RemoteFile};
use rig_model::Progress;
use rig_provider_api::{Context, ProgressSink};
use rig_state::CacheLayout;
use serde_json::json;
use sha2::{Digest, Sha512};
use std::{sync::Arc, time::Duration};
use tokio_util::sync::CancellationToken;
use wiremock::{
    Mock, MockServer, ResponseTemplate,
    matchers::{method, path},
};

async fn serve(server: &MockServer, at: &str, bytes: Vec<u8>) {
    Mock::given(method("GET"))
        .and(path(at))
        .respond_with(ResponseTemplate::new(200).set_body_bytes(bytes))
        .mount(server)
        .await;
}

fn from(url: String) -> AddRequest {
    AddRequest { name: "example/box".parse().ok(), ..request(url) }
}

fn checksum(text: &str) -> Option<Checksum> {
    Some(text.parse().unwrap())
}

fn sha512(bytes: &[u8]) -> String {
    Sha512::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}

async fn fails(store: &BoxStore, request: &AddRequest) -> StoreError {
    let error = store.add(request, &context()).await.unwrap_err();
    assert_eq!(store.list().unwrap().boxes, []);
    error
}

#[tokio::test]
async fn a_server_must_promise_what_it_sends() {
    let server = MockServer::start().await;
    let bytes = tar_gz(&virtualbox("a"));
    serve(&server, "/a.box", bytes.clone()).await;
    let (_guard, folder) = temporary();
    let store = store(&folder, "");
    let plain = from(format!("{}/a.box", server.uri()));
    let error = fails(&store, &plain).await;
    assert!(matches!(error, StoreError::NoChecksum { .. }) && error.is_usage(), "{error}");
    assert!(error.hint().unwrap().contains("--checksum"), "{error}");
    let md5 = AddRequest { checksum: checksum("900150983cd24fb0d6963f7d28e17f72"), ..plain.clone() };
    assert!(fails(&store, &md5).await.to_string().contains("md5, which can be forged"));
    assert_eq!(server.received_requests().await.unwrap().len(), 0);
    let wrong = AddRequest { checksum: checksum(&sha256(b"other")), ..plain.clone() };
    let error = fails(&store, &wrong).await;
    assert!(matches!(error, StoreError::Fetch(BoxError::Checksum { .. })), "{error}");
    let wrong = AddRequest { insecure: true, ..md5 };
    let error = fails(&store, &wrong).await;
    assert!(matches!(error, StoreError::Checksum { .. }), "{error}");
    assert_eq!(everything(&folder), [""; 0]);
    let right = AddRequest { checksum: checksum(&sha512(&bytes)), ..plain };
    assert!(store.add(&right, &context()).await.unwrap().stored.record.checked);
    assert_eq!(everything(&folder.join("cache")), [""; 0]);
}

#[tokio::test]
async fn a_file_of_this_host_is_compared_where_somebody_says_what_it_is() {
    let (_guard, folder) = temporary();
    let bytes = tar_gz(&virtualbox("a"));
    let file = write(&folder.join("a.box"), &bytes);
    let store = store(&folder, "");
    let wrong = AddRequest { checksum: checksum(&sha256(b"other")), ..from(format!("file://{file}")) };
    assert!(matches!(fails(&store, &wrong).await, StoreError::Checksum { .. }));
    let right = AddRequest { checksum: checksum(&sha256(&bytes)), ..wrong };
    assert!(store.add(&right, &context()).await.unwrap().stored.record.checked);
}

#[tokio::test]
async fn what_is_not_encrypted_is_not_asked() {
    let (_guard, folder) = temporary();
    let store = store(&folder, "http://catalogue.example");
    for text in ["http://catalogue.example/c.json", "example/box"] {
        let error = fails(&store, &request(text)).await;
        assert!(matches!(error, StoreError::Unencrypted { .. }) && error.is_usage(), "{error}");
    }
    let plain = AddRequest { checksum: checksum(&sha256(b"")), ..from("http://files.example/a.box".to_owned()) };
    assert!(matches!(fails(&store, &plain).await, StoreError::Unencrypted { .. }));
}

#[tokio::test]
async fn mirrors_are_asked_in_their_order() {
    let server = MockServer::start().await;
    let bytes = tar_gz(&virtualbox("a"));
    serve(&server, "/files/a.box", bytes.clone()).await;
    serve(&server, "/wrong/files/a.box", b"something else".to_vec()).await;
    let (_guard, folder) = temporary();
    let store = store(&folder, "");
    let mirrors = ["absent", "wrong"].map(|name| format!("{}/{name}", server.uri())).to_vec();
    let right = checksum(&sha256(&bytes));
    let request = AddRequest { checksum: right, mirrors, ..from(format!("{}/files/a.box", server.uri())) };
    let added = store.add(&request, &context()).await.unwrap();
    assert_eq!(added.stored.record.source, format!("{}/files/a.box", server.uri()));
    let asked = server.received_requests().await.unwrap();
    let asked: Vec<&str> = asked.iter().map(|request| request.url.path()).collect();
    assert_eq!(asked, ["/absent/files/a.box", "/wrong/files/a.box", "/files/a.box"]);
}

#[tokio::test]
async fn when_no_mirror_helps_all_are_named() {
    let server = MockServer::start().await;
    let (_guard, folder) = temporary();
    let mirrors = vec![format!("{}/m", server.uri())];
    let url = format!("{}/a.box", server.uri());
    let request = AddRequest { checksum: checksum(&sha256(b"")), mirrors, ..from(url) };
    let error = fails(&store(&folder, ""), &request).await.to_string();
    assert!(error.contains("/m/a.box: the server answered 404") && error.contains("/a.box: the server"), "{error}");
}

#[tokio::test]
async fn a_stored_box_must_be_the_promised_one() {
    let (_guard, folder) = temporary();
    let store = store(&folder, "");
    let [one, two] = ["a", "b"].map(|text| tar_gz(&virtualbox(text)));
    let [first, second] = [("one.box", &one), ("two.box", &two)].map(|(name, bytes)| write(&folder.join(name), bytes));
    let versioned = |path: &camino::Utf8Path| AddRequest { version: Some("1".to_owned()), ..named(path) };
    // The catalogue says what it runs on, as the box does not.
    let by_hand = AddRequest { architecture: "amd64".parse().ok(), ..versioned(&first) };
    store.add(&by_hand, &context()).await.unwrap();
    let catalogue = |name: &str, checksum: String| {
        let file = json!({"name": "virtualbox", "url": "two.box", "architecture": "amd64", "checksum": checksum});
        let text = json!({"name": "example/box", "versions": [{"version": "1", "providers": [file]}]});
        request(write(&folder.join(name), text.to_string().as_bytes()))
    };
    // Somebody called another file so.
    let promised = catalogue("sha256.json", sha256(&two));
    let error = store.add(&promised, &context()).await.unwrap_err();
    assert!(matches!(error, StoreError::OtherStored { .. }), "{error}");
    assert!(error.to_string().contains(&sha256(&one)) && error.hint().unwrap().contains("--force"), "{error}");
    // Of this kind nothing is known: it is compared.
    let other_kind = catalogue("sha512.json", sha512(&two));
    let error = store.add(&other_kind, &context()).await.unwrap_err();
    assert!(matches!(error, StoreError::Occupied { .. }), "{error}");
    let added = store.add(&AddRequest { force: true, ..other_kind.clone() }, &context()).await.unwrap();
    assert_eq!(added.stored.record.checksum, checksum(&sha512(&two)));
    // Now it is, and the file is not needed.
    fs_err::remove_file(second).unwrap();
    assert!(store.add(&other_kind, &context()).await.unwrap().already);
    assert!(store.add(&promised, &context()).await.unwrap().already);
    let error = store.add(&catalogue("sha512.json", sha512(&one)), &context()).await.unwrap_err();
    assert!(matches!(error, StoreError::OtherStored { .. }), "{error}");
}

/// Changes the box file when unpacking begins.
struct Swap(camino::Utf8PathBuf, Vec<u8>);

impl ProgressSink for Swap {
    fn progress(&self, progress: Progress) {
        if progress.step == "unpacking" {
            fs_err::write(&self.0, &self.1).unwrap();
        }
    }
}

#[tokio::test]
async fn what_is_unpacked_is_what_was_compared() {
    for pack in [tar_gz, tar, zip] {
        let [one, two] = ["a", "b"].map(|text| pack(&virtualbox(text)));
        let (_guard, folder) = temporary();
        let file = write(&folder.join("a.box"), &one);
        let swap = Arc::new(Swap(file.clone(), two));
        let cx = Context::new(CancellationToken::new(), Duration::from_secs(60), swap);
        let request = AddRequest { checksum: checksum(&sha256(&one)), ..named(&file) };
        let store = store(&folder, "");
        let error = store.add(&request, &cx).await.unwrap_err();
        assert!(matches!(error, StoreError::Checksum { .. }), "{error}");
        assert_eq!(everything(&folder), ["a.box"]);
    }
}

#[tokio::test]
async fn the_cache_keeps_what_others_put_there_and_nothing_that_is_no_box() {
    let server = MockServer::start().await;
    let (bytes, bad) = (tar_gz(&virtualbox("a")), b"no box".to_vec());
    serve(&server, "/a.box", bytes.clone()).await;
    serve(&server, "/bad.box", bad.clone()).await;
    let (_guard, folder) = temporary();
    let store = store(&folder, "");
    let of = |name: &str, bytes: &[u8]| AddRequest {
        checksum: checksum(&sha256(bytes)),
        ..from(format!("{}/{name}", server.uri()))
    };
    let error = fails(&store, &of("bad.box", &bad)).await;
    assert!(matches!(error, StoreError::Archive { .. }), "{error}");
    assert_eq!(everything(&folder.join("cache")), [""; 0]);
    let url = format!("{}/a.box", server.uri());
    let digest = checksum(&sha256(&bytes)).unwrap().sha256();
    let file = RemoteFile { what: "a file", url: &url, sha256: digest.as_ref(), checked_later: false };
    let cache = ArtifactStore::new(CacheLayout::new(folder.join("cache")), FetchSettings::default());
    let there = cache.download(&file, &context()).await.unwrap();
    store.add(&of("a.box", &bytes), &context()).await.unwrap();
    assert!(there.path.is_file());
    // What is in the cache is not what its name says any more.
    fs_err::write(&there.path, &bad).unwrap();
    let forced = AddRequest { force: true, ..of("a.box", &bytes) };
    store.add(&forced, &context()).await.unwrap_err();
    assert!(!there.path.exists());
    store.add(&forced, &context()).await.unwrap();
}

#[tokio::test]
async fn what_opens_a_server_is_neither_kept_nor_shown() {
    let server = MockServer::start().await;
    let bytes = tar_gz(&virtualbox("a"));
    serve(&server, "/a.box", bytes.clone()).await;
    let (_guard, folder) = temporary();
    let store = store(&folder, "");
    let at = |name: &str| {
        let url = format!("{}/{name}?token=SECRET#SECRET", server.uri()).replace("http://", "http://me:SECRET@");
        AddRequest { checksum: checksum(&sha256(&bytes)), ..from(url) }
    };
    let wrong = AddRequest { checksum: checksum(&sha256(b"other")), ..at("a.box") };
    for request in [
        at("absent.box"),
        wrong,
        AddRequest { checksum: None, ..at("c.json") },
        AddRequest { mirrors: vec!["ftp://me:SECRET@x/".to_owned()], ..at("a.box") },
        AddRequest { name: None, ..at("a.box") },
        AddRequest { checksum: None, ..from("http://me:SECRET@catalogue.example/c.json?SECRET".to_owned()) },
    ] {
        let error = fails(&store, &request).await;
        let text = format!("{error} {:?}", error.hint());
        assert!(!text.contains("SECRET"), "{text}");
    }
    let added = store.add(&at("a.box"), &context()).await.unwrap().stored;
    assert_eq!(added.record.source, format!("{}/a.box", server.uri()));
    assert_eq!(server.received_requests().await.unwrap().last().unwrap().url.query(), Some("token=SECRET"));
    let record = added.folder.parent().unwrap().join("record.json");
    assert!(!fs_err::read_to_string(record).unwrap().contains("SECRET"));
}

#[tokio::test(flavor = "multi_thread")]
async fn many_add_the_same_download_at_the_same_time() {
    let server = MockServer::start().await;
    let bytes = tar_gz(&virtualbox("a"));
    serve(&server, "/a.box", bytes.clone()).await;
    let (_guard, folder) = temporary();
    let adds: Vec<_> = (0..8)
        .map(|index| {
            let name = format!("example/box{index}").parse().ok();
            let plain = AddRequest { name, ..from(format!("{}/a.box", server.uri())) };
            // Some by their checksum, some without.
            let request = match index % 2 {
                0 => AddRequest { checksum: checksum(&sha256(&bytes)), ..plain },
                _ => AddRequest { insecure: true, ..plain },
            };
            let store = store(&folder, "");
            tokio::spawn(async move { store.add(&request, &context()).await })
        })
        .collect();
    for add in adds {
        add.await.unwrap().unwrap();
    }
    assert_eq!(store(&folder, "").list().unwrap().boxes.len(), 8);
}
