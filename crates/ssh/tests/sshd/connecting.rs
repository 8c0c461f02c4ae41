//! Getting in, and being kept out.

use crate::lab::{Lab, seconds, tcp};
use async_trait::async_trait;
use rig_ssh::{Connection, Credentials, DialError, Dialer, Identity, Jump, KeyPair, SshError, Trust, connect};
use std::process::{Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::net::TcpListener;
use tokio::time::{Instant, sleep, timeout};

#[tokio::test]
async fn an_unknown_key_is_refused_at_once() {
    let lab = Lab::start();
    lab.connect().await;
    let stranger = KeyPair::generate("stranger").unwrap();
    let start = Instant::now();
    let error =
        connect(lab.dialer(), Credentials::key(&lab.user, stranger.clone()), lab.trust(), &seconds(20), &|why| {
            panic!("it waits: {why}")
        })
        .await
        .unwrap_err();
    assert!(start.elapsed() < Duration::from_secs(2), "{:?}", start.elapsed());
    assert!(error.is_permanent());
    let SshError::Refused { user, offered } = error else { panic!("{error}") };
    assert_eq!((user, offered), (lab.user.clone(), vec![stranger.fingerprint()]));
}

#[tokio::test]
async fn the_second_key_may_be_the_right_one() {
    let lab = Lab::start();
    let keys = vec![KeyPair::generate("wrong").unwrap(), lab.key.clone()];
    let credentials = Credentials { user: lab.user.clone(), identity: Identity::Keys(keys) };
    connect(lab.dialer(), credentials, lab.trust(), &seconds(20), &|_| {}).await.unwrap();
}

#[tokio::test]
async fn too_many_keys_are_a_refusal() {
    let lab = Lab::start();
    lab.connect().await;
    let keys = (0..8).map(|_| KeyPair::generate("wrong").unwrap()).collect();
    let credentials = Credentials { user: lab.user.clone(), identity: Identity::Keys(keys) };
    let error = connect(lab.dialer(), credentials, lab.trust(), &seconds(20), &|_| {}).await.unwrap_err();
    assert!(matches!(error, SshError::Refused { .. }), "{error}");
}

#[tokio::test]
async fn a_changed_host_key_is_refused_at_once() {
    let lab = Lab::start();
    lab.connect().await;
    let other = KeyPair::generate("").unwrap().host_key();
    let pinned = Trust::Pinned(vec![other.clone()]);
    let start = Instant::now();
    let error = connect(lab.dialer(), lab.credentials(), pinned, &seconds(20), &|_| {}).await.unwrap_err();
    assert!(start.elapsed() < Duration::from_secs(2));
    let SshError::HostKeyChanged { expected, got } = error else { panic!("{error}") };
    assert_eq!((expected, got), (vec![other.fingerprint()], lab.host_key.fingerprint()));
}

#[tokio::test]
async fn the_first_use_teaches_the_host_key() {
    let lab = Lab::start();
    let first = connect(lab.dialer(), lab.credentials(), Trust::FirstUse, &seconds(20), &|_| {}).await.unwrap();
    assert_eq!(first.host_key(), &lab.host_key);
    first.another(&seconds(20), &|_| {}).await.unwrap();
}

#[tokio::test]
async fn a_server_that_never_speaks_times_out() {
    let silent = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = silent.local_addr().unwrap().port();
    let start = Instant::now();
    let error = connect(
        tcp(port),
        Credentials::key("nobody", KeyPair::generate("").unwrap()),
        Trust::FirstUse,
        &seconds(3),
        &|_| {},
    )
    .await
    .unwrap_err();
    assert!(start.elapsed() < Duration::from_secs(4));
    assert_eq!(
        error.to_string(),
        format!(
            "timed out waiting for SSH at 127.0.0.1:{port}; the last attempt: it accepted the connection, but sent no \
             SSH greeting"
        )
    );
    assert!(!error.is_permanent() && !error.is_cancelled());
}

#[tokio::test]
async fn a_server_that_comes_late_is_waited_for() {
    let port = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap().port();
    let reasons = Mutex::new(Vec::new());
    let error = connect(
        tcp(port),
        Credentials::key("nobody", KeyPair::generate("").unwrap()),
        Trust::FirstUse,
        &seconds(2),
        &|why| reasons.lock().unwrap().push(why.to_owned()),
    )
    .await
    .unwrap_err();
    let reasons = reasons.into_inner().unwrap();
    assert!(reasons.len() > 2 && reasons[0].contains("refused"), "{reasons:?}");
    assert!(error.to_string().contains("refused"), "{error}");
}

#[tokio::test]
async fn cancelling_ends_the_wait() {
    let silent = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let patience = seconds(60);
    let cancel = patience.cancel.clone();
    tokio::spawn(async move {
        sleep(Duration::from_millis(200)).await;
        cancel.cancel();
    });
    let credentials = Credentials::key("nobody", KeyPair::generate("").unwrap());
    let dialer = tcp(silent.local_addr().unwrap().port());
    let start = Instant::now();
    let error = connect(dialer, credentials, Trust::FirstUse, &patience, &|_| {}).await.unwrap_err();
    assert!(error.is_cancelled() && start.elapsed() < Duration::from_secs(1));
}

struct Gone;

#[async_trait]
impl Dialer for Gone {
    async fn dial(&self) -> Result<Box<dyn Connection>, DialError> {
        Err(DialError::Permanent { why: "machine web has exited".to_owned() })
    }

    fn place(&self) -> String {
        "web".to_owned()
    }
}

#[tokio::test]
async fn a_machine_that_is_gone_is_not_waited_for() {
    let credentials = Credentials::key("nobody", KeyPair::generate("").unwrap());
    let start = Instant::now();
    let error = connect(Arc::new(Gone), credentials, Trust::FirstUse, &seconds(60), &|_| {}).await.unwrap_err();
    assert!(start.elapsed() < Duration::from_secs(1));
    assert_eq!(error.to_string(), "cannot reach the machine: machine web has exited");
}

#[tokio::test]
async fn through_a_jump_host() {
    let [jump, lab] = [(); 2].map(|()| Lab::start());
    let dialer = Jump { through: jump.connect().await, host: "127.0.0.1".to_owned(), port: lab.port };
    let session = connect(Arc::new(dialer), lab.credentials(), lab.trust(), &seconds(20), &|_| {}).await.unwrap();
    let outcome = session.run("echo through", None, 100).await.unwrap();
    assert_eq!(outcome.stdout, b"through\n");
    jump.kill_connections();
    timeout(Duration::from_secs(3), session.lost()).await.expect("the loss of the jump host shows");
}

#[tokio::test]
async fn keys_of_an_agent() {
    let lab = Lab::start();
    lab.connect().await;
    let socket = lab.path("agent");
    let mut agent = Command::new("ssh-agent").arg("-D").arg("-a").arg(&socket).stdout(Stdio::null()).spawn().unwrap();
    let key = lab.path("key");
    crate::lab::write_private(&key, &lab.key.to_openssh().unwrap());
    while !socket.exists() {
        sleep(Duration::from_millis(20)).await;
    }
    let credentials = Credentials { user: lab.user.clone(), identity: Identity::Agent(socket.clone()) };
    let empty = connect(lab.dialer(), credentials.clone(), lab.trust(), &seconds(20), &|_| {}).await.unwrap_err();
    let added = Command::new("ssh-add").arg(&key).env("SSH_AUTH_SOCK", &socket).stderr(Stdio::null()).status().unwrap();
    let session = connect(lab.dialer(), credentials, lab.trust(), &seconds(20), &|_| {}).await;
    agent.kill().unwrap();
    agent.wait().unwrap();
    assert!(matches!(empty, SshError::Refused { .. }), "{empty}");
    assert!(added.success());
    session.unwrap();
}
