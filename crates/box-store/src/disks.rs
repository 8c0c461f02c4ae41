//! The disks of a box: which files they are, and that they do not lean on files outside the box.

use crate::{Metadata, archive, metadata::MetadataDisk};
use camino::{Utf8Path, Utf8PathBuf};
use quick_xml::{Reader, events::Event};
use serde::Serialize;
use std::io::{self, Read};

/// The machine's description in boxes for VirtualBox.
pub(crate) const OVF: &str = "box.ovf";

/// The only disk in boxes for libvirt that name none.
const IMAGE: &str = "box.img";

/// The first bytes of a QCOW2 image.
const QCOW2: [u8; 4] = *b"QFI\xfb";

/// Set in a QCOW2 image whose data is in another file.
const EXTERNAL_DATA: u64 = 1 << 2;

/// A disk of a box.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Disk {
    /// Its file, relative to the box's folder.
    pub path: Utf8PathBuf,
    /// Its format, where the box says so (`qcow2`).
    pub format: Option<String>,
    /// The size that it has in the machine, in GiB, where the box says so.
    pub virtual_size: Option<u64>,
}

/// The disks of the box in a folder, checked: each is a file of the box, and none takes data from anywhere else.
///
/// # Errors
/// What is wrong, in words, with its place.
pub(crate) fn find(folder: &Utf8Path, metadata: &Metadata) -> Result<Vec<Disk>, String> {
    let disks = match metadata.provider.as_str() {
        "virtualbox" => of_ovf(folder)?,
        "libvirt" | "qemu" if metadata.disks.is_empty() => {
            vec![Disk { path: IMAGE.into(), format: metadata.format.clone(), virtual_size: metadata.virtual_size }]
        }
        "libvirt" | "qemu" => {
            let named = metadata.disks.iter().enumerate();
            named.map(|(index, disk)| of_metadata(disk, index, metadata)).collect::<Result<_, _>>()?
        }
        // What other providers make of a box is theirs to know.
        _ => Vec::new(),
    };
    for disk in &disks {
        let path = folder.join(&disk.path);
        if !fs_err::symlink_metadata(&path).is_ok_and(|data| data.is_file()) {
            return Err(format!("its disk {} is not in it", disk.path));
        }
        let begin = begin(&path).map_err(|error| error.to_string())?;
        if let Some(why) = leans(&begin) {
            return Err(format!("its disk {} {why}", disk.path));
        }
    }
    Ok(disks)
}

fn of_metadata(disk: &MetadataDisk, index: usize, metadata: &Metadata) -> Result<Disk, String> {
    let path = archive::inside(&disk.path)
        .map_err(|why| format!("metadata.json: disks[{index}].path: {:?} {why}", disk.path))?;
    let format = disk.format.clone().or_else(|| metadata.format.clone());
    Ok(Disk { path, format, virtual_size: disk.virtual_size })
}

/// The files that the machine's description refers to.
fn of_ovf(folder: &Utf8Path) -> Result<Vec<Disk>, String> {
    const LARGEST: u64 = 4 << 20;
    let wrong = |why: String| format!("{OVF}: {why}");
    let file = fs_err::File::open(folder.join(OVF)).map_err(|error| match error.kind() {
        io::ErrorKind::NotFound => format!("it is for virtualbox and has no {OVF}"),
        _ => wrong(error.to_string()),
    })?;
    let mut bytes = Vec::new();
    file.take(LARGEST + 1).read_to_end(&mut bytes).map_err(|error| wrong(error.to_string()))?;
    if bytes.len() as u64 > LARGEST {
        return Err(wrong("it is larger than a description can be".to_owned()));
    }
    let mut disks = Vec::new();
    for href in hrefs(&bytes).map_err(wrong)? {
        let path = archive::inside(&href).map_err(|why| wrong(format!("the file {href:?} {why}")))?;
        disks.push(Disk { path, format: None, virtual_size: None });
    }
    Ok(disks)
}

/// `href` of each `File` element, whatever its name space is called.
fn hrefs(bytes: &[u8]) -> Result<Vec<String>, String> {
    let mut reader = Reader::from_reader(bytes);
    let (mut found, mut any) = (Vec::new(), false);
    loop {
        match reader.read_event().map_err(|error| format!("it is no XML: {error}"))? {
            Event::Start(element) | Event::Empty(element) => {
                any |= element.local_name().as_ref() == b"Envelope";
                if element.local_name().as_ref() != b"File" {
                    continue;
                }
                for attribute in element.attributes() {
                    let attribute = attribute.map_err(|error| format!("it is no XML: {error}"))?;
                    if attribute.key.local_name().as_ref() == b"href" {
                        let value = std::str::from_utf8(&attribute.value).map_err(|error| error.to_string())?;
                        let value = quick_xml::escape::unescape(value).map_err(|error| error.to_string())?;
                        found.push(value.into_owned());
                    }
                }
            }
            Event::Eof if any => return Ok(found),
            Event::Eof => return Err("it describes no machine".to_owned()),
            _ => {}
        }
    }
}

/// The header of a disk.
fn begin(path: &Utf8Path) -> io::Result<Vec<u8>> {
    let mut begin = Vec::new();
    fs_err::File::open(path)?.take(104).read_to_end(&mut begin)?;
    Ok(begin)
}

/// How an image takes data from other files of the host that starts it, if it does.
fn leans(begin: &[u8]) -> Option<&'static str> {
    let number = |from: usize| begin.get(from..from + 8)?.try_into().ok().map(u64::from_be_bytes);
    if !begin.starts_with(&QCOW2) {
        return None;
    }
    // The QCOW2 specification: where the backing file's name is, and, from version 3 on, incompatible features.
    if number(8).is_none_or(|offset| offset != 0) {
        return Some("leans on another file");
    }
    let version = begin.get(4..8)?.try_into().ok().map(u32::from_be_bytes)?;
    (version >= 3 && number(72).is_none_or(|features| features & EXTERNAL_DATA != 0))
        .then_some("has its data in another file")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_of_a_description_are_found() {
        let ovf = r#"<?xml version="1.0"?><Envelope ovf:version="1.0" xmlns:ovf="http://x"><References>
            <File ovf:href="box-disk001.vmdk" ovf:id="file1"/><ovf:File ovf:href="a&amp;b.vmdk"></ovf:File></References></Envelope>"#;
        assert_eq!(hrefs(ovf.as_bytes()).unwrap(), ["box-disk001.vmdk", "a&b.vmdk"]);
        assert!(hrefs(b"<Other/>").is_err());
        assert!(hrefs(b"<Envelope><a></b>").is_err());
        assert!(hrefs(b"").is_err());
    }

    #[test]
    fn an_image_that_leans_on_other_files_is_seen() {
        let mut header = [0_u8; 104];
        header[..4].copy_from_slice(&QCOW2);
        header[7] = 3;
        assert_eq!(leans(&header), None);
        header[15] = 104;
        assert!(leans(&header).is_some());
        header[15] = 0;
        header[79] = 4;
        assert!(leans(&header).is_some());
        assert_eq!(leans(b"a raw disk"), None);
        assert!(leans(&QCOW2).is_some());
    }
}
