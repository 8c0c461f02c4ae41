//! Machines' lives: up, nothing to do, changes, halt, scale, destroy.

use crate::lab::{BOX, Lab};
use std::time::Duration;

/// A service that ends at once when it is asked to.
const SERVICE: &str = r#"command "sh" "-c" "trap 'exit 0' TERM; echo up as $(hostname); while :; do sleep 0.2; done""#;

fn cluster(memory: &str) -> String {
    format!(
        r#"{BOX}
variable "nodes" 2
topology "lab" idiom="immutable" {{
    network "default" subnet="10.213.7.0/24"
    defaults {{ box "debian"; limits cpus=0.5 memory="64MiB"; {SERVICE} }}
    machine "first" {{
        hostname "first.lab"
        ip "10.213.7.50"
        volume "data" "/data"
        env {{ GREETING "hello" }}
        ready log="up as first.lab"
    }}
    machine "node" count="{{nodes}}" {{
        limits memory="{memory}"
        env {{ FIRST "{{first.ip}}"; SELF "{{ip}}" }}
        after "first" is="ready"
    }}
    check "neighbours" on="first" {{
        run "getent" "hosts" "node1"
        expect stdout="10.213.7."
    }}
}}
"#
    )
}

#[test]
fn a_cluster_comes_up_stays_changes_and_goes() {
    let lab = Lab::new("life", &cluster("64MiB"));

    // Nothing is there, and the plan says so.
    let plan = lab.ok(&["plan", "--json"]).json();
    assert_eq!(plan["schema"], "rig.plan/1");
    assert!(lab.run(&["plan", "--exit-code"]).code(4).stdout.contains("create machine lab/first"));
    assert_eq!(lab.left(), Vec::<String>::new(), "a plan touches nothing");

    lab.ok(&["up"]);
    let status = lab.status();
    assert_eq!(status.len(), 3);
    assert!(status.values().all(|machine| machine["state"] == "running"), "{status:?}");
    assert_eq!(status["lab/first"]["health"], "ready");
    assert_eq!(status["lab/first"]["ip"], "10.213.7.50");

    // Nothing to do is an empty plan, quickly.
    let plan = lab.ok(&["plan", "--json", "--exit-code"]).json();
    assert_eq!(plan["operations"].as_array().unwrap().len(), 0, "{plan}");
    let again = lab.ok(&["up"]);
    assert!(again.elapsed < Duration::from_millis(500), "no-op up took {:?}", again.elapsed);

    // Names, addresses and environment are those of the file, from process 1 on.
    let hosts = lab.ok(&["exec", "node1", "getent", "hosts", "first.lab"]).stdout;
    assert!(hosts.starts_with("10.213.7.50"), "{hosts}");
    let environment = lab.ok(&["exec", "node2", "sh", "-c", "echo $FIRST $SELF"]).stdout;
    assert_eq!(environment.trim(), format!("10.213.7.50 {}", lab.fact("lab/node2", "ip")));
    assert_eq!(lab.run(&["exec", "first", "sh", "-c", "exit 7"]).code, 7);
    assert!(lab.ok(&["logs"]).stdout.contains("lab/first | up as first.lab"));
    lab.ok(&["check"]);

    // A changed limit names its field and touches that group alone.
    lab.write(&cluster("72MiB"));
    let plan = lab.ok(&["plan", "--json"]).json();
    let operations = plan["operations"].as_array().unwrap();
    let create: Vec<_> =
        operations.iter().filter(|operation| operation["action"]["kind"] == "create-machine").collect();
    assert_eq!(create.len(), 2, "{plan}");
    assert_eq!(create[0]["cause"]["changes"][0]["field"], "limits.memory");
    assert_eq!(create[0]["cause"]["changes"][0]["old"], "64MiB");
    assert_eq!(create[0]["cause"]["changes"][0]["new"], "72MiB");
    let first = lab.fact("lab/first", "id");
    let address = lab.fact("lab/node1", "ip");
    lab.ok(&["up"]);
    assert_eq!(lab.fact("lab/first", "id"), first);
    assert_eq!(lab.fact("lab/node1", "ip"), address);

    // Addresses and data survive halt and up.
    lab.ok(&["exec", "first", "sh", "-c", "echo kept > /data/file"]);
    let before: Vec<String> = ["lab/first", "lab/node1", "lab/node2"].iter().map(|name| lab.fact(name, "ip")).collect();
    lab.ok(&["halt"]);
    assert!(lab.status().values().all(|machine| machine["state"] == "exited"));
    lab.ok(&["up"]);
    let after: Vec<String> = ["lab/first", "lab/node1", "lab/node2"].iter().map(|name| lab.fact(name, "ip")).collect();
    assert_eq!(before, after);
    assert_eq!(lab.ok(&["exec", "first", "cat", "/data/file"]).stdout, "kept\n");

    // Scaling keeps low numbers; the count stays until it is changed.
    let second = lab.fact("lab/node2", "id");
    lab.ok(&["scale", "node=4"]);
    assert_eq!(lab.status().len(), 5);
    assert_eq!(lab.fact("lab/node2", "id"), second);
    lab.ok(&["up"]);
    assert_eq!(lab.status().len(), 5);
    lab.ok(&["scale", "node=1"]);
    assert_eq!(lab.status().len(), 2);
    assert_eq!(lab.fact("lab/first", "id"), first, "the others keep their ids");

    // Volumes outlive machines; only a word takes them away.
    lab.ok(&["destroy", "-f"]);
    assert_eq!(lab.left(), vec![format!("volume {}.lab.first.data", lab.name)]);
    lab.ok(&["up", "first"]);
    assert_eq!(lab.ok(&["exec", "first", "cat", "/data/file"]).stdout, "kept\n");
    lab.ok(&["destroy", "-f", "--volumes"]);
    assert_eq!(lab.left(), Vec::<String>::new());
}

#[test]
fn topologies_do_not_reach_each_other() {
    let topology = |name: &str| {
        format!(
            r#"topology "{name}" idiom="immutable" {{
    defaults {{ box "debian"; limits memory="64MiB"; {SERVICE} }}
    machine "node" {{ ready log="up" }}
}}
"#
        )
    };
    let lab = Lab::new("tenants", &format!("{BOX}{}{}", topology("left"), topology("right")));
    lab.ok(&["up"]);
    let right = lab.fact("right/node", "ip");
    let ask = format!("timeout 3 bash -c '</dev/tcp/{right}/9'; echo $?");
    let answer = lab.ok(&["exec", "left/node", "bash", "-c", &ask]).stdout;
    // A refused connection would be code 1: that would be a neighbour. Silence is 124.
    assert_eq!(answer.trim(), "124", "a machine of another topology answered");
    // Without a topology the name means two machines.
    assert!(lab.run(&["exec", "node", "true"]).code(2).stderr.contains("left/node, right/node"));
}

#[test]
fn ports_are_published_on_loopback_and_found() {
    let text = format!(
        r#"{BOX}
topology "lab" idiom="immutable" {{
    machine "web" count=2 {{
        box "debian"
        {SERVICE}
        port 18099 host="auto"
    }}
}}
"#
    );
    let lab = Lab::new("ports", &text);
    lab.ok(&["up"]);
    let ports = lab.ok(&["port", "--json"]).json();
    let published: Vec<(u64, String)> = ports["machines"]
        .as_array()
        .unwrap()
        .iter()
        .map(|machine| &machine["ports"][0])
        .map(|port| (port["host"].as_u64().unwrap(), port["bind"].as_str().unwrap().to_owned()))
        .collect();
    assert_eq!(published.len(), 2);
    assert_ne!(published[0].0, published[1].0);
    assert!(published.iter().all(|(_, bind)| bind == "127.0.0.1"), "{published:?}");
    // What was found once stays.
    lab.ok(&["halt"]);
    lab.ok(&["up"]);
    assert_eq!(lab.ok(&["port", "--json"]).json(), ports);
}

#[test]
fn machines_have_only_what_they_were_given() {
    let text = format!(
        r#"{BOX}
topology "lab" idiom="immutable" {{
    defaults {{ box "debian"; limits memory="64MiB"; {SERVICE} }}
    machine "plain"
    machine "locked" {{ read-only; cap drop="all"; user "1000" }}
}}
"#
    );
    let lab = Lab::new("rights", &text);
    lab.ok(&["up"]);
    let status = |machine: &str| lab.ok(&["exec", machine, "cat", "/proc/1/status"]).stdout;
    let field = |text: &str, name: &str| {
        text.lines().find_map(|line| line.strip_prefix(name)).unwrap_or_default().trim().to_owned()
    };
    let plain = status("plain");
    assert_eq!(field(&plain, "NoNewPrivs:"), "1");
    // CHOWN DAC_OVERRIDE FOWNER FSETID KILL SETGID SETUID NET_BIND_SERVICE SYS_CHROOT
    assert_eq!(field(&plain, "CapEff:"), "00000000000404fb");
    let locked = status("locked");
    assert_eq!(field(&locked, "CapEff:"), "0000000000000000");
    assert_eq!(field(&locked, "CapBnd:"), "0000000000000000");
    assert!(field(&locked, "Uid:").starts_with("1000"));
    assert!(lab.run(&["exec", "locked", "touch", "/file"]).code != 0);
    // The box holds no day on which it was built: the same packages make the same files tomorrow.
    let accounts = lab.ok(&["exec", "plain", "cat", "/etc/shadow"]).stdout;
    let days: Vec<&str> = accounts.lines().filter_map(|line| line.split(':').nth(2)).collect();
    assert!(days.len() > 10 && days.iter().all(|day| day.is_empty()), "{accounts}");
}

#[test]
fn dependencies_decide_the_order() {
    let text = format!(
        r#"{BOX}
topology "lab" idiom="immutable" {{
    defaults {{ box "debian"; limits memory="64MiB" }}
    machine "prepare" {{ command "sh" "-c" "sleep 1; echo prepared" }}
    machine "service" {{
        {SERVICE}
        after "prepare" is="done"
        ready {{ exec "true" }}
    }}
}}
"#
    );
    let lab = Lab::new("order", &text);
    lab.ok(&["up", "service"]);
    assert_eq!(lab.fact("lab/prepare", "state"), "exited");
    assert_eq!(lab.fact("lab/service", "state"), "running");
    // A one-shot that ended well is not run again.
    let plan = lab.ok(&["plan", "--json"]).json();
    assert_eq!(plan["operations"].as_array().unwrap().len(), 0, "{plan}");
}
