"""docker-py at work with images that are allowed."""
import io
import tarfile

import docker

client = docker.from_env()
api = client.api
client.ping(), client.version(), client.info(), client.df()


def archive(**files):
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w") as tar:
        for name, text in files.items():
            content = text.encode()
            entry = tarfile.TarInfo(name)
            entry.size = len(content)
            tar.addfile(entry, io.BytesIO(content))
    stream.seek(0)
    return stream


# Pulls: with a tag, with none (`latest`), with a platform, by digest, as a stream.
alpine = client.images.pull("alpine", tag="3")
client.images.pull("alpine:3")
client.images.pull("other")
client.images.pull("acme/app:1")
client.images.pull("docker.io/grafana/grafana:1", platform="linux")
client.images.pull(alpine.attrs["RepoDigests"][0])
for line in api.pull("alpine", tag="3", stream=True, decode=True):
    assert "error" not in line, line
client.images.get_registry_data("alpine:3")
client.images.list(all=True, filters={"reference": "alpine"})

# Containers: in one step, in two, with all that can be said.
assert client.containers.run("alpine:3", "echo hello", network_mode="none", remove=True) == b"hello\n"
volume = client.volumes.create("py-data", labels={"a": "b"})
box = client.containers.run(
    "alpine:3",
    ["sleep", "60"],
    name="py-box",
    detach=True,
    init=True,
    network_mode="none",
    environment={"A": "b"},
    labels={"a": "b"},
    mem_limit="64m",
    tty=True,
    stdin_open=True,
    tmpfs={"/scratch": ""},
    volumes={"py-data": {"bind": "/data", "mode": "rw"}},
    mounts=[docker.types.Mount("/more", None, type="tmpfs")],
    healthcheck=docker.types.Healthcheck(test=["CMD", "true"], interval=10**9),
    restart_policy={"Name": "on-failure", "MaximumRetryCount": 3},
    log_config=docker.types.LogConfig(type="json-file", config={"max-size": "1m"}),
    ulimits=[docker.types.Ulimit(name="nofile", soft=1024, hard=1024)],
)
box.reload(), box.logs(timestamps=True), box.top(), box.stats(stream=False), box.diff()
code, output = box.exec_run("cat /marker", environment={"A": "b"})
assert code == 0 and b"alpine" in output, output
assert box.exec_run("cat", socket=True).output is not None
assert box.put_archive("/tmp", archive(word="put").read())
chunks, _ = box.get_archive("/tmp/word")
assert b"put" in b"".join(chunks)
box.pause(), box.unpause(), box.rename("py-crate"), box.update(mem_limit="128m", memswap_limit="256m"), box.resize(10, 10)
box.restart(timeout=0), box.stop(timeout=0), box.start(), client.containers.list(all=True, filters={"label": "a"})
made = api.create_container("alpine:3", "true", host_config=api.create_host_config(network_mode="none"))
api.start(made["Id"]), api.wait(made["Id"]), api.remove_container(made["Id"])
by_id = client.containers.create(alpine.id, "true", network_mode="none")
by_id.start(), by_id.wait(), by_id.remove()

# Images of one's own.
image = box.commit("team/py", tag="1", message="words", author="me", conf={"Env": ["A=b"]})
assert image.tag("team/py", "2") and image.tag("team/py")
client.containers.run("team/py:2", "true", network_mode="none", remove=True)
context = archive(Dockerfile="FROM alpine:3\nARG word\nCOPY file /file\nENV W=$word\n", file="built")
options = dict(custom_context=True, rm=True, forcerm=True, tag="team/py:built", buildargs={"word": "x"}, labels={"a": "b"})
client.images.build(fileobj=context, pull=True, cache_from=["alpine:3"], network_mode="none", **options)
client.images.build(fileobj=io.BytesIO(b"FROM acme/app:1\nENV A=b\n"), tag="team/py:plain", network_mode="none")
assert client.containers.run("team/py:built", "cat /file", network_mode="none", remove=True) == b"built"
image.history(), b"".join(image.save(named=True))
list(client.events(since=0, until=1, decode=True))
client.images.remove("team/py:2")

box.kill(), box.remove(v=True), volume.remove()
client.containers.prune(), client.images.prune({"dangling": False}), client.volumes.prune(), client.networks.prune()
api.prune_builds()
print("done")
