//! A gate that is served, a target that counts, and a client that writes bytes.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use arc_swap::ArcSwap;
use ramgate_egress::{Config, Egress, Metrics, serve};
use ramgate_policy::{Policy, Steering};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

/// A gate that is served on a port of its own until dropped.
pub(crate) struct Gate {
    pub(crate) address: SocketAddr,
    pub(crate) shutdown: CancellationToken,
    pub(crate) served: JoinHandle<std::io::Result<()>>,
    policy: Arc<ArcSwap<Policy>>,
    metrics: Arc<Metrics>,
}

/// A server of this machine that counts its connections.
pub(crate) struct Target {
    pub(crate) address: SocketAddr,
    accepted: Arc<AtomicUsize>,
}

/// A client's connection to the gate.
pub(crate) struct Client(TcpStream);

// === impl Gate ===

impl Gate {
    pub(crate) async fn serve(policy: &str) -> Self {
        Self::serve_with(policy, |_| {}).await
    }

    pub(crate) async fn serve_with(policy: &str, adjust: impl FnOnce(&mut Config)) -> Self {
        crate::recorder::install();
        let policy = Arc::new(ArcSwap::from_pointee(parse(policy)));
        let mut config = Config::new(Steering {
            docker_hub_by_mirror: true,
            inspect: false,
        });
        adjust(&mut config);
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let shutdown = CancellationToken::new();
        let egress = Egress::new(Arc::clone(&policy), config);
        let metrics = Arc::clone(egress.metrics());
        let served = tokio::spawn(serve(listener, egress, shutdown.clone()));
        Self {
            address,
            shutdown,
            served,
            policy,
            metrics,
        }
    }

    /// What its metrics say, as Prometheus reads them.
    pub(crate) fn metrics(&self) -> String {
        let mut registry = prometheus_client::registry::Registry::default();
        self.metrics.register(&mut registry);
        let mut text = String::new();
        prometheus_client::encoding::text::encode(&mut text, &registry).unwrap();
        text
    }

    /// Puts another policy in force.
    pub(crate) fn swap(&self, policy: &str) {
        self.policy.store(Arc::new(parse(policy)));
    }

    pub(crate) async fn connect(&self) -> Client {
        Client(TcpStream::connect(self.address).await.unwrap())
    }

    /// Sends `bytes` on a connection of their own and reads until the gate closes it.
    pub(crate) async fn ask(&self, bytes: &str) -> String {
        let mut client = self.connect().await;
        client.write(bytes).await;
        client.read_to_end().await
    }
}

impl Drop for Gate {
    fn drop(&mut self) {
        self.served.abort();
    }
}

// === impl Target ===

impl Target {
    /// Gives every connection to `serve`.
    pub(crate) async fn spawn<F>(serve: impl Fn(TcpStream) -> F + Send + 'static) -> Self
    where
        F: Future<Output = ()> + Send + 'static,
    {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let accepted = Arc::new(AtomicUsize::new(0));
        let counter = Arc::clone(&accepted);
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                counter.fetch_add(1, Ordering::SeqCst);
                tokio::spawn(serve(stream));
            }
        });
        Self { address, accepted }
    }

    /// Sends back what it is sent, and closes when the client does.
    pub(crate) async fn echo() -> Self {
        Self::spawn(|mut stream| async move {
            let (mut read, mut write) = stream.split();
            let _ = tokio::io::copy(&mut read, &mut write).await;
        })
        .await
    }

    /// Answers every request with 200 and the request itself as body, head and content, and keeps the connection.
    pub(crate) async fn mirror_requests() -> Self {
        Self::spawn(|mut stream| async move {
            while let Some(request) = read_request(&mut stream).await {
                let head = format!(
                    "HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n",
                    request.len()
                );
                stream.write_all(head.as_bytes()).await.unwrap();
                stream.write_all(request.as_bytes()).await.unwrap();
            }
        })
        .await
    }

    /// Reads one request, sends `answer` and closes.
    pub(crate) async fn answer_once(answer: &'static str) -> Self {
        Self::spawn(move |mut stream| async move {
            read_request(&mut stream).await;
            let _ = stream.write_all(answer.as_bytes()).await;
        })
        .await
    }

    pub(crate) fn accepted(&self) -> usize {
        self.accepted.load(Ordering::SeqCst)
    }

    pub(crate) fn port(&self) -> u16 {
        self.address.port()
    }

    /// A policy that opens this target by its address, and ghcr.io.
    pub(crate) fn policy(&self) -> String {
        policy_of(&[self.address.to_string()])
    }
}

// === impl Client ===

impl Client {
    pub(crate) async fn write(&mut self, bytes: &str) {
        self.0.write_all(bytes.as_bytes()).await.unwrap();
    }

    pub(crate) async fn close_write(&mut self) {
        self.0.shutdown().await.unwrap();
    }

    /// Reads up to and with `end`.
    pub(crate) async fn read_until(&mut self, end: &str) -> String {
        let mut text = String::new();
        while !text.ends_with(end) {
            let byte = timeout(PATIENCE, self.0.read_u8())
                .await
                .expect("the gate is silent");
            text.push(char::from(
                byte.unwrap_or_else(|error| panic!("after `{text}`: {error}")),
            ));
        }
        text
    }

    /// Reads the head of an answer.
    pub(crate) async fn read_head(&mut self) -> String {
        self.read_until("\r\n\r\n").await
    }

    /// Reads until the other side closes, or cuts.
    pub(crate) async fn read_to_end(&mut self) -> String {
        let mut bytes = Vec::new();
        let read = timeout(PATIENCE, self.0.read_to_end(&mut bytes))
            .await
            .expect("the gate does not close");
        assert!(read.is_ok() || bytes.is_empty(), "cut within an answer");
        String::from_utf8(bytes).unwrap()
    }

    pub(crate) fn into_stream(self) -> TcpStream {
        self.0
    }

    /// Opens a tunnel to `target` and expects it to be opened.
    pub(crate) async fn open_tunnel(&mut self, target: SocketAddr) {
        self.write(&connect_to(&target.to_string())).await;
        let head = self.read_head().await;
        assert!(head.starts_with("HTTP/1.1 200 "), "{head}");
    }
}

/// A well-formed `CONNECT`.
pub(crate) fn connect_to(target: &str) -> String {
    format!("CONNECT {target} HTTP/1.1\r\nHost: {target}\r\n\r\n")
}

/// A policy whose only registry this is.
pub(crate) fn policy_of_registry(registry: &str) -> String {
    format!(r#"{{ "version": 1, "registries": [ {{ "host": "{registry}" }} ] }}"#)
}

/// A policy with ghcr.io as only registry, and `hosts` opened.
pub(crate) fn policy_of(hosts: &[String]) -> String {
    let hosts: Vec<String> = hosts.iter().map(|host| format!("\"{host}\"")).collect();
    format!(
        r#"{{ "version": 1, "contact": "platform@acme.example",
             "registries": [ {{ "host": "ghcr.io" }} ], "egress": {{ "hosts": [ {} ] }} }}"#,
        hosts.join(", ")
    )
}

/// The first line, without its end.
pub(crate) fn status_line(answer: &str) -> &str {
    answer.lines().next().unwrap_or_default()
}

fn parse(policy: &str) -> Policy {
    Policy::parse(policy).unwrap_or_else(|findings| panic!("{findings}"))
}

/// One request with its content, if that has a length or is chunked.
async fn read_request(stream: &mut TcpStream) -> Option<String> {
    let mut text = String::new();
    let mut length = None;
    loop {
        if length.is_none() && text.ends_with("\r\n\r\n") {
            let head = text.to_ascii_lowercase();
            let given = head
                .lines()
                .find_map(|line| line.strip_prefix("content-length: "));
            if head.contains("transfer-encoding: chunked") {
                length = Some(usize::MAX);
            } else {
                length = Some(text.len() + given.map_or(0, |given| given.parse().unwrap()));
            }
        }
        match length {
            Some(usize::MAX) if text.ends_with("\r\n0\r\n\r\n") => return Some(text),
            Some(length) if text.len() == length => return Some(text),
            _ => text.push(char::from(stream.read_u8().await.ok()?)),
        }
    }
}

/// Longer than anything here takes.
pub(crate) const PATIENCE: Duration = Duration::from_secs(10);
