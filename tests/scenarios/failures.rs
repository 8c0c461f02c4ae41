//! What goes wrong, and what is said and left then.

use crate::lab::{BOX, Lab};
use std::{
    net::TcpListener,
    time::{Duration, Instant},
};

fn one(body: &str) -> String {
    format!(
        "{BOX}\ntopology \"lab\" idiom=\"immutable\" {{\n    machine \"node\" {{\n        box \"debian\"\n{body}\n    }}\n}}\n"
    )
}

#[test]
fn a_machine_that_ends_at_once_is_named_with_its_log() {
    let lab = Lab::new("ends", &one(r#"command "sh" "-c" "echo no configuration; exit 3""#));
    let run = lab.run(&["up"]).code(1);
    assert!(run.stderr.contains("machine lab/node ended with exit code 3"), "{}", run.stderr);
    assert!(run.stderr.contains("| no configuration"), "{}", run.stderr);
}

#[test]
fn a_machine_killed_while_rig_waits_ends_the_wait() {
    let lab = Lab::new(
        "killed",
        &one(r#"command "sh" "-c" "echo waiting for nothing; sleep 1000"; ready tcp=9; ready-timeout "5m""#),
    );
    let began = Instant::now();
    let child = lab.start(&["up"]);
    while lab.status()["lab/node"]["state"] != "running" {
        assert!(began.elapsed() < Duration::from_secs(120));
        std::thread::sleep(Duration::from_millis(100));
    }
    let killed = Instant::now();
    lab.kill("lab/node");
    let run = Lab::finish(child, began).code(1);
    assert!(killed.elapsed() < Duration::from_secs(10), "it took {:?}", killed.elapsed());
    assert!(run.stderr.contains("machine lab/node was killed (exit code 137)"), "{}", run.stderr);
    assert!(run.stderr.contains("| waiting for nothing"), "{}", run.stderr);
}

#[test]
fn a_machine_with_a_restart_policy_comes_back_while_rig_waits() {
    // Ready only when it has been started for the second time.
    let body = r#"
        volume "data" "/data"
        restart "always"
        command "sh" "-c" "echo begin >> /data/begins; exec sleep 1000"
        ready { exec "sh" "-c" "test $(wc -l < /data/begins) = 2" }
        ready-timeout "1m""#;
    let lab = Lab::new("again", &one(body));
    let began = Instant::now();
    let child = lab.start(&["up"]);
    while lab.run(&["exec", "node", "test", "-s", "/data/begins"]).code != 0 {
        assert!(began.elapsed() < Duration::from_secs(120));
        std::thread::sleep(Duration::from_millis(100));
    }
    lab.kill("lab/node");
    let run = Lab::finish(child, began).code(0);
    assert!(run.stderr.contains("started again by its restart policy"), "{}", run.stderr);
}

#[test]
fn a_service_that_never_gets_ready_says_what_is_missing() {
    let lab = Lab::new("never", &one(r#"command "sleep" "1000"; ready http=":8080/health"; ready-timeout "3s""#));
    let run = lab.run(&["up"]).code(1);
    assert!(run.stderr.contains("machine lab/node is not ready after 3 s"), "{}", run.stderr);
    assert!(run.stderr.contains("port 8080"), "{}", run.stderr);
    // It runs, so the plan is to wait for it.
    assert!(lab.ok(&["plan"]).stdout.contains("await machine lab/node (running, but not ready)"));
}

#[test]
fn a_taken_port_is_refused_with_its_owner() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let lab = Lab::new("taken", &one(&format!(r#"command "sleep" "1000"; port 80 host={port}"#)));
    let run = lab.run(&["up"]).code(1);
    assert!(run.stderr.contains(&format!("port {port} of this host is taken by process scenarios")), "{}", run.stderr);
    assert_eq!(lab.left(), Vec::<String>::new(), "nothing was started");
}

#[test]
fn memory_is_never_over_committed() {
    let lab = Lab::new("budget", &one(r#"command "sleep" "1000"; limits memory="900GiB" cpus=1"#));
    let run = lab.run(&["up"]).code(1);
    assert!(run.stderr.contains("900GiB  lab/node"), "{}", run.stderr);
    assert_eq!(lab.left(), Vec::<String>::new());
    lab.write(&one(r#"command "sleep" "1000"; limits memory="64MiB" cpus=1000"#));
    let run = lab.ok(&["plan"]);
    assert!(run.stdout.contains("they will share"), "{}", run.stdout);
}

#[test]
fn a_box_that_does_not_build_shows_the_last_lines_of_the_step() {
    let text = format!(
        r#"{BOX}
box "broken" {{ build "broken" from="debian" }}
topology "lab" idiom="immutable" {{ machine "node" {{ box "broken" }} }}
"#
    );
    let lab = Lab::new("broken", "");
    let folder = lab.folder.path().join("broken");
    std::fs::create_dir(&folder).unwrap();
    std::fs::write(
        folder.join("Dockerfile"),
        "ARG RIG_FROM\nFROM ${RIG_FROM}\nRUN echo looking for it; ls /not-there\n",
    )
    .unwrap();
    lab.write(&text);
    let run = lab.run(&["up"]).code(1);
    assert!(run.stderr.contains("RUN echo looking for it"), "{}", run.stderr);
    assert!(run.stderr.contains("| looking for it"), "{}", run.stderr);
    assert!(run.stderr.contains("/not-there"), "{}", run.stderr);
    // Mended, it goes on.
    std::fs::write(
        folder.join("Dockerfile"),
        "ARG RIG_FROM\nFROM ${RIG_FROM}\nRUN cat /proc/sys/kernel/random/uuid > /built\nCMD [\"sleep\", \"1000\"]\n",
    )
    .unwrap();
    lab.ok(&["up"]);
    // A box whose folder did not change is not built again.
    let built = lab.ok(&["box", "list", "--json"]).json();
    lab.ok(&["box", "build"]);
    assert_eq!(lab.ok(&["box", "list", "--json"]).json(), built);
    // Anew means a new image of this box, and leaves the one below alone.
    lab.ok(&["box", "build", "broken", "--no-cache"]);
    let anew = lab.ok(&["box", "list", "--json"]).json();
    let id = |list: &serde_json::Value, name: &str| {
        let boxes = list["boxes"].as_array().unwrap();
        boxes.iter().find(|row| row["name"] == name).unwrap()["id"].as_str().unwrap().to_owned()
    };
    assert_ne!(id(&built, "broken"), id(&anew, "broken"));
    assert_eq!(id(&built, "debian"), id(&anew, "debian"));
}

#[test]
fn an_engine_that_is_not_there_is_said_with_its_address() {
    let lab = Lab::new("engine", &one(r#"command "sleep" "1000""#));
    let run = lab.run(&["status", "--engine", "unix:///not/there.sock"]).code(1);
    assert!(run.stderr.contains("unix:///not/there.sock"), "{}", run.stderr);
    assert!(run.stderr.contains("rig doctor"), "{}", run.stderr);
    assert_eq!(lab.run(&["status", "--engine", "nonsense"]).code, 2);
}

#[test]
fn mistakes_in_the_file_are_all_reported_and_nothing_is_touched() {
    let text = r#"
variabel "x" 1
topology "lab" idiom="imutable" {
    machine "node" {
        box "nowhere"
        limits memory="-1GiB" cpus="many"
        port 99999
        after "nobody"
        comand "x"
        shell "apt-get install it"
        env { "A B" "c" }
    }
}
"#;
    let lab = Lab::new("mistakes", text);
    let run = lab.run(&["up"]).code(2);
    for expected in ["variabel", "imutable", "nowhere", "memory", "99999", "nobody", "comand"] {
        assert!(run.stderr.contains(expected), "{expected} is not in:\n{}", run.stderr);
    }
    let json = lab.run(&["validate", "--json"]).code(2).json();
    assert!(json["mistakes"].as_array().unwrap().len() >= 8, "{json}");
    lab.write("");
}
