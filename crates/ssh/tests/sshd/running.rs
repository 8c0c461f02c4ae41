//! Commands and shells.

use crate::lab::{Lab, seconds};
use bytes::Bytes;
use futures_util::StreamExt;
use rig_ssh::{Event, ExecCommand, Output, SshError, Terminal};
use std::time::Duration;
use tokio::io::AsyncWriteExt;
use tokio::time::{Instant, sleep, timeout};

#[tokio::test]
async fn outputs_are_apart_and_codes_arrive() {
    let lab = Lab::start();
    let session = lab.connect().await;
    let outcome = session.run("echo out; echo err >&2; exit 3", None, 100).await.unwrap();
    assert_eq!(outcome.stdout, b"out\n");
    assert_eq!(outcome.stderr, b"err\n");
    assert_eq!((outcome.code, outcome.signal.as_deref()), (Some(3), None));
    let outcome = session.run("kill -TERM $$", None, 100).await.unwrap();
    assert_eq!((outcome.code, outcome.signal.as_deref()), (None, Some("TERM")));
    assert_eq!(outcome.ending(), "signal TERM");
}

#[tokio::test]
async fn input_goes_in_and_the_end_of_large_output_is_kept() {
    let lab = Lab::start();
    let session = lab.connect().await;
    let outcome = session.run("cat; echo end", Some(Bytes::from(vec![b'x'; 5_000_000])), 6).await.unwrap();
    assert_eq!(outcome.stdout, b"xxend\n");
    let outcome = session.run("wc -c", Some(Bytes::from(vec![b'x'; 5_000_000])), 100).await.unwrap();
    assert_eq!(String::from_utf8_lossy(&outcome.stdout).trim(), "5000000");
    // Without input, reading ends at once; and a command may end without reading its input.
    assert!(session.run("cat", None, 100).await.unwrap().success());
    assert!(session.run("true", Some(Bytes::from(vec![0; 20_000_000])), 100).await.unwrap().success());
}

#[tokio::test]
async fn variables_that_the_server_takes() {
    let lab = Lab::start();
    let session = lab.connect().await;
    let command = ExecCommand {
        env: vec![("LC_RIG".to_owned(), "it's".to_owned()), ("SECRET".to_owned(), "x".to_owned())],
        ..ExecCommand::new("echo \"$LC_RIG/$SECRET\"")
    };
    let outcome = session.exec(&command).await.unwrap().outcome(100).await.unwrap();
    assert_eq!(outcome.stdout, b"it's/\n");
}

#[tokio::test]
async fn three_unread_megabytes_hold_nothing_up() {
    let lab = Lab::start();
    let session = lab.connect().await;
    let bulk = session.another(&seconds(20), &|_| {}).await.unwrap();
    let small = bulk.exec(&ExecCommand::new("head -c 3000000 /dev/zero; exit 4")).await.unwrap();
    let huge = session.another(&seconds(20), &|_| {}).await.unwrap();
    let endless = huge.exec(&ExecCommand::new("yes")).await.unwrap();
    sleep(Duration::from_secs(1)).await;
    // On another connection, and up to the buffer's size on the same one.
    for session in [&session, &bulk] {
        let outcome = timeout(Duration::from_secs(2), session.run("echo fine", None, 100)).await.unwrap().unwrap();
        assert_eq!(outcome.stdout, b"fine\n");
    }
    let outcome = small.outcome(10_000_000).await.unwrap();
    assert_eq!((outcome.stdout.len(), outcome.code), (3_000_000, Some(4)));
    // Letting go of the one that was not read frees its connection.
    assert!(timeout(Duration::from_secs(1), huge.run("echo fine", None, 100)).await.is_err());
    drop(endless);
    timeout(Duration::from_secs(2), huge.run("echo fine", None, 100)).await.unwrap().unwrap();
}

#[tokio::test]
async fn many_at_once() {
    let lab = Lab::start();
    let session = lab.connect().await;
    for _ in 0..3 {
        let runs = (0..8).map(|n| {
            let session = session.clone();
            async move { session.run(&format!("head -c 1000000 /dev/zero; exit {n}"), None, 2_000_000).await }
        });
        let outcomes = futures_util::future::join_all(runs).await;
        for (n, outcome) in outcomes.into_iter().enumerate() {
            let outcome = outcome.unwrap();
            assert_eq!((outcome.code, outcome.stdout.len()), (Some(i32::try_from(n).unwrap()), 1_000_000));
        }
    }
}

#[tokio::test]
async fn dropped_commands_give_their_channels_back() {
    let lab = Lab::start();
    let session = lab.connect().await;
    // Ten is what a server allows at once; it counts a command until its process has ended.
    for _ in 0..4 {
        for _ in 0..6 {
            drop(session.exec(&ExecCommand::new("sleep 0.05; echo late")).await.unwrap());
        }
        sleep(Duration::from_secs(2)).await;
    }
    for _ in 0..5 {
        let _ = timeout(Duration::from_micros(50), session.exec(&ExecCommand::new("true"))).await;
    }
    let whole = ExecCommand { stdin: true, ..ExecCommand::new("cat") };
    // Each round starts ten processes at most, and waits until they have ended.
    for _ in 0..5 {
        sleep(Duration::from_secs(3)).await;
        let held = futures_util::future::join_all((0..10).map(|_| session.exec(&whole))).await;
        if held.iter().all(Result::is_ok) {
            return;
        }
    }
    panic!("some channels were not given back");
}

#[tokio::test]
async fn a_lost_connection_shows_at_once() {
    let lab = Lab::start();
    let session = lab.connect().await;
    let command = ExecCommand { stdin: true, ..ExecCommand::new("echo ready; sleep 100") };
    let mut running = session.exec(&command).await.unwrap();
    assert_eq!(running.events.next().await.unwrap().unwrap(), Event::Output(Output::Stdout, Bytes::from("ready\n")));
    let mut stdin = running.stdin.take().unwrap();
    // More than the server's window: the writer hangs until the loss frees it.
    let writer = tokio::spawn(async move { stdin.write_all(&vec![0; 30_000_000]).await });
    sleep(Duration::from_millis(300)).await;
    let start = Instant::now();
    lab.kill_connections();
    let error = running.events.next().await.unwrap().unwrap_err();
    assert!(matches!(error, SshError::Lost { .. }), "{error}");
    assert!(running.events.next().await.is_none());
    assert!(start.elapsed() < Duration::from_secs(1));
    assert!(timeout(Duration::from_secs(1), writer).await.unwrap().unwrap().is_err());
    assert!(!session.is_alive());
    assert!(matches!(session.run("true", None, 0).await, Err(SshError::Lost { .. })));
}

#[tokio::test]
async fn signals_reach_a_command() {
    let lab = Lab::start();
    let session = lab.connect().await;
    let line = "trap 'echo asked; exit 7' TERM; echo ready; for n in 1 2 3 4 5; do sleep 1; done";
    let mut running = session.exec(&ExecCommand::new(line)).await.unwrap();
    running.events.next().await.unwrap().unwrap();
    running.control.signal("TERM").await.unwrap();
    if lab.user == "root" {
        sleep(Duration::from_millis(500)).await;
        assert!(lab.log().contains("session signalling requires privilege separation"), "{}", lab.log());
        return;
    }
    let outcome = timeout(Duration::from_secs(3), running.outcome(100)).await.unwrap().unwrap();
    assert_eq!((outcome.code, outcome.stdout.as_slice()), (Some(7), b"asked\n".as_slice()));
}

#[tokio::test]
async fn a_shell_in_a_terminal_that_changes_its_size() {
    let lab = Lab::start();
    let session = lab.connect().await;
    let terminal = Terminal { term: "xterm".to_owned(), columns: 90, rows: 30 };
    let mut running = session.shell(&terminal).await.unwrap();
    let mut stdin = running.stdin.take().unwrap();
    stdin.write_all(b"PS1=; stty -echo; echo term=$TERM; stty size\n").await.unwrap();
    let mut seen = String::new();
    let mut resized = false;
    while let Some(event) = timeout(Duration::from_secs(5), running.events.next()).await.unwrap() {
        if event.is_err() && lab.log().contains("chown(/dev/pts") {
            // A server that is not root's cannot give terminals, unless the system's are mounted with their group.
            return;
        }
        match event.unwrap() {
            Event::Output(_, bytes) => seen.push_str(&String::from_utf8_lossy(&bytes)),
            Event::Exited(code) => assert_eq!(code, 5),
            event => panic!("{event:?}"),
        }
        if !resized && seen.contains("30 90") {
            resized = true;
            running.control.resize(120, 40).await.unwrap();
            stdin.write_all(b"stty size; exit 5\n").await.unwrap();
        }
    }
    assert!(seen.contains("term=xterm") && seen.contains("40 120"), "{seen}");
}

#[tokio::test]
async fn latency() {
    let lab = Lab::start();
    let session = lab.connect().await;
    let start = Instant::now();
    for _ in 0..20 {
        session.run("true", None, 0).await.unwrap();
    }
    let each = start.elapsed() / 20;
    println!("exec: {each:?} each");
    // The ssh program takes as long over a shared connection: it is the server that starts processes.
    assert!(each < Duration::from_secs(2), "{each:?}");
}

#[tokio::test]
async fn nothing_remains_of_a_session_that_was_dropped() {
    let lab = Lab::start();
    let session = lab.connect().await;
    let running = session.exec(&ExecCommand { stdin: true, ..ExecCommand::new("cat") }).await.unwrap();
    drop(session);
    // The command holds its connection.
    let events = timeout(Duration::from_secs(2), running.outcome(10)).await.unwrap().unwrap();
    assert!(events.success());
    let session = lab.connect().await;
    drop(session);
    let session = lab.connect().await;
    session.close().await;
    // Only the runtime's own tasks are left.
    let metrics = tokio::runtime::Handle::current().metrics();
    for _ in 0..50 {
        if metrics.num_alive_tasks() == 0 {
            return;
        }
        sleep(Duration::from_millis(20)).await;
    }
    panic!("{} tasks remain", metrics.num_alive_tasks());
}

/// Dropbear closes a terminal when its input ends. OpenSSH does not, but says that it was told.
#[tokio::test]
async fn the_input_of_a_terminal_that_nobody_writes_to_does_not_end() {
    let lab = Lab::with("LogLevel DEBUG2");
    let session = lab.connect().await;
    let ended = || lab.log().contains("rcvd eof");
    let terminal = Some(Terminal { term: "xterm".to_owned(), columns: 90, rows: 30 });
    let command = ExecCommand { terminal, ..ExecCommand::new("sleep 0.3") };
    let outcome = session.exec(&command).await.unwrap().outcome(100).await;
    assert!(!ended(), "{}", lab.log());
    if !lab.log().contains("chown(/dev/pts") {
        assert!(outcome.unwrap().success());
    }
    session.run("sleep 0.3", None, 100).await.unwrap();
    assert!(ended(), "{}", lab.log());
}
