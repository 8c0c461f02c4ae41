//! What the tests share: boxes as Vagrant's documentation describes them, and stores to put them into.

use camino::{Utf8Path, Utf8PathBuf};
use flate2::{Compression, write::GzEncoder};
use rig_box_store::{AddRequest, Architecture, BoxStore, Limits, StoreName, StoreSettings};
use rig_boxes::{ArtifactStore, FetchSettings, Retry};
use rig_model::Digest;
use rig_provider_api::Context;
use rig_state::CacheLayout;
use std::{
    io::{Cursor, Write},
    time::Duration,
};
use zip::{ZipWriter, write::SimpleFileOptions};

/// Paths with their content.
pub(crate) type Files = Vec<(String, Vec<u8>)>;

pub(crate) fn temporary() -> (tempfile::TempDir, Utf8PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let path = Utf8PathBuf::from_path_buf(folder.path().to_owned()).unwrap();
    (folder, path)
}

pub(crate) fn context() -> Context {
    Context::alone(Duration::from_secs(60))
}

/// A store in `boxes` and a download cache in `cache` below a folder; fails fast, and runs on amd64 wherever it is tested.
pub(crate) fn store(folder: &Utf8Path, server: &str) -> BoxStore {
    limited(folder, server, Limits::default())
}

pub(crate) fn limited(folder: &Utf8Path, server: &str, limits: Limits) -> BoxStore {
    // Much less, and a machine that does other work beside the tests is taken for a silent server.
    let retry = Retry { attempts: 2, pause: Duration::from_millis(5), stall: Duration::from_secs(2) };
    let fetch = FetchSettings { retry, leave_https: false, ..FetchSettings::default() };
    let settings = StoreSettings {
        server: server.to_owned(),
        architecture: Architecture::new("amd64").unwrap(),
        limits,
        ..StoreSettings::new(folder.join("boxes"))
    };
    BoxStore::new(settings, ArtifactStore::new(CacheLayout::new(folder.join("cache")), fetch))
}

pub(crate) fn name(text: &str) -> StoreName {
    StoreName::new(text).unwrap()
}

pub(crate) fn request(source: impl Into<String>) -> AddRequest {
    AddRequest::new(source, "/".into())
}

/// A request for a box file of this host.
pub(crate) fn named(path: &Utf8Path) -> AddRequest {
    AddRequest { name: Some(name("example/box")), ..request(path.as_str()) }
}

/// What `vagrant package` makes of a VirtualBox machine; `text` makes one differ from another.
pub(crate) fn virtualbox(text: &str) -> Files {
    let ovf = r#"<?xml version="1.0"?>
<Envelope ovf:version="1.0" xmlns="http://schemas.dmtf.org/ovf/envelope/1" xmlns:ovf="http://schemas.dmtf.org/ovf/envelope/1">
  <References><File ovf:href="box-disk001.vmdk" ovf:id="file1"/></References>
</Envelope>"#;
    let vagrantfile = "Vagrant.configure(\"2\") do |config|\n  config.vm.base_mac = \"080027D14C66\"\nend\n";
    vec![
        ("./box.ovf".to_owned(), ovf.into()),
        ("./metadata.json".to_owned(), br#"{"provider": "virtualbox"}"#.to_vec()),
        ("./box-disk001.vmdk".to_owned(), stream_optimized(text)),
        ("./Vagrantfile".to_owned(), vagrantfile.into()),
        ("./info.json".to_owned(), br#"{"author": "example"}"#.to_vec()),
    ]
}

/// A disk as VirtualBox packs it: a header, a text, and data.
fn stream_optimized(text: &str) -> Vec<u8> {
    let descriptor = "# Disk DescriptorFile\nversion=1\nparentCID=ffffffff\nRDONLY 8 SPARSE \"box-disk001.vmdk\"\n";
    let mut disk = vec![0; 1024];
    disk[..4].copy_from_slice(b"KDMV");
    (disk[12], disk[28], disk[36]) = (8, 1, 1);
    disk[512..512 + descriptor.len()].copy_from_slice(descriptor.as_bytes());
    disk.extend(text.repeat(200).bytes());
    disk
}

/// What vagrant-libvirt takes.
pub(crate) fn libvirt(text: &str, architecture: &str) -> Files {
    let metadata = format!(
        r#"{{"provider": "libvirt", "format": "qcow2", "virtual_size": 20, "architecture": "{architecture}"}}"#
    );
    let mut disk = vec![0; 104];
    disk[..4].copy_from_slice(b"QFI\xfb");
    disk[7] = 3;
    disk.extend(text.repeat(300).bytes());
    vec![("metadata.json".to_owned(), metadata.into_bytes()), ("box.img".to_owned(), disk)]
}

pub(crate) fn tar(files: &Files) -> Vec<u8> {
    let mut archive = tar::Builder::new(Vec::new());
    for (path, content) in files {
        let mut header = tar::Header::new_ustar();
        header.set_size(content.len() as u64);
        header.set_mode(0o600);
        archive.append_data(&mut header, path, content.as_slice()).unwrap();
    }
    archive.into_inner().unwrap()
}

pub(crate) fn gz(bytes: &[u8]) -> Vec<u8> {
    let mut compressed = GzEncoder::new(Vec::new(), Compression::fast());
    compressed.write_all(bytes).unwrap();
    compressed.finish().unwrap()
}

pub(crate) fn tar_gz(files: &Files) -> Vec<u8> {
    gz(&tar(files))
}

pub(crate) fn zip(files: &Files) -> Vec<u8> {
    let mut archive = ZipWriter::new(Cursor::new(Vec::new()));
    for (path, content) in files {
        archive.start_file(path.trim_start_matches("./"), SimpleFileOptions::default()).unwrap();
        archive.write_all(content).unwrap();
    }
    archive.finish().unwrap().into_inner()
}

pub(crate) fn write(path: &Utf8Path, bytes: &[u8]) -> Utf8PathBuf {
    fs_err::create_dir_all(path.parent().unwrap()).unwrap();
    fs_err::write(path, bytes).unwrap();
    path.to_owned()
}

pub(crate) fn sha256(bytes: &[u8]) -> String {
    Digest::of(bytes).to_string()
}

/// Everything below a folder that is no folder and no lock, relative to it.
pub(crate) fn everything(folder: &Utf8Path) -> Vec<String> {
    let mut found = Vec::new();
    let mut open = vec![folder.to_owned()];
    while let Some(folder) = open.pop() {
        let Ok(entries) = folder.read_dir_utf8() else { continue };
        for entry in entries {
            let path = entry.unwrap().into_path();
            if path.is_dir() && !path.is_symlink() {
                open.push(path);
            } else if path.extension() != Some("lock") {
                found.push(path);
            }
        }
    }
    let mut found: Vec<String> = found.iter().map(|path| path.strip_prefix(folder).unwrap().to_string()).collect();
    found.sort();
    found
}

/// What the store holds, in words.
pub(crate) fn stored(store: &BoxStore) -> Vec<String> {
    let listing = store.list().unwrap();
    assert_eq!(listing.unreadable, []);
    listing.boxes.iter().map(|stored| stored.key().to_string()).collect()
}
