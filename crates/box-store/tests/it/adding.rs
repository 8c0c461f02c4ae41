//! Box files of this host.

use crate::support::{
    context, everything, libvirt, name, named, request, store, stored, tar, tar_gz, temporary, virtualbox, write, zip,
};
use rig_box_store::{AddRequest, StoreError, Wish};

#[tokio::test]
async fn a_box_file_of_every_kind_is_the_same_box() {
    let files = virtualbox("a");
    for (ending, bytes) in [("tar", tar(&files)), ("box", tar_gz(&files)), ("zip", zip(&files))] {
        let (_guard, folder) = temporary();
        let store = store(&folder, "");
        let path = write(&folder.join("a").with_extension(ending), &bytes);
        let added = store.add(&named(&path), &context()).await.unwrap();
        assert!(!added.already && !added.stored.record.checked);
        assert_eq!(added.stored.key().to_string(), "example/box 0 (virtualbox, unknown)");
        assert_eq!(added.stored.record.source, path);
        assert_eq!(added.stored.record.archive_size, bytes.len() as u64);
        let content = added.stored.open().unwrap();
        assert_eq!(content.facts.base_mac.as_deref(), Some("080027D14C66"));
        assert_eq!(content.disks[0].path, "box-disk001.vmdk");
        assert_eq!(content.info.unwrap()["author"], "example");
        for (path, bytes) in &files {
            assert_eq!(fs_err::read(added.stored.folder.join(path)).unwrap(), *bytes, "{path}");
        }
        assert_eq!(store.verify(&added.stored, &context()).await.unwrap().changes, []);
        assert_eq!(everything(&folder.join("boxes/.work")), [""; 0]);
        assert!(store.add(&named(&path), &context()).await.unwrap().already);
    }
}

#[tokio::test]
async fn a_box_for_libvirt_says_what_it_runs_on() {
    let (_guard, folder) = temporary();
    let store = store(&folder, "");
    let path = write(&folder.join("a.box"), &tar_gz(&libvirt("a", "x86_64")));
    let added = store.add(&named(&path), &context()).await.unwrap();
    assert_eq!(added.stored.key().to_string(), "example/box 0 (libvirt, amd64)");
    let disks = added.stored.open().unwrap().disks;
    assert_eq!((disks[0].path.as_str(), disks[0].virtual_size), ("box.img", Some(20)));
    let qemu = Wish { provider: Some("qemu".parse().unwrap()), ..Wish::default() };
    assert_eq!(store.get(&name("example/box"), &qemu).unwrap(), added.stored);
    let other = Wish { architecture: Some("arm64".parse().unwrap()), ..Wish::default() };
    let error = store.get(&name("example/box"), &other).unwrap_err();
    assert!(error.hint().unwrap().contains("example/box 0 (libvirt, amd64)"), "{error}");
}

#[tokio::test]
async fn a_box_has_its_place_until_somebody_insists() {
    let (_guard, folder) = temporary();
    let store = store(&folder, "");
    let one = write(&folder.join("one.box"), &tar_gz(&virtualbox("a")));
    let two = write(&folder.join("two.box"), &tar_gz(&virtualbox("b")));
    store.add(&named(&one), &context()).await.unwrap();
    let error = store.add(&named(&two), &context()).await.unwrap_err();
    assert!(matches!(error, StoreError::Occupied { .. }), "{error}");
    let versioned = AddRequest { version: Some("1.0".to_owned()), ..named(&two) };
    store.add(&versioned, &context()).await.unwrap();
    assert_eq!(stored(&store), ["example/box 0 (virtualbox, unknown)", "example/box 1.0 (virtualbox, unknown)"]);
    let forced = AddRequest { force: true, ..named(&two) };
    let added = store.add(&forced, &context()).await.unwrap();
    assert!(fs_err::read_to_string(added.stored.folder.join("box-disk001.vmdk")).unwrap().ends_with("bbb"));
    assert_eq!(stored(&store).len(), 2);
    // The same version, written in another way, is the same box.
    let again = AddRequest { version: Some("1".to_owned()), force: true, ..named(&one) };
    store.add(&again, &context()).await.unwrap();
    assert_eq!(stored(&store), ["example/box 0 (virtualbox, unknown)", "example/box 1 (virtualbox, unknown)"]);
    assert_eq!(everything(&folder.join("boxes/.work")), [""; 0]);
}

#[tokio::test]
async fn what_is_asked_for_must_be_what_comes() {
    let (_guard, folder) = temporary();
    let store = store(&folder, "");
    let path = write(&folder.join("a.box"), &tar_gz(&libvirt("a", "arm64")));
    for wrong in [
        AddRequest { provider: Some("virtualbox".parse().unwrap()), ..named(&path) },
        AddRequest { architecture: Some("amd64".parse().unwrap()), ..named(&path) },
    ] {
        let error = store.add(&wrong, &context()).await.unwrap_err();
        assert!(matches!(error, StoreError::Content { .. }), "{error}");
    }
    for wrong in [
        request(path.as_str()),
        AddRequest { version: Some("~> 1".to_owned()), ..named(&path) },
        request("nothing here"),
        request("ftp://x/y.box"),
        request("/absent/a.box"),
    ] {
        let error = store.add(&wrong, &context()).await.unwrap_err();
        assert!(error.is_usage(), "{error}");
    }
    assert_eq!(everything(&folder.join("boxes")), [""; 0]);
    let right = AddRequest { provider: Some("qemu".parse().unwrap()), ..named(&path) };
    store.add(&right, &context()).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn many_add_the_same_box_at_the_same_time() {
    let (_guard, folder) = temporary();
    let path = write(&folder.join("a.box"), &tar_gz(&virtualbox("a")));
    let adds: Vec<_> = (0..6)
        .map(|index| {
            let (store, request) = (store(&folder, ""), named(&path));
            let request = AddRequest { force: index % 2 == 0, ..request };
            tokio::spawn(async move { store.add(&request, &context()).await })
        })
        .collect();
    for add in adds {
        add.await.unwrap().unwrap();
    }
    let store = store(&folder, "");
    assert_eq!(stored(&store).len(), 1);
    let stored = store.get(&name("example/box"), &Wish::default()).unwrap();
    assert_eq!(store.verify(&stored, &context()).await.unwrap().changes, []);
    assert_eq!(everything(&folder.join("boxes/.work")), [""; 0]);
}

#[tokio::test]
async fn a_release_stays_rather_than_a_beta() {
    let (_guard, folder) = temporary();
    let store = store(&folder, "");
    for version in ["1.0", "1.1", "2.0.beta"] {
        let path = write(&folder.join(version).with_extension("box"), &tar_gz(&libvirt(version, "amd64")));
        let request = AddRequest { version: Some(version.to_owned()), ..named(&path) };
        store.add(&request, &context()).await.unwrap();
    }
    let newest = store.get(&name("example/box"), &Wish::default()).unwrap();
    assert_eq!(newest.key().version.as_str(), "1.1");
    store.prune(&Default::default(), 1, &[], &context(), |_| {}).await.unwrap();
    assert_eq!(stored(&store), ["example/box 1.1 (libvirt, amd64)"]);
}

#[tokio::test]
async fn nobody_guesses_a_provider() {
    let (_guard, folder) = temporary();
    let store = store(&folder, "");
    for (file, files) in [("a.box", libvirt("a", "amd64")), ("b.box", virtualbox("b"))] {
        store.add(&named(&write(&folder.join(file), &tar_gz(&files))), &context()).await.unwrap();
    }
    let error = store.get(&name("example/box"), &Wish::default()).unwrap_err();
    assert!(
        matches!(&error, StoreError::SeveralProviders { providers, .. } if *providers == ["libvirt", "virtualbox"])
    );
    let wish = Wish { provider: "qemu".parse().ok(), ..Wish::default() };
    assert_eq!(store.get(&name("example/box"), &wish).unwrap().key().provider.as_str(), "libvirt");
}
