//! The mutable idiom: machines that are provisioned over SSH.

use crate::lab::{BOX, Lab};
use serde_json::Value;
use std::{
    collections::BTreeSet,
    time::{Duration, Instant},
};

/// A box with an SSH server, and machines that steps are run in. `steps` is the body of `defaults`.
fn text(steps: &str, machines: &str) -> String {
    format!(
        r#"{BOX}
box "sshd" {{ build "boxes/sshd" from="debian" }}
topology "lab" idiom="mutable" {{
    defaults {{
        box "sshd"
        limits memory="256MiB"
        cap add="AUDIT_WRITE"
        new-privileges
        {steps}
    }}
    {machines}
}}
"#
    )
}

fn lab(name: &str, text: &str) -> Lab {
    let lab = Lab::new(name, text);
    lab.bring("boxes/sshd");
    lab
}

/// The steps that a plan would run, as `machine: step`.
fn steps(plan: &Value) -> BTreeSet<String> {
    let operations = plan["operations"].as_array().unwrap();
    let provision = operations.iter().filter(|operation| operation["action"]["kind"] == "provision");
    provision
        .map(|operation| {
            let (action, id) = (&operation["action"], &operation["action"]["step"]["id"]);
            let machine = action["machine"].as_str().unwrap().rsplit('/').next().unwrap().to_owned();
            let recipe = id["recipe"].as_str().map(|recipe| format!("{recipe}: ")).unwrap_or_default();
            format!("{machine}: {recipe}{}", id["name"].as_str().unwrap())
        })
        .collect()
}

const RECIPE: &str = r#"
recipe "tool" {
    description "A service and its configuration."
    parameter "greeting"
    template "config.j2" "/etc/tool.conf" name="config" mode="0640"
    file "files" "/opt/tool" name="files"
    service "tool" name="service" { user "rig"; command "/opt/tool/run me" "two  words"; env { SECRET "hidden-in-the-file" } }
    check "runs" { run "pgrep" "-x" "sleep" }
}
"#;

#[test]
fn steps_run_once_and_again_when_they_change() {
    let own = r#"
        shell "args" inline="printf '%s\n' \"$@\" >/srv/args; printf '%s' \"$TOKEN\" >/srv/token" { args "a b" "c'd" "$HOME"; env { TOKEN "s3cret-token" } }
        packages "netcat-openbsd"
        recipe "tool" greeting="hello"
        shell "always" inline="echo once more" run="always""#;
    let text = text(own, "machine \"node\" count=2 { shell \"index\" inline=\"echo $RIG_INDEX >/srv/index\" }");
    let lab = lab("steps", &text);
    lab.put("recipes/tool/recipe.kdl", RECIPE);
    lab.put("recipes/tool/config.j2", "greeting = {{ greeting }}\nme = {{ machine.host }} {{ machine.ip }}\n{% for peer in peers %}\npeer = {{ peer.name }}\n{% endfor %}\n");
    lab.put("recipes/tool/files/run me", "#!/bin/sh\necho \"$1|$SECRET\" >/tmp/said\nexec sleep 100000\n");
    lab.put("recipes/tool/files/deep/er/ümlaut.txt", "content\n");

    let up = lab.ok(&["up", "--json"]);
    let read = |machine: &str, path: &str| lab.ok(&["exec", machine, "--", "cat", path]).stdout;
    assert_eq!(read("node1", "/srv/args"), "a b\nc'd\n$HOME\n");
    assert_eq!(read("node1", "/srv/token"), "s3cret-token");
    assert_eq!(read("node2", "/srv/index"), "2\n");
    let ip = lab.fact("lab/node1", "ip");
    assert_eq!(
        read("node1", "/etc/tool.conf"),
        format!("greeting = hello\nme = node1 {ip}\npeer = node1\npeer = node2\n")
    );
    assert_eq!(read("node1", "/opt/tool/deep/er/ümlaut.txt"), "content\n");
    assert_eq!(read("node1", "/tmp/said"), "two  words|hidden-in-the-file\n");

    // The recipe's own check, on each machine.
    let checked = lab.ok(&["check", "--json"]).json();
    assert_eq!(checked["passed"], 2, "{checked}");
    assert_eq!(checked["checks"][0]["name"], "tool-runs-node1");

    // What may be secret is in no output, no log, no label, no process list and no state.
    let engine = lab.container("lab/node1");
    let listed = lab.ok(&["exec", "node1", "--", "ps", "axww"]).stdout;
    let plan = lab.ok(&["provision", "--force", "--dry-run", "--json"]).stdout;
    for (place, text) in [("events", &up.stdout), ("container", &engine), ("processes", &listed), ("plan", &plan)] {
        for secret in ["s3cret-token", "hidden-in-the-file", "PRIVATE KEY"] {
            assert!(!text.contains(secret), "{secret} is in {place}");
        }
    }
    for (path, content) in lab.files(".rig") {
        assert!(!content.contains("s3cret-token") && !content.contains("hidden-in-the-file"), "in {path}");
        assert!(!content.contains("PRIVATE KEY") || path.ends_with("keys/ssh"), "in {path}");
    }

    // Nothing to do but what is done every time.
    let plan = lab.ok(&["plan", "--json"]).json();
    assert_eq!(steps(&plan), BTreeSet::from(["node1: always".to_owned(), "node2: always".to_owned()]));
    lab.write(&text.replace(" run=\"always\"", ""));
    lab.ok(&["up"]);
    let again = lab.ok(&["up"]);
    assert!(again.elapsed < Duration::from_secs(1), "{:?}", again.elapsed);
    let provision = lab.ok(&["provision"]);
    assert!(provision.elapsed < Duration::from_secs(1), "{:?}", provision.elapsed);

    // A second run of everything changes nothing but what the services themselves write.
    lab.ok(&["exec", "node1", "--", "touch", "/tmp/now"]);
    std::thread::sleep(Duration::from_millis(1100));
    lab.ok(&["provision", "--force", "--with", "tool,packages netcat-openbsd"]);
    let find =
        "find / -xdev -newer /tmp/now -type f | grep -v -E '^/(proc|sys|tmp|run|dev|var/log)/|/supervise/' || true";
    assert_eq!(lab.ok(&["exec", "node1", "--", "sh", "-c", find]).stdout, "");

    // A byte in a template: that step and what comes behind it in its recipe, on each machine, and nothing else.
    lab.put("recipes/tool/config.j2", "greeting = {{ greeting }}!\n");
    let plan = lab.ok(&["plan", "--json"]).json();
    let expected = ["config", "files", "service"]
        .into_iter()
        .flat_map(|step| ["node1", "node2"].map(|machine| format!("{machine}: tool: {step}")));
    assert_eq!(steps(&plan), expected.collect());
    let shown = lab.ok(&["plan"]).stdout;
    assert!(shown.contains("tool: config (content: sha256:") && shown.contains("(follows tool: config)"), "{shown}");
    lab.ok(&["up"]);
    assert_eq!(read("node2", "/etc/tool.conf"), "greeting = hello!\n");

    // Made anew, a machine starts without records.
    lab.ok(&["destroy", "-f", "node2"]);
    let plan = lab.ok(&["plan", "--json"]).json();
    assert!(steps(&plan).iter().all(|step| step.starts_with("node2: ")) && steps(&plan).len() > 4, "{plan}");
    lab.ok(&["up", "--no-provision"]);
    assert_eq!(lab.run(&["exec", "node2", "--", "test", "-e", "/srv/index"]).code, 1);
    lab.ok(&["up"]);
    assert_eq!(read("node2", "/srv/index"), "2\n");
    // Services come back with their machine.
    lab.ok(&["exec", "node2", "--", "rm", "/tmp/said"]);
    lab.ok(&["halt", "node2"]);
    lab.ok(&["up"]);
    lab.until(|| lab.run(&["exec", "node2", "--", "test", "-e", "/tmp/said"]).code == 0);
}

#[test]
fn ssh_is_what_openssh_would_be() {
    let lab = lab("ssh", &text("", "machine \"box\" { hostname \"box.lab\" }"));
    lab.ok(&["up"]);
    assert_eq!(
        lab.ok(&["ssh", "box", "-c", r#"echo "two  words" "$HOME"; echo to-stderr >&2"#]).stdout,
        "two  words /home/rig\n"
    );
    assert_eq!(lab.run(&["ssh", "box", "-c", "exit 7"]).code, 7);
    assert_eq!(lab.ok(&["ssh", "--", "printf", "%s|", "a  b", "$HOME"]).stdout, "a  b|$HOME|");
    // Whatever a command printed is there when it has ended.
    for _ in 0..20 {
        assert_eq!(lab.ok(&["ssh", "-c", "head -c 300000 /dev/zero"]).stdout.len(), 300_000);
    }
    // OpenSSH takes the configuration, and knows the machine.
    for name in ["box", "box.lab", "lab-box"] {
        assert_eq!(lab.openssh(name, "hostname"), "box.lab\n");
    }
    // Files and folders arrive whole, with their modes.
    lab.put("tree/a b/c.sh", "#!/bin/sh\n");
    let tree = lab.folder.path().join("tree");
    lab.ok(&["upload", tree.to_str().unwrap(), "copied", "box"]);
    let listed = lab.ok(&["ssh", "-c", "stat -c '%a %s' 'copied/a b/c.sh'; stat -c %U copied"]).stdout;
    assert_eq!(listed, "755 10\nrig\n");
    assert_ne!(lab.run(&["upload", tree.to_str().unwrap(), "/etc/not-mine", "box"]).code, 0);
    lab.ok(&["upload", "--sudo", tree.to_str().unwrap(), "/etc/mine", "box"]);

    // A host key that changed is refused, by name.
    let change = "rm /etc/ssh/ssh_host_*; ssh-keygen -q -t ed25519 -N '' -f /etc/ssh/ssh_host_ed25519_key; s6-svc -t /etc/s6/sshd; sleep 1";
    lab.ok(&["exec", "box", "--", "sh", "-c", change]);
    let refused = lab.run(&["ssh", "-c", "true"]).code(1);
    assert!(
        refused.stderr.contains("host key changed") && refused.stderr.contains(".rig/machines/"),
        "{}",
        refused.stderr
    );

    // The folder with the keys is gone: the machine learns the new key, through its engine.
    std::fs::remove_dir_all(lab.folder.path().join(".rig")).unwrap();
    lab.ok(&["ssh", "-c", "true"]);
    // An immutable machine has no such door.
    lab.write(&text("", "machine \"box\"").replace("mutable", "immutable").replace("new-privileges", ""));
    let run = lab.run(&["ssh", "box", "-c", "true"]).code(1);
    assert!(run.stderr.contains("rig exec"), "{}", run.stderr);
}

#[test]
fn a_step_that_fails_says_why_and_is_done_next_time() {
    let broken = r#"
        shell "first" inline="echo ran >>/srv/first"
        shell "second" inline="printf 'some \\377 words\\n'; echo the last words >&2; exit 3" only=1
        shell "third" inline="echo ran >>/srv/third""#;
    let machines = "machine \"node\" count=2";
    let lab = lab("failing", &text(broken, machines));
    let run = lab.run(&["up"]).code(1);
    for part in [
        "step `second` of machine lab/node1 failed: exit code 3",
        "the last words",
        "workspace.kdl:",
        ".rig/logs/lab.node1.log",
    ] {
        assert!(run.stderr.contains(part), "{part:?} is not in {}", run.stderr);
    }
    // The other machine is whole.
    lab.ok(&["exec", "node2", "--", "test", "-e", "/srv/third"]);
    assert_eq!(lab.run(&["exec", "node1", "--", "test", "-e", "/srv/third"]).code, 1);
    lab.write(&text(&broken.replace("exit 3", "true"), machines));
    let plan = lab.ok(&["plan", "--json"]).json();
    assert_eq!(steps(&plan), BTreeSet::from(["node1: second".to_owned(), "node1: third".to_owned()]));
    lab.ok(&["up"]);
    assert_eq!(lab.ok(&["exec", "node1", "--", "cat", "/srv/first"]).stdout, "ran\n");

    // What a changed step shakes has to be done again, also when the run ends in between.
    let shaken = r#"
        shell "first" inline="echo anew >>/srv/first"
        shell "second" inline="exit 4" only=1
        shell "third" inline="echo ran >>/srv/third""#;
    lab.write(&text(shaken, machines));
    lab.run(&["up"]).code(1);
    lab.write(&text(&shaken.replace("exit 4", "true"), machines));
    let plan = lab.ok(&["plan", "--json"]).json();
    assert_eq!(steps(&plan), BTreeSet::from(["node1: second".to_owned(), "node1: third".to_owned()]));
    lab.ok(&["up"]);
    assert_eq!(lab.ok(&["exec", "node1", "--", "cat", "/srv/third"]).stdout, "ran\nran\n");

    // A program that a step leaves behind does not hold it up.
    let began = Instant::now();
    lab.write(&text("shell \"leaves\" inline=\"sleep 300 & echo left\"", machines));
    lab.ok(&["up"]);
    assert!(began.elapsed() < Duration::from_secs(30), "{:?}", began.elapsed());

    // One that hangs is ended with its children, whatever they think of it.
    let hanging =
        r#"shell "hangs" inline="(trap '' TERM; while :; do sleep 4242; done) & sleep 4242" { timeout "2s" }"#;
    lab.write(&text(hanging, machines));
    let began = Instant::now();
    let run = lab.run(&["up"]).code(1);
    assert!(
        began.elapsed() < Duration::from_secs(20) && run.stderr.contains("still running after 2 s"),
        "{}",
        run.stderr
    );
    lab.until(|| !lab.ok(&["exec", "node1", "--", "ps", "axww"]).stdout.contains("sleep 4242"));

    // One that says very much is no danger to anybody.
    lab.write(&text("shell \"loud\" inline=\"head -c 100000000 /dev/zero | tr '\\\\0' x | fold -w 100\"", machines));
    lab.ok(&["up", "-q", "node1"]);
    let log = std::fs::metadata(lab.folder.path().join(".rig/logs/lab.node1.log")).unwrap().len();
    assert!(log < 20 << 20, "the log has {log} bytes");
}

#[test]
fn a_machine_that_is_lost_in_a_step_is_said_at_once() {
    let steps = r#"shell "long" inline="touch /tmp/began; sleep 60""#;
    let lab = lab("lost", &text(steps, "machine \"node\""));
    let when_begun = |act: &dyn Fn()| {
        let child = lab.start(&["up"]);
        lab.until(|| lab.run(&["exec", "node", "--", "test", "-e", "/tmp/began"]).code == 0);
        act();
        let began = Instant::now();
        let run = Lab::finish(child, began).code(1);
        assert!(began.elapsed() < Duration::from_secs(10), "{:?}", began.elapsed());
        lab.run(&["exec", "node", "--", "rm", "-f", "/tmp/began"]);
        run
    };
    let killed = when_begun(&|| {
        lab.ok(&["exec", "node", "--", "pkill", "-9", "sshd"]);
    });
    assert!(killed.stderr.contains("connection to the machine was lost"), "{}", killed.stderr);
    let died = when_begun(&|| lab.kill("lab/node"));
    assert!(died.stderr.contains("machine lab/node"), "{}", died.stderr);
    lab.ok(&["up", "--no-provision"]);
    lab.write(&text(&steps.replace("sleep 60", "true"), "machine \"node\""));
    lab.ok(&["up"]);

    // A restart in the middle, asked for: the next step finds a machine that has begun anew.
    let reboot = r#"
        shell "before" inline="touch /tmp/before" reboot=#true
        shell "after" inline="test $(ps -o etimes= -p 1) -lt 20""#;
    lab.write(&text(reboot, "machine \"node\""));
    std::thread::sleep(Duration::from_secs(1));
    lab.ok(&["up"]);
}

#[test]
fn what_cannot_be_provisioned_is_said_before_or_at_once() {
    let lab = lab("cannot", &text("template \"t.j2\" \"/etc/t\"", "machine \"node\""));
    lab.put("t.j2", "{% for %}\n");
    let run = lab.run(&["validate"]).code(2);
    assert!(run.stderr.contains("t.j2:1: "), "{}", run.stderr);
    lab.put("t.j2", "{{ machine.nmae }}\n");
    let run = lab.run(&["up"]).code(2);
    assert!(run.stderr.contains("t.j2:1: "), "{}", run.stderr);
    assert_eq!(lab.left(), Vec::<String>::new());
    // A box without an SSH server.
    lab.write(&format!(
        "{BOX}topology \"lab\" idiom=\"mutable\" {{ machine \"node\" {{ box \"debian\"; command \"sleep\" \"1000\" }} }}"
    ));
    let began = Instant::now();
    let run = lab.run(&["up"]).code(1);
    assert!(run.stderr.contains("there is no user rig") && began.elapsed() < Duration::from_secs(10), "{}", run.stderr);
}

/// How often the program is killed.
const KILLS: u64 = 50;

#[test]
fn killed_at_any_moment_of_provisioning_the_next_run_completes() {
    let steps = r#"
        shell "one" inline="sleep 0.2; echo one >>/srv/done"
        file "boxes" "/opt/boxes"
        packages "netcat-openbsd"
        shell "two" inline="sleep 0.2; echo two >>/srv/done""#;
    let lab = lab("shot", &text(steps, "machine \"node\" count=2"));
    lab.ok(&["up"]);
    lab.ok(&["destroy", "-f"]);
    let began = Instant::now();
    lab.ok(&["up"]);
    let whole = began.elapsed();
    lab.ok(&["destroy", "-f"]);
    for kill in 0..KILLS {
        let moment = whole.mul_f64(((kill * 37) % KILLS) as f64 / (KILLS - 5) as f64);
        let mut child = lab.start(&["up"]);
        std::thread::sleep(moment);
        let _ = child.kill();
        let _ = child.wait();
        if kill % 10 == 9 {
            lab.ok(&["up"]);
            for machine in ["node1", "node2"] {
                lab.ok(&["exec", machine, "--", "test", "-x", "/bin/nc"]);
            }
            lab.ok(&["destroy", "-f"]);
        }
    }
    lab.ok(&["up"]);
    assert_eq!(lab.ok(&["plan", "--json"]).json()["operations"].as_array().unwrap().len(), 0);
    lab.ok(&["destroy", "-f", "--volumes"]);
    assert_eq!(lab.left(), Vec::<String>::new());
}
