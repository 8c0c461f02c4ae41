//! Who is in a topology: the machines of every `machine` node, with what other machines may ask of them.

use super::{limits, workspace::World};
use crate::{
    context::{At, Draft, Spotted},
    eval::Eval,
    reader::{Block, Reader},
    scope::{Cast, Group, Me, Member},
    validate::Claims,
};
use rig_model::{Limits, MachineId, Name};

/// The most machines of one group.
const MOST: i128 = 500;

/// The longest host name that Linux takes (`sethostname(2)` has 64 bytes, some programs need one of them).
const LONGEST_HOST: usize = 63;

/// A `machine` node whose machines are known and whose body is not read yet.
pub(crate) struct Seat<'k> {
    pub(crate) reader: Reader<'k>,
    pub(crate) members: std::ops::Range<usize>,
    /// Stands in for the machines of a group of none, so that its body is checked all the same.
    pub(crate) phantom: Option<Member>,
    /// Where the name stands.
    pub(crate) at: At,
}

/// Names, roles, host names and limits of all machines. The scope of `eval` has the topology and no machine.
pub(crate) fn build<'k>(
    eval: &mut Eval<'_, '_>,
    topology: &Name,
    nodes: Vec<Reader<'k>>,
    defaults: Option<&Reader<'k>>,
    world: &World<'_>,
    claims: &mut Claims,
) -> (Cast, Vec<Seat<'k>>) {
    let mut cast = Cast::default();
    let mut seats: Vec<Seat<'k>> = Vec::new();
    let mut places: Vec<At> = Vec::new();
    for mut reader in nodes {
        let value = reader.arg(eval.cx, "a name");
        let count = reader.prop("count");
        let Some((value, group)) = value.and_then(|value| Some((value, eval.name(value, "machine")?))) else {
            continue;
        };
        if let Some(first) = cast.groups.get_index_of(&group).and_then(|seat| seats.get(seat)) {
            let draft = Draft::new(value.at, format!("machine `{group}` is declared twice")).label("again");
            let help = "rename one of them, or give one a `count`";
            eval.cx.report(draft.help(help).also(first.at, "first declared here"));
            continue;
        }
        let counted = count.is_some();
        if counted && group.as_str().ends_with(|c: char| c.is_ascii_digit()) {
            let message = format!("a group's name gets numbers, so `{group}` cannot end with one");
            eval.wrong(value.at, message, format!("`{group}1` and `{group}2` would be hard to tell from others"));
        }
        let count = count.map(|count| eval.integer(count, "count", 0..=MOST).unwrap_or(1));
        let count = scaled(eval, topology, &group, count, world);
        let start = cast.members.len();
        let candidate = Candidate { topology, group: &group, counted, count, at: value.at };
        for number in 1..=count {
            eval.cx.repeating = number > 1;
            let Some((member, host_at)) = candidate.member(eval, &reader, defaults, number, world) else { continue };
            if let Some(other) = cast.names.get(&member.id.machine) {
                let draft =
                    Draft::new(value.at, format!("two machines are called `{}`", member.id.machine)).label("again");
                let help = "rename one of them; machines of a group are called by its name and a number";
                eval.cx.report(draft.help(help).also(places.get(*other).copied().unwrap_or(value.at), "the other one"));
                continue;
            }
            claims.host(eval.cx, &member.id, &member.hostname, host_at);
            cast.names.insert(member.id.machine.clone(), cast.members.len());
            cast.members.push(member);
            places.push(value.at);
        }
        eval.cx.repeating = false;
        let phantom = (count == 0).then(|| candidate.member(eval, &reader, defaults, 1, world)).flatten();
        cast.vacant.extend(phantom.as_ref().and_then(|(member, _)| member.role.clone()));
        let members = start..cast.members.len();
        cast.groups.insert(group, Group { counted, members: members.clone() });
        seats.push(Seat { reader, members, phantom: phantom.map(|(member, _)| member), at: value.at });
    }
    (cast, seats)
}

/// The number of machines, after what `rig scale` says.
fn scaled(eval: &mut Eval<'_, '_>, topology: &Name, group: &Name, count: Option<u32>, world: &World<'_>) -> u32 {
    match (count, world.counts.get(&(topology.clone(), group.clone())).copied()) {
        (Some(_), Some(given)) if i128::from(given) > MOST => {
            let message = format!("cannot scale {topology}/{group} to {given} machines");
            eval.cx.report(Draft::nowhere(message).help(format!("a group has at most {MOST}")));
            1
        }
        (None, Some(_)) => {
            let help = format!("give it a count to begin with: `machine \"{group}\" count=1`");
            eval.cx.report(
                Draft::nowhere(format!("cannot scale {topology}/{group}: it is one machine without a `count`"))
                    .help(help),
            );
            1
        }
        (count, given) => given.or(count).unwrap_or(1),
    }
}

/// A group whose machines are made.
struct Candidate<'a> {
    topology: &'a Name,
    group: &'a Name,
    counted: bool,
    count: u32,
    at: At,
}

impl Candidate<'_> {
    /// One machine, and where its host name stands.
    fn member(
        &self,
        eval: &mut Eval<'_, '_>,
        reader: &Reader<'_>,
        defaults: Option<&Reader<'_>>,
        number: u32,
        world: &World<'_>,
    ) -> Option<(Member, At)> {
        let index = self.counted.then_some(number);
        let name = match index {
            None => self.group.clone(),
            Some(index) => match Name::new(format!("{}{index}", self.group)) {
                Ok(name) => name,
                Err(error) => {
                    eval.wrong(self.at, error.to_string(), "the number of each machine is added to this name");
                    return None;
                }
            },
        };
        let me = Me::Early { name: &name, index, count: self.count, role: None };
        let mut early = Eval { cx: &mut *eval.cx, scope: crate::scope::Scope { me: Some(me), ..eval.scope } };
        let role = reader.again().prop("role").and_then(|value| early.word(value, "role"));
        early.scope.me = Some(Me::Early { name: &name, index, count: self.count, role: role.as_deref() });

        let mut own = reader.again().block;
        let mut common = defaults.map(|defaults| defaults.again().block);
        let near = Basics::read(&mut early, &mut own, world);
        let far = common.as_mut().map(|block| Basics::read(&mut early, block, world)).unwrap_or_default();
        // The nearest node decides: a machine's flavor stands in for the default one altogether.
        let mut all = limits::over(near.limits, near.flavor_limits);
        all = limits::over(all, far.limits);
        if near.flavor.is_none() {
            all = limits::over(all, far.flavor_limits);
        }
        let host = near.hostname.or(far.hostname);
        let host_at = host.as_ref().map_or(self.at, |host| host.at);
        let hostname = host.map_or_else(|| name.to_string(), |host| host.value);
        let member = Member {
            id: MachineId::new(self.topology.clone(), name),
            group: self.group.clone(),
            index,
            count: self.count,
            role,
            hostname,
            limits: all,
            flavor: near.flavor.or(far.flavor),
        };
        Some((member, host_at))
    }
}

/// What of a body is read before everything else.
#[derive(Default)]
struct Basics {
    hostname: Option<Spotted<String>>,
    flavor: Option<Name>,
    flavor_limits: Limits,
    limits: Limits,
}

impl Basics {
    fn read(eval: &mut Eval<'_, '_>, block: &mut Block<'_>, world: &World<'_>) -> Self {
        let hostname = block.one(eval.cx, "hostname");
        let hostname = eval.only_value(hostname, "a host name", |eval, value| {
            let text = eval.word(value, "hostname")?;
            if !is_hostname(&text) {
                let help = format!(
                    "letters, digits and hyphens in parts that dots separate, at most {LONGEST_HOST} characters"
                );
                eval.wrong(value.at, format!("{text:?} is not a host name"), help);
                return None;
            }
            Some(Spotted { value: text, at: value.at })
        });
        let flavor = block.one(eval.cx, "flavor");
        let flavor = eval.only_value(flavor, "a flavor's name", |eval, value| {
            let text = eval.word(value, "flavor")?;
            world.flavors.refer(eval.cx, &text, value.at).cloned()
        });
        let flavor_limits =
            flavor.as_ref().and_then(|name| world.flavors.get(name.as_str())).copied().unwrap_or_default();
        let limits = block.one(eval.cx, "limits").map(|node| limits::read(eval, node)).unwrap_or_default();
        Self { hostname, flavor, flavor_limits, limits }
    }
}

/// Whether a text is a host name by RFC 1123, short enough for Linux.
fn is_hostname(text: &str) -> bool {
    let part = |part: &str| {
        !part.is_empty()
            && !part.starts_with('-')
            && !part.ends_with('-')
            && part.chars().all(|c| c.is_ascii_alphanumeric() || c == '-')
    };
    text.len() <= LONGEST_HOST && text.split('.').all(part)
}

#[cfg(test)]
mod tests {
    use super::is_hostname;

    #[test]
    fn host_names_follow_the_rfc() {
        for good in ["a", "scale1.docker", "Node-1", "10-0-0-1.lab"] {
            assert!(is_hostname(good), "{good}");
        }
        for bad in ["", ".", "a.", "-a", "a-", "a_b", "a b", "ä", &"a".repeat(64)] {
            assert!(!is_hostname(bad), "{bad}");
        }
    }
}
