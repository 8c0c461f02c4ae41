//! `volume`, `sync` and `tmpfs`: folders of a machine that are not its box's.

use super::body::Body;
use crate::{
    SourceKind, Sources,
    context::{Context, Draft, Spotted},
    eval::Eval,
    reader::{Block, Value},
};
use camino::Utf8Path;
use rig_model::{SyncSpec, TmpfsSpec, VolumeSpec};

/// The highest user number; the one above stands for "no one".
const MOST_UID: i128 = u32::MAX as i128 - 1;

/// All mounts of a body.
pub(crate) fn read(eval: &mut Eval<'_, '_>, block: &mut Block<'_>, sources: &dyn Sources, body: &mut Body) {
    for mut node in block.all("volume") {
        let at = node.at();
        let name = node.arg(eval.cx, "a name").and_then(|value| eval.name(value, "volume"));
        let target = node.arg(eval.cx, "a folder in the machine").and_then(|value| target(eval, value));
        node.finish(eval.cx);
        if let (Some(name), Some(target)) = (name, target) {
            body.volumes.push(Spotted { value: VolumeSpec { name, target }, at });
        }
    }
    for mut node in block.all("sync") {
        let at = node.at();
        let source = node.arg(eval.cx, "a folder of the host").and_then(|value| source(eval, value, sources));
        let target = node.arg(eval.cx, "a folder in the machine").and_then(|value| target(eval, value));
        let writable = node.prop("writable").and_then(|value| eval.boolean(value, "writable")).unwrap_or(false);
        node.finish(eval.cx);
        if let (Some(source), Some(target)) = (source, target) {
            let origin = eval.cx.origin(at);
            body.syncs.push(Spotted { value: SyncSpec { source, target, writable, origin }, at });
        }
    }
    for mut node in block.all("tmpfs") {
        let at = node.at();
        let target = node.arg(eval.cx, "a folder in the machine").and_then(|value| target(eval, value));
        let size = node.prop("size").and_then(|value| eval.bytes(value, "size"));
        let mode = node.prop("mode").and_then(|value| mode(eval, value));
        let uid = node.prop("uid").and_then(|value| eval.integer(value, "uid", 0..=MOST_UID));
        let exec = node.prop("exec").and_then(|value| eval.boolean(value, "exec")).unwrap_or(false);
        node.finish(eval.cx);
        if let Some(target) = target {
            body.tmpfs.push(Spotted { value: TmpfsSpec { target, size, mode, uid, exec }, at });
        }
    }
}

fn source(eval: &mut Eval<'_, '_>, value: Value<'_>, sources: &dyn Sources) -> Option<String> {
    let text = eval.word(value, "sync")?;
    match sources.kind(Utf8Path::new(&text)) {
        Some(SourceKind::Folder) => {}
        Some(SourceKind::File) => eval.wrong(value.at, format!("{text} is a file"), "name the folder that holds it"),
        None => {
            eval.wrong(value.at, format!("there is no folder {text}"), "the path is relative to the workspace file");
        }
    }
    Some(text)
}

/// A path inside a machine. Machines are Linux whatever the host is, so this is text, not a path of the host.
pub(super) fn target(eval: &mut Eval<'_, '_>, value: Value<'_>) -> Option<String> {
    let text = eval.word(value, "target")?;
    let parts = || text.split('/').filter(|part| !part.is_empty());
    if !text.starts_with('/') {
        eval.wrong(value.at, format!("{text:?} is not an absolute path"), format!("did you mean \"/{text}\"?"));
    } else if parts().any(|part| matches!(part, "." | "..")) {
        eval.wrong(value.at, format!("{text:?} has `.` or `..` in it"), "write the path without them");
    } else if parts().next().is_none() {
        eval.wrong(value.at, "nothing can be mounted over the whole machine", "name a folder: \"/data\"");
    } else if text.contains([':', ',', '\0', '\n']) {
        eval.wrong(
            value.at,
            format!("{text:?} holds a character that mounts cannot have"),
            "choose a path without `:` and `,`",
        );
    } else {
        return Some(parts().fold(String::new(), |path, part| path + "/" + part));
    }
    None
}

pub(super) fn mode(eval: &mut Eval<'_, '_>, value: Value<'_>) -> Option<String> {
    let text = eval.word(value, "mode")?;
    let fine = (3..=4).contains(&text.len()) && text.bytes().all(|byte| (b'0'..=b'7').contains(&byte));
    if !fine {
        eval.wrong(
            value.at,
            format!("{text:?} is not a file mode"),
            "write three or four octal digits in quotes: \"1777\"",
        );
    }
    fine.then_some(text)
}

/// Reports targets and volumes that a body has twice.
pub(crate) fn no_doubles(cx: &mut Context, body: &Body) {
    let targets = body.mounts();
    let volumes = body.volumes.iter().map(|volume| (volume.value.name.as_str(), volume.at));
    for (index, (target, at)) in targets.iter().enumerate() {
        if let Some((_, first)) = targets[..index].iter().find(|(other, _)| other == target) {
            let draft = Draft::new(*at, format!("{target} is mounted twice")).label("again").help("keep one of them");
            cx.report(draft.also(*first, "first mounted here"));
        }
    }
    let volumes: Vec<_> = volumes.collect();
    for (index, (name, at)) in volumes.iter().enumerate() {
        if let Some((_, first)) = volumes[..index].iter().find(|(other, _)| other == name) {
            let draft = Draft::new(*at, format!("volume `{name}` is mounted twice")).label("again");
            cx.report(draft.help("a machine's volumes need names of their own").also(*first, "first mounted here"));
        }
    }
}
