//! What commands share: the loaded file, the engine, the lock, the user's wish to stop.

use crate::{
    cli::{Execution, Global},
    engine_choice::Start,
    failure::{ExitCode, Failure},
    makes::HostMakes,
    providers,
    render::{self, Ui},
    settings::Settings,
};
use camino::{Utf8Path, Utf8PathBuf};
use rig_box_store::{BoxStore, StoreSettings, StoredFor};
use rig_boxes::{ArtifactStore, BoxHost, BoxPlans, FetchSettings, PlanBoxes};
use rig_config::{Loaded, Overrides};
use rig_engine::{
    BoxChoice, BoxTable, EngineError, Engines, Executor, Interrupt, Provisioning, Report, Selection, Session,
};
use rig_model::{BoxName, Event, HostTrust, MachineSpec, Observed, ObservedBox, Plan, ProviderId, Workspace};
use rig_provider_api::{Context, Images, Provider};
use rig_state::{KnownWorkspace, Layout, LockOwner, Patience, Scale, WorkspaceLock};
use std::{collections::BTreeMap, sync::Arc, time::Duration};

/// The name of the file that is looked for.
pub(crate) const FILE: &str = "workspace.kdl";

/// How long a command waits for another one on the same workspace: as long as boxes may take to build.
const LOCK: Duration = Duration::from_secs(3600);

/// How long a look at everything that was provisioned may take, for `rig drift`.
const BASELINES: Duration = Duration::from_secs(300);

/// One run of the program.
#[derive(Clone)]
pub(crate) struct App {
    pub(crate) global: Global,
    pub(crate) settings: Settings,
    pub(crate) ui: Ui,
    pub(crate) interrupt: Interrupt,
    /// Whether boxes are built without cached layers.
    pub(crate) no_cache: bool,
    /// Whether boxes are made once more, beside those that are there.
    pub(crate) once_more: bool,
}

/// How boxes come to be on this host, by the provider that has them. Empty for plans that make none.
pub(crate) type HostBoxes = BTreeMap<ProviderId, ProviderBoxes>;

/// How the boxes of one provider come to be.
pub(crate) struct ProviderBoxes {
    pub(crate) plans: BoxPlans,
    pub(crate) host: BoxHost,
}

/// The workspace file and what belongs to it on disk.
pub(crate) struct Opened {
    pub(crate) loaded: Loaded,
    pub(crate) layout: Layout,
    pub(crate) scale: Scale,
}

impl App {
    /// A context for calls of this command.
    pub(crate) fn context(&self, limit: Duration) -> Context {
        Context::new(self.interrupt.stop.clone(), limit, Arc::new(rig_provider_api::NoProgress))
    }

    /// The file that `-w` names, or the nearest one from here upwards.
    pub(crate) fn file(&self) -> Result<Utf8PathBuf, Failure> {
        if let Some(path) = &self.global.workspace {
            let path = self.settings.folder.join(path);
            return Ok(if path.is_dir() { path.join(FILE) } else { path });
        }
        self.settings.folder.ancestors().map(|folder| folder.join(FILE)).find(|path| path.is_file()).ok_or_else(|| {
            Failure::Usage {
                message: format!("there is no {FILE} in {} or above", self.settings.folder),
                hint: Some("`rig init` writes one; `-w PATH` names another".to_owned()),
            }
        })
    }

    /// Whether a workspace file is named, or lies here or above.
    pub(crate) fn is_in_workspace(&self) -> bool {
        self.global.workspace.is_some() || self.file().is_ok()
    }

    /// Reads the file, with `--var` and the counts that `rig scale` set.
    pub(crate) fn open(&self) -> Result<Opened, Failure> {
        let file = self.file()?;
        let folder = file.parent().map_or_else(|| Utf8PathBuf::from("."), Utf8Path::to_owned);
        let layout = Layout::new(&folder);
        let mut scale = Scale::load(&layout)?;
        if !scale.is_empty() {
            // Counts of groups that the file has no longer are not the user's mistake.
            let plain = self.load(&file, &Scale::default())?;
            scale.retain(|topology, group| {
                plain.workspace.topologies.get(topology).is_some_and(|topology| topology.counts.contains_key(group))
            });
        }
        let loaded = self.load(&file, &scale)?;
        if loaded.workspace.name.as_str() == rig_engine_vm::WORKSPACE && folder != self.settings.dirs.engine_vm() {
            return Err(Failure::Usage {
                message: format!(
                    "no other workspace than the one of rig's own engine is called {}",
                    loaded.workspace.name
                ),
                hint: Some("give it another name: it would have the engine's virtual machine".to_owned()),
            });
        }
        Ok(Opened { loaded, layout, scale })
    }

    /// Takes the workspace's lock, unless nothing will be done, and then reads the file: what another command changed
    /// while this one waited counts.
    pub(crate) async fn open_locked(
        &self,
        command: &str,
        dry_run: bool,
    ) -> Result<(Opened, Option<WorkspaceLock>), Failure> {
        if dry_run {
            return Ok((self.open()?, None));
        }
        // A file that cannot be read is said at once, not after a wait.
        let layout = self.open()?.layout;
        let lock = self.lock(&layout, command).await?;
        let opened = self.open()?;
        let known = KnownWorkspace { file: self.file()?, used: jiff::Timestamp::now() };
        if let Err(error) = known.save(&self.settings.dirs, &opened.loaded.workspace.name) {
            self.ui.warn(format!("`rig global-status` will not know where this workspace lies: {error}"));
        }
        Ok((opened, Some(lock)))
    }

    /// Reads the file with the given counts.
    pub(crate) fn load(&self, file: &Utf8Path, scale: &Scale) -> Result<Loaded, Failure> {
        let counts = scale.iter().map(|(topology, group, count)| ((topology.clone(), group.clone()), count)).collect();
        let overrides = Overrides { variables: self.global.variables.clone(), counts };
        Ok(rig_config::load(file, &overrides)?)
    }

    /// What the host gives to boxes and machines of a workspace.
    pub(crate) fn trust(&self, workspace: &Workspace) -> HostTrust {
        if self.global.no_host_trust || !workspace.host_trust {
            HostTrust::default()
        } else {
            self.settings.trust.clone()
        }
    }

    /// The workspace with its providers.
    pub(crate) async fn session(&self, opened: &Opened, start: Start) -> Result<Session, Failure> {
        let workspace = opened.loaded.workspace.clone();
        let providers = providers::connect(self, &workspace, start).await?;
        let proxies = self.trust(&workspace).proxies;
        let folder = opened.loaded.folder.clone();
        Ok(Session::new(workspace, folder, providers, proxies, opened.layout.clone()))
    }

    /// Takes the workspace's lock; says who has it and waits when it is held.
    pub(crate) async fn lock(&self, layout: &Layout, command: &str) -> Result<WorkspaceLock, Failure> {
        layout.prepare()?;
        let owner = LockOwner { pid: std::process::id(), command: command.to_owned(), since: jiff::Timestamp::now() };
        let deadline = tokio::time::Instant::now() + LOCK;
        let patience = Patience { cancel: self.interrupt.stop.clone(), deadline };
        let sink = self.ui.sink();
        let lock = WorkspaceLock::acquire(layout, &owner, &patience, |holder| {
            let who = holder.map_or_else(|| "another rig".to_owned(), ToString::to_string);
            sink.emit(Event::Note { text: format!("{who} works on this workspace; waiting for its end") });
        });
        lock.await
            .map_err(|error| if error.is_cancelled() { Failure::Said(ExitCode::Interrupted) } else { error.into() })
    }

    /// The download cache of this user, with this host's settings beside the given ones.
    pub(crate) fn downloads(&self, settings: FetchSettings) -> ArtifactStore {
        let mut settings = settings;
        if let Some(index) = &self.settings.pypi_index {
            settings.pypi_index.clone_from(index);
        }
        settings.certificates.clone_from(&self.settings.trust.certificates);
        ArtifactStore::new(self.settings.dirs.cache_layout(), settings)
    }

    /// The store of this user's boxes. `insecure` lets servers lead to addresses that are not encrypted.
    pub(crate) fn box_store(&self, insecure: bool) -> BoxStore {
        let mut settings = StoreSettings::new(self.settings.dirs.box_store());
        if let Some(server) = &self.settings.catalogue_server {
            settings.server.clone_from(server);
        }
        BoxStore::new(settings, self.downloads(FetchSettings { leave_https: insecure, ..FetchSettings::default() }))
    }

    /// The boxes that are needed, with their hashes, next to what their providers have.
    pub(crate) fn box_plans(
        &self,
        session: &Session,
        engines: &Engines,
        observed: &Observed,
        wanted: &BTreeMap<ProviderId, Vec<BoxName>>,
    ) -> Result<HostBoxes, EngineError> {
        let trust = self.trust(&session.workspace);
        let mut boxes = HostBoxes::new();
        for (provider, names) in wanted {
            let platform = engines.get(provider).map_or("", |engine| &engine.platform);
            let host = BoxHost::new(platform, rig_boxes::find_mmdebstrap(&self.settings.path));
            let existing = observed.boxes.iter().filter(|seen| seen.provider == *provider);
            let existing: Vec<ObservedBox> = existing.cloned().collect();
            let request = PlanBoxes {
                workspace: &session.workspace,
                folder: &session.folder,
                trust: &trust,
                host: &host,
                existing: &existing,
                store: &StoredFor { store: self.box_store(false), provider: provider.clone() },
            };
            let plans = BoxPlans::compute(request, names)?;
            let plans = if self.once_more { plans.once_more(&existing) } else { plans };
            boxes.insert(provider.clone(), ProviderBoxes { plans, host });
        }
        Ok(boxes)
    }

    /// The same as a table for plans.
    pub(crate) fn box_table(&self, session: &Session, boxes: &HostBoxes) -> Result<BoxTable, EngineError> {
        let mut table = BoxTable::new();
        for (provider, ProviderBoxes { plans, .. }) in boxes {
            let images = images_of(session.providers.get(provider)?.as_ref())?;
            for (name, plan) in plans.iter() {
                let choice = BoxChoice {
                    digest: plan.digest.clone(),
                    image: images.reference(name, &plan.digest),
                    parent: plan.parent.clone(),
                    artifacts: plan.source.artifacts().to_vec(),
                    present: plan.existing.is_some(),
                    no_cache: self.no_cache,
                };
                table.insert((provider.clone(), name.clone()), choice);
            }
        }
        Ok(table)
    }

    /// What provisioning steps hold and which were done.
    pub(crate) async fn provisioning(&self, session: &Session, layout: &Layout) -> Result<Provisioning, Failure> {
        // A short look at a few small files; a folder of many is hashed while nothing else runs.
        Ok(tokio::task::block_in_place(|| Provisioning::load(session, layout))?)
    }

    /// Carries a plan out.
    pub(crate) async fn execute(
        &self,
        session: &Session,
        layout: &Layout,
        boxes: HostBoxes,
        plan: &Plan,
        execution: &Execution,
    ) -> Result<Report, Failure> {
        let makes = HostMakes::new(self, session, boxes);
        let executor = Executor {
            providers: session.providers.clone(),
            makes: Arc::new(makes),
            access: session.access.clone(),
            sink: self.ui.sink(),
            jobs: if execution.no_parallel { 1 } else { usize::from(execution.jobs) },
            interrupt: self.interrupt.clone(),
        };
        for note in &plan.notes {
            self.ui.warn(match &note.hint {
                Some(hint) => format!("{}; {hint}", note.text),
                None => note.text.clone(),
            });
        }
        let report = executor.execute(plan).await;
        if !report.interrupted && !report.provisioned.is_empty() {
            let cx = self.context(BASELINES);
            rig_engine::record_baselines(&cx, session, layout, &report.provisioned, &*self.ui.sink()).await;
        }
        Ok(report)
    }

    /// Turns a report into the command's end: what failed, what is left, the exit code.
    pub(crate) fn conclude(&self, report: &Report) -> Result<(), Failure> {
        render::operation_failures(&self.ui, &report.failed);
        if report.interrupted {
            if !report.left.is_empty() {
                self.ui.say(format!("left undone: {}", report.left.join(", ")));
                self.ui.say("the same command goes on from what is there");
            }
            return Err(Failure::Said(ExitCode::Interrupted));
        }
        if report.failed.is_empty() { Ok(()) } else { Err(Failure::Said(ExitCode::Failed)) }
    }
}

/// The selection, widened to what the selected machines wait for.
pub(crate) fn with_dependencies(workspace: &Workspace, selection: Selection) -> Selection {
    let Selection::Machines(mut machines) = selection else { return selection };
    let mut open: Vec<_> = machines.iter().cloned().collect();
    while let Some(id) = open.pop() {
        for dependency in workspace.machine(&id).into_iter().flat_map(MachineSpec::dependencies) {
            if machines.insert(dependency.machine.clone()) {
                open.push(dependency.machine.clone());
            }
        }
    }
    Selection::Machines(machines)
}

/// Where a provider keeps boxes.
pub(crate) fn images_of(provider: &dyn Provider) -> Result<&dyn Images, EngineError> {
    provider.images().ok_or_else(|| EngineError::Capability {
        provider: provider.id().to_string(),
        capability: "images",
        wanted_for: "making machines of boxes".to_owned(),
    })
}
