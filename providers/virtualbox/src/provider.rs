//! The provider itself.

use crate::{
    Programs, VirtualBoxLayout,
    registry::Seen,
    runner::{Runner, words},
    version::{OLDEST, Version},
};
use async_trait::async_trait;
use rig_hypervisor::files;
use rig_model::{
    Bytes, EngineFacts, Idiom, MachineSpec, MilliCpus, Name, Observed, ObservedMachine, ProviderId, ResolvedMachine,
    RestartPolicy,
};
use rig_provider_api::{
    Context, Doors, Endpoint, FieldIssue, Images, Logs, MachineRef, Networks, ObserveScope, Provider, ProviderError,
    Result, Snapshots, StopMode, Suspension,
};
use std::{
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
        let memory = files::blocking(doing, || {
            let system = sysinfo::System::new_with_specifics(
                sysinfo::RefreshKind::nothing().with_memory(sysinfo::MemoryRefreshKind::nothing().with_ram()),
            );
            let system = system.map_err(|error| ProviderError::failed("asking for this host's memory", error))?;
            Ok(Bytes(system.total_memory()))
        });
        Ok(EngineFacts {
            endpoint: self.programs.manage.display().to_string(),
            chosen_by: self.programs.found.clone(),
            version: format!("VirtualBox {version}"),
            memory: cx.run(doing, memory).await?,
            cpus: MilliCpus(thread::available_parallelism().map_or(1, |count| count.get() as u32) * 1000),
            platform: format!("linux/{}", std::env::consts::ARCH),
            system: None,
            storage: None,
            local: true,
        })
    }

    fn validate(&self, machine: &MachineSpec) -> Vec<FieldIssue> {
        let mut issues = Vec::new();
        let mut issue = |field: &str, message: &str, hint: &str| {
            issues.push(FieldIssue {
                field: field.to_owned(),
                message: message.to_owned(),
                hint: Some(hint.to_owned()),
            });
        };
        if machine.idiom == Idiom::Immutable {
            issue("idiom", "a virtual machine is entered over SSH and provisioned", "use `idiom=\"mutable\"`");
        }
        if !machine.command.is_empty() {
            issue("command", "a virtual machine starts its box's own init", "start the service in a provisioner");
        }
        if !machine.env.is_empty() {
            issue("env", "the services of a virtual machine take nothing from outside", "write it in a provisioner");
        }
        for volume in &machine.volumes {
            let field = format!("volume.{}", volume.target);
            let hint = "leave the volume out; `rig destroy` removes the data";
            issue(&field, "a virtual machine's data is on its disk", hint);
        }
        for folder in &machine.tmpfs {
            issue(&format!("tmpfs.{}", folder.target), "a virtual machine mounts its folders itself", "leave it out");
        }
        if machine.limits.pids.is_some() {
            issue("pids", "processes of a virtual machine are not counted from outside", "leave the limit out");
        }
        if machine.security.read_only || !machine.security.cap_drop.is_empty() || machine.security.user.is_some() {
            let field = if machine.security.read_only { "read-only" } else { "cap" };
            issue(field, "a virtual machine has a kernel of its own and all rights in it", "leave it out");
        }
        if machine.ssh.as_ref().is_some_and(|ssh| ssh.port != SSH) {
            issue("ssh", "the SSH servers of boxes listen on port 22", "leave `port` out");
        }
        if machine.restart != RestartPolicy::No {
            issue("restart", "nobody watches over virtual machines when rig has ended", "leave `restart` out");
        }
        if machine.networks.len() > NETWORKS {
            issue("network", "a machine of VirtualBox can be on 7 networks", "put it on fewer");
        }
        issues
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
}
