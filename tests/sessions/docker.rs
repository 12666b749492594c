//! The docker CLI, as people and scripts use it.

use anyhow::{Result, ensure};
use ramgate_lab::{EngineKind, Image};

use super::client::{Client, untouched};
use crate::place::Place;

pub(super) fn own(place: &Place) -> Result<()> {
    let client = Client::own(place);
    untouched(place, || {
        work(place, &client)?;
        client.script(LOOKS)?;
        client.script(LEAVING)
    })
}

/// The oldest at work on the newest engine, and the newest on the older ones.
pub(super) fn other(place: &Place) -> Result<()> {
    let kind = match place.lab.kind() {
        EngineKind::Docker20_10 | EngineKind::Docker26_1 => EngineKind::Docker28_5,
        EngineKind::Docker28_5 | EngineKind::Docker28_5Containerd => EngineKind::Docker20_10,
    };
    let client = Client::of(kind, place);
    untouched(place, || {
        work(place, &client)?;
        client.script(LEAVING)
    })
}

fn work(place: &Place, client: &Client<'_>) -> Result<()> {
    client.script(PULLS)?;
    let digest = Image::busybox("docker.io/acme/app:1")?.digest().to_owned();
    client.docker(&format!("pull acme/app@{digest}"))?;
    client.docker(&format!(
        "run --rm --network none acme/app@{digest} cat /marker"
    ))?;

    place.lab.write_file("/tmp/client/env", "A=b\n")?;
    place.lab.write_file("/tmp/client/labels", "a=b\n")?;
    client.script(CONTAINERS)?;
    let piped = client
        .command("docker")
        .args(["run", "-i", "--rm", "--network", "none", "alpine:3", "cat"])
        .stdin("through the hijacked connection")
        .run()?
        .expect_success()?;
    ensure!(piped.stdout == "through the hijacked connection", "{piped}");
    client
        .command("sh")
        .args(["-c", "docker cp box:/marker - >/tmp/client/marker.tar && docker cp - box:/tmp </tmp/client/marker.tar"])
        .run()?
        .expect_success()?;
    client
        .command("docker")
        .args(["commit", "-c", "ENV A=b", "-c", "LABEL c=d", "box"])
        .run()?
        .expect_success()?;
    client.script(IMAGES)?;

    place
        .lab
        .write_file("/tmp/client/Dockerfile", "FROM alpine:3\nCOPY env /env\n")?;
    for buildkit in ["0", "1"] {
        client
            .command("docker")
            .args(["build", "--network", "none", "--pull", "--cache-from"])
            .args(["acme/app:1", "-t", "team/built:1", "/tmp/client"])
            .env("DOCKER_BUILDKIT", buildkit)
            .run()?
            .expect_success()?;
        client.docker("run --rm --network none team/built:1 cat /env")?;
    }
    Ok(())
}

const PULLS: &str = "
    pull alpine:3
    pull -q docker.io/library/alpine:3
    pull index.docker.io/grafana/grafana:1
    pull acme/app:1
    run --rm --network none other true
    run --rm --network host --pull always alpine:3 true
";

const CONTAINERS: &str = "
    volume create --label a=b data
    run -d --name box --network none --init --env-file /tmp/client/env --label-file /tmp/client/labels -v data:/data \
        --mount type=tmpfs,target=/scratch --tmpfs /more --read-only=false --memory 64m --cpus 0.5 --restart on-failure:3 \
        --health-cmd true --health-interval 1s --log-opt max-size=1m --ulimit nofile=1024 --stop-signal KILL alpine:3 sleep 60
    exec -e A=b -w /tmp box echo hello
    exec -d box sleep 1
    pause box
    unpause box
    update --memory 128m --memory-swap 256m box
    restart -t 0 box
    cp box:/bin/busybox /tmp/client/busybox
    cp /tmp/client/env box:/tmp/env
    create --name once --network none alpine:3 echo once
    start -a once
    wait once
    rename once twice
    run --rm --network none --user 1:1 --entrypoint /bin/cat alpine:3 /marker
";

const IMAGES: &str = "
    commit -a me -m words --pause=false box team/committed:1
    commit box
    run --rm --network none team/committed:1 true
    tag alpine:3 team/tagged:1
    save -o /tmp/client/images.tar alpine:3 team/tagged:1
    export -o /tmp/client/root.tar box
";

/// What only reads, and is asked for much the same by every version.
const LOOKS: &str = "
    version
    info
    volume ls --filter label=a
    network inspect host none
    ps -a --no-trunc --size --filter name=box
    logs --timestamps --tail 5 box
    top box
    stats --no-stream
    diff box
    port box
    inspect --size box
    image ls -a --digests --filter reference=team/*
    image history --no-trunc team/committed:1
    image inspect alpine:3 team/tagged:1
    system df -v
    events --since 1m --until 0s
    plugin ls
";

const LEAVING: &str = "
    kill box
    rm -v box
    rmi --no-prune team/tagged:1
    container prune -f
    image prune -af
    network prune -f
    volume rm data
    system prune -af --volumes
";
