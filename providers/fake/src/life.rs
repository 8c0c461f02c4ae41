//! The lives of machines: what process 1 does, how it ends, and what follows.

use crate::{
    engine::{Engine, FakeProvider},
    shell::{Process, Program},
    state::{Key, OnTerm, key},
};
use rig_model::{Exit, MachineState, RestartPolicy};
use rig_provider_api::{MachineEvent, MachineEventKind, MachineRef, ProviderError, Result, StopMode};
use std::{sync::Arc, time::Duration};

/// How long a machine rests before its policy starts it again.
const RESTART_PAUSE: Duration = Duration::from_millis(10);

/// The exit code of what was killed: 128 + 9.
const KILLED: i64 = 137;

impl Engine {
    fn tell(&self, (workspace, id): &Key, kind: MachineEventKind) {
        // Nobody watching is no failure.
        let _ = self.news.send(Some((workspace.clone(), MachineEvent { id: id.clone(), kind })));
    }

    /// Starts a machine; what runs already is left as it is.
    pub(crate) fn start(self: &Arc<Self>, machine: &MachineRef) -> Result<()> {
        let key = key(machine);
        let mut inside = self.lock();
        let Some(there) = inside.world.machines.get(&key) else {
            return Err(ProviderError::Absent {
                doing: format!("starting machine {machine}"),
                what: format!("machine {machine}"),
            });
        };
        if there.state.is_running() {
            return Ok(());
        }
        if let Some(obstacle) = inside.world.obstacle(&key) {
            return Err(obstacle);
        }
        if let Some(there) = inside.world.machines.get_mut(&key) {
            there.begin();
        }
        drop(inside);
        self.launch(key);
        Ok(())
    }

    /// Tells of a machine's start and runs its process 1.
    fn launch(self: &Arc<Self>, key: Key) {
        let Some((run, life)) = self.lock().world.machines.get(&key).map(|there| (there.run, there.life.clone()))
        else {
            return;
        };
        self.tell(&key, MachineEventKind::Started);
        let engine = Arc::clone(self);
        tokio::spawn(async move {
            tokio::select! {
                biased;
                () = life.cancelled() => {}
                exit = process_one(&engine, &key) => engine.ended(&key, run, exit),
            }
        });
    }

    /// Process 1 of this run has ended by itself: the restart policy applies.
    pub(crate) fn ended(self: &Arc<Self>, key: &Key, run: u64, exit: Exit) {
        let failed = exit.code != 0;
        let Some(policy) = self.finish(key, run, exit) else { return };
        let again = match policy {
            RestartPolicy::No => false,
            RestartPolicy::OnFailure => failed,
            RestartPolicy::Always => true,
        };
        if !again {
            return;
        }
        let waits = |state: MachineState| state == MachineState::Restarting;
        if let Some(there) = self.lock().world.machines.get_mut(key) {
            there.state = MachineState::Restarting;
        }
        let (engine, key) = (Arc::clone(self), key.clone());
        tokio::spawn(async move {
            tokio::time::sleep(RESTART_PAUSE).await;
            {
                let mut inside = engine.lock();
                let Some(there) = inside.world.machines.get_mut(&key) else { return };
                if there.run != run || !waits(there.state) {
                    return;
                }
                there.begin();
                there.restarts += 1;
            }
            engine.launch(key);
        });
    }

    /// Ends this run of a machine and tells of it; returns the machine's restart policy, or nothing when that run is
    /// over already.
    fn finish(&self, key: &Key, run: u64, exit: Exit) -> Option<RestartPolicy> {
        let policy = {
            let mut inside = self.lock();
            let there = inside.world.machines.get_mut(key)?;
            if there.run != run || !matches!(there.state, MachineState::Running | MachineState::Paused) {
                return None;
            }
            there.state = MachineState::Exited;
            there.exit = Some(exit.clone());
            there.life.cancel();
            there.changed.send_replace(());
            there.spec.restart
        };
        self.tell(key, MachineEventKind::Died(exit));
        Some(policy)
    }

    /// Freezes a machine or lets it go on; what is there already is left as it is.
    pub(crate) fn freeze(&self, machine: &MachineRef, doing: &str, from: MachineState, to: MachineState) -> Result<()> {
        let doing = format!("{doing} machine {machine}");
        let mut inside = self.lock();
        match inside.world.machines.get_mut(&key(machine)) {
            None => Err(ProviderError::Absent { doing, what: format!("machine {machine}") }),
            Some(there) if there.state == from || there.state == to => {
                there.state = to;
                Ok(())
            }
            Some(there) => Err(ProviderError::failed(doing, format!("it is {}", there.state))),
        }
    }

    /// Stops a machine; what is stopped or absent is left as it is.
    pub(crate) async fn stop(&self, machine: &MachineRef, mode: StopMode) {
        let key = key(machine);
        let (run, needs, code) = {
            let mut inside = self.lock();
            let scripted = inside.scripts.needs_to_stop(&machine.id.to_string());
            let Some(there) = inside.world.machines.get_mut(&key) else { return };
            if there.state == MachineState::Restarting {
                there.state = MachineState::Exited;
                there.changed.send_replace(());
            }
            match there.on_term {
                OnTerm::Ends(code) => (there.run, scripted.unwrap_or(Duration::ZERO), code),
                OnTerm::Ignores => (there.run, Duration::MAX, KILLED),
            }
        };
        let code = match mode {
            StopMode::Kill => KILLED,
            StopMode::Graceful(grace) if needs > grace => {
                tokio::time::sleep(grace).await;
                KILLED
            }
            StopMode::Graceful(_) => {
                tokio::time::sleep(needs).await;
                code
            }
        };
        // What a person stops stays stopped, whatever its policy.
        let _ = self.finish(&key, run, Exit { code, out_of_memory: false });
    }

    /// Removes a machine with what is in it; its named volumes stay.
    pub(crate) fn destroy(&self, key: &Key) {
        let run = self.lock().world.machines.get(key).map(|there| there.run);
        let Some(run) = run else { return };
        let _ = self.finish(key, run, Exit { code: KILLED, out_of_memory: false });
        if self.lock().world.machines.remove(key).is_some() {
            self.tell(key, MachineEventKind::Destroyed);
        }
    }
}

/// Runs process 1 until it ends by itself.
async fn process_one(engine: &Arc<Engine>, key: &Key) -> Exit {
    let name = key.1.to_string();
    let (prints, death, command) = {
        let inside = engine.lock();
        let command = inside.world.machines.get(key).map(|there| there.spec.command.clone()).unwrap_or_default();
        (inside.scripts.prints(&name), inside.scripts.death(&name), command)
    };
    for (stream, line) in prints {
        engine.lock().world.print(key, stream, format!("{line}\n").into());
    }
    if let Some((after, exit)) = death {
        tokio::time::sleep(after).await;
        return exit;
    }
    // A service that nobody described runs until it is stopped.
    let Some(program) = Program::parse(&command) else { return std::future::pending().await };
    let (printer, place) = (Arc::clone(engine), key.clone());
    let out = Box::new(move |stream, bytes| printer.lock().world.print(&place, stream, bytes));
    let mut process = Process::new(Arc::clone(engine), key.clone(), out);
    Exit { code: program.run(&mut process).await, out_of_memory: false }
}

impl FakeProvider {
    /// Whether a machine runs; an error when it is not there.
    pub(crate) fn running(&self, machine: &MachineRef, doing: &str) -> Result<()> {
        let state = self.engine.lock().world.machines.get(&key(machine)).map(|there| there.state);
        match state {
            None => Err(ProviderError::Absent { doing: doing.to_owned(), what: format!("machine {machine}") }),
            Some(MachineState::Running) => Ok(()),
            Some(state) => {
                Err(ProviderError::failed(doing, format!("machine {machine} is not running, it is {state}")))
            }
        }
    }
}
