//! The whole file.

use super::{
    artifacts, boxes, checks, compare,
    declared::Declared,
    limits,
    recipes::{self, Library},
    topology, variables,
};
use crate::{
    Overrides, Sources, VariableInfo,
    context::{At, Context, Draft},
    eval::Eval,
    reader::{Block, Reader},
    scope::{Scope, Variables},
    suggest,
    syntax::Node,
    validate::Claims,
};
use camino::Utf8Path;
use indexmap::IndexMap;
use rig_model::{ArtifactSpec, BoxSpec, Limits, Name, Topology, Workspace};
use std::collections::BTreeMap;

/// What machines and checks refer to beyond their topology.
pub(crate) struct World<'a> {
    pub(crate) sources: &'a dyn Sources,
    pub(crate) boxes: &'a Declared<BoxSpec>,
    pub(crate) artifacts: &'a Declared<ArtifactSpec>,
    pub(crate) recipes: &'a Library,
    pub(crate) flavors: &'a Declared<Limits>,
    pub(crate) counts: &'a BTreeMap<(Name, Name), u32>,
}

struct Head {
    name: Name,
    engine: Option<String>,
    host_trust: bool,
}

/// Decodes the nodes of a file and its includes. Nothing comes back when anything is wrong enough to have no value at all;
/// the context then holds the reason.
pub(crate) fn workspace(
    cx: &mut Context,
    nodes: &[Node],
    overrides: &Overrides,
    folder: &Utf8Path,
    sources: &dyn Sources,
) -> Option<(Workspace, Vec<VariableInfo>)> {
    let mut file = Block::of(nodes);
    let workspace_nodes = file.all("workspace");
    let variables = variables::read(cx, file.all("variable"), &overrides.variables);
    let head = head(cx, workspace_nodes, &variables);
    let name = head.as_ref().map_or("", |head| head.name.as_str());
    let outside = Scope::outside(&variables, name);

    let mut eval = Eval { cx, scope: outside };
    let flavors = limits::flavors(&mut eval, file.all("flavor"));
    let mut artifacts = artifacts::read(&mut eval, file.all("artifact"), sources);
    let boxes = boxes::read(&mut eval, file.all("box"), &artifacts, sources);
    let topology_nodes = file.all("topology");
    let recipes = recipes::read_all(&mut eval, &topology_nodes, folder, sources, &mut artifacts);
    let world = World {
        sources,
        boxes: &boxes,
        artifacts: &artifacts,
        recipes: &recipes,
        flavors: &flavors,
        counts: &overrides.counts,
    };

    let mut claims = Claims::default();
    let mut sites = Declared::new("topology");
    for reader in topology_nodes {
        topology::read(&mut eval, reader, &world, &mut claims, &mut sites);
    }
    let (checks, check_names) = checks::read(&mut eval, &sites, file.all("check"));
    let compare = compare::read(&mut eval, file.all("compare"), &sites, &check_names, &variables);
    unknown_counts(eval.cx, &overrides.counts, &sites);
    file.finish(cx, "a workspace file");

    let boxes = boxes::order(boxes);
    let head = head?;
    let topologies: IndexMap<Name, Topology> = sites.into_items().map(|(name, site)| (name, site.topology)).collect();
    let workspace = Workspace {
        name: head.name,
        engine: head.engine,
        host_trust: head.host_trust,
        boxes,
        artifacts: artifacts.into_items().collect(),
        topologies,
        checks,
        compare,
    };
    Some((workspace, variables.into_values().collect()))
}

/// The `workspace` node: there is one, and it is in the file that was named.
fn head(cx: &mut Context, nodes: Vec<Reader<'_>>, variables: &Variables) -> Option<Head> {
    let mut found: Option<(At, Option<Head>)> = None;
    for mut reader in nodes {
        let at = reader.name_at();
        if at.file != 0 {
            let help = "keep `workspace` in the file that includes this one";
            cx.report(Draft::new(at, "an included file cannot hold `workspace`").label("not in this file").help(help));
            continue;
        }
        if let Some((first, _)) = &found {
            let draft = Draft::new(at, "`workspace` is given twice").label("again").help("keep one of them");
            cx.report(draft.also(*first, "first given here"));
            continue;
        }
        let mut eval = Eval { cx: &mut *cx, scope: Scope::outside(variables, "") };
        let name = reader.arg(eval.cx, "a name").and_then(|value| eval.name(value, "workspace"));
        let engine = reader.block.one(eval.cx, "engine");
        let engine = eval.only_value(engine, "an address", |eval, value| eval.word(value, "engine"));
        let host_trust = reader.block.one(eval.cx, "host-trust");
        let host_trust = eval.flag(host_trust).unwrap_or(true);
        reader.finish(cx);
        found = Some((at, name.map(|name| Head { name, engine, host_trust })));
    }
    if found.is_none() {
        let at = At { file: 0, start: 0, len: 0 };
        let draft =
            Draft::new(at, "the file has no `workspace` node").label("a workspace file says whose machines these are");
        cx.report(draft.help("begin it with `workspace \"name\"`"));
    }
    found?.1
}

/// Numbers of machines for groups that are not there (those of known topologies are checked with the topology).
fn unknown_counts(cx: &mut Context, counts: &BTreeMap<(Name, Name), u32>, sites: &Declared<topology::Site>) {
    for (topology, group) in counts.keys() {
        if !sites.has(topology.as_str()) {
            let help = suggest::help(topology.as_str(), sites.names(), "the file declares no topology");
            cx.report(
                Draft::nowhere(format!("cannot scale {topology}/{group}: there is no topology `{topology}`"))
                    .help(help),
            );
        }
    }
}
