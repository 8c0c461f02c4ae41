//! `topology`: machines that belong together.

use super::{
    body::{Body, Surroundings},
    cast,
    checks::{self, Reference},
    declared::Declared,
    machine::{self, Edge, Gathered},
    network,
    workspace::World,
};
use crate::{
    context::{Context, Draft},
    eval::Eval,
    reader::Reader,
    scope::{Cast, Me, Member, Scope},
    validate::{Claims, cycles},
};
use indexmap::IndexMap;
use rig_model::{CheckSpec, Idiom, Name, NetworkSpec, Topology};

const IDIOMS: [(&str, Idiom); 2] = [("mutable", Idiom::Mutable), ("immutable", Idiom::Immutable)];

/// A topology and what checks at the top level need to know of it.
pub(crate) struct Site {
    pub(crate) topology: Topology,
    pub(crate) cast: Cast,
    pub(crate) checks: Vec<CheckSpec>,
    /// The names of all checks that it declares, also of those that have no machine.
    pub(crate) check_names: Vec<String>,
}

/// Reads one topology and adds it to `sites`.
pub(crate) fn read(
    eval: &mut Eval<'_, '_>,
    mut reader: Reader<'_>,
    world: &World<'_>,
    claims: &mut Claims,
    sites: &mut Declared<Site>,
) {
    let at = reader.at();
    let name = reader.arg(eval.cx, "a name");
    let name = name.and_then(|value| Some((eval.name(value, "topology")?, value.at)));
    let idiom = reader.need_prop(
        eval.cx,
        "idiom",
        "write idiom=\"immutable\", or \"mutable\" for machines that are provisioned",
    );
    let idiom = idiom.and_then(|value| eval.choice(value, "idiom", &IDIOMS));
    let (network_nodes, defaults) = (reader.block.all("network"), reader.block.one(eval.cx, "defaults"));
    let (machine_nodes, check_nodes) = (reader.block.all("machine"), reader.block.all("check"));
    reader.finish(eval.cx);
    let Some((name, name_at)) = name else { return };
    // A second topology of that name would collide with the first in everything.
    if sites.has(name.as_str()) {
        sites.declare(eval.cx, name, name_at, None);
        return;
    }
    // What is said about a broken idiom is enough; the stricter one keeps the rest quiet about it.
    let idiom = idiom.unwrap_or(Idiom::Immutable);
    let mut eval = Eval { cx: &mut *eval.cx, scope: Scope { topology: Some(&name), ..eval.scope } };
    let eval = &mut eval;
    let networks = network::declared(eval, network_nodes, Some(&name), at, claims);
    let (cast, seats) = cast::build(eval, &name, machine_nodes, defaults.as_ref(), world, claims);
    unknown_groups(eval.cx, &name, &cast, world);

    let mut machines = Vec::with_capacity(cast.members.len());
    let mut gathered = Gathered::default();
    let mut leaves = IndexMap::new();
    for seat in &seats {
        let members = cast.members.get(seat.members.clone()).unwrap_or_default();
        for (offset, member) in members.iter().chain(seat.phantom.as_ref()).enumerate() {
            eval.cx.repeating = offset > 0;
            let around = Surroundings { world, networks: &networks, cast: &cast, member, idiom };
            let (own, common) = bodies(eval, &seat.reader, defaults.as_ref(), around);
            // A machine that leaves is in the file no more: its group knows what it does then.
            if let Some(leave) = own.leave.as_ref().or(common.leave.as_ref()) {
                leaves.entry(member.group.clone()).or_insert_with(|| leave.clone());
            }
            if seat.phantom.is_none() {
                let number = seat.members.start + offset;
                machines.extend(machine::assemble(eval, around, own, common, (number, seat.at), claims, &mut gathered));
            }
        }
        eval.cx.repeating = false;
    }
    let Gathered { edges, checks: mut found } = gathered;
    circles(eval.cx, &cast, &edges);
    room(eval.cx, &networks, &machines);

    let own = Reference { topology: &name, cast: &cast };
    let own_names = check_nodes.iter().filter_map(checks::name_of);
    let check_names = found.iter().map(|check| check.name.to_string()).chain(own_names).collect();
    for node in check_nodes {
        checks::read_one(eval, &node, &[own], &mut found);
    }
    let networks: Vec<NetworkSpec> = networks.into_items().map(|(_, spec)| spec).collect();
    let counted = cast.groups.iter().filter(|(_, group)| group.counted);
    // At most 500 in a group.
    let counts =
        counted.map(|(name, group)| (name.clone(), u32::try_from(group.members.len()).unwrap_or(u32::MAX))).collect();
    let topology =
        Topology { name: name.clone(), idiom, networks, machines, counts, leaves, origin: eval.cx.origin(at) };
    sites.declare(eval.cx, name.clone(), name_at, Some(Site { topology, cast, checks: found, check_names }));
}

/// A machine's own body and the defaults, both as this machine sees them.
fn bodies(
    eval: &mut Eval<'_, '_>,
    reader: &Reader<'_>,
    defaults: Option<&Reader<'_>>,
    around: Surroundings<'_>,
) -> (Body, Body) {
    let scope = Scope { me: Some(Me::Known(around.member)), cast: Some(around.cast), ..eval.scope };
    let mut eval = Eval { cx: &mut *eval.cx, scope };
    let mut reader = reader.again();
    let provider = reader.prop("provider");
    let provider = provider.and_then(|value| Some((eval.name(value, "provider")?, value.at)));
    // Read with the cast already.
    reader.maybe_arg();
    for known in ["count", "role"] {
        reader.prop(known);
    }
    let block = std::mem::replace(&mut reader.block, crate::reader::Block::of(&[]));
    reader.finish(eval.cx);
    let mut own = Body::read(&mut eval, block, "a machine", around);
    if let Some((provider, at)) = provider {
        if own.provider.is_some() {
            eval.wrong(at, "the provider is given twice", "keep the property or the node");
        }
        own.provider = Some(provider);
    }
    let common = defaults.map(|defaults| {
        let mut reader = defaults.again();
        let block = std::mem::replace(&mut reader.block, crate::reader::Block::of(&[]));
        reader.finish(eval.cx);
        Body::read(&mut eval, block, "`defaults`", around)
    });
    (own, common.unwrap_or_default())
}

/// Numbers of machines for groups that this topology does not have.
fn unknown_groups(cx: &mut Context, topology: &Name, cast: &Cast, world: &World<'_>) {
    for (place, group) in world.counts.keys() {
        if place == topology && !cast.groups.contains_key(group) {
            let message = format!("cannot scale {topology}/{group}: there is no such group");
            let groups = cast.groups.keys().map(Name::as_str);
            let help = crate::suggest::help(group.as_str(), groups, "the topology has no machines");
            cx.report(Draft::nowhere(message).help(help));
        }
    }
}

/// Machines that wait for each other.
fn circles(cx: &mut Context, cast: &Cast, edges: &[Edge]) {
    let mut graph = vec![Vec::new(); cast.members.len()];
    for edge in edges {
        if let Some(targets) = graph.get_mut(edge.from) {
            targets.push(edge.to);
        }
    }
    // Groups of many machines make many circles of one mistake: one is shown for each place.
    cx.repeating = true;
    for circle in cycles::find(&graph) {
        let members: Vec<&Member> = circle.iter().filter_map(|number| cast.members.get(*number)).collect();
        let mut names: Vec<&str> = members.iter().map(|member| member.id.machine.as_str()).collect();
        names.extend(names.first().copied());
        let last = circle.last().copied().unwrap_or_default();
        let first = circle.first().copied().unwrap_or_default();
        if let Some(edge) = edges.iter().find(|edge| edge.from == last && edge.to == first) {
            let message = format!("machines wait for each other in a circle: {}", names.join(" → "));
            let help = "none of them could ever start; remove one `after`, or let it wait for less";
            cx.report(Draft::new(edge.at, message).label("closes the circle").help(help));
        }
    }
    cx.repeating = false;
}

/// Networks that are too small for their machines.
fn room(cx: &mut Context, networks: &Declared<NetworkSpec>, machines: &[rig_model::MachineSpec]) {
    for (name, network) in networks.iter() {
        let Some(subnet) = network.subnet else { continue };
        let on_it = |machine: &&rig_model::MachineSpec| machine.networks.iter().any(|place| place.network == *name);
        let wanted = machines.iter().filter(on_it).count();
        // All but the network's, the gateway's and the broadcast address.
        let free = (1_usize << (32 - subnet.prefix_len()).min(31)) - 3;
        if wanted > free
            && let Some(at) = networks.at(name.as_str())
        {
            let message = format!("network `{name}` has room for {free} machines, not for {wanted}");
            cx.report(Draft::new(at, message).label(format!("{subnet} is too small")).help("choose a larger range"));
        }
    }
}
