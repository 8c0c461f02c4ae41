//! A machine: its body laid over the defaults, with everything decided that the file decides.

use super::{
    body::{Body, Surroundings},
    network, ports, provisioners,
};
use crate::{
    context::{At, Draft, Spotted},
    eval::Eval,
    validate::Claims,
};
use rig_model::{BoxSource, BoxSpec, CheckSpec, Condition, Dependency, Idiom, MachineSpec, ProviderId, ReadySpec};
use std::time::Duration;

/// Who brings machines up that name no provider.
const PROVIDER: &str = "docker";

/// The word for the provider that the machine's box is for.
const AUTO: &str = "auto";

/// How long a service has to end when the file does not say: Docker's own default.
const STOP_TIMEOUT: Duration = Duration::from_secs(10);

/// A machine that another one waits for: both by number, and where that is written.
pub(crate) struct Edge {
    pub(crate) from: usize,
    pub(crate) to: usize,
    pub(crate) at: At,
}

/// What machines mean beyond themselves.
#[derive(Default)]
pub(crate) struct Gathered {
    /// Who waits for whom.
    pub(crate) edges: Vec<Edge>,
    /// The checks of their recipes.
    pub(crate) checks: Vec<CheckSpec>,
}

/// Puts a machine together. `number` is its place in the cast.
pub(crate) fn assemble(
    eval: &mut Eval<'_, '_>,
    around: Surroundings<'_>,
    mut own: Body,
    mut defaults: Body,
    (number, at): (usize, At),
    claims: &mut Claims,
    gathered: &mut Gathered,
) -> Option<MachineSpec> {
    let member = around.member;
    let who = &member.id;
    if !own.names_box && !defaults.names_box {
        let draft = Draft::new(at, format!("machine `{}` has no box", member.group)).label("made from nothing");
        eval.cx.report(draft.help("name one in its block, or for all machines in `defaults`: `box \"…\"`"));
    }
    if own.networks.is_empty() {
        own.networks = std::mem::take(&mut defaults.networks);
    }
    own.ip = own.ip.or(defaults.ip.take());
    let networks = network::attach(eval, who, &mut own, around.networks, claims);

    let mut env = std::mem::take(&mut defaults.env);
    env.extend(std::mem::take(&mut own.env));
    let own_ports: Vec<_> = own.ports.iter().map(|port| ports::key(&port.value)).collect();
    own.ports.extend(defaults.ports.drain(..).filter(|port| !own_ports.contains(&ports::key(&port.value))));
    for port in &own.ports {
        claims.port(eval.cx, who, &port.value, port.at);
    }
    lay_mounts(&mut own, &mut defaults);

    let mut after = dependencies(eval, around, &own.after, &defaults.after, number, &mut gathered.edges);
    if own.serial.or(defaults.serial).unwrap_or(false) && around.member.index.is_some_and(|index| index > 1) {
        after.extend(predecessor(around, number, at, &mut gathered.edges));
    }
    let mut all = std::mem::take(&mut defaults.provisioners);
    all.append(&mut own.provisioners);
    let steps = provisioners::in_order(eval, all, number, gathered);
    let box_name = own.box_name.or(defaults.box_name);
    let of_box = box_name.as_ref().and_then(|name| around.world.boxes.get(name.as_str()));
    let ssh = match around.idiom {
        Idiom::Mutable => Some(own.ssh.or(defaults.ssh).unwrap_or_default().resolve(of_box)),
        Idiom::Immutable => None,
    };
    // The machine's own rules come last, and the last one that fits counts.
    let mut drift = std::mem::take(&mut defaults.drift);
    drift.append(&mut own.drift);
    let probes = if own.ready.is_empty() { defaults.ready } else { own.ready };
    let timeout = own.ready_timeout.or(defaults.ready_timeout).unwrap_or(ReadySpec::default().timeout);
    let provider = match own.provider.or(defaults.provider) {
        Some(named) if named.as_str() != AUTO => named,
        named => ProviderId::new(if named.is_some() { provider_of(of_box) } else { PROVIDER }).ok()?,
    };
    Some(MachineSpec {
        id: who.clone(),
        group: member.group.clone(),
        index: member.index,
        role: member.role.clone(),
        idiom: around.idiom,
        provider,
        box_name: box_name?,
        flavor: member.flavor.clone(),
        hostname: member.hostname.clone(),
        networks,
        command: own.command.or(defaults.command).unwrap_or_default(),
        env,
        ports: values(own.ports),
        volumes: values(own.volumes),
        syncs: values(own.syncs),
        tmpfs: values(own.tmpfs),
        limits: member.limits,
        security: own.permissions.over(defaults.permissions),
        restart: own.restart.or(defaults.restart).unwrap_or_default(),
        after,
        ready: ReadySpec { probes, timeout },
        stop_timeout: own.stop_timeout.or(defaults.stop_timeout).unwrap_or(STOP_TIMEOUT),
        options: own.options.or(defaults.options).unwrap_or_default(),
        ssh,
        steps,
        leave: own.leave.or(defaults.leave),
        drift,
        origin: eval.cx.origin(at),
    })
}

/// The provider that machines of a box are for: stored boxes are VirtualBox's, cloud images and a root file system with a kernel are
/// for QEMU, and everything else an image. What the host has does not matter: one file is one plan everywhere.
fn provider_of(of_box: Option<&BoxSpec>) -> &'static str {
    match of_box.and_then(|spec| spec.sources.first()) {
        Some(BoxSource::Stored(_)) => "virtualbox",
        Some(BoxSource::CloudImage(_)) => "qemu",
        Some(BoxSource::Bootstrap(bootstrap)) if bootstrap.kind.boots() => "qemu",
        _ => PROVIDER,
    }
}

/// The machine before this one in a group that comes up one by one.
fn predecessor(around: Surroundings<'_>, number: usize, at: At, edges: &mut Vec<Edge>) -> Option<Dependency> {
    let before = number.checked_sub(1)?;
    let other = around.cast.members.get(before).filter(|other| other.group == around.member.group)?;
    edges.push(Edge { from: number, to: before, at });
    Some(Dependency { machine: other.id.clone(), condition: Condition::Ready })
}

fn values<T>(spotted: Vec<Spotted<T>>) -> Vec<T> {
    spotted.into_iter().map(|spotted| spotted.value).collect()
}

/// A mount of the defaults gives way to one of the machine's with the same folder, or the same volume.
fn lay_mounts(own: &mut Body, defaults: &mut Body) {
    let targets: Vec<String> = own.mounts().into_iter().map(|(target, _)| target.to_owned()).collect();
    let free = |target: &String| !targets.contains(target);
    let names: Vec<_> = own.volumes.iter().map(|volume| volume.value.name.clone()).collect();
    let volumes = defaults.volumes.drain(..);
    own.volumes.extend(volumes.filter(|mount| free(&mount.value.target) && !names.contains(&mount.value.name)));
    own.syncs.extend(defaults.syncs.drain(..).filter(|mount| free(&mount.value.target)));
    own.tmpfs.extend(defaults.tmpfs.drain(..).filter(|mount| free(&mount.value.target)));
}

/// What the machine waits for; the machine's own word on another one counts more than the defaults'.
fn dependencies(
    eval: &mut Eval<'_, '_>,
    around: Surroundings<'_>,
    own: &[Spotted<(std::ops::Range<usize>, rig_model::Condition)>],
    defaults: &[Spotted<(std::ops::Range<usize>, rig_model::Condition)>],
    number: usize,
    edges: &mut Vec<Edge>,
) -> Vec<Dependency> {
    let mut after = Vec::new();
    let mut known = std::collections::HashSet::new();
    let all = own.iter().map(|item| (item, true)).chain(defaults.iter().map(|item| (item, false)));
    for (Spotted { value: (range, condition), at }, is_own) in all {
        let names_group = range.len() != 1;
        for target in range.clone() {
            let Some(other) = around.cast.members.get(target) else { continue };
            // Defaults are meant for the others, and a group's first machine is not meant when the group waits for it.
            let is_self = target == number;
            if is_self && (!is_own || (!names_group && around.member.index.is_some() && around.member.count > 1)) {
                continue;
            }
            if !is_own && other.group == around.member.group {
                continue;
            }
            if known.insert(target) {
                edges.push(Edge { from: number, to: target, at: *at });
                after.push(Dependency { machine: other.id.clone(), condition: *condition });
            } else if is_own {
                let draft = Draft::new(*at, format!("`{}` is waited for twice", other.id.machine)).label("again");
                eval.cx.report(draft.help("keep one of them"));
            }
        }
    }
    after
}
