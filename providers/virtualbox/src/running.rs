//! Machines are started and stopped.

use crate::{
    life::{PAUSE, way_in},
    observe::Found,
    options::Moment,
    provider::{SSH, VirtualBoxProvider},
    run::Run,
    runner::{pause, words},
};
use rig_hypervisor::{files, free_port, is_free};
use rig_model::{Exit, MachineState, Protocol, PublishedPort};
use rig_provider_api::{Context, MachineRef, ProviderError, Result, StopMode};
use std::{
    net::{IpAddr, Ipv4Addr},
    time::Duration,
};
use tokio::time::Instant;

/// The name of the way to a machine's SSH server.
pub(crate) const SSH_FORWARD: &str = "rig-ssh";

/// How often the power button is pressed: a machine that has just been started does not notice the first time.
const PRESS: Duration = Duration::from_secs(3);

/// What VirtualBox writes into a machine's log, and nowhere else, when a forwarded port is taken.
const NOT_REDIRECTED: &str = "failed to set up redirection";

/// The exit codes of a machine that ended in order, and of one that was killed.
const ORDERLY: Exit = Exit { code: 0, out_of_memory: false };
const KILLED: Exit = Exit { code: 137, out_of_memory: false };

impl VirtualBoxProvider {
    /// Starts a machine that does not run, or lets a suspended one go on.
    pub(crate) async fn launch(&self, cx: &Context, machine: &MachineRef) -> Result<()> {
        let doing = format!("starting machine {machine}");
        let place = self.there(cx, &doing, machine).await?.place;
        let of_machine = self.hold(cx, &doing, &place).await?;
        let found = self.there(cx, &doing, machine).await?;
        let registry = self.recent(cx).await?;
        let state = found.state(&registry).unwrap_or(MachineState::Dead);
        match state {
            MachineState::Running => return Ok(()),
            MachineState::Dead => return Err(ProviderError::failed(doing, "it is of no use any more")),
            _ => {}
        }
        let Found { settings: Some(settings), label: Some(label), .. } = &found else { return Ok(()) };
        self.changed();
        if let Some(taken) = label.ports.iter().find(|port| !is_free(port)) {
            // VirtualBox would start the machine without a word, and without the port.
            let why = format!("port {} of this host is taken", taken.host);
            let hint = "stop what has it, or write another number, or `host=\"auto\"`";
            return Err(ProviderError::failed(doing, why).hinted(hint));
        }
        self.open_way_in(cx, &doing, &found.identity, settings.forwards.get(SSH_FORWARD).copied()).await?;
        // What goes on knows what it was told; it may have been cut off since, so that it is told again.
        let run = match &found.run {
            Some(run) if state == MachineState::Suspended => Run { told: None, ended: None, ..run.clone() },
            // One that goes on from a snapshot's memory reads nothing: it is told when somebody is in.
            _ if label.seeded && !settings.saved => {
                Run { told: self.write_seed(cx, &doing, &found, of_machine.clone()).await?, ..Run::begin() }
            }
            _ => Run::begin(),
        };
        let (place, before) = (found.place.clone(), found.run.clone());
        cx.run(&doing, files::blocking(&doing, move || run.save(&place))).await?;
        if state != MachineState::Suspended {
            self.customize(cx, &doing, &label.options.commands(Moment::PreBoot, &found.identity)).await?;
        }
        let start = words(["startvm", &found.identity, "--type", label.options.front_end()]);
        let started = self.runner.run_patiently(cx, &doing, &start).await;
        self.changed();
        let place = found.place.clone();
        let log = cx.run(&doing, files::blocking(&doing, move || files::read(&place.log()))).await?.unwrap_or_default();
        let error = match started {
            Ok(_) => match log.lines().find(|line| line.contains(NOT_REDIRECTED)) {
                None if state == MachineState::Suspended => return Ok(()),
                None => {
                    return self
                        .customize(cx, &doing, &label.options.commands(Moment::PostBoot, &found.identity))
                        .await;
                }
                Some(line) => {
                    self.cut_power(cx, &doing, &found.identity).await?;
                    let error = ProviderError::failed(&doing, format!("it did not get a port of this host: {line}"));
                    error.hinted("somebody took the port in this moment: run the command again")
                }
            },
            // Why it has not come up is of more use than that it has not.
            Err(ProviderError::Failed { doing, why, mut tail, hint }) => {
                tail.extend(reasons(&log));
                ProviderError::Failed { doing, why, tail, hint }
            }
            // It may come up all the same, and then with what was written for it.
            Err(error) => return Err(error),
        };
        let place = found.place.clone();
        let back = move || match before {
            Some(run) => run.save(&place),
            None => files::remove_file(&place.run()),
        };
        cx.run(&doing, files::blocking(&doing, back)).await?;
        Err(error)
    }

    /// Runs commands of the user's own.
    async fn customize(&self, cx: &Context, doing: &str, commands: &[Vec<String>]) -> Result<()> {
        for command in commands {
            let doing = format!("{doing}, `customize {}`", command.join(" "));
            self.runner.run_for_user(cx, &doing, command).await?;
        }
        Ok(())
    }

    /// Makes sure that a port of this host leads to a machine's SSH server, the one of the last time if nobody has it.
    async fn open_way_in(&self, cx: &Context, doing: &str, identity: &str, last: Option<u16>) -> Result<()> {
        let way =
            |host| PublishedPort { guest: SSH, host, bind: IpAddr::V4(Ipv4Addr::LOCALHOST), protocol: Protocol::Tcp };
        if last.is_some_and(|host| is_free(&way(host))) {
            return Ok(());
        }
        let host = free_port()?;
        let mut modify = words(["modifyvm", identity]);
        if last.is_some() {
            modify.extend(words(["--natpf1", "delete", SSH_FORWARD]));
        }
        modify.extend(words(["--natpf1", &way_in(host)]));
        self.runner.run_patiently(cx, doing, &modify).await.map(drop)
    }

    /// Stops a machine: by its power button, or by cutting its power. One that is suspended forgets what it held in memory.
    pub(crate) async fn halt(&self, cx: &Context, machine: &MachineRef, mode: StopMode) -> Result<()> {
        let doing = format!("stopping machine {machine}");
        if self.found(cx, machine).await?.is_none() {
            return Ok(());
        }
        // What was begun is done when the answer comes: the files are read after that.
        let registry = self.registry(cx).await?;
        let Some(found) = self.found(cx, machine).await? else { return Ok(()) };
        let ended = match found.state(&registry) {
            Some(MachineState::Running) => match mode {
                StopMode::Graceful(grace) if self.press_button(cx, &doing, &found.identity, grace).await? => ORDERLY,
                StopMode::Graceful(_) | StopMode::Kill => {
                    self.cut_power(cx, &doing, &found.identity).await?;
                    KILLED
                }
            },
            Some(MachineState::Suspended) => {
                self.changed();
                self.runner.run_patiently(cx, &doing, &words(["discardstate", &found.identity])).await?;
                KILLED
            }
            _ => return Ok(()),
        };
        let place = found.place;
        let note = move || Run::update(&place, |run| run.ended = Some(ended));
        cx.run(&doing, files::blocking(&doing, note)).await
    }

    /// Presses the power button until the machine has ended; `false` when it has not in time.
    async fn press_button(&self, cx: &Context, doing: &str, identity: &str, grace: Duration) -> Result<bool> {
        let mut end: Option<Instant> = None;
        let mut pressed: Option<Instant> = None;
        self.changed();
        while end.is_none_or(|end| Instant::now() < end) {
            if pressed.is_none_or(|at| at.elapsed() > PRESS) {
                // One that ends at this moment takes no commands.
                let _ = self.runner.ask(cx, doing, &words(["controlvm", identity, "acpipowerbutton"])).await?;
                pressed = Some(Instant::now());
                // Its time begins when it has been told: the call may have had to wait for its turn.
                end.get_or_insert_with(|| Instant::now() + grace);
            }
            if !self.registry(cx).await?.running.contains(identity) {
                return Ok(true);
            }
            pause(cx, doing, PAUSE).await?;
        }
        Ok(false)
    }
}

/// What a machine's own log says about why it has not come up: VBoxManage knows only that it has not.
fn reasons(log: &str) -> Vec<String> {
    const KEPT: usize = 6;
    let tells = |line: &&str| line.contains("VMSetError") || line.contains("Power up failed");
    let lines: Vec<&str> = log.lines().filter(tells).collect();
    lines[lines.len().saturating_sub(KEPT)..].iter().map(|line| (*line).to_owned()).collect()
}

#[cfg(test)]
mod tests {
    use super::reasons;

    #[test]
    fn the_log_tells_why_a_machine_has_not_come_up() {
        let log = "00:00:01.5 VMSetError: Cannot attach to 'x' in driverless mode\n00:00:01.6 E1000#1: TX: 0\n\
                   00:00:01.6 Power up failed (vrc=VERR_SUP_DRIVERLESS)\n";
        let found = reasons(log);
        assert_eq!(found.len(), 2);
        assert!(found[0].contains("driverless") && found[1].contains("Power up failed"));
        assert_eq!(reasons(""), Vec::<String>::new());
    }
}
