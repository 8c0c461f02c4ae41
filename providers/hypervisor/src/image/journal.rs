//! The journal of a file system, which the formatter does not make.
//!
//! With one, a machine that was killed while it wrote comes up again with a clean file system: its kernel sees to it when it
//! mounts the disk, in a moment and without a program. It is made here and not at the first start, because that would take time
//! from every machine's start and leave it alone until then.
//!
//! The journal is a file when the file system is formatted. Then its inode becomes inode 8, as `e2fsck` does it with journals
//! that were added later, and its name goes away. See <https://docs.kernel.org/filesystems/ext4/journal.html>.

use super::disk::BLOCK;
use arcbox_ext4::{
    Formatter,
    constants::{file_mode, make_mode},
    error::FormatResult,
    types::{GroupDescriptor, Inode, SUPERBLOCK_SIZE, SuperBlock},
};
use camino::Utf8Path;
use fs_err::File;
use std::io::{self, Read, Seek, SeekFrom, Write};

/// Its size in blocks: 16 MiB, which is what `mke2fs` gives to disks of up to 2 GiB. Larger ones get more of it, for many writers
/// at once.
const BLOCKS: u32 = 4096;

/// Its name for the moment.
const NAME: &str = "/.journal";

/// Where the superblock begins, in bytes.
const SUPERBLOCK: u64 = 1024;

/// The inodes of the root folder and of journals, and the first one behind `lost+found`.
const ROOT_INODE: u32 = 2;
const JOURNAL_INODE: u32 = 8;
const FIRST_INODE: u32 = 12;

/// Features: a journal; folders with an index, without which large ones are slow.
const HAS_JOURNAL: u32 = 0x4;
const DIR_INDEX: u32 = 0x20;

/// How names are hashed in an index: half MD4, the usual way.
const HALF_MD4: u8 = 1;

/// The kind of copy of the journal's place in the superblock: an inode's blocks.
const BACKUP_BLOCKS: u8 = 1;

/// Makes room, as the first file of all.
pub(super) fn reserve(formatter: &mut Formatter) -> FormatResult<()> {
    let mut zeros = io::repeat(0).take(u64::from(BLOCKS) * u64::from(BLOCK));
    let mode = make_mode(file_mode::S_IFREG, 0o600);
    formatter.create(NAME, mode, None, None, Some(&mut zeros), Some(0), Some(0), None)
}

/// Makes that file the journal of a file system that was written.
pub(super) fn install(path: &Utf8Path) -> io::Result<()> {
    let mut image = Image(fs_err::OpenOptions::new().read(true).write(true).open(path)?);
    let mut superblock = SuperBlock::read_from(&image.read::<SUPERBLOCK_SIZE>(SUPERBLOCK)?);
    // Both inodes are in the first group.
    let first_group = u64::from(BLOCK);
    let mut group = GroupDescriptor::read_from(&image.read::<{ GroupDescriptor::SIZE }>(first_group)?);
    let inode_at = |number: u32| at(group.inode_table_lo) + u64::from(number - 1) * Inode::SIZE as u64;

    let journal = Inode::read_from(&image.read::<{ Inode::SIZE }>(inode_at(FIRST_INODE))?);
    if !journal.is_reg() || journal.file_size() != u64::from(BLOCKS) * u64::from(BLOCK) {
        return Err(io::Error::other(format!("{path}: the journal is not where it was made")));
    }
    image.write(at(first_block(&journal)), &header(&superblock.uuid))?;
    let mut bytes = [0; Inode::SIZE];
    journal.write_to(&mut bytes);
    image.write(inode_at(JOURNAL_INODE), &bytes)?;

    // Its name, its inode and the place that it has in the lists go.
    let root = Inode::read_from(&image.read::<{ Inode::SIZE }>(inode_at(ROOT_INODE))?);
    let folder = at(first_block(&root));
    let entry = entry_of(FIRST_INODE, &image.read::<{ BLOCK as usize }>(folder)?)
        .ok_or_else(|| io::Error::other(format!("{path}: the journal has no name")))?;
    image.write(folder + entry, &[0; 4])?;
    image.write(inode_at(FIRST_INODE), &[0; Inode::SIZE])?;
    let place = at(group.inode_bitmap_lo) + u64::from((FIRST_INODE - 1) / 8);
    let [used] = image.read::<1>(place)?;
    image.write(place, &[used & !(1 << ((FIRST_INODE - 1) % 8))])?;
    group.free_inodes_count_lo += 1;
    let mut bytes = [0; GroupDescriptor::SIZE];
    group.write_to(&mut bytes);
    image.write(first_group, &bytes)?;

    superblock.free_inodes_count += 1;
    superblock.feature_compat |= HAS_JOURNAL | DIR_INDEX;
    superblock.journal_inum = JOURNAL_INODE;
    superblock.journal_backup_type = BACKUP_BLOCKS;
    for (copy, word) in superblock.journal_blocks.iter_mut().zip(journal.block.chunks_exact(4)) {
        *copy = number(word);
    }
    superblock.journal_blocks[15] = journal.size_hi;
    superblock.journal_blocks[16] = journal.size_lo;
    superblock.def_hash_version = HALF_MD4;
    for (seed, word) in superblock.hash_seed.iter_mut().zip(superblock.uuid.chunks_exact(4)) {
        *seed = number(word);
    }
    // Linux, which the formatter does not say.
    superblock.creator_os = 0;
    let mut bytes = [0; SUPERBLOCK_SIZE];
    superblock.write_to(&mut bytes);
    image.write(SUPERBLOCK, &bytes)
}

/// The first block of a journal in which nothing is written. Numbers have their large end first here.
fn header(uuid: &[u8; 16]) -> [u8; 1024] {
    let mut block = [0; 1024];
    let mut put = |place: usize, number: u32| block[place..place + 4].copy_from_slice(&number.to_be_bytes());
    put(0x00, 0xC03B_3998);
    // The kind of block: a superblock of the second version.
    put(0x04, 4);
    put(0x0C, BLOCK);
    put(0x10, BLOCKS);
    // The first block for transactions, and the number that the first transaction will have.
    put(0x14, 1);
    put(0x18, 1);
    // How many file systems use it.
    put(0x40, 1);
    block[0x30..0x40].copy_from_slice(uuid);
    block
}

/// Where the entry of an inode is in a block of a folder.
fn entry_of(inode: u32, block: &[u8]) -> Option<u64> {
    let mut place = 0;
    while let Some(head) = block.get(place..place + 8) {
        if number(head) == inode {
            return Some(place as u64);
        }
        match u16::from_le_bytes([head[4], head[5]]) {
            0 => return None,
            length => place += usize::from(length),
        }
    }
    None
}

/// The first block of an inode whose extents are all in it: behind the header, length and place of the first.
fn first_block(inode: &Inode) -> u32 {
    number(&inode.block[20..])
}

/// Where a block begins, in bytes.
fn at(block: u32) -> u64 {
    u64::from(block) * u64::from(BLOCK)
}

/// The number in the first four bytes.
fn number(bytes: &[u8]) -> u32 {
    bytes.first_chunk().map_or(0, |bytes| u32::from_le_bytes(*bytes))
}

struct Image(File);

impl Image {
    fn read<const N: usize>(&mut self, place: u64) -> io::Result<[u8; N]> {
        let mut bytes = [0; N];
        self.0.seek(SeekFrom::Start(place))?;
        self.0.read_exact(&mut bytes)?;
        Ok(bytes)
    }

    fn write(&mut self, place: u64, bytes: &[u8]) -> io::Result<()> {
        self.0.seek(SeekFrom::Start(place))?;
        self.0.write_all(bytes)
    }
}
