//! A workspace in a folder of its own, and what is left of it on the engine.

use bollard::{
    Docker,
    query_parameters::{ListContainersOptions, ListImagesOptions, ListNetworksOptions, ListVolumesOptions},
};
use serde_json::Value;
use std::{
    collections::HashMap,
    ffi::OsString,
    path::{Path, PathBuf},
    process::{Child, Command, Output, Stdio},
    time::{Duration, Instant},
};

/// The box that light scenarios use: small, and with a shell.
pub(crate) const BOX: &str = r#"
box "debian" {
    bootstrap "bookworm" { package "ca-certificates" }
}
"#;

/// A workspace that is removed with everything it made.
pub(crate) struct Lab {
    pub(crate) folder: tempfile::TempDir,
    pub(crate) name: String,
    file: PathBuf,
    env: Vec<(&'static str, OsString)>,
}

/// What a run of the program left behind.
pub(crate) struct Run {
    pub(crate) code: i32,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
    pub(crate) elapsed: Duration,
}

impl Run {
    pub(crate) fn of(output: &Output, began: Instant) -> Self {
        Self {
            code: output.status.code().unwrap_or(-1),
            stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
            stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
            elapsed: began.elapsed(),
        }
    }

    /// The same, having ended with this code.
    #[track_caller]
    pub(crate) fn code(self, expected: i32) -> Self {
        assert_eq!(self.code, expected, "stdout:\n{}\nstderr:\n{}", self.stdout, self.stderr);
        self
    }

    /// The result as JSON.
    #[track_caller]
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.stdout).unwrap_or_else(|error| panic!("{error} in:\n{}", self.stdout))
    }
}

impl Lab {
    /// A workspace with this text behind its first line; `name` becomes part of everything it makes.
    pub(crate) fn new(name: &str, text: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let name = format!("test-{name}-{}", std::process::id());
        let file = folder.path().join("workspace.kdl");
        let lab = Self { folder, name, file, env: Vec::new() };
        lab.write(text);
        lab
    }

    /// The root workspace of the project.
    pub(crate) fn root() -> Self {
        let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("workspace.kdl");
        Self { folder: tempfile::tempdir().unwrap(), name: "spark-cassandra".to_owned(), file, env: Vec::new() }
    }

    /// Replaces the text behind the first line.
    pub(crate) fn write(&self, text: &str) {
        std::fs::write(&self.file, format!("workspace \"{}\"\n{text}", self.name)).unwrap();
    }

    /// Sets a variable of the program's environment.
    pub(crate) fn env(&mut self, name: &'static str, value: OsString) {
        self.env.push((name, value));
    }

    /// Writes a file beside the workspace file; one that begins as a script can be run.
    pub(crate) fn put(&self, path: &str, content: &str) {
        let path = self.folder.path().join(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, content).unwrap();
        if content.starts_with("#!") {
            use std::os::unix::fs::PermissionsExt;
            std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).unwrap();
        }
    }

    /// Copies a folder of the project to the same place beside the workspace file.
    pub(crate) fn bring(&self, folder: &str) {
        let root = Path::new(env!("CARGO_MANIFEST_DIR"));
        for path in walk(root.join(folder)) {
            let content = std::fs::read_to_string(&path).unwrap();
            self.put(path.strip_prefix(root).unwrap().to_str().unwrap(), &content);
        }
    }

    /// All files below a folder beside the workspace file, with their contents.
    pub(crate) fn files(&self, folder: &str) -> Vec<(String, String)> {
        let content = |path: &Path| String::from_utf8_lossy(&std::fs::read(path).unwrap()).into_owned();
        walk(self.folder.path().join(folder)).iter().map(|path| (path.display().to_string(), content(path))).collect()
    }

    /// Waits for something that comes about soon.
    #[track_caller]
    pub(crate) fn until(&self, mut done: impl FnMut() -> bool) {
        let began = Instant::now();
        while !done() {
            assert!(began.elapsed() < Duration::from_secs(120), "it does not come about");
            std::thread::sleep(Duration::from_millis(200));
        }
    }

    /// Everything that the engine says of a machine's container.
    pub(crate) fn container(&self, machine: &str) -> String {
        let container = self.container_name(machine);
        self.docker(async |docker| format!("{:?}", docker.inspect_container(&container, None).await.unwrap()))
    }

    fn container_name(&self, machine: &str) -> String {
        format!("{}.{}", self.name, machine.replace('/', "."))
    }

    /// Asks the engine that the program uses, past the program.
    fn docker<T>(&self, ask: impl AsyncFnOnce(Docker) -> T) -> T {
        let engine = self.ok(&["engine", "status", "--json"]).json();
        let endpoint = engine["endpoint"].as_str().unwrap().to_owned();
        tokio::runtime::Runtime::new().unwrap().block_on(async {
            let docker = Docker::connect_with_unix(&endpoint, 60, bollard::API_DEFAULT_VERSION).unwrap();
            ask(docker.negotiate_version().await.unwrap()).await
        })
    }

    /// The program with arguments.
    pub(crate) fn command(&self, arguments: &[&str]) -> Command {
        self.command_on(&self.file, arguments)
    }

    /// The same for another workspace.
    pub(crate) fn command_on(&self, file: &Path, arguments: &[&str]) -> Command {
        let program = std::env::var_os("RIG_PROGRAM").unwrap_or_else(|| env!("CARGO_BIN_EXE_rig").into());
        let mut command = Command::new(program);
        command.arg("-w").arg(file).args(arguments).stdin(Stdio::null()).env("CI", "true").env("NO_COLOR", "1");
        command.envs(self.env.iter().map(|(name, value)| (name, value)));
        command
    }

    /// Runs the program to its end.
    pub(crate) fn run(&self, arguments: &[&str]) -> Run {
        let began = Instant::now();
        let output = self.command(arguments).output().unwrap();
        Run::of(&output, began)
    }

    /// Runs the program, which must succeed.
    #[track_caller]
    pub(crate) fn ok(&self, arguments: &[&str]) -> Run {
        self.run(arguments).code(0)
    }

    /// Runs a line on a machine by OpenSSH, with the configuration that rig writes for it. The line must succeed.
    #[track_caller]
    pub(crate) fn openssh(&self, machine: &str, line: &str) -> String {
        self.put("ssh.conf", &self.ok(&["ssh-config"]).stdout);
        let mut ssh = Command::new("ssh");
        ssh.arg("-F").arg(self.folder.path().join("ssh.conf")).args(["-o", "BatchMode=yes", machine, line]);
        let began = Instant::now();
        Run::of(&ssh.stdin(Stdio::null()).output().unwrap(), began).code(0).stdout
    }

    /// Starts the program.
    pub(crate) fn start(&self, arguments: &[&str]) -> Child {
        self.command(arguments).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
    }

    /// Waits for a started program.
    pub(crate) fn finish(child: Child, began: Instant) -> Run {
        Run::of(&child.wait_with_output().unwrap(), began)
    }

    /// The node list by machine.
    pub(crate) fn status(&self) -> HashMap<String, Value> {
        let document = self.ok(&["status", "--json"]).json();
        let machines = document["machines"].as_array().unwrap().clone();
        machines.into_iter().map(|machine| (machine["machine"].as_str().unwrap().to_owned(), machine)).collect()
    }

    /// One property of one machine.
    #[track_caller]
    pub(crate) fn fact(&self, machine: &str, property: &str) -> String {
        let status = self.status();
        let machine = status.get(machine).unwrap_or_else(|| panic!("no machine {machine} in {:?}", status.keys()));
        machine[property].as_str().map_or_else(|| machine[property].to_string(), str::to_owned)
    }

    /// Everything on the engine that carries this workspace's label.
    pub(crate) fn left(&self) -> Vec<String> {
        self.labelled(&format!("rig.workspace={}", self.name))
    }

    /// What is left of workspaces whose names begin like this.
    pub(crate) fn left_of(&self, workspaces: &str) -> Vec<String> {
        self.labelled("rig.workspace").into_iter().filter(|left| left.contains(workspaces)).collect()
    }

    fn labelled(&self, label: &str) -> Vec<String> {
        let label = label.to_owned();
        self.docker(async |docker| {
            let filters = || Some(HashMap::from([("label".to_owned(), vec![label.clone()])]));
            let containers = ListContainersOptions { all: true, filters: filters(), ..Default::default() };
            let containers = docker.list_containers(Some(containers)).await.unwrap();
            let networks = docker.list_networks(Some(ListNetworksOptions { filters: filters() })).await.unwrap();
            let volumes = docker.list_volumes(Some(ListVolumesOptions { filters: filters() })).await.unwrap();
            let mut left: Vec<String> = containers.into_iter().flat_map(|container| container.names.unwrap()).collect();
            left.extend(networks.into_iter().map(|network| format!("network {}", network.name.unwrap())));
            let images = ListImagesOptions { all: true, filters: filters(), ..Default::default() };
            let images = docker.list_images(Some(images)).await.unwrap();
            left.extend(images.into_iter().map(|image| format!("image {:?} {}", image.repo_tags, image.id)));
            left.extend(
                volumes.volumes.unwrap_or_default().into_iter().map(|volume| format!("volume {}", volume.name)),
            );
            left
        })
    }

    /// Kills a machine as somebody outside rig would.
    pub(crate) fn kill(&self, machine: &str) {
        let container = self.container_name(machine);
        self.docker(async |docker| docker.kill_container(&container, None).await.unwrap());
    }
}

/// All files below a folder.
fn walk(folder: PathBuf) -> Vec<PathBuf> {
    let (mut open, mut found) = (vec![folder], Vec::new());
    while let Some(place) = open.pop() {
        for entry in std::fs::read_dir(&place).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() { open.push(path) } else { found.push(path) }
        }
    }
    found
}

impl Drop for Lab {
    fn drop(&mut self) {
        let run = self.run(&["destroy", "-f", "--volumes"]);
        // Without the machine that its engine runs in, nothing is left.
        let no_engine = run.stderr.contains("the virtual machine of the container engine is not there");
        if run.code != 0 && !no_engine && !std::thread::panicking() {
            panic!("cleaning up: {}", run.stderr);
        }
    }
}
