//! Provisioners of a machine: single steps and recipes, in the order in which they run.

use super::{
    body::Surroundings,
    machine::{Edge, Gathered},
    only::is_meant,
    recipes::{self, Applied},
    steps::{self, Place},
};
use crate::{
    context::{At, Draft, Spotted},
    eval::Eval,
    reader::{Block, Reader},
    scope::Parameters,
    suggest,
};
use rig_model::{BoxSource, BoxSpec, CheckSpec, Idiom, SshSpec, StepSpec};
use std::collections::HashMap;

/// Nodes that install software into a running machine.
const PROVISIONERS: [&str; 6] = ["shell", "file", "template", "packages", "service", "recipe"];

/// One provisioner of a machine's block: a step, or all steps of a recipe.
pub(crate) struct Provisioner {
    /// What `before` and `behind` of others call it.
    name: String,
    at: At,
    before: Option<Spotted<String>>,
    behind: Option<Spotted<String>>,
    steps: Vec<StepSpec>,
    /// What must hold of the machine when they have been done.
    checks: Vec<CheckSpec>,
    /// Machines of the cast that its steps wait for, by number.
    waits: Vec<Spotted<usize>>,
}

/// The provisioners of a body that are meant for this machine.
pub(crate) fn read(eval: &mut Eval<'_, '_>, block: &mut Block<'_>, around: Surroundings<'_>) -> Vec<Provisioner> {
    let mut found = Vec::new();
    for mut node in block.among(&PROVISIONERS) {
        let at = node.name_at();
        if around.idiom == Idiom::Immutable {
            let draft = Draft::new(at, "an immutable machine cannot have provisioners")
                .label("would change the machine after its start")
                .help("put it into the machine's box, or give the topology idiom=\"mutable\"");
            eval.cx.report(draft);
            continue;
        }
        let is_meant = is_meant(eval, &mut node, around.member.index);
        let mut before = node.prop("before").and_then(|value| spotted_word(eval, value, "before"));
        let mut behind = node.prop("behind").and_then(|value| spotted_word(eval, value, "behind"));
        if let (Some(_), Some(second)) = (&before, &behind) {
            eval.wrong(second.at, "a provisioner has one place", "keep `before` or `behind`");
            (before, behind) = (None, None);
        }
        let mut waits = Vec::new();
        let made = if node.name() == "recipe" {
            recipes::apply(eval, node, around, &mut waits)
        } else {
            let place = Place { folder: "", recipe: None, requires: &[], parameters: &Parameters::new(), around };
            let step = steps::read(eval, node, place, &mut waits);
            step.map(|step| Applied { name: step.id.name.clone(), steps: vec![step], checks: Vec::new() })
        };
        if let (Some(Applied { name, steps, checks }), true) = (made, is_meant) {
            found.push(Provisioner { name, at, before, behind, steps, checks, waits });
        }
    }
    found
}

/// Puts provisioners into their order and takes their steps and checks out. `number` is the machine's place in the cast.
pub(crate) fn in_order(
    eval: &mut Eval<'_, '_>,
    all: Vec<Provisioner>,
    number: usize,
    gathered: &mut Gathered,
) -> Vec<StepSpec> {
    let mut seen: HashMap<String, At> = HashMap::new();
    for provisioner in &all {
        if let Some(first) = seen.insert(provisioner.name.clone(), provisioner.at) {
            let message = format!("this machine has two provisioners called `{}`", provisioner.name);
            let draft = Draft::new(provisioner.at, message).label("again").help("give one of them `name=\"…\"`");
            eval.cx.report(draft.also(first, "the other one"));
        }
    }
    let names: Vec<String> = all.iter().map(|provisioner| provisioner.name.clone()).collect();
    let (placed, mut ordered): (Vec<_>, Vec<_>) =
        all.into_iter().partition(|provisioner| provisioner.before.is_some() || provisioner.behind.is_some());
    // One that is placed beside another placed one waits until that has its place.
    let mut open = placed;
    while !open.is_empty() {
        let before = open.len();
        for provisioner in std::mem::take(&mut open) {
            match place(&ordered, &provisioner) {
                Some(place) => ordered.insert(place, provisioner),
                None => open.push(provisioner),
            }
        }
        if open.len() == before {
            break;
        }
    }
    for provisioner in open {
        if let Some(wish) = provisioner.before.or(provisioner.behind) {
            let known = names.iter().map(String::as_str).filter(|name| *name != provisioner.name);
            let draft = if known.clone().any(|name| name == wish.value) {
                let message = format!("`{}` and `{}` wait for each other's place", provisioner.name, wish.value);
                Draft::new(wish.at, message)
                    .label("closes the circle")
                    .help("let one of them stand where it is written")
            } else {
                let help = suggest::help(&wish.value, known, "name another provisioner of this machine");
                let message = format!("there is no provisioner `{}` to stand beside", wish.value);
                Draft::new(wish.at, message).label("not in this machine").help(help)
            };
            eval.cx.report(draft);
        }
    }
    for (place, provisioner) in ordered.iter().enumerate() {
        for needed in provisioner.steps.first().iter().flat_map(|step| &step.requires) {
            if !ordered[..place].iter().any(|other| other.name == needed.as_str()) {
                let message = format!("recipe `{}` needs the recipe `{needed}` before it", provisioner.name);
                let help = format!("put `recipe \"{needed}\"` before it in the machine or in `defaults`");
                eval.cx.report(Draft::new(provisioner.at, message).label("used here").help(help));
            }
        }
    }
    let waits = ordered.iter().flat_map(|provisioner| &provisioner.waits);
    gathered.edges.extend(waits.map(|wait| Edge { from: number, to: wait.value, at: wait.at }));
    gathered.checks.extend(ordered.iter_mut().flat_map(|provisioner| std::mem::take(&mut provisioner.checks)));
    ordered.into_iter().flat_map(|provisioner| provisioner.steps).collect()
}

/// Where a provisioner goes that names its place; nothing while that has none itself. Several behind one stand there in the
/// file's order.
fn place(ordered: &[Provisioner], provisioner: &Provisioner) -> Option<usize> {
    let named = |name: &str| ordered.iter().position(|other| other.name == name);
    if let Some(wish) = &provisioner.before {
        return named(&wish.value);
    }
    let wish = provisioner.behind.as_ref()?;
    let anchor = named(&wish.value)?;
    let same = |other: &&Provisioner| other.behind.as_ref().is_some_and(|theirs| theirs.value == wish.value);
    Some(anchor + 1 + ordered[anchor + 1..].iter().take_while(same).count())
}

/// How a mutable machine is reached, as far as the file says it.
#[derive(Clone, Debug, Default)]
pub(crate) struct SshWish {
    user: Option<String>,
    port: Option<u16>,
}

impl SshWish {
    /// With what the file leaves out, for a machine of this box.
    pub(crate) fn resolve(self, of_box: Option<&BoxSpec>) -> SshSpec {
        let stored = of_box.is_some_and(|spec| matches!(spec.sources.first(), Some(BoxSource::Stored(_))));
        let user = if stored { SshSpec::STORED_USER } else { SshSpec::USER };
        SshSpec { user: self.user.unwrap_or_else(|| user.to_owned()), port: self.port.unwrap_or(SshSpec::PORT) }
    }
}

/// `ssh user="…" port=…`: how a mutable machine is reached.
pub(crate) fn ssh(eval: &mut Eval<'_, '_>, mut node: Reader<'_>, idiom: Idiom) -> Option<SshWish> {
    let at = node.name_at();
    let (user, port) = (node.prop("user"), node.prop("port"));
    node.finish(eval.cx);
    if idiom == Idiom::Immutable {
        let help = "`rig exec` runs commands in it; a topology with idiom=\"mutable\" has machines with an sshd";
        eval.wrong(at, "an immutable machine is not reached over SSH", help);
        return None;
    }
    let user = user.and_then(|value| steps::account(eval, value));
    let port = port.and_then(|value| eval.integer(value, "port", 1..=65_535));
    Some(SshWish { user, port })
}

fn spotted_word(eval: &mut Eval<'_, '_>, value: crate::reader::Value<'_>, what: &str) -> Option<Spotted<String>> {
    eval.word(value, what).map(|word| Spotted { value: word, at: value.at })
}
