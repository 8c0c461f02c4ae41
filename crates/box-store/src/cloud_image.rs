//! Cloud images: disks of systems that read at their first start who they are.

use crate::{DiskFormat, image};
use camino::Utf8Path;
use rig_provider_api::{Introduction, StoredDisk, StoredFiles};
use std::io::SeekFrom;

/// The end of a disk's first sector, by which firmware knows that something can be booted from it; disks with a GUID partition table
/// have it as well, so that older programs leave them alone (UEFI specification, "Protective MBR").
const SIGNATURE: [u8; 2] = [0x55, 0xaa];

/// Where that is, in bytes.
const AT: u64 = 510;

/// The disk in a file, checked: it takes no data from anywhere else. Reads a few sectors, and blocks while it does.
///
/// # Errors
/// Why it is no cloud image, in words.
pub fn cloud_image(file: &Utf8Path) -> Result<StoredFiles, String> {
    let (folder, name) = (file.parent().unwrap_or(file), file.file_name().unwrap_or_default());
    let format = image::inspect(folder, file).map_err(|why| format!("{name} {why}"))?;
    match format {
        DiskFormat::Qcow2 => {}
        DiskFormat::Raw => {
            let read = |error: std::io::Error| format!("{name} cannot be read: {error}");
            let mut disk = fs_err::File::open(file).map_err(read)?;
            if image::part(&mut disk, SeekFrom::Start(AT), SIGNATURE.len() as u64).map_err(read)? != SIGNATURE {
                return Err(format!("{name} is no disk that can be booted"));
            }
        }
        DiskFormat::Vmdk | DiskFormat::Vdi | DiskFormat::Vhd => return Err(format!("{name} is a {format}")),
    }
    Ok(StoredFiles {
        what: format!("the cloud image {name}"),
        folder: folder.to_owned(),
        disks: vec![StoredDisk { path: name.into(), format: format.to_string() }],
        mac: None,
        introduction: Introduction::Seed,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(name: &str, bytes: &[u8]) -> Result<StoredFiles, String> {
        let guard = tempfile::tempdir().unwrap();
        let file = Utf8Path::from_path(guard.path()).unwrap().join(name);
        fs_err::write(&file, bytes).unwrap();
        cloud_image(&file)
    }

    fn with(parts: &[(usize, &[u8])]) -> Vec<u8> {
        let mut bytes = vec![0; 1024];
        parts.iter().for_each(|(at, part)| bytes[*at..at + part.len()].copy_from_slice(part));
        bytes
    }

    #[test]
    fn disks_are_taken_and_archives_are_not() {
        let raw = of("a.raw", &with(&[(510, &SIGNATURE)])).unwrap();
        assert_eq!((raw.disks[0].path.as_str(), raw.disks[0].format.as_str()), ("a.raw", "raw"));
        assert_eq!(of("a.img", &with(&[(0, b"QFI\xfb"), (7, &[3])])).unwrap().disks[0].format, "qcow2");
        let leans = of("a.img", &with(&[(0, b"QFI\xfb"), (7, &[3]), (15, &[104])])).unwrap_err();
        assert!(leans.contains("a.img leans on another file"), "{leans}");
        assert!(of("a.raw.xz", &with(&[(0, b"\xfd7zXZ")])).unwrap_err().contains("a.raw.xz is no disk"));
        assert!(of("empty", b"").is_err());
        assert!(of("a.vmdk", &with(&[(0, b"KDMV"), (12, &[1])])).unwrap_err().contains("is a vmdk"));
    }
}
