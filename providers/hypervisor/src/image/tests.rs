//! Disks and initrds from small archives, read back.

use super::{Kernel, RootDisk, boot_disk, kernel_options, make};
use arcbox_ext4::{Reader, types::Inode};
use camino::Utf8PathBuf;
use futures_util::{StreamExt, stream};
use rig_model::Bytes;
use rig_provider_api::{Context, ProviderError};
use std::{
    collections::BTreeMap,
    io::{self, Read as _},
    time::Duration,
};
use tar::{Builder, EntryType, Header};

/// A root file system that is being packed.
struct Root(Builder<Vec<u8>>);

impl Root {
    /// With what a box for virtual machines has.
    fn bootable() -> Self {
        let mut root = Self(Builder::new(Vec::new()));
        root.add("./", EntryType::Directory, (0o755, 0), "", b"");
        root.add("boot/vmlinuz", EntryType::Regular, (0o644, 0), "", b"KERNEL");
        root.add("usr/bin/busybox", EntryType::Regular, (0o755, 0), "", b"BUSYBOX");
        for driver in ["drivers/block/virtio_blk.ko", "drivers/virtio/virtio.ko.xz", "drivers/virtio/virtio_balloon.ko"]
        {
            let path = format!("usr/lib/modules/6.1.0-9-cloud/kernel/{driver}");
            root.add(&path, EntryType::Regular, (0o644, 0), "", driver.as_bytes());
        }
        root
    }

    fn add(&mut self, path: &str, kind: EntryType, (mode, owner): (u32, u64), target: &str, content: &[u8]) {
        let mut header = Header::new_gnu();
        header.set_entry_type(kind);
        header.set_mode(mode);
        header.set_uid(owner);
        header.set_gid(owner + 1);
        header.set_mtime(1_700_000_000);
        header.set_size(content.len() as u64);
        if target.is_empty() {
            self.0.append_data(&mut header, path, content).unwrap();
        } else {
            self.0.append_link(&mut header, path, target).unwrap();
        }
    }

    fn file(&mut self, path: &str, content: &[u8]) {
        self.add(path, EntryType::Regular, (0o644, 0), "", content);
    }
}

struct Folder {
    disk: Utf8PathBuf,
    _guard: tempfile::TempDir,
}

fn folder() -> Folder {
    let guard = tempfile::tempdir().unwrap();
    let path = Utf8PathBuf::from_path_buf(guard.path().to_owned()).unwrap();
    Folder { disk: path.join("disk.img"), _guard: guard }
}

/// In pieces, as streams come.
async fn made(folder: &Folder, archive: &[u8], size: u64) -> Result<Kernel, ProviderError> {
    let pieces: Vec<io::Result<bytes::Bytes>> = archive.chunks(700).map(|piece| Ok(piece.to_vec().into())).collect();
    let cx = Context::alone(Duration::from_secs(60));
    make(&cx, &folder.disk, RootDisk::VirtioBlk, stream::iter(pieces).boxed(), Bytes(size)).await
}

async fn disk_of(root: Root) -> (Folder, Reader) {
    let folder = folder();
    made(&folder, &root.0.into_inner().unwrap(), 1 << 30).await.unwrap();
    let reader = Reader::new(folder.disk.as_std_path()).unwrap();
    (folder, reader)
}

async fn kernel_of(root: Root) -> Kernel {
    made(&folder(), &root.0.into_inner().unwrap(), 1 << 30).await.unwrap()
}

fn inode(reader: &mut Reader, path: &str) -> Inode {
    reader.stat_no_follow(path).unwrap().1
}

async fn refused(root: Root) -> String {
    let folder = folder();
    let error = made(&folder, &root.0.into_inner().unwrap(), 1 << 30).await.unwrap_err();
    format!("{error}; {}", error.hint().unwrap_or_default())
}

#[tokio::test]
async fn files_keep_what_they_are() {
    let mut root = Root::bootable();
    let large: Vec<u8> = (0..3_000_000_u32).map(|number| (number % 251) as u8).collect();
    let deep = format!("srv/{}/{}", "a".repeat(120), "b".repeat(200));
    root.add("usr/bin/sudo", EntryType::Regular, (0o4755, 0), "", &large);
    root.add("home/rig", EntryType::Directory, (0o2750, 100_000), "", b"");
    root.add("home/rig/.wh.notes", EntryType::Regular, (0o600, 100_000), "", b"");
    root.add("bin", EntryType::Symlink, (0o777, 0), "usr/bin", b"");
    root.add("long", EntryType::Symlink, (0o777, 0), &format!("/{}", "c".repeat(90)), b"");
    root.add("usr/bin/sudoedit", EntryType::Link, (0o4755, 0), "usr/bin/sudo", b"");
    root.add("usr/bin/sudothird", EntryType::Link, (0o4755, 0), "./usr/bin/sudoedit", b"");
    root.add("dev", EntryType::Directory, (0o755, 0), "", b"");
    root.add("dev/null", EntryType::Char, (0o666, 0), "", b"");
    root.file(&deep, b"deep");
    root.0.append_pax_extensions([("SCHILY.xattr.security.capability", [1_u8; 20].as_slice())]).unwrap();
    root.file("usr/bin/ping", b"ping");

    let (folder, mut reader) = disk_of(root).await;
    let sudo = inode(&mut reader, "/usr/bin/sudo");
    assert_eq!((sudo.mode, sudo.links_count, sudo.file_size()), (0o104_755, 3, 3_000_000));
    assert_eq!((sudo.mtime, sudo.uid_full(), sudo.gid_full()), (1_700_000_000, 0, 1));
    assert!(reader.read_file("/usr/bin/sudothird", 0, None).unwrap() == large);
    let home = inode(&mut reader, "/home/rig");
    assert_eq!((home.mode, home.uid_full(), home.gid_full()), (0o42_750, 100_000, 100_001));
    assert_eq!(inode(&mut reader, "/home/rig/.wh.notes").file_size(), 0);
    assert_eq!(reader.read_file("/bin/busybox", 0, None).unwrap(), b"BUSYBOX", "through a link");
    assert_eq!((inode(&mut reader, "/long").file_size(), inode(&mut reader, "/long").mode), (91, 0o120_777));
    assert_eq!(reader.read_file(&format!("/{deep}"), 0, None).unwrap(), b"deep");
    assert!(inode(&mut reader, "/usr/bin/ping").inline_xattrs.windows(10).any(|part| part == b"capability"));
    assert!(reader.exists("/dev") && !reader.exists("/dev/null"), "a kernel makes it");
    assert!(!reader.exists("/boot/vmlinuz"), "it has a file of its own");
    assert_eq!(fs_err::metadata(&folder.disk).unwrap().len(), 1 << 30);
}

#[tokio::test]
async fn the_journal_has_no_name() {
    let (_folder, mut reader) = disk_of(Root::bootable()).await;
    assert_eq!(reader.list_dir("/").unwrap(), ["lost+found", "usr"]);
    let superblock = reader.superblock().clone();
    assert_eq!((superblock.journal_inum, superblock.feature_compat & 4), (8, 4));
    assert_eq!(reader.get_inode(8).unwrap().file_size(), 16 << 20);
    assert_eq!(reader.get_inode(12).unwrap().links_count, 0);
}

/// Name → mode, device, content.
fn unpacked(mut archive: &[u8]) -> BTreeMap<String, (u32, u32, Vec<u8>)> {
    let mut found = BTreeMap::new();
    loop {
        let reader = cpio::newc::Reader::new(archive).unwrap();
        let entry = reader.entry().clone();
        if entry.is_trailer() {
            return found;
        }
        let mut content = Vec::new();
        archive = reader.to_writer(&mut content).unwrap();
        found.insert(entry.name().to_owned(), (entry.mode(), entry.rdev_major(), content));
    }
}

#[tokio::test]
async fn the_initrd_has_the_drivers_in_their_order() {
    let kernel = kernel_of(Root::bootable()).await;
    assert_eq!((kernel.kernel.as_slice(), &kernel.loader), (b"KERNEL".as_slice(), &None));
    let files = unpacked(&kernel.initrd);
    let names: Vec<&str> = files.keys().map(String::as_str).collect();
    let modules = ["modules/01-virtio.ko.xz", "modules/05-virtio_blk.ko"];
    assert_eq!(names[..4], ["bin", "bin/busybox", "dev", "dev/console"]);
    assert_eq!(names[4..], ["init", "modules", modules[0], modules[1], "proc", "system"]);
    assert_eq!((files["dev/console"].0, files["dev/console"].1), (0o20_600, 5));
    assert_eq!((files["bin/busybox"].0, files["bin/busybox"].2.as_slice()), (0o100_755, b"BUSYBOX".as_slice()));
    assert_eq!(files[modules[1]].2, b"drivers/block/virtio_blk.ko");
}

#[tokio::test]
async fn a_kernel_has_its_own_drivers() {
    let mut root = Root::bootable();
    root.file("boot/vmlinuz-5.10.0-1-cloud", b"OLD");
    root.file("boot/vmlinuz-6.1.0-9-cloud", b"NEW");
    root.file("lib/modules/7.0-other/kernel/drivers/block/virtio_blk.ko", b"another's");
    let kernel = kernel_of(root).await;
    assert_eq!(kernel.kernel, b"NEW");
    let files = unpacked(&kernel.initrd);
    assert_eq!(files["modules/05-virtio_blk.ko"].2, b"drivers/block/virtio_blk.ko");
}

#[tokio::test]
async fn firmware_finds_a_kernel_that_finds_its_disk() {
    let mut root = Root::bootable();
    for driver in ["scsi_mod", "sd_mod", "virtio_scsi"] {
        let path = format!("usr/lib/modules/6.1.0-9-cloud/kernel/drivers/scsi/{driver}.ko");
        root.file(&path, driver.as_bytes());
    }
    root.file("usr/lib/systemd/boot/efi/systemd-bootx64.efi", b"LOADER");
    let archive = stream::iter([Ok(root.0.into_inner().unwrap().into())]).boxed();
    let (folder, cx) = (folder(), Context::alone(Duration::from_secs(60)));
    let kernel = make(&cx, &folder.disk, RootDisk::VirtioScsi, archive, Bytes(1 << 30)).await.unwrap();
    let files = unpacked(&kernel.initrd);
    let modules: Vec<&str> = files.keys().filter_map(|name| name.strip_prefix("modules/")).collect();
    assert_eq!(modules, ["01-virtio.ko.xz", "06-scsi_mod.ko", "07-virtio_scsi.ko", "13-sd_mod.ko"]);

    let options = kernel_options(RootDisk::VirtioScsi);
    let disk = boot_disk(&kernel, &options).unwrap().unwrap();
    let volume = fatfs::FileSystem::new(io::Cursor::new(disk), fatfs::FsOptions::new()).unwrap();
    let read = |path: &str| {
        let mut content = Vec::new();
        volume.root_dir().open_file(path).unwrap().read_to_end(&mut content).unwrap();
        content
    };
    assert_eq!(read("EFI/BOOT/BOOTX64.EFI"), b"LOADER");
    assert!(read("vmlinuz") == b"KERNEL" && read("initrd") == kernel.initrd);
    let entry = String::from_utf8(read("loader/entries/rig.conf")).unwrap();
    assert!(entry.contains("linux /vmlinuz\ninitrd /initrd\n"), "{entry}");
    // The name of the disk is what its file system is called.
    assert!(!entry.contains("panic"), "it would boot for ever: {entry}");
    assert!(kernel_options(RootDisk::VirtioBlk).contains(" panic=-1 "));
    assert!(entry.contains(" root=LABEL=rig-root ") && entry.contains(" init=/usr/local/sbin/vm-init"), "{entry}");
    let label = Reader::new(folder.disk.as_std_path()).unwrap().superblock().volume_name;
    assert!(label.starts_with(b"rig-root\0"));
}

#[tokio::test]
async fn a_box_without_a_boot_loader_has_no_boot_disk() {
    assert_eq!(boot_disk(&kernel_of(Root::bootable()).await, "").unwrap(), None);
}

#[tokio::test]
async fn what_cannot_boot_is_refused() {
    let mut root = Root(Builder::new(Vec::new()));
    root.file("usr/bin/busybox", b"x");
    let error = refused(root).await;
    assert!(error.ends_with("the box holds no kernel; its `bootstrap` needs a line `kernel`"), "{error}");
    let mut root = Root(Builder::new(Vec::new()));
    root.file("boot/vmlinuz", b"x");
    assert!(refused(root).await.contains("the box holds no busybox; "));
}

#[tokio::test]
async fn archives_that_no_root_gives_are_refused() {
    let mut root = Root::bootable();
    root.file("usr/bin/busybox", b"again");
    assert!(refused(root).await.contains("/usr/bin/busybox is there twice"));
    let mut root = Root::bootable();
    root.add("bin", EntryType::Symlink, (0o777, 0), "usr/bin", b"");
    root.file("bin/true", b"");
    assert!(refused(root).await.contains("/bin/true cannot be written: /bin is not a directory"));
    let mut root = Root::bootable();
    root.0.append_pax_extensions([("SCHILY.xattr.user.text", [b'x'; 200].as_slice())]).unwrap();
    root.file("a", b"");
    assert!(refused(root).await.contains("/a has extended attributes that are too long"));
    let mut root = Root::bootable();
    root.add("a", EntryType::Link, (0o644, 0), "b", b"");
    assert!(refused(root).await.contains("/a cannot be written: /b not found"));
}

#[tokio::test]
async fn a_disk_that_is_too_small_is_an_error() {
    let mut root = Root::bootable();
    root.file("large", &vec![1; 140 << 20]);
    let folder = folder();
    let error = made(&folder, &root.0.into_inner().unwrap(), 64 << 20).await.unwrap_err();
    assert!(error.to_string().contains("does not fit into 128MiB"), "{error}");
}

#[tokio::test]
async fn half_an_archive_is_an_error() {
    let archive = Root::bootable().0.into_inner().unwrap();
    let cx = Context::alone(Duration::from_secs(60));
    let broken = stream::iter([Ok(archive.clone().into()), Err(io::Error::other("the program failed"))]);
    let error = make(&cx, &folder().disk, RootDisk::VirtioBlk, broken.boxed(), Bytes(1 << 30)).await.unwrap_err();
    assert!(error.to_string().ends_with("the program failed"), "{error}");

    // Whoever waits no longer gets no disk, though the archive looks whole.
    let cx = Context::alone(Duration::from_millis(200));
    let endless = stream::iter([Ok(archive.into())]).chain(stream::pending());
    let error = make(&cx, &folder().disk, RootDisk::VirtioBlk, endless.boxed(), Bytes(1 << 30)).await.unwrap_err();
    assert!(matches!(error, ProviderError::TimedOut { .. }), "{error}");
}
