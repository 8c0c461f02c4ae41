//! Files and folders, to and from a machine.
//!
//! Both ways go as a tar stream through a command: the machine needs POSIX `sh`, `tar` (GNU's or BusyBox's), `mv`,
//! `mkdir`, `rm` and `chown`, no SFTP server. What arrives is unpacked beside its target and renamed onto it when it
//! is complete, so that nobody ever sees half of it.
//!
//! A transfer keeps its connection busy: give it one of its own with [`Session::another`](crate::Session::another).

mod download;
mod pack;
mod pipe;
mod script;
mod unpack;
mod upload;

pub use download::{DownloadOptions, Downloaded, download};
pub use upload::{UploadOptions, UploadSource, upload};
