//! What a machine tells of itself that has no tools.

use crate::support::{CLUSTER, load, observe, session, up};
use camino::Utf8Path;
use futures_util::StreamExt;
use rig_drift::Change;
use rig_engine::{EngineError, Since, machine_drift};
use rig_model::DriftClass;
use rig_provider_api::{Context, Exec, ExecRequest, MachineRef};
use rig_provider_fake::Capability;
use rig_state::Layout;
use std::time::Duration;

#[tokio::test]
async fn paths_that_differ_are_known_without_any_tool() {
    let workspace = load(CLUSTER, &[]);
    let fake = up(&workspace).await;
    let cx = Context::alone(Duration::from_secs(10));
    let first = workspace.machines().find(|machine| machine.id.machine.as_str() == "first").unwrap();
    let machine = MachineRef { workspace: workspace.name.clone(), id: first.id.clone() };
    for path in ["/etc/new.conf", "/tmp/scratch", "/data/kept"] {
        let command = ["/bin/sh", "-c", &format!("echo text > {path}")].map(str::to_owned).to_vec();
        let session = fake.exec(&cx, &machine, &ExecRequest { command, ..ExecRequest::default() }).await.unwrap();
        session.events.collect::<Vec<_>>().await;
    }
    let seen = observe(&fake, &workspace).await.machines;
    let seen = seen.iter().find(|seen| seen.id == first.id).unwrap();
    let layout = Layout::new(Utf8Path::new("/nowhere"));
    let look = async |fake| {
        let session = session(&workspace, &fake);
        let mut all = machine_drift(&cx, &session, &layout, &[(first, seen)], Since::Up).await;
        all.remove(0).1
    };
    let drift = look(fake.clone()).await.unwrap();
    let files: Vec<_> = drift.drift.files.iter().map(|file| (file.path.as_str(), file.change, file.class)).collect();
    assert_eq!(
        files,
        [
            ("/etc/new.conf", Change::Added, DriftClass::Configuration),
            ("/tmp/scratch", Change::Added, DriftClass::Temporary)
        ]
    );
    assert!(drift.is_violation() && drift.since == Since::Box && drift.gaps.len() == 2, "{:?}", drift.gaps);
    let blind = look(fake.without(Capability::Changes)).await.unwrap_err();
    assert!(matches!(blind, EngineError::Capability { capability: "changes", .. }), "{blind}");
}
