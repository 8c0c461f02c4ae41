//! Machines go back to what they were.

use super::{
    Case, Failure, Outcome,
    case::{case, ensure, ensure_eq},
    stage::{Stage, name, reference},
};
use crate::{Changes, PathChangeKind, ProviderError, Snapshots, StopMode};
use rig_model::{Exit, MachineState, Mount, ObservedSnapshot, ResolvedMachine};
use std::time::Duration;

pub(super) fn cases() -> Vec<Case> {
    vec![
        case!(files_are_what_they_were, Snapshots, Exec),
        case!(volumes_hold_what_they_held, Snapshots, Exec, Volumes),
        case!(rights_and_links_of_volumes_come_back, Snapshots, Exec, Volumes, Real),
        case!(a_machine_runs_on_while_it_is_saved, Snapshots, Exec),
        case!(a_restored_machine_is_made_as_it_was, Snapshots, Networks, Volumes),
        case!(what_had_ended_has_ended, Snapshots, Service),
        case!(a_machine_that_is_gone_comes_back, Snapshots, Exec, Volumes, Outliving),
        case!(snapshots_are_listed_until_they_are_deleted, Snapshots),
        case!(snapshots_of_one_machine_stand_beside_each_other, Snapshots, Exec, Apart),
        case!(a_machine_goes_on_without_its_snapshot, Snapshots, Exec),
        case!(a_name_that_is_taken_is_refused, Snapshots),
        case!(what_is_not_there_is_no_snapshot, Snapshots, Exec),
        case!(changes_are_told_against_the_box, Snapshots, Changes, Exec),
        case!(the_boxs_own_files_are_known_after_a_restoration, Snapshots, Changes, Exec, Real),
        case!(a_save_that_was_cut_is_no_snapshot, Snapshots),
        case!(a_restoration_that_was_cut_is_done_again, Snapshots, Exec),
        case!(a_restoration_that_was_cut_can_be_destroyed, Snapshots),
    ]
}

/// When a call is cut: at once, and while an engine is at it. A save or a restoration takes some hundred milliseconds.
const MOMENTS: [u64; 6] = [0, 5, 20, 60, 150, 400];

fn snapshots<'a>(stage: &Stage<'a>) -> Outcome<&'a dyn Snapshots> {
    stage.provider.snapshots().ok_or_else(|| Failure::new("the provider has no snapshots"))
}

/// A machine with a volume.
fn keeper(stage: &Stage<'_>, machine: &str) -> ResolvedMachine {
    let mut machine = stage.machine(machine);
    if stage.provider.volumes().is_some() {
        machine.mounts.push(Mount::Volume { name: name("data"), target: "/var/lib/data".to_owned() });
    }
    machine
}

async fn save(stage: &Stage<'_>, machine: &ResolvedMachine, snapshot: &str) -> Outcome {
    snapshots(stage)?.save(&stage.cx, &reference(machine), &name(snapshot)).await?;
    Ok(())
}

/// Restores a machine and starts it.
async fn restore(stage: &Stage<'_>, machine: &ResolvedMachine, snapshot: &str) -> Outcome {
    snapshots(stage)?.restore(&stage.cx, &reference(machine), &name(snapshot)).await?;
    stage.start(machine).await
}

async fn list(stage: &Stage<'_>) -> Outcome<Vec<ObservedSnapshot>> {
    let mut list = snapshots(stage)?.list_snapshots(&stage.cx, &stage.fixture.workspace).await?;
    list.sort_by(|a, b| (&a.machine, &a.name).cmp(&(&b.machine, &b.name)));
    Ok(list)
}

async fn names(stage: &Stage<'_>) -> Outcome<Vec<String>> {
    Ok(list(stage).await?.iter().map(|snapshot| format!("{} {}", snapshot.machine, snapshot.name)).collect())
}

async fn is_absent(stage: &Stage<'_>, machine: &ResolvedMachine, path: &str) -> Outcome<bool> {
    Ok(stage.shell(machine, &format!("cat {path}")).await?.exit != 0)
}

async fn files_are_what_they_were(stage: &Stage<'_>) -> Outcome {
    let machine = stage.running("changer").await?;
    stage.output(&machine, "echo old > /edited; echo old > /removed").await?;
    save(stage, &machine, "first").await?;
    stage.output(&machine, "echo new > /edited; rm /removed; echo new > /added").await?;
    // A machine that runs is restored as well.
    restore(stage, &machine, "first").await?;
    ensure_eq!(stage.output(&machine, "cat /edited").await?, "old", "a file that was changed holds");
    ensure_eq!(stage.output(&machine, "cat /removed").await?, "old", "a file that was removed holds");
    ensure!(is_absent(stage, &machine, "/added").await?, "a file that was added is still there");
    // And again: a snapshot is not used up.
    stage.output(&machine, "echo new > /edited").await?;
    restore(stage, &machine, "first").await?;
    ensure_eq!(stage.output(&machine, "cat /edited").await?, "old", "after a second time the file holds");
    Ok(())
}

async fn volumes_hold_what_they_held(stage: &Stage<'_>) -> Outcome {
    let machine = keeper(stage, "keeper");
    stage.up(&machine).await?;
    stage.output(&machine, "echo old > /var/lib/data/edited; echo old > /var/lib/data/removed").await?;
    save(stage, &machine, "first").await?;
    let change = "echo new > /var/lib/data/edited; rm /var/lib/data/removed; echo new > /var/lib/data/added";
    stage.output(&machine, change).await?;
    restore(stage, &machine, "first").await?;
    let held = stage.output(&machine, "cat /var/lib/data/edited /var/lib/data/removed").await?;
    ensure_eq!(held, "old\nold", "the volume's files hold");
    ensure!(is_absent(stage, &machine, "/var/lib/data/added").await?, "a file that was added is still there");
    Ok(())
}

async fn rights_and_links_of_volumes_come_back(stage: &Stage<'_>) -> Outcome {
    const LOOK: &str =
        "cd /var/lib/data; stat -c '%n %a %u:%g %F' . file link; stat -c %h one; cat 'a b/c'; ls -a empty";
    let machine = keeper(stage, "keeper");
    stage.up(&machine).await?;
    let make = "cd /var/lib/data; chown 12:34 .; chmod 1770 .; echo x > file; chown 5:6 file; chmod 4750 file; \
                ln -s /nowhere link; echo y > one; ln one two; /bin/busybox mkdir 'a b' empty; echo z > 'a b/c'";
    stage.output(&machine, make).await?;
    let before = stage.output(&machine, LOOK).await?;
    save(stage, &machine, "first").await?;
    stage.output(&machine, "rm -r /var/lib/data/*; chown 0:0 /var/lib/data; chmod 777 /var/lib/data").await?;
    restore(stage, &machine, "first").await?;
    ensure_eq!(stage.output(&machine, LOOK).await?, before, "what is in the volume is");
    Ok(())
}

async fn a_machine_runs_on_while_it_is_saved(stage: &Stage<'_>) -> Outcome {
    let machine = keeper(stage, "busy");
    stage.up(&machine).await?;
    let before = stage.inspected(&machine).await?;
    save(stage, &machine, "first").await?;
    let after = stage.inspected(&machine).await?;
    ensure_eq!(after.state, MachineState::Running, "after the save the machine is");
    ensure_eq!((&after.native, after.started), (&before.native, before.started), "its identity and start are");
    stage.output(&machine, "echo x > /written").await?;
    Ok(())
}

async fn a_restored_machine_is_made_as_it_was(stage: &Stage<'_>) -> Outcome {
    let mut machine = keeper(stage, "same");
    machine.networks.push(stage.attachment(1));
    machine.env.insert("WORD".to_owned(), "value".to_owned());
    machine.limits.memory = Some(rig_model::Bytes(64 << 20));
    machine.restart = rig_model::RestartPolicy::OnFailure;
    stage.up(&machine).await?;
    let before = stage.inspected(&machine).await?;
    save(stage, &machine, "first").await?;
    snapshots(stage)?.restore(&stage.cx, &reference(&machine), &name("first")).await?;
    let stopped = stage.seen(&machine).await?;
    ensure_eq!(stopped.state, MachineState::Created, "a restored machine is");
    stage.start(&machine).await?;
    let after = stage.inspected(&machine).await?;
    ensure!(after.native != before.native, "it has the identity of the old one");
    ensure_eq!(after.state, MachineState::Running, "once it was started it is");
    ensure_eq!(after.digest, Some(machine.digest()), "its hash is");
    ensure_eq!(after.fields, before.fields, "its fields are");
    ensure_eq!(after.addresses, before.addresses, "its addresses are");
    ensure_eq!((&after.group, after.index, &after.image), (&before.group, before.index, &before.image), "it is");
    // Creating it finds it as it should be.
    stage.create(&machine).await?;
    ensure_eq!(stage.seen(&machine).await?.native, after.native, "after another creation its identity is");
    Ok(())
}

async fn what_had_ended_has_ended(stage: &Stage<'_>) -> Outcome {
    let mut machine = stage.machine("once");
    machine.command = super::Fixture::shell("exit 3");
    stage.up(&machine).await?;
    stage.until(&machine, MachineState::Exited).await?;
    save(stage, &machine, "first").await?;
    for again in ["first", "second"] {
        snapshots(stage)?.restore(&stage.cx, &reference(&machine), &name(again)).await?;
        ensure_eq!(stage.seen(&machine).await?.state, MachineState::Exited, "a machine that had ended is");
        let exit = Some(Exit { code: 3, out_of_memory: false });
        ensure_eq!(stage.inspected(&machine).await?.exit, exit, "it ended with");
        // What was never started since is saved as what it is.
        if again == "first" {
            save(stage, &machine, "second").await?;
        }
    }
    Ok(())
}

async fn a_machine_that_is_gone_comes_back(stage: &Stage<'_>) -> Outcome {
    let machine = keeper(stage, "gone");
    stage.up(&machine).await?;
    stage.output(&machine, "echo kept > /file; echo kept > /var/lib/data/file").await?;
    save(stage, &machine, "first").await?;
    stage.destroy(&machine).await?;
    restore(stage, &machine, "first").await?;
    ensure_eq!(stage.output(&machine, "cat /file /var/lib/data/file").await?, "kept\nkept", "its files hold");
    Ok(())
}

async fn snapshots_are_listed_until_they_are_deleted(stage: &Stage<'_>) -> Outcome {
    ensure_eq!(list(stage).await?, [], "before the first save the list is");
    let (runs, rests) = (keeper(stage, "runs"), keeper(stage, "rests"));
    stage.up(&runs).await?;
    stage.create(&rests).await?;
    save(stage, &runs, "first").await?;
    save(stage, &rests, "first").await?;
    let there = list(stage).await?;
    let said = there.iter().map(|snapshot| {
        let taken = snapshot.taken.as_ref().ok_or_else(|| Failure::new("a complete snapshot is listed as cut"))?;
        Ok((snapshot.machine.machine.to_string(), taken.running, taken.digest.clone(), taken.volumes))
    });
    let expected = [("rests", &rests, false), ("runs", &runs, true)];
    let volumes = usize::from(stage.provider.volumes().is_some());
    let expected = expected.map(|(name, machine, running)| (name.to_owned(), running, Some(machine.digest()), volumes));
    ensure_eq!(said.collect::<Outcome<Vec<_>>>()?, expected, "the list says");
    let addresses: Vec<_> = runs.networks.iter().filter_map(|at| Some((at.network.clone(), at.ip?))).collect();
    ensure_eq!(there[1].taken.as_ref().map(|taken| &taken.addresses), Some(&addresses), "its addresses are");
    for _ in 0..2 {
        snapshots(stage)?.delete(&stage.cx, &reference(&runs), &name("first")).await?;
        ensure_eq!(names(stage).await?, [format!("{} first", rests.id)], "after a deletion the list is");
    }
    Ok(())
}

async fn snapshots_of_one_machine_stand_beside_each_other(stage: &Stage<'_>) -> Outcome {
    let machine = stage.running("often").await?;
    for number in ["one", "two"] {
        stage.output(&machine, &format!("echo {number} > /file")).await?;
        save(stage, &machine, number).await?;
    }
    for number in ["one", "two", "one"] {
        restore(stage, &machine, number).await?;
        ensure_eq!(stage.output(&machine, "cat /file").await?, number, "the file holds");
    }
    // A snapshot of what was restored.
    stage.output(&machine, "echo three > /file").await?;
    save(stage, &machine, "three").await?;
    snapshots(stage)?.delete(&stage.cx, &reference(&machine), &name("one")).await?;
    restore(stage, &machine, "three").await?;
    ensure_eq!(stage.output(&machine, "cat /file").await?, "three", "the file holds");
    Ok(())
}

async fn a_machine_goes_on_without_its_snapshot(stage: &Stage<'_>) -> Outcome {
    let machine = stage.running("free").await?;
    stage.output(&machine, "echo kept > /file").await?;
    if stage.fixture.real {
        // It is killed below: what was not written by then would be lost in a machine with a kernel of its own.
        stage.output(&machine, "sync").await?;
    }
    save(stage, &machine, "first").await?;
    restore(stage, &machine, "first").await?;
    snapshots(stage)?.delete(&stage.cx, &reference(&machine), &name("first")).await?;
    ensure_eq!(names(stage).await?, [] as [String; 0], "after the deletion the list is");
    stage.provider.stop(&stage.cx, &reference(&machine), StopMode::Kill).await?;
    stage.start(&machine).await?;
    ensure_eq!(stage.output(&machine, "cat /file").await?, "kept", "the file holds");
    if let Some(changes) = stage.provider.changes() {
        ensure_eq!(of(changes, stage, &machine, "/file").await?, Some(PathChangeKind::Added), "the file is");
    }
    save(stage, &machine, "first").await
}

async fn a_name_that_is_taken_is_refused(stage: &Stage<'_>) -> Outcome {
    let machine = stage.running("twice").await?;
    save(stage, &machine, "first").await?;
    let before = list(stage).await?;
    let Err(error) = snapshots(stage)?.save(&stage.cx, &reference(&machine), &name("first")).await else {
        return Err(Failure::new("a second save under one name replaced the first"));
    };
    ensure!(error.to_string().contains("first"), "the error does not name the snapshot: {error}");
    ensure_eq!(list(stage).await?, before, "the list is");
    ensure_eq!(stage.seen(&machine).await?.state, MachineState::Running, "the machine is");
    Ok(())
}

async fn what_is_not_there_is_no_snapshot(stage: &Stage<'_>) -> Outcome {
    let machine = stage.running("untouched").await?;
    stage.output(&machine, "echo kept > /file").await?;
    let before = stage.seen(&machine).await?;
    let Err(error) = snapshots(stage)?.restore(&stage.cx, &reference(&machine), &name("nothing")).await else {
        return Err(Failure::new("a machine was restored from nothing"));
    };
    ensure!(error.to_string().contains("nothing"), "the error does not name the snapshot: {error}");
    ensure_eq!(stage.seen(&machine).await?, before, "after the refusal the machine is");
    ensure_eq!(stage.output(&machine, "cat /file").await?, "kept", "its file holds");
    let nobody = stage.machine("nobody");
    let result = snapshots(stage)?.save(&stage.cx, &reference(&nobody), &name("first")).await;
    ensure!(
        matches!(result, Err(ProviderError::Absent { .. })),
        "a save of a machine that is not there gives {result:?}"
    );
    Ok(())
}

async fn of(
    changes: &dyn Changes,
    stage: &Stage<'_>,
    machine: &ResolvedMachine,
    path: &str,
) -> Outcome<Option<PathChangeKind>> {
    let all = changes.changes(&stage.cx, &reference(machine)).await?;
    Ok(all.into_iter().find(|change| change.path == path).map(|change| change.kind))
}

async fn changes_are_told_against_the_box(stage: &Stage<'_>) -> Outcome {
    let machine = stage.running("changer").await?;
    let changes = stage.provider.changes().ok_or_else(|| Failure::new("the capability went away"))?;
    stage.output(&machine, "echo x > /before; echo x > /both").await?;
    save(stage, &machine, "first").await?;
    stage.output(&machine, "echo x > /lost").await?;
    restore(stage, &machine, "first").await?;
    stage.output(&machine, "echo x > /after; rm /both").await?;
    for _ in 0..2 {
        for (path, expected) in [
            ("/before", Some(PathChangeKind::Added)),
            ("/after", Some(PathChangeKind::Added)),
            ("/both", None),
            ("/lost", None),
        ] {
            ensure_eq!(of(changes, stage, &machine, path).await?, expected, "{path} is");
        }
        // The same through a snapshot of a machine that was restored.
        if list(stage).await?.len() == 1 {
            save(stage, &machine, "second").await?;
            restore(stage, &machine, "second").await?;
        }
    }
    Ok(())
}

async fn the_boxs_own_files_are_known_after_a_restoration(stage: &Stage<'_>) -> Outcome {
    let machine = stage.running("changer").await?;
    let changes = stage.provider.changes().ok_or_else(|| Failure::new("the capability went away"))?;
    let old = stage.shell(&machine, "cat /etc/passwd").await?.stdout;
    stage.output(&machine, "echo other >> /etc/passwd; rm /srv/hello").await?;
    save(stage, &machine, "first").await?;
    restore(stage, &machine, "first").await?;
    let modified = of(changes, stage, &machine, "/etc/passwd").await?;
    ensure_eq!(modified, Some(PathChangeKind::Modified), "a file of the box that was changed before the save is");
    let removed = of(changes, stage, &machine, "/srv/hello").await?;
    ensure_eq!(removed, Some(PathChangeKind::Removed), "one that was removed is");
    let original = changes.original(&stage.cx, &reference(&machine), "/etc/passwd", 1 << 20).await?;
    ensure!(original.as_deref() == Some(old.as_slice()), "the box's own file is {original:?}");
    Ok(())
}

async fn a_save_that_was_cut_is_no_snapshot(stage: &Stage<'_>) -> Outcome {
    for (number, moment) in MOMENTS.into_iter().enumerate() {
        let machine = keeper(stage, &format!("cut{number}"));
        stage.up(&machine).await?;
        let capability = snapshots(stage)?;
        let (reference, first) = (reference(&machine), name("first"));
        let save = capability.save(&stage.cx, &reference, &first);
        let _ = tokio::time::timeout(Duration::from_millis(moment), save).await;
        stage.until(&machine, MachineState::Running).await?;
        let there = list(stage).await?.into_iter().find(|snapshot| snapshot.machine == machine.id);
        if there.as_ref().is_none_or(|snapshot| snapshot.taken.is_none()) {
            // Nothing of it can be restored, and the next save is complete.
            ensure!(capability.restore(&stage.cx, &reference, &first).await.is_err(), "a cut save was restored");
            // The engine may have done what was asked for after all.
            let again = capability.save(&stage.cx, &reference, &first).await;
            let there = list(stage).await?.into_iter().find(|snapshot| snapshot.machine == machine.id);
            ensure!(there.is_some_and(|snapshot| snapshot.taken.is_some()), "the next save gave {again:?}");
        }
        capability.restore(&stage.cx, &reference, &first).await?;
        stage.start(&machine).await?;
        capability.delete(&stage.cx, &reference, &first).await?;
        stage.destroy(&machine).await?;
        ensure_eq!(names(stage).await?, [] as [String; 0], "after deletion and destruction the list is");
    }
    Ok(())
}

async fn a_restoration_that_was_cut_is_done_again(stage: &Stage<'_>) -> Outcome {
    for (number, moment) in MOMENTS.into_iter().enumerate() {
        let machine = keeper(stage, &format!("cut{number}"));
        stage.up(&machine).await?;
        let files = if machine.mounts.is_empty() { "/file" } else { "/file /var/lib/data/file" };
        let write = |word: &str| {
            let lines: Vec<String> = files.split(' ').map(|file| format!("echo {word} > {file}")).collect();
            lines.join("; ")
        };
        stage.output(&machine, &write("kept")).await?;
        save(stage, &machine, "first").await?;
        stage.output(&machine, &write("lost")).await?;
        let (reference, first) = (reference(&machine), name("first"));
        let call = snapshots(stage)?.restore(&stage.cx, &reference, &first);
        let _ = tokio::time::timeout(Duration::from_millis(moment), call).await;
        if let Some(seen) = stage.find(&machine).await? {
            // A machine that holds its snapshots itself is still there: stopped, or about to go on from the snapshot.
            let expected = match seen.state {
                MachineState::Running | MachineState::Dead | MachineState::Created => true,
                MachineState::Exited | MachineState::Suspended => !stage.fixture.outlives,
                _ => false,
            };
            ensure!(expected, "a cut restoration left a {} machine", seen.state);
        }
        restore(stage, &machine, "first").await?;
        let held = stage.output(&machine, &format!("cat {files}")).await?;
        ensure_eq!(held, vec!["kept"; files.split(' ').count()].join("\n"), "the files hold");
    }
    Ok(())
}

async fn a_restoration_that_was_cut_can_be_destroyed(stage: &Stage<'_>) -> Outcome {
    for (number, moment) in MOMENTS.into_iter().enumerate() {
        let machine = keeper(stage, &format!("cut{number}"));
        stage.up(&machine).await?;
        save(stage, &machine, "first").await?;
        let (reference, first) = (reference(&machine), name("first"));
        let call = snapshots(stage)?.restore(&stage.cx, &reference, &first);
        let _ = tokio::time::timeout(Duration::from_millis(moment), call).await;
        stage.destroy(&machine).await?;
        // And made anew as if nothing had been.
        stage.up(&machine).await?;
        ensure_eq!(stage.seen(&machine).await?.state, MachineState::Running, "the machine is");
    }
    Ok(())
}
