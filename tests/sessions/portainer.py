"""Requests as a console like Portainer sends them: a browser's POST without a body still has the type of a form, names have a
registry in front, and a container is made anew from all that the engine says of it."""
import http.client
import json
import socket
from urllib.parse import quote, urlencode

FORM = "application/x-www-form-urlencoded"


class Engine(http.client.HTTPConnection):
    def connect(self):
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.connect("/run/docker.sock")


def send(method, path, body=None, version="/v1.41", headers={}, **query):
    connection = Engine("localhost", timeout=30)
    headers = {"X-Registry-Auth": "eyJyZWdpc3RyeUlkIjowfQ==", **headers}
    if body is not None:
        body = json.dumps(body)
        headers["Content-Type"] = "application/json"
    elif method == "POST":
        headers["Content-Type"], body = FORM, ""
    target = version + path + ("?" + urlencode(query) if query else "")
    connection.request(method, target, body, headers)
    answer = connection.getresponse()
    content = answer.read()
    assert answer.status < 400, (method, target, answer.status, content)
    return json.loads(content) if content[:1] in (b"{", b"[") and content.count(b"\n") < 2 else content


# The dashboard: everything is listed, as whoever looks at it does every few seconds.
for path in ["/_ping", "/info", "/version", "/volumes", "/networks", "/system/df", "/plugins", "/events?since=0&until=1"]:
    send("GET", path), send("GET", path, version="")
send("GET", "/containers/json", all=1, size="true", filters="{}")
send("GET", "/images/json", all=0, filters=json.dumps({"dangling": ["false"], "reference": ["*"]}))
send("GET", "/volumes", filters=json.dumps({"dangling": ["true"]}))

# Pulls, in the spellings of the two forms of the dialog.
send("POST", "/images/create", fromImage="alpine:3")
send("POST", "/images/create", fromImage="docker.io/acme/app:1")
send("POST", "/images/create", fromImage="grafana/grafana", tag="1")
send("POST", "/images/create", {}, fromImage="docker.io/library/alpine", tag="3")
send("GET", "/images/" + quote("docker.io/library/alpine:3") + "/json")
send("GET", "/distribution/alpine:3/json")

host = {
    "RestartPolicy": {"Name": "unless-stopped", "MaximumRetryCount": 0}, "PortBindings": {}, "PublishAllPorts": False,
    "Binds": [], "AutoRemove": False, "NetworkMode": "none", "Privileged": False, "Init": False, "Runtime": "",
    "ExtraHosts": [], "Devices": [], "DeviceRequests": [], "CapAdd": ["AUDIT_WRITE", "CHOWN"], "CapDrop": ["SYS_ADMIN"],
    "Sysctls": {}, "ShmSize": 67108864, "Memory": 0, "MemoryReservation": 0, "NanoCpus": 0, "Dns": [],
    "LogConfig": {"Type": "", "Config": {}}, "VolumesFrom": None,
}
made = send("POST", "/containers/create", {
    "Image": "docker.io/library/alpine:3", "name": "console", "Env": ["A=b"], "MacAddress": "", "ExposedPorts": {},
    "Entrypoint": None, "WorkingDir": "", "User": "", "Cmd": ["sleep", "60"], "Domainname": "", "Hostname": "",
    "HostConfig": host, "NetworkingConfig": {"EndpointsConfig": {"none": {"IPAMConfig": {"IPv4Address": "", "IPv6Address": ""}}}},
    "Labels": {"io.portainer.accesscontrol.teams": "a"}, "OpenStdin": True, "Tty": True, "Volumes": {"/data": {}},
    "StopSignal": "SIGKILL",
}, name="console")["Id"]
send("POST", f"/containers/{made}/start", {})
send("POST", f"/containers/{made}/restart", t=0)
known = send("GET", f"/containers/{made}/json")
send("GET", f"/containers/{made}/logs", stdout=1, stderr=1, tail=100, since=0, timestamps=0)
send("GET", f"/containers/{made}/stats", stream="false"), send("GET", f"/containers/{made}/top")
run = send("POST", f"/containers/{made}/exec", {
    "AttachStdin": False, "AttachStdout": True, "AttachStderr": True, "Tty": False, "User": "", "Cmd": ["true"], "id": made,
})
send("POST", f"/exec/{run['Id']}/start", {"Detach": False, "Tty": False}), send("GET", f"/exec/{run['Id']}/json")
send("POST", f"/containers/{made}/update", {"RestartPolicy": {"Name": "no", "MaximumRetryCount": 0}})
send("POST", f"/containers/{made}/pause"), send("POST", f"/containers/{made}/unpause")

# Made anew: stopped, renamed, created from what was inspected, started, the old one removed.
send("POST", f"/containers/{made}/stop", t=0)
send("POST", f"/containers/{made}/rename", name="console-old")
send("POST", "/images/create", fromImage=known["Config"]["Image"])
again = send("POST", "/containers/create", {
    **known["Config"], "HostConfig": known["HostConfig"], "NetworkingConfig": {"EndpointsConfig": {}}, "name": "console",
}, name="console")["Id"]
send("POST", f"/containers/{again}/start"), send("DELETE", f"/containers/{made}", force="true", v=0)

send("POST", "/commit", {}, container=again, repo="team/console", tag="1")
send("POST", "/commit", {}, container=again, repo="team/console", tag="2", comment="words", pause="true")
image = send("GET", "/images/team/console:1/json")["Id"]
send("POST", f"/images/{image}/tag", repo="docker.io/team/console", tag="3"), send("GET", f"/images/{image}/history")
send("POST", f"/containers/{again}/kill"), send("DELETE", f"/containers/{again}", force="true")
send("POST", "/volumes/create", {"Name": "console", "Driver": "local", "DriverOpts": {}}), send("DELETE", "/volumes/console")
for kind in ["containers", "images", "volumes", "networks", "build"]:
    send("POST", f"/{kind}/prune")
print("done")
