//! Files with holes: disks are mostly zeros, which need no room where the file system leaves them out.

use std::io::{self, Seek, SeekFrom, Write};

/// Writes a new file from its beginning to its end, and leaves out what is nothing but zeros.
pub(super) struct Holes<'a> {
    file: &'a mut fs_err::File,
    ends_with_hole: bool,
}

impl<'a> Holes<'a> {
    pub(super) fn new(file: &'a mut fs_err::File) -> Self {
        Self { file, ends_with_hole: false }
    }

    /// Ends the file: a hole at its end needs to be said.
    ///
    /// # Errors
    /// What the file system says.
    pub(super) fn end(self) -> io::Result<()> {
        if self.ends_with_hole {
            let size = self.file.stream_position()?;
            self.file.set_len(size)?;
        }
        Ok(())
    }
}

impl Write for Holes<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.ends_with_hole = bytes.iter().all(|byte| *byte == 0) && (self.ends_with_hole || !bytes.is_empty());
        if self.ends_with_hole {
            self.file.seek(SeekFrom::Current(bytes.len() as i64))?;
        } else {
            self.file.write_all(bytes)?;
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(32))]

        #[test]
        fn what_is_written_is_read(pieces in prop::collection::vec((any::<bool>(), 0..5000_usize), 0..6)) {
            let guard = tempfile::tempdir().unwrap();
            let path = guard.path().join("a");
            let mut file = fs_err::File::create(&path).unwrap();
            let mut holes = Holes::new(&mut file);
            let mut expected = Vec::new();
            for (full, size) in pieces {
                let piece = vec![u8::from(full); size];
                holes.write_all(&piece).unwrap();
                expected.extend(piece);
            }
            holes.end().unwrap();
            prop_assert_eq!(fs_err::read(&path).unwrap(), expected);
        }
    }
}
