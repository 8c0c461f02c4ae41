//! Images of disks: their format, by their first bytes, and that they take no data from files outside the box.

use crate::vmdk;
use camino::Utf8Path;
use serde::Serialize;
use std::{
    fmt,
    io::{self, Read, Seek, SeekFrom},
};

/// How a disk is stored. Whoever starts a machine names it: an image whose format is guessed can say that it is another.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum DiskFormat {
    /// QEMU's.
    Qcow2,
    /// VMware's.
    Vmdk,
    /// VirtualBox's.
    Vdi,
    /// Virtual PC's.
    Vhd,
    /// The bytes of the disk, and everything that is none of the others.
    Raw,
}

impl DiskFormat {
    /// The format that a box names.
    pub(crate) fn named(name: &str) -> Result<Self, String> {
        Ok(match name.to_ascii_lowercase().as_str() {
            "qcow2" => Self::Qcow2,
            "vmdk" => Self::Vmdk,
            "vdi" => Self::Vdi,
            "vhd" | "vpc" => Self::Vhd,
            "raw" | "img" => Self::Raw,
            _ => return Err(format!("{name:?} is no format of a disk that rig knows")),
        })
    }
}

impl fmt::Display for DiskFormat {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Qcow2 => "qcow2",
            Self::Vmdk => "vmdk",
            Self::Vdi => "vdi",
            Self::Vhd => "vhd",
            Self::Raw => "raw",
        })
    }
}

/// As much of an image as its headers take.
const HEADERS: u64 = 512;

/// The format of an image, which is a file in the folder `folder` of the box.
///
/// # Errors
/// Why it is not taken, in words that follow its name.
pub(crate) fn inspect(folder: &Utf8Path, path: &Utf8Path) -> Result<DiskFormat, String> {
    let mut file = fs_err::File::open(path).map_err(|error| format!("cannot be read: {error}"))?;
    let read = |error: io::Error| format!("cannot be read: {error}");
    let begin = part(&mut file, SeekFrom::Start(0), HEADERS).map_err(read)?;
    let size = file.metadata().map_err(read)?.len();
    // A footer of an older kind is a byte shorter.
    let ends = [HEADERS, HEADERS - 1].map(|length| size.checked_sub(length));
    for end in ends.into_iter().flatten() {
        let end = part(&mut file, SeekFrom::Start(end), HEADERS).map_err(read)?;
        if end.starts_with(VHD) {
            return vhd(&end).map(|()| DiskFormat::Vhd);
        }
    }
    if begin.starts_with(QCOW2) {
        return qcow2(&begin).map(|()| DiskFormat::Qcow2);
    }
    if begin.starts_with(VHD) {
        return vhd(&begin).map(|()| DiskFormat::Vhd);
    }
    if begin.get(64..68) == Some(VDI) {
        return vdi(&begin).map(|()| DiskFormat::Vdi);
    }
    if vmdk::is_one(&mut file, &begin).map_err(read)? {
        return vmdk::check(&mut file, &begin, folder).map(|()| DiskFormat::Vmdk);
    }
    match OTHERS.iter().find(|(magic, _)| begin.starts_with(magic)) {
        Some((_, name)) => Err(format!("is an image of the kind {name}, which rig cannot check")),
        None => Ok(DiskFormat::Raw),
    }
}

const QCOW2: &[u8] = b"QFI\xfb";
const VHD: &[u8] = b"conectix";
const VDI: &[u8] = b"\x7f\x10\xda\xbe";

/// Kinds that may lean on other files, and are not looked into.
const OTHERS: [(&[u8], &str); 5] = [
    (b"COWD", "VMDK of ESX"),
    (b"vhdxfile", "VHDX"),
    (b"QED\0", "QED"),
    (b"WithoutFreeSpace", "Parallels"),
    (b"WithouFreSpacExt", "Parallels"),
];

/// Some bytes of a file, fewer where it ends.
pub(crate) fn part(file: &mut fs_err::File, from: SeekFrom, length: u64) -> io::Result<Vec<u8>> {
    file.seek(from)?;
    let mut bytes = Vec::new();
    file.take(length).read_to_end(&mut bytes)?;
    Ok(bytes)
}

const LEANS: &str = "leans on another file";
const SHORT: &str = "is shorter than its headers";

/// The QCOW2 specification: where the backing file's name is, and, from version 3 on, incompatible features.
fn qcow2(begin: &[u8]) -> Result<(), String> {
    const EXTERNAL_DATA: u64 = 1 << 2;
    let number = |from: usize| begin.get(from..from + 8)?.try_into().ok().map(u64::from_be_bytes);
    if number(8).ok_or(SHORT)? != 0 {
        return Err(LEANS.to_owned());
    }
    let is_new = u32_be(begin, 4).ok_or(SHORT)? >= 3;
    if is_new && number(72).ok_or(SHORT)? & EXTERNAL_DATA != 0 {
        return Err("has its data in another file".to_owned());
    }
    Ok(())
}

/// The VHD specification: fixed and dynamic disks stand alone, differencing ones have a parent.
fn vhd(footer: &[u8]) -> Result<(), String> {
    match u32_be(footer, 60).ok_or(SHORT)? {
        2 | 3 => Ok(()),
        4 => Err(LEANS.to_owned()),
        other => Err(format!("is a VHD of the kind {other}, which rig cannot check")),
    }
}

/// VirtualBox's header of version 1: normal and fixed disks stand alone and name no other.
fn vdi(begin: &[u8]) -> Result<(), String> {
    let number = |from: usize| begin.get(from..from + 4)?.try_into().ok().map(u32::from_le_bytes);
    let version = number(68).ok_or(SHORT)? >> 16;
    if version != 1 {
        return Err(format!("is a VDI of version {version}, which rig cannot check"));
    }
    let parents = begin.get(424..456).ok_or(SHORT)?;
    match number(76).ok_or(SHORT)? {
        1 | 2 if parents.iter().all(|byte| *byte == 0) => Ok(()),
        1..=4 => Err(LEANS.to_owned()),
        other => Err(format!("is a VDI of the kind {other}, which rig cannot check")),
    }
}

fn u32_be(bytes: &[u8], from: usize) -> Option<u32> {
    bytes.get(from..from + 4)?.try_into().ok().map(u32::from_be_bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(bytes: &[u8]) -> Result<DiskFormat, String> {
        let guard = tempfile::tempdir().unwrap();
        let folder = Utf8Path::from_path(guard.path()).unwrap();
        fs_err::write(folder.join("disk"), bytes).unwrap();
        inspect(folder, &folder.join("disk"))
    }

    fn with(size: usize, parts: &[(usize, &[u8])]) -> Vec<u8> {
        let mut bytes = vec![0; size];
        parts.iter().for_each(|(at, part)| bytes[*at..at + part.len()].copy_from_slice(part));
        bytes
    }

    #[test]
    fn a_qcow2_that_leans_on_other_files_is_seen() {
        let good: [(usize, &[u8]); 2] = [(0, QCOW2), (7, &[3])];
        assert_eq!(of(&with(104, &good)), Ok(DiskFormat::Qcow2));
        for more in [(15, &[104][..]), (79, &[4])] {
            assert!(of(&with(104, &[good[0], good[1], more])).unwrap_err().contains("other file"));
        }
        assert!(of(QCOW2).is_err());
    }

    #[test]
    fn a_vhd_that_leans_on_other_files_is_seen_at_both_ends() {
        for (kind, good) in [(2, true), (3, true), (4, false), (5, false)] {
            for at in [0, 1488, 1489] {
                let found = of(&with(2000, &[(at, VHD), (at + 63, &[kind])]));
                assert_eq!(found.ok(), good.then_some(DiskFormat::Vhd), "{kind} {at}");
            }
        }
    }

    #[test]
    fn a_vdi_that_leans_on_other_files_is_seen() {
        let good: [(usize, &[u8]); 3] = [(64, VDI), (70, &[1]), (76, &[1])];
        assert_eq!(of(&with(512, &good)), Ok(DiskFormat::Vdi));
        for more in [(76, &[3][..]), (76, &[4]), (430, &[1]), (445, &[1]), (70, &[2]), (76, &[9])] {
            assert!(of(&with(512, &[good[0], good[1], good[2], more])).is_err(), "{more:?}");
        }
        assert!(of(&with(100, &good)).is_err());
    }

    #[test]
    fn what_cannot_be_checked_is_refused_and_what_is_nothing_else_is_raw() {
        for (magic, _) in OTHERS {
            assert!(of(&with(1000, &[(0, magic)])).unwrap_err().contains("cannot check"));
        }
        assert_eq!(of(b"a raw disk"), Ok(DiskFormat::Raw));
        assert_eq!(of(b""), Ok(DiskFormat::Raw));
        assert_eq!(DiskFormat::named("QCOW2"), Ok(DiskFormat::Qcow2));
        assert!(DiskFormat::named("x").is_err());
    }
}
