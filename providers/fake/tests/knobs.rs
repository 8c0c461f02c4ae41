//! The knobs that other crates' tests turn do what they say.

#![expect(clippy::unwrap_used, reason = "the helpers of these tests are made for them alone")]

use futures_util::{StreamExt, TryStreamExt};
use rig_model::{
    Attachment, Digest, Exit, Idiom, Limits, MachineId, MachineState, Name, ResolvedMachine, ResolvedNetwork,
    RestartPolicy, Security, usable,
};
use rig_provider_api::{
    Context, Dial, Exec, ExecEvent, ExecRequest, MachineEventKind, MachineRef, Networks, NoProgress, ObserveScope,
    Provider, ProviderError, Watch,
};
use rig_provider_fake::{Capability, ExecAnswer, FakeProvider, Verb};
use std::{collections::BTreeMap, sync::Arc, time::Duration};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio_util::sync::CancellationToken;

fn name(text: &str) -> Name {
    Name::new(text).unwrap()
}

fn context() -> Context {
    Context::alone(Duration::from_secs(5))
}

/// A backend with a box and a network, and a machine that can be created.
async fn stage() -> (FakeProvider, ResolvedMachine, MachineRef) {
    let fake = FakeProvider::new();
    let image = fake.add_box(&name("debian"), &Digest::of(b"debian"), None);
    let network = ResolvedNetwork {
        topology: name("lab"),
        name: name("front"),
        subnet: "10.1.2.0/24".parse().unwrap(),
        internal: false,
    };
    fake.create_network(&context(), &name("work"), &network).await.unwrap();
    let machine = ResolvedMachine {
        workspace: name("work"),
        id: MachineId::new(name("lab"), name("one")),
        group: name("one"),
        index: None,
        role: None,
        idiom: Idiom::Immutable,
        provider: fake.id().clone(),
        box_name: name("debian"),
        image,
        flavor: None,
        hostname: "one".to_owned(),
        networks: vec![Attachment { network: name("front"), ip: usable(&network.subnet).next() }],
        command: vec!["/usr/bin/service".to_owned()],
        env: BTreeMap::new(),
        host_env: std::collections::BTreeMap::new(),
        ports: Vec::new(),
        mounts: Vec::new(),
        tmpfs: Vec::new(),
        limits: Limits::default(),
        security: Security::default(),
        restart: RestartPolicy::No,
        stop_timeout: Duration::from_secs(10),
        options: Vec::new(),
    };
    let reference = MachineRef { workspace: machine.workspace.clone(), id: machine.id.clone() };
    fake.forget_calls();
    (fake, machine, reference)
}

async fn state(fake: &FakeProvider, machine: &MachineRef) -> Option<MachineState> {
    fake.inspect(&context(), machine).await.unwrap().map(|seen| seen.state)
}

#[tokio::test]
async fn the_nth_call_fails_and_names_its_machine() {
    let (fake, machine, reference) = stage().await;
    fake.on(Verb::Start).of("lab/*").nth(2).fails("no space left on device");
    fake.create(&context(), &machine).await.unwrap();
    fake.start(&context(), &reference).await.unwrap();
    let error = fake.start(&context(), &reference).await.unwrap_err();
    assert_eq!(error.to_string(), "start lab/one: no space left on device");
    fake.start(&context(), &reference).await.unwrap();
    assert_eq!(fake.changes(), ["create lab/one", "start lab/one", "start lab/one", "start lab/one"]);
    assert_eq!(fake.calls().iter().filter(|call| call.succeeded == Some(false)).count(), 1);
}

#[tokio::test]
async fn what_was_made_before_a_failure_is_there() {
    let (fake, machine, reference) = stage().await;
    fake.on(Verb::Create).after().nth(1).fails("the connection broke");
    assert!(fake.create(&context(), &machine).await.is_err());
    assert_eq!(state(&fake, &reference).await, Some(MachineState::Created));
    fake.create(&context(), &machine).await.unwrap();
}

#[tokio::test]
async fn a_hanging_call_ends_when_it_is_cancelled() {
    let (fake, machine, reference) = stage().await;
    fake.on(Verb::Create).hangs();
    let cancel = CancellationToken::new();
    let cx = Context::new(cancel.clone(), Duration::from_secs(60), Arc::new(NoProgress));
    let (result, ()) = tokio::join!(fake.create(&cx, &machine), async {
        tokio::time::sleep(Duration::from_millis(20)).await;
        cancel.cancel();
    });
    assert!(matches!(result, Err(ProviderError::Cancelled { .. })));
    assert_eq!(state(&fake, &reference).await, None);
}

#[tokio::test]
async fn calls_at_once_are_counted() {
    let (fake, machine, _) = stage().await;
    fake.on(Verb::Create).takes(Duration::from_millis(20));
    let cx = context();
    let all = (0..3).map(|_| fake.create(&cx, &machine));
    futures_util::future::try_join_all(all).await.unwrap();
    assert_eq!(fake.most_at_once(), 3);
    let calls = fake.calls();
    assert!(calls.iter().all(|call| call.ended.is_some_and(|ended| ended > calls[2].began)));
}

#[tokio::test]
async fn machines_die_and_are_started_again_as_their_policy_says() {
    let (fake, mut machine, reference) = stage().await;
    machine.restart = RestartPolicy::OnFailure;
    fake.machine("lab/one").prints("up").dies(Duration::from_millis(5), 7);
    let mut news = Watch::watch(&fake, &context(), &machine.workspace).await.unwrap();
    fake.create(&context(), &machine).await.unwrap();
    fake.start(&context(), &reference).await.unwrap();
    let kinds: Vec<_> = news.by_ref().take(3).map_ok(|event| event.kind).try_collect().await.unwrap();
    let died = MachineEventKind::Died(Exit { code: 7, out_of_memory: false });
    assert_eq!(kinds, [MachineEventKind::Started, died, MachineEventKind::Started]);
}

#[tokio::test]
async fn a_crash_and_an_engine_that_goes_away_are_told() {
    let (fake, machine, reference) = stage().await;
    let mut news = Watch::watch(&fake, &context(), &machine.workspace).await.unwrap();
    fake.create(&context(), &machine).await.unwrap();
    fake.start(&context(), &reference).await.unwrap();
    fake.crash(&reference, Exit { code: 137, out_of_memory: true });
    assert_eq!(state(&fake, &reference).await, Some(MachineState::Exited));
    fake.reachable(false);
    let told: Vec<_> = news.by_ref().collect().await;
    assert!(
        told[1].as_ref().is_ok_and(|event| matches!(&event.kind, MachineEventKind::Died(exit) if exit.out_of_memory))
    );
    assert!(matches!(told.last(), Some(Err(ProviderError::Unreachable { .. }))));
    let observed = fake.observe(&context(), &machine.workspace, ObserveScope::ALL).await;
    assert!(matches!(observed, Err(ProviderError::Unreachable { .. })));
}

#[tokio::test]
async fn services_open_late_and_answer() {
    let (fake, machine, reference) = stage().await;
    fake.machine("lab/*").http(80, "/json/", 200, r#"{"status":"ALIVE"}"#).listens_after(80, Duration::from_millis(50));
    fake.create(&context(), &machine).await.unwrap();
    fake.start(&context(), &reference).await.unwrap();
    assert!(Dial::dial(&fake, &context(), &reference, 80).await.is_err());
    tokio::time::sleep(Duration::from_millis(60)).await;
    for (path, status) in [("/json/", "200"), ("/other", "404")] {
        let mut stream = Dial::dial(&fake, &context(), &reference, 80).await.unwrap();
        stream.write_all(format!("GET {path} HTTP/1.1\r\n\r\n").as_bytes()).await.unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.unwrap();
        assert!(answer.starts_with(&format!("HTTP/1.1 {status} ")), "{answer}");
    }
}

#[tokio::test]
async fn commands_answer_as_scripted() {
    let (fake, machine, reference) = stage().await;
    let pi = ExecAnswer { stdout: "Pi is roughly 3.1\n".to_owned(), ..ExecAnswer::default() };
    fake.machine("lab/*").answers(&["spark-submit"], pi);
    fake.create(&context(), &machine).await.unwrap();
    fake.start(&context(), &reference).await.unwrap();
    let request =
        ExecRequest { command: vec!["spark-submit".to_owned(), "pi.py".to_owned()], ..ExecRequest::default() };
    let session = Exec::exec(&fake, &context(), &reference, &request).await.unwrap();
    let events: Vec<_> = session.events.try_collect().await.unwrap();
    assert_eq!(
        events,
        [ExecEvent::Output(rig_model::Stream::Stdout, "Pi is roughly 3.1\n".into()), ExecEvent::Exit(0)]
    );
}

#[test]
fn what_it_lacks_has_no_accessor() {
    let fake = FakeProvider::new().named(name("docker")).without(Capability::Watch);
    assert_eq!(fake.id().as_str(), "docker");
    assert!(Provider::watch(&fake).is_none() && Provider::exec(&fake).is_some());
}
