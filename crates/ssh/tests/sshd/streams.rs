//! Tunnels and forwards.

use crate::lab::Lab;
use rig_ssh::{SshError, forward_local};
use std::net::SocketAddr;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream, UnixListener};
use tokio::time::{sleep, timeout};

const ANY: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(std::net::Ipv4Addr::LOCALHOST), 0);

/// Answers each connection with what it sent, once that has ended.
async fn echo() -> u16 {
    let listener = TcpListener::bind(ANY).await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            tokio::spawn(async move {
                let mut text = Vec::new();
                stream.read_to_end(&mut text).await.unwrap();
                stream.write_all(&text).await.unwrap();
            });
        }
    });
    port
}

#[tokio::test]
async fn a_forward_leads_and_ends_with_its_guard() {
    let lab = Lab::start();
    let session = lab.connect().await;
    let forward = forward_local(&session, ANY, "127.0.0.1", echo().await).await.unwrap();
    let mut clients = Vec::new();
    for n in 0..5_u8 {
        let address = forward.address();
        clients.push(tokio::spawn(async move {
            let mut stream = TcpStream::connect(address).await.unwrap();
            let sent = vec![n; 3_000_000];
            stream.write_all(&sent).await.unwrap();
            stream.shutdown().await.unwrap();
            let mut got = Vec::new();
            stream.read_to_end(&mut got).await.unwrap();
            assert!(got == sent);
        }));
    }
    for client in clients {
        timeout(Duration::from_secs(10), client).await.unwrap().unwrap();
    }

    let address = forward.address();
    let mut open = TcpStream::connect(address).await.unwrap();
    sleep(Duration::from_millis(100)).await;
    drop(forward);
    let ended = timeout(Duration::from_secs(1), open.read(&mut [0; 1])).await.expect("the connection ends");
    assert!(matches!(ended, Ok(0) | Err(_)));
    assert!(TcpStream::connect(address).await.is_err());
}

#[tokio::test]
async fn a_forward_ends_with_the_connection() {
    let lab = Lab::start();
    let session = lab.connect().await;
    let forward = forward_local(&session, ANY, "127.0.0.1", echo().await).await.unwrap();
    lab.kill_connections();
    timeout(Duration::from_secs(2), session.lost()).await.unwrap();
    sleep(Duration::from_millis(50)).await;
    assert!(forward.is_finished());
}

#[tokio::test]
async fn a_tunnel_to_nothing_is_denied() {
    let lab = Lab::start();
    let session = lab.connect().await;
    let port = TcpListener::bind(ANY).await.unwrap().local_addr().unwrap().port();
    let error = session.tunnel("127.0.0.1", port).await.unwrap_err();
    assert!(matches!(error, SshError::Denied { .. }), "{error}");
    assert!(session.run("true", None, 0).await.unwrap().success());
}

#[tokio::test]
async fn a_tunnel_to_a_socket() {
    let lab = Lab::start();
    let session = lab.connect().await;
    let path = lab.path("socket");
    let listener = UnixListener::bind(&path).unwrap();
    let mut tunnel = session.tunnel_socket(path.to_str().unwrap()).await.unwrap();
    let (mut stream, _) = listener.accept().await.unwrap();
    tunnel.write_all(b"to").await.unwrap();
    tunnel.shutdown().await.unwrap();
    let mut got = String::new();
    stream.read_to_string(&mut got).await.unwrap();
    assert_eq!(got, "to");
    stream.write_all(b"from").await.unwrap();
    drop(stream);
    got.clear();
    tunnel.read_to_string(&mut got).await.unwrap();
    assert_eq!(got, "from");
}
