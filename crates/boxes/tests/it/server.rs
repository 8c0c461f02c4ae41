//! A web server that misbehaves in chosen ways, one way for each request; the last way goes on for ever.

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex},
    time::Duration,
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
};

#[derive(Clone, Debug)]
pub(crate) enum Way {
    /// Answers as it should, ranges included.
    Well,
    /// Breaks off behind this many bytes of the body.
    Cut(usize),
    /// Sends this many bytes of the body and then nothing.
    Stall(usize),
    /// Sends the whole file whatever was asked for.
    IgnoreRange,
    /// Sends another part than was asked for.
    WrongRange,
    /// Answers with this status and no body.
    Status(u16),
    /// Waits before it answers well.
    Slow(Duration),
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Request {
    pub(crate) path: String,
    pub(crate) range: Option<String>,
    pub(crate) if_range: Option<String>,
}

pub(crate) struct Server {
    pub(crate) url: String,
    requests: Arc<Mutex<Vec<Request>>>,
}

struct Served {
    content: Vec<u8>,
    etag: Option<String>,
    ways: Mutex<VecDeque<Way>>,
    requests: Arc<Mutex<Vec<Request>>>,
}

impl Server {
    pub(crate) async fn start(content: &[u8], etag: Option<&str>, ways: impl IntoIterator<Item = Way>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/thing.bin", listener.local_addr().unwrap());
        let requests = Arc::default();
        let served = Arc::new(Served {
            content: content.to_vec(),
            etag: etag.map(str::to_owned),
            ways: Mutex::new(ways.into_iter().collect()),
            requests: Arc::clone(&requests),
        });
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(Arc::clone(&served).answer(stream));
            }
        });
        Self { url, requests }
    }

    pub(crate) fn requests(&self) -> Vec<Request> {
        self.requests.lock().unwrap().clone()
    }

    pub(crate) fn ranges(&self) -> Vec<Option<String>> {
        self.requests().into_iter().map(|request| request.range).collect()
    }
}

impl Served {
    async fn answer(self: Arc<Self>, mut stream: TcpStream) {
        let Some(request) = read_request(&mut stream).await else {
            return;
        };
        let way = {
            let mut ways = self.ways.lock().unwrap();
            if ways.len() > 1 { ways.pop_front() } else { ways.front().cloned() }.unwrap_or(Way::Well)
        };
        self.requests.lock().unwrap().push(request.clone());
        if let Way::Slow(pause) = way {
            tokio::time::sleep(pause).await;
        }
        if let Way::Status(status) = way {
            let _ = stream
                .write_all(format!("HTTP/1.1 {status} no\r\ncontent-length: 0\r\nconnection: close\r\n\r\n").as_bytes())
                .await;
            return;
        }
        let whole = self.content.len();
        let same = request.if_range.is_none() || request.if_range == self.etag;
        let asked = request
            .range
            .as_deref()
            .and_then(|range| range.strip_prefix("bytes=")?.strip_suffix('-')?.parse::<usize>().ok());
        let mut head = String::from("connection: close\r\n");
        if let Some(etag) = &self.etag {
            head.push_str(&format!("etag: {etag}\r\n"));
        }
        let from = match (asked, &way) {
            (Some(from), _) if from >= whole => {
                let _ =
                    stream.write_all(format!("HTTP/1.1 416 no\r\ncontent-length: 0\r\n{head}\r\n").as_bytes()).await;
                return;
            }
            (Some(_), Way::IgnoreRange) | (None, _) => 0,
            (Some(from), Way::WrongRange) => from - 1,
            (Some(from), _) if same => from,
            (Some(_), _) => 0,
        };
        let status = if from > 0 {
            head.push_str(&format!("content-range: bytes {from}-{}/{whole}\r\n", whole - 1));
            "206 Partial Content"
        } else {
            "200 OK"
        };
        let body = &self.content[from..];
        let head = format!("HTTP/1.1 {status}\r\ncontent-length: {}\r\n{head}\r\n", body.len());
        let _ = stream.write_all(head.as_bytes()).await;
        match way {
            Way::Cut(count) => drop(stream.write_all(&body[..count.min(body.len())]).await),
            Way::Stall(count) => {
                let _ = stream.write_all(&body[..count.min(body.len())]).await;
                tokio::time::sleep(Duration::from_secs(60)).await;
            }
            _ => drop(stream.write_all(body).await),
        }
        let _ = stream.shutdown().await;
    }
}

async fn read_request(stream: &mut TcpStream) -> Option<Request> {
    let mut bytes = Vec::new();
    while !bytes.ends_with(b"\r\n\r\n") {
        bytes.push(stream.read_u8().await.ok()?);
    }
    let text = String::from_utf8(bytes).ok()?;
    let header = |name: &str| {
        text.lines().find_map(|line| {
            let (key, value) = line.split_once(':')?;
            key.eq_ignore_ascii_case(name).then(|| value.trim().to_owned())
        })
    };
    let path = text.split_whitespace().nth(1)?.to_owned();
    Some(Request { path, range: header("range"), if_range: header("if-range") })
}
