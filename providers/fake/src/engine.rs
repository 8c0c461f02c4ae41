//! The provider's shared inside, and the knobs that tests turn.

use crate::{
    Call, RuleBuilder, ScriptBuilder, Verb,
    calls::Record,
    rules::{Effects, Rules},
    script::Scripts,
    state::{Key, World, key},
};
use rig_model::{
    BoxName, Bytes, Digest, EngineFacts, Exit, HostPortUse, Ipv4Net, MachineState, MilliCpus, Name, ObservedBox,
    ProviderId,
};
use rig_provider_api::{Context, FieldIssue, Images, MachineEvent, MachineRef, ProviderError, Result};
use std::{
    collections::BTreeSet,
    future::Future,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};
use tokio::sync::broadcast;

/// Something that a backend can lack.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[expect(missing_docs, reason = "each is named after the accessor of the seam")]
pub enum Capability {
    Images,
    Exec,
    Logs,
    Networks,
    Volumes,
    Dial,
    Changes,
    Usage,
    Snapshots,
    Suspension,
    Watch,
}

/// A backend in memory. Clones share one world, so that a test can keep a hand on what it gave away.
#[derive(Clone)]
pub struct FakeProvider {
    pub(crate) id: ProviderId,
    pub(crate) without: BTreeSet<Capability>,
    pub(crate) engine: Arc<Engine>,
}

/// What is told to those who watch: the workspace and the event, or that the backend is gone.
pub(crate) type News = Option<(Name, MachineEvent)>;

/// The world and what watches over it.
pub(crate) struct Engine {
    inside: Mutex<Inside>,
    pub(crate) news: broadcast::Sender<News>,
}

/// Everything that changes.
pub(crate) struct Inside {
    pub(crate) facts: EngineFacts,
    pub(crate) issues: Vec<FieldIssue>,
    pub(crate) reachable: bool,
    pub(crate) rules: Rules,
    pub(crate) scripts: Scripts,
    pub(crate) record: Record,
    pub(crate) world: World,
}

impl Engine {
    /// The inside. A panic of another test thread leaves plain data behind, which is good enough to go on with.
    pub(crate) fn lock(&self) -> MutexGuard<'_, Inside> {
        self.inside.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Records a call, lets its rules take place, and runs its work in between.
    pub(crate) async fn call<T>(
        &self,
        cx: &Context,
        verb: Verb,
        subject: &str,
        work: impl Future<Output = Result<T>>,
    ) -> Result<T> {
        let (number, effects, reachable) = {
            let mut inside = self.lock();
            let number = inside.record.begin(verb, subject);
            (number, inside.rules.effects(verb, subject), inside.reachable)
        };
        let in_flight = InFlight { engine: self, verb };
        let doing = if subject.is_empty() { verb.to_string() } else { format!("{verb} {subject}") };
        let result = cx
            .run(&doing, async {
                if !reachable {
                    return Err(gone());
                }
                Effects::play(effects.before, &doing).await?;
                let value = work.await?;
                Effects::play(effects.after, &doing).await?;
                Ok(value)
            })
            .await;
        drop(in_flight);
        self.lock().record.end(number, result.is_ok());
        result
    }
}

/// A call that goes on; dropping it is its end, whether its future was awaited or not.
struct InFlight<'a> {
    engine: &'a Engine,
    verb: Verb,
}

impl Drop for InFlight<'_> {
    fn drop(&mut self) {
        self.engine.lock().record.leave(self.verb);
    }
}

/// The error of a backend that does not answer.
pub(crate) fn gone() -> ProviderError {
    ProviderError::Unreachable {
        endpoint: "the engine at memory:".to_owned(),
        why: "it was switched off".to_owned(),
        hint: "switch it on again with `reachable(true)`".to_owned(),
    }
}

impl Default for FakeProvider {
    fn default() -> Self {
        Self::new()
    }
}

/// Making one.
impl FakeProvider {
    /// An empty backend named `fake` with 8 GiB of memory and 4 processors, which can do everything.
    #[must_use]
    #[expect(clippy::expect_used, reason = "a constant that a test covers")]
    pub fn new() -> Self {
        let facts = EngineFacts {
            endpoint: "memory:".to_owned(),
            chosen_by: "a test made it".to_owned(),
            version: "Fake 1".to_owned(),
            memory: Bytes(8 * Bytes::GIB),
            cpus: MilliCpus(4000),
            platform: "linux/amd64".to_owned(),
            system: Some("Fake Linux 1".to_owned()),
            storage: Some("memory".to_owned()),
            local: true,
            ports_here: true,
        };
        let inside = Inside {
            facts,
            issues: Vec::new(),
            reachable: true,
            rules: Rules::default(),
            scripts: Scripts::default(),
            record: Record::default(),
            world: World::default(),
        };
        let (news, _) = broadcast::channel(1024);
        Self {
            id: Name::new("fake").expect("fake is a name"),
            without: BTreeSet::new(),
            engine: Arc::new(Engine { inside: Mutex::new(inside), news }),
        }
    }

    /// The same backend under another name, for files that say `provider "docker"`.
    #[must_use]
    pub fn named(mut self, id: ProviderId) -> Self {
        self.id = id;
        self
    }

    /// The same backend without a capability.
    #[must_use]
    pub fn without(mut self, capability: Capability) -> Self {
        self.without.insert(capability);
        self
    }

    /// The same backend on a host with this much.
    #[must_use]
    pub fn with_resources(self, memory: Bytes, cpus: MilliCpus) -> Self {
        {
            let facts = &mut self.engine.lock().facts;
            facts.memory = memory;
            facts.cpus = cpus;
        }
        self
    }

    /// The same backend, which finds this wrong with every machine.
    #[must_use]
    pub fn with_issue(self, issue: FieldIssue) -> Self {
        self.engine.lock().issues.push(issue);
        self
    }
}

/// Turning its knobs while it is in use.
impl FakeProvider {
    /// Says that calls of this kind misbehave.
    pub fn on(&self, verb: Verb) -> RuleBuilder<'_> {
        RuleBuilder::new(self, verb)
    }

    /// Says how machines behave. The pattern is `topology/machine`; a final `*` stands for any rest.
    #[must_use]
    pub fn machine(&self, pattern: &str) -> ScriptBuilder<'_> {
        ScriptBuilder::new(self, pattern)
    }

    /// Switches the backend off or on. Off, every call fails as unreachable and every watch ends with an error.
    pub fn reachable(&self, reachable: bool) {
        self.engine.lock().reachable = reachable;
        if !reachable {
            // Nobody watching is no failure.
            let _ = self.engine.news.send(None);
        }
    }

    /// Puts a box there as if it had been built; returns its reference.
    pub fn add_box(&self, name: &BoxName, digest: &Digest, parent: Option<&BoxName>) -> String {
        let image = Images::reference(self, name, digest);
        let there = ObservedBox {
            name: name.clone(),
            provider: self.id.clone(),
            digest: digest.clone(),
            native: format!("image-{}", digest.short()),
            image: image.clone(),
            parent: parent.cloned(),
            size: Bytes(64 * Bytes::MIB),
            created: None,
        };
        let world = &mut self.engine.lock().world;
        let below = parent.and_then(|parent| world.boxes().into_iter().find(|there| there.name == *parent));
        world.keep(there, below.map(|below| below.image).as_deref());
        image
    }

    /// An address range that some other network of the backend has.
    pub fn foreign_subnet(&self, subnet: Ipv4Net) {
        self.engine.lock().world.foreign_subnets.push(subnet);
    }

    /// A host port that somebody else has: it is observed, and starting a machine that publishes it fails.
    pub fn foreign_port(&self, taken: HostPortUse) {
        self.engine.lock().world.host_ports.push(taken);
    }

    /// Ends a running machine's process 1 at once, as a crash does; its restart policy applies.
    pub fn crash(&self, machine: &MachineRef, exit: Exit) {
        let key = key(machine);
        let run = self.engine.lock().world.machines.get(&key).map(|machine| machine.run);
        if let Some(run) = run {
            self.engine.ended(&key, run, exit);
        }
    }

    /// Removes a machine behind everybody's back.
    pub fn vanish(&self, machine: &MachineRef) {
        self.engine.destroy(&key(machine));
    }

    /// Sets what a machine seems to be doing, for states that no call leads to (paused, dead).
    pub fn set_state(&self, machine: &MachineRef, state: MachineState) {
        if let Some(there) = self.engine.lock().world.machines.get_mut(&key(machine)) {
            there.state = state;
        }
    }

    /// Appends a line to a machine's log.
    pub fn log(&self, machine: &MachineRef, stream: rig_model::Stream, line: &str) {
        self.engine.lock().world.print(&key(machine), stream, format!("{line}\n").into());
    }
}

/// Asking what happened.
impl FakeProvider {
    /// Every call so far, in the order of their beginnings.
    #[must_use]
    pub fn calls(&self) -> Vec<Call> {
        self.engine.lock().record.calls().to_vec()
    }

    /// The calls so far that change something, one per line, in the order of their beginnings.
    #[must_use]
    pub fn changes(&self) -> Vec<String> {
        let changes = |call: &&Call| call.verb.changes();
        self.engine.lock().record.calls().iter().filter(changes).map(Call::to_string).collect()
    }

    /// How often this was called.
    #[must_use]
    pub fn count(&self, verb: Verb) -> usize {
        self.engine.lock().record.calls().iter().filter(|call| call.verb == verb).count()
    }

    /// Forgets the calls so far, so that the next ones can be looked at alone. Not while a call is under way.
    pub fn forget_calls(&self) {
        self.engine.lock().record = Record::default();
    }

    /// The largest number of changing calls that were under way at the same time.
    #[must_use]
    pub fn most_at_once(&self) -> usize {
        self.engine.lock().record.most_changing()
    }

    /// The content of a file in a machine, volumes included.
    #[must_use]
    pub fn file(&self, machine: &MachineRef, path: &str) -> Option<Vec<u8>> {
        let key: Key = key(machine);
        self.engine.lock().world.read(&key, path)
    }
}
