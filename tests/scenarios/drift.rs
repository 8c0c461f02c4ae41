//! Drift: what changed in machines behind the file's back.

use crate::lab::{BOX, Lab};
use serde_json::Value;

/// What is said of a machine.
fn entry<'a>(document: &'a Value, machine: &str) -> &'a Value {
    let machines = document["machines"].as_array().unwrap();
    machines.iter().find(|entry| entry["machine"] == machine).unwrap_or_else(|| panic!("{document}"))
}

/// What differs in a machine. What a service is known to write is not of interest here.
fn changed(document: &Value, machine: &str) -> Vec<String> {
    let entry = entry(document, machine);
    let files = entry["files"].as_array().unwrap().iter();
    let files = files.filter(|file| !matches!(file["class"].as_str(), Some("log" | "cache" | "temporary")));
    let word = |value: &Value| value.as_str().unwrap().to_owned();
    let files = files.map(|file| [&file["change"], &file["class"], &file["path"]].map(word).join(" "));
    let items = ["packages", "listeners"].into_iter().flat_map(|kind| entry[kind].as_array().unwrap());
    files.chain(items.map(|item| format!("{} {}", word(&item["change"]), word(&item["name"])))).collect()
}

fn text(rules: &str) -> String {
    format!(
        r#"{BOX}
box "sshd" {{ build "boxes/sshd" from="debian" }}
topology "naughty" idiom="mutable" {{
    defaults {{ box "sshd"; cap add="AUDIT_WRITE"; new-privileges }}
    machine "node" count=2 {{
        packages "netcat-openbsd"
        file "app.conf" "/etc/app.conf" mode="0644"
        shell "secret" inline="umask 077; echo hidden-in-the-machine >/etc/secret.conf; mkdir /etc/closed; umask 022; echo hidden-behind-a-folder >/etc/closed/a.conf"
        template "rendered.j2" "/etc/rendered.conf" mode="0644" {{ set "word" "hidden-in-a-template" }}
        shell "program" inline="printf '#!/bin/sh\n' >/usr/local/bin/tool; chmod 755 /usr/local/bin/tool"
        volume "data" "/data"
    }}
}}
topology "immutable" idiom="immutable" {{
    machine "web" count=2 {{
        box "debian"
        command "sleep" "100000"
        volume "data" "/var/lib/web/data"
        sync "shared" "/srv/shared"
        tmpfs "/scratch"
        {rules}
    }}
}}
"#
    )
}

#[test]
fn a_change_is_named_in_both_idioms_and_nothing_else_is() {
    let lab = Lab::new("drift", &text(""));
    lab.bring("boxes/sshd");
    lab.put("app.conf", "one\ntwo\n");
    lab.put("rendered.j2", "word = {{ word }}\n");
    lab.put("shared/file", "x");
    lab.ok(&["up"]);
    // What rig keeps of a machine holds nothing that not everybody in it may read.
    for (path, content) in lab.files(".rig") {
        for secret in ["hidden-in-the-machine", "hidden-behind-a-folder", "hidden-in-a-template"] {
            assert!(!content.contains(secret), "{secret} is in {path}");
        }
    }
    let machines = ["naughty/node1", "naughty/node2", "immutable/web1", "immutable/web2"];
    let clean = lab.ok(&["drift", "--json"]).json();
    for machine in machines {
        assert_eq!(changed(&clean, machine), Vec::<String>::new(), "{machine}");
    }
    // Everything that was installed is otherwise than in the box, and that is no violation here.
    let since_box = lab.ok(&["drift", "--since", "box", "--json", "naughty"]).json();
    let installed = changed(&since_box, "naughty/node1");
    assert!(installed.contains(&"added configuration /etc/app.conf".to_owned()), "{installed:?}");

    let change = "echo more >>/etc/debian_version; echo x >/data/kept 2>/dev/null; rm /etc/motd; mkdir -p /srv/new; ln -s /etc /srv/link";
    for machine in ["naughty/node1", "immutable/web1"] {
        lab.ok(&["exec", machine, "--", "sh", "-c", change]);
    }
    let more = "sed -i s/two/three/ /etc/app.conf; chmod 700 /usr/local/bin/tool; cp -p /bin/nc.openbsd /usr/local/bin/nc2; (nc -lk 4242 >/dev/null 2>&1 &)";
    lab.ok(&["exec", "naughty/node1", "--", "sh", "-c", more]);
    // The same content once more is no difference.
    lab.ok(&["exec", "naughty/node2", "--", "sh", "-c", "cat /etc/app.conf >/tmp/a; cat /tmp/a >/etc/app.conf"]);
    lab.ok(&["exec", "naughty/node2", "--", "apt-get", "purge", "-qq", "-y", "netcat-openbsd"]);

    let run = lab.run(&["drift", "--json"]).code(3);
    let drift = run.json();
    let both =
        ["changed configuration /etc/debian_version", "removed configuration /etc/motd", "added state /srv/link"];
    for machine in ["naughty/node1", "immutable/web1"] {
        for expected in both {
            assert!(
                changed(&drift, machine).contains(&expected.to_owned()),
                "{machine}: {:?}",
                changed(&drift, machine)
            );
        }
    }
    assert_eq!(
        changed(&drift, "naughty/node1"),
        [
            "changed configuration /etc/app.conf",
            both[0],
            both[1],
            both[2],
            "added state /srv/new",
            "added program /usr/local/bin/nc2",
            "changed program /usr/local/bin/tool",
            "added tcp 0.0.0.0:4242",
        ]
    );
    assert!(changed(&drift, "naughty/node2").contains(&"removed netcat-openbsd".to_owned()));
    assert!(!changed(&drift, "naughty/node2").iter().any(|line| line.contains("app.conf")));
    assert_eq!(changed(&drift, "immutable/web2"), Vec::<String>::new());
    assert_eq!(drift["violated"], true);
    let tool = entry(&drift, "naughty/node1")["files"].as_array().unwrap();
    let tool = tool.iter().find(|file| file["path"] == "/usr/local/bin/tool").unwrap();
    assert_eq!(tool["fields"][0], serde_json::json!({"field": "mode", "old": "0755", "new": "0700"}));
    // In a mutable machine it is a figure.
    let shown = lab.ok(&["drift", "naughty/node1"]).stdout;
    assert!(shown.contains("mode 0755 → 0700") && shown.contains("/etc/debian_version"), "{shown}");

    // Both forms of the old text: kept after the provisioning, and from the box.
    let diff = lab.ok(&["drift", "naughty/node1", "--diff", "/etc/app.conf"]).stdout;
    assert!(diff.contains("-two\n+three\n"), "{diff}");
    for machine in ["naughty/node1", "immutable/web1"] {
        let diff = lab.ok(&["drift", machine, "--diff", "/etc/debian_version"]).stdout;
        assert!(diff.contains("--- a/etc/debian_version") && diff.ends_with("+more\n"), "{diff}");
        let diff = lab.ok(&["drift", machine, "--diff", "/etc/motd"]).stdout;
        assert!(diff.contains("+++ /dev/null"), "{diff}");
    }
    let refused = lab.run(&["drift", "naughty/node1", "--diff", "/etc/secret.conf"]).code(1);
    assert!(refused.stderr.contains("was not kept"), "{}", refused.stderr);
    assert_eq!(lab.run(&["drift", "naughty/node1", "--diff", "/no/such/file"]).code, 1);

    // The file can say what does not matter.
    lab.write(&text("drift { ignore \"/etc/debian_version\" \"/etc/motd\"; temporary \"/srv/**\" }"));
    lab.ok(&["drift", "immutable"]);
    // Made anew, a machine is what the file says.
    lab.write(&text(""));
    lab.run(&["drift", "immutable"]).code(3);
    lab.ok(&["destroy", "-f", "immutable/web1", "naughty/node1"]);
    lab.ok(&["up"]);
    let again = lab.ok(&["drift", "--json"]).json();
    assert_eq!(changed(&again, "naughty/node1"), Vec::<String>::new());
    // A step that failed may have done anything: what was kept before is not what the machine is.
    let gaps = |document: &Value| entry(document, "naughty/node1")["gaps"].to_string();
    assert_eq!(gaps(&again), "[]");
    lab.write(&text("").replace("shell \"program\" inline=\"", "shell \"program\" inline=\"exit 1; "));
    lab.run(&["up"]).code(1);
    let unsure = lab.ok(&["drift", "--json", "naughty/node1"]).json();
    assert!(gaps(&unsure).contains("not known"), "{unsure}");
    // What does not run is said, and asked for by name a failure.
    lab.ok(&["halt", "immutable/web1"]);
    assert!(lab.ok(&["drift"]).stderr.contains("machine immutable/web1 does not run"));
    lab.run(&["drift", "immutable/web1"]).code(1);
}
