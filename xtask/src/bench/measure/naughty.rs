//! The shell script that a careful person would write to install Spark over SSH: the same machines as rig's, the same steps
//! with the same scripts, over one OpenSSH connection for each machine, all machines at the same time.

use super::{
    contender::Setting,
    program,
    script::{self, Cluster},
};
use crate::cargo::{Result, root};
use bollard::models::ContainerInspectResponse;
use std::{fmt::Write as _, fs, path::Path, process::Command};

/// What rig put into the machines and the script puts there too: name here, place there.
const FILES: [(&str, &str); 7] = [
    ("spark.tar.gz", "/var/cache/rig/spark.tar.gz"),
    ("connector.tar", "/var/cache/rig/connector.tar"),
    ("spark-defaults.conf", "/opt/spark/conf/spark-defaults.conf"),
    ("spark-scala-submit", "/opt/spark/bin/spark-scala-submit"),
    ("spark-env.sh", "/opt/spark/conf/spark-env.sh"),
    ("rig-master", "/opt/spark/sbin/rig-master"),
    ("rig-worker", "/opt/spark/sbin/rig-worker"),
];

/// The functions that the script's steps use. Arguments of `step`: machine, script, the script's own. Of `put`: machine,
/// file, place, mode.
const FUNCTIONS: &str = r#"
step() {
    machine=$1 script=$2
    shift 2
    ssh -F config "$machine" "cat >/tmp/step && sudo sh -eu /tmp/step $*" <"$script" >"$machine.log" 2>&1
}
put() {
    ssh -F config "$1" "sudo sh -c 'mkdir -p ${3%/*} && cat >$3 && chmod $4 $3'" <"$2"
}
enrol() {
    docker exec -i "$1" sh -c 'umask 077; mkdir -p /home/rig/.ssh; cat >/home/rig/.ssh/authorized_keys; chown -R rig: /home/rig/.ssh' <.rig/keys/ssh.pub
    until ssh -F config "$2" true 2>/dev/null; do sleep 0.05; done
}
install() {
    step "$1" packages.sh openjdk-17-jdk-headless ca-certificates-java
    step "$1" recipes/jdk/link.sh 17
    step "$1" packages.sh python3
    put "$1" spark.tar.gz /var/cache/rig/spark.tar.gz 0644
    step "$1" recipes/spark/scripts/unpack.sh /var/cache/rig/spark.tar.gz /opt/spark
    put "$1" connector.tar /var/cache/rig/connector.tar 0644
    step "$1" recipes/spark/scripts/connector.sh /var/cache/rig/connector.tar /opt/spark/connector
    for file in conf/spark-defaults.conf:0644 bin/spark-scala-submit:0755 conf/spark-env.sh:0755 "sbin/rig-$2:0755"; do
        path=${file%:*}
        put "$1" "${path##*/}" "/opt/spark/$path" "${file#*:}"
    done
    step "$1" recipes/spark/scripts/commands.sh
}
"#;

/// The script's parts.
pub(super) struct Naughty<'a> {
    cluster: &'a Cluster,
    /// The word for each machine in the configuration of OpenSSH.
    hosts: Vec<String>,
}

impl<'a> Naughty<'a> {
    /// Copies what rig put into the machines of a cluster to a folder, and writes a configuration for OpenSSH.
    ///
    /// # Errors
    /// When something is not where it should be.
    pub(super) fn prepare(setting: &Setting, folder: &Path, cluster: &'a Cluster) -> Result<Self> {
        let container = |container: &ContainerInspectResponse| {
            container.name.as_deref().unwrap_or_default().trim_start_matches('/').to_owned()
        };
        let worker = cluster.workers.first().ok_or("rig brought no worker up")?;
        for (file, place) in FILES {
            let from = container(if file == "rig-worker" { worker } else { &cluster.master });
            let mut copy = Command::new("docker");
            copy.args(["cp", &format!("{from}:{place}"), file]).current_dir(folder);
            program::run("docker cp", copy.env("DOCKER_HOST", setting.docker_host()), folder)?;
        }
        let scripts = root().join("crates").join("recipes").join("scripts");
        for script in ["packages.sh", "service.sh"] {
            fs::copy(scripts.join(script), folder.join(script))
                .map_err(|error| format!("copying {script}: {error}"))?;
        }
        let mut config = String::new();
        let mut hosts = Vec::new();
        for machine in [&cluster.master].into_iter().chain(&cluster.workers) {
            let host = script::name(machine).trim_start_matches(script::NAME).trim_start_matches('-').to_owned();
            let address = script::endpoint(machine).and_then(script::address).ok_or("a machine has no address")?;
            let _ = writeln!(config, "Host {host}\n    HostName {address}");
            hosts.push(host);
        }
        let here = folder.display();
        let _ = writeln!(
            config,
            "Host *\n    User rig\n    IdentityFile {here}/.rig/keys/ssh\n    IdentitiesOnly yes\n    StrictHostKeyChecking accept-new\n    \
             UserKnownHostsFile {here}/known_hosts\n    ControlMaster auto\n    ControlPath {here}/%C\n    ControlPersist 5"
        );
        fs::write(folder.join("config"), config).map_err(|error| format!("writing the configuration: {error}"))?;
        Ok(Self { cluster, hosts })
    }

    /// The script.
    pub(super) fn script(&self) -> String {
        let mut script = format!("set -eu\nrm -f known_hosts\n{FUNCTIONS}");
        let _ = writeln!(
            script,
            "docker network create --subnet {} {} >/dev/null",
            script::quoted(&self.cluster.subnet),
            script::NAME
        );
        let machines = || [&self.cluster.master].into_iter().chain(&self.cluster.workers).zip(&self.hosts);
        for (index, (machine, host)) in machines().enumerate() {
            let (role, service) = if index == 0 { ("master", "spark-master") } else { ("worker", "spark-worker") };
            let waits = if index == 0 { String::new() } else { script::master_is_up(self.cluster) + "\n    " };
            let _ = writeln!(
                script,
                "(\n    {} >/dev/null\n    enrol {} {host}\n    install {host} {role}\n    {waits}\
                 step {host} service.sh {service} spark /opt/spark/sbin/rig-{role}\n) &\npids=\"${{pids:-}} $!\"",
                script::docker_run(machine),
                script::name(machine),
            );
        }
        let _ = writeln!(
            script,
            "code=0\nfor pid in $pids; do wait \"$pid\" || code=1; done\n[ $code = 0 ]\n{}",
            script::workers_are_up(self.cluster)
        );
        script
    }
}
