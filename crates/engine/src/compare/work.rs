//! A topology comes up, works, and is taken away.

use super::{
    clock::{missing, value},
    facts::AT_ONCE,
    lab::LabError,
    life::{Life, Risen},
};
use crate::drift::{Inside, Look};
use bytes::Bytes as Input;
use futures_util::{StreamExt, TryStreamExt, stream};
use jiff::Timestamp;
use rig_compare::{
    Detail, Measured, catalogue, layers,
    surface::{self, DETAILS},
};
use rig_drift::{FileDrift, Manifest, compare};
use rig_model::{Bytes, DriftClass, MachineId, MachineSpec, ObservedMachine};
use std::{collections::BTreeMap, time::Duration};

/// Prints how much memory the machine used at its peak, in bytes, as its control group has it; of version 2 and of version 1.
const PEAK: &str =
    "cat /sys/fs/cgroup/memory.peak 2>/dev/null || cat /sys/fs/cgroup/memory/memory.max_usage_in_bytes 2>/dev/null";

/// The classes of paths that make a machine another one.
pub(super) const MATTERS: [DriftClass; 3] = [DriftClass::Program, DriftClass::Configuration, DriftClass::State];

impl Life<'_> {
    /// What the machines exposed when they had become ready.
    pub(super) fn surface(&self, risen: &Risen) -> Result<Vec<Measured>, LabError> {
        match &risen.found {
            Ok(found) => Ok(surface::values(&found.profiles)),
            Err(why) => Err(LabError::Failed(why.clone())),
        }
    }

    /// The first job, and the time until it was done.
    pub(super) async fn first_job(&mut self, risen: &Risen) -> Result<Vec<Measured>, LabError> {
        let name = self.setup.job.as_ref().ok_or_else(|| LabError::Failed("there is no job".to_owned()))?;
        // Looking takes time from what is looked at: it is done in one round of all.
        let result = if self.curious { self.watched(name).await? } else { self.check(name).await? };
        self.worked = true;
        let job = result.elapsed.as_secs_f64();
        let values = [value("first-job.done", risen.ready().as_secs_f64() + job), value("first-job.job", job)];
        Ok(values.into_iter().flatten().collect())
    }

    /// What changes while the checks run.
    pub(super) async fn drift(&self, risen: &Risen) -> Result<Vec<Measured>, LabError> {
        let before = risen.manifests.as_ref().map_err(|why| LabError::Failed(why.clone()))?;
        for name in &self.setup.checks {
            let done = self.worked && self.setup.job.as_ref() == Some(name);
            if !done {
                self.check(name).await?;
            }
        }
        let after = self.manifests(before).await?;
        let nothing = Manifest::default();
        let from_box: usize =
            after.iter().map(|taken| compare(&nothing, &taken.manifest, &taken.classifier).files.len()).sum();
        let mut details = Vec::new();
        let mut counts: BTreeMap<DriftClass, usize> = BTreeMap::new();
        for (machine, file) in changed(before, &after)? {
            *counts.entry(file.class).or_default() += 1;
            details.push(Detail::of_class(format!("{}:{}", machine.machine, file.path), file.class.to_string()));
        }
        let paths = details.len();
        // What matters most is kept when there are too many.
        details.sort_by_key(|detail| {
            catalogue::DRIFT_CLASSES.iter().position(|(word, _)| detail.class.as_deref() == Some(*word))
        });
        details.truncate(DETAILS);
        let mut values = vec![value("drift.paths", paths as f64).map(|value| value.with_details(details))];
        for (word, id) in catalogue::DRIFT_CLASSES {
            let count = counts.iter().find(|(class, _)| class.to_string() == word).map_or(0, |(_, count)| *count);
            values.push(value(id, count as f64));
        }
        values.push(value("drift.from-box", from_box as f64));
        Ok(values.into_iter().flatten().collect())
    }

    /// What it takes on disk.
    pub(super) async fn size(&self) -> Result<Vec<Measured>, LabError> {
        let machines = self.machines().await?;
        if let Err(why) = self.keeps_figures(&machines) {
            return Ok(without(&["size.image-bytes", "size.writable-bytes", "size.disk-bytes"], &why));
        }
        let disks = self.disks(&self.look(), &machines).await?;
        let is_known = |machine: &MachineId| disks.iter().any(|disk| disk.written.contains_key(machine));
        if let Some((_, seen)) = machines.iter().find(|(_, seen)| !is_known(&seen.id)) {
            return Err(LabError::Failed(format!("provider {} keeps no figures of disks", seen.provider)));
        }
        let images = disks.iter().flat_map(|disk| &disk.images);
        let layers: BTreeMap<&String, Bytes> =
            images.flat_map(|image| &image.layers).map(|layer| (&layer.id, layer.bytes)).collect();
        let images: u64 = layers.values().map(|bytes| bytes.0).sum();
        let written = || disks.iter().flat_map(|disk| &disk.written);
        let by_machine = written().map(|(machine, bytes)| Detail::of_class(bytes.to_string(), machine.to_string()));
        let written: u64 = written().map(|(_, bytes)| bytes.0).sum();
        let volumes: u64 = disks.iter().flat_map(|disk| disk.volumes.values()).map(|bytes| bytes.0).sum();
        let parts = [("images", images), ("written by the machines", written), ("volumes", volumes)];
        let parts = parts.map(|(what, bytes)| Detail::of_class(Bytes(bytes).to_string(), what));
        let values = [
            value("size.image-bytes", images as f64)
                .map(|value| value.with_details(layers.iter().map(|(id, bytes)| layers::detail(id, *bytes)).collect())),
            value("size.writable-bytes", written as f64).map(|value| value.with_details(by_machine.collect())),
            value("size.disk-bytes", (images + written + volumes) as f64)
                .map(|value| value.with_details(parts.to_vec())),
        ];
        Ok(values.into_iter().flatten().collect())
    }

    /// What it has used until now, less what rig's own looks have.
    pub(super) async fn cost(&self, risen: &Risen) -> Result<Vec<Measured>, LabError> {
        if let Err(why) = self.keeps_figures(&self.machines().await?) {
            return Ok(without(&["cost.memory-peak", "cost.cpu", "cost.received-bytes"], &why));
        }
        let now = self.used().await?;
        let cpu = now.cpu.saturating_sub(risen.looks.clone().map_err(LabError::Failed)?).as_secs_f64();
        let access = self.access();
        let mut peak = Ok(0);
        for (spec, own) in now.peaks {
            let own = match own {
                Some(bytes) => Some(bytes.0),
                None => self.peak(access, spec).await?,
            };
            peak = match (peak, own) {
                (Ok(sum), Some(own)) => Ok(sum + own),
                (Ok(_), None) => Err(format!("the kernel keeps no peak for machine {}", spec.id)),
                (unknown, _) => unknown,
            };
        }
        let values = [
            match peak {
                Ok(bytes) => value("cost.memory-peak", bytes as f64),
                Err(why) => missing("cost.memory-peak", why),
            },
            value("cost.cpu", cpu),
            match risen.received {
                Some(bytes) => value("cost.received-bytes", bytes.0 as f64),
                None => missing("cost.received-bytes", "the provider does not count what machines receive"),
            },
        ];
        Ok(values.into_iter().flatten().collect())
    }

    /// Whether the providers of machines keep figures at all, or which one does not.
    fn keeps_figures(&self, running: &[(&MachineSpec, ObservedMachine)]) -> Result<(), String> {
        for (_, seen) in running {
            let provider = self.provider(&seen.id).map_err(|error| error.to_string())?;
            if provider.usage().is_none() {
                return Err(format!("provider {} keeps no figures", provider.id()));
            }
        }
        Ok(())
    }

    /// What the machines together have used.
    pub(super) async fn used(&self) -> Result<Used<'_>, LabError> {
        // At once: engines take the better part of a second for each answer.
        let each = self.machines().await?.into_iter().map(|(spec, seen)| async move {
            let own = self.usage(&seen.id)?.used(&self.look(), &self.reference(&seen.id)).await?;
            Ok::<_, LabError>((spec, own))
        });
        let each: Vec<_> = stream::iter(each).buffered(AT_ONCE).try_collect().await?;
        let mut used = Used { cpu: Duration::ZERO, received: Some(Bytes(0)), peaks: Vec::new() };
        for (spec, own) in each {
            used.cpu += own.cpu;
            used.received = used.received.zip(own.received).map(|(sum, own)| Bytes(sum.0 + own.0));
            used.peaks.push((spec, own.memory_peak));
        }
        Ok(used)
    }

    /// A machine's own word for its peak.
    async fn peak(&self, access: &crate::Access, machine: &MachineSpec) -> Result<Option<u64>, LabError> {
        let cx = self.look();
        let inside = Inside::enter(&cx, access, machine).await?;
        let output = inside.run(&cx, PEAK, Input::new()).await?;
        Ok(String::from_utf8_lossy(&output.stdout).trim().parse().ok())
    }

    /// What a second run changes: operations of a second `up`, and paths that change when everything is installed again.
    pub(super) async fn idempotence(&self) -> Result<Vec<Measured>, LabError> {
        let again = self.up().await?;
        let mut details: Vec<Detail> =
            again.changes().map(|action| Detail::of_class(action.to_string(), "operation")).collect();
        let installed = self.topology()?.machines.iter().any(|machine| !machine.steps.is_empty());
        if installed {
            let before = self.manifests(&[]).await?;
            self.lab.provision(&self.slot.topology).await?;
            let after = self.manifests(&before).await?;
            let files = changed(&before, &after)?.into_iter().filter(|(_, file)| MATTERS.contains(&file.class));
            details.extend(
                files.map(|(machine, file)| Detail::of_class(format!("{}:{}", machine.machine, file.path), "path")),
            );
        }
        let count = details.len() as f64;
        details.truncate(DETAILS);
        Ok(value("idempotence.changes", count).map(|value| value.with_details(details)).into_iter().collect())
    }

    /// What each machine has otherwise than its box. What an earlier look knows of files that nobody touched since is taken
    /// from there.
    pub(super) async fn manifests(&self, earlier: &[Taken]) -> Result<Vec<Taken>, LabError> {
        let cx = self.look();
        let access = self.access();
        let machines = self.machines().await?;
        let nothing = Manifest::default();
        let each = machines.iter().map(|(spec, _)| async {
            let at = Timestamp::now();
            let known = earlier.iter().find(|taken| taken.machine == spec.id);
            let trusted = known.map_or(0, |taken| taken.at.as_second());
            let look = Look::enter(&cx, access, spec, trusted).await?;
            let manifest = look.manifest(known.map_or(&nothing, |taken| &taken.manifest)).await?;
            Ok::<_, LabError>(Taken { machine: spec.id.clone(), at, manifest, classifier: look.classifier })
        });
        stream::iter(each).buffered(AT_ONCE).try_collect().await
    }

    /// Everything is taken away.
    pub(super) async fn destroy(&self) -> Result<Vec<Measured>, LabError> {
        let elapsed = self.lab.clear().await?.elapsed;
        Ok(value("destroy.done", elapsed.as_secs_f64()).into_iter().collect())
    }
}

/// Metrics that nobody can tell, with the reason.
fn without(metrics: &[&'static str], why: &str) -> Vec<Measured> {
    metrics.iter().filter_map(|metric| missing(metric, why)).collect()
}

/// What machines have used since they were started.
pub(super) struct Used<'a> {
    /// Processor time.
    pub(super) cpu: Duration,
    /// Received over their networks; nothing where nobody counts.
    pub(super) received: Option<Bytes>,
    /// The most memory of each, as far as the engine keeps it.
    peaks: Vec<(&'a MachineSpec, Option<Bytes>)>,
}

/// What was in a machine.
pub(super) struct Taken {
    pub(super) machine: MachineId,
    /// When the look began.
    pub(super) at: Timestamp,
    pub(super) manifest: Manifest,
    pub(super) classifier: rig_drift::Classifier,
}

/// The paths that differ, with their machines.
pub(super) fn changed<'a>(before: &'a [Taken], after: &[Taken]) -> Result<Vec<(&'a MachineId, FileDrift)>, LabError> {
    let mut found = Vec::new();
    for old in before {
        let new = after.iter().find(|new| new.machine == old.machine);
        let new = new.ok_or_else(|| LabError::Failed(format!("machine {} is not there any more", old.machine)))?;
        let drift = compare(&old.manifest, &new.manifest, &new.classifier);
        found.extend(drift.files.into_iter().map(|file| (&old.machine, file)));
    }
    Ok(found)
}
