//! Services of a swarm of one node, in the network of the host.

use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use ramgate_lab::EngineKind;

use super::client::{Client, untouched};
use crate::place::Place;

pub(super) fn swarm(place: &Place) -> Result<()> {
    let client = Client::of(EngineKind::Docker28_5, place);
    untouched(place, || {
        place.lab.write_file("/tmp/stack.yml", STACK)?;
        client.script(SERVICES)?;
        client
            .docker("stack deploy -c /tmp/stack.yml --detach=true --resolve-image never stack")?;
        runs(&client, "stack_one", 2)?;
        client.script(LEAVING)
    })
}

/// Waits until so many tasks of a service run.
fn runs(client: &Client<'_>, service: &str, tasks: usize) -> Result<()> {
    let started = Instant::now();
    loop {
        let listed = client.docker(&format!(
            "service ps --filter desired-state=running --format {{{{.CurrentState}}}} {service}"
        ))?;
        if listed.stdout.matches("Running").count() == tasks {
            return Ok(());
        }
        ensure!(started.elapsed() < Duration::from_secs(20), "{listed}");
        std::thread::sleep(Duration::from_millis(200));
    }
}

const STACK: &str = r#"
version: "3.8"
services:
  one:
    image: grafana/grafana:1
    command: sleep 60
    networks: [outer]
    configs: [{ source: word, target: /word }]
    deploy: { replicas: 2 }
    stop_grace_period: 0s
configs: { word: { file: /tmp/stack.yml } }
networks: { outer: { external: true, name: host } }
"#;

const SERVICES: &str = "
    swarm init --advertise-addr 10.231.0.1
    node ls
    service create --name web --network host --detach=true --stop-grace-period 0s --replicas 1 alpine:3 sleep 60
    service ls
    service inspect web
    service update --detach=true --image acme/app:1 --env-add A=b web
    service rollback --detach=true web
    service scale --detach=true web=2
    service update --detach=true --force web
    service logs web
    secret ls
    node inspect self
";

const LEAVING: &str = "
    stack ls
    stack services stack
    stack ps stack
    stack rm stack
    service rm web
    swarm leave --force
";
