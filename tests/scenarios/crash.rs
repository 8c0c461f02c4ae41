//! Interruptions of every kind: the next run completes what the last one left.

use crate::lab::{BOX, Lab};
use std::time::{Duration, Instant};

const TEXT: &str = r#"
topology "lab" idiom="immutable" {
    defaults {
        box "debian"
        limits memory="64MiB"
        command "sh" "-c" "trap 'exit 0' TERM; echo up; while :; do sleep 0.2; done"
    }
    machine "first" { volume "data" "/data"; ready log="up" }
    machine "node" count=3 { after "first" is="ready"; volume "data" "/data" }
}
"#;

/// How often the program is killed.
const KILLS: u64 = 50;

#[test]
fn killed_at_any_moment_the_next_run_completes() {
    let lab = Lab::new("kill", &format!("{BOX}{TEXT}"));
    lab.ok(&["up"]);
    let whole = {
        lab.ok(&["destroy", "-f"]);
        let began = Instant::now();
        lab.ok(&["up"]);
        began.elapsed()
    };
    lab.ok(&["destroy", "-f"]);
    // Moments spread over the whole run and a little beyond, in an order that is the same every time.
    for kill in 0..KILLS {
        let moment = whole.mul_f64(((kill * 37) % KILLS) as f64 / (KILLS - 5) as f64);
        let command: &[&str] = if kill % 3 == 2 { &["destroy", "-f"] } else { &["up"] };
        let mut child = lab.start(command);
        std::thread::sleep(moment);
        let _ = child.kill();
        let _ = child.wait();
        if kill % 10 == 9 {
            lab.ok(&["up"]);
            assert!(lab.status().values().all(|machine| machine["state"] == "running"), "after kill {kill}");
            let plan = lab.ok(&["plan", "--json"]).json();
            assert_eq!(plan["operations"].as_array().unwrap().len(), 0, "after kill {kill}: {plan}");
        }
    }
    lab.ok(&["destroy", "-f", "--volumes"]);
    assert_eq!(lab.left(), Vec::<String>::new());
}

#[test]
fn an_interruption_stops_in_order_and_says_what_is_left() {
    let text = format!(
        r#"{BOX}
topology "lab" idiom="immutable" {{
    defaults {{ box "debian"; command "sleep" "1000" }}
    machine "first" {{ ready tcp=9 }}
    machine "second" {{ after "first" is="ready" }}
}}
"#
    );
    let lab = Lab::new("interrupt", &text);
    let began = Instant::now();
    let child = lab.start(&["up"]);
    while lab.status()["lab/first"]["state"] != "running" {
        assert!(began.elapsed() < Duration::from_secs(120));
        std::thread::sleep(Duration::from_millis(100));
    }
    let pid = rustix::process::Pid::from_raw(i32::try_from(child.id()).unwrap()).unwrap();
    rustix::process::kill_process(pid, rustix::process::Signal::INT).unwrap();
    let interrupted = Instant::now();
    let run = Lab::finish(child, began).code(130);
    assert!(interrupted.elapsed() < Duration::from_secs(5));
    assert!(run.stderr.contains("left undone: "), "{}", run.stderr);
    assert!(run.stderr.contains("start machine lab/second"), "{}", run.stderr);
}

#[test]
fn two_runs_at_once_take_turns() {
    let lab = Lab::new("turns", &format!("{BOX}{TEXT}"));
    let began = Instant::now();
    let (one, two) = (lab.start(&["up"]), lab.start(&["up"]));
    let (one, two) = (Lab::finish(one, began).code(0), Lab::finish(two, began).code(0));
    let said = format!("{}{}", one.stderr, two.stderr);
    assert!(said.contains("works on this workspace; waiting for its end"), "{said}");
    assert_eq!(lab.status().len(), 4);
}
