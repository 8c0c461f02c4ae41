//! What a box says about itself: `metadata.json` and `info.json`.

use crate::{Architecture, BoxProvider, json};
use serde::{Deserialize, Deserializer, Serialize, de::Error};

/// The name of the file that every box has.
pub(crate) const METADATA: &str = "metadata.json";

/// The name of the file with remarks of those who made a box.
pub(crate) const INFO: &str = "info.json";

/// `metadata.json`. Fields that rig does not know are skipped.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Metadata {
    /// What the box is made for.
    pub provider: BoxProvider,
    /// What it runs on, where it says so.
    #[serde(default)]
    pub architecture: Option<Architecture>,
    /// The format of the only disk (`qcow2`), in boxes for libvirt.
    #[serde(default)]
    pub format: Option<String>,
    /// The size that the only disk has in the machine, in GiB.
    #[serde(default, deserialize_with = "gibibytes")]
    pub virtual_size: Option<u64>,
    /// The disks, in boxes for libvirt that have several.
    #[serde(default)]
    pub disks: Vec<MetadataDisk>,
}

/// A disk that `metadata.json` names.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct MetadataDisk {
    /// Its file in the box.
    pub path: String,
    /// Its format, where that is not the box's.
    #[serde(default)]
    pub format: Option<String>,
    /// The size that it has in the machine, in GiB.
    #[serde(default, deserialize_with = "gibibytes")]
    pub virtual_size: Option<u64>,
}

impl Metadata {
    /// Reads `metadata.json`.
    ///
    /// # Errors
    /// What is wrong, in words, with its place.
    pub(crate) fn parse(bytes: &[u8]) -> Result<Self, String> {
        json::parse(bytes).map_err(|why| format!("{METADATA}: {why}"))
    }
}

/// Some tools write a whole number, some one with a fraction, which is rounded up.
fn gibibytes<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<u64>, D::Error> {
    let Some(number) = Option::<serde_json::Number>::deserialize(deserializer)? else {
        return Ok(None);
    };
    let size = number.as_f64().filter(|size| (0.0..1e9).contains(size));
    let size = size.ok_or_else(|| D::Error::custom(format!("{number} is no size in GiB")))?;
    // Within 30 bits: see above.
    Ok(Some(size.ceil() as u64))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_vagrant_documents_is_read() {
        let virtualbox = Metadata::parse(br#"{"provider": "virtualbox"}"#).unwrap();
        assert_eq!((virtualbox.provider.as_str(), virtualbox.architecture), ("virtualbox", None));
        let libvirt = br#"{"provider": "libvirt", "format": "qcow2", "virtual_size": 39.5, "architecture": "x86_64", "extra": []}"#;
        let libvirt = Metadata::parse(libvirt).unwrap();
        assert_eq!((libvirt.format.as_deref(), libvirt.virtual_size), (Some("qcow2"), Some(40)));
        assert_eq!(libvirt.architecture.unwrap().as_str(), "amd64");
        let disks =
            br#"{"provider": "libvirt", "disks": [{"path": "disk1.img"}, {"path": "b.img", "virtual_size": 3}]}"#;
        assert_eq!(Metadata::parse(disks).unwrap().disks[1].virtual_size, Some(3));
    }

    #[test]
    fn an_error_names_the_place() {
        for (text, place) in [
            (r#"{"provider": 7}"#, "metadata.json: provider: invalid type: integer `7`"),
            (r#"{"provider": "a b"}"#, "metadata.json: provider: "),
            ("{}", "metadata.json: missing field `provider`"),
            ("[]", "metadata.json: "),
            (r#"{"provider": "x", "virtual_size": "40"}"#, "metadata.json: virtual_size: "),
            (r#"{"provider": "x", "virtual_size": -1}"#, "metadata.json: virtual_size: "),
            (r#"{"provider": "x", "disks": [{"path": 1}]}"#, "metadata.json: disks[0].path: "),
            ("\u{0}", "metadata.json: "),
        ] {
            let error = Metadata::parse(text.as_bytes()).unwrap_err();
            assert!(error.contains(place), "{error}");
        }
    }
}
