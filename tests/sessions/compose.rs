//! Docker Compose.

use anyhow::{Result, ensure};
use ramgate_lab::EngineKind;

use super::client::{Client, untouched};
use crate::place::Place;

pub(super) fn compose(place: &Place) -> Result<()> {
    let client = Client::of(EngineKind::Docker28_5, place);
    untouched(place, || {
        let write = |file: &str, content: &str| {
            place.lab.write_file(&format!("/tmp/stack/{file}"), content)
        };
        write("compose.yml", COMPOSE)?;
        write("Dockerfile", "FROM alpine:3\nCOPY word /word\n")?;
        write("word", "built")?;
        let compose =
            |line: &str| client.docker(&format!("compose -f /tmp/stack/compose.yml {line}"));
        for line in SCRIPT
            .lines()
            .map(str::trim)
            .filter(|line| !line.is_empty())
        {
            compose(line)?;
        }
        let shown = compose("exec -T built cat /word")?;
        ensure!(shown.stdout == "built", "{shown}");
        compose("down -v --rmi local -t 0 --remove-orphans")?;
        let left = client.docker("ps -aq")?;
        ensure!(left.stdout.is_empty(), "{left}");
        Ok(())
    })
}

const COMPOSE: &str = r#"
services:
  plain:
    image: alpine:3
    network_mode: none
    command: sleep 60
    environment: { A: b }
    volumes: ["data:/data", "./word:/word:ro"]
    healthcheck: { test: ["CMD", "true"], interval: 1s }
    restart: unless-stopped
    stop_grace_period: 0s
    labels: { team: "a" }
  host:
    image: acme/app:1
    network_mode: host
    command: sleep 60
    stop_grace_period: 0s
    secrets: [word]
    configs: [{ source: word, target: /etc/word }]
    depends_on: { plain: { condition: service_healthy } }
    deploy: { resources: { limits: { memory: 64m } } }
  built:
    build: { context: ., network: none }
    network_mode: none
    command: sleep 60
    stop_grace_period: 0s
  once:
    image: grafana/grafana:1
    network_mode: none
    command: "true"
    profiles: [extra]
volumes: { data: {} }
secrets: { word: { file: ./word } }
configs: { word: { file: ./word } }
"#;

const SCRIPT: &str = "
    version
    config
    pull --ignore-buildable
    build
    build --pull --no-cache
    create
    up -d --wait
    ps -a
    images
    logs
    top
    exec -T plain cat /word
    cp plain:/marker /tmp/stack/marker
    run --rm -T once
    pause plain
    unpause plain
    kill host
    up -d --build --force-recreate --scale plain=2
    stop -t 0
    start
    rm -fs host
    ls
";
