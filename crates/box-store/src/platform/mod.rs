//! What differs between platforms.

#[cfg(unix)]
mod unix;
#[cfg(not(unix))]
mod windows;

#[cfg(unix)]
pub(crate) use unix::{free_space, ordinary_permissions, symbolic_link};
#[cfg(not(unix))]
pub(crate) use windows::{free_space, ordinary_permissions, symbolic_link};
