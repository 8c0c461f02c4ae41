//! `check`: what must hold of a running topology.

use super::{
    body::Surroundings,
    declared::Declared,
    probe::{self, Question},
    topology::Site,
};
use crate::{
    context::Draft,
    eval::Eval,
    reader::{Reader, Value},
    scope::{Cast, Me, Member, Scope},
    suggest,
};
use rig_model::{CheckSpec, CheckTarget, Expectation, Name};
use std::time::Duration;

/// How long a check may take when the file does not say.
const TIMEOUT: Duration = Duration::from_secs(300);

/// A topology that a check may be meant for.
#[derive(Clone, Copy)]
pub(crate) struct Reference<'a> {
    pub(crate) topology: &'a Name,
    pub(crate) cast: &'a Cast,
}

/// All checks: those of the topologies, then those at the top level, in the file's order each; and the names of all that are
/// declared, also of those that have no machine.
pub(crate) fn read(
    eval: &mut Eval<'_, '_>,
    sites: &Declared<Site>,
    nodes: Vec<Reader<'_>>,
) -> (Vec<CheckSpec>, Vec<String>) {
    let mut checks: Vec<CheckSpec> = sites.iter().flat_map(|(_, site)| site.checks.iter().cloned()).collect();
    let all: Vec<Reference<'_>> =
        sites.iter().map(|(topology, site)| Reference { topology, cast: &site.cast }).collect();
    let mut names: Vec<String> = sites.iter().flat_map(|(_, site)| site.check_names.iter().cloned()).collect();
    for node in nodes {
        names.extend(name_of(&node));
        read_one(eval, &node, &all, &mut checks);
    }
    unknown(eval, &checks, &names);
    (checks, names)
}

/// A check's name as it is written.
pub(crate) fn name_of(node: &Reader<'_>) -> Option<String> {
    Some(node.again().maybe_arg()?.as_str()?.to_owned())
}

/// Checks that others want to hold and that are declared nowhere.
fn unknown(eval: &mut Eval<'_, '_>, checks: &[CheckSpec], names: &[String]) {
    for check in checks {
        let CheckTarget::Restart { then, .. } = &check.target else { continue };
        for name in then.iter().filter(|name| !names.iter().any(|known| known == name.as_str()) || **name == check.name)
        {
            let message =
                format!("check `{}` of topology `{}`: there is no check `{name}`", check.name, check.topology);
            let known = names.iter().map(String::as_str).filter(|known| *known != check.name.as_str());
            let help = suggest::help(name.as_str(), known, "name another check of the topology");
            eval.cx.report(Draft::nowhere(format!("{}: {message}", check.origin)).help(help));
        }
    }
}

/// One check, in every one of the topologies that has its machine.
pub(crate) fn read_one(
    eval: &mut Eval<'_, '_>,
    node: &Reader<'_>,
    topologies: &[Reference<'_>],
    found: &mut Vec<CheckSpec>,
) {
    let mut reader = node.again();
    let name = reader.arg(eval.cx, "a name");
    let name = name.and_then(|value| Some((value, eval.name(value, "check")?)));
    let Some(on) = reader.need_prop(eval.cx, "on", "name the machine: on=\"spark-master\"") else { return };
    let Some(text) = eval.word(on, "on") else { return };
    let places = places(eval, on, &text, topologies);
    for (place, member) in places {
        let scope =
            Scope { topology: Some(place.topology), me: Some(Me::Known(member)), cast: Some(place.cast), ..eval.scope };
        let mut inner = Eval { cx: &mut *eval.cx, scope };
        let Some(mut check) = check(&mut inner, node.again(), member, place.cast) else { continue };
        let Some((value, name)) = &name else { continue };
        if found.iter().any(|other| other.topology == *place.topology && other.name == *name) {
            let message = format!("topology `{}` has two checks called `{name}`", place.topology);
            eval.cx.report(Draft::new(value.at, message).label("again").help("rename one of them"));
            continue;
        }
        check.name = name.clone();
        found.push(check);
    }
}

/// A check that a recipe brings, of the machine that uses it.
pub(crate) fn of_recipe(
    eval: &mut Eval<'_, '_>,
    node: Reader<'_>,
    recipe: &Name,
    around: Surroundings<'_>,
) -> Option<CheckSpec> {
    let mut reader = node.again();
    if let Some(on) = reader.prop("on") {
        eval.wrong(on.at, "a recipe's check is of the machine that uses the recipe", "remove `on`");
    }
    let value = reader.arg(eval.cx, "a name")?;
    let name = eval.name(value, "check")?;
    let mut check = check(eval, node, around.member, around.cast)?;
    let whole = format!("{recipe}-{name}-{}", around.member.id.machine);
    match Name::new(whole.as_str()) {
        Ok(whole) => check.name = whole,
        Err(error) => {
            eval.wrong(value.at, format!("the check would be called {whole:?}: {error}"), "give it a shorter name");
            return None;
        }
    }
    Some(check)
}

/// The topologies and machines that `on` means.
fn places<'a>(
    eval: &mut Eval<'_, '_>,
    value: Value<'_>,
    text: &str,
    topologies: &[Reference<'a>],
) -> Vec<(Reference<'a>, &'a Member)> {
    let (topology, machine) = match text.split_once('/') {
        Some((topology, machine)) => (Some(topology), machine),
        None => (None, text),
    };
    let meant: Vec<Reference<'a>> = topologies
        .iter()
        .copied()
        .filter(|place| topology.is_none_or(|name| place.topology.as_str() == name))
        .collect();
    if let (Some(name), true) = (topology, meant.is_empty()) {
        let known = topologies.iter().map(|place| place.topology.as_str());
        let help = suggest::help(name, known, "the file declares no topology");
        let draft = Draft::new(value.at, format!("there is no topology `{name}` here")).label("not declared");
        eval.cx.report(draft.help(help));
        return Vec::new();
    }
    let mut found = Vec::new();
    let mut known = false;
    for place in &meant {
        if let Some(members) = place.cast.find(machine) {
            known = true;
            // A group that was scaled to nothing has nothing to check.
            let first = place.cast.members.get(members).and_then(|members| members.first());
            found.extend(first.map(|member| (*place, member)));
        }
    }
    if !known {
        let help = match meant.as_slice() {
            [only] => only.cast.missing(machine),
            several => {
                let names = several.iter().flat_map(|place| place.cast.known());
                suggest::help(machine, names, "no topology has such a machine")
            }
        };
        let draft = Draft::new(value.at, format!("there is no machine `{machine}`")).label("not declared");
        eval.cx.report(draft.help(help));
    }
    found
}

/// A check as one topology sees it; its name is the caller's.
fn check(eval: &mut Eval<'_, '_>, mut reader: Reader<'_>, on: &Member, cast: &Cast) -> Option<CheckSpec> {
    let (at, name_at) = (reader.at(), reader.name_at());
    reader.maybe_arg();
    reader.prop("on");
    let question = Question::take(eval, &mut reader, false);
    let run = reader.block.one(eval.cx, "run");
    let restart = reader.block.one(eval.cx, "restart");
    let then = reader.block.one(eval.cx, "then");
    let expects = reader.block.all("expect");
    let timeout = reader.block.one(eval.cx, "timeout");
    reader.finish(eval.cx);
    let timeout = match timeout {
        Some(node) => eval.only_value(Some(node), "a duration", |eval, value| eval.duration(value, "timeout")),
        None => Some(TIMEOUT),
    };
    if question.count() + usize::from(run.is_some()) + usize::from(restart.is_some()) != 1 {
        let message = match (question.count(), &run) {
            (0, None) if restart.is_none() => "this check checks nothing",
            _ => "a check does one thing",
        };
        let draft = Draft::new(name_at, message).label("expected one of `run`, `restart`, `http=` or `tcp=`");
        eval.cx.report(
            draft.help(
                "run a command in the machine: `{ run \"…\"; expect stdout=\"…\" }`, or ask it: `http=\":8080/\"`",
            ),
        );
        return None;
    }
    if let (Some(then), None) = (&then, &restart) {
        eval.wrong(then.name_at(), "`then` belongs to `restart`", "checks run in the file's order without it");
    }
    if let Some(node) = restart {
        if let Some(expect) = expects.first() {
            let help = "the checks that `then` names say what must hold afterwards";
            eval.wrong(expect.name_at(), "a restart has no output to expect something of", help);
        }
        let machines = restarted(eval, node, cast)?;
        let then = then.map(|node| names(eval, node)).unwrap_or_default();
        return Some(CheckSpec {
            name: on.group.clone(),
            topology: on.id.topology.clone(),
            target: CheckTarget::Restart { machines, then },
            timeout: timeout?,
            origin: eval.cx.origin(at),
        });
    }
    let target = match run {
        Some(mut run) => {
            let words = run.some_args(eval.cx, "a command");
            run.finish(eval.cx);
            let command: Option<Vec<_>> = words.into_iter().map(|value| eval.text(value, "run")).collect();
            let mut expect = Vec::new();
            for node in expects {
                expectations(eval, node, &mut expect);
            }
            if !expect.iter().any(|one| matches!(one, Expectation::Exit(_))) {
                expect.insert(0, Expectation::Exit(0));
            }
            CheckTarget::Run { on: on.id.clone(), command: command.filter(|words| !words.is_empty())?, expect }
        }
        None => {
            if let Some(expect) = expects.first() {
                let help = "the values of an answer are checked with `value \"$.path\" is=\"…\"`";
                eval.wrong(expect.name_at(), "only what `run` runs can be expected to do something", help);
            }
            CheckTarget::Probe(question.probe(eval, at, on)?)
        }
    };
    // The caller knows the name; the group's stands in until then.
    Some(CheckSpec {
        name: on.group.clone(),
        topology: on.id.topology.clone(),
        target,
        timeout: timeout?,
        origin: eval.cx.origin(at),
    })
}

/// The machines of a `restart` node; of a group or role the first.
fn restarted(eval: &mut Eval<'_, '_>, mut node: Reader<'_>, cast: &Cast) -> Option<Vec<rig_model::MachineId>> {
    let values = node.some_args(eval.cx, "a machine's name");
    node.finish(eval.cx);
    let mut machines = Vec::new();
    for value in values {
        let text = eval.word(value, "restart")?;
        // A group that was scaled to nothing has nothing to restart.
        if cast.find(&text).is_none_or(|members| !members.is_empty()) {
            machines.push(probe::machine(eval, value, &text, cast)?.id.clone());
        }
    }
    (!machines.is_empty()).then_some(machines)
}

fn names(eval: &mut Eval<'_, '_>, mut node: Reader<'_>) -> Vec<Name> {
    let values = node.some_args(eval.cx, "a check's name");
    node.finish(eval.cx);
    values.into_iter().filter_map(|value| eval.name(value, "then")).collect()
}

fn expectations(eval: &mut Eval<'_, '_>, mut node: Reader<'_>, found: &mut Vec<Expectation>) {
    let at = node.name_at();
    let (stdout, stderr) = (node.prop("stdout"), node.prop("stderr"));
    let (exit, matches) = (node.prop("exit"), node.prop("matches"));
    node.finish(eval.cx);
    if stdout.is_none() && stderr.is_none() && exit.is_none() && matches.is_none() {
        eval.wrong(at, "`expect` expects nothing", "write stdout=\"…\", stderr=\"…\", matches=\"…\" or exit=0");
    }
    found.extend(stdout.and_then(|value| eval.text(value, "stdout")).map(Expectation::Stdout));
    found.extend(stderr.and_then(|value| eval.text(value, "stderr")).map(Expectation::Stderr));
    if let Some(value) = exit
        && let Some(code) = eval.integer(value, "exit", 0..=255)
    {
        if found.iter().any(|one| matches!(one, Expectation::Exit(other) if *other != code)) {
            eval.wrong(value.at, "a command ends with one exit code", "keep one `exit`");
        }
        found.push(Expectation::Exit(code));
    }
    if let Some(value) = matches
        && let Some(pattern) = eval.string(value, "matches")
    {
        match regex::Regex::new(&pattern) {
            Ok(_) => found.push(Expectation::Matches(pattern)),
            Err(error) => {
                // The last line says what is wrong; those before it draw the pattern again.
                let text = error.to_string();
                let reason = text.lines().last().unwrap_or_default().trim_start_matches("error: ").to_owned();
                eval.wrong(
                    value.at,
                    format!("not a regular expression: {reason}"),
                    "braces are doubled here (`a{{2}}`), and `#\"…\"#` keeps backslashes as they are",
                );
            }
        }
    }
}
