//! What `{references}` mean at a place: variables, facts of the machine itself, facts of other machines.

use crate::{VariableInfo, suggest};
use indexmap::IndexMap;
use rig_model::{Limits, MachineId, Name, Part, Text};
use std::{collections::HashMap, ops::Range};

/// Facts that a machine knows of itself. A variable cannot have one of these names.
pub(crate) const FACTS: [&str; 11] =
    ["n", "name", "host", "ip", "role", "cpus", "memory", "memory-mib", "topology", "workspace", "count"];

/// Facts that are known before host names and limits are.
const EARLY: [&str; 6] = ["n", "name", "role", "topology", "workspace", "count"];

/// Facts of one other machine, and of a whole group.
const OTHERS: [&str; 10] = ["host", "ip", "name", "role", "cpus", "memory", "memory-mib", "count", "hosts", "ips"];

/// The workspace's variables.
pub(crate) type Variables = IndexMap<Name, VariableInfo>;

/// A recipe's parameters with their values.
pub(crate) type Parameters = IndexMap<String, Text>;

/// One machine, as far as it is known before its body is read.
#[derive(Clone, Debug)]
pub(crate) struct Member {
    pub(crate) id: MachineId,
    pub(crate) group: Name,
    pub(crate) index: Option<u32>,
    pub(crate) count: u32,
    pub(crate) role: Option<String>,
    pub(crate) hostname: String,
    pub(crate) limits: Limits,
    pub(crate) flavor: Option<Name>,
}

/// The machines of a topology.
#[derive(Debug, Default)]
pub(crate) struct Cast {
    pub(crate) members: Vec<Member>,
    pub(crate) names: HashMap<Name, usize>,
    pub(crate) groups: IndexMap<Name, Group>,
    /// Roles of groups without machines: they are known, and nobody has them.
    pub(crate) vacant: Vec<String>,
}

/// The machines of one `machine` node.
#[derive(Clone, Debug)]
pub(crate) struct Group {
    /// Whether the node has a `count`.
    pub(crate) counted: bool,
    pub(crate) members: Range<usize>,
}

/// The machine whose values are read.
#[derive(Clone, Copy)]
pub(crate) enum Me<'a> {
    /// Before host names and limits are known.
    Early { name: &'a Name, index: Option<u32>, count: u32, role: Option<&'a str> },
    /// Afterwards.
    Known(&'a Member),
}

/// What references mean at a place.
#[derive(Clone, Copy)]
pub(crate) struct Scope<'a> {
    pub(crate) variables: &'a Variables,
    /// Inside a recipe its parameters stand in for the workspace's variables.
    pub(crate) parameters: Option<&'a Parameters>,
    pub(crate) workspace: &'a str,
    pub(crate) topology: Option<&'a Name>,
    pub(crate) me: Option<Me<'a>>,
    pub(crate) cast: Option<&'a Cast>,
}

/// Why a reference means nothing.
pub(crate) struct Miss {
    pub(crate) message: String,
    pub(crate) help: String,
}

fn miss<T>(message: impl Into<String>, help: impl Into<String>) -> Result<T, Miss> {
    Err(Miss { message: message.into(), help: help.into() })
}

fn literal(text: impl Into<String>) -> Vec<Part> {
    vec![Part::Literal(text.into())]
}

impl Cast {
    /// The machines that a name stands for: a machine, a group, or those with that role that stand together. The last lets
    /// one check be for topologies that call their machines differently.
    pub(crate) fn find(&self, name: &str) -> Option<Range<usize>> {
        let has_role = |member: &&Member| member.role.as_deref() == Some(name);
        let group = self.groups.get(name).map(|group| group.members.clone());
        group.or_else(|| self.names.get(name).map(|index| *index..*index + 1)).or_else(|| {
            let Some(start) = self.members.iter().position(|member| has_role(&member)) else {
                return self.vacant.iter().any(|role| role == name).then_some(0..0);
            };
            Some(start..start + self.members[start..].iter().take_while(has_role).count())
        })
    }

    /// Names that can be referred to.
    pub(crate) fn known(&self) -> impl Iterator<Item = &str> {
        self.groups.keys().chain(self.names.keys()).map(Name::as_str)
    }

    /// What to do about a machine that is not there.
    pub(crate) fn missing(&self, name: &str) -> String {
        let stem = name.trim_end_matches(|c: char| c.is_ascii_digit());
        match self.groups.get(stem) {
            Some(group) if stem != name && group.counted => match group.members.len() {
                1 => format!("`{stem}` has 1 machine: `{stem}1`"),
                count => format!("`{stem}` has {count} machines, counted from `{stem}1`"),
            },
            _ => suggest::help(name, self.known(), "declare it with `machine \"…\"` in this topology"),
        }
    }
}

impl<'a> Scope<'a> {
    /// A place outside machines.
    pub(crate) fn outside(variables: &'a Variables, workspace: &'a str) -> Self {
        Self { variables, parameters: None, workspace, topology: None, me: None, cast: None }
    }

    /// What a reference stands for.
    pub(crate) fn lookup(&self, reference: &str) -> Result<Vec<Part>, Miss> {
        if let Some((first, others)) = reference.strip_prefix("if-first ").and_then(|words| words.split_once(' ')) {
            return self.by_rank(first, others);
        }
        if let Some((who, fact)) = reference.split_once('.') {
            return self.other(who, fact);
        }
        if let Some(parameters) = self.parameters {
            if let Some(value) = parameters.get(reference) {
                return Ok(value.0.clone());
            }
        } else if let Some(variable) = self.variables.get(reference) {
            return Ok(literal(variable.value.clone()));
        }
        match reference {
            "workspace" => return Ok(literal(self.workspace)),
            "topology" => {
                if let Some(topology) = self.topology {
                    return Ok(literal(topology.as_str()));
                }
            }
            _ => {}
        }
        match (self.me, FACTS.contains(&reference)) {
            (Some(me), true) => self.own(me, reference),
            (None, true) => miss(
                format!("`{{{reference}}}` is a fact of a machine, and no machine is meant here"),
                "use it inside a `machine`, or name a machine of the topology: `{name.fact}`",
            ),
            (_, false) => {
                let facts = if self.me.is_some() { FACTS.as_slice() } else { &["workspace"] };
                let (what, names): (_, Vec<&str>) = match self.parameters {
                    Some(parameters) => ("parameter", parameters.keys().map(String::as_str).collect()),
                    None => ("variable", self.variables.keys().map(Name::as_str).collect()),
                };
                let known = names.into_iter().chain(facts.iter().copied());
                let near = suggest::nearest(reference, known).map(|near| format!("did you mean `{{{near}}}`? "));
                miss(
                    format!("there is no {what} or fact `{reference}`"),
                    near.unwrap_or_else(|| format!("declare it with `{what} \"{reference}\" …`, or "))
                        + "write `{{` and `}}` for braces",
                )
            }
        }
    }

    /// One word for the first machine of a group, another one for the rest.
    fn by_rank(&self, first: &str, others: &str) -> Result<Vec<Part>, Miss> {
        let index = match self.me {
            Some(Me::Early { index, .. }) => index,
            Some(Me::Known(member)) => member.index,
            None => None,
        };
        match index {
            Some(1) => Ok(literal(first)),
            Some(_) => Ok(literal(others)),
            None => miss("`{if-first …}` is known only in machines with a `count`", "give the machine a `count`"),
        }
    }

    fn own(&self, me: Me<'_>, fact: &str) -> Result<Vec<Part>, Miss> {
        let (name, index, count, role) = match me {
            Me::Early { name, index, count, role } => (name, index, count, role),
            Me::Known(member) => (&member.id.machine, member.index, member.count, member.role.as_deref()),
        };
        match (fact, me) {
            ("n", _) => match index {
                Some(index) => Ok(literal(index.to_string())),
                None => miss(
                    "`{n}` is known only in machines with a `count`",
                    "give the machine a `count=1`, or use `{name}`",
                ),
            },
            ("name", _) => Ok(literal(name.as_str())),
            ("count", _) => Ok(literal(count.to_string())),
            ("role", _) => match role {
                Some(role) => Ok(literal(role)),
                None => miss(format!("machine {name} has no role"), "give it one: `machine … role=\"…\"`"),
            },
            (_, Me::Known(member)) => member.fact(fact),
            (_, Me::Early { .. }) => {
                let early: Vec<String> = EARLY.iter().map(|fact| format!("`{{{fact}}}`")).collect();
                miss(
                    format!("`{{{fact}}}` is not known yet where roles, host names and limits are made"),
                    format!("known already: {}", early.join(", ")),
                )
            }
        }
    }

    fn other(&self, who: &str, fact: &str) -> Result<Vec<Part>, Miss> {
        let Some(cast) = self.cast else {
            return miss(
                format!("`{{{who}.{fact}}}` is a fact of a machine, and machines are not known here"),
                "facts of machines can be used in the bodies of machines and in checks",
            );
        };
        let Some(found) = cast.find(who) else {
            return miss(format!("there is no machine `{who}` in this topology"), cast.missing(who));
        };
        let members = cast.members.get(found).unwrap_or_default();
        match (fact, members) {
            ("count", _) => return Ok(literal(members.len().to_string())),
            ("hosts", _) => return Ok(join(members, |member| Part::Literal(member.hostname.clone()))),
            ("names", _) => return Ok(join(members, |member| Part::Literal(member.id.machine.to_string()))),
            ("ips", _) => return Ok(join(members, |member| Part::Ip(member.id.clone()))),
            _ => {}
        }
        let counted = cast.groups.get(who).is_some_and(|group| group.counted);
        match (OTHERS.contains(&fact), members) {
            (true, [member]) if !counted => member.fact(fact),
            (true, _) => miss(
                format!("`{who}` is a group of machines, so `{fact}` is not one value"),
                format!(
                    "name one of them (`{{{who}1.{fact}}}`), or use `{{{who}.hosts}}`, `{{{who}.ips}}`, `{{{who}.names}}`, `{{{who}.count}}`"
                ),
            ),
            (false, _) => miss(
                format!("machines have no fact `{fact}`"),
                suggest::help(fact, OTHERS.iter().copied().chain(["names"]), "see docs/file.md"),
            ),
        }
    }
}

impl Member {
    /// A fact that other machines may ask for as well.
    fn fact(&self, fact: &str) -> Result<Vec<Part>, Miss> {
        let name = &self.id.machine;
        let limit = |value: Option<String>, of: &str| match value {
            Some(value) => Ok(literal(value)),
            None => miss(format!("machine {name} has no limit for {of}"), "give it `limits` or a `flavor`"),
        };
        match fact {
            "host" => Ok(literal(self.hostname.clone())),
            "ip" => Ok(vec![Part::Ip(self.id.clone())]),
            "role" => match &self.role {
                Some(role) => Ok(literal(role.clone())),
                None => miss(format!("machine {name} has no role"), "give it one: `machine … role=\"…\"`"),
            },
            "cpus" => limit(self.limits.cpus.map(|cpus| cpus.to_string()), "cpus"),
            "memory" => limit(self.limits.memory.map(|memory| format!("{}m", memory.mib())), "memory"),
            "memory-mib" => limit(self.limits.memory.map(|memory| memory.mib().to_string()), "memory"),
            "count" => Ok(literal(self.count.to_string())),
            _ => Ok(literal(name.as_str())),
        }
    }
}

fn join(members: &[Member], part: impl Fn(&Member) -> Part) -> Vec<Part> {
    let mut parts = Vec::with_capacity(members.len() * 2);
    for member in members {
        if !parts.is_empty() {
            parts.push(Part::Literal(",".to_owned()));
        }
        parts.push(part(member));
    }
    parts
}
