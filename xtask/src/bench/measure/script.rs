//! The shell script that a careful person would write instead: the docker commands for the machines that rig made, with the
//! same images and the same flags, taken from what the engine says about them.

use bollard::models::{ContainerInspectResponse, EndpointSettings, HostConfig, MountType, PortBinding};
use std::fmt::Write as _;

/// The names of everything that the script makes begin so.
pub(super) const NAME: &str = "rigbench-script";

/// A cluster as the engine describes it.
pub(super) struct Cluster {
    /// The network's range.
    pub(super) subnet: String,
    /// What the others report to.
    pub(super) master: ContainerInspectResponse,
    /// All others.
    pub(super) workers: Vec<ContainerInspectResponse>,
}

/// Brings the cluster up, and ends when the master has registered all workers.
pub(super) fn up(cluster: &Cluster) -> String {
    let mut script = format!("set -eu\ndocker network create --subnet {} {NAME} >/dev/null\n", quoted(&cluster.subnet));
    let _ = writeln!(script, "{} >/dev/null", docker_run(&cluster.master));
    let _ = writeln!(script, "{}", master_is_up(cluster));
    for worker in &cluster.workers {
        let _ = writeln!(script, "{} >/dev/null &", docker_run(worker));
    }
    let _ = writeln!(script, "wait\n{}", workers_are_up(cluster));
    script
}

/// Gets the page on which the master says how it is.
fn page(cluster: &Cluster) -> String {
    let address = endpoint(&cluster.master).and_then(address).unwrap_or_default();
    format!("curl --silent --noproxy '*' --max-time 2 http://{address}:8080/json/")
}

/// Waits until the master takes workers.
pub(super) fn master_is_up(cluster: &Cluster) -> String {
    format!("until {} | grep -q '\"status\" : \"ALIVE\"'; do sleep 0.05; done", page(cluster))
}

/// Waits until the master has registered all workers.
pub(super) fn workers_are_up(cluster: &Cluster) -> String {
    let count = cluster.workers.len();
    format!("until {} | grep -q '\"aliveworkers\" : {count},'; do sleep 0.05; done", page(cluster))
}

/// A container's name in the script.
pub(super) fn name(container: &ContainerInspectResponse) -> String {
    let machine = container.name.as_deref().and_then(|name| name.rsplit('.').next()).unwrap_or("machine");
    format!("{NAME}-{machine}")
}

/// One container, with everything that was said when rig created it.
pub(super) fn docker_run(container: &ContainerInspectResponse) -> String {
    let mut words: Vec<String> = vec!["docker".into(), "run".into(), "--detach".into()];
    let mut flag = |name: &str, value: &str| words.extend([format!("--{name}"), value.to_owned()]);
    flag("name", &name(container));
    flag("network", NAME);
    if let Some(endpoint) = endpoint(container) {
        if let Some(ip) = address(endpoint) {
            flag("ip", &ip);
        }
        for alias in endpoint.aliases.iter().flatten() {
            flag("network-alias", alias);
        }
    }
    let config = container.config.clone().unwrap_or_default();
    if let Some(hostname) = &config.hostname {
        flag("hostname", hostname);
    }
    if let Some(user) = config.user.as_deref().filter(|user| !user.is_empty()) {
        flag("user", user);
    }
    for variable in config.env.iter().flatten() {
        flag("env", variable);
    }
    for (name, value) in container.host_config.iter().flat_map(host_flags) {
        flag(name, &value);
    }
    if container.host_config.as_ref().and_then(|host| host.readonly_rootfs) == Some(true) {
        words.push("--read-only".to_owned());
    }
    words.extend(config.image);
    words.extend(config.cmd.into_iter().flatten());
    words.iter().map(|word| quoted(word)).collect::<Vec<_>>().join(" ")
}

/// Limits, security, folders and ports.
fn host_flags(host: &HostConfig) -> Vec<(&'static str, String)> {
    let mut flags = Vec::new();
    let positive = |number: Option<i64>| number.filter(|number| *number > 0);
    flags.extend(positive(host.memory).map(|bytes| ("memory", bytes.to_string())));
    flags.extend(positive(host.memory_swap).map(|bytes| ("memory-swap", bytes.to_string())));
    // Exact to a thousandth, which is what rig's files can say.
    flags.extend(
        positive(host.nano_cpus)
            .map(|nano| ("cpus", format!("{}.{:03}", nano / 1_000_000_000, nano / 1_000_000 % 1000))),
    );
    flags.extend(positive(host.pids_limit).map(|count| ("pids-limit", count.to_string())));
    flags.extend(host.cap_drop.iter().flatten().map(|name| ("cap-drop", name.clone())));
    flags.extend(host.cap_add.iter().flatten().map(|name| ("cap-add", name.clone())));
    flags.extend(host.security_opt.iter().flatten().map(|option| ("security-opt", option.clone())));
    flags.extend(host.tmpfs.iter().flatten().map(|(target, options)| ("tmpfs", format!("{target}:{options}"))));
    let restart = host.restart_policy.as_ref().and_then(|policy| policy.name);
    flags.extend(restart.map(|name| name.to_string()).filter(|name| !name.is_empty()).map(|name| ("restart", name)));
    for mount in host.mounts.iter().flatten().filter(|mount| mount.typ == Some(MountType::BIND)) {
        let (source, target) =
            (mount.source.as_deref().unwrap_or_default(), mount.target.as_deref().unwrap_or_default());
        let mode = if mount.read_only == Some(true) { ",readonly" } else { "" };
        flags.push(("mount", format!("type=bind,source={source},target={target}{mode}")));
    }
    for (guest, bindings) in host.port_bindings.iter().flatten() {
        flags.extend(bindings.iter().flatten().map(|binding| ("publish", published(guest, binding))));
    }
    flags
}

fn published(guest: &str, binding: &PortBinding) -> String {
    format!(
        "{}:{}:{guest}",
        binding.host_ip.as_deref().unwrap_or("127.0.0.1"),
        binding.host_port.as_deref().unwrap_or_default()
    )
}

/// Its place on its only network.
pub(super) fn endpoint(container: &ContainerInspectResponse) -> Option<&EndpointSettings> {
    container.network_settings.as_ref()?.networks.as_ref()?.values().next()
}

/// The fixed address, else the one that it has.
pub(super) fn address(endpoint: &EndpointSettings) -> Option<String> {
    let fixed = endpoint.ipam_config.as_ref().and_then(|config| config.ipv4_address.clone());
    fixed.or_else(|| endpoint.ip_address.clone()).filter(|address| !address.is_empty())
}

/// A word that a shell leaves as it is.
pub(super) fn quoted(word: &str) -> String {
    let plain = |character: char| character.is_ascii_alphanumeric() || "-_./:=,@%+".contains(character);
    if !word.is_empty() && word.chars().all(plain) {
        word.to_owned()
    } else {
        format!("'{}'", word.replace('\'', r"'\''"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use bollard::models::ContainerConfig;

    #[test]
    fn flags_and_words() {
        let container = ContainerInspectResponse {
            name: Some("/rigbench-spark.immutable.spark-master".to_owned()),
            config: Some(ContainerConfig {
                image: Some("spark:1".to_owned()),
                cmd: Some(vec!["it's".to_owned()]),
                ..ContainerConfig::default()
            }),
            host_config: Some(HostConfig {
                nano_cpus: Some(1_500_000_000),
                readonly_rootfs: Some(true),
                ..HostConfig::default()
            }),
            ..ContainerInspectResponse::default()
        };
        assert_eq!(
            docker_run(&container),
            r"docker run --detach --name rigbench-script-spark-master --network rigbench-script --cpus 1.500 --read-only spark:1 'it'\''s'"
        );
    }
}
