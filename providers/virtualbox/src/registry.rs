//! The machines that VirtualBox knows, and those that run: two programs, whatever their number.

use crate::{provider::VirtualBoxProvider, runner::words};
use rig_provider_api::{Context, Result};
use std::{
    collections::BTreeSet,
    time::{Duration, Instant},
};

/// How long what was seen counts for looks at single machines: those of one command follow each other closely.
const FRESH: Duration = Duration::from_millis(700);

/// What VirtualBox said.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Registry {
    /// By their identities.
    pub(crate) known: BTreeSet<String>,
    /// Those of them that run, are frozen, or are about to.
    pub(crate) running: BTreeSet<String>,
}

/// The identities in a list: `"name" {identity}` in each line.
fn identities(list: &str) -> BTreeSet<String> {
    // A name may hold anything, so that the end of the line counts.
    list.lines().filter_map(|line| Some(line.trim().strip_suffix('}')?.rsplit_once('{')?.1.to_owned())).collect()
}

impl VirtualBoxProvider {
    /// What is known and what runs, asked now.
    pub(crate) async fn registry(&self, cx: &Context) -> Result<Registry> {
        let doing = "asking VirtualBox for its machines";
        let (all, running) = (words(["list", "vms"]), words(["list", "runningvms"]));
        let (known, running) =
            tokio::try_join!(self.runner.run(cx, doing, &all), self.runner.run(cx, doing, &running))?;
        let registry = Registry { known: identities(&known), running: identities(&running) };
        if let Ok(mut seen) = self.seen.lock() {
            *seen = Some((Instant::now(), registry.clone()));
        }
        Ok(registry)
    }

    /// The same, as it was a moment ago if nothing was done since.
    pub(crate) async fn recent(&self, cx: &Context) -> Result<Registry> {
        let seen = self.seen.lock().ok().and_then(|seen| seen.clone());
        match seen {
            Some((at, registry)) if at.elapsed() < FRESH => Ok(registry),
            _ => self.registry(cx).await,
        }
    }

    /// Something is done now: what was seen counts no more.
    pub(crate) fn changed(&self) {
        if let Ok(mut seen) = self.seen.lock() {
            *seen = None;
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
