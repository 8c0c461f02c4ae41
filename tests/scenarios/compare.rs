//! Topologies measured side by side.

use crate::lab::{BOX, Lab};
use serde_json::Value;
use std::{path::PathBuf, time::Duration};

/// Machines that do nothing and keep something.
fn cluster(name: &str, idiom: &str, memory: &str) -> String {
    format!(
        r#"
topology "{name}" idiom="{idiom}" {{
    defaults {{ box "debian"; stop-timeout "1s"; command "sleep" "100000" }}
    machine "front" role="front" {{ volume "data" "/data" }}
    machine "node" role="node" count="{{nodes}}" {{ limits memory="{memory}"; env {{ SETTING "{{setting}}"; }} }}
}}
"#
    )
}

fn text(first: &str, second: &str) -> String {
    format!(
        r#"{BOX}
variable "nodes" 1
variable "setting" "old"
{first}{second}
check "work" on="front" {{ run "head -c 2000000 /dev/zero | sha256sum && date >/tmp/worked"; expect stdout="-" }}
compare "one" "two" {{
    runs 5
    change "setting" "new"
}}
"#
    )
}

impl Lab {
    /// What is left of the machines of a comparison.
    fn compared(&self) -> Vec<String> {
        self.left_of(&format!("{}-compare-", self.name))
    }

    fn place(&self, file: &str) -> (String, PathBuf) {
        let path = self.folder.path().join(file);
        (path.display().to_string(), path)
    }
}

fn read(path: &PathBuf) -> Value {
    serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap()
}

/// The only pair of every metric, with the metric's id.
fn pairs(document: &Value) -> Vec<(String, &Value)> {
    let metrics = document["summary"]["metrics"].as_array().unwrap();
    metrics.iter().map(|metric| (metric["metric"].as_str().unwrap().to_owned(), &metric["pairs"][0])).collect()
}

#[test]
fn a_topology_does_not_differ_from_its_twin() {
    let lab = Lab::new("twins", &text(&cluster("one", "immutable", "64MiB"), &cluster("two", "immutable", "64MiB")));
    let ((document, path), (page, page_path)) = (lab.place("report.json"), lab.place("report.html"));
    let scenarios = "up,first-job,scale-out,replace,restart,change,destroy,size,drift,surface,cost";
    // What people work with is left alone.
    lab.ok(&["up", "one/front"]);
    let mine = lab.fact("one/front", "id");
    let run = lab.ok(&["compare", "--scenario", scenarios, "--seed", "7", "--json", &document, "--html", &page]);
    assert!(run.stderr.contains("1 machines of workspace"), "{}", run.stderr);
    assert_eq!(lab.fact("one/front", "id"), mine);
    assert_eq!(lab.compared(), Vec::<String>::new());

    let document = read(&path);
    assert_eq!((document["schema"].as_str(), document["seed"].as_u64()), (Some("rig.compare/1"), Some(7)));
    assert_eq!(document["runs"].as_array().unwrap().len(), 2 * 5 * 11);
    assert_eq!(document["fairness"], Value::Array(Vec::new()));
    assert_eq!(document["summary"]["failures"], Value::Array(Vec::new()));
    let pairs = pairs(&document);
    let measured: Vec<_> = pairs.iter().filter(|(_, pair)| !pair["verdict"].is_null()).collect();
    assert!(measured.len() >= 20, "{} metrics were measured", measured.len());
    let claimed: Vec<_> =
        measured.iter().filter(|(_, pair)| matches!(pair["verdict"].as_str(), Some("less" | "more"))).collect();
    // The rule errs in less than one of fifty, but a slow moment of the host is seen in several metrics at once.
    assert!(claimed.len() * 8 <= measured.len(), "differences between twins: {claimed:?}");
    // A machine that is killed really was, one that was lost is another one, and a new setting makes new machines.
    let value = |metric: &str| {
        let metrics = document["summary"]["metrics"].as_array().unwrap();
        let found = metrics.iter().find(|one| one["metric"] == metric).unwrap();
        found["topologies"][0]["spread"]["median"].as_f64().unwrap()
    };
    assert_eq!((value("change.machines-replaced"), value("surface.processes")), (1.0, 2.0));
    assert!(value("restart.kill-ready") > 0.0 && value("size.image-bytes") > 1e6);
    assert_eq!(value("size.image-unique-bytes"), 0.0);
    // The check left a file behind its machine's back: a temporary one.
    assert_eq!((value("drift.paths"), value("drift.temporary")), (1.0, 1.0));
    // The terminal and the page say what the document says.
    let page = std::fs::read_to_string(page_path).unwrap();
    assert!(page.len() < 500_000);
    for answer in document["summary"]["answers"].as_array().unwrap() {
        assert!(run.stdout.contains(answer["asked"].as_str().unwrap()));
        for sentence in answer["sentences"].as_array().unwrap() {
            assert!(run.stdout.contains(sentence.as_str().unwrap()), "{sentence} is not in:\n{}", run.stdout);
        }
    }
    for metric in document["summary"]["metrics"].as_array().unwrap() {
        for topology in metric["topologies"].as_array().unwrap() {
            let shown = topology["shown"].as_str().unwrap();
            assert!(run.stdout.contains(shown) && page.contains(shown), "{shown} of {}", metric["metric"]);
        }
    }
    // The same comparison as its own baseline: nothing is worse.
    let once = ["compare", "--runs", "5", "--scenario", "surface", "--baseline", path.to_str().unwrap()];
    let again = lab.ok(&once);
    assert!(again.stdout.contains("22 metrics compared with the baseline"), "{}", again.stdout);
}

#[test]
fn a_killed_comparison_goes_on() {
    let lab = Lab::new("killed", &text(&cluster("one", "immutable", "64MiB"), &cluster("two", "immutable", "64MiB")));
    let compare = ["compare", "--runs", "3", "--scenario", "up,scale-out"];
    let kept = lab.folder.path().join(".rig/compare/comparison.json");
    let mut child = lab.start(&compare);
    lab.until(|| kept.is_file() && read(&kept)["runs"].as_array().unwrap().len() >= 4);
    // In the middle of a life.
    std::thread::sleep(Duration::from_millis(400));
    child.kill().unwrap();
    child.wait().unwrap();
    let made = read(&kept)["runs"].as_array().unwrap().len();
    assert!(made < 12, "it was over before it was killed");
    // Another experiment does not go on with it, and loses nothing of it.
    let other = lab.run(&["compare", "--runs", "3", "--scenario", "up"]).code(2);
    assert!(
        other.stderr.contains("an interrupted comparison is kept") && other.stderr.contains("scenarios"),
        "{}",
        other.stderr
    );
    lab.write(&text(&cluster("one", "immutable", "64MiB"), &cluster("two", "immutable", "96MiB")));
    let changed = lab.run(&compare).code(2);
    assert!(changed.stderr.contains("what the topologies are made of"), "{}", changed.stderr);
    lab.write(&text(&cluster("one", "immutable", "64MiB"), &cluster("two", "immutable", "64MiB")));
    assert_eq!(read(&kept)["runs"].as_array().unwrap().len(), made);

    // A report that finds no room costs no second measurement, and is not put in a device's place.
    let full = lab.run(&[&compare[..], &["--json", "/dev/full"]].concat()).code(1);
    assert!(full.stderr.contains("goes on with the comparison"), "{}", full.stderr);
    assert!(full.stderr.contains("No space left on device"), "{}", full.stderr);
    let (report, place) = lab.place("report.json");
    let run = lab.ok(&[&compare[..], &["--json", &report]].concat());
    assert!(!run.stderr.contains("clean start"), "{}", run.stderr);
    assert_eq!(read(&place)["runs"], read(&kept)["runs"]);
    let document = read(&kept);
    let mut runs: Vec<String> = document["runs"]
        .as_array()
        .unwrap()
        .iter()
        .map(|run| format!("{} {} {}", run["topology"], run["scenario"], run["number"]))
        .collect();
    runs.sort();
    runs.dedup();
    assert_eq!((runs.len(), document["runs"].as_array().unwrap().len()), (12, 12));
    assert_eq!(lab.compared(), Vec::<String>::new());
    lab.ok(&["compare", "--remove"]);
    assert!(!kept.is_file());
}

#[test]
fn what_differs_makes_ratios_unfair_and_runs_that_fail_are_shown() {
    let mut two = cluster("two", "mutable", "96MiB");
    let idle = "box \"debian\"; stop-timeout \"1s\"; command \"sleep\" \"100000\"";
    let ssh = "box \"sshd\"; stop-timeout \"1s\"; cap add=\"AUDIT_WRITE\"; new-privileges";
    assert!(two.contains(idle), "{two}");
    two = two.replace(idle, ssh);
    two = two.replace("env { SETTING \"{setting}\"; }", "shell \"setting\" inline=\"date +%N >/etc/{setting}.conf\"");
    let sshd = "box \"sshd\" { build \"boxes/sshd\" from=\"debian\" }\n";
    let lab = Lab::new("unfair", &format!("{sshd}{}", text(&cluster("one", "immutable", "64MiB"), &two)));
    lab.bring("boxes/sshd");
    // Boxes of an earlier day may hold packages that Debian has mended since: the second build would have others.
    lab.ok(&["box", "build", "--no-cache"]);
    let (document, path) = lab.place("report.json");
    let run = lab.ok(&["compare", "--runs", "1", "--json", &document]);
    let document = read(&path);
    let difference = &document["fairness"][0];
    assert_eq!((difference["fact"].as_str(), difference["role"].as_str()), (Some("memory.limit"), Some("node")));
    let origin = difference["stated"][1]["fact"]["origin"].as_str().unwrap();
    assert!(origin.starts_with("workspace.kdl:"), "{origin}");
    assert!(run.stdout.contains("memory.limit") && run.stdout.contains(origin), "{}", run.stdout);
    let up = pairs(&document).into_iter().find(|(id, _)| id == "up.ready").unwrap().1.clone();
    assert!(up["ratio"].is_null() && up["shown_verdict"] == "not fair", "{up}");
    // Provisioning once more writes another number: one changed file. Nothing is installed in the other one.
    let idempotence = document["runs"].as_array().unwrap().iter().filter(|run| run["scenario"] == "idempotence");
    let counts: Vec<_> = idempotence
        .map(|run| (run["topology"].as_str().unwrap(), run["outcome"]["values"][0]["value"].as_f64().unwrap()))
        .collect();
    assert!(counts.contains(&("one", 0.0)) && counts.contains(&("two", 1.0)), "{counts:?}");
    // A box of Debian packages that is built twice in a row has the same files; a key of its own is another file.
    let grade = |topology: &str| {
        let runs = document["runs"].as_array().unwrap();
        let run = runs.iter().find(|run| run["scenario"] == "reproducibility" && run["topology"] == topology).unwrap();
        run["outcome"]["values"][0]["value"].as_f64().unwrap()
    };
    assert!(grade("one") >= 3.0 && grade("two") == 2.0, "{} and {}", grade("one"), grade("two"));
    assert_eq!(lab.compared(), Vec::<String>::new());

    // A job that fails: counted, shown, and the exit code says so.
    let broken = text(&cluster("one", "immutable", "64MiB"), &cluster("two", "immutable", "64MiB"))
        .replace("head -c", "exit 7; head -c");
    lab.write(&broken);
    let run = lab.run(&["compare", "--runs", "1", "--scenario", "up,first-job"]).code(1);
    assert!(
        run.stderr.contains("2 of 4 runs failed") && run.stdout.contains("exit code 7"),
        "{}\n{}",
        run.stdout,
        run.stderr
    );
}

#[test]
fn words_that_make_no_comparison_are_refused_before_anything_is_made() {
    let lab = Lab::new("words", &text(&cluster("one", "immutable", "64MiB"), &cluster("two", "immutable", "64MiB")));
    let elsewhere = lab.place("nowhere/report.html").0;
    lab.put("old.json", "{\"schema\": \"rig.compare/9\"}");
    let old = lab.place("old.json").0;
    for (arguments, expected) in [
        (&["compare", "one", "three"] as &[&str], "there is no topology \"three\""),
        (&["compare", "one"], "a comparison needs two topologies or more"),
        (&["compare", "one", "one"], "topology one is named twice"),
        (&["compare", "--runs", "0"], "0 is not in 1..=1000"),
        (&["compare", "--scenario", "boot"], "\"boot\" is no scenario"),
        (&["compare", "--html", &elsewhere], "is no place for a file"),
        (&["compare", "--baseline", &old], "has the schema \"rig.compare/9\""),
        (&["compare", "--baseline", "/nowhere.json"], "/nowhere.json"),
        (&["compare", "--threshold", "5"], "--baseline"),
    ] {
        let run = lab.run(arguments);
        assert!(run.code == 2 && run.stderr.contains(expected), "{arguments:?}: {} {}", run.code, run.stderr);
    }
    assert_eq!(lab.compared(), Vec::<String>::new());
}
