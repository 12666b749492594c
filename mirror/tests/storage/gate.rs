//! A mirror in front of an [`Origin`], and its clients.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use ramgate_mirror::{Config, Mirror, Storage, Upstream};
use ramgate_policy::Policy;
use ramgate_provenance::Ledger;
use reqwest::{Client, Response};
use tokio_util::sync::CancellationToken;

use crate::origin::Origin;

/// A mirror.
pub(crate) struct Gate {
    pub(crate) address: SocketAddr,
    pub(crate) client: Client,
    pub(crate) root: PathBuf,
    shutdown: CancellationToken,
}

// === impl Gate ===

impl Gate {
    pub(crate) async fn start(origin: &Origin, root: &Path) -> Self {
        Self::with(origin, root, root.to_owned().into()).await
    }

    /// A mirror with this storage.
    pub(crate) async fn with(origin: &Origin, root: &Path, storage: Storage) -> Self {
        let _ = rustls::crypto::ring::default_provider().install_default();
        let policy = r#"{ "version": 1, "registries": [{ "host": "registry.test" }] }"#;
        let policy = Arc::new(ArcSwap::from_pointee(Policy::parse(policy).unwrap()));
        let url = format!("http://{}", origin.address).parse().unwrap();
        let config = Config {
            upstreams: [("registry.test".parse().unwrap(), Upstream::new(url))].into(),
            ..Config::new(storage)
        };
        let ledger = Arc::new(Ledger::in_memory().unwrap());
        let mirror = Mirror::new(config, policy, ledger).unwrap();
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let shutdown = CancellationToken::new();
        tokio::spawn(ramgate_mirror::serve(listener, mirror, shutdown.clone()));
        Self {
            address,
            client: Client::builder().no_proxy().build().unwrap(),
            root: root.to_owned(),
            shutdown,
        }
    }

    pub(crate) fn url(&self, repository: &str, digest: &str) -> String {
        format!(
            "http://{}/v2/registry.test/{repository}/blobs/{digest}",
            self.address
        )
    }

    pub(crate) async fn ask(&self, repository: &str, digest: &str) -> Response {
        self.client
            .get(self.url(repository, digest))
            .send()
            .await
            .unwrap()
    }

    pub(crate) async fn part(&self, repository: &str, digest: &str, range: &str) -> Response {
        let request = self
            .client
            .get(self.url(repository, digest))
            .header("range", range);
        request.send().await.unwrap()
    }

    /// The whole blob; `None` if the connection breaks off.
    pub(crate) async fn pull(&self, repository: &str, digest: &str) -> Option<Vec<u8>> {
        let response = self.ask(repository, digest).await;
        assert!(response.status().is_success(), "{}", response.status());
        response.bytes().await.ok().map(Into::into)
    }

    /// The files in the store, below `folder`.
    pub(crate) fn files(&self, folder: &str) -> Vec<PathBuf> {
        let mut files = Vec::new();
        collect(&self.root.join(folder), &mut files);
        files
    }

    /// Waits until the blob is kept.
    pub(crate) async fn kept(&self) {
        for _ in 0..500 {
            if !self.files("blobs").is_empty() && self.files("incoming").is_empty() {
                return;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        panic!("nothing is kept: {:?}", self.files(""));
    }

    /// Waits until nothing is on its way in.
    pub(crate) async fn settled(&self) {
        for _ in 0..500 {
            if self.files("incoming").is_empty() {
                return;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        panic!("something is still on its way in");
    }
}

impl Drop for Gate {
    fn drop(&mut self) {
        self.shutdown.cancel();
    }
}

fn collect(folder: &Path, into: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            collect(&path, into);
        } else {
            into.push(path);
        }
    }
}
