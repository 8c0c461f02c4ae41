//! What boots machines without a kernel beside their disk: a line of the file, or what their kind of board has.

use camino::{Utf8Path, Utf8PathBuf};
use rig_model::{MachineSpec, ProviderOption};
use rig_provider_api::{FieldIssue, unknown_options};
use serde::{Deserialize, Serialize};

/// The line of a machine's `provider` block.
const FIRMWARE: &str = "firmware";

/// What boots a machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Firmware {
    /// The first sector of its disk. Boards for x86-64 have it themselves.
    Bios,
    /// A program of its EFI partition.
    Uefi,
}

impl Firmware {
    /// By the words that files use.
    const ALL: [(&str, Self); 2] = [("bios", Self::Bios), ("uefi", Self::Uefi)];

    /// What a board for this host's processor has.
    pub(crate) const NATIVE: Self = if cfg!(target_arch = "aarch64") { Self::Uefi } else { Self::Bios };

    /// Whether boards for this host's processor can have it.
    fn is_there(self) -> bool {
        self == Self::Uefi || Self::NATIVE == Self::Bios
    }

    /// What a machine's block says.
    pub(crate) fn read(options: &[ProviderOption]) -> Option<Self> {
        let [word] = options.iter().find(|option| option.name == FIRMWARE)?.words.as_slice() else { return None };
        Self::ALL.iter().find(|(name, _)| name == word).map(|(_, firmware)| *firmware)
    }

    /// The file that QEMU is given; nothing where the board has it.
    pub(crate) fn file(self) -> Option<Utf8PathBuf> {
        match self {
            Self::Bios => None,
            Self::Uefi => {
                let known = PLACES.iter().map(Utf8Path::new).find(|path| path.is_file());
                Some(known.unwrap_or_else(|| Utf8Path::new(OWN)).to_owned())
            }
        }
    }
}

/// Where distributions have UEFI for QEMU, whole or without a place for variables, which are lost when the machine stops: Debian,
/// Fedora and Arch.
const PLACES: &[&str] = if cfg!(target_arch = "aarch64") {
    &[
        "/usr/share/qemu-efi-aarch64/QEMU_EFI.fd",
        "/usr/share/edk2/aarch64/QEMU_EFI.fd",
        "/usr/share/edk2/aarch64/QEMU_CODE.fd",
    ]
} else {
    &["/usr/share/ovmf/OVMF.fd", "/usr/share/edk2/ovmf/OVMF_CODE.fd", "/usr/share/edk2/x64/OVMF_CODE.fd"]
};

/// What QEMU brings along elsewhere, which it finds by this name (`pc-bios` of its source).
const OWN: &str = if cfg!(target_arch = "aarch64") { "edk2-aarch64-code.fd" } else { "edk2-x86_64-code.fd" };

/// What QEMU says when it has no such file.
pub(crate) const MISSING: [&str; 2] = ["could not load PC BIOS", "Could not find ROM image"];

/// What to do then.
pub(crate) const HINT: &str = "install UEFI for QEMU: Debian's package is `ovmf`, or `qemu-efi-aarch64` for 64-bit Arm";

/// What is wrong with a machine's block.
pub(crate) fn issues(machine: &MachineSpec) -> Vec<FieldIssue> {
    let mut issues = unknown_options(machine, &[FIRMWARE]);
    for option in machine.options.iter().filter(|option| option.name == FIRMWARE) {
        let firmware = Firmware::read(std::slice::from_ref(option));
        if !firmware.is_some_and(Firmware::is_there) || !option.properties.is_empty() {
            let names = Firmware::ALL.iter().filter(|(_, firmware)| firmware.is_there());
            let names: Vec<&str> = names.map(|(name, _)| *name).collect();
            issues.push(FieldIssue {
                field: format!("provider.{FIRMWARE}"),
                message: format!("{:?} is no firmware of this host's boards", option.words.join(" ")),
                hint: Some(format!("there are {}", names.join(", "))),
            });
        }
    }
    issues
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeMap;

    #[test]
    fn a_word_names_the_firmware() {
        let option = |words: &[&str]| ProviderOption {
            name: FIRMWARE.to_owned(),
            words: words.iter().map(|word| (*word).to_owned()).collect(),
            properties: BTreeMap::new(),
        };
        let read = |words: &[&str]| Firmware::read(&[option(words)]);
        assert_eq!([read(&["uefi"]), read(&["bios"])], [Some(Firmware::Uefi), Some(Firmware::Bios)]);
        assert_eq!([read(&["efi"]), read(&["uefi", "bios"]), Firmware::read(&[])], [None; 3]);
        assert!(Firmware::Bios.file().is_none() && Firmware::Uefi.file().is_some());
    }
}
