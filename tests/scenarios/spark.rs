//! The root workspace: a Spark cluster that runs jobs.

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
fn the_root_workspace_runs_spark_jobs() {
    let lab = Lab::root();
    lab.ok(&["destroy", "-f"]);

    // The ritual: remove everything, bring all up in order, run the jobs.
    lab.ok(&["up", "--no-parallel"]);
    let answer = alive(&lab, 2);
    // Right after `up` nobody has to wait: every worker is registered, with the cores of its limit.
    assert_eq!(answer["cores"], 2);
    assert!(answer["workers"].as_array().unwrap().iter().all(|worker| worker["cores"] == 1));
    let checks = lab.ok(&["check", "--json"]).json();
    assert_eq!(checks["failed"], 0, "{checks}");
    assert!(checks["checks"].as_array().unwrap().len() >= 3);

    // Nothing to do.
    let again = lab.ok(&["up"]);
    assert!(again.elapsed < Duration::from_millis(500), "no-op up took {:?}", again.elapsed);

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
    lab.ok(&["check", "cluster"]);

    // Without a worker the jobs fail, soon and clearly.
    lab.ok(&["scale", "spark-worker=0"]);
    let pi = lab.run(&["check", "pi", "pi-python", "--json"]).code(3).json();
    assert_eq!(pi["failed"], 2, "{pi}");

    lab.ok(&["destroy", "-f"]);
    assert_eq!(lab.left(), Vec::<String>::new());
}
