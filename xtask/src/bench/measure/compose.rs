//! docker-compose v2 as a contender.

use super::{
    contender::{COMMAND, Contender, PREFIX, Setting, Step},
    program,
};
use crate::{cargo::Result, lab::current_engine};
use serde_json::{Map, Value, json};
use std::{fs, path::PathBuf};

/// Compose from Debian sid, with a project of trivial services.
pub(super) struct Compose {
    setting: Setting,
    folder: PathBuf,
    version: String,
}

impl Compose {
    /// Gets the program.
    ///
    /// # Errors
    /// When it cannot be had, or its folder cannot be made.
    pub(super) fn new(setting: &Setting) -> Result<Self> {
        let version = program::first_line(current_engine::compose()?.args(["version", "--short"]))?;
        let folder = setting.folder.join("compose");
        fs::create_dir_all(&folder).map_err(|error| format!("creating {}: {error}", folder.display()))?;
        Ok(Self { setting: setting.clone(), folder, version })
    }
}

impl Contender for Compose {
    fn name(&self) -> &'static str {
        "compose"
    }

    fn version(&self) -> &str {
        &self.version
    }

    fn prepare(&mut self, count: usize) -> Result {
        let service = json!({ "image": self.setting.image, "command": COMMAND });
        let services: Map<String, Value> = (1..=count).map(|number| (format!("m{number}"), service.clone())).collect();
        // JSON is YAML.
        let text = json!({ "name": format!("{PREFIX}-compose"), "services": services }).to_string();
        fs::write(self.folder.join("compose.yaml"), text).map_err(|error| format!("writing compose's file: {error}"))
    }

    fn step(&mut self, step: Step) -> Result {
        let arguments: &[&str] = match step {
            Step::Up | Step::NoOp => &["up", "--detach"],
            Step::Status => &["ps"],
            Step::Destroy => &["down"],
        };
        let mut command = current_engine::compose()?;
        command.args(arguments).current_dir(&self.folder).env("DOCKER_HOST", self.setting.docker_host());
        program::run(&format!("docker-compose {}", arguments[0]), &mut command, &self.folder)?;
        Ok(())
    }
}
