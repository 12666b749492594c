//! A row: bytes that are sent to the engine, what becomes of them there, and what ramgate says of what the engine told.

use std::fmt::Write as _;

use anyhow::{Context as _, Result, bail, ensure};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ramgate_lab::{EngineKind, Lab, Recorder};
use serde_json::Value;

/// Bytes to the engine, what becomes of them, and what ramgate says of them.
#[derive(Clone, Debug)]
pub(crate) struct Row {
    /// The module that relies on it.
    pub(crate) module: &'static str,
    pub(crate) quirk: &'static str,
    sent: Sent,
    engines: Vec<EngineKind>,
    shows: Vec<Shows>,
    ramgate: Verdict,
}

/// A request as bytes.
#[derive(Clone, Debug)]
pub(crate) struct Sent {
    line: String,
    headers: Vec<String>,
    body: Vec<u8>,
}

/// What can be seen of what the engine did.
#[derive(Clone, Debug)]
enum Shows {
    Status(u16),
    Says(&'static str),
    /// Docker Hub was asked for the repository, or not.
    Fetched(&'static str, bool),
    /// Which of the two hosts with files was asked.
    Files {
        allowed: bool,
        denied: bool,
    },
    /// A part of the container that came to be.
    Container(&'static str, Value),
    /// There is an image of that name.
    Image(&'static str),
    /// How many times the plugin was asked.
    Asked(usize),
    /// What the plugin was told of the target.
    Target(&'static str),
    /// What the plugin was told of a header.
    Header(&'static str, Option<&'static str>),
    /// What the plugin was told of the body.
    Body(Option<Vec<u8>>),
}

/// What ramgate, whose policy here allows everything, says of what the engine told the plugin.
#[derive(Clone, Copy, Debug)]
enum Verdict {
    Allowed,
    /// It is refused, and the text has this word.
    Refused(&'static str),
    /// The engine asks nobody.
    NotAsked,
}

// === impl Sent ===

impl Sent {
    pub(crate) fn new(method: &str, target: &str) -> Self {
        Self {
            line: format!("{method} {target} HTTP/1.1"),
            headers: Vec::new(),
            body: Vec::new(),
        }
    }

    pub(crate) fn post(target: &str) -> Self {
        Self::new("POST", target)
    }

    pub(crate) fn header(mut self, header: &str) -> Self {
        self.headers.push(header.to_owned());
        self
    }

    /// A body, with its length.
    pub(crate) fn body(mut self, body: impl AsRef<[u8]>) -> Self {
        self.body = body.as_ref().to_owned();
        let length = self.body.len();
        self.header(&format!("Content-Length: {length}"))
    }

    /// A body in chunks, without a length.
    pub(crate) fn chunked(mut self, body: impl AsRef<[u8]>) -> Self {
        let body = body.as_ref();
        self.body = format!("{:x}\r\n", body.len()).into_bytes();
        self.body.extend(body);
        self.body.extend(b"\r\n0\r\n\r\n");
        self.header("Transfer-Encoding: chunked")
    }

    fn bytes(&self) -> Vec<u8> {
        let mut head = format!("{}\r\nHost: lab\r\nConnection: close\r\n", self.line);
        for header in &self.headers {
            // Writing to a string does not fail.
            let _ = write!(head, "{header}\r\n");
        }
        head.push_str("\r\n");
        let mut bytes = head.into_bytes();
        bytes.extend(&self.body);
        bytes
    }
}

// === impl Row ===

impl Row {
    pub(crate) fn new(module: &'static str, quirk: &'static str, sent: Sent) -> Self {
        Self {
            module,
            quirk,
            sent,
            engines: EngineKind::ALL.to_vec(),
            shows: Vec::new(),
            ramgate: Verdict::Allowed,
        }
    }

    /// Limits it to some engines; the others have a row of their own, or no such thing.
    pub(crate) fn on(mut self, engines: &[EngineKind]) -> Self {
        self.engines = engines.to_vec();
        self
    }

    pub(crate) fn runs_on(&self, engine: EngineKind) -> bool {
        self.engines.contains(&engine)
    }

    pub(crate) fn status(self, status: u16) -> Self {
        self.shows(Shows::Status(status))
    }

    pub(crate) fn says(self, text: &'static str) -> Self {
        self.shows(Shows::Says(text))
    }

    pub(crate) fn fetches(self, repository: &'static str) -> Self {
        self.shows(Shows::Fetched(repository, true))
    }

    pub(crate) fn fetches_no(self, repository: &'static str) -> Self {
        self.shows(Shows::Fetched(repository, false))
    }

    pub(crate) fn asks_hosts(self, allowed: bool, denied: bool) -> Self {
        self.shows(Shows::Files { allowed, denied })
    }

    pub(crate) fn container(self, pointer: &'static str, value: impl Into<Value>) -> Self {
        self.shows(Shows::Container(pointer, value.into()))
    }

    pub(crate) fn makes_image(self, name: &'static str) -> Self {
        self.shows(Shows::Image(name))
    }

    pub(crate) fn asked(self, times: usize) -> Self {
        self.shows(Shows::Asked(times))
    }

    pub(crate) fn tells_target(self, target: &'static str) -> Self {
        self.shows(Shows::Target(target))
    }

    pub(crate) fn tells_header(self, name: &'static str, value: Option<&'static str>) -> Self {
        self.shows(Shows::Header(name, value))
    }

    pub(crate) fn tells_body(self, body: impl AsRef<[u8]>) -> Self {
        let body = body.as_ref().to_owned();
        self.shows(Shows::Body(Some(body)))
    }

    pub(crate) fn hides_body(self) -> Self {
        self.shows(Shows::Body(None))
    }

    pub(crate) fn refused(mut self, word: &'static str) -> Self {
        self.ramgate = Verdict::Refused(word);
        self
    }

    pub(crate) fn asks_nobody(mut self) -> Self {
        self.ramgate = Verdict::NotAsked;
        self.asked(0)
    }

    fn shows(mut self, shows: Shows) -> Self {
        self.shows.push(shows);
        self
    }

    /// Sends it and compares.
    pub(crate) fn run(&self, lab: &Lab, recorder: &Recorder) -> Result<()> {
        lab.upstreams()
            .iter()
            .for_each(|upstream| upstream.forget());
        recorder.take();
        let answer = lab.send_raw(&self.sent.bytes())?;
        let answer = String::from_utf8_lossy(&answer).into_owned();
        let told = recorder.take();
        let seen = Seen {
            lab,
            answer: &answer,
            told: &told,
        };
        for shows in &self.shows {
            seen.check(shows)
                .with_context(|| format!("the engine answered: {answer}"))?;
        }
        self.ramgate.check(lab, &told)
    }
}

// === impl Verdict ===

impl Verdict {
    /// Asks ramgate about what the engine told the plugin last.
    fn check(self, lab: &Lab, told: &[Vec<u8>]) -> Result<()> {
        let (allow, word) = match self {
            Self::Allowed => (true, ""),
            Self::Refused(word) => (false, word),
            Self::NotAsked => return Ok(()),
        };
        let message = told.last().context("the engine asked nobody")?;
        let decide = lab.command("ramgate").args(["decide"]);
        let output = decide.stdin(String::from_utf8(message.clone())?).run()?;
        let answer: Value =
            serde_json::from_str(&output.stdout).with_context(|| output.to_string())?;
        ensure!(
            answer.pointer("/Allow") == Some(&Value::Bool(allow)),
            "ramgate says: {output}"
        );
        ensure!(output.stdout.contains(word), "ramgate says: {output}");
        Ok(())
    }
}

/// What came of a row.
struct Seen<'a> {
    lab: &'a Lab,
    answer: &'a str,
    told: &'a [Vec<u8>],
}

// === impl Seen ===

impl Seen<'_> {
    fn check(&self, shows: &Shows) -> Result<()> {
        match shows {
            Shows::Status(status) => {
                let got = self.answer.split(' ').nth(1).unwrap_or_default();
                ensure!(got == status.to_string(), "status {got}, not {status}");
            }
            Shows::Says(text) => ensure!(self.answer.contains(text), "it does not say `{text}`"),
            Shows::Fetched(repository, expected) => {
                let requests = self
                    .lab
                    .docker_hub()
                    .requests_under(&format!("/v2/{repository}/"));
                ensure!(
                    requests.is_empty() != *expected,
                    "Docker Hub was asked for {repository}: {requests:?}"
                );
            }
            Shows::Files { allowed, denied } => {
                let asked = |host: &ramgate_lab::Upstream| !host.requests().is_empty();
                let got = (asked(self.lab.files_host()), asked(self.lab.denied_host()));
                ensure!(got == (*allowed, *denied), "hosts asked: {got:?}");
            }
            Shows::Container(pointer, expected) => {
                let container = self.container()?;
                let got = container.pointer(pointer).unwrap_or(&Value::Null);
                ensure!(got == expected, "{pointer} is {got}, not {expected}");
            }
            Shows::Image(name) => {
                let image = ask(self.lab, &format!("/images/{name}/json"));
                image.with_context(|| format!("there is no image {name}"))?;
            }
            Shows::Asked(times) => {
                let got = self.told.len();
                ensure!(
                    got == *times,
                    "the plugin was asked {got} times, not {times}"
                );
            }
            Shows::Target(target) => {
                let got = self.told("/RequestUri")?;
                ensure!(got.as_str() == Some(target), "the plugin was told {got}");
            }
            Shows::Header(name, value) => {
                let got = self.told(&format!("/RequestHeaders/{name}"))?;
                ensure!(got.as_str() == *value, "the plugin was told {name}: {got}");
            }
            Shows::Body(body) => {
                let got = self.told("/RequestBody")?;
                let got = got.as_str().map(|body| STANDARD.decode(body)).transpose()?;
                ensure!(
                    got == *body,
                    "the plugin was told {:?}",
                    got.map(|got| String::from_utf8_lossy(&got).into_owned())
                );
            }
        }
        Ok(())
    }

    /// A part of what the plugin was told last; null if it is absent.
    fn told(&self, pointer: &str) -> Result<Value> {
        let message = self.told.last().context("the engine asked nobody")?;
        let message: Value = serde_json::from_slice(message)?;
        Ok(message.pointer(pointer).cloned().unwrap_or_default())
    }

    /// The container that the answer is about.
    fn container(&self) -> Result<Value> {
        let start = self
            .answer
            .find("\"Id\":\"")
            .context("no container came to be")?;
        let id = self.answer.get(start + 6..start + 6 + 64);
        ask(
            self.lab,
            &format!("/containers/{}/json", id.context("no ID")?),
        )
    }
}

/// Asks the engine for something that it has.
fn ask(lab: &Lab, path: &str) -> Result<Value> {
    // HTTP/1.0 has no chunks.
    let answer = lab.send_raw(format!("GET {path} HTTP/1.0\r\nHost: lab\r\n\r\n").as_bytes())?;
    let answer = String::from_utf8(answer)?;
    let (head, body) = answer.split_once("\r\n\r\n").context("no answer")?;
    if !head.contains(" 200 ") {
        bail!("{path}: {answer}");
    }
    Ok(serde_json::from_str(body)?)
}
