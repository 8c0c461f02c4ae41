//! For each box that is needed: which of its sources is used here, what it hashes to, and whether it is there already.

use crate::{
    BoxError, BoxHost, Result,
    digest::{self, Surroundings},
    host,
};
use camino::Utf8Path;
use indexmap::IndexMap;
use rig_model::{BoxName, BoxSource, BoxSpec, Digest, Hasher, HostTrust, ObservedBox, StoredSource, Workspace};
use rig_provider_api::StoredFiles;
use std::{collections::HashSet, ops::Deref};

/// What a box's plan is made from.
#[derive(Clone, Copy, Debug)]
pub struct PlanBoxes<'a> {
    /// The workspace.
    pub workspace: &'a Workspace,
    /// The folder of the workspace file, which box folders are relative to.
    pub folder: &'a Utf8Path,
    /// What the host gives to boxes.
    pub trust: &'a HostTrust,
    /// Which sources can be used here.
    pub host: &'a BoxHost,
    /// Boxes that are there already.
    pub existing: &'a [ObservedBox],
    /// Where stored boxes are.
    pub store: &'a dyn FindStored,
}

/// Looks boxes up in a store.
pub trait FindStored: std::fmt::Debug + Sync {
    /// The box that a source means, for the provider that asks. Reads files; blocks while it does.
    ///
    /// # Errors
    /// Why there is none, and what to do.
    fn find(&self, source: &StoredSource) -> std::result::Result<FoundStored, NotStored>;

    /// Whether the provider that asks makes machines of cloud images, which are in no store.
    ///
    /// # Errors
    /// Why it does not, and what to do.
    fn cloud_images(&self) -> std::result::Result<(), NotStored>;
}

/// A box of a store.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FoundStored {
    /// Its files.
    pub files: StoredFiles,
    /// The hash of the box file that it was unpacked from.
    pub sha256: Digest,
}

/// Why a source means no box of a store.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NotStored {
    /// Why.
    pub why: String,
    /// What to do, where something can be done.
    pub hint: Option<String>,
}

/// A store that has nothing.
#[derive(Clone, Copy, Debug)]
pub struct NoStore;

impl FindStored for NoStore {
    fn find(&self, _: &StoredSource) -> std::result::Result<FoundStored, NotStored> {
        Err(NotStored { why: "there is no store".to_owned(), hint: None })
    }

    fn cloud_images(&self) -> std::result::Result<(), NotStored> {
        Ok(())
    }
}

/// How a box comes to be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BoxPlan {
    /// Its content hash.
    pub digest: Digest,
    /// The source that is used.
    pub source: BoxSource,
    /// The box that the source is built from.
    pub parent: Option<BoxName>,
    /// The files of the stored box that it is made of.
    pub stored: Option<StoredFiles>,
    /// Whether the host's certificates and proxies reach it.
    pub trusted: bool,
    /// The reference of the box that is there with this hash.
    pub existing: Option<String>,
}

/// Plans by box, parents before children.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct BoxPlans(IndexMap<BoxName, BoxPlan>);

impl BoxPlans {
    /// Plans the named boxes and whatever they are built from. A source whose result is there already is used, else the
    /// first that can be used on this host. Reads the box folders; blocks while it does.
    ///
    /// # Errors
    /// When a box has no source that can be used, or its folder cannot be read.
    pub fn compute<'a>(request: PlanBoxes<'_>, names: impl IntoIterator<Item = &'a BoxName>) -> Result<Self> {
        let mut planner = Planner { request, done: IndexMap::new(), open: HashSet::new() };
        for name in names {
            planner.plan(name)?;
        }
        Ok(Self(planner.done))
    }

    /// The same boxes under other hashes, so that they are made beside those that are there: to see whether the same comes of
    /// it. Boxes that are fetched stay what they are.
    #[must_use]
    pub fn once_more(mut self, existing: &[ObservedBox]) -> Self {
        for (name, plan) in &mut self.0 {
            if !plan.source.is_fetched() {
                let mut hasher = Hasher::new("once-more/1");
                hasher.part(plan.digest.as_str());
                plan.digest = hasher.finish();
                let found = existing.iter().find(|seen| seen.name == *name && seen.digest == plan.digest);
                plan.existing = found.map(|seen| seen.image.clone());
            }
        }
        self
    }

    /// The boxes that have to be made so that all of `names` are there, parents first: those that are not there, and the
    /// parents that they need. With `anew`, what is there is made again, parents included.
    #[must_use]
    pub fn to_make<'a>(&'a self, names: impl IntoIterator<Item = &'a BoxName>, anew: bool) -> Vec<&'a BoxName> {
        let mut needed = HashSet::new();
        for name in names {
            let mut next = Some(name);
            while let Some((name, plan)) = next.and_then(|name| self.0.get_key_value(name)) {
                if (plan.existing.is_some() && !anew) || !needed.insert(name) {
                    break;
                }
                next = plan.parent.as_ref();
            }
        }
        self.0.keys().filter(|name| needed.contains(name)).collect()
    }
}

impl Deref for BoxPlans {
    type Target = IndexMap<BoxName, BoxPlan>;
    fn deref(&self) -> &Self::Target {
        &self.0
    }
}

struct Planner<'a> {
    request: PlanBoxes<'a>,
    done: IndexMap<BoxName, BoxPlan>,
    open: HashSet<BoxName>,
}

/// A source that was looked at.
enum Candidate {
    Possible(Box<BoxPlan>),
    /// Why not, and what to do.
    Impossible(String, Option<String>),
}

impl Planner<'_> {
    fn plan(&mut self, name: &BoxName) -> Result<()> {
        if self.done.contains_key(name) {
            return Ok(());
        }
        if !self.open.insert(name.clone()) {
            return Err(BoxError::Cycle { name: name.clone() });
        }
        let workspace = self.request.workspace;
        let spec = workspace
            .boxes
            .get(name)
            .ok_or_else(|| BoxError::Undeclared { name: name.clone(), what: "it".to_owned() })?;
        let plan = self.choose(spec);
        self.open.remove(name);
        self.done.insert(name.clone(), plan?);
        Ok(())
    }

    /// The first source that is there already, else the first that can be used.
    fn choose(&mut self, spec: &BoxSpec) -> Result<BoxPlan> {
        let mut first = None;
        let mut tried = Vec::new();
        let mut hints = Vec::new();
        for source in &spec.sources {
            match self.candidate(spec, source) {
                Ok(Candidate::Possible(plan)) if plan.existing.is_some() => return Ok(*plan),
                Ok(Candidate::Possible(plan)) => first = first.or(Some(*plan)),
                Ok(Candidate::Impossible(why, hint)) => {
                    tried.push(why);
                    hints.extend(hint);
                }
                // A source behind the one that is used may be broken.
                Err(_) if first.is_some() => {}
                Err(error) => return Err(error),
            }
        }
        if let Some(plan) = first {
            return Ok(plan);
        }
        hints.dedup();
        if hints.is_empty() {
            hints.push(
                "give the box another source: `build` with a folder, or `image` where a registry can be reached"
                    .to_owned(),
            );
        }
        Err(BoxError::NoSource { name: spec.name.clone(), tried, hint: hints.join("; ") })
    }

    fn candidate(&mut self, spec: &BoxSpec, source: &BoxSource) -> Result<Candidate> {
        let request = self.request;
        let parent = match source {
            BoxSource::Build(build) => build.from.as_ref(),
            BoxSource::Bootstrap(_) | BoxSource::Image(_) | BoxSource::CloudImage(_) | BoxSource::Stored(_) => None,
        };
        if let Some(parent) = parent {
            match self.plan(parent) {
                Ok(()) => {}
                Err(BoxError::NoSource { name, tried, hint }) => {
                    let why = format!("{} needs box {name}: {}", host::words(source), tried.join("; "));
                    return Ok(Candidate::Impossible(why, Some(hint)));
                }
                Err(error) => return Err(error),
            }
        }
        let stored = match source {
            BoxSource::Stored(wanted) => request.store.find(wanted).map(Some),
            BoxSource::CloudImage(_) => request.store.cloud_images().map(|()| None),
            BoxSource::Build(_) | BoxSource::Bootstrap(_) | BoxSource::Image(_) => Ok(None),
        };
        let stored = match stored {
            Ok(stored) => stored,
            Err(NotStored { why, hint }) => {
                return Ok(Candidate::Impossible(format!("{}: {why}", host::words(source)), hint));
            }
        };
        // Nothing of this host is put into a disk that comes from somewhere else.
        let is_whole = matches!(source, BoxSource::CloudImage(_) | BoxSource::Stored(_));
        let trusted = request.workspace.host_trust && spec.host_trust && !is_whole;
        let digest = digest::of(
            source,
            &Surroundings {
                name: &spec.name,
                workspace: request.folder,
                platform: &request.host.engine,
                certificates: if trusted { &request.trust.certificates } else { &[] },
                artifact: &|name| request.workspace.artifacts.get(name),
                parent: parent.and_then(|parent| self.done.get(parent)).map(|plan| &plan.digest),
                stored: stored.as_ref().map(|found| &found.sha256),
            },
        )?;
        // What is there needs no tool.
        let existing = request.existing.iter().find(|there| there.name == spec.name && there.digest == digest);
        if existing.is_none()
            && let Some(obstacle) = request.host.obstacle(source)
        {
            return Ok(Candidate::Impossible(obstacle.why, obstacle.hint));
        }
        Ok(Candidate::Possible(Box::new(BoxPlan {
            digest,
            source: source.clone(),
            parent: parent.cloned(),
            stored: stored.map(|found| found.files),
            trusted,
            existing: existing.map(|there| there.image.clone()),
        })))
    }
}
