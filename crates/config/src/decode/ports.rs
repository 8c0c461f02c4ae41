//! `port`: what of a machine the host shows.

use super::{body::Body, only::is_meant};
use crate::{
    context::{Draft, Spotted},
    eval::Eval,
    reader::{Block, Reader},
};
use rig_model::{PortSpec, Protocol, RequestedPort};
use std::net::{IpAddr, Ipv4Addr};

const PORTS: std::ops::RangeInclusive<i128> = 1..=65_535;
const PROTOCOLS: [(&str, Protocol); 2] = [("tcp", Protocol::Tcp), ("udp", Protocol::Udp)];

/// The ports of a body that are meant for this machine.
pub(crate) fn read(eval: &mut Eval<'_, '_>, block: &mut Block<'_>, index: Option<u32>, body: &mut Body) {
    for node in block.all("port") {
        let at = node.at();
        let Some(port) = one(eval, node, index) else { continue };
        let same = |other: &&Spotted<PortSpec>| key(&other.value) == key(&port);
        if let Some(other) = body.ports.iter().find(same) {
            let draft =
                Draft::new(at, format!("port {}/{} is published twice", port.guest, port.protocol)).label("again");
            eval.cx.report(draft.help("keep one of them").also(other.at, "first published here"));
            continue;
        }
        body.ports.push(Spotted { value: port, at });
    }
}

/// What makes a port one port when a machine's body is laid over the defaults.
pub(crate) fn key(port: &PortSpec) -> (u16, Protocol) {
    (port.guest, port.protocol)
}

fn one(eval: &mut Eval<'_, '_>, mut node: Reader<'_>, index: Option<u32>) -> Option<PortSpec> {
    let at = node.at();
    let guest = node.arg(eval.cx, "a port's number");
    let host = node.prop("host");
    let bind = node.prop("bind");
    let protocol = node.prop("protocol");
    let is_meant = is_meant(eval, &mut node, index);
    node.finish(eval.cx);

    let guest = guest.and_then(|value| eval.integer(value, "port", PORTS));
    let host = match host {
        None => guest.map(RequestedPort::Fixed),
        Some(value) if value.as_str() == Some("auto") => Some(RequestedPort::Auto),
        Some(value) if value.as_str().is_some_and(|text| !text.contains('{')) => {
            eval.wrong_type(value, "host", "a port's number or \"auto\"");
            None
        }
        Some(value) => eval.integer(value, "host", PORTS).map(RequestedPort::Fixed),
    };
    let bind = match bind {
        None => Some(IpAddr::V4(Ipv4Addr::LOCALHOST)),
        Some(value) => {
            let text = eval.word(value, "bind")?;
            let parsed = text.parse().ok();
            if parsed.is_none() {
                let help = "127.0.0.1 is this host alone, 0.0.0.0 whoever reaches it";
                eval.wrong(value.at, format!("{text:?} is not an address of the host"), help);
            }
            parsed
        }
    };
    let protocol = protocol.map_or(Some(Protocol::Tcp), |value| eval.choice(value, "protocol", &PROTOCOLS));
    if !is_meant {
        return None;
    }
    Some(PortSpec { guest: guest?, host: host?, bind: bind?, protocol: protocol?, origin: eval.cx.origin(at) })
}
