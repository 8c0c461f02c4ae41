//! The body of a machine, and of `defaults`, which has the same nodes.

use super::{
    boxes::is_variable,
    declared::Declared,
    drift, mounts, network, ports, probe,
    provisioners::{self, Provisioner},
    security,
    workspace::World,
};
use crate::{
    context::{At, Draft, Spotted},
    eval::Eval,
    reader::{Block, Reader},
    scope::{Cast, Member},
};
use indexmap::IndexMap;
use rig_model::{
    BoxName, Condition, DriftRule, Idiom, LeaveSpec, Name, NetworkSpec, PortSpec, Probe, ProviderId, ProviderOption,
    RestartPolicy, SyncSpec, Text, TmpfsSpec, VolumeSpec,
};
use std::{net::Ipv4Addr, ops::Range, time::Duration};

const RESTARTS: [(&str, RestartPolicy); 3] =
    [("no", RestartPolicy::No), ("on-failure", RestartPolicy::OnFailure), ("always", RestartPolicy::Always)];

const CONDITIONS: [(&str, Condition); 3] =
    [("started", Condition::Started), ("ready", Condition::Ready), ("done", Condition::Done)];

/// Where a body stands.
#[derive(Clone, Copy)]
pub(crate) struct Surroundings<'a> {
    pub(crate) world: &'a World<'a>,
    pub(crate) networks: &'a Declared<NetworkSpec>,
    pub(crate) cast: &'a Cast,
    pub(crate) member: &'a Member,
    pub(crate) idiom: Idiom,
}

/// What a body says; absent means that the defaults decide.
#[derive(Default)]
pub(crate) struct Body {
    pub(crate) box_name: Option<BoxName>,
    /// A box was named, known or not.
    pub(crate) names_box: bool,
    pub(crate) provider: Option<ProviderId>,
    /// What stands in the provider's block.
    pub(crate) options: Option<Vec<ProviderOption>>,
    pub(crate) networks: Vec<Spotted<(Name, Option<Spotted<Ipv4Addr>>)>>,
    pub(crate) ip: Option<Spotted<Ipv4Addr>>,
    pub(crate) command: Option<Vec<Text>>,
    pub(crate) env: IndexMap<String, Text>,
    pub(crate) ports: Vec<Spotted<PortSpec>>,
    pub(crate) volumes: Vec<Spotted<VolumeSpec>>,
    pub(crate) syncs: Vec<Spotted<SyncSpec>>,
    pub(crate) tmpfs: Vec<Spotted<TmpfsSpec>>,
    pub(crate) permissions: security::Permissions,
    pub(crate) restart: Option<RestartPolicy>,
    pub(crate) stop_timeout: Option<Duration>,
    /// Machines of the cast, by number.
    pub(crate) after: Vec<Spotted<(Range<usize>, Condition)>>,
    pub(crate) ready: Vec<Probe>,
    pub(crate) ready_timeout: Option<Duration>,
    pub(crate) serial: Option<bool>,
    pub(crate) leave: Option<LeaveSpec>,
    pub(crate) drift: Vec<DriftRule>,
    pub(crate) ssh: Option<provisioners::SshWish>,
    pub(crate) provisioners: Vec<Provisioner>,
}

impl Body {
    /// Reads a block; `of` is the node that has it, for messages.
    pub(crate) fn read(eval: &mut Eval<'_, '_>, mut block: Block<'_>, of: &str, around: Surroundings<'_>) -> Self {
        let mut body = Self::default();
        // Host name and limits are known already: the cast has them.
        block.skip(&["hostname", "flavor", "limits"]);
        let node = block.one(eval.cx, "box");
        body.names_box = node.is_some();
        body.box_name = eval.only_value(node, "a box's name", |eval, value| {
            let text = eval.word(value, "box")?;
            around.world.boxes.refer(eval.cx, &text, value.at).cloned()
        });
        if let Some(mut node) = block.one(eval.cx, "provider") {
            let value = node.arg(eval.cx, "a provider's name");
            body.provider = value.and_then(|value| eval.name(value, "provider"));
            let options = node.block.every();
            body.options = Some(options.into_iter().map(|option| provider_option(eval, option)).collect());
            node.finish(eval.cx);
        }
        network::read(eval, &mut block, around.networks, &mut body);
        if let Some(mut node) = block.one(eval.cx, "command") {
            let words = node.some_args(eval.cx, "at least one word");
            node.finish(eval.cx);
            body.command = Some(words.into_iter().filter_map(|value| eval.text(value, "command")).collect());
        }
        let node = block.one(eval.cx, "env");
        body.env = node.map(|node| env(eval, node)).unwrap_or_default();
        ports::read(eval, &mut block, around.member.index, &mut body);
        mounts::read(eval, &mut block, around.world.sources, &mut body);
        mounts::no_doubles(eval.cx, &body);
        body.permissions = security::read(eval, &mut block);
        let node = block.one(eval.cx, "restart");
        body.restart = eval.only_value(node, "a policy", |eval, value| eval.choice(value, "restart", &RESTARTS));
        let node = block.one(eval.cx, "stop-timeout");
        body.stop_timeout = eval.only_value(node, "a duration", |eval, value| eval.duration(value, "stop-timeout"));
        for node in block.all("after") {
            body.after.extend(after(eval, node, around.cast));
        }
        for node in block.all("ready") {
            body.ready.extend(probe::ready(eval, node, around.cast, around.member));
        }
        let node = block.one(eval.cx, "ready-timeout");
        body.ready_timeout = eval.only_value(node, "a duration", |eval, value| eval.duration(value, "ready-timeout"));
        body.serial = {
            let node = block.one(eval.cx, "serial");
            eval.flag(node)
        };
        body.leave = block.one(eval.cx, "leave").and_then(|node| leave(eval, node));
        if let Some(node) = block.one(eval.cx, "drift") {
            body.drift = drift::rules(eval, node);
        }
        body.ssh = block.one(eval.cx, "ssh").and_then(|node| provisioners::ssh(eval, node, around.idiom));
        body.provisioners = provisioners::read(eval, &mut block, around);
        block.finish(eval.cx, of);
        body
    }

    /// All mounted folders.
    pub(crate) fn mounts(&self) -> Vec<(&str, At)> {
        let volumes = self.volumes.iter().map(|mount| (mount.value.target.as_str(), mount.at));
        let syncs = self.syncs.iter().map(|mount| (mount.value.target.as_str(), mount.at));
        let tmpfs = self.tmpfs.iter().map(|mount| (mount.value.target.as_str(), mount.at));
        volumes.chain(syncs).chain(tmpfs).collect()
    }
}

/// A line that is the provider's to understand.
fn provider_option(eval: &mut Eval<'_, '_>, mut node: Reader<'_>) -> ProviderOption {
    let name = node.name().to_owned();
    let words = node.args().into_iter().filter_map(|value| eval.closed_text(value, &name)).collect();
    let properties = node.every_prop().into_iter();
    let properties = properties.filter_map(|(key, value)| Some((key.to_owned(), eval.closed_text(value, key)?)));
    let properties = properties.collect();
    node.finish(eval.cx);
    ProviderOption { name, words, properties }
}

pub(super) fn env(eval: &mut Eval<'_, '_>, mut node: Reader<'_>) -> IndexMap<String, Text> {
    let mut env = IndexMap::new();
    let mut seen: Vec<(&str, At)> = Vec::new();
    for mut entry in node.block.every() {
        let (name, at) = (entry.name(), entry.name_at());
        let value = entry.arg(eval.cx, "a value");
        entry.finish(eval.cx);
        if !is_variable(name) {
            let help = "names hold letters, digits and underscores, and start with no digit";
            eval.wrong(at, format!("{name:?} cannot be a variable of the environment"), help);
        }
        if let Some((_, first)) = seen.iter().find(|(other, _)| *other == name) {
            let draft = Draft::new(at, format!("{name} is set twice")).label("again").help("keep one of them");
            eval.cx.report(draft.also(*first, "first set here"));
            continue;
        }
        seen.push((name, at));
        if let Some(text) = value.and_then(|value| eval.text(value, name)) {
            env.insert(name.to_owned(), text);
        }
    }
    node.finish(eval.cx);
    env
}

/// What a machine or a step waits for: machines of the cast by number, and their state.
pub(super) fn after(
    eval: &mut Eval<'_, '_>,
    mut node: Reader<'_>,
    cast: &Cast,
) -> Option<Spotted<(Range<usize>, Condition)>> {
    let name = node.arg(eval.cx, "a machine's name");
    let condition = node.prop("is").map_or(Some(Condition::Ready), |value| eval.choice(value, "is", &CONDITIONS));
    node.finish(eval.cx);
    let name = name?;
    let text = eval.word(name, "after")?;
    let Some(members) = cast.find(&text) else {
        let draft = Draft::new(name.at, format!("there is no machine `{text}` in this topology")).label("not declared");
        eval.cx.report(draft.help(cast.missing(&text)));
        return None;
    };
    Some(Spotted { value: (members, condition?), at: name.at })
}

/// How long a machine has to hand over what it has when the file does not say: a database may have much.
const LEAVE_TIMEOUT: Duration = Duration::from_secs(600);

/// What a machine does before its group becomes smaller.
fn leave(eval: &mut Eval<'_, '_>, mut node: Reader<'_>) -> Option<LeaveSpec> {
    let words = node.some_args(eval.cx, "a command");
    let timeout = node.prop("timeout");
    let remove_volumes = node.prop("remove-volumes");
    node.finish(eval.cx);
    let command: Option<Vec<String>> = words.into_iter().map(|value| eval.closed_text(value, "leave")).collect();
    let timeout = timeout.map_or(Some(LEAVE_TIMEOUT), |value| eval.duration(value, "timeout"));
    let remove_volumes = remove_volumes.map_or(Some(false), |value| eval.boolean(value, "remove-volumes"));
    Some(LeaveSpec {
        command: command.filter(|words| !words.is_empty())?,
        timeout: timeout?,
        remove_volumes: remove_volumes?,
    })
}
