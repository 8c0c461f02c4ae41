//! What is known of the topologies of a comparison, and what differs between them.

use super::{facts::Found, setup::Setup};
use crate::Session;
use rig_compare::{
    facts::{add_packages, add_running, add_working, declared, keep_common_versions},
    fairness::{self, Difference, Fact, TopologyFacts},
};
use rig_model::Name;
use std::collections::BTreeMap;

/// The fact that says whether it is known what runs in machines. It is of no kind, and so makes every ratio unfair.
const RUNNING: &str = "running";

/// What was found in the machines of topologies.
pub(super) struct Knowledge<'a> {
    session: &'a Session,
    setup: &'a Setup,
    /// By topology; or why nobody knows.
    found: BTreeMap<Name, Result<Found, String>>,
}

impl<'a> Knowledge<'a> {
    /// Nothing is known yet but what the file declares.
    pub(super) fn new(session: &'a Session, setup: &'a Setup) -> Self {
        Self { session, setup, found: BTreeMap::new() }
    }

    /// Keeps what says most.
    pub(super) fn learn(&mut self, topology: &Name, seen: Result<Found, String>) {
        match (self.found.get_mut(topology), seen) {
            (Some(Ok(old)), Ok(new)) => old.working = old.working.take().or(new.working),
            (Some(Ok(_)), Err(_)) => {}
            (_, seen) => _ = self.found.insert(topology.clone(), seen),
        }
    }

    /// Whether it was looked what runs beside a topology's job, if it has one.
    pub(super) fn has_watched(&self, topology: &Name) -> bool {
        let watched = |seen: &Result<Found, String>| seen.as_ref().is_ok_and(|found| found.working.is_some());
        self.setup.job.is_none() || self.found.get(topology).is_some_and(watched)
    }

    /// Whether all topologies have been looked into.
    pub(super) fn is_of_all(&self) -> bool {
        self.found.len() == self.setup.topologies.len()
    }

    /// What differs between the topologies: of what the file declares, and of what was found in the machines. Where nothing
    /// was found, nobody knows whether it differs: that is a difference too.
    pub(super) fn differences(&self) -> Vec<Difference> {
        let workspace = &self.session.workspace;
        let mut checks = self.setup.checks.clone();
        checks.extend(self.setup.job.clone());
        let mut facts: Vec<(Name, TopologyFacts)> = Vec::new();
        let (mut profiles, mut working) = (Vec::new(), Vec::new());
        for topology in self.setup.topologies.iter().filter_map(|name| workspace.topologies.get(name)) {
            let mut own = declared(workspace, topology, &checks);
            let running = match self.found.get(&topology.name) {
                Some(Ok(found)) => {
                    add_running(&mut own, &found.running);
                    profiles.push(found.profiles.iter().map(|(_, profile)| profile.clone()).collect());
                    working.push(found.working.clone().unwrap_or_default());
                    "known".to_owned()
                }
                Some(Err(why)) => format!("not known in {}: {why}", topology.name),
                None => format!("not known in {} yet", topology.name),
            };
            own.total.insert(RUNNING.to_owned(), Fact::new(running, None));
            facts.push((topology.name.clone(), own));
        }
        if profiles.len() == facts.len() {
            add_packages(&mut facts, &profiles);
            add_working(&mut facts, &working);
        }
        keep_common_versions(&mut facts);
        let mut differences = fairness::differences(&facts);
        let stated = differences.iter_mut().flat_map(|difference| &mut difference.stated);
        for fact in stated.filter_map(|stated| stated.fact.as_mut()) {
            for text in fact.origin.iter_mut().chain([&mut fact.value]) {
                self.name_as_from_the_folder(text);
            }
        }
        differences
    }

    /// Names a place as from the folder of the file: a report goes to people who have another one.
    fn name_as_from_the_folder(&self, place: &mut String) {
        if let Some(short) = place.strip_prefix(self.session.folder.as_str()) {
            *place = short.trim_start_matches(['/', '\\']).to_owned();
        }
    }
}

/// Whether it is not known of all topologies what runs in them.
pub(super) fn is_open(differences: &[Difference]) -> bool {
    differences.iter().any(|difference| difference.fact == RUNNING)
}
