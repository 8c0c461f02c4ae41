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

/// News of the terminal's size. Ends never; where the system does not tell, it stays silent.
pub(crate) struct Sizes {
    #[cfg(unix)]
    signal: Option<tokio::signal::unix::Signal>,
}

impl Sizes {
    /// Listens from now on.
    pub(crate) fn listen() -> Self {
        Self {
            #[cfg(unix)]
            signal: tokio::signal::unix::signal(tokio::signal::unix::SignalKind::window_change()).ok(),
        }
    }

    /// The next size.
    pub(crate) async fn next(&mut self) -> Terminal {
        loop {
            #[cfg(unix)]
            if let Some(signal) = &mut self.signal
                && signal.recv().await.is_some()
            {
                if let Some(size) = size() {
                    return size;
                }
                continue;
            }
            std::future::pending::<()>().await;
        }
    }
}
