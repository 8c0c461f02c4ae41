//! The conformance suite: what every backend owes to those who call it, as cases that run against a live one.
//!
//! [`cases`] lists them; [`Case::run`] plays one with a [`Fixture`] of its own and removes everything that carries the
//! fixture's workspace, whether the case held or not. Cases share nothing and may run at the same time.

mod case;
mod changes;
mod crowd;
mod exec;
mod fixture;
mod images;
mod interruption;
mod lifecycle;
mod limits;
mod logs;
mod names;
mod networks;
mod observing;
mod ports;
mod restart;
mod security;
mod snapshots;
mod stage;
mod suspension;
mod sweep;
mod usage;
mod volumes;
mod watch;

pub use case::{Case, Failure, Need, Outcome};
pub use fixture::Fixture;
pub use names::machine_names;

/// All cases. Their names are `subject::what_must_hold`.
#[must_use]
pub fn cases() -> Vec<Case> {
    [
        ("lifecycle", lifecycle::cases()),
        ("interruption", interruption::cases()),
        ("observing", observing::cases()),
        ("restart", restart::cases()),
        ("networks", networks::cases()),
        ("ports", ports::cases()),
        ("volumes", volumes::cases()),
        ("exec", exec::cases()),
        ("logs", logs::cases()),
        ("watch", watch::cases()),
        ("changes", changes::cases()),
        ("usage", usage::cases()),
        ("snapshots", snapshots::cases()),
        ("suspension", suspension::cases()),
        ("security", security::cases()),
        ("limits", limits::cases()),
        ("images", images::cases()),
        ("crowd", crowd::cases()),
    ]
    .into_iter()
    .flat_map(|(subject, cases)| cases.into_iter().map(move |case| case.about(subject)))
    .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    #[test]
    fn every_case_has_a_name_of_its_own() {
        let all = cases();
        let names: HashSet<_> = all.iter().map(Case::name).collect();
        assert_eq!(names.len(), all.len());
    }
}
