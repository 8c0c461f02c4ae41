//! `only` and `except`: nodes that are for some machines of a group.

use crate::{eval::Eval, reader::Reader};

/// Whether `only` and `except` let the node be for this machine.
pub(super) fn is_meant(eval: &mut Eval<'_, '_>, node: &mut Reader<'_>, index: Option<u32>) -> bool {
    let mut is_meant = true;
    for (name, wanted) in [("only", true), ("except", false)] {
        let Some(value) = node.prop(name) else { continue };
        let Some(number) = eval.integer::<u32>(value, name, 1..=500) else { continue };
        let Some(index) = index else {
            let message = format!("`{name}` chooses a machine of a group, and this machine is none");
            eval.wrong(value.at, message, "remove it, or give the machine a `count`");
            continue;
        };
        is_meant &= (number == index) == wanted;
    }
    is_meant
}
