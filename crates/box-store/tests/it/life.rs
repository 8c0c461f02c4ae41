//! A box from its catalogue: added, outdated, updated, pruned, packed again, removed.

use crate::support::{
    context, everything, libvirt, name, named, request, sha256, store, stored, tar_gz, temporary, virtualbox, write,
};
use rig_box_store::{AddRequest, BoxStore, Filter, StoreError, Wish};
use serde_json::{Value, json};
use wiremock::{
    Mock, MockServer, ResponseTemplate,
    matchers::{method, path},
};

/// A catalogue server with versions of one box.
struct Cloud {
    server: MockServer,
    versions: Vec<Value>,
}

impl Cloud {
    async fn start() -> Self {
        Self { server: MockServer::start().await, versions: Vec::new() }
    }

    /// Publishes a version for VirtualBox, and for libvirt on two architectures.
    async fn publish(&mut self, version: &str) {
        let mut providers = Vec::new();
        for (provider, architecture, files) in [
            ("virtualbox", "amd64", virtualbox(version)),
            ("libvirt", "amd64", libvirt(version, "amd64")),
            ("libvirt", "arm64", libvirt(version, "arm64")),
        ] {
            let bytes = tar_gz(&files);
            let at = format!("/example/boxes/box/versions/{version}/providers/{provider}/{architecture}/vagrant.box");
            providers.push(json!({
                "name": provider, "url": format!("{}{at}", self.server.uri()), "architecture": architecture,
                "default_architecture": architecture == "amd64", "checksum": sha256(&bytes), "checksum_type": "sha256",
            }));
            let answer = ResponseTemplate::new(200).set_body_bytes(bytes);
            Mock::given(method("GET")).and(path(at)).respond_with(answer).mount(&self.server).await;
        }
        self.versions.push(json!({"version": version, "status": "active", "providers": providers}));
        let catalogue = json!({"name": "example/box", "description": null, "versions": self.versions});
        Mock::given(method("GET"))
            .and(path("/api/v2/vagrant/example/box"))
            .respond_with(ResponseTemplate::new(200).set_body_json(catalogue))
            .with_priority(u8::try_from(100 - self.versions.len()).unwrap())
            .mount(&self.server)
            .await;
    }
}

fn wanted(version: &str, provider: &str) -> AddRequest {
    AddRequest {
        version: (!version.is_empty()).then(|| version.to_owned()),
        provider: provider.parse().ok(),
        ..request("example/box")
    }
}

async fn add(store: &BoxStore, request: &AddRequest) -> String {
    store.add(request, &context()).await.unwrap().stored.key().to_string()
}

#[tokio::test]
async fn a_box_lives() {
    let mut cloud = Cloud::start().await;
    cloud.publish("1.0.0").await;
    cloud.publish("1.1.0").await;
    let (_guard, folder) = temporary();
    let store = store(&folder, &cloud.server.uri());
    assert_eq!(add(&store, &wanted("= 1.0.0", "virtualbox")).await, "example/box 1.0.0 (virtualbox, amd64)");
    assert_eq!(add(&store, &wanted("~> 1.0", "libvirt")).await, "example/box 1.1.0 (libvirt, amd64)");
    let arm = AddRequest { architecture: "arm64".parse().ok(), ..wanted("< 1.1", "libvirt") };
    assert_eq!(add(&store, &arm).await, "example/box 1.0.0 (libvirt, arm64)");
    let before = cloud.server.received_requests().await.unwrap().len();
    assert!(store.add(&arm, &context()).await.unwrap().already);
    assert_eq!(cloud.server.received_requests().await.unwrap().len(), before + 1, "the catalogue and nothing else");

    cloud.publish("2.0.0").await;
    let ages = store.outdated(&Filter::default(), false, &context()).await.unwrap();
    let seen: Vec<String> = ages
        .iter()
        .map(|age| format!("{} < {} {}", age.key, age.newest.as_ref().unwrap(), age.is_outdated()))
        .collect();
    assert_eq!(
        seen,
        [
            "example/box 1.1.0 (libvirt, amd64) < 2.0.0 true",
            "example/box 1.0.0 (libvirt, arm64) < 2.0.0 true",
            "example/box 1.0.0 (virtualbox, amd64) < 2.0.0 true",
        ]
    );
    for age in &ages {
        assert!(!store.update(age, &request(""), &context()).await.unwrap().already);
    }
    assert_eq!(stored(&store).len(), 6);
    let ages = store.outdated(&Filter::default(), false, &context()).await.unwrap();
    assert!(ages.iter().all(|age| !age.is_outdated() && age.problem.is_none()), "{ages:?}");

    let used = [store.get(&name("example/box"), &Wish { constraint: "1.1.0".parse().unwrap(), ..Wish::default() })];
    let used = used.map(|stored| stored.unwrap().key().clone());
    let would = store.prunable(&Filter::default(), 1, &used).unwrap();
    assert_eq!((would.boxes.len(), stored(&store).len()), (2, 6));
    let mut told = 0;
    store.prune(&Filter::default(), 1, &used, &context(), |_| told += 1).await.unwrap();
    assert_eq!(told, 2);
    assert_eq!(
        stored(&store),
        [
            "example/box 1.1.0 (libvirt, amd64)",
            "example/box 2.0.0 (libvirt, amd64)",
            "example/box 2.0.0 (virtualbox, amd64)",
            "example/box 2.0.0 (libvirt, arm64)",
        ]
    );
    let wish = Wish { provider: "qemu".parse().ok(), ..Wish::default() };
    assert_eq!(store.get(&name("example/box"), &wish).unwrap().key().to_string(), "example/box 2.0.0 (libvirt, amd64)");

    let all = store.select(&Filter { name: Some(name("example/box")), ..Filter::default() }).unwrap();
    store.remove_all(&all, &context(), |_| {}).await.unwrap();
    assert_eq!(everything(&folder), [""; 0]);
    assert!(!folder.join("boxes/example%2fbox").exists());
    let error = store.select(&Filter { name: Some(name("example/box")), ..Filter::default() }).unwrap_err();
    assert!(matches!(error, StoreError::NotStored { .. }), "{error}");
    store.remove(all[0].key(), false, &context()).await.unwrap();
}

#[tokio::test]
async fn what_is_packed_again_is_the_same_box() {
    let (_guard, folder) = temporary();
    let store = store(&folder, "");
    let path = write(&folder.join("a.box"), &tar_gz(&virtualbox("a")));
    let first = store.add(&named(&path), &context()).await.unwrap().stored;
    let [one, two] = ["one.box", "two.box"].map(|name| folder.join(name));
    let packed = store.repackage(&first, &one, false, &context()).await.unwrap();
    assert_eq!(packed.sha256, store.repackage(&first, &two, false, &context()).await.unwrap().sha256);
    assert_eq!(fs_err::read(&one).unwrap(), fs_err::read(&two).unwrap());
    let error = store.repackage(&first, &one, false, &context()).await.unwrap_err();
    assert!(matches!(error, StoreError::Exists { .. }), "{error}");
    store.repackage(&first, &one, true, &context()).await.unwrap();

    let again = AddRequest { version: Some("2".to_owned()), ..named(&one) };
    let second = store.add(&again, &context()).await.unwrap().stored;
    assert_eq!(first.record.files, second.record.files);
    assert_eq!(store.repackage(&second, &two, true, &context()).await.unwrap().sha256, packed.sha256);
}

#[tokio::test]
async fn what_changed_behind_the_stores_back_is_named() {
    let (_guard, folder) = temporary();
    let store = store(&folder, "");
    let path = write(&folder.join("a.box"), &tar_gz(&virtualbox("a")));
    let added = store.add(&named(&path), &context()).await.unwrap().stored;
    let disk = added.folder.join("box-disk001.vmdk");
    let mut bytes = fs_err::read(&disk).unwrap();
    bytes[100] ^= 1;
    fs_err::write(&disk, &bytes).unwrap();
    fs_err::remove_file(added.folder.join("info.json")).unwrap();
    write(&added.folder.join("more/x"), b"x");
    let verdict = store.verify(&added, &context()).await.unwrap();
    let changes: Vec<String> = verdict.changes.iter().map(ToString::to_string).collect();
    assert_eq!(changes, ["box-disk001.vmdk is changed", "info.json is missing", "more/x is added"]);
    let error = store.repackage(&added, &folder.join("b.box"), false, &context()).await.unwrap_err();
    assert!(matches!(error, StoreError::Changed { .. }), "{error}");
    assert!(!folder.join("b.box").exists());
    let again = AddRequest { force: true, ..named(&path) };
    let added = store.add(&again, &context()).await.unwrap().stored;
    assert_eq!(store.verify(&added, &context()).await.unwrap().changes, []);
}

#[tokio::test]
async fn a_catalogue_may_be_a_file() {
    let (_guard, folder) = temporary();
    let store = store(&folder, "");
    let bytes = tar_gz(&virtualbox("a"));
    write(&folder.join("files/1.box"), &bytes);
    let catalogue = |checksum: &str| {
        json!({"name": "mine", "versions": [{"version": "1", "providers": [
            {"name": "virtualbox", "url": "files/1.box", "checksum": checksum, "checksum_type": "sha256"}]}]})
    };
    let text = |checksum: &str| catalogue(checksum).to_string().into_bytes();
    let path = write(&folder.join("c.json"), &text(&sha256(b"other")));
    let error = store.add(&request(path.as_str()), &context()).await.unwrap_err();
    assert!(matches!(error, StoreError::Checksum { .. }), "{error}");
    write(&path, &[b" ".repeat(16 << 20), text(&sha256(&bytes))].concat());
    // What is JSON is said by its name, as it begins far behind.
    let error = store.add(&request(path.as_str()), &context()).await.unwrap_err();
    assert!(error.to_string().contains("it has more than 16 MiB"), "{error}");
    write(&path, &text("foo"));
    let error = store.add(&request(path.as_str()), &context()).await.unwrap_err();
    assert!(matches!(error, StoreError::Catalogue { .. }), "{error}");
    write(&path, &text(&sha256(&bytes)));
    assert_eq!(add(&store, &request(path.as_str())).await, "mine 1 (virtualbox, unknown)");
    let other = AddRequest { name: Some(name("other")), ..request(path.as_str()) };
    assert!(matches!(store.add(&other, &context()).await.unwrap_err(), StoreError::Catalogue { .. }));
    let ages = store.outdated(&Filter::default(), false, &context()).await.unwrap();
    assert!(ages[0].newest.is_some() && !ages[0].is_outdated());
    fs_err::remove_file(&path).unwrap();
    let ages = store.outdated(&Filter::default(), false, &context()).await.unwrap();
    assert!(ages[0].problem.is_some());
}

#[tokio::test]
async fn a_catalogue_that_is_none_is_refused() {
    let server = MockServer::start().await;
    let (_guard, folder) = temporary();
    let store = store(&folder, &server.uri());
    let error = store.add(&request("example/box"), &context()).await.unwrap_err();
    assert!(error.to_string().contains("404"), "{error}");
    let answer = ResponseTemplate::new(200).set_body_string(r#"{"name": "example/box", "versions": [{"version": 1}]}"#);
    Mock::given(method("GET")).respond_with(answer).mount(&server).await;
    let error = store.add(&request("example/box"), &context()).await.unwrap_err();
    assert!(error.to_string().contains("versions[0].version: invalid type"), "{error}");
    let error = store.add(&wanted("~> x", "virtualbox"), &context()).await.unwrap_err();
    assert!(matches!(error, StoreError::Constraint(_)) && error.is_usage(), "{error}");
    assert_eq!(everything(&folder), [""; 0]);
}
