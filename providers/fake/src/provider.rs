//! The machines' part of the seam.

use crate::{Capability, FakeProvider, Verb, state::key};
use async_trait::async_trait;
use rig_model::{
    BoxSpec, EngineFacts, MachineSpec, MachineState, Name, Observed, ObservedMachine, ProviderId, ResolvedMachine,
};
use rig_provider_api::{
    Changes, Context, Dial, Endpoint, Exec, FieldIssue, Images, Logs, MachineRef, Networks, ObserveScope, Provider,
    Result, Snapshots, StopMode, Suspension, Usage, Volumes, Watch,
};
use std::collections::BTreeSet;

#[async_trait]
impl Provider for FakeProvider {
    fn id(&self) -> &ProviderId {
        &self.id
    }

    async fn probe(&self, cx: &Context) -> Result<EngineFacts> {
        self.engine.call(cx, Verb::Probe, "", async { Ok(self.engine.lock().facts.clone()) }).await
    }

    fn validate(&self, _: &MachineSpec, _: Option<&BoxSpec>) -> Vec<FieldIssue> {
        self.engine.lock().issues.clone()
    }

    async fn workspaces(&self, cx: &Context) -> Result<BTreeSet<Name>> {
        let work =
            async { Ok(self.engine.lock().world.machines.keys().map(|(workspace, _)| workspace.clone()).collect()) };
        self.engine.call(cx, Verb::Observe, "", work).await
    }

    async fn observe(&self, cx: &Context, workspace: &Name, scope: ObserveScope) -> Result<Observed> {
        let work = async { Ok(self.engine.lock().world.observe(&self.id, workspace, scope)) };
        self.engine.call(cx, Verb::Observe, workspace.as_str(), work).await
    }

    async fn inspect(&self, cx: &Context, machine: &MachineRef) -> Result<Option<ObservedMachine>> {
        let work = async { Ok(self.engine.lock().world.inspect(&self.id, &key(machine))) };
        self.engine.call(cx, Verb::Inspect, &machine.to_string(), work).await
    }

    async fn create(&self, cx: &Context, machine: &ResolvedMachine) -> Result<()> {
        let work = async { self.engine.lock().world.create(machine) };
        self.engine.call(cx, Verb::Create, &machine.id.to_string(), work).await
    }

    async fn start(&self, cx: &Context, machine: &MachineRef) -> Result<()> {
        self.engine.call(cx, Verb::Start, &machine.to_string(), async { self.engine.start(machine) }).await
    }

    async fn stop(&self, cx: &Context, machine: &MachineRef, mode: StopMode) -> Result<()> {
        let work = async {
            self.engine.stop(machine, mode).await;
            Ok(())
        };
        self.engine.call(cx, Verb::Stop, &machine.to_string(), work).await
    }

    async fn destroy(&self, cx: &Context, machine: &MachineRef) -> Result<()> {
        let work = async {
            self.engine.destroy(&key(machine));
            Ok(())
        };
        self.engine.call(cx, Verb::Destroy, &machine.to_string(), work).await
    }

    async fn endpoint(&self, cx: &Context, machine: &MachineRef) -> Result<Option<Endpoint>> {
        let work = async {
            let state = self.engine.lock().world.machines.get(&key(machine)).map(|there| there.state);
            Ok(state.filter(|state| *state == MachineState::Running).map(|_| Endpoint::Exec))
        };
        self.engine.call(cx, Verb::Endpoint, &machine.to_string(), work).await
    }

    fn images(&self) -> Option<&dyn Images> {
        self.has(Capability::Images).then_some(self)
    }
    fn exec(&self) -> Option<&dyn Exec> {
        self.has(Capability::Exec).then_some(self)
    }
    fn logs(&self) -> Option<&dyn Logs> {
        self.has(Capability::Logs).then_some(self)
    }
    fn networks(&self) -> Option<&dyn Networks> {
        self.has(Capability::Networks).then_some(self)
    }
    fn volumes(&self) -> Option<&dyn Volumes> {
        self.has(Capability::Volumes).then_some(self)
    }
    fn dial(&self) -> Option<&dyn Dial> {
        self.has(Capability::Dial).then_some(self)
    }
    fn changes(&self) -> Option<&dyn Changes> {
        self.has(Capability::Changes).then_some(self)
    }
    fn usage(&self) -> Option<&dyn Usage> {
        self.has(Capability::Usage).then_some(self)
    }
    fn snapshots(&self) -> Option<&dyn Snapshots> {
        self.has(Capability::Snapshots).then_some(self)
    }
    fn suspension(&self) -> Option<&dyn Suspension> {
        self.has(Capability::Suspension).then_some(self)
    }
    fn watch(&self) -> Option<&dyn Watch> {
        self.has(Capability::Watch).then_some(self)
    }
}

#[async_trait]
impl Suspension for FakeProvider {
    async fn suspend(&self, cx: &Context, machine: &MachineRef) -> Result<()> {
        let work = async { self.engine.freeze(machine, "suspending", MachineState::Running, MachineState::Paused) };
        self.engine.call(cx, Verb::Suspend, &machine.to_string(), work).await
    }

    async fn resume(&self, cx: &Context, machine: &MachineRef) -> Result<()> {
        let work = async { self.engine.freeze(machine, "resuming", MachineState::Paused, MachineState::Running) };
        self.engine.call(cx, Verb::Resume, &machine.to_string(), work).await
    }
}

impl FakeProvider {
    fn has(&self, capability: Capability) -> bool {
        !self.without.contains(&capability)
    }
}
