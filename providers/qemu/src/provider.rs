//! The provider itself.

use crate::{Programs, QemuLayout, accelerator::Accelerator, firmware, programs, record::Run};
use async_trait::async_trait;
use rig_hypervisor::{files, host_memory, issue, issues};
use rig_model::{
    BoxSpec, EngineFacts, MachineSpec, MilliCpus, Name, Observed, ObservedMachine, ProviderId, ResolvedMachine,
};
use rig_provider_api::{
    Context, Doors, Endpoint, FieldIssue, Forwards, Images, Logs, MachineRef, Networks, ObserveScope, Packaging,
    Provider, Result, Snapshots, StopMode, Suspension,
};
use std::{collections::BTreeSet, sync::Arc, thread};
use tokio::{process::Command, sync::OnceCell};

/// Where SSH servers listen.
pub(crate) const SSH: u16 = 22;

/// Machines as virtual machines of this host's QEMU.
#[derive(Clone)]
pub struct QemuProvider {
    pub(crate) id: ProviderId,
    pub(crate) layout: QemuLayout,
    pub(crate) programs: Programs,
    /// Found once, by booting.
    accelerator: Arc<OnceCell<Accelerator>>,
}

impl QemuProvider {
    /// The virtual machines in a folder, brought up by these programs. Nothing is run or written yet.
    #[must_use]
    #[expect(clippy::expect_used, reason = "a constant that every use of the provider covers")]
    pub fn new(layout: QemuLayout, programs: Programs) -> Self {
        Self { id: Name::new("qemu").expect("qemu is a name"), layout, programs, accelerator: Arc::default() }
    }

    /// What runs instructions here.
    pub(crate) async fn accelerator(&self, cx: &Context) -> Result<Accelerator> {
        let find = || Accelerator::find(cx, self.programs.system.as_os_str());
        self.accelerator.get_or_try_init(find).await.copied()
    }
}

#[async_trait]
impl Provider for QemuProvider {
    fn id(&self) -> &ProviderId {
        &self.id
    }

    async fn probe(&self, cx: &Context) -> Result<EngineFacts> {
        let doing = "asking QEMU for its version";
        let output = programs::run(cx, doing, Command::new(&self.programs.system).arg("--version")).await?;
        let said = String::from_utf8_lossy(&output.stdout);
        Ok(EngineFacts {
            endpoint: self.programs.system.display().to_string(),
            chosen_by: "found on the PATH".to_owned(),
            version: version(&said),
            memory: cx.run(doing, files::blocking(doing, host_memory)).await?,
            cpus: MilliCpus(thread::available_parallelism().map_or(1, |count| count.get() as u32) * 1000),
            platform: format!("linux/{}", std::env::consts::ARCH),
            system: None,
            storage: Some("qcow2".to_owned()),
            local: true,
            ports_here: true,
        })
    }

    fn validate(&self, machine: &MachineSpec, _: Option<&BoxSpec>) -> Vec<FieldIssue> {
        let mut issues = issues(machine);
        issues.extend(firmware::issues(machine));
        issues.extend(machine.syncs.iter().filter(|sync| sync.writable).map(|sync| {
            let message = "folders are copied into virtual machines: what is written there does not come back";
            issue(format!("sync.{}", sync.target), message, "leave `writable` out")
        }));
        if machine.ssh.as_ref().is_some_and(|ssh| ssh.user == "root") {
            let hint = "leave `user` out; the user may become root";
            issues.push(issue("ssh", "the box lets nobody in as root", hint));
        }
        issues
    }

    async fn workspaces(&self, cx: &Context) -> Result<BTreeSet<Name>> {
        let (doing, layout) = ("listing virtual machines", self.layout.clone());
        cx.run(doing, files::blocking(doing, move || Ok(layout.workspaces()))).await
    }

    async fn observe(&self, cx: &Context, workspace: &Name, scope: ObserveScope) -> Result<Observed> {
        self.observe_all(cx, workspace, scope).await
    }

    async fn inspect(&self, cx: &Context, machine: &MachineRef) -> Result<Option<ObservedMachine>> {
        let Some(record) = self.found(cx, machine).await? else { return Ok(None) };
        let run = record.run.clone();
        let mut seen = self.observed(cx, record).await?;
        seen.restarts = Some(0);
        if let Some(Run { started, ended, .. }) = run {
            seen.started = Some(started);
            seen.exit = ended.filter(|_| !seen.state.is_running());
        }
        Ok(Some(seen))
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
        self.remove(cx, machine).await
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

    fn snapshots(&self) -> Option<&dyn Snapshots> {
        Some(self)
    }

    fn suspension(&self) -> Option<&dyn Suspension> {
        Some(self)
    }

    fn doors(&self) -> Option<&dyn Doors> {
        Some(self)
    }

    fn packaging(&self) -> Option<&dyn Packaging> {
        Some(self)
    }

    fn forwards(&self) -> Option<&dyn Forwards> {
        Some(self)
    }
}

/// `QEMU 7.2.22` of `QEMU emulator version 7.2.22 (Debian …)`.
fn version(said: &str) -> String {
    let number = said.split_whitespace().skip_while(|word| *word != "version").nth(1);
    number.map_or_else(|| "QEMU".to_owned(), |number| format!("QEMU {number}"))
}

#[cfg(test)]
mod tests {
    use super::version;

    #[test]
    fn the_version_is_read_from_what_the_program_says() {
        assert_eq!(version("QEMU emulator version 7.2.22 (Debian 1:7.2+dfsg-7)\nCopyright"), "QEMU 7.2.22");
        assert_eq!(version("something else"), "QEMU");
    }
}
