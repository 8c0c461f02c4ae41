//! Machines stop in the middle and go on: VirtualBox writes their memory beside their disk.

use crate::{
    life::PAUSE,
    provider::VirtualBoxProvider,
    runner::{pause, words},
};
use async_trait::async_trait;
use rig_model::MachineState;
use rig_provider_api::{Context, MachineRef, ProviderError, Result, Suspension};

#[async_trait]
impl Suspension for VirtualBoxProvider {
    async fn suspend(&self, cx: &Context, machine: &MachineRef) -> Result<()> {
        let doing = format!("suspending machine {machine}");
        let found = self.there(cx, &doing, machine).await?;
        let _of_machine = self.hold(cx, &doing, &found.place).await?;
        let found = self.there(cx, &doing, machine).await?;
        match found.state(&self.registry(cx).await?).unwrap_or(MachineState::Dead) {
            MachineState::Running => {}
            state if state.can_resume() => return Ok(()),
            state => return Err(ProviderError::failed(doing, format!("it is {state}"))),
        }
        self.changed();
        self.runner.run_patiently(cx, &doing, &words(["controlvm", &found.identity, "savestate"])).await?;
        while self.registry(cx).await?.running.contains(&found.identity) {
            pause(cx, &doing, PAUSE).await?;
        }
        Ok(())
    }

    async fn resume(&self, cx: &Context, machine: &MachineRef) -> Result<()> {
        let doing = format!("resuming machine {machine}");
        // What was begun is done when the answer comes: the files are read after that.
        let registry = self.registry(cx).await?;
        let found = self.there(cx, &doing, machine).await?;
        match found.state(&registry).unwrap_or(MachineState::Dead) {
            MachineState::Running => Ok(()),
            state if state.can_resume() => self.launch(cx, machine).await,
            state => Err(ProviderError::failed(doing, format!("it is {state}")).hinted("`rig up` starts it")),
        }
    }
}
