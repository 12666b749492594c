//! Debian's `docker-registry`, behind a Unix socket inside of the lab, and what it takes to speak to it.

use std::error::Error;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use bytes::Bytes;
use http::header::{CONTENT_TYPE, HOST, LOCATION};
use http::{Method, Request, Response, Uri};
use http_body_util::{BodyExt as _, Full};
use hyper::body::{Body, Incoming};
use hyper_util::rt::TokioIo;
use serde_json::json;
use tokio::net::UnixStream;

use crate::command::{Entrance, Process, wait_until};
use crate::image::Image;

/// A running `docker-registry`.
#[derive(Debug)]
pub(crate) struct Registry {
    /// Where the test finds its socket.
    socket: PathBuf,
    _process: Process,
}

// === impl Registry ===

impl Registry {
    pub(crate) fn start(entrance: &Entrance, name: &str) -> Result<Self> {
        let config = json!({
            "version": 0.1,
            "log": { "level": "warn", "accesslog": { "disabled": true } },
            "storage": {
                "filesystem": { "rootdirectory": format!("/var/lib/lab/{name}") },
                "delete": { "enabled": true },
                "maintenance": { "uploadpurging": { "enabled": false } },
            },
            "http": {
                "net": "unix",
                "addr": format!("/run/lab/{name}.sock"),
                "relativeurls": true,
                "secret": "lab",
            },
        });
        // JSON is YAML.
        let config_path = format!("/run/lab/{name}.yml");
        std::fs::write(entrance.path(&config_path), config.to_string())?;
        let process = entrance
            .command("docker-registry")
            .args(["serve", &config_path])
            .spawn(name)?;
        let socket = entrance.path(&format!("/run/lab/{name}.sock"));
        wait_until("a registry's socket", Duration::from_secs(10), || {
            if let Some(status) = process.status()? {
                bail!("docker-registry left: {status}\n{}", process.log());
            }
            Ok(std::os::unix::net::UnixStream::connect(&socket).ok())
        })?;
        Ok(Self {
            socket,
            _process: process,
        })
    }

    /// Sends one request.
    pub(crate) async fn send<B>(&self, request: Request<B>) -> Result<Response<Incoming>>
    where
        B: Body<Data = Bytes, Error: Into<Box<dyn Error + Send + Sync>>> + Send + 'static,
    {
        let stream = UnixStream::connect(&self.socket).await?;
        let (mut sender, connection) =
            hyper::client::conn::http1::handshake(TokioIo::new(stream)).await?;
        tokio::spawn(connection);
        Ok(sender.send_request(request).await?)
    }

    /// Takes an image past the stand-in and its counting.
    pub(crate) async fn push(&self, repository: &str, tag: &str, image: &Image) -> Result<()> {
        for blob in image.blobs() {
            let uploads = format!("/v2/{repository}/blobs/uploads/");
            let upload = self.ask(Method::POST, &uploads, "", Bytes::new()).await?;
            let location: Uri = upload
                .headers()
                .get(LOCATION)
                .context("the registry named no place to upload to")?
                .to_str()?
                .parse()?;
            let separator = if location.query().is_some() { '&' } else { '?' };
            let place = format!("{location}{separator}digest={}", blob.digest);
            self.ask(Method::PUT, &place, "", blob.content.clone())
                .await?;
        }
        let (manifest, list) = (image.manifest(), image.list());
        for (name, manifest) in [(manifest.digest.as_str(), manifest), (tag, list)] {
            let place = format!("/v2/{repository}/manifests/{name}");
            let content = manifest.content.clone();
            self.ask(Method::PUT, &place, manifest.media_type(), content)
                .await?;
        }
        Ok(())
    }

    async fn ask(
        &self,
        method: Method,
        uri: &str,
        content_type: &str,
        body: Bytes,
    ) -> Result<Response<Incoming>> {
        let request = Request::builder()
            .method(method.clone())
            .uri(uri)
            .header(HOST, "lab")
            .header(CONTENT_TYPE, content_type)
            .body(Full::new(body))?;
        let response = self.send(request).await?;
        let status = response.status();
        if !status.is_success() {
            let body = response.into_body().collect().await?.to_bytes();
            bail!(
                "{method} {uri}: {status} {}",
                String::from_utf8_lossy(&body)
            );
        }
        Ok(response)
    }
}
