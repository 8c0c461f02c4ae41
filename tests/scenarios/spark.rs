//! The root workspace: Spark and Cassandra in both idioms, with jobs that run in them.

use crate::lab::Lab;
use serde_json::Value;
use std::{
    io::{Read, Write},
    net::TcpStream,
    time::{Duration, Instant},
};

/// What the master itself says, through its published port.
fn master(lab: &Lab) -> Value {
    let ports = lab.ok(&["port", "spark-master", "--json"]).json();
    let ports = ports["machines"][0]["ports"].as_array().unwrap();
    let port = ports.iter().find(|port| port["guest"] == 8080).unwrap()["host"].as_u64().unwrap();
    let mut stream = TcpStream::connect(("127.0.0.1", u16::try_from(port).unwrap())).unwrap();
    stream.write_all(b"GET /json/ HTTP/1.0\r\nHost: localhost\r\n\r\n").unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    serde_json::from_str(answer.split_once("\r\n\r\n").unwrap().1).unwrap()
}

/// Waits until the master counts this many living workers.
fn alive(lab: &Lab, workers: u64) -> Value {
    let began = Instant::now();
    loop {
        let answer = master(lab);
        if answer["aliveworkers"] == workers {
            return answer;
        }
        assert!(began.elapsed() < Duration::from_secs(90), "the master counts {}: {answer}", answer["aliveworkers"]);
        std::thread::sleep(Duration::from_millis(500));
    }
}

#[test]
fn the_root_workspace_runs_its_jobs_in_both_idioms() {
    let lab = Lab::root();
    lab.ok(&["destroy", "-f", "--volumes"]);

    // The ritual: remove everything, bring all up, run the jobs. In order it is the same and takes a minute longer.
    lab.ok(&["up"]);
    let answer = alive(&lab, 2);
    // Right after `up` nobody has to wait: every worker is registered, with the cores of its limit.
    assert_eq!(answer["cores"], 2);
    assert!(answer["workers"].as_array().unwrap().iter().all(|worker| worker["cores"] == 1));
    let checks = lab.ok(&["check", "--json", "--var", "slices=20", "--var", "rows=10000"]).json();
    assert_eq!(checks["failed"], 0, "{checks}");
    for topology in ["naughty", "immutable"] {
        let of = |check: &&Value| check["topology"] == topology;
        assert_eq!(checks["checks"].as_array().unwrap().iter().filter(of).count(), 7, "{topology}");
    }

    // Nothing to do.
    std::thread::sleep(Duration::from_secs(1));
    let again = lab.ok(&["up"]);
    assert!(again.stderr.contains("nothing to do"), "{}", again.stderr);
    assert!(again.elapsed < Duration::from_secs(5), "no-op up took {:?}", again.elapsed);

    let ids = |lab: &Lab| -> Vec<String> {
        ["spark-master", "spark-worker1"].map(|name| lab.fact(&format!("immutable/{name}"), "id")).into()
    };
    let before = ids(&lab);

    // Up and down in size; the others stay.
    lab.ok(&["scale", "spark-worker=4"]);
    assert_eq!(alive(&lab, 4)["cores"], 4);
    lab.ok(&["scale", "spark-worker=1"]);
    alive(&lab, 1);
    assert_eq!(ids(&lab), before);
    lab.ok(&["scale", "spark-worker=2"]);

    // Addresses hold over halt and up, and the cluster finds itself again.
    let ip = lab.fact("immutable/spark-worker1", "ip");
    lab.ok(&["halt"]);
    lab.ok(&["up"]);
    assert_eq!(lab.fact("immutable/spark-worker1", "ip"), ip);
    alive(&lab, 2);
    lab.ok(&["check", "cluster", "ring"]);

    // Without a worker the jobs fail, soon and clearly.
    lab.ok(&["scale", "spark-worker=0"]);
    let pi = lab.run(&["check", "--topology", "immutable", "pi", "pi-python", "--json"]).code(3).json();
    assert_eq!(pi["failed"], 2, "{pi}");

    // The rings grow and shrink, and keep what was written.
    lab.ok(&["scale", "cassandra=2"]);
    lab.ok(&["check", "ring"]);
    lab.ok(&["scale", "cassandra=1"]);
    lab.ok(&["check", "ring"]);
    for topology in ["naughty", "immutable"] {
        let count = ["exec", &format!("{topology}/cassandra1"), "--", "cql", "SELECT count(*) FROM rig_spark.numbers"];
        assert_eq!(lab.ok(&count).stdout.trim(), "10000", "{topology}");
        // The last node cannot hand anything over: it is refused, and stays.
        let last = lab.run(&["scale", &format!("{topology}/cassandra=0")]).code(1);
        assert!(last.stderr.contains("was not removed"), "{}", last.stderr);
        assert_eq!(lab.fact(&format!("{topology}/cassandra1"), "state"), "running");
        lab.ok(&["scale", &format!("{topology}/cassandra=1")]);
    }

    lab.ok(&["destroy", "-f", "--volumes"]);
    assert_eq!(lab.left(), Vec::<String>::new());
}
