//! What requests come down to: one row for each way in which a request can name an image, or hide that it does.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ramgate_policy::{Action, LocalImage};
use serde_json::{Map, Value, json};

use super::Request;
use crate::message::AuthZReq;
use crate::question::{Question, Read, Reading};
use crate::unreadable::Unreadable;

/// A request as dockerd would describe it.
struct Sent {
    method: &'static str,
    target: String,
    headers: Vec<(&'static str, &'static str)>,
    body: Option<String>,
}

// === impl Sent ===

impl Sent {
    fn get(target: &str) -> Self {
        Self::new("GET", target)
    }

    /// As docker sends it without a body: a length and no type.
    fn post(target: &str) -> Self {
        Self::new("POST", target).header("Content-Length", "0")
    }

    fn json(target: &str, body: &str) -> Self {
        Self {
            body: Some(body.to_owned()),
            ..Self::new("POST", target).header("Content-Type", "application/json")
        }
    }

    fn tar(target: &str, kind: &'static str) -> Self {
        Self::new("POST", target).header("Content-Type", kind)
    }

    fn new(method: &'static str, target: &str) -> Self {
        Self {
            method,
            target: target.to_owned(),
            headers: Vec::new(),
            body: None,
        }
    }

    fn header(mut self, name: &'static str, value: &'static str) -> Self {
        self.headers.push((name, value));
        self
    }

    fn read(&self) -> Read {
        let headers: Map<String, Value> = self
            .headers
            .iter()
            .map(|(name, value)| ((*name).to_owned(), json!(value)))
            .collect();
        let message = json!({
            "RequestMethod": self.method,
            "RequestUri": self.target,
            "RequestHeaders": headers,
            "RequestBody": self.body.as_ref().map(|body| STANDARD.encode(body)),
        });
        let text = message.to_string();
        let message: AuthZReq<'_> = serde_json::from_str(&text).unwrap();
        Request::parse(&message)?.read()
    }

    #[track_caller]
    fn asks(&self, expected: &[&str]) {
        let got = match self.read() {
            Ok(Reading::Pass) => Vec::new(),
            Ok(Reading::Ask(questions)) => questions.iter().map(told).collect(),
            Err(problem) => panic!("{} {}: {problem}", self.method, self.target),
        };
        assert_eq!(got, expected, "{} {}", self.method, self.target);
    }

    #[track_caller]
    fn refused(&self, expected: &Unreadable) {
        assert_eq!(
            self.read().as_ref(),
            Err(expected),
            "{} {}",
            self.method,
            self.target
        );
    }
}

/// A question in few words.
fn told(question: &Question) -> String {
    match question {
        Question::Repository(repository, Action::Pull) => format!("pull {repository}"),
        Question::Repository(repository, Action::Push) => format!("push {repository}"),
        Question::Repository(repository, Action::Run) => format!("run {repository}"),
        Question::Image(text) => format!("image {text}"),
        Question::Container(name) => format!("container {name}"),
        Question::PreviousService(id) => format!("previous {id}"),
        Question::Local(kind) => format!("local {}", LocalImage::key(*kind)),
        Question::Host(host, port) => format!("host {host}:{port}"),
        Question::Registry(registry) => format!("registry {registry}"),
        Question::Http1 => "http1".to_owned(),
        Question::Gates => "gates".to_owned(),
        Question::Plugin(name) => format!("plugin {name}"),
        Question::OwnPlugin => "own plugin".to_owned(),
    }
}

const FORM: (&str, &str) = ("Content-Type", "application/x-www-form-urlencoded");
const TEXT: (&str, &str) = ("Content-Type", "text/plain");

#[test]
fn a_pull_is_judged_by_its_repository() {
    let pull = |query: &str| Sent::post(&format!("/v1.45/images/create?{query}"));
    pull("fromImage=alpine&tag=3").asks(&["pull docker.io/library/alpine"]);
    pull("fromImage=docker.io%2Flibrary%2Falpine").asks(&["pull docker.io/library/alpine"]);
    pull("fromImage=alpine:&fromSrc=-&repo=x").asks(&["pull docker.io/library/alpine"]);
    pull("fromImage=ghcr.io/acme/app&tag=sha256:abc&platform=linux/arm64")
        .asks(&["pull ghcr.io/acme/app"]);
    pull("fromImage=&fromSrc=").refused(&Unreadable::Missing("fromImage"));
    pull("fromimage=alpine").refused(&Unreadable::Missing("fromImage"));
    pull("fromImage=a&from%49mage=b").refused(&Unreadable::DuplicateParameter("fromImage"));
    pull("fromImage=a&tag=1&tag=2").refused(&Unreadable::DuplicateParameter("tag"));
    pull("fromImage=a;x").refused(&Unreadable::QuerySemicolon);
    pull("fromImage=a&x=%zz").refused(&Unreadable::QueryEscape);
}

#[test]
fn where_a_form_would_count_there_must_be_none() {
    let targets = [
        "/images/create?fromImage=alpine",
        "/images/create?fromSrc=https://files.example/x.tar",
        "/images/alpine/tag?repo=good",
        "/images/ghcr.io/acme/app/push?tag=1",
        "/plugins/pull?remote=ghcr.io/acme/plugin",
        "/plugins/acme/plugin:1/upgrade?remote=ghcr.io/acme/plugin",
    ];
    for target in targets {
        let plain = Sent::post(target).read().unwrap();
        // Whatever is sent in chunks, or with a length.
        for kind in [
            FORM.1,
            "multipart/form-data; boundary=b",
            "APPLICATION/x-www-form-urlencoded; x",
            "text/plain",
            "application/x-tar",
            "application/json",
            "",
        ] {
            let typed = Sent::new("POST", target).header("Content-Type", kind);
            typed.refused(&Unreadable::FormBody);
            typed
                .header("Content-Length", "15")
                .refused(&Unreadable::FormBody);
        }
        // No type is none, with or without a body.
        assert_eq!(Sent::new("POST", target).read().unwrap(), plain);
        let untyped = Sent::new("POST", target).header("Content-Length", "15");
        assert_eq!(untyped.read().unwrap(), plain);
        // docker 20.10: a type and a length of 0.
        let Ok(Reading::Ask(questions)) = Sent::post(target).header(TEXT.0, TEXT.1).read() else {
            panic!("{target}");
        };
        assert!(questions.contains(&Question::Http1), "{target}");
        // docker-py: a body of JSON.
        assert_eq!(Sent::json(target, "[]").read().unwrap(), plain, "{target}");
    }
}

#[test]
fn an_import_is_judged_by_its_source() {
    let import = |query: &str, kind| Sent::tar(&format!("/images/create?{query}"), kind);
    import("fromSrc=-&repo=x", "text/plain").asks(&["local import"]);
    import("fromSrc=-", "application/x-tar").asks(&["local import"]);
    import("fromSrc=-", FORM.1).refused(&Unreadable::FormBody);
    import("fromSrc=-", "multipart/form-data; boundary=b").refused(&Unreadable::FormBody);
    Sent::post("/images/create?fromSrc=files.example/x.tar")
        .asks(&["local import", "host files.example:80"]);
    Sent::post("/images/create?fromSrc=https://files.example/x.tar")
        .asks(&["local import", "host files.example:443"]);
    Sent::post("/images/create?fromSrc=file:///etc/passwd").refused(&Unreadable::Url("fromSrc"));
    import("fromSrc=https://files.example/x", "application/x-tar").refused(&Unreadable::FormBody);
}

#[test]
fn images_are_judged_when_they_are_named_sent_and_looked_up() {
    Sent::tar("/images/load?quiet=1", "application/x-tar").asks(&["local load"]);
    Sent::post("/images/evil/tool:1/tag?repo=alpine&tag=3")
        .asks(&["local tag", "image evil/tool:1"]);
    Sent::post("/v1.45/images/ghcr.io%2Facme%2Fapp/push").asks(&["push ghcr.io/acme/app"]);
    Sent::post("/images/alpine/push").asks(&["push docker.io/library/alpine"]);
    Sent::get("/images/search?term=alpine").asks(&["registry docker.io"]);
    Sent::get("/images/search?term=ghcr.io/acme").asks(&["registry ghcr.io"]);
    Sent::get("/distribution/ghcr.io/acme/app:1/json").asks(&["pull ghcr.io/acme/app"]);
    for target in [
        "/images/json",
        "/images/alpine/json",
        "/images/get?names=alpine",
        "/images/alpine/attestations",
        "/_ping",
    ] {
        Sent::get(target).asks(&[]);
    }
}

#[test]
fn a_build_is_judged_by_what_its_request_names() {
    let build = |query: &str| Sent::tar(&format!("/v1.41/build?{query}"), "application/x-tar");
    build("t=a&t=b&version=1&cachefrom=null&buildargs=%7B%7D").asks(&["local build"]);
    build("remote=client-session&session=x&version=2&cachefrom=[]").asks(&["local build"]);
    build("remote=upload-request").asks(&["local build"]);
    build("remote=https://git.example/x.git").asks(&["local build", "host git.example:443"]);
    build("remote=upload-requests").refused(&Unreadable::Url("remote"));
    build("remote=docker-image://evil/tool").refused(&Unreadable::Url("remote"));
    build("remote=a&remote=b").refused(&Unreadable::DuplicateParameter("remote"));
    build("cachefrom=%5B%22evil/tool%22%5D").asks(&["local build", "pull docker.io/evil/tool"]);
    build("cachefrom=%22a%22").refused(&Unreadable::WrongType("cachefrom"));
    build("cachefrom=[null]").refused(&Unreadable::WrongType("cachefrom"));
    build("cachefrom=[").refused(&Unreadable::Json);
    let outputs = |json: &str| {
        let escaped: String = json.bytes().map(|byte| format!("%{byte:02X}")).collect();
        build(&format!("version=2&outputs={escaped}"))
    };
    outputs(r#"[{"Type":"tar","Attrs":{}},{"Type":"moby"}]"#).asks(&["local build"]);
    outputs(r#"[{"Type":"image","Attrs":{"name":"a","push":"false"}}]"#).asks(&["local build"]);
    outputs(r#"[{"Type":"image","Attrs":{"name":"ghcr.io/a/b:1,c","push":"true"}}]"#).asks(&[
        "local build",
        "push ghcr.io/a/b",
        "push docker.io/library/c",
    ]);
    outputs(r#"[{"Type":"registry","Attrs":{"name":"ghcr.io/a/b"}}]"#)
        .asks(&["local build", "push ghcr.io/a/b"]);
    outputs(r#"[{"Type":"registry"}]"#).refused(&Unreadable::Missing("name"));
    outputs(r#"[{"type":"registry"}]"#).refused(&Unreadable::KeySpelling("Type"));
    outputs(r#"[{"Type":"image","Attrs":{"push":"false","push":"true"}}]"#)
        .refused(&Unreadable::DuplicateKey("push"));
    Sent::post("/session").asks(&["local build"]);
    Sent::post("/grpc").asks(&["local build"]);
}

#[test]
fn a_container_is_judged_by_every_image_it_names() {
    let create = |body: &str| Sent::json("/v1.48/containers/create?name=x", body);
    create(r#"{"Image":"alpine:3","HostConfig":{"Mounts":[{"Type":"bind","Source":"/x"}]}}"#)
        .asks(&["image alpine:3"]);
    create(r#"{"Image":"a","HostConfig":{"Mounts":[{"Type":"image","Source":"b"}]}}"#)
        .asks(&["image a", "image b"]);
    create(r#"{"Image":"a","Mounts":[{"Type":"Image","Source":"b"}]}"#)
        .asks(&["image a", "image b"]);
    create(r#"{"Image":"a","HostConfig":{"VolumesFrom":["other:ro","third"]}}"#).asks(&[
        "image a",
        "container other",
        "container third",
    ]);
    create(r#"{"Image":"a","VolumesFrom":["other"]}"#).asks(&["image a", "container other"]);
    create(r#"{"Image":"a","HostConfig":null}"#).asks(&["image a"]);
    create(r#"{"Image":"a","HostConfig":{"VolumesFrom":[null]}}"#)
        .refused(&Unreadable::WrongType("VolumesFrom"));
    create(r#"{"Image":"a","HostConfig":{},"hostconfig":{"Mounts":[]}}"#)
        .refused(&Unreadable::DuplicateKey("HostConfig"));
    create("{\"Image\":\"a\",\"HostConfig\":{\"Mount\u{17f}\":[]}}")
        .refused(&Unreadable::KeySpelling("Mounts"));
    create(r#"{"Image":"a","HostConfig":{"Mounts":[{"Type":"image","Source":""}]}}"#)
        .refused(&Unreadable::Missing("Source"));
    create(r#"{"Image":""}"#).refused(&Unreadable::Missing("Image"));
    create("{}").refused(&Unreadable::Missing("Image"));
    create("").refused(&Unreadable::MissingBody);
    create(r#"{"Image":"a"} }"#).refused(&Unreadable::JsonTrailing);
    Sent::post("/containers/create").refused(&Unreadable::MissingBody);
}

#[test]
fn a_container_is_judged_again_when_it_starts() {
    Sent::post("/containers/x/start").asks(&["container x"]);
    Sent::post("/containers/x/start?checkpoint=c").asks(&["container x"]);
    Sent::post("/containers/x/start?checkpoint=c&checkpoint-dir=/tmp")
        .asks(&["container x", "local unknown"]);
    Sent::post("/containers/x/restart?t=0").asks(&["container x"]);
    Sent::post("/containers/x/rename?name=y").asks(&["container x"]);
    for route in ["start", "restart", "rename?name=y"] {
        let target = format!("/containers/x/{route}");
        // As docker 20.10 does, and others: a type, and nothing of it.
        Sent::post(&target)
            .header("Content-Type", "text/plain")
            .asks(&["container x", "http1"]);
        Sent::json(&target, "{}").asks(&["container x"]);
        // dockerd waits for the form, and the name may move meanwhile.
        Sent::new("POST", &target)
            .header("Content-Length", "5")
            .header(FORM.0, FORM.1)
            .refused(&Unreadable::FormBody);
        let target = format!("/containers/web/db/{route}");
        Sent::post(&target).refused(&Unreadable::ContainerLink);
    }
    create_from("/x:ro").asks(&["image a", "container /x"]);
    create_from("web/db").refused(&Unreadable::ContainerLink);
    for target in [
        "/containers/x/unpause",
        "/containers/x/exec",
        "/exec/x/start",
    ] {
        Sent::post(target).asks(&[]);
    }
}

fn create_from(volumes: &str) -> Sent {
    let body = format!(r#"{{"Image":"a","HostConfig":{{"VolumesFrom":["{volumes}"]}}}}"#);
    Sent::json("/containers/create", &body)
}

#[test]
fn a_commit_is_judged_by_its_container() {
    Sent::post("/commit?container=x&repo=y").asks(&["local commit", "container x"]);
    Sent::json("/commit?container=x", "null").asks(&["local commit", "container x"]);
    Sent::json("/commit?container=x", r#"{"Image":"evil"}"#).asks(&["local commit", "container x"]);
    Sent::post("/commit?repo=y").refused(&Unreadable::Missing("container"));
    let form = Sent::new("POST", "/commit?container=x").header(FORM.0, FORM.1);
    form.refused(&Unreadable::MissingBody);
    Sent::json("/commit?container=x", "[]").refused(&Unreadable::WrongType("body"));
}

#[test]
fn a_service_is_judged_by_what_its_tasks_will_run() {
    let create =
        |task: &str| Sent::json("/services/create", &format!(r#"{{"TaskTemplate":{task}}}"#));
    create(r#"{"ContainerSpec":{"Image":"alpine:3"}}"#)
        .asks(&["run docker.io/library/alpine", "image alpine:3"]);
    create(r#"{"ContainerSpec":{"Image":"web","Mounts":[{"Type":"image","Source":"b"}]}}"#)
        .asks(&["run docker.io/library/web", "image web", "image b"]);
    create(r#"{"Runtime":"plugin","PluginSpec":{"remote":"evil/plugin"}}"#)
        .asks(&["pull docker.io/evil/plugin"]);
    create(r#"{"NetworkAttachmentSpec":{"ContainerID":"x"}}"#).asks(&[]);
    create("{}").refused(&Unreadable::Missing("ContainerSpec"));
    create(r#"{"ContainerSpec":{}}"#).refused(&Unreadable::Missing("Image"));
    create(r#"{"ContainerSpec":{"Image":"cafe"}}"#)
        .refused(&Unreadable::ServiceImageId("cafe".to_owned()));
    create(r#"{"ContainerSpec":{"image":"web"}}"#).refused(&Unreadable::KeySpelling("Image"));
    create(r#"{"PluginSpec":{"Remote":"a"}}"#).refused(&Unreadable::KeySpelling("remote"));
    let body = r#"{"TaskTemplate":{"ContainerSpec":{"Image":"web"}}}"#;
    Sent::json("/services/s/update?version=1", body)
        .asks(&["run docker.io/library/web", "image web"]);
    Sent::json("/services/s/update?version=1&rollback=previous", body).asks(&[
        "run docker.io/library/web",
        "image web",
        "previous s",
    ]);
    Sent::post("/services/create?#%zz").refused(&Unreadable::Fragment);
    Sent::post("/swarm/init").asks(&["gates"]);
    Sent::post("/swarm/join").asks(&["gates"]);
}

#[test]
fn a_plugin_is_judged_by_what_it_is_and_whom_it_displaces() {
    Sent::get("/plugins/privileges?remote=evil/plugin").asks(&["pull docker.io/evil/plugin"]);
    Sent::get("/plugins/privileges").refused(&Unreadable::Missing("remote"));
    let own = "own plugin";
    let pull = |query: &str| Sent::json(&format!("/plugins/pull?{query}"), "[]");
    pull("remote=evil/plugin").asks(&["pull docker.io/evil/plugin"]);
    pull("remote=evil/plugin&name=ramgate").asks(&["pull docker.io/evil/plugin", own]);
    pull("remote=evil/ramgate:2").asks(&["pull docker.io/evil/ramgate", own]);
    pull("remote=evil/ramgate:2&name=x").asks(&["pull docker.io/evil/ramgate"]);
    pull("name=x").refused(&Unreadable::Missing("remote"));
    let create = |query: &str| Sent::tar(&format!("/plugins/create?{query}"), "application/x-tar");
    create("name=x").asks(&["local load"]);
    create("name=ramgate:latest").asks(&["local load", own]);
    create("").refused(&Unreadable::Missing("name"));
    let upgrade = "/plugins/acme/ramgate/upgrade?remote=evil/plugin";
    Sent::json(upgrade, "[]").asks(&["pull docker.io/evil/plugin", own]);
    let by_id = || Unreadable::PluginId("5724e2c8".to_owned());
    for target in [
        "/plugins/5724e2c8/upgrade?remote=a",
        "/plugins/5724e2c8/disable",
        "/plugins/5724e2c8/set",
        "/plugins/5724e2c8/push",
    ] {
        Sent::post(target).refused(&by_id());
    }
    Sent::new("DELETE", "/plugins/5724e2c8").refused(&by_id());
    Sent::new("DELETE", "/plugins/cafe:latest").asks(&[]);
    Sent::post("/plugins/ramgate/disable").asks(&[own]);
    Sent::post("/plugins/ramgate/set").asks(&[own]);
    Sent::new("DELETE", "/plugins/ghcr.io/acme/ramgate:1?force=1").asks(&[own]);
    Sent::post("/plugins/other/disable").asks(&[]);
    Sent::post("/plugins/ramgate/enable?timeout=0").asks(&[]);
    Sent::post("/plugins/acme/x/enable?timeout=0").asks(&["plugin acme/x"]);
    Sent::new("POST", "/plugins/acme/x/enable?timeout=0")
        .header(FORM.0, FORM.1)
        .refused(&Unreadable::FormBody);
    Sent::post("/plugins/ghcr.io/acme/x/push").asks(&["push ghcr.io/acme/x"]);
}

#[test]
fn methods_that_change_nothing_pass_and_others_are_known_or_refused() {
    Sent::new("HEAD", "/containers/create").asks(&[]);
    Sent::new("OPTIONS", "/images/create?fromImage=evil").asks(&[]);
    for method in ["PATCH", "CONNECT", "post", "TRACE", ""] {
        let sent = Sent::new(method, "/images/create?fromImage=evil");
        sent.refused(&Unreadable::UnknownRoute(format!(
            "{method} /images/create"
        )));
    }
}
