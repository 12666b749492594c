//! What the plugin adds to creating and starting a container: the same engine, told of the plugin and not told of it, in turns.
//! The Engine API is asked directly, since the command line's own time would hide the rest.

use std::os::unix::fs::MetadataExt as _;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail, ensure};
use http::{Method, Request, StatusCode};
use http_body_util::{BodyExt as _, Full};
use hyper::body::Bytes;
use ramgate_lab::{EngineKind, Lab, LabOptions, Steering};
use serde_json::{Value, json};
use tokio::runtime::Runtime;

use crate::Bench;
use crate::load::{Address, Sender};
use crate::message::IMAGE;
use crate::rounds::{Figure, Pair, Unit, median};
use crate::table::Table;

pub(crate) fn measure(bench: &Bench, table: &mut Table) -> Result<()> {
    if std::fs::metadata("/proc/self")?.uid() != 0 {
        table.skip("engine", "a lab needs root");
        return Ok(());
    }
    if let Err(error) = KIND.version() {
        table.skip("engine", format_args!("{error:#}; `make provision` does"));
        return Ok(());
    }
    table.version(format!("Docker Engine {}", KIND.version()?));
    let lab = Lab::start(KIND, &LabOptions::default())?;
    let policy = json!({
        "version": 1,
        "registries": [{ "host": "docker.io" }],
        "docker-hub": { "official": "allow" },
    });
    lab.install_ramgate(&bench.ramgate.path(), &policy, &Lab::settings())?;
    lab.start_ramgate()?;
    lab.start_engine()?;
    lab.docker(&["pull", IMAGE])?.expect_success()?;

    let api = Api::open(&lab)?;
    let (mut with, mut without) = (Vec::new(), Vec::new());
    for round in 0..=bench.rounds {
        let told = [round % 2 == 0, round % 2 != 0];
        for plugin in told {
            api.tell_of_plugin(&lab, plugin)?;
            let took = api.create_and_start()?;
            // The first round finds nothing warm.
            if round > 0 {
                if plugin { &mut with } else { &mut without }.push(took);
            }
        }
    }
    for (index, what) in ["create", "start", "create and start"]
        .into_iter()
        .enumerate()
    {
        let part = |all: &[[f64; 3]]| -> Vec<Figure> {
            let values = all.iter().filter_map(|took| took.get(index));
            values
                .map(|value| Figure::new(*value, Unit::Seconds))
                .collect()
        };
        let pair = Pair::of(&part(&with), &part(&without));
        let aim = (what == "create and start").then_some(AIM);
        table.add(format!("engine: {what}, p50"), "no plugin", pair, aim);
    }
    Ok(())
}

/// The engine's API.
struct Api {
    runtime: Runtime,
    socket: Address,
}

// === impl Api ===

impl Api {
    fn open(lab: &Lab) -> Result<Self> {
        Ok(Self {
            runtime: tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()?,
            socket: Address::Unix(lab.path("/run/docker.sock")),
        })
    }

    /// Switches the plugin on or off, and waits until it is.
    fn tell_of_plugin(&self, lab: &Lab, plugin: bool) -> Result<()> {
        lab.steer_engine(Steering {
            plugin,
            ..Steering::default()
        })?;
        lab.signal_engine("HUP")?;
        // What the policy denies is 403 with the plugin; without it there is no such image.
        let wanted = if plugin {
            StatusCode::FORBIDDEN
        } else {
            StatusCode::NOT_FOUND
        };
        let body = json!({ "Image": "denied.example/app:1" });
        let deadline = Instant::now() + Duration::from_secs(20);
        self.runtime.block_on(async {
            let mut sender = self.socket.connect().await?;
            loop {
                let (status, answer) =
                    ask(&mut sender, Method::POST, "/containers/create", &body).await?;
                if status == wanted {
                    return Ok(());
                }
                ensure!(
                    Instant::now() < deadline,
                    "{status} instead of {wanted}: {answer}"
                );
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        })
    }

    /// Median seconds of creating, of starting, and of both.
    fn create_and_start(&self) -> Result<[f64; 3]> {
        self.runtime.block_on(async {
            let mut sender = self.socket.connect().await?;
            let mut took: [Vec<f64>; 3] = Default::default();
            for _ in 0..CONTAINERS {
                let [create, start] = container(&mut sender).await?;
                for (all, one) in took.iter_mut().zip([create, start, create + start]) {
                    all.push(one);
                }
            }
            Ok(took.map(median))
        })
    }
}

/// Seconds of creating and of starting one container, which is then removed.
async fn container(sender: &mut Sender) -> Result<[f64; 2]> {
    let body =
        json!({ "Image": IMAGE, "Cmd": ["sleep", "60"], "HostConfig": { "NetworkMode": "none" } });
    let began = Instant::now();
    let (status, answer) = ask(sender, Method::POST, "/containers/create", &body).await?;
    let create = began.elapsed().as_secs_f64();
    ensure!(status == StatusCode::CREATED, "creating: {status} {answer}");
    let id = answer
        .get("Id")
        .and_then(Value::as_str)
        .context("the engine told no ID")?;

    let began = Instant::now();
    let path = format!("/containers/{id}/start");
    let (status, answer) = ask(sender, Method::POST, &path, &Value::Null).await?;
    let start = began.elapsed().as_secs_f64();
    ensure!(
        status == StatusCode::NO_CONTENT,
        "starting: {status} {answer}"
    );

    let path = format!("/containers/{id}?force=1");
    let (status, answer) = ask(sender, Method::DELETE, &path, &Value::Null).await?;
    if status != StatusCode::NO_CONTENT {
        bail!("removing: {status} {answer}");
    }
    Ok([create, start])
}

/// Sends one request, with `body` unless it is null.
async fn ask(
    sender: &mut Sender,
    method: Method,
    path: &str,
    body: &Value,
) -> Result<(StatusCode, Value)> {
    let mut request = Request::builder()
        .method(method)
        .uri(path)
        .header("Host", "lab");
    let mut content = String::new();
    if !body.is_null() {
        request = request.header("Content-Type", "application/json");
        content = body.to_string();
    }
    let request = request.body(Full::new(Bytes::from(content)))?;
    sender.ready().await?;
    let response = sender.send_request(request).await?;
    let status = response.status();
    let answer = response.into_body().collect().await?.to_bytes();
    Ok((status, serde_json::from_slice(&answer).unwrap_or_default()))
}

const KIND: EngineKind = EngineKind::Docker28_5;
/// In a round.
const CONTAINERS: usize = 8;
/// A start takes long beside a question; both vary by more than this from round to round.
const AIM: f64 = 0.95;
