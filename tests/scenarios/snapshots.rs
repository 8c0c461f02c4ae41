//! Snapshots: machines of both idioms go back to what they were.

use crate::lab::{BOX, Lab};
use serde_json::Value;
use std::time::{Duration, Instant};

fn text() -> String {
    format!(
        r#"{BOX}
box "sshd" {{ build "boxes/sshd" from="debian" }}
topology "naughty" idiom="mutable" {{
    machine "node" {{
        box "sshd"; cap add="AUDIT_WRITE"; new-privileges
        shell "program" inline="printf '#!/bin/sh\n' >/usr/local/bin/tool; chmod 755 /usr/local/bin/tool; rm -f /etc/motd; date +%N >/var/lib/steps"
        file "app.conf" "/etc/app.conf" mode="0644"
        ready tcp=22
    }}
}}
topology "immutable" idiom="immutable" {{
    machine "web" {{
        box "debian"
        command "sh" "-c" "trap 'exit 0' TERM; echo up; while :; do sleep 0.2; done"
        volume "data" "/var/lib/web/data"
        env {{ WORD "value" }}
        ready log="up"
    }}
}}
"#
    )
}

fn lab(name: &str) -> Lab {
    let lab = Lab::new(name, &text());
    lab.bring("boxes/sshd");
    lab.put("app.conf", "one\ntwo\n");
    lab
}

/// Runs a line of the shell in a machine and gives what it printed.
#[track_caller]
fn shell(lab: &Lab, machine: &str, line: &str) -> String {
    lab.ok(&["exec", machine, "--", "sh", "-c", line]).stdout
}

/// Paths, packages and listeners that differ; what services write by themselves is not of interest here.
fn changed(document: &Value) -> Vec<String> {
    let mut all = Vec::new();
    for machine in document["machines"].as_array().unwrap() {
        assert_eq!(machine["gaps"].to_string(), "[]", "{document}");
        let files = machine["files"].as_array().unwrap().iter();
        let files = files.filter(|file| !matches!(file["class"].as_str(), Some("log" | "cache" | "temporary")));
        let of = |kind: &str| machine[kind].as_array().unwrap().clone();
        let items = of("packages").into_iter().chain(of("listeners"));
        let word = |value: &Value| value.as_str().unwrap().to_owned();
        let name = word(&machine["machine"]);
        all.extend(files.map(|file| format!("{name} {} {}", word(&file["change"]), word(&file["path"]))));
        all.extend(items.map(|item| format!("{name} {} {}", word(&item["change"]), word(&item["name"]))));
    }
    all
}

#[track_caller]
fn nothing_to_do(lab: &Lab, target: &str) {
    let plan = lab.ok(&["plan", "--json", "--exit-code", target]).json();
    assert_eq!(plan["operations"].as_array().unwrap().len(), 0, "{plan}");
}

const LOOK: &str = "cat /etc/app.conf /var/lib/steps; ls /etc/motd /srv/added /usr/local/bin/tool 2>/dev/null; true";
const DATA: &str = "cd /var/lib/web/data; stat -c '%n %a %u:%g' . * | sort; cat *; cat /etc/debian_version";

#[test]
fn machines_of_both_idioms_go_back_and_nothing_is_left_to_do() {
    let lab = lab("snapshot");
    lab.ok(&["up"]);
    lab.run(&["reset", "-f"]).code(2);
    shell(
        &lab,
        "web",
        "cd /var/lib/web/data; echo kept >one; chmod 600 one; echo gone >two; chown 12:34 two; chmod 1777 .",
    );
    // An immutable machine that had changed before its snapshot: that does not become right by it.
    shell(&lab, "web", "echo changed >/etc/issue");
    let before = [shell(&lab, "node", LOOK), shell(&lab, "web", DATA)];
    let ips = ["naughty/node", "immutable/web"].map(|machine| lab.fact(machine, "ip"));

    let saved = lab.ok(&["snapshot", "save", "before", "--json"]);
    assert_eq!(saved.stdout.lines().last().map(|line| line.contains("rig.run/1")), Some(true), "{}", saved.stdout);
    assert!(lab.status().values().all(|machine| machine["state"] == "running"));
    let list = lab.ok(&["snapshot", "list", "--json"]).json();
    assert_eq!(list["schema"], "rig.snapshots/1");
    assert_eq!(list["snapshots"][0]["name"], "before");
    let members = list["snapshots"][0]["machines"].as_array().unwrap();
    assert_eq!((&members[0]["machine"], &members[0]["volumes"]), (&"immutable/web".into(), &1.into()));
    assert!(members.iter().all(|member| member["complete"] == true && member["running"] == true), "{list}");
    assert!(lab.run(&["snapshot", "save", "before"]).code(2).stderr.contains("have a snapshot before already"));
    nothing_to_do(&lab, "/./");
    // What is there is what was there.
    assert_eq!(changed(&lab.ok(&["drift", "--since", "before", "--json"]).json()), Vec::<String>::new());

    shell(
        &lab,
        "node",
        "sed -i s/two/three/ /etc/app.conf; rm /usr/local/bin/tool; echo x >/srv/added; echo x >/etc/motd",
    );
    shell(
        &lab,
        "web",
        "cd /var/lib/web/data; echo new >one; rm two; echo x >three; chmod 700 .; echo x >>/etc/debian_version",
    );
    let since = lab.run(&["drift", "--since", "before", "--json"]).code(3).json();
    assert_eq!(since["machines"][0]["since"], "before");
    assert_eq!(
        changed(&since),
        [
            "immutable/web changed /etc/debian_version",
            "naughty/node changed /etc/app.conf",
            "naughty/node added /etc/motd",
            "naughty/node added /srv/added",
            "naughty/node removed /usr/local/bin/tool",
        ]
    );
    let diff = lab.ok(&["drift", "node", "--since", "before", "--diff", "/etc/app.conf"]).stdout;
    assert!(diff.contains("-two\n+three\n"), "{diff}");

    // Without a terminal nobody can be asked, and nothing is touched.
    assert!(lab.run(&["snapshot", "restore", "before"]).code(2).stderr.contains("confirmed"));
    assert!(lab.run(&["snapshot", "restore", "other", "-f"]).code(2).stderr.contains("there are: before"));
    let plan = lab.ok(&["snapshot", "restore", "before", "--dry-run"]).stdout;
    assert!(plan.contains("restore machine immutable/web") && plan.contains("to snapshot before of"), "{plan}");
    lab.ok(&["snapshot", "restore", "before", "-f"]);

    assert_eq!([shell(&lab, "node", LOOK), shell(&lab, "web", DATA)], before);
    assert_eq!(["naughty/node", "immutable/web"].map(|machine| lab.fact(machine, "ip")), ips);
    nothing_to_do(&lab, "/./");
    let again = lab.ok(&["up"]);
    assert!(again.elapsed < Duration::from_millis(500), "no-op up took {:?}", again.elapsed);
    assert_eq!(lab.ok(&["ssh", "node", "--", "cat", "/etc/app.conf"]).stdout, "one\ntwo\n");
    assert_eq!(shell(&lab, "web", "echo $WORD"), "value\n");
    // The truth about what was changed before the snapshot, and about nothing else.
    assert_eq!(changed(&lab.run(&["drift", "--json"]).code(3).json()), ["immutable/web changed /etc/issue"]);
    assert_eq!(changed(&lab.ok(&["drift", "--since", "before", "--json"]).json()), Vec::<String>::new());
    let installed = changed(&lab.ok(&["drift", "node", "--since", "box", "--json"]).json());
    assert!(installed.contains(&"naughty/node added /etc/app.conf".to_owned()), "{installed:?}");
    assert!(installed.contains(&"naughty/node removed /etc/motd".to_owned()), "{installed:?}");
    let diff = lab.ok(&["drift", "web", "--diff", "/etc/issue"]).stdout;
    assert!(diff.contains("+changed") && diff.contains("-Debian"), "{diff}");

    // Reset goes to the newest, and to any other.
    shell(&lab, "web", "echo later >/var/lib/web/data/one");
    lab.ok(&["snapshot", "save", "later"]);
    shell(&lab, "web", "echo lost >/var/lib/web/data/one");
    lab.ok(&["reset", "-f"]);
    assert_eq!(shell(&lab, "web", "cat /var/lib/web/data/one"), "later\n");
    lab.ok(&["reset", "-f", "--to", "before", "immutable"]);
    assert_eq!(shell(&lab, "web", DATA), before[1]);
    nothing_to_do(&lab, "/./");

    // A machine goes on without the snapshot that it came from, and the box stays known.
    lab.ok(&["snapshot", "delete", "before"]);
    lab.run(&["snapshot", "delete", "before"]).code(2);
    lab.ok(&["halt", "web"]);
    lab.ok(&["up"]);
    assert_eq!(changed(&lab.run(&["drift", "web", "--json"]).code(3).json()), ["immutable/web changed /etc/issue"]);
    nothing_to_do(&lab, "/./");

    lab.ok(&["destroy", "-f", "--volumes"]);
    assert_eq!(lab.left(), Vec::<String>::new());
    assert!(lab.ok(&["snapshot", "list"]).stderr.contains("no snapshots"));
}

#[test]
fn what_was_killed_halfway_is_cleaned_up() {
    let lab = lab("snapshot-cut");
    lab.ok(&["up", "web"]);
    // A volume that takes a while.
    shell(&lab, "web", "echo kept >/var/lib/web/data/one; head -c 200000000 /dev/zero >/var/lib/web/data/large");
    for moment in [100, 400, 900] {
        let mut child = lab.start(&["snapshot", "save", "cut", "web"]);
        std::thread::sleep(Duration::from_millis(moment));
        child.kill().unwrap();
        child.wait().unwrap();
        // The next save is whole, and the machine runs.
        lab.ok(&["snapshot", "save", "--force", "whole", "web"]);
        assert_eq!(lab.fact("immutable/web", "state"), "running");
        let list = lab.ok(&["snapshot", "list", "--json"]).json();
        for snapshot in list["snapshots"].as_array().unwrap() {
            assert_eq!(snapshot["machines"][0]["complete"], true, "{list}");
        }
        let mut child = lab.start(&["snapshot", "restore", "whole", "-f", "web"]);
        std::thread::sleep(Duration::from_millis(moment + 200));
        child.kill().unwrap();
        child.wait().unwrap();
        lab.ok(&["snapshot", "restore", "whole", "-f", "web"]);
        assert_eq!(
            shell(&lab, "web", "cat /var/lib/web/data/one; stat -c %s /var/lib/web/data/large"),
            "kept\n200000000\n"
        );
        nothing_to_do(&lab, "web");
    }
    // An interrupted save leaves a machine that runs.
    let began = Instant::now();
    let child = lab.start(&["snapshot", "save", "interrupted", "web"]);
    std::thread::sleep(Duration::from_millis(500));
    std::process::Command::new("kill").args(["-INT", &child.id().to_string()]).status().unwrap();
    let run = Lab::finish(child, began);
    assert!(run.code == 130 || run.code == 0, "{}", run.stderr);
    assert_eq!(lab.fact("immutable/web", "state"), "running");
    lab.ok(&["destroy", "-f", "--volumes"]);
    assert_eq!(lab.left(), Vec::<String>::new());
}
