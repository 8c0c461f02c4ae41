//! What a case is and how it is played.

use super::{Fixture, stage::Stage, sweep};
use crate::{Provider, ProviderError};
use futures_util::future::BoxFuture;
use std::{fmt, time::Duration};

/// What a case needs beyond machines' lives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "most are named after the accessor of the seam")]
pub enum Need {
    /// Real processes on a real kernel: see [`Fixture::real`].
    Real,
    /// Machines that are one service: see [`Fixture::service`].
    Service,
    /// Boxes from a Dockerfile: see [`Fixture::builds`].
    Build,
    /// Networks without a way out: see [`Fixture::internal`].
    Internal,
    /// Snapshots without their machine: see [`Fixture::outlives`].
    Outliving,
    /// Snapshots that know nothing of each other: see [`Fixture::apart`].
    Apart,
    /// Boxes made of root file systems: see [`Fixture::imports`].
    Import,
    Images,
    Exec,
    Logs,
    Networks,
    Volumes,
    Dial,
    Changes,
    Usage,
    Snapshots,
    Suspension,
    Watch,
    /// Ports that lead in while a machine runs.
    Forwards,
}

/// Why a case did not hold.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure(String);

impl Failure {
    pub(super) fn new(why: impl Into<String>) -> Self {
        Self(why.into())
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl From<ProviderError> for Failure {
    fn from(error: ProviderError) -> Self {
        let mut text = error.to_string();
        for line in error.tail() {
            text.push_str("\n  | ");
            text.push_str(line);
        }
        Self(text)
    }
}

/// How long a backend may go on with calls that a failed case left alone.
const AFTERMATH: Duration = Duration::from_secs(1);

/// How a case ended.
pub type Outcome<T = ()> = Result<T, Failure>;

/// What a case does.
pub(super) type Body = for<'a> fn(&'a Stage<'a>) -> BoxFuture<'a, Outcome>;

/// Something that must hold of every backend.
pub struct Case {
    name: String,
    needs: &'static [Need],
    body: Body,
}

/// A case of a function, and what it needs.
macro_rules! case {
    ($function:ident $(, $need:ident)*) => {
        $crate::conformance::case::Case::new(
            stringify!($function),
            &[$($crate::conformance::Need::$need),*],
            |stage| Box::pin($function(stage)),
        )
    };
}

/// Ends the case unless a condition holds.
macro_rules! ensure {
    ($condition:expr, $($message:tt)+) => {
        if !$condition {
            return Err($crate::conformance::Failure::new(format!($($message)+)));
        }
    };
}

/// Ends the case unless two values are the same.
macro_rules! ensure_eq {
    ($left:expr, $right:expr, $($message:tt)+) => {{
        let (left, right) = (&$left, &$right);
        if left != right {
            let what = format!($($message)+);
            return Err($crate::conformance::Failure::new(format!("{what}: {left:?} instead of {right:?}")));
        }
    }};
}

pub(super) use {case, ensure, ensure_eq};

impl Case {
    pub(super) fn new(name: &str, needs: &'static [Need], body: Body) -> Self {
        Self { name: name.to_owned(), needs, body }
    }

    /// The same case under the heading of its subject.
    pub(super) fn about(self, subject: &str) -> Self {
        Self { name: format!("{subject}::{}", self.name), ..self }
    }

    /// Its name, `subject::what_must_hold`.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Whether it needs this.
    #[must_use]
    pub fn needs(&self, need: Need) -> bool {
        self.needs.contains(&need)
    }

    /// What it needs that is not there; such a case says nothing about the backend.
    #[must_use]
    pub fn missing(&self, provider: &dyn Provider, fixture: &Fixture) -> Option<Need> {
        self.needs.iter().copied().find(|need| !match need {
            Need::Real => fixture.real,
            Need::Service => fixture.service,
            Need::Build => fixture.builds,
            Need::Internal => fixture.internal,
            Need::Outliving => fixture.outlives,
            Need::Apart => fixture.apart,
            Need::Import => fixture.imports,
            Need::Changes => provider.changes().is_some(),
            Need::Usage => provider.usage().is_some(),
            Need::Images => provider.images().is_some(),
            Need::Exec => provider.exec().is_some(),
            Need::Logs => provider.logs().is_some(),
            Need::Networks => provider.networks().is_some(),
            Need::Volumes => provider.volumes().is_some(),
            Need::Dial => provider.dial().is_some(),
            Need::Snapshots => provider.snapshots().is_some(),
            Need::Suspension => provider.suspension().is_some(),
            Need::Forwards => provider.forwards().is_some(),
            Need::Watch => provider.watch().is_some(),
        })
    }

    /// Plays the case and removes what it left behind.
    ///
    /// # Errors
    /// When it did not hold, took longer than [`Fixture::limit`], or left something that cannot be removed.
    pub async fn run(&self, provider: &dyn Provider, fixture: &Fixture) -> Outcome {
        let stage = Stage::new(provider, fixture);
        let result = tokio::time::timeout(fixture.limit, (self.body)(&stage)).await;
        let result = result.unwrap_or_else(|_| Err(Failure::new(format!("not over within {:?}", fixture.limit))));
        if result.is_err() {
            // Calls were cut: the backend may be about to make what it was asked for.
            tokio::time::sleep(AFTERMATH).await;
        }
        let swept = sweep::sweep(provider, fixture).await;
        result.and(swept)
    }
}
