//! `rig scale`

use super::up::{self, Wish};
use crate::{app::App, cli::Scale as Arguments, failure::Failure};
use rig_engine::UpOptions;
use rig_model::{Name, Workspace};
use std::collections::BTreeSet;

/// The most machines that a group may have, the same as in the file.
const MOST: u32 = 500;

/// Sets counts and brings the machines of those topologies up. Low numbers stay, the highest go first.
pub(crate) async fn run(app: &App, arguments: &Arguments) -> Result<(), Failure> {
    let (mut opened, lock) = app.open_locked("rig scale", arguments.execution.dry_run).await?;
    let mut topologies = BTreeSet::new();
    for (group, count) in &arguments.counts {
        let count: u32 = count
            .parse()
            .ok()
            .filter(|count| *count <= MOST)
            .ok_or_else(|| Failure::usage(format!("{group}={count}: the count is a number from 0 to {MOST}")))?;
        for (topology, group) in groups(&opened.loaded.workspace, group)? {
            opened.scale.set(topology.clone(), group, count);
            topologies.insert(topology.to_string());
        }
    }
    opened.loaded = app.load(&app.file()?, &opened.scale)?;
    let targets: Vec<String> = topologies.into_iter().collect();
    let options = UpOptions { force_leave: arguments.force, ..UpOptions::default() };
    let wish = Wish { targets: &targets, options, execution: &arguments.execution };
    // The count is what the user wants from now on, also when bringing the machines up takes a second try; but only if
    // there is a plan for it.
    let remember = || Ok(opened.scale.save(&opened.layout)?);
    match up::bring_up(app, &opened, lock.as_ref(), wish, remember).await? {
        Some(report) => up::finish(app, &report),
        None => Ok(()),
    }
}

/// The groups that a name means, in all topologies or in the named one.
fn groups(workspace: &Workspace, name: &str) -> Result<Vec<(Name, Name)>, Failure> {
    let (topology, group) = name.split_once('/').map_or((None, name), |(topology, group)| (Some(topology), group));
    let declared: BTreeSet<(Name, Name)> = workspace
        .topologies
        .values()
        .filter(|of| topology.is_none_or(|topology| of.name.as_str() == topology))
        .flat_map(|of| of.counts.keys().map(|group| (of.name.clone(), group.clone())))
        .collect();
    let found: Vec<_> = declared.iter().filter(|(_, declared)| declared.as_str() == group).cloned().collect();
    if found.is_empty() {
        let known: Vec<String> = declared.iter().map(|(_, group)| group.to_string()).collect();
        return Err(Failure::Usage {
            message: format!("no machine with a `count` is called {name:?}"),
            hint: Some(if known.is_empty() {
                "give the machine a `count`".to_owned()
            } else {
                format!("there are: {}", known.join(", "))
            }),
        });
    }
    Ok(found)
}
