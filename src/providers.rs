//! Which providers there are: the only place that knows them by name.

use crate::{
    app::App,
    engine_choice::{self, Start},
    failure::Failure,
};
use rig_model::Workspace;
use rig_provider_api::Provider;
use std::sync::Arc;

/// The name of the provider that is taken where the file names none; see `rig-config`.
pub(crate) const DOCKER: &str = "docker";

/// The names of the providers of virtual machines.
const QEMU: &str = "qemu";
const VIRTUALBOX: &str = "virtualbox";

/// What installs QEMU on Debian and its relatives.
pub(crate) const QEMU_PACKAGES: [&str; 2] =
    [if cfg!(target_arch = "aarch64") { "qemu-system-arm" } else { "qemu-system-x86" }, "qemu-utils"];

/// Connects to the providers that the file names, and to those that may still have a machine from an earlier version of the
/// file; these need not be there. Checking the machines says which of them name one that there is not, and where.
pub(crate) async fn connect(app: &App, workspace: &Workspace, start: Start) -> Result<Vec<Arc<dyn Provider>>, Failure> {
    let mut providers = Vec::new();
    match qemu(app) {
        Some(qemu) if needs_qemu(workspace) || has_virtual_machines(app, workspace) => providers.push(qemu),
        None if needs_qemu(workspace) => return Err(no_qemu(app, "the file names provider qemu")),
        None if has_virtual_machines(app, workspace) => {
            app.ui.warn("this workspace has virtual machines, and QEMU is not on the PATH: they are left alone");
        }
        _ => {}
    }
    match virtualbox(app) {
        Some(virtualbox) if needs_virtualbox(workspace) || virtualbox_layout(app).has_machines(&workspace.name) => {
            providers.push(virtualbox);
        }
        None if needs_virtualbox(workspace) => return Err(no_virtualbox()),
        None if virtualbox_layout(app).has_machines(&workspace.name) => {
            app.ui.warn(
                "this workspace has machines of VirtualBox, and VBoxManage is not on this host: they are left alone",
            );
        }
        _ => {}
    }
    let others = needs_docker(workspace);
    match docker(app, Some(workspace), if others { start } else { Start::Never }).await {
        Ok(docker) => providers.push(docker),
        Err(error) if others => return Err(error),
        // Nobody asked for containers.
        Err(_) => {}
    }
    Ok(providers)
}

/// Whether a machine of the file is brought up by a provider.
fn names(workspace: &Workspace, provider: &str) -> bool {
    workspace.machines().any(|machine| machine.provider.as_str() == provider)
}

/// Whether the file needs the engine of containers.
pub(crate) fn needs_docker(workspace: &Workspace) -> bool {
    workspace.machines().next().is_none() || names(workspace, DOCKER)
}

/// Whether the file needs QEMU.
pub(crate) fn needs_qemu(workspace: &Workspace) -> bool {
    names(workspace, QEMU)
}

/// Virtual machines, where QEMU is installed.
#[cfg(unix)]
pub(crate) fn qemu(app: &App) -> Option<Arc<dyn Provider>> {
    let programs = rig_provider_qemu::Programs::find(&app.settings.path)?;
    Some(Arc::new(rig_provider_qemu::QemuProvider::new(layout(app), programs)))
}

/// What files call QEMU's provider.
#[expect(clippy::expect_used, reason = "a constant that every use of it covers")]
pub(crate) fn qemu_id() -> rig_model::ProviderId {
    rig_model::Name::new(QEMU).expect("qemu is a name")
}

/// What files call VirtualBox's provider.
#[expect(clippy::expect_used, reason = "a constant that every use of it covers")]
pub(crate) fn virtualbox_id() -> rig_model::ProviderId {
    rig_model::Name::new(VIRTUALBOX).expect("virtualbox is a name")
}

/// Whether the file needs VirtualBox.
pub(crate) fn needs_virtualbox(workspace: &Workspace) -> bool {
    names(workspace, VIRTUALBOX)
}

/// Virtual machines of VirtualBox, where it is installed.
pub(crate) fn virtualbox(app: &App) -> Option<Arc<dyn Provider>> {
    let programs = rig_provider_virtualbox::Programs::find(&app.settings.path, &app.settings.virtualbox)?;
    Some(Arc::new(rig_provider_virtualbox::VirtualBoxProvider::new(virtualbox_layout(app), programs)))
}

fn virtualbox_layout(app: &App) -> rig_provider_virtualbox::VirtualBoxLayout {
    rig_provider_virtualbox::VirtualBoxLayout::new(app.settings.dirs.virtualbox())
}

/// What a person without VirtualBox can do.
pub(crate) const VIRTUALBOX_HINT: &str = "install VirtualBox 7.0 or later (<https://www.virtualbox.org>), or name the folder of VBoxManage in \
    VBOX_INSTALL_PATH";

fn no_virtualbox() -> Failure {
    Failure::Host {
        message: format!(
            "the file names provider virtualbox, and {} is not on this host",
            rig_provider_virtualbox::MANAGE
        ),
        hint: Some(VIRTUALBOX_HINT.to_owned()),
    }
}

/// Whether QEMU has machines of the workspace.
#[cfg(unix)]
fn has_virtual_machines(app: &App, workspace: &Workspace) -> bool {
    layout(app).has_machines(&workspace.name)
}

#[cfg(unix)]
fn layout(app: &App) -> rig_provider_qemu::QemuLayout {
    rig_provider_qemu::QemuLayout::new(app.settings.dirs.virtual_machines())
}

#[cfg(not(unix))]
fn has_virtual_machines(_: &App, _: &Workspace) -> bool {
    false
}

/// QEMU's monitor is spoken with over a socket that this platform does not have in the same form.
#[cfg(not(unix))]
pub(crate) fn qemu(_: &App) -> Option<Arc<dyn Provider>> {
    None
}

/// What a person without QEMU can do; `why` says what needs it.
pub(crate) fn no_qemu(app: &App, why: &str) -> Failure {
    Failure::Host {
        message: format!("{why}, and QEMU is not on the PATH"),
        hint: Some(if cfg!(unix) {
            crate::packages::hint(app, &QEMU_PACKAGES.join(" "))
        } else {
            "virtual machines of QEMU need Linux or macOS".to_owned()
        }),
    }
}

/// Connects to the engine of containers.
pub(crate) async fn docker(
    app: &App,
    workspace: Option<&Workspace>,
    start: Start,
) -> Result<Arc<dyn Provider>, Failure> {
    let named = workspace.and_then(|workspace| workspace.engine.as_deref());
    let wanted = app.global.engine.as_deref().or(named);
    let provider = engine_choice::connect(app, wanted, workspace, start).await?;
    Ok(Arc::new(provider))
}
