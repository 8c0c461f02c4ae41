//! What was in a machine when `up` had provisioned it.

use super::{
    collect::{Look, list},
    report::Since,
};
use crate::{Access, EngineError, EventSink, Session, provision::blocking};
use futures_util::{StreamExt, stream};
use jiff::Timestamp;
use rig_drift::{File, Kind, Manifest};
use rig_model::{Digest, DriftClass, Event, MachineId, MachineSpec, MachineState, ObservedMachine, StepKind};
use rig_provider_api::Context;
use rig_state::{Baseline, Layout, SnapshotRecord};
use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

/// How long a look into one machine may take.
pub(super) const LOOK: Duration = Duration::from_secs(120);

/// How many machines are looked into at the same time.
pub(super) const AT_ONCE: usize = 8;

/// What takes longer is told.
const QUIET: Duration = Duration::from_secs(1);

/// Up to this size, in bytes, the text of a configuration file is kept.
const KEPT: u64 = 64 << 10;

/// Of so many files at most: a machine whose configuration is larger is no machine that people read the differences of.
const TEXTS: usize = 1000;

/// Others may read it.
const READABLE: u32 = 0o004;

/// Others may enter it.
const ENTERABLE: u32 = 0o001;

/// Keeps what is in machines that steps were run in, so that what changes later can be told from what was installed. An
/// immutable machine needs no such thing: it has to be what its box is. A machine that cannot be looked into is told as a
/// note; what was kept of it before went with its first step.
pub async fn record_baselines(
    cx: &Context,
    session: &Session,
    layout: &Layout,
    provisioned: &BTreeSet<MachineId>,
    sink: &dyn EventSink,
) {
    let access = session.access.as_ref();
    let machines = session.workspace.machines().filter(|machine| provisioned.contains(&machine.id));
    let records = machines.map(|machine| async {
        match record(cx, access, layout, machine).await {
            Err(error) if !error.is_cancelled() => {
                let text = format!("machine {}: `rig drift` will not know what it was: {error}", machine.id);
                sink.emit(Event::Note { text });
            }
            _ => {}
        }
    });
    let mut all = std::pin::pin!(stream::iter(records).buffer_unordered(AT_ONCE).collect::<()>());
    if tokio::time::timeout(QUIET, &mut all).await.is_err() {
        sink.emit(Event::Note { text: "noting what was installed, for `rig drift`".to_owned() });
        all.await;
    }
}

async fn record(cx: &Context, access: &Access, layout: &Layout, machine: &MachineSpec) -> Result<(), EngineError> {
    let Some(baseline) = look_into(cx, access, machine).await? else { return Ok(()) };
    let (layout, id) = (layout.clone(), machine.id.clone());
    blocking(move || baseline.save(&layout, &id)).await
}

/// What is in a machine now; `None` when it does not run.
pub(crate) async fn look_into(
    cx: &Context,
    access: &Access,
    machine: &MachineSpec,
) -> Result<Option<Baseline>, EngineError> {
    let cx = &cx.within(LOOK);
    let reference = access.reference(&machine.id);
    let seen = access.provider(&machine.id)?.inspect(cx, &reference).await?;
    let Some(seen) = seen.filter(|seen| seen.state == MachineState::Running) else { return Ok(None) };
    let look = Look::enter(cx, access, machine, 0).await?;
    let taken = Timestamp::now();
    let manifest = look.manifest(&Manifest::default()).await?;
    let texts = texts(&look, machine, &manifest).await?;
    Ok(Some(Baseline { native: seen.native, taken, manifest, texts }))
}

/// What is kept of a machine from the moment that it is compared with. Nothing for its box.
pub(super) async fn load(
    layout: &Layout,
    seen: &ObservedMachine,
    since: &Since,
) -> Result<Option<Baseline>, EngineError> {
    let (layout, machine) = (layout.clone(), seen.id.clone());
    match since {
        Since::Box => Ok(None),
        Since::Up => {
            let baseline = blocking(move || Baseline::load(&layout, &machine)).await?;
            Ok(baseline.filter(|baseline| baseline.native == seen.native))
        }
        Since::Snapshot(name) => {
            let snapshot = name.clone();
            let record = blocking(move || SnapshotRecord::load(&layout, &machine, &snapshot)).await?;
            let unknown = |why| EngineError::Host {
                doing: format!("comparing machine {} with snapshot {name}", seen.id),
                why: String::from(why),
            };
            let record =
                record.ok_or_else(|| unknown("no such snapshot of it was taken here, see `rig snapshot list`"))?;
            if record.image != seen.image {
                return Err(unknown("it has another box since, and nothing in it is what it was"));
            }
            let contents = record.contents;
            contents.map(Some).ok_or_else(|| unknown("it did not run then, or could not be looked into"))
        }
    }
}

/// The texts of configuration files that anybody in the machine may read. What rig rendered of a template is none of them:
/// the values in it may be secret, whoever may read it there.
async fn texts(
    look: &Look<'_>,
    machine: &MachineSpec,
    manifest: &Manifest,
) -> Result<BTreeMap<String, String>, EngineError> {
    let rendered: BTreeSet<&str> = machine
        .steps
        .iter()
        .filter_map(|step| match &step.kind {
            StepKind::Template { target, .. } => Some(target.as_str()),
            _ => None,
        })
        .collect();
    let wanted = manifest.files.iter().filter(|(path, file)| {
        file.kind == Kind::File
            && file.size <= KEPT
            && file.mode & READABLE != 0
            && look.classifier.class(path) == Some(DriftClass::Configuration)
            && !rendered.contains(path.as_str())
    });
    let mut files: BTreeMap<&String, &File> = wanted.take(TEXTS).collect();
    // A folder that not everybody may enter hides what is in it.
    let folders: BTreeSet<String> = files.keys().flat_map(|path| folders_of(path)).map(str::to_owned).collect();
    let closed: BTreeSet<String> = look
        .stat(&folders)
        .await?
        .into_iter()
        .filter(|(_, folder)| folder.kind != Kind::Folder || folder.mode & ENTERABLE == 0)
        .map(|(path, _)| path)
        .collect();
    files.retain(|path, _| folders_of(path).all(|folder| !closed.contains(folder)));
    if files.is_empty() {
        return Ok(BTreeMap::new());
    }
    let output = look.inside.run(look.cx, "xargs -0 -r cat -- 2>/dev/null", list(files.keys().copied())).await?;
    Ok(contents(&output.stdout, files))
}

/// The folders that lead to a path, from the inside out.
fn folders_of(path: &str) -> impl Iterator<Item = &str> {
    std::iter::successors(path.rsplit_once('/').map(|(folder, _)| folder), |folder| {
        folder.rsplit_once('/').map(|(outer, _)| outer)
    })
    .filter(|folder| !folder.is_empty())
}

/// Cuts the contents of files that stand one behind the other. A file that was written meanwhile is not the one that the
/// manifest knows: its hash says so, and those of the ones behind it.
fn contents<'a>(mut bytes: &[u8], files: BTreeMap<&'a String, &'a File>) -> BTreeMap<String, String> {
    let mut texts = BTreeMap::new();
    for (path, file) in files {
        let size = usize::try_from(file.size).unwrap_or(usize::MAX);
        let Some((content, rest)) = bytes.split_at_checked(size) else { break };
        bytes = rest;
        if file.sha256.as_ref() == Some(&Digest::of(content))
            && let Ok(text) = std::str::from_utf8(content)
        {
            texts.insert(path.clone(), text.to_owned());
        }
    }
    texts
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn contents_are_cut_and_checked() {
        let file = |content: &str| File {
            size: content.len() as u64,
            sha256: Some(Digest::of(content.as_bytes())),
            ..File::unknown()
        };
        let paths = ["/a", "/b", "/c", "/d"].map(str::to_owned);
        let known = [file("one\n"), file(""), file("three"), file("four")];
        let files = || paths.iter().zip(&known).collect();
        let names = |texts: BTreeMap<String, String>| texts.into_keys().collect::<Vec<_>>();
        assert_eq!(names(contents(b"one\nthreefour", files())), ["/a", "/b", "/c", "/d"]);
        assert_eq!(names(contents(b"one\nTHREEfour", files())), ["/a", "/b", "/d"]);
        assert_eq!(names(contents(b"one\nthree!four", files())), ["/a", "/b", "/c"]);
        assert_eq!(names(contents(b"one", files())), Vec::<String>::new());
    }

    #[test]
    fn folders_lead_to_a_path() {
        assert_eq!(folders_of("/etc/a/b.conf").collect::<Vec<_>>(), ["/etc/a", "/etc"]);
        assert_eq!(folders_of("/x").count(), 0);
    }
}
