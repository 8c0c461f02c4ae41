//! What the header of a qcow2 file says.

use camino::Utf8Path;
use rig_model::Bytes;
use rig_provider_api::{ProviderError, Result};
use std::io::{self, Read};

/// The size that a disk has for its machine (QEMU's `docs/interop/qcow2.txt`, bytes 24 to 31).
///
/// # Errors
/// When the file cannot be read, or has no header.
pub(crate) fn virtual_size(disk: &Utf8Path) -> Result<Bytes> {
    let failed = |error: io::Error| ProviderError::failed(format!("looking at {disk}"), error);
    let mut header = [0; 32];
    fs_err::File::open(disk).and_then(|mut file| file.read_exact(&mut header)).map_err(failed)?;
    let [.., a, b, c, d, e, f, g, h] = header;
    Ok(Bytes(u64::from_be_bytes([a, b, c, d, e, f, g, h])))
}
