//! The terminal itself: its size, and passing every key on.

use rig_provider_api::Terminal;

/// The size of the terminal; nothing when there is none.
pub(crate) fn size() -> Option<Terminal> {
    let (columns, rows) = crossterm::terminal::size().ok()?;
    Some(Terminal { columns, rows })
}

/// While it lives, keys go to the machine as they are typed, Ctrl-C included.
pub(crate) struct Raw;

impl Raw {
    pub(crate) fn enter() -> std::io::Result<Self> {
        crossterm::terminal::enable_raw_mode()?;
        Ok(Self)
    }
}

impl Drop for Raw {
    fn drop(&mut self) {
        // A terminal that is gone needs no mode.
        let _ = crossterm::terminal::disable_raw_mode();
    }
}
