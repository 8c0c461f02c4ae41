//! Networks of a topology, and a machine's places on them.

use super::{body::Body, declared::Declared};
use crate::{
    context::{At, Draft, Spotted},
    eval::Eval,
    reader::{Block, Reader},
    validate::Claims,
};
use ipnet::Ipv4Net;
use rig_model::{Attachment, Name, NetworkSpec};

/// The network of a topology that declares none.
const DEFAULT: &str = "default";

/// The networks that a topology declares, or the one that it has without.
pub(crate) fn declared(
    eval: &mut Eval<'_, '_>,
    nodes: Vec<Reader<'_>>,
    topology: Option<&Name>,
    at: At,
    claims: &mut Claims,
) -> Declared<NetworkSpec> {
    let mut networks = Declared::new("network");
    if nodes.is_empty()
        && let Ok(name) = Name::new(DEFAULT)
    {
        let spec = NetworkSpec { name: name.clone(), subnet: None, internal: false, origin: eval.cx.origin(at) };
        networks.declare(eval.cx, name, at, Some(spec));
        return networks;
    }
    for mut node in nodes {
        let node_at = node.at();
        let name = node.arg(eval.cx, "a name");
        let name = name.and_then(|value| Some((eval.name(value, "network")?, value.at)));
        let subnet = node.prop("subnet").and_then(|value| {
            let text = eval.word(value, "subnet")?;
            Some(Spotted { value: subnet(eval, &text, value.at)?, at: value.at })
        });
        let internal = node.prop("internal").and_then(|value| eval.boolean(value, "internal")).unwrap_or(false);
        node.finish(eval.cx);
        let Some((name, name_at)) = name else { continue };
        if let (Some(subnet), Some(topology)) = (&subnet, topology) {
            claims.subnet(eval.cx, topology, &name, subnet.value, subnet.at);
        }
        let subnet = subnet.map(|subnet| subnet.value);
        let spec = NetworkSpec { name: name.clone(), subnet, internal, origin: eval.cx.origin(node_at) };
        networks.declare(eval.cx, name, name_at, Some(spec));
    }
    networks
}

fn subnet(eval: &mut Eval<'_, '_>, text: &str, at: At) -> Option<Ipv4Net> {
    let Ok(net) = text.parse::<Ipv4Net>() else {
        eval.wrong(at, format!("{text:?} is not a range of IPv4 addresses"), "write it as \"10.8.0.0/24\"");
        return None;
    };
    if net.trunc() != net {
        let help = format!("did you mean \"{}\"?", net.trunc());
        eval.wrong(at, format!("{text} is an address inside a range, not the range"), help);
        return None;
    }
    // Two addresses besides the gateway's are the least that a network of machines is good for.
    if net.prefix_len() > 29 || net.prefix_len() < 8 {
        eval.wrong(
            at,
            format!("a network of the size /{} is no use here", net.prefix_len()),
            "choose a size from /8 to /29",
        );
        return None;
    }
    Some(net)
}

/// `network` and `ip` in a machine's body.
pub(crate) fn read(eval: &mut Eval<'_, '_>, block: &mut Block<'_>, networks: &Declared<NetworkSpec>, body: &mut Body) {
    for mut node in block.all("network") {
        let value = node.arg(eval.cx, "a network's name");
        let ip = node.prop("ip").and_then(|value| Some(Spotted { value: eval.ipv4(value, "ip")?, at: value.at }));
        node.finish(eval.cx);
        let Some(value) = value else { continue };
        let Some(text) = eval.word(value, "network") else { continue };
        let Some(network) = networks.refer(eval.cx, &text, value.at).cloned() else { continue };
        if body.networks.iter().any(|known| known.value.0 == network) {
            eval.wrong(value.at, format!("the machine is on network `{network}` twice"), "keep one of them");
            continue;
        }
        body.networks.push(Spotted { value: (network, ip), at: value.at });
    }
    let ip = block.one(eval.cx, "ip");
    body.ip =
        eval.only_value(ip, "an address", |eval, value| Some(Spotted { value: eval.ipv4(value, "ip")?, at: value.at }));
}

/// The places of a machine, with its addresses claimed.
pub(crate) fn attach(
    eval: &mut Eval<'_, '_>,
    who: &rig_model::MachineId,
    body: &mut Body,
    networks: &Declared<NetworkSpec>,
    claims: &mut Claims,
) -> Vec<Attachment> {
    let mut places = std::mem::take(&mut body.networks);
    if places.is_empty()
        && let Some((name, _)) = networks.iter().next()
        && let Some(at) = networks.at(name.as_str())
    {
        places.push(Spotted { value: (name.clone(), None), at });
    }
    if let (Some(first), Some(ip)) = (places.first_mut(), body.ip.take()) {
        if let Some(other) = &first.value.1 {
            let draft = Draft::new(ip.at, "the machine has an `ip` and its first network another one").label("again");
            eval.cx.report(draft.help("keep one of them").also(other.at, "the network's"));
        } else {
            first.value.1 = Some(ip);
        }
    }
    for place in &places {
        if let (Some(ip), Some(network)) = (&place.value.1, networks.get(place.value.0.as_str())) {
            claims.address(eval.cx, who, network, ip.value, ip.at);
        }
    }
    places
        .into_iter()
        .map(|place| Attachment { network: place.value.0, ip: place.value.1.map(|ip| ip.value) })
        .collect()
}
