//! The disks of a box: which files they are, and that they do not lean on files outside the box.

use crate::{
    DiskFormat, Metadata, archive, image,
    metadata::{METADATA, MetadataDisk},
};
use camino::{Utf8Path, Utf8PathBuf};
use quick_xml::{Reader, events::Event};
use serde::Serialize;
use std::io::{self, Read};

/// The machine's description in boxes for VirtualBox.
pub(crate) const OVF: &str = "box.ovf";

/// The only disk in boxes for libvirt that name none.
const IMAGE: &str = "box.img";

/// A disk of a box.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Disk {
    /// Its file, relative to the box's folder.
    pub path: Utf8PathBuf,
    /// Its format, as its first bytes say it.
    pub format: DiskFormat,
    /// The size that it has in the machine, in GiB, where the box says so.
    pub virtual_size: Option<u64>,
}

/// The disks of the box in a folder, checked: each is a file of the box, and none takes data from anywhere else.
///
/// # Errors
/// What is wrong, in words, with its place.
pub(crate) fn find(folder: &Utf8Path, metadata: &Metadata) -> Result<Vec<Disk>, String> {
    let named = match metadata.provider.as_str() {
        "virtualbox" => of_ovf(folder)?,
        "libvirt" | "qemu" if metadata.disks.is_empty() => {
            vec![Named { path: IMAGE.into(), format: metadata.format.clone(), virtual_size: metadata.virtual_size }]
        }
        "libvirt" | "qemu" => {
            let named = metadata.disks.iter().enumerate();
            named.map(|(index, disk)| of_metadata(disk, index, metadata)).collect::<Result<_, _>>()?
        }
        // What other providers make of a box is theirs to know.
        _ => Vec::new(),
    };
    named.into_iter().map(|disk| check(folder, disk)).collect()
}

/// A disk as the box describes it.
struct Named {
    path: Utf8PathBuf,
    format: Option<String>,
    virtual_size: Option<u64>,
}

fn check(folder: &Utf8Path, disk: Named) -> Result<Disk, String> {
    let Named { path, format, virtual_size } = disk;
    let file = folder.join(&path);
    if !fs_err::symlink_metadata(&file).is_ok_and(|data| data.is_file()) {
        return Err(format!("its disk {path} is not in it"));
    }
    let beside = file.parent().unwrap_or(folder);
    let found = image::inspect(beside, &file).map_err(|why| format!("its disk {path} {why}"))?;
    if let Some(said) = format {
        let said = DiskFormat::named(&said).map_err(|why| format!("{METADATA}: {why}"))?;
        // Whoever believes what is said reads other data than what was checked.
        if said != found {
            return Err(format!("its disk {path} is {found}, and {METADATA} says that it is {said}"));
        }
    }
    Ok(Disk { path, format: found, virtual_size })
}

fn of_metadata(disk: &MetadataDisk, index: usize, metadata: &Metadata) -> Result<Named, String> {
    let path = archive::inside(&disk.path)
        .map_err(|why| format!("metadata.json: disks[{index}].path: {:?} {why}", disk.path))?;
    let format = disk.format.clone().or_else(|| metadata.format.clone());
    Ok(Named { path, format, virtual_size: disk.virtual_size })
}

/// The files that the machine's description refers to.
fn of_ovf(folder: &Utf8Path) -> Result<Vec<Named>, String> {
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
        disks.push(Named { path, format: None, virtual_size: None });
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
}
