//! What can go wrong in a provider, as far as callers tell it apart.

/// The result of a provider's call.
pub type Result<T> = std::result::Result<T, ProviderError>;

/// Why a call did not do what it should.
#[derive(Debug, Clone, thiserror::Error)]
pub enum ProviderError {
    /// The backend does not answer at all.
    #[error("{endpoint} cannot be reached: {why}")]
    Unreachable {
        /// Where it was looked for.
        endpoint: String,
        /// What the attempt ended with.
        why: String,
        /// What to do.
        hint: String,
    },
    /// The backend answered, and refused or failed.
    #[error("{doing}: {why}")]
    Failed {
        /// What was being done, and to what.
        doing: String,
        /// The backend's reason.
        why: String,
        /// The last lines of the log that belongs to it.
        tail: Vec<String>,
        /// What to do, where that is known.
        hint: Option<String>,
    },
    /// The object that the call needs is not there.
    #[error("{doing}: {what} is not there")]
    Absent {
        /// What was being done.
        doing: String,
        /// What is missing.
        what: String,
    },
    /// The deadline passed.
    #[error("{doing}: not done within {seconds:.0} s")]
    TimedOut {
        /// What was being done.
        doing: String,
        /// The limit, in seconds.
        seconds: f64,
    },
    /// The caller ended the call.
    #[error("{doing}: interrupted")]
    Cancelled {
        /// What was being done.
        doing: String,
    },
}

impl ProviderError {
    /// A failure without log and hint.
    pub fn failed(doing: impl Into<String>, why: impl std::fmt::Display) -> Self {
        Self::Failed { doing: doing.into(), why: why.to_string(), tail: Vec::new(), hint: None }
    }

    /// The same failure with something to do about it; other kinds stay as they are.
    #[must_use]
    pub fn hinted(mut self, text: impl Into<String>) -> Self {
        if let Self::Failed { hint, .. } = &mut self {
            *hint = Some(text.into());
        }
        self
    }

    /// What to do about it, where that is known.
    #[must_use]
    pub fn hint(&self) -> Option<&str> {
        match self {
            Self::Unreachable { hint, .. } => Some(hint),
            Self::Failed { hint, .. } => hint.as_deref(),
            Self::Absent { .. } | Self::TimedOut { .. } | Self::Cancelled { .. } => None,
        }
    }

    /// The last lines of the log that belongs to it.
    #[must_use]
    pub fn tail(&self) -> &[String] {
        match self {
            Self::Failed { tail, .. } => tail,
            Self::Unreachable { .. } | Self::Absent { .. } | Self::TimedOut { .. } | Self::Cancelled { .. } => &[],
        }
    }

    /// Whether the object was not there.
    #[must_use]
    pub fn is_absent(&self) -> bool {
        matches!(self, Self::Absent { .. })
    }
}
