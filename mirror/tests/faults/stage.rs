//! A mirror on a socket, an upstream behind it, and what became of both.

use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use arc_swap::ArcSwap;
use ramgate_mirror::{Config, Mirror, Timeouts, Upstream as Place};
use ramgate_policy::Policy;
use ramgate_provenance::Ledger;
use sha2::{Digest as _, Sha256};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio_util::sync::{CancellationToken, DropGuard};
use tracing::subscriber::DefaultGuard;
use tracing_subscriber::fmt::MakeWriter;

use crate::upstream::{Request, Step, Upstream, answer};

/// The registry that all tests ask for, unless they say otherwise.
pub(crate) const REGISTRY: &str = "registry.example";
pub(crate) const OCI: &str = "application/vnd.oci.image.manifest.v1+json";
pub(crate) const MANIFEST: &str = r#"{"schemaVersion":2,"mediaType":"application/vnd.oci.image.manifest.v1+json","config":{"mediaType":"application/vnd.oci.image.config.v1+json","digest":"sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855","size":0},"layers":[]}"#;

pub(crate) struct Stage {
    pub(crate) upstream: Upstream,
    pub(crate) mirror: Mirror,
    pub(crate) folder: tempfile::TempDir,
    address: SocketAddr,
    log: Log,
    _serving: DropGuard,
    _logging: DefaultGuard,
}

/// What a client got. The body is an error where the connection broke off.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) head: String,
    pub(crate) body: Result<Vec<u8>, ()>,
}

#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

// === impl Stage ===

impl Stage {
    pub(crate) async fn new(
        handler: impl Fn(&Request) -> Vec<Step> + Send + Sync + 'static,
    ) -> Self {
        Self::with(handler, &[], |_, _| {}).await
    }

    /// A mirror of which `change` changes the settings, with a policy in which the registry may redirect to `redirects`.
    pub(crate) async fn with(
        handler: impl Fn(&Request) -> Vec<Step> + Send + Sync + 'static,
        redirects: &[String],
        change: impl FnOnce(&mut Config, SocketAddr),
    ) -> Self {
        let _ = rustls::crypto::ring::default_provider().install_default();
        let log = Log::default();
        let subscriber = tracing_subscriber::fmt()
            .with_max_level(tracing::Level::DEBUG)
            .with_ansi(false)
            .with_writer(log.clone())
            .finish();
        let logging = tracing::subscriber::set_default(subscriber);
        let upstream = Upstream::new(handler).await;
        let folder = tempfile::tempdir().unwrap();
        let mut config = Config::new(folder.path().join("store").into());
        let url = format!("http://{}", upstream.address).parse().unwrap();
        config
            .upstreams
            .insert(REGISTRY.parse().unwrap(), Place::new(url));
        config.timeouts = Timeouts {
            connect: Duration::from_secs(2),
            read: Duration::from_millis(400),
            whole: Duration::from_millis(800),
        };
        change(&mut config, upstream.address);
        let redirects = serde_json::to_string(redirects).unwrap();
        let policy = format!(
            r#"{{ "version": 1, "registries": [{{ "host": "{REGISTRY}", "redirect-hosts": {redirects} }}, {{ "host": "*.other.example" }}, {{ "host": "localhost" }}, {{ "host": "169.254.169.254" }}, {{ "host": "10.0.0.1:5000" }}] }}"#
        );
        let policy = Policy::parse(&policy).unwrap();
        let mirror = Mirror::new(
            config,
            Arc::new(ArcSwap::from_pointee(policy)),
            Arc::new(Ledger::in_memory().unwrap()),
        )
        .unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let shutdown = CancellationToken::new();
        tokio::spawn(ramgate_mirror::serve(
            listener,
            mirror.clone(),
            shutdown.clone(),
        ));
        Self {
            upstream,
            mirror,
            folder,
            address,
            log,
            _serving: shutdown.drop_guard(),
            _logging: logging,
        }
    }

    pub(crate) async fn get(&self, tail: &str) -> Answer {
        self.send("GET", &format!("/v2/acme/app/{tail}?ns={REGISTRY}"), "")
            .await
    }

    /// One request, as it is written.
    pub(crate) async fn send(&self, method: &str, target: &str, headers: &str) -> Answer {
        let mut stream = TcpStream::connect(self.address).await.unwrap();
        let request = format!(
            "{method} {target} HTTP/1.1\r\nHost: mirror\r\nConnection: close\r\n{headers}\r\n"
        );
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut all = Vec::new();
        let ended = tokio::time::timeout(Duration::from_secs(20), stream.read_to_end(&mut all))
            .await
            .unwrap_or_else(|_| panic!("the mirror takes longer than 20 s for {target}"));
        Answer::read(&all, ended.is_ok(), method)
    }

    /// What was logged.
    pub(crate) fn log(&self) -> String {
        String::from_utf8(self.log.0.lock().unwrap().clone()).unwrap()
    }

    #[track_caller]
    pub(crate) fn logged(&self, text: &str) {
        let log = self.log();
        assert!(log.contains(text), "`{text}` is not in the log:\n{log}");
    }

    /// Every file of the store that holds content under its digest, which must be what its name says.
    #[track_caller]
    pub(crate) fn kept(&self) -> usize {
        let mut files = Vec::new();
        collect(&self.folder.path().join("store/blobs"), &mut files);
        for file in &files {
            let bytes = std::fs::read(file).unwrap();
            let name = file.file_name().unwrap().to_str().unwrap();
            assert_eq!(
                digest(&bytes),
                format!("sha256:{name}"),
                "{}",
                file.display()
            );
        }
        files.len()
    }

    /// That in the end so many are kept: a client has the last byte before the disk has it.
    pub(crate) async fn keeps(&self, count: usize) {
        for _ in 0..100 {
            if self.kept() == count {
                return;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        assert_eq!(self.kept(), count);
    }

    /// That nothing is kept, and in the end no answer of the upstream is waited for.
    pub(crate) async fn nothing_is_left(&self) {
        assert_eq!(self.kept(), 0);
        self.closed().await;
    }

    /// That in the end no answer of the upstream is waited for.
    pub(crate) async fn closed(&self) {
        for _ in 0..100 {
            if self.upstream.busy() == 0 {
                return;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        panic!("{} answers are still waited for", self.upstream.busy());
    }
}

// === impl Answer ===

impl Answer {
    fn read(all: &[u8], ended_well: bool, method: &str) -> Self {
        let end = all.windows(4).position(|four| four == b"\r\n\r\n");
        let end = end.unwrap_or_else(|| panic!("no answer: {:?}", String::from_utf8_lossy(all)));
        let head = String::from_utf8(all[..end].to_vec()).unwrap();
        let status = head.split(' ').nth(1).unwrap().parse().unwrap();
        let mut answer = Self {
            status,
            head: head.to_ascii_lowercase(),
            body: Err(()),
        };
        let body = &all[end + 4..];
        if method == "HEAD" {
            answer.body = Ok(Vec::new());
        } else if answer.header("transfer-encoding") == Some("chunked") {
            answer.body = dechunk(body);
        } else if let Some(length) = answer.header("content-length") {
            let whole = body.len() == length.parse::<usize>().unwrap();
            answer.body = if whole { Ok(body.to_vec()) } else { Err(()) };
        } else if ended_well {
            answer.body = Ok(body.to_vec());
        }
        answer
    }

    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.head.split("\r\n").find_map(|line| {
            let (field, value) = line.split_once(": ")?;
            (field == name).then_some(value)
        })
    }

    /// The text of the error.
    pub(crate) fn text(&self) -> String {
        String::from_utf8(self.body.clone().unwrap_or_default()).unwrap()
    }
}

fn dechunk(mut body: &[u8]) -> Result<Vec<u8>, ()> {
    let mut whole = Vec::new();
    loop {
        let line = body.windows(2).position(|two| two == b"\r\n").ok_or(())?;
        let size = std::str::from_utf8(&body[..line]).map_err(|_| ())?;
        let size = usize::from_str_radix(size, 16).map_err(|_| ())?;
        body = &body[line + 2..];
        if size == 0 {
            return Ok(whole);
        }
        whole.extend_from_slice(body.get(..size).ok_or(())?);
        body = body.get(size + 2..).ok_or(())?;
    }
}

// === impl Log ===

impl io::Write for Log {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl<'a> MakeWriter<'a> for Log {
    type Writer = Self;

    fn make_writer(&'a self) -> Self {
        self.clone()
    }
}

pub(crate) fn digest(bytes: &[u8]) -> String {
    let hash = Sha256::digest(bytes);
    let digits: String = hash.iter().map(|byte| format!("{byte:02x}")).collect();
    format!("sha256:{digits}")
}

/// What a good registry answers with a manifest.
pub(crate) fn manifest(request: &Request, body: &str) -> Vec<Step> {
    let digest = digest(body.as_bytes());
    let headers = [
        ("Content-Type", OCI),
        ("Docker-Content-Digest", digest.as_str()),
    ];
    answer(request, "200 OK", &headers, body.as_bytes())
}

fn collect(folder: &Path, into: &mut Vec<PathBuf>) {
    let Ok(entries) = std::fs::read_dir(folder) else {
        return;
    };
    for entry in entries {
        let path = entry.unwrap().path();
        if path.is_dir() {
            collect(&path, into);
        } else {
            into.push(path);
        }
    }
}
