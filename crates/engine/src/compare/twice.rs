//! A topology is built a second time, and compared with the first.

use super::{
    clock::value,
    lab::LabError,
    life::Life,
    work::{MATTERS, Taken, changed},
};
use crate::drift::Look;
use jiff::Timestamp;
use rig_compare::{Detail, Measured, surface::DETAILS};
use rig_drift::Manifest;
use rig_model::{MachineId, MachineSpec, Name};
use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

/// How long it may take to read every byte of a machine.
const READ: Duration = Duration::from_secs(900);

/// What two builds have in common, best first; the numbers are those of `rig_compare::catalogue::GRADES`.
const DIGEST: f64 = 4.0;
const FILES: f64 = 3.0;
const PACKAGES: f64 = 2.0;
const CHECKS: f64 = 1.0;
const NOTHING: f64 = 0.0;

/// A topology that was built.
struct Built {
    /// What is in one machine of each group.
    machines: Vec<Taken>,
    /// The layers of the boxes that machines are made from, by what they hold.
    layers: BTreeMap<MachineId, Vec<String>>,
}

impl Life<'_> {
    /// Builds everything again from nothing and says what both builds have in common.
    pub(super) async fn twice(&self) -> Result<Vec<Measured>, LabError> {
        let first = self.built().await?;
        self.lab.clear().await?;
        self.lab.up_anew(&self.slot.topology).await?;
        let second = self.built().await?;
        let both = || first.machines.iter().chain(&second.machines);
        if first.machines.is_empty() {
            return Err(LabError::Failed(format!("no machine of topology {} runs", self.slot.topology)));
        }
        // What could not be read is not the same.
        if let Some((machine, gap)) = both().find_map(|taken| Some((&taken.machine, taken.manifest.gaps.first()?))) {
            return Err(LabError::Failed(format!("machine {machine}: {gap}")));
        }
        let files = changed(&first.machines, &second.machines)?.into_iter();
        let files = files.filter(|(_, file)| MATTERS.contains(&file.class));
        let mut details: Vec<Detail> = files
            .map(|(machine, file)| {
                Detail::of_class(format!("{}:{}", machine.machine, file.path), file.class.to_string())
            })
            .collect();
        let installed =
            |built: &Built| built.machines.iter().map(|taken| taken.manifest.packages.clone()).collect::<Vec<_>>();
        let packages = both().all(|taken| taken.manifest.packages.is_some()) && installed(&first) == installed(&second);
        let same_layers = !first.layers.is_empty() && first.layers == second.layers;
        let grade = if details.is_empty() {
            if same_layers { DIGEST } else { FILES }
        } else if packages {
            PACKAGES
        } else if self.checks_hold().await? {
            CHECKS
        } else {
            NOTHING
        };
        details.truncate(DETAILS);
        Ok(value("reproducibility.grade", grade).map(|value| value.with_details(details)).into_iter().collect())
    }

    /// Whether the checks hold; without any, nothing is known.
    async fn checks_hold(&self) -> Result<bool, LabError> {
        if self.setup.checks.is_empty() {
            return Ok(false);
        }
        for name in &self.setup.checks {
            match self.check(name).await {
                Ok(_) => {}
                Err(LabError::Failed(_)) => return Ok(false),
                Err(interrupted) => return Err(interrupted),
            }
        }
        Ok(true)
    }

    /// Reads one machine of each group, one after the other: each reads its whole disk.
    async fn built(&self) -> Result<Built, LabError> {
        let cx = self.cx.within(READ);
        let access = self.access();
        let running = self.machines().await?;
        let mut groups: BTreeSet<&Name> = BTreeSet::new();
        let firsts: Vec<&MachineSpec> =
            running.iter().map(|(spec, _)| *spec).filter(|spec| groups.insert(&spec.group)).collect();
        let mut machines = Vec::new();
        for spec in firsts {
            let at = Timestamp::now();
            let look = Look::enter(&cx, access, spec, 0).await?.whole();
            let manifest = look.manifest(&Manifest::default()).await?;
            machines.push(Taken { machine: spec.id.clone(), at, manifest, classifier: look.classifier });
        }
        let mut layers = BTreeMap::new();
        for disk in self.disks(&cx, &running).await? {
            for image in disk.images {
                let own: Vec<String> = image.layers.into_iter().map(|layer| layer.id).collect();
                layers.extend(image.machines.into_iter().map(|machine| (machine, own.clone())));
            }
        }
        Ok(Built { machines, layers })
    }
}
