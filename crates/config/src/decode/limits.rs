//! `flavor` and `limits`: what a machine may use.

use super::declared::Declared;
use crate::{eval::Eval, reader::Reader};
use rig_model::Limits;

/// The most processes that Linux counts on 64 bits.
const MOST_PIDS: i128 = 1 << 22;

/// All flavors of the file.
pub(crate) fn flavors(eval: &mut Eval<'_, '_>, nodes: Vec<Reader<'_>>) -> Declared<Limits> {
    let mut flavors = Declared::new("flavor");
    for mut reader in nodes {
        let name = reader.arg(eval.cx, "a name");
        let name = name.and_then(|value| Some((eval.name(value, "flavor")?, value.at)));
        let limits = read(eval, reader);
        if let Some((name, at)) = name {
            flavors.declare(eval.cx, name, at, Some(limits));
        }
    }
    flavors
}

/// The limits that a node's properties give.
pub(crate) fn read(eval: &mut Eval<'_, '_>, mut reader: Reader<'_>) -> Limits {
    let cpus = reader.prop("cpus").and_then(|value| eval.cpus(value, "cpus"));
    let memory = reader.prop("memory").and_then(|value| eval.bytes(value, "memory"));
    let pids = reader.prop("pids").and_then(|value| eval.integer(value, "pids", 1..=MOST_PIDS));
    reader.finish(eval.cx);
    Limits { cpus, memory, pids }
}

/// Every limit of `near`, and where it has none that of `far`.
pub(crate) fn over(near: Limits, far: Limits) -> Limits {
    Limits { cpus: near.cpus.or(far.cpus), memory: near.memory.or(far.memory), pids: near.pids.or(far.pids) }
}
