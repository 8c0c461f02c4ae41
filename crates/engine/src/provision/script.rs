//! Running a step's script in a machine.

use super::{Access, machine_log::MachineLog};
use crate::{EngineError, EventSink, Lines, Makes, StepFailure, lines::plain};
use bytes::Bytes;
use futures_util::StreamExt;
use rig_model::{Event, LogLine, MachineId, ResolvedStep, StepId, Stream, Work};
use rig_provider_api::{Context, StopMode};
use rig_ssh::{ExecCommand, Output, quote};
use std::{
    collections::{BTreeMap, VecDeque},
    time::Duration,
};

/// So many of a step's last lines are shown with its failure.
const TAIL: usize = 20;

/// How much of what preparing a step says is kept, in bytes.
const WORDS: usize = 16 << 10;

/// How long removing a step's folder may take.
const CLEANUP: Duration = Duration::from_secs(3);

/// How long a machine may take to end its services before a restart.
const GRACE: Duration = Duration::from_secs(30);

/// Runs a program in a process group of its own, and ends that group when standard input ends: that is the connection's
/// end, whether the step took too long, rig was interrupted or killed, or, with a server that asks for signs of life, the
/// network went away. `$1` is the step's folder.
const WATCH: &str = r#"
exec 3<&0 </dev/null
setsid /bin/sh "$1/run" 3<&- &
pid=$!
{ cat <&3; : >"$1/ending"; kill -TERM "-$pid"; sleep 3; kill -KILL "-$pid"; } >/dev/null 2>&1 &
watch=$!
exec 3<&-
wait "$pid"
code=$?
# What did not heed TERM is still to be killed.
if [ -e "$1/ending" ]; then wait "$watch"; else kill "$watch" 2>/dev/null; fi
rm -rf "$1"
exit "$code"
"#;

/// Makes the step's folder of standard input: `$2` bytes are the program that begins it, the rest is the script.
const UNPACK: &str = r#"umask 077 && mkdir "$1" && dd bs=1 count="$2" of="$1/run" 2>/dev/null && cat >"$1/script""#;

impl Access {
    /// Runs a step, tells the lines it prints as they come, and notes it as done once it succeeded.
    pub(crate) async fn run_step(
        &self,
        cx: &Context,
        sink: &dyn EventSink,
        makes: &dyn Makes,
        machine: &MachineId,
        (step, stale): (&ResolvedStep, &[StepId]),
    ) -> Result<(), EngineError> {
        // From now on the machine is neither what it was nor what it will be: whatever happens, this step and what depends
        // on it are not done until they have been done again.
        let undone: Vec<StepId> = stale.iter().chain([&step.id]).cloned().collect();
        self.update(machine, move |record| record.steps.retain(|known| !undone.contains(&known.id))).await?;
        self.forget_baseline(machine).await?;
        match &step.work {
            Work::Shell { reboot, .. } => {
                self.script(cx, sink, machine, step).await?;
                if *reboot {
                    self.reboot(cx, machine).await?;
                }
            }
            Work::Put { .. } => self.put(cx, machine, step, makes).await?,
        }
        let done = rig_model::StepRecord {
            id: step.id.clone(),
            digest: step.digest(),
            fields: step.fields.iter().cloned().map(rig_model::Field::sealed).collect(),
        };
        self.update(machine, move |record| record.note(done)).await
    }

    async fn script(
        &self,
        cx: &Context,
        sink: &dyn EventSink,
        machine: &MachineId,
        step: &ResolvedStep,
    ) -> Result<(), EngineError> {
        let Work::Shell { script, args, env, interpreter, privileged, .. } = &step.work else { return Ok(()) };
        let session = self.session(cx, machine).await?;
        let folder = format!("/tmp/rig-step-{}-{}", step.digest().short(), std::process::id());
        let mut all: BTreeMap<String, String> = self.proxies.iter().cloned().collect();
        all.extend(env.clone());
        let run = program(&folder, interpreter, args, &all);
        let sudo = if *privileged { sudo(&session) } else { "" };
        let words = |script: &str, more: &str| format!("/bin/sh -c {} rig {} {more}", quote(script), quote(&folder));
        let prepare = format!("rm -rf {}; {}", quote(&folder), words(UNPACK, &run.len().to_string()));
        let watch = format!("{sudo}{}", words(WATCH, ""));
        let mut payload = run.into_bytes();
        payload.extend_from_slice(script);

        let mut log = MachineLog::open(&self.layout.log(machine), &step.id.to_string()).await?;
        let mut tail = VecDeque::new();
        let lost = |error| EngineError::ssh(machine, error);
        let work = async {
            let prepared = session.run(&prepare, Some(Bytes::from(payload)), WORDS).await.map_err(lost)?;
            if !prepared.success() {
                let tail = String::from_utf8_lossy(&prepared.stderr).lines().map(str::to_owned).collect();
                return Err(self.failed(machine, step, prepared.ending(), tail));
            }
            let command = ExecCommand { stdin: true, ..ExecCommand::new(watch) };
            // Its input stays open for as long as this lives: its end is the step's end.
            let mut running = session.exec(&command).await.map_err(lost)?;
            let mut lines = [Lines::default(), Lines::default()];
            let ending = loop {
                let Some(event) = running.events.next().await else { break "no exit code".to_owned() };
                let (stream, bytes) = match event.map_err(lost)? {
                    rig_ssh::Event::Output(Output::Stdout, bytes) => (Stream::Stdout, bytes),
                    rig_ssh::Event::Output(Output::Stderr, bytes) => (Stream::Stderr, bytes),
                    rig_ssh::Event::Exited(0) => break String::new(),
                    rig_ssh::Event::Exited(code) => break format!("exit code {code}"),
                    rig_ssh::Event::Signalled { name } => break format!("signal {name}"),
                };
                for line in lines[usize::from(stream == Stream::Stderr)].take(&bytes) {
                    tell(sink, &mut log, &mut tail, machine, stream, &line).await?;
                }
            };
            for (stream, lines) in [Stream::Stdout, Stream::Stderr].into_iter().zip(lines) {
                if let Some(line) = lines.rest() {
                    tell(sink, &mut log, &mut tail, machine, stream, &line).await?;
                }
            }
            if ending.is_empty() { Ok(()) } else { Err(self.failed(machine, step, ending, Vec::new())) }
        };
        let doing = format!("running step `{}` in machine {machine}", step.id);
        let limited = tokio::select! {
            biased;
            () = cx.cancel().cancelled() => Err(EngineError::Interrupted(doing)),
            result = work => result,
            () = tokio::time::sleep(step.timeout) => {
                let ending = format!("still running after {} s; it was ended", step.timeout.as_secs());
                Err(self.failed(machine, step, ending, Vec::new()))
            }
        };
        if matches!(limited, Err(EngineError::Step(_))) {
            // What could not begin removes nothing; what could has done so, and this changes nothing.
            let remove = format!("rm -rf {}", quote(&folder));
            let _ = tokio::time::timeout(CLEANUP, session.run(&remove, None, 0)).await;
        }
        log.flush().await?;
        match limited {
            Err(EngineError::Step(mut failure)) => {
                if failure.tail.is_empty() {
                    failure.tail = tail.into();
                }
                Err(EngineError::Step(failure))
            }
            Err(EngineError::Ssh { machine: id, error, .. }) => {
                Err(EngineError::Ssh { tail: self.last_words(&id, tail.into()).await, machine: id, error })
            }
            result => result,
        }
    }

    /// A step's failure.
    pub(super) fn failed(
        &self,
        machine: &MachineId,
        step: &ResolvedStep,
        ending: String,
        tail: Vec<String>,
    ) -> EngineError {
        EngineError::Step(Box::new(StepFailure {
            machine: machine.clone(),
            step: step.id.clone(),
            origin: step.origin.clone(),
            ending,
            tail,
            log: self.layout.log(machine),
        }))
    }

    /// What a step said before the connection was lost; what the machine said, when it ended.
    async fn last_words(&self, machine: &MachineId, said: Vec<String>) -> Vec<String> {
        let reference = self.reference(machine);
        let cx = Context::alone(Duration::from_secs(3));
        let Ok(provider) = self.provider(machine) else { return said };
        match provider.inspect(&cx, &reference).await {
            Ok(Some(seen)) if !seen.state.is_running() => crate::execute::log_tail(provider.as_ref(), &reference).await,
            _ => said,
        }
    }

    /// Restarts a machine as its provider does it, and waits until it lets rig in again.
    async fn reboot(&self, cx: &Context, machine: &MachineId) -> Result<(), EngineError> {
        let reference = self.reference(machine);
        let provider = self.provider(machine)?;
        self.forget(machine).await;
        provider.stop(cx, &reference, StopMode::Graceful(GRACE)).await?;
        provider.start(cx, &reference).await?;
        self.session(cx, machine).await.map(drop)
    }
}

/// The program that sets the environment up and becomes the script's interpreter. The values of variables may be secret:
/// they are in this file, which only its owner and root can read, and in no process list.
fn program(folder: &str, interpreter: &[String], args: &[String], env: &BTreeMap<String, String>) -> String {
    let mut text = String::from("cd /\n");
    for (name, value) in env {
        text += &format!("export {name}={}\n", quote(value));
    }
    let script = format!("{folder}/script");
    let words: Vec<String> = interpreter.iter().chain([&script]).chain(args).map(|word| quote(word)).collect();
    text + "exec " + &words.join(" ") + "\n"
}

async fn tell(
    sink: &dyn EventSink,
    log: &mut MachineLog,
    tail: &mut VecDeque<String>,
    machine: &MachineId,
    stream: Stream,
    line: &str,
) -> Result<(), EngineError> {
    let line = plain(line);
    log.line(&line).await?;
    if tail.len() == TAIL {
        tail.pop_front();
    }
    tail.push_back(line.clone());
    sink.emit(Event::Log(LogLine { machine: machine.clone(), stream, line }));
    Ok(())
}

/// What makes a command root's: nothing for root, whose machines may have no sudo.
pub(crate) fn sudo(session: &rig_ssh::Session) -> &'static str {
    if session.user() == "root" { "" } else { "sudo -n " }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arguments_arrive_as_given() {
        let env = BTreeMap::from([("KEY".to_owned(), "it's".to_owned())]);
        let text = program("/tmp/x", &["/bin/sh".to_owned()], &["a  b".to_owned(), "$HOME".to_owned()], &env);
        let exec = text.lines().last().unwrap_or_default();
        assert!(exec.contains("'a  b'") && exec.contains("'$HOME'"), "{text}");
        assert!(text.contains("export KEY="));
    }
}
