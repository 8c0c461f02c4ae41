//! What a virtual machine boots from, made of a box's root file system: a disk, a kernel and an initrd. Nothing of it needs a
//! program of the host or the rights of its administrator.

mod disk;
mod initrd;
mod journal;
mod make;
mod pipe;
#[cfg(test)]
mod tests;

pub(crate) use make::make;
