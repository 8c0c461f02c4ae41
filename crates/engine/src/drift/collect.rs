//! Finding out what is in a machine.

use super::inside::Inside;
use crate::{Access, EngineError, Output};
use bytes::Bytes;
use rig_drift::{Classifier, File, Kind, Manifest, parse};
use rig_model::{DriftClass, MachineSpec};
use rig_provider_api::{Changes, Context, PathChangeKind};
use std::collections::{BTreeMap, BTreeSet};

/// Up to this size, in bytes, a file's content is hashed; of a larger one size and time must do. Configuration, scripts and
/// most programs are smaller; hashing all of an installed Spark would take longer than the look itself.
const HASHED: u64 = 256 << 10;

/// Ends the names of a list.
const NUL: u8 = 0;

/// Prints what is installed: name and version, one package in each line.
pub(crate) const PACKAGES: &str = r#"
if command -v dpkg-query >/dev/null 2>&1; then
    # Removed packages that left their configuration are known to it as well.
    dpkg-query -W -f '${db:Status-Status} ${binary:Package} ${Version}\n' | sed -n 's/^installed //p'
elif command -v rpm >/dev/null 2>&1; then rpm -qa --qf '%{NAME} %{VERSION}-%{RELEASE}\n'
elif [ -f /lib/apk/db/installed ]; then
    while IFS=: read -r key value; do
        case $key in P) name=$value ;; V) printf '%s %s\n' "$name" "$value" ;; esac
    done </lib/apk/db/installed
fi
"#;

/// Prints what runs and listens, each part behind a NUL. Both are told by the kernel, for `ps` and `ss` are in few boxes. Threads
/// of the kernel itself, which come and go, have no memory.
const RUNNING: &str = r#"
printf '\0'
for folder in /proc/[0-9]*; do
    [ "${folder#/proc/}" != "$$" ] || continue
    name= user= memory=
    while read -r key value rest; do
        case $key in Name:) name=$value ;; Uid:) user=$value ;; VmSize:) memory=$value; break ;; esac
    done 2>/dev/null <"$folder/status"
    [ -z "$memory" ] || printf '%s %s\n' "$user" "$name"
done
printf '\0'
cat /proc/net/tcp /proc/net/tcp6 2>/dev/null || true
"#;

/// Prints pairs of a link and what it names, each ended with NUL.
/// GNU's `find` does it in one process, others take one for each link.
const LINKS: &str = r#"
exec 2>/dev/null
if find / -maxdepth 0 -printf ''; then xargs -0 -r sh -c 'exec find "$@" -maxdepth 0 -printf "%p\0%l\0"' sh
else xargs -0 -r sh -c 'for link; do printf "%s\0%s\0" "$link" "$(readlink "$link")"; done' sh; fi
"#;

/// Prints those of the given paths that are not there, each ended with NUL. Of a path behind a folder that may not be entered
/// nothing is said.
const ABSENT: &str = r#"
exec 2>/dev/null
xargs -0 -r sh -c 'for path; do
    [ -e "$path" ] || [ -L "$path" ] && continue
    folder=${path%/*}
    while [ -n "$folder" ] && ! [ -d "$folder" ]; do folder=${folder%/*}; done
    [ -x "${folder:-/}" ] && printf "%s\0" "$path"
done' sh
"#;

/// A look into a machine.
pub(crate) struct Look<'a> {
    pub(super) cx: &'a Context,
    pub(super) inside: Inside<'a>,
    pub(crate) classifier: Classifier,
    changes: Option<&'a dyn Changes>,
    /// Where volumes, folders of the host and folders in memory are mounted: engines make these folders themselves.
    mounts: Vec<&'a str>,
    /// What was last changed before this second, counted from 1970, is what the previous look saw.
    trusted: i64,
    /// Up to this size, in bytes, a file's content is hashed.
    hashed: u64,
}

impl<'a> Look<'a> {
    /// Enters a machine. What was last changed before the second `trusted` of the clock, counted from 1970, is what a
    /// previous look saw.
    pub(crate) async fn enter(
        cx: &'a Context,
        access: &'a Access,
        machine: &'a MachineSpec,
        trusted: i64,
    ) -> Result<Self, EngineError> {
        Ok(Self {
            cx,
            inside: Inside::enter(cx, access, machine).await?,
            classifier: classifier(machine)?,
            changes: access.provider(&machine.id)?.changes(),
            mounts: mounts(machine),
            trusted,
            hashed: HASHED,
        })
    }

    /// The same at everything that is in the machine, to the last byte: not only at what is otherwise than in its box.
    pub(crate) fn whole(self) -> Self {
        Self { changes: None, hashed: u64::MAX, ..self }
    }

    /// Everything that is in the machine. What `previous` knows of files that nobody touched since is taken from there.
    pub(crate) async fn manifest(&self, previous: &Manifest) -> Result<Manifest, EngineError> {
        let mut manifest = match self.changes {
            Some(changes) => self.changed(changes).await?,
            None => self.everything().await?,
        };
        self.contents(&mut manifest, previous).await?;
        self.facts(&mut manifest).await?;
        Ok(manifest)
    }

    /// What the provider says is otherwise than in the box.
    async fn changed(&self, changes: &dyn Changes) -> Result<Manifest, EngineError> {
        let mut manifest = Manifest::default();
        let mut in_box = BTreeMap::new();
        for change in changes.changes(self.cx, &self.inside.machine).await? {
            // Ignored paths need no look at all.
            if self.classifier.class(&change.path).is_none() || self.leads_to_a_mount(&change.path) {
                continue;
            }
            match change.kind {
                PathChangeKind::Removed => _ = manifest.removed.insert(change.path),
                kind => _ = in_box.insert(change.path, kind == PathChangeKind::Modified),
            }
        }
        if in_box.is_empty() {
            return Ok(manifest);
        }
        let mut answers = self.stat(in_box.keys()).await?;
        // Only what was asked for: names of files may look like answers.
        let answered = |(path, in_box): (String, bool)| {
            let file = answers.remove(&path).unwrap_or_else(File::unknown);
            (path, File { in_box, ..file })
        };
        manifest.files = in_box.into_iter().map(answered).collect();
        self.leave_out_absent(&mut manifest).await?;
        let silent = manifest.files.values().filter(|file| file.kind == Kind::Unknown).count();
        if silent > 0 {
            let text = format!(
                "what {silent} of its changed paths are could not be found out: it needs stat and xargs, and root may need to look into every folder"
            );
            manifest.gaps.insert(text);
        }
        Ok(manifest)
    }

    /// Paths that went between the provider's answer and the machine's, or that no snapshot keeps.
    async fn leave_out_absent(&self, manifest: &mut Manifest) -> Result<(), EngineError> {
        let silent = manifest.files.iter().filter(|(_, file)| file.kind == Kind::Unknown).map(|(path, _)| path);
        let silent: Vec<&String> = silent.collect();
        if silent.is_empty() {
            return Ok(());
        }
        let output = self.inside.run(self.cx, ABSENT, list(silent)).await?;
        for path in text(&output).split_terminator('\0') {
            // Only what was asked for.
            if manifest.files.get(path).is_some_and(|file| file.kind == Kind::Unknown)
                && let Some(file) = manifest.files.remove(path)
                && file.in_box
            {
                manifest.removed.insert(path.to_owned());
            }
        }
        Ok(())
    }

    /// What the machine says of these paths.
    pub(super) async fn stat(
        &self,
        paths: impl IntoIterator<Item = &String>,
    ) -> Result<BTreeMap<String, File>, EngineError> {
        let program = format!("xargs -0 -r stat -c '{}' -- 2>/dev/null", parse::STAT);
        let output = self.inside.run(self.cx, &program, list(paths)).await?;
        Ok(parse::files(&text(&output)))
    }

    /// Whether a path is a place where something is mounted, or a folder on the way to one.
    fn leads_to_a_mount(&self, path: &str) -> bool {
        self.mounts
            .iter()
            .any(|mount| mount.strip_prefix(path).is_some_and(|rest| rest.is_empty() || rest.starts_with('/')))
    }

    /// All that is in the machine's root file system.
    async fn everything(&self) -> Result<Manifest, EngineError> {
        let program = format!(
            "find / -xdev \\( -path /proc -o -path /sys -o -path /dev \\) -prune -o -exec stat -c '{}' -- {{}} + 2>/dev/null",
            parse::STAT
        );
        let output = self.inside.run(self.cx, &program, Bytes::new()).await?;
        let mut files = parse::files(&text(&output));
        if files.is_empty() {
            return Err(EngineError::Host {
                doing: format!("listing the files of machine {}", self.inside.machine),
                why: "it has no find or no stat".to_owned(),
            });
        }
        files.retain(|path, _| self.classifier.class(path).is_some());
        Ok(Manifest { files, ..Manifest::default() })
    }

    /// Hashes of what people want to know the content of, and what links name.
    async fn contents(&self, manifest: &mut Manifest, previous: &Manifest) -> Result<(), EngineError> {
        let (mut files, mut links) = (Vec::new(), Vec::new());
        for (path, file) in &mut manifest.files {
            // The kernel's times are told in whole seconds: what was written in the second of the last look, or later, may
            // have been written again in it.
            let old = previous.files.get(path).filter(|old| untouched(old, file) && old.changed < self.trusted);
            if let Some(old) = old.filter(|old| old.sha256.is_some() || old.target.is_some()) {
                file.sha256.clone_from(&old.sha256);
                file.target.clone_from(&old.target);
                continue;
            }
            let matters = matches!(
                self.classifier.class(path),
                Some(DriftClass::Configuration | DriftClass::Program | DriftClass::State)
            );
            match file.kind {
                Kind::File if matters && file.size <= self.hashed => files.push(path.clone()),
                Kind::Link => links.push(path.clone()),
                _ => {}
            }
        }
        if !files.is_empty() {
            let output = self.inside.run(self.cx, "xargs -0 -r sha256sum -- 2>/dev/null", list(&files)).await?;
            for (path, sum) in parse::sums(&text(&output)) {
                if let Some(file) = manifest.files.get_mut(&path).filter(|file| file.kind == Kind::File) {
                    file.sha256 = Some(sum);
                }
            }
            if files.iter().all(|path| manifest.files.get(path).is_none_or(|file| file.sha256.is_none())) {
                let text = "it has no sha256sum: of contents only size and time are compared";
                manifest.gaps.insert(text.to_owned());
            }
        }
        if !links.is_empty() {
            let output = self.inside.run(self.cx, LINKS, list(&links)).await?;
            for (path, target) in parse::links(&text(&output)) {
                if let Some(file) = manifest.files.get_mut(&path) {
                    file.target = Some(target);
                }
            }
        }
        Ok(())
    }

    /// Packages, processes, listeners.
    async fn facts(&self, manifest: &mut Manifest) -> Result<(), EngineError> {
        let output = self.inside.run(self.cx, &format!("{PACKAGES}{RUNNING}"), Bytes::new()).await?;
        let text = text(&output);
        let mut parts = text.split('\0');
        let mut part = || parts.next().unwrap_or_default();
        let (packages, processes, listeners) = (part(), part(), part());
        if processes.is_empty() {
            manifest.gaps.insert("its processes, listeners and packages could not be listed".to_owned());
            return Ok(());
        }
        let packages = parse::packages(packages);
        manifest.packages = (!packages.is_empty()).then_some(packages);
        manifest.processes = Some(parse::processes(processes));
        manifest.listeners = Some(parse::listeners(listeners));
        Ok(())
    }
}

/// What decides what a machine's paths are for.
fn classifier(machine: &MachineSpec) -> Result<Classifier, EngineError> {
    let volumes = machine.volumes.iter().map(|volume| volume.target.as_str());
    Classifier::new(&machine.drift, volumes).map_err(|error| EngineError::Host {
        doing: format!("classifying paths of machine {}", machine.id),
        why: error.to_string(),
    })
}

/// Where something is mounted in a machine.
fn mounts(machine: &MachineSpec) -> Vec<&str> {
    let volumes = machine.volumes.iter().map(|mount| mount.target.as_str());
    let syncs = machine.syncs.iter().map(|mount| mount.target.as_str());
    let memory = machine.tmpfs.iter().map(|mount| mount.target.as_str());
    volumes.chain(syncs).chain(memory).map(|target| target.trim_end_matches('/')).collect()
}

/// Nothing about a file changes without the kernel's noting the time.
fn untouched(old: &File, new: &File) -> bool {
    (old.kind, old.size, old.modified, old.changed) == (new.kind, new.size, new.modified, new.changed)
}

/// Names for `xargs -0`.
pub(super) fn list<'a>(paths: impl IntoIterator<Item = &'a String>) -> Bytes {
    let mut bytes = Vec::new();
    for path in paths.into_iter().collect::<BTreeSet<_>>() {
        bytes.extend_from_slice(path.as_bytes());
        bytes.push(NUL);
    }
    bytes.into()
}

fn text(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned()
}
