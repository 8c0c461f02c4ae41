//! What downloads must promise: encryption, checksums, mirrors.

use crate::support::{context, everything, request, sha256, store, tar_gz, temporary, virtualbox, write};
use rig_box_store::{AddRequest, BoxStore, Checksum, StoreError};
use rig_boxes::BoxError;
use sha2::{Digest, Sha512};
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
    let hex: String = Sha512::digest(&bytes).iter().map(|byte| format!("{byte:02x}")).collect();
    let right = AddRequest { checksum: checksum(&hex), ..plain };
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
