//! What becomes of files that are right.

use super::support::{in_machine, in_topology, machine, workspace};
use rig_model::{
    BootstrapKind, BoxSource, Bytes, CheckTarget, Condition, DriftClass, Expectation, MachineId, MilliCpus, Name, Part,
    ProbeKind, Protocol, RequestedPort, RestartPolicy, Text, Workspace,
};
use std::time::Duration;

fn names(workspace: &Workspace) -> Vec<&str> {
    workspace.machines().map(|machine| machine.id.machine.as_str()).collect()
}

fn id(machine: &str) -> MachineId {
    MachineId::new(Name::new("lab").unwrap(), Name::new(machine).unwrap())
}

#[test]
fn a_machine_has_defaults_for_everything() {
    let db = machine("");
    assert_eq!(db.hostname, "db");
    assert_eq!(db.provider.as_str(), "docker");
    assert_eq!(db.index, None);
    assert_eq!(db.networks[0].network.as_str(), "net");
    assert_eq!(db.restart, RestartPolicy::No);
    assert_eq!(db.stop_timeout, Duration::from_secs(10));
    assert_eq!(db.ready.timeout, Duration::from_secs(120));
    assert!(db.command.is_empty() && db.ports.is_empty() && db.ready.probes.is_empty());
    assert_eq!(db.origin.to_string(), "workspace.kdl:6");
}

#[test]
fn groups_count_from_one() {
    let lab = workspace(&in_topology(
        "machine \"node\" count=3 role=\"r{n}\" { hostname \"node{n}.lab\"; ip \"10.8.0.1{n}\"; command \"{name}\" \"{role}\" \"{host}\" \"{count}\"; port 80 only=2 }\nmachine \"none\" count=0",
    ));
    assert_eq!(names(&lab), ["node1", "node2", "node3"]);
    let second = lab.machine(&id("node2")).unwrap();
    assert_eq!((second.index, second.role.as_deref(), second.hostname.as_str()), (Some(2), Some("r2"), "node2.lab"));
    assert_eq!(second.networks[0].ip.unwrap().to_string(), "10.8.0.12");
    assert_eq!(second.command, ["node2", "r2", "node2.lab", "3"].map(Text::from));
    assert_eq!(lab.machines().map(|machine| machine.ports.len()).collect::<Vec<_>>(), [0, 1, 0]);
    let counts: Vec<_> = lab.topologies["lab"].counts.iter().map(|(name, count)| (name.as_str(), *count)).collect();
    assert_eq!(counts, [("node", 3), ("none", 0)]);
}

#[test]
fn facts_of_others_can_be_used() {
    let lab = workspace(&in_topology(
        "machine \"a\" role=\"m\" { limits cpus=1.5 memory=\"1GiB\" }\nmachine \"b\" count=2\nmachine \"c\" { command \"{a.host}:{a.ip}\" \"{a.cpus} {a.memory} {a.memory-mib} {a.role}\" \"{b.count} {b.hosts} {b.names}\" \"{b.ips}\" \"{b2.ip}\" \"{{x}}\" \"{workspace}/{topology}\" }",
    ));
    let text = |literal: &str| Part::Literal(literal.to_owned());
    assert_eq!(
        lab.machine(&id("c")).unwrap().command,
        [
            Text(vec![text("a:"), Part::Ip(id("a"))]),
            Text::from("1.5 1024m 1024 m"),
            Text::from("2 b1,b2 b1,b2"),
            Text(vec![Part::Ip(id("b1")), text(","), Part::Ip(id("b2"))]),
            Text(vec![Part::Ip(id("b2"))]),
            Text::from("{x}"),
            Text::from("test/lab"),
        ]
    );
}

#[test]
fn a_machine_is_laid_over_the_defaults() {
    let text = in_machine(
        "command \"own\"\nenv { B \"own\"; C \"own\" }\nport 80 host=\"auto\"\ntmpfs \"/tmp\" exec=#true\nvolume \"data\" \"/own\"\ncap add=\"NET_RAW CHOWN\"\nread-only #false",
    )
    .replace(
        "defaults {",
        "defaults { command \"common\"; env { A \"common\"; B \"common\" }; port 80; port 81 host=8081 bind=\"0.0.0.0\" protocol=\"udp\"; tmpfs \"/tmp\"; tmpfs \"/run\"; volume \"data\" \"/common\"; sync \"data\" \"/own\"; cap drop=\"cap_net_raw all\"; read-only; restart \"always\"; user 185;",
    );
    let lab = workspace(&text);
    let db = lab.machines().next().unwrap();
    assert_eq!(db.command, [Text::from("own")]);
    let env: Vec<_> = db.env.iter().map(|(name, value)| (name.as_str(), value.resolve(&|_| None).unwrap())).collect();
    assert_eq!(env, [("A", "common".to_owned()), ("B", "own".to_owned()), ("C", "own".to_owned())]);
    let ports: Vec<_> =
        db.ports.iter().map(|port| (port.guest, port.host, port.protocol, port.bind.to_string())).collect();
    assert_eq!(
        ports,
        [
            (80, RequestedPort::Auto, Protocol::Tcp, "127.0.0.1".to_owned()),
            (81, RequestedPort::Fixed(8081), Protocol::Udp, "0.0.0.0".to_owned()),
        ]
    );
    assert_eq!(db.volumes.iter().map(|volume| volume.target.as_str()).collect::<Vec<_>>(), ["/own"]);
    assert!(db.syncs.is_empty());
    let tmpfs: Vec<_> = db.tmpfs.iter().map(|mount| (mount.target.as_str(), mount.exec)).collect();
    assert_eq!(tmpfs, [("/tmp", true), ("/run", false)]);
    assert_eq!(db.security.cap_add, ["CHOWN", "NET_RAW"]);
    assert_eq!(db.security.cap_drop, ["ALL"]);
    assert!(!db.security.read_only);
    assert_eq!(db.security.user.as_deref(), Some("185"));
    assert_eq!(db.restart, RestartPolicy::Always);
}

#[test]
fn the_nearest_limit_decides() {
    let text = in_topology(
        "machine \"a\"\nmachine \"b\" { flavor \"big\" }\nmachine \"c\" { flavor \"big\"; limits memory=\"1GiB\" }",
    );
    let text = text.replace("defaults {", "defaults { flavor \"small\"; limits pids=100;")
        + "flavor \"small\" cpus=1 memory=\"2GiB\" pids=50\nflavor \"big\" cpus=4\n";
    let lab = workspace(&text);
    let limits: Vec<_> =
        lab.machines().map(|machine| (machine.limits.cpus, machine.limits.memory, machine.limits.pids)).collect();
    let (one, four) = (Some(MilliCpus(1000)), Some(MilliCpus(4000)));
    assert_eq!(
        limits,
        [(one, Some(Bytes(2 << 30)), Some(100)), (four, None, Some(100)), (four, Some(Bytes(1 << 30)), Some(100)),]
    );
    assert_eq!(lab.machine(&id("c")).unwrap().flavor.as_ref().unwrap().as_str(), "big");
}

#[test]
fn dependencies_name_machines_and_groups() {
    let text = in_topology(
        "machine \"seed\" count=3 { after \"seed1\" is=\"started\" }\nmachine \"app\" { after \"seed\" is=\"done\"; after \"seed1\" }",
    );
    let found = super::support::wrong(&text);
    assert!(found[0].contains("waited for twice"), "{found:?}");
    let lab = workspace(
        &text
            .replace("; after \"seed1\" }", " }")
            .replace("defaults {", "defaults { after \"app\" is=\"started\";")
            .replace("after \"seed\" is", "after \"seed1\" is")
            .replace("after \"app\" is=\"started\";", ""),
    );
    let after = |machine: &str| -> Vec<(String, Condition)> {
        let machine = lab.machine(&id(machine)).unwrap();
        machine.after.iter().map(|wait| (wait.machine.machine.to_string(), wait.condition)).collect()
    };
    assert!(after("seed1").is_empty());
    assert_eq!(after("seed3"), [("seed1".to_owned(), Condition::Started)]);
    assert_eq!(after("app"), [("seed1".to_owned(), Condition::Done)]);
}

#[test]
fn defaults_may_wait_for_a_machine_of_the_topology() {
    let lab = workspace(
        &in_topology("machine \"db\"\nmachine \"app\" count=2").replace("defaults {", "defaults { after \"db\";"),
    );
    assert!(lab.machine(&id("db")).unwrap().after.is_empty());
    assert_eq!(lab.machine(&id("app2")).unwrap().after[0].condition, Condition::Ready);
}

#[test]
fn questions_are_read() {
    let db = machine(
        "ready tcp=9042\nready http=\":8080\" every=\"1s\" { value \"$.a[?@.ip=='{ip}']\" is=2 }\nready http=\"http://:80/x?y\"\nready log=\"on {ip}\"\nready { exec \"test\" \"-f\" \"/x\" }\nready-timeout \"2m\"",
    );
    assert_eq!(db.ready.timeout, Duration::from_secs(120));
    let kinds: Vec<&ProbeKind> = db.ready.probes.iter().map(|probe| &probe.kind).collect();
    assert_eq!(kinds[0], &ProbeKind::Tcp { port: 9042 });
    let ProbeKind::Http { port: 8080, path, values } = kinds[1] else { panic!("{kinds:?}") };
    assert_eq!((path.as_str(), values[0].path.0.len(), values[0].is.clone()), ("/", 3, Some(Text::from("2"))));
    assert!(matches!(kinds[2], ProbeKind::Http { port: 80, path, .. } if path == "/x?y"));
    assert!(matches!(kinds[3], ProbeKind::Log { contains } if contains.0.len() == 2));
    assert!(matches!(kinds[4], ProbeKind::Exec { command } if command.len() == 3));
    assert_eq!(db.ready.probes[1].every, Duration::from_secs(1));
}

#[test]
fn checks_apply_where_their_machine_is() {
    let text = "workspace \"t\"\nvariable \"slices\" 100\nbox \"b\" { image \"x\" }\ntopology \"one\" idiom=\"immutable\" { defaults { box \"b\" }; machine \"m\" count=2; check \"own\" on=\"m\" { run \"a\" \"{slices}\" \"{host}\"; expect stdout=\"ok\" matches=\"a{{2}}\"; timeout \"1m\" } }\ntopology \"two\" idiom=\"mutable\" { machine \"m1\" { box \"b\" } }\ncheck \"both\" on=\"m1\" tcp=80\ncheck \"one\" on=\"one/m2\" { run \"x\"; expect exit=3 }\n";
    let checks = workspace(text).checks;
    let list: Vec<_> = checks.iter().map(|check| format!("{}/{}", check.topology, check.name)).collect();
    assert_eq!(list, ["one/own", "one/both", "two/both", "one/one"]);
    let CheckTarget::Run { on, command, expect } = &checks[0].target else { panic!() };
    assert_eq!(on.to_string(), "one/m1");
    assert_eq!(command, &["a", "100", "m1"].map(Text::from));
    assert_eq!(expect[0], Expectation::Exit(0));
    assert!(expect.contains(&Expectation::Matches("a{2}".to_owned())));
    assert_eq!(checks[0].timeout, Duration::from_secs(60));
    let CheckTarget::Run { expect, .. } = &checks[3].target else { panic!() };
    assert_eq!(expect, &[Expectation::Exit(3)]);
}

#[test]
fn boxes_come_parents_first_and_sources_in_their_order() {
    let boxes = workspace(
        "workspace \"t\"\nbox \"spark\" { image \"x\"; build \"boxes/spark\" from=\"jvm\" { arg \"V\" 3.10 } }\nbox \"other\" { image \"y\" }\nbox \"jvm\" { build \"boxes/jvm\" from=\"base\" }\nbox \"base\" { host-trust #false; bootstrap \"bookworm\" { package \"a\" \"b\" } }",
    )
    .boxes;
    assert_eq!(boxes.keys().map(Name::as_str).collect::<Vec<_>>(), ["base", "jvm", "spark", "other"]);
    assert!(!boxes["base"].host_trust && boxes["jvm"].host_trust);
    let [BoxSource::Image(_), BoxSource::Build(build)] = boxes["spark"].sources.as_slice() else { panic!() };
    assert_eq!(build.args["V"], "3.10");
}

#[test]
fn a_bootstrap_is_for_virtual_machines_when_it_says_so() {
    let kind = |line: &str| {
        let text = format!("workspace \"t\"\nbox \"a\" {{ bootstrap \"bookworm\" {{ {line} }} }}");
        let [BoxSource::Bootstrap(bootstrap)] = &workspace(&text).boxes["a"].sources[..] else { panic!() };
        bootstrap.kind
    };
    assert_eq!([kind("kernel"), kind("kernel #true")], [BootstrapKind::Machine; 2]);
    assert_eq!([kind("tiny"), kind("kernel #false; tiny #true")], [BootstrapKind::TinyMachine; 2]);
    assert_eq!([kind("kernel #false"), kind("tiny #false"), kind("package \"a\"")], [BootstrapKind::Container; 3]);
}

#[test]
fn five_hundred_machines_are_read_quickly() {
    let text = in_topology(
        "machine \"seed\"\nmachine \"node\" count=500 { hostname \"node{n}.lab\"; command \"{seed.ip}\" \"{ip}\" \"{node.count}\"; port 80 host=\"auto\"; env { A \"{host}\" }; after \"seed\"; ready tcp=80 }",
    )
    .replace("10.8.0.0/24", "10.8.0.0/16");
    let start = std::time::Instant::now();
    assert_eq!(workspace(&text).machines().count(), 501);
    // Without optimisation and on a busy machine; with it, it takes some milliseconds.
    assert!(start.elapsed() < Duration::from_secs(5), "{:?}", start.elapsed());
}

#[test]
fn a_machines_own_rules_for_drift_come_behind_the_defaults() {
    let text = in_topology("machine \"db\" { drift { cache \"/opt/x/**\" \"**/*.idx\"; ignore \"/srv/**\" } }")
        .replace("defaults {", "defaults { drift { state \"/opt/**\" };");
    let workspace = workspace(&text);
    let db = workspace.machine(&id("db")).unwrap();
    let rules: Vec<_> = db.drift.iter().map(|rule| (rule.pattern.as_str(), rule.class)).collect();
    assert_eq!(
        rules,
        [
            ("/opt/**", Some(DriftClass::State)),
            ("/opt/x/**", Some(DriftClass::Cache)),
            ("**/*.idx", Some(DriftClass::Cache)),
            ("/srv/**", None)
        ]
    );
}

#[test]
fn auto_is_the_provider_that_the_box_is_for() {
    let text = r#"workspace "t"
box "kept" { stored "debian/bookworm64"; }
box "vm" { bootstrap "bookworm" { kernel; } }
box "tiny" { bootstrap "bookworm" { tiny; } }
box "root" { bootstrap "bookworm"; }
box "image" { image "debian"; }
artifact "disk" { source "https://example.org/disk.qcow2"; sha256 "0000000000000000000000000000000000000000000000000000000000000000"; }
box "cloud" { cloud-image "disk"; }
topology "lab" idiom="mutable" {
    defaults { provider "auto"; }
    machine "a" { box "kept"; }
    machine "b" { box "vm"; }
    machine "c" { box "root"; }
    machine "d" { box "image"; }
    machine "e" { box "vm"; provider "docker"; }
    machine "f" { box "tiny"; }
    machine "g" { box "cloud"; }
}"#;
    let workspace = workspace(text);
    let providers: Vec<&str> = workspace.machines().map(|machine| machine.provider.as_str()).collect();
    assert_eq!(providers, ["virtualbox", "qemu", "docker", "docker", "docker", "qemu", "qemu"]);
    let users: Vec<String> = workspace.machines().map(|machine| machine.ssh.clone().unwrap().user).collect();
    assert_eq!(users, ["vagrant", "rig", "rig", "rig", "rig", "rig", "rig"]);
    assert_eq!(workspace.boxes["cloud"].sources[0].artifacts(), [Name::new("disk").unwrap()]);
}

#[test]
fn what_stands_in_the_providers_block_is_the_providers() {
    let text = in_topology(
        "machine \"a\" { provider \"virtualbox\" { front-end \"gui\"; customize \"modifyvm\" \":id\" \"--description\" \"{name}\" when=\"pre-boot\" } }\nmachine \"b\"",
    )
    .replace("defaults {", "defaults { provider \"qemu\" { other 1 };");
    let workspace = workspace(&text);
    let options = |name: &str| -> Vec<String> {
        let options = &workspace.machine(&id(name)).unwrap().options;
        options.iter().map(|option| format!("{}: {option}", option.name)).collect()
    };
    assert_eq!(options("a"), ["front-end: gui", "customize: modifyvm :id --description a when=pre-boot"]);
    assert_eq!(options("b"), ["other: 1"]);
}
