//! The provider itself.

use crate::{
    Programs, VirtualBoxLayout, bootstrap, options,
    registry::Seen,
    runner::{Runner, words},
    version::{OLDEST, Version},
};
use async_trait::async_trait;
use rig_hypervisor::{files, host_memory, issue, issues};
use rig_model::{
    BoxSpec, EngineFacts, MachineSpec, MilliCpus, Name, Observed, ObservedMachine, ProviderId, ResolvedMachine,
};
use rig_provider_api::{
    Context, Doors, Endpoint, FieldIssue, Images, Logs, MachineRef, Networks, ObserveScope, Packaging, Provider,
    ProviderError, Result, Snapshots, StopMode, Suspension,
};
use std::{
    collections::BTreeSet,
    sync::{Arc, Mutex},
    thread,
};

/// Where SSH servers listen.
pub(crate) const SSH: u16 = 22;

/// How many cards a machine can have behind the one that leads out
/// (<https://www.virtualbox.org/manual/topics/networkingdetails.html>).
const NETWORKS: usize = 7;

/// Machines as virtual machines of VirtualBox.
#[derive(Clone)]
pub struct VirtualBoxProvider {
    pub(crate) id: ProviderId,
    pub(crate) layout: VirtualBoxLayout,
    pub(crate) runner: Runner,
    programs: Programs,
    /// What VirtualBox said last.
    pub(crate) seen: Arc<Mutex<Seen>>,
}

impl VirtualBoxProvider {
    /// The machines in a folder, made by this VirtualBox. Nothing is run or written yet.
    #[must_use]
    #[expect(clippy::expect_used, reason = "a constant that every use of the provider covers")]
    pub fn new(layout: VirtualBoxLayout, programs: Programs) -> Self {
        let id = Name::new("virtualbox").expect("virtualbox is a name");
        Self {
            id,
            runner: Runner::new(programs.manage.clone(), layout.speaking()),
            layout,
            programs,
            seen: Arc::default(),
        }
    }

    /// Makes the folders of the layout.
    pub(crate) async fn prepare_folders(&self, cx: &Context, doing: &str) -> Result<()> {
        let layout = self.layout.clone();
        cx.run(doing, files::blocking(doing, move || layout.prepare())).await
    }
}

#[async_trait]
impl Provider for VirtualBoxProvider {
    fn id(&self) -> &ProviderId {
        &self.id
    }

    async fn probe(&self, cx: &Context) -> Result<EngineFacts> {
        let doing = "asking VirtualBox for its version";
        let said = self.runner.question(cx, doing, &words(["--version"])).await?;
        let version = Version::read(&said).ok_or_else(|| {
            ProviderError::failed(doing, format!("it answers {:?}", said.trim()))
                .hinted("is it VirtualBox's VBoxManage?")
        })?;
        if version < OLDEST {
            let why = format!("it is version {version}, and rig drives {OLDEST} and later");
            return Err(ProviderError::failed(doing, why).hinted("install a newer VirtualBox"));
        }
        Ok(EngineFacts {
            endpoint: self.programs.manage.display().to_string(),
            chosen_by: self.programs.found.clone(),
            version: format!("VirtualBox {version}"),
            memory: cx.run(doing, files::blocking(doing, host_memory)).await?,
            cpus: MilliCpus(thread::available_parallelism().map_or(1, |count| count.get() as u32) * 1000),
            platform: format!("linux/{}", std::env::consts::ARCH),
            system: None,
            storage: None,
            local: true,
            ports_here: true,
        })
    }

    fn validate(&self, machine: &MachineSpec, of_box: Option<&BoxSpec>) -> Vec<FieldIssue> {
        let mut issues = issues(machine);
        if of_box.is_some_and(bootstrap::is_made_here) {
            issues.extend(bootstrap::issues(machine));
        }
        issues.extend(options::issues(machine));
        if machine.networks.len() > NETWORKS {
            issues.push(issue("network", "a machine of VirtualBox can be on 7 networks", "put it on fewer"));
        }
        issues
    }

    async fn workspaces(&self, cx: &Context) -> Result<BTreeSet<Name>> {
        let (doing, layout) = ("listing machines", self.layout.clone());
        cx.run(doing, files::blocking(doing, move || Ok(layout.workspaces()))).await
    }

    async fn observe(&self, cx: &Context, workspace: &Name, scope: ObserveScope) -> Result<Observed> {
        self.observe_all(cx, workspace, scope).await
    }

    async fn inspect(&self, cx: &Context, machine: &MachineRef) -> Result<Option<ObservedMachine>> {
        self.look_closer(cx, machine).await
    }

    async fn create(&self, cx: &Context, machine: &ResolvedMachine) -> Result<()> {
        self.make(cx, machine).await
    }

    async fn start(&self, cx: &Context, machine: &MachineRef) -> Result<()> {
        self.launch(cx, machine).await
    }

    async fn stop(&self, cx: &Context, machine: &MachineRef, mode: StopMode) -> Result<()> {
        self.halt(cx, machine, mode).await
    }

    async fn destroy(&self, cx: &Context, machine: &MachineRef) -> Result<()> {
        self.remove_machine(cx, machine).await
    }

    /// Only SSH leads in, see [`Doors`].
    async fn endpoint(&self, _: &Context, _: &MachineRef) -> Result<Option<Endpoint>> {
        Ok(None)
    }

    fn images(&self) -> Option<&dyn Images> {
        Some(self)
    }

    fn logs(&self) -> Option<&dyn Logs> {
        Some(self)
    }

    fn networks(&self) -> Option<&dyn Networks> {
        Some(self)
    }

    fn doors(&self) -> Option<&dyn Doors> {
        Some(self)
    }

    fn snapshots(&self) -> Option<&dyn Snapshots> {
        Some(self)
    }

    fn suspension(&self) -> Option<&dyn Suspension> {
        Some(self)
    }

    fn packaging(&self) -> Option<&dyn Packaging> {
        Some(self)
    }
}
