//! buildx, as it comes with the newest engine.

use anyhow::Result;
use ramgate_lab::EngineKind;

use super::client::{Client, untouched};
use crate::place::Place;

pub(super) fn buildx(place: &Place) -> Result<()> {
    let client = Client::of(EngineKind::Docker28_5, place);
    untouched(place, || {
        let write = |file: &str, content: &str| {
            place
                .lab
                .write_file(&format!("/tmp/project/{file}"), content)
        };
        write("Dockerfile", DOCKERFILE)?;
        write("docker-bake.hcl", BAKE)?;
        write("secret", "whisper")?;
        client.script(SCRIPT)?;
        if place.lab.kind() != EngineKind::Docker20_10 {
            client.docker(NAMED_CONTEXT)?;
        }
        client.docker("pull alpine:3")?;
        client.script(WITH_LOCAL_IMAGE)?;
        client
            .command("docker")
            .args(["build", "--network", "none", "-t", "team/piped:1", "-"])
            .stdin("FROM alpine:3\nRUN echo piped\n")
            .run()?
            .expect_success()?;
        client.script(LEAVING)
    })
}

const DOCKERFILE: &str = r#"
FROM acme/app:1 AS tools
RUN --mount=type=cache,target=/cache echo cached > /cache/file
FROM alpine:3 AS base
ARG WORD=none
RUN --mount=type=secret,id=word --mount=type=bind,source=secret,target=/bound cat /run/secrets/word /bound && echo $WORD > /word
ADD https://files.example/hello.txt /hello.txt
FROM base AS final
COPY --from=tools /marker /tools-marker
COPY --from=grafana/grafana:1 /marker /grafana-marker
HEALTHCHECK CMD true
"#;

const BAKE: &str = r#"
group "default" { targets = ["base", "final"] }
target "base" {
  target = "base"
  context = "/tmp/project"
  network = "none"
  secret = ["id=word,src=/tmp/project/secret"]
  tags = ["team/base:1"]
}
target "final" {
  inherits = ["base"]
  target = "final"
  args = { WORD = "baked" }
  tags = ["team/final:1", "team/final:2"]
}
"#;

const SCRIPT: &str = "
    buildx version
    buildx ls
    buildx inspect default
    buildx build --network none --load --secret id=word,src=/tmp/project/secret --build-arg WORD=given --target final \
        --iidfile /tmp/project/id --metadata-file /tmp/project/metadata --label a=b -t team/built:1 /tmp/project
    run --rm --network none team/built:1 cat /word /tools-marker /grafana-marker /hello.txt
    buildx build --network none --load --pull --no-cache --cache-from type=registry,ref=acme/app:1 --provenance=false \
        --secret id=word,src=/tmp/project/secret -t team/built:2 /tmp/project
    buildx build --network none --output type=local,dest=/tmp/project/out --secret id=word,src=/tmp/project/secret /tmp/project
    buildx bake --print -f /tmp/project/docker-bake.hcl
    buildx bake --load -f /tmp/project/docker-bake.hcl
    run --rm --network none team/final:2 cat /word
";

/// The BuildKit of 20.10 has no named contexts.
const NAMED_CONTEXT: &str = "buildx build --network none --target tools --build-context acme/app:1=docker-image://grafana/grafana:1 \
    /tmp/project";

const WITH_LOCAL_IMAGE: &str = "
    build --network none --target base --secret id=word,src=/tmp/project/secret -t team/base:2 /tmp/project
    run --rm --network none team/base:2 true
";

const LEAVING: &str = "
    buildx du --verbose
    buildx prune -f
    builder prune -af
    image prune -af
";
