//! One message to the collector: sent, sent again while that may help, and given up.

use std::path::PathBuf;
use std::time::Duration;

use anyhow::Context as _;
use reqwest::header::{CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue, RETRY_AFTER};
use reqwest::{Client, Response, StatusCode};
use tokio_util::sync::CancellationToken;

use crate::settings::Otlp;

/// Where to send to.
#[derive(Debug)]
pub(super) struct Collector {
    client: Client,
    endpoint: String,
    headers_file: Option<PathBuf>,
}

/// Why it was not taken.
#[derive(Debug)]
pub(super) enum Untaken {
    /// It may be taken later.
    Unreachable(String),
    /// It will not be.
    Refused(String),
}

/// How one try ended.
enum Tried {
    Taken(Vec<u8>),
    Refused(String),
    Failed(String, Option<Duration>),
}

// === impl Collector ===

impl Collector {
    pub(super) fn new(settings: &Otlp) -> anyhow::Result<Self> {
        let mut builder = Client::builder()
            .user_agent(concat!("ramgate/", env!("CARGO_PKG_VERSION")))
            .redirect(reqwest::redirect::Policy::none())
            // Where to connect to is the settings' decision, not an environment variable's.
            .no_proxy()
            .timeout(TIMEOUT);
        if let Some(file) = &settings.ca_file {
            let pem =
                std::fs::read(file).with_context(|| format!("otlp.ca-file: {}", file.display()))?;
            let certificates = reqwest::Certificate::from_pem_bundle(&pem)
                .with_context(|| format!("otlp.ca-file: {}", file.display()))?;
            builder = builder.tls_certs_merge(certificates);
        }
        let collector = Self {
            client: builder.build().context("otlp")?,
            endpoint: settings.endpoint.clone(),
            headers_file: settings.headers_file.clone(),
        };
        // Read again for each message; that it is sound is better known now.
        collector.headers()?;
        Ok(collector)
    }

    /// Sends `message` to `path` and gives back what is answered. Once `stopping`, it is tried no more than once.
    pub(super) async fn send(
        &self,
        path: &str,
        message: &[u8],
        stopping: &CancellationToken,
    ) -> Result<Vec<u8>, Untaken> {
        let mut pauses = PAUSES.into_iter();
        loop {
            let (problem, wanted) = match self.attempt(path, message).await {
                Tried::Taken(answer) => return Ok(answer),
                Tried::Refused(problem) => return Err(Untaken::Refused(problem)),
                Tried::Failed(problem, wanted) => (problem, wanted),
            };
            let Some(pause) = pauses.next().filter(|_| !stopping.is_cancelled()) else {
                return Err(Untaken::Unreachable(problem));
            };
            let pause = wanted.unwrap_or(pause).min(PAUSE_MAX);
            tokio::select! {
                () = tokio::time::sleep(pause) => {}
                () = stopping.cancelled() => {}
            }
        }
    }

    async fn attempt(&self, path: &str, message: &[u8]) -> Tried {
        let headers = match self.headers() {
            Ok(headers) => headers,
            Err(error) => return Tried::Failed(format!("{error:#}"), None),
        };
        let request = self
            .client
            .post(format!("{}{path}", self.endpoint))
            .headers(headers)
            .header(CONTENT_TYPE, "application/x-protobuf")
            .body(message.to_vec());
        match request.send().await {
            Ok(response) => answered(response).await,
            Err(error) => Tried::Failed(format!("{:#}", anyhow::Error::new(error)), None),
        }
    }

    /// What the file says now, so that a token that is replaced is taken up.
    fn headers(&self) -> anyhow::Result<HeaderMap> {
        let Some(file) = &self.headers_file else {
            return Ok(HeaderMap::new());
        };
        let place = || format!("otlp.headers-file: {}", file.display());
        headers(&std::fs::read_to_string(file).with_context(place)?).with_context(place)
    }
}

async fn answered(response: Response) -> Tried {
    let status = response.status();
    let after = response.headers().get(RETRY_AFTER);
    let after = after.and_then(|value| value.to_str().ok()?.parse().ok());
    let problem = format!("the collector answers {status}");
    match status {
        StatusCode::OK => match body(response).await {
            Ok(answer) => Tried::Taken(answer),
            // It was taken; what of it was not, is not known.
            Err(_) => Tried::Taken(Vec::new()),
        },
        // Those that the protocol says to try again (OTLP 1.5, "Retryable Response Codes").
        StatusCode::TOO_MANY_REQUESTS
        | StatusCode::BAD_GATEWAY
        | StatusCode::SERVICE_UNAVAILABLE
        | StatusCode::GATEWAY_TIMEOUT => Tried::Failed(problem, after.map(Duration::from_secs)),
        _ => Tried::Refused(problem),
    }
}

async fn body(mut response: Response) -> Result<Vec<u8>, reqwest::Error> {
    let mut body = Vec::new();
    while let Some(piece) = response.chunk().await? {
        if body.len() + piece.len() > ANSWER_MAX_BYTES {
            return Ok(Vec::new());
        }
        body.extend_from_slice(&piece);
    }
    Ok(body)
}

/// `Name: value` a line; empty lines and those that begin with `#` say nothing. A value is never told in an error.
fn headers(text: &str) -> anyhow::Result<HeaderMap> {
    let mut headers = HeaderMap::new();
    for (number, line) in (1..).zip(text.lines()) {
        let line = line.trim();
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        let wrong = || format!("line {number} is not of the form `Name: value`");
        let (name, value) = line.split_once(':').with_context(wrong)?;
        let name: HeaderName = name.trim_end().parse().with_context(wrong)?;
        let mut value: HeaderValue = value.trim_start().parse().with_context(wrong)?;
        value.set_sensitive(true);
        headers.append(name, value);
    }
    Ok(headers)
}

/// OTLP's own default.
const TIMEOUT: Duration = Duration::from_secs(10);
/// Between tries: a collector that restarts is back by then.
const PAUSES: [Duration; 4] = [
    Duration::from_secs(1),
    Duration::from_secs(2),
    Duration::from_secs(4),
    Duration::from_secs(8),
];
/// Longest that a collector may have us wait: what comes meanwhile is kept in memory.
const PAUSE_MAX: Duration = Duration::from_secs(30);
/// An answer says how many were not taken, and why.
const ANSWER_MAX_BYTES: usize = 64 * 1024;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headers_are_a_line_each() {
        let headers =
            headers("# for the collector\n\nAuthorization: Bearer a:b\r\nX-Scope : acme\n")
                .unwrap();
        assert_eq!(headers["authorization"], "Bearer a:b");
        assert_eq!(headers["x-scope"], "acme");
        assert!(!format!("{headers:?}").contains("Bearer"));
    }

    #[test]
    fn a_header_that_is_none_is_told_by_its_line_and_not_by_its_value() {
        for text in ["ok: 1\nsecret", "ok: 1\nse cret: 1", "ok: 1\nsecret: \u{1}"] {
            let error = format!("{:#}", headers(text).unwrap_err());
            assert!(
                error.starts_with("line 2 is not of the form `Name: value`"),
                "{error}"
            );
            assert!(!error.contains("cret"), "{error}");
        }
    }
}
