//! Which stored boxes a workspace file's words mean, for each provider.

use crate::support::{libvirt, named, store, tar, temporary, virtualbox, write};
use rig_box_store::{AddRequest, StoredFor};
use rig_boxes::FindStored;
use rig_model::{Name, StoredSource};
use rig_provider_api::Introduction;

#[tokio::test]
async fn each_provider_gets_what_is_made_for_it() {
    let (_guard, folder) = temporary();
    let store = store(&folder, "http://127.0.0.1:1");
    let qemu = |text: &str| {
        let mut files = libvirt(text, "amd64");
        files[0].1 = String::from_utf8_lossy(&files[0].1).replace("libvirt", "qemu").into_bytes();
        files
    };
    let boxes =
        [("1.1", libvirt("a", "amd64")), ("1.3", virtualbox("b")), ("2.0", qemu("c")), ("2.1", virtualbox("d"))];
    for (version, files) in boxes {
        let path = write(&folder.join(version).with_extension("box"), &tar(&files));
        let request = AddRequest { version: Some(version.to_owned()), ..named(&path) };
        store.add(&request, &crate::support::context()).await.unwrap();
    }
    let find = |provider: &str, version: Option<&str>| {
        let source = StoredSource { name: "example/box".to_owned(), version: version.map(str::to_owned) };
        let finder = StoredFor { store: store.clone(), provider: Name::new(provider).unwrap() };
        finder.find(&source).map(|found| (found.files.what, found.files.disks, found.files.introduction))
    };
    let what = |provider, version| find(provider, version).map(|(what, ..)| what);
    assert_eq!(what("qemu", None).unwrap(), "example/box 2.0 (qemu, amd64)");
    assert_eq!(what("virtualbox", None).unwrap(), "example/box 2.1 (virtualbox, unknown)");
    let (libvirt, disks, introduction) = find("qemu", Some("~> 1.0")).unwrap();
    assert_eq!(libvirt, "example/box 1.1 (libvirt, amd64)");
    assert_eq!((disks[0].path.as_str(), disks[0].format.as_str()), ("box.img", "qcow2"));
    assert_eq!(introduction, Introduction::FirstContact);
    let missing = find("qemu", Some("> 2.0")).unwrap_err();
    assert!(missing.hint.unwrap().contains("rig box add example/box --version \"> 2.0\" --provider qemu"));
    let finder = |provider| StoredFor { store: store.clone(), provider: Name::new(provider).unwrap() };
    assert_eq!(finder("qemu").cloud_images(), Ok(()));
    assert!(finder("docker").cloud_images().unwrap_err().why.contains("makes no machines of cloud images"));
    assert!(find("docker", None).unwrap_err().why.contains("makes no machines of stored boxes"));
}
