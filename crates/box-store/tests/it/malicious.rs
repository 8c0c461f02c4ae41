//! Boxes that are damaged, or say wrong things about themselves: refused, and nothing of them is left anywhere.

use crate::{
    hostile::refused,
    support::{Files, libvirt, tar, tar_gz, virtualbox, zip},
};

#[tokio::test]
async fn damaged_archives() {
    let good = tar_gz(&virtualbox("abcdefghij"));
    for (cut, why) in [
        (1, "neither a tar"),
        (10, "incomplete deflate"),
        (good.len() / 2, "incomplete deflate"),
        (good.len() - 9, "incomplete deflate"),
        (good.len() - 1, "unexpected end of file"),
    ] {
        refused(&good[..cut], why).await;
    }
    let mut wrong = good.clone();
    let sum = wrong.len() - 6;
    wrong[sum] ^= 1;
    refused(&wrong, "matching checksum").await;
    let plain = tar(&virtualbox("a"));
    refused(&plain[..1000], "unexpected EOF").await;
    let zipped = zip(&virtualbox("a"));
    refused(&zipped[..zipped.len() / 2], "Could not find EOCD").await;
    refused(&zipped[..zipped.len() - 4], "Unexpected end").await;
    for (other, why) in [
        (&b"<html>not found</html>"[..], "neither a tar"),
        (b"", "it is empty"),
        (b"\xfd7zXZ\0\0", "packed with xz"),
        (b"PK\x03\x04", "Could not find EOCD"),
        (&[0; 2048], "neither a tar"),
    ] {
        refused(other, why).await;
    }
}

#[tokio::test]
async fn boxes_that_say_wrong_things_about_themselves() {
    let change = |mut files: Files, path: &str, content: Option<&str>| {
        files.retain(|(name, _)| name.trim_start_matches("./") != path);
        files.extend(content.map(|content| (path.to_owned(), content.as_bytes().to_vec())));
        tar(&files)
    };
    for (bytes, place) in [
        (change(virtualbox("a"), "metadata.json", None), "no metadata.json"),
        (
            change(virtualbox("a"), "metadata.json", Some(r#"{"provider": ["x"]}"#)),
            "metadata.json: provider: invalid type",
        ),
        (change(virtualbox("a"), "metadata.json", Some("provider: x")), "metadata.json: "),
        (change(virtualbox("a"), "box.ovf", None), "no box.ovf"),
        (change(virtualbox("a"), "box.ovf", Some("<Envelope")), "box.ovf: "),
        (change(virtualbox("a"), "box-disk001.vmdk", None), "box-disk001.vmdk is not in it"),
        (change(virtualbox("a"), "box.ovf", Some(r#"<Envelope><File href="../../x"/></Envelope>"#)), "leads out"),
        (change(libvirt("a", "amd64"), "box.img", None), "box.img is not in it"),
        (
            change(
                libvirt("a", "x"),
                "metadata.json",
                Some(r#"{"provider": "libvirt", "disks": [{"path": "/dev/sda"}]}"#),
            ),
            "disks[0].path",
        ),
    ] {
        refused(&bytes, place).await;
    }
    let mut files = libvirt("a", "amd64");
    files[1].1[15] = 104;
    refused(&tar(&files), "leans on another file").await;
    // A disk that is another than it seems, and one whose data is a file of the host.
    files[1].1 = b"raw".to_vec();
    refused(&tar(&files), "box.img is raw, and metadata.json says that it is qcow2").await;
    files[1].1 = b"# Disk DescriptorFile\nversion=1\nRW 1 FLAT \"/etc/shadow\" 0\n".to_vec();
    refused(&tar(&files), "/etc/shadow").await;
}
