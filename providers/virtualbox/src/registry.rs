//! The machines that VirtualBox knows, and those that run: two programs, whatever their number.

use crate::{provider::VirtualBoxProvider, runner::words};
use rig_provider_api::{Context, Result};
use std::{
    collections::BTreeSet,
    time::{Duration, Instant},
};

/// How long what runs counts for looks at single machines: those of one command follow each other closely.
const FRESH: Duration = Duration::from_secs(5);

/// What VirtualBox said.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Registry {
    /// By their identities.
    pub(crate) known: BTreeSet<String>,
    /// Those of them that run, are frozen, or are about to.
    pub(crate) running: BTreeSet<String>,
}

/// What VirtualBox said last, as far as nothing was done since that changes it.
#[derive(Debug, Default)]
pub(crate) struct Seen {
    known: Option<BTreeSet<String>>,
    running: Option<(Instant, BTreeSet<String>)>,
}

/// The identities in a list: `"name" {identity}` in each line.
fn identities(list: &str) -> BTreeSet<String> {
    // A name may hold anything, so that the end of the line counts.
    list.lines().filter_map(|line| Some(line.trim().strip_suffix('}')?.rsplit_once('{')?.1.to_owned())).collect()
}

impl VirtualBoxProvider {
    /// What is known and what runs, asked now.
    pub(crate) async fn registry(&self, cx: &Context) -> Result<Registry> {
        self.look(cx, true, true).await
    }

    /// The same, as far as it may have changed: what is known is what rig has made, what runs changes by itself.
    pub(crate) async fn recent(&self, cx: &Context) -> Result<Registry> {
        let (known, running) = match self.seen.lock() {
            Ok(seen) => {
                let fresh = seen.running.as_ref().is_some_and(|(at, _)| at.elapsed() < FRESH);
                (seen.known.is_none(), !fresh)
            }
            Err(_) => (true, true),
        };
        self.look(cx, known, running).await
    }

    /// Asks for what is wanted; the rest is as it was.
    async fn look(&self, cx: &Context, known: bool, running: bool) -> Result<Registry> {
        let list = async |wanted: bool, what: &str| {
            if !wanted {
                return Ok(None);
            }
            let doing = "asking VirtualBox for its machines";
            Ok(Some(identities(&self.runner.question(cx, doing, &words(["list", what])).await?)))
        };
        let (known, running) = (list(known, "vms").await?, list(running, "runningvms").await?);
        let Ok(mut seen) = self.seen.lock() else { return Ok(Registry::default()) };
        if known.is_some() {
            seen.known = known;
        }
        if let Some(running) = running {
            seen.running = Some((Instant::now(), running));
        }
        Ok(Registry {
            known: seen.known.clone().unwrap_or_default(),
            running: seen.running.as_ref().map(|(_, running)| running.clone()).unwrap_or_default(),
        })
    }

    /// Something is started or stopped now: what was seen to run counts no more.
    pub(crate) fn changed(&self) {
        if let Ok(mut seen) = self.seen.lock() {
            seen.running = None;
        }
    }

    /// Something was made.
    pub(crate) fn made(&self, identity: &str) {
        if let Ok(mut seen) = self.seen.lock()
            && let Some(known) = &mut seen.known
        {
            known.insert(identity.to_owned());
        }
    }

    /// Something of another kind is made or removed now.
    pub(crate) fn renewed(&self) {
        if let Ok(mut seen) = self.seen.lock() {
            *seen = Seen::default();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::identities;

    #[test]
    fn names_may_hold_anything() {
        let list = "\"a\" {81fe9878-c31c-4729-bac0-d0fad8e48e7c}\n\"x {y} \" {25c17db1-117c-4e34-aacf-d31885d64dd3}\n\
                    \"<inaccessible>\" {11111111-2222-3333-4444-000000000002}\r\n\nwarning\n";
        let found: Vec<String> = identities(list).into_iter().collect();
        assert_eq!(
            found,
            [
                "11111111-2222-3333-4444-000000000002",
                "25c17db1-117c-4e34-aacf-d31885d64dd3",
                "81fe9878-c31c-4729-bac0-d0fad8e48e7c"
            ]
        );
    }
}
