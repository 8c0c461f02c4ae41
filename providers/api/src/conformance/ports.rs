//! Ports: into machines, and published on the host.

use super::{
    Case, Failure, Outcome,
    case::{case, ensure, ensure_eq},
    stage::{Stage, name, reference},
};
use crate::{DialStream, ObserveScope, ProviderError};
use rig_model::{MachineState, Protocol, PublishedPort, ResolvedMachine};
use std::{
    net::{IpAddr, Ipv4Addr, SocketAddr},
    time::Duration,
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    time::Instant,
};

pub(super) fn cases() -> Vec<Case> {
    vec![
        case!(a_service_is_reached_through_the_provider, Dial, Service),
        case!(nobody_listens_is_an_error, Dial),
        case!(a_stopped_machine_is_not_reached, Dial),
        case!(published_on_the_loopback_means_nowhere_else, Dial, Real, Service),
        case!(published_ports_are_seen_by_others),
        case!(a_taken_port_is_an_error_that_says_what_to_do),
        case!(ports_come_and_go_while_a_machine_runs, Forwards, Dial, Exec),
    ]
}

/// The port of [`Fixture::web`](super::Fixture::web).
const WEB: u16 = 8000;

pub(super) fn web(stage: &Stage<'_>, machine: &str) -> ResolvedMachine {
    let mut machine = stage.machine(machine);
    machine.command.clone_from(&stage.fixture.web);
    machine
}

/// A port of this host that nobody has.
async fn free_port() -> Outcome<u16> {
    let lost = |error: std::io::Error| Failure::new(format!("looking for a free port: {error}"));
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.map_err(lost)?;
    Ok(listener.local_addr().map_err(lost)?.port())
}

fn publish(machine: &mut ResolvedMachine, host: u16) {
    machine.ports.push(PublishedPort { guest: WEB, host, bind: Ipv4Addr::LOCALHOST.into(), protocol: Protocol::Tcp });
}

async fn dial(stage: &Stage<'_>, machine: &ResolvedMachine, port: u16) -> Result<DialStream, ProviderError> {
    match stage.provider.dial() {
        Some(dial) => dial.dial(&stage.cx, &reference(machine), port).await,
        None => Err(ProviderError::failed("dialling", "the provider connects nowhere")),
    }
}

/// Connects as soon as the service listens.
pub(super) async fn dial_soon(stage: &Stage<'_>, machine: &ResolvedMachine) -> Outcome<DialStream> {
    let end = Instant::now() + Duration::from_secs(10);
    loop {
        match dial(stage, machine, WEB).await {
            Ok(stream) => return Ok(stream),
            Err(error) if Instant::now() > end => return Err(error.into()),
            Err(_) => tokio::time::sleep(Duration::from_millis(50)).await,
        }
    }
}

pub(super) async fn get_hello(mut stream: impl AsyncReadExt + AsyncWriteExt + Unpin) -> Outcome<String> {
    let lost = |error| Failure::new(format!("asking for /hello: {error}"));
    stream.write_all(b"GET /hello HTTP/1.1\r\nHost: machine\r\nConnection: close\r\n\r\n").await.map_err(lost)?;
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).await.map_err(lost)?;
    Ok(String::from_utf8_lossy(&answer).trim_end().to_owned())
}

async fn a_service_is_reached_through_the_provider(stage: &Stage<'_>) -> Outcome {
    let machine = web(stage, "web");
    stage.up(&machine).await?;
    let answer = get_hello(dial_soon(stage, &machine).await?).await?;
    ensure!(answer.contains(" 200 ") && answer.ends_with("hello"), "GET /hello gives {answer:?}");
    // Two connections at the same time, each with its own answer.
    let (first, second) = tokio::try_join!(dial_soon(stage, &machine), dial_soon(stage, &machine))?;
    let (first, second) = tokio::try_join!(get_hello(first), get_hello(second))?;
    ensure!(first.ends_with("hello") && second.ends_with("hello"), "two connections give {first:?} and {second:?}");
    Ok(())
}

async fn nobody_listens_is_an_error(stage: &Stage<'_>) -> Outcome {
    let machine = stage.running("deaf").await?;
    if stage.provider.exec().is_some() {
        // A machine that has to boot first has done so then.
        stage.shell(&machine, "true").await?;
    }
    let began = Instant::now();
    ensure!(dial(stage, &machine, WEB).await.is_err(), "a port without a service takes connections");
    ensure!(began.elapsed() < Duration::from_secs(5), "that nobody listens was known only after {:?}", began.elapsed());
    Ok(())
}

async fn a_stopped_machine_is_not_reached(stage: &Stage<'_>) -> Outcome {
    let machine = web(stage, "web");
    stage.create(&machine).await?;
    ensure!(dial(stage, &machine, WEB).await.is_err(), "a machine that never ran takes connections");
    let absent = dial(stage, &stage.machine("nobody"), WEB).await;
    ensure!(absent.is_err_and(|error| error.is_absent()), "that a machine is absent is not said");
    Ok(())
}

async fn published_on_the_loopback_means_nowhere_else(stage: &Stage<'_>) -> Outcome {
    if !stage.provider.probe(&stage.cx).await?.local {
        // Another host's loopback is not reached from here.
        return Ok(());
    }
    let port = free_port().await?;
    let mut machine = web(stage, "web");
    publish(&mut machine, port);
    stage.up(&machine).await?;
    ensure_eq!(stage.seen(&machine).await?.ports, machine.ports, "the published ports are");
    dial_soon(stage, &machine).await?;
    let connect = |ip: IpAddr| async move {
        let connect = TcpStream::connect(SocketAddr::new(ip, port));
        tokio::time::timeout(Duration::from_secs(2), connect).await.map_err(std::io::Error::from).flatten()
    };
    let stream = connect(Ipv4Addr::LOCALHOST.into()).await;
    let stream = stream.map_err(|error| Failure::new(format!("127.0.0.1:{port} is not published: {error}")))?;
    let answer = get_hello(stream).await?;
    ensure!(answer.ends_with("hello"), "the published port answers {answer:?}");
    // The first address of the range is this host's own on that network.
    let Some(gateway) = stage.fixture.subnets[0].hosts().next() else { return Ok(()) };
    ensure!(connect(gateway.into()).await.is_err(), "{gateway}:{port} is published too");
    Ok(())
}

async fn published_ports_are_seen_by_others(stage: &Stage<'_>) -> Outcome {
    let mut machine = web(stage, "web");
    let port = free_port().await?;
    publish(&mut machine, port);
    stage.up(&machine).await?;
    let scope = ObserveScope { host_ports: true, ..ObserveScope::MACHINES };
    let own = stage.provider.observe(&stage.cx, &stage.fixture.workspace, scope).await?;
    ensure!(
        own.host_ports.iter().all(|taken| taken.port != port),
        "the workspace's own port is called somebody else's"
    );
    let stranger = name(&format!("{}x", stage.fixture.workspace));
    let other = stage.provider.observe(&stage.cx, &stranger, scope).await?;
    let taken = other.host_ports.iter().find(|taken| taken.port == port);
    ensure!(taken.is_some_and(|taken| taken.owner.contains("web")), "port {port} is not among {:?}", other.host_ports);
    Ok(())
}

async fn a_taken_port_is_an_error_that_says_what_to_do(stage: &Stage<'_>) -> Outcome {
    let port = free_port().await?;
    let mut first = web(stage, "first");
    publish(&mut first, port);
    stage.up(&first).await?;
    let mut second = web(stage, "second");
    publish(&mut second, port);
    stage.create(&second).await?;
    let Err(error) = stage.provider.start(&stage.cx, &reference(&second)).await else {
        return Err(Failure::new(format!("two machines have port {port}")));
    };
    ensure!(error.to_string().contains(&port.to_string()), "the error does not name the port: {error}");
    ensure!(error.hint().is_some(), "the error does not say what to do: {error}");
    ensure_eq!(stage.seen(&first).await?.state, MachineState::Running, "the machine that has the port is");
    ensure!(!stage.seen(&second).await?.state.is_running(), "the machine that failed to start runs");
    // Once the port is free, the same call succeeds.
    stage.destroy(&first).await?;
    stage.start(&second).await?;
    ensure_eq!(stage.seen(&second).await?.state, MachineState::Running, "the machine that waited for the port is");
    Ok(())
}

async fn ports_come_and_go_while_a_machine_runs(stage: &Stage<'_>) -> Outcome {
    let Some(forwards) = stage.provider.forwards() else { return Ok(()) };
    let machine = stage.machine("web");
    let (there, free) = (reference(&machine), free_port().await?);
    let port = PublishedPort { guest: WEB, host: free, bind: Ipv4Addr::LOCALHOST.into(), protocol: Protocol::Tcp };
    // Absence is success on the way out, and an error on the way in.
    forwards.withdraw(&stage.cx, &there, &port).await?;
    ensure!(forwards.forward(&stage.cx, &there, &port).await.is_err(), "a port leads into a machine that is not there");
    stage.up(&machine).await?;
    let serve = format!("mkdir -p /tmp/site && echo hello >/tmp/site/hello && busybox httpd -p {WEB} -h /tmp/site");
    stage.eventually(&machine, &serve).await?;
    ensure_eq!(forwards.forwards(&stage.cx, &there).await?, [], "before any was made, forwarded ports are");
    for _ in 0..2 {
        forwards.forward(&stage.cx, &there, &port).await?;
    }
    let lost = |error: std::io::Error| Failure::new(format!("connecting to port {free} of this host: {error}"));
    let stream = TcpStream::connect((Ipv4Addr::LOCALHOST, free)).await.map_err(lost)?;
    let answer = get_hello(stream).await?;
    ensure!(answer.ends_with("hello"), "the port answers {answer:?}");
    ensure_eq!(forwards.forwards(&stage.cx, &there).await?, std::slice::from_ref(&port), "forwarded ports are");
    for _ in 0..2 {
        forwards.withdraw(&stage.cx, &there, &port).await?;
    }
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, free)).await;
    let _taken = listener.map_err(|error| Failure::new(format!("port {free} was not given up: {error}")))?;
    let refused = forwards.forward(&stage.cx, &there, &port).await;
    let hint = refused.err().and_then(|error| error.hint().map(str::to_owned)).unwrap_or_default();
    ensure!(hint.contains(&free.to_string()), "about a taken port it is said {hint:?}");
    Ok(())
}
