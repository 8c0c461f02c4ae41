//! VMDK images: a text, in a file of its own or in the image, says which files hold the data. They must be the box's.

use crate::image::part;
use camino::Utf8Path;
use std::io::{self, SeekFrom};

const SPARSE: &[u8] = b"KDMV";

/// How much is read of the text behind the first sector, in bytes: 20 sectors.
const FIXED: u64 = 20 * 512;

/// The longest text that is read, in bytes; those that tools write have some hundred.
const LONGEST: u64 = 1 << 20;

/// Whether an image is one, by its first bytes: those of the image, or of the text, which may begin with remarks.
pub(crate) fn is_one(file: &mut fs_err::File, begin: &[u8]) -> io::Result<bool> {
    if begin.starts_with(SPARSE) {
        return Ok(true);
    }
    if !begin.first().is_some_and(|byte| byte.is_ascii_graphic() || byte.is_ascii_whitespace()) {
        return Ok(false);
    }
    let text = String::from_utf8_lossy(&part(file, SeekFrom::Start(0), 64 << 10)?).to_ascii_lowercase();
    let is_said = text.starts_with("# disk descriptor");
    let mut lines = text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#'));
    Ok(is_said || lines.next().is_some_and(|line| line.starts_with("version")))
}

/// Checks where an image has its data.
///
/// # Errors
/// Why it is not taken, in words that follow its name.
pub(crate) fn check(file: &mut fs_err::File, begin: &[u8], folder: &Utf8Path) -> Result<(), String> {
    if begin.starts_with(SPARSE) {
        return embedded(file, begin);
    }
    let bytes = part(file, SeekFrom::Start(0), LONGEST + 1).map_err(|error| format!("cannot be read: {error}"))?;
    if bytes.len() as u64 > LONGEST {
        return Err("is a text that is too long to say where a disk is".to_owned());
    }
    let extents = extents(&bytes)?;
    if extents.is_empty() {
        return Err("says nowhere where its data is".to_owned());
    }
    for extent in extents {
        let wrong = |why: &str| format!("has its data in {extent:?}, which {why}");
        let path = folder.join(&extent);
        if !fs_err::symlink_metadata(&path).is_ok_and(|data| data.is_file()) {
            return Err(wrong("is not in the box"));
        }
        let mut file = fs_err::File::open(&path).map_err(|error| wrong(&error.to_string()))?;
        let begin = part(&mut file, SeekFrom::Start(0), 512).map_err(|error| wrong(&error.to_string()))?;
        if begin.starts_with(SPARSE) {
            embedded(&mut file, &begin).map_err(|why| wrong(&why))?;
        }
    }
    Ok(())
}

/// Checks the text in an image. The one name in it is the image's own, which it may have had elsewhere: programs that
/// read the image do not look for it, as long as the image has a size.
fn embedded(file: &mut fs_err::File, begin: &[u8]) -> Result<(), String> {
    const SECTOR: u64 = 512;
    let number = |from: usize| begin.get(from..from + 8)?.try_into().ok().map(u64::from_le_bytes);
    let (Some(size), Some(from), Some(length)) = (number(12), number(28), number(36)) else {
        return Err("is shorter than its headers".to_owned());
    };
    if size == 0 {
        return Err("has no size of its own, and so leans on other files".to_owned());
    }
    // Some programs look here for a parent, wherever the header says that the text is (QEMU's `block/vmdk.c`).
    let fixed = part(file, SeekFrom::Start(SECTOR), FIXED).map_err(|error| format!("cannot be read: {error}"))?;
    stands_alone(&String::from_utf8_lossy(&fixed).to_ascii_lowercase())?;
    if from == 0 || length == 0 {
        return Ok(());
    }
    let place = from.checked_mul(SECTOR).filter(|_| length <= LONGEST / SECTOR);
    let place = place.ok_or("has a text that is too long to say where a disk is")?;
    let bytes = part(file, SeekFrom::Start(place), length * SECTOR);
    extents(&bytes.map_err(|error| format!("cannot be read: {error}"))?).map(|_| ())
}

/// Makes sure that a text in small letters names no other image. Programs look for these words anywhere.
fn stands_alone(lower: &str) -> Result<(), String> {
    const LEANS: &str = "leans on another file";
    if lower.contains("parentfilenamehint") || lower.contains("changetrackpath") {
        return Err(LEANS.to_owned());
    }
    for (at, word) in lower.match_indices("parentcid") {
        let value = lower[at + word.len()..].trim_start_matches([' ', '\t', '=']);
        if !value.starts_with("ffffffff") {
            return Err(LEANS.to_owned());
        }
    }
    Ok(())
}

/// The files that a text names.
///
/// # Errors
/// When one is not a plain file name, or there is a parent.
fn extents(text: &[u8]) -> Result<Vec<String>, String> {
    let text = String::from_utf8_lossy(text);
    // What ends a word for one program does not for another.
    if let Some(odd) = text.chars().find(|c| c.is_control() && !matches!(c, '\t' | '\r' | '\n' | '\0')) {
        return Err(format!("has the character {odd:?} in the text that says where its data is"));
    }
    stands_alone(&text.to_ascii_lowercase())?;
    let mut found = Vec::new();
    for line in text.split(['\n', '\r', '\0']).map(str::trim) {
        let mut words = line.split_ascii_whitespace();
        let access = words.next().unwrap_or_default().to_ascii_uppercase();
        if !matches!(access.as_str(), "RW" | "RDONLY" | "NOACCESS") {
            continue;
        }
        let kind = words.nth(1).unwrap_or_default().to_ascii_uppercase();
        let name = line.split('"').nth(1);
        match (kind.as_str(), name) {
            ("ZERO", None) => {}
            ("SPARSE" | "FLAT" | "VMFS" | "VMFSSPARSE" | "SESPARSE", Some(name)) if is_plain(name) => {
                found.push(name.to_owned());
            }
            _ => return Err(format!("has its data in {line:?}, which is no plain file of the box")),
        }
    }
    Ok(found)
}

fn is_plain(name: &str) -> bool {
    crate::archive::inside(name).is_ok_and(|path| path == name && path.components().count() == 1)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::image::{DiskFormat, inspect};

    fn text(extents: &str) -> String {
        format!(
            "# Disk DescriptorFile\nversion=1\nCID=1\nparentCID=ffffffff\ncreateType=\"x\"\n{extents}\nddb.x = \"1\"\n"
        )
    }

    fn sparse(text: &str, size: u8) -> Vec<u8> {
        let mut bytes = vec![0; 512 * 3];
        bytes[..4].copy_from_slice(SPARSE);
        (bytes[12], bytes[28], bytes[36]) = (size, 1, 2);
        bytes[512..512 + text.len()].copy_from_slice(text.as_bytes());
        bytes
    }

    fn of(bytes: &[u8]) -> Result<DiskFormat, String> {
        let guard = tempfile::tempdir().unwrap();
        let folder = Utf8Path::from_path(guard.path()).unwrap();
        fs_err::write(folder.join("d.vmdk"), bytes).unwrap();
        fs_err::write(folder.join("d-flat.vmdk"), "data").unwrap();
        fs_err::write(folder.join("bad.vmdk"), sparse(&text("RW 1 FLAT \"/dev/sda\" 0"), 1)).unwrap();
        inspect(folder, &folder.join("d.vmdk"))
    }

    #[test]
    fn data_must_be_in_files_of_the_box() {
        for good in ["RW 1 FLAT \"d-flat.vmdk\" 0", "RW 1 FLAT \"d-flat.vmdk\" 0\r\nRW 1 ZERO"] {
            assert_eq!(of(text(good).as_bytes()), Ok(DiskFormat::Vmdk), "{good}");
            assert_eq!(of(text(good).replace("# Disk DescriptorFile", "# x").as_bytes()), Ok(DiskFormat::Vmdk));
        }
        for bad in [
            "",
            "RW 1 FLAT \"absent.vmdk\" 0",
            "RW 1 FLAT \"/etc/shadow\" 0",
            "RW 1 FLAT \"../../x\" 0",
            "RW 1 FLAT \"C:\\x\" 0",
            "RW 1 FLAT \"./d-flat.vmdk\" 0",
            "rw 1 flat \"/dev/sda\" 0",
            "RW 1 FLAT /dev/sda 0",
            "RW 1 VMFSRDM \"d-flat.vmdk\"",
            "RW 1 SPARSE \"bad.vmdk\"",
            "RW 1 FLAT \"d-flat.vmdk\" 0\nparentFileNameHint=\"/x\"",
            "RW 1 FLAT \"d-flat.vmdk\" 0\nparentCID = 12345678",
            // What ends a word for C's functions.
            "RW 1 FLAT \"d-flat.vmdk\" 0\nRW\u{b}1 FLAT \"/etc/shadow\" 0",
            "RW 1 FLAT \"d-flat.vmdk\" 0\nRW\u{c}1 FLAT \"/etc/shadow\" 0",
            "RW 1 FLAT \"d-flat.vmdk\" 0\nRW 1FLAT \"/etc/shadow\" 0",
        ] {
            assert!(of(text(bad).as_bytes()).is_err(), "{bad}");
        }
    }

    #[test]
    fn the_text_in_an_image_is_checked_too() {
        // What VMware's tools call a disk that they pack as a stream.
        assert_eq!(of(&sparse(&text("RDONLY 1 SPARSE \"generated-stream.vmdk\""), 1)), Ok(DiskFormat::Vmdk));
        for bad in ["RW 1 FLAT \"/dev/sda\" 0", "parentFileNameHint=\"x\"", "RW 1 SPARSE \"a/b.vmdk\""] {
            assert!(of(&sparse(&text(bad), 1)).is_err(), "{bad}");
        }
        assert!(of(&sparse(&text("RW 1 SPARSE \"d.vmdk\""), 0)).unwrap_err().contains("no size"));
        assert!(of(SPARSE).is_err());
        // Where the header says that there is no text, and where it says that it is behind the fixed place.
        for (from, length) in [(0, 0), (40, 2)] {
            let mut hidden = sparse(&text("parentFileNameHint=\"other.vmdk\""), 1);
            (hidden[28], hidden[36]) = (from, length);
            hidden.resize(50 * 512, 0);
            assert!(of(&hidden).unwrap_err().contains("leans"), "{from}");
        }
    }
}
