//! The rows. Each names the module of `plugin/` that relies on it.

#![expect(clippy::too_many_lines, reason = "tables are as long as they are")]

use ramgate_lab::EngineKind::{self, Docker20_10, Docker26_1, Docker28_5, Docker28_5Containerd};

use crate::row::{Row, Sent};

/// Every row.
pub(crate) fn rows() -> Vec<Row> {
    [
        paths(),
        forms(),
        tars(),
        objects(),
        json(),
        bodies(),
        plugin(),
    ]
    .concat()
}

const FORM: &str = "Content-Type: application/x-www-form-urlencoded";
const JSON: &str = "Content-Type: application/json";
const EVIL: &str = "fromImage=evil/tool&tag=latest";
const CREATE: &str = "/v1.41/containers/create";
/// Engines that put what belongs into `HostConfig` there from beside it, and take a second JSON value for nothing.
const BEFORE_28: [EngineKind; 2] = [Docker20_10, Docker26_1];
const SINCE_28: [EngineKind; 2] = [Docker28_5, Docker28_5Containerd];
const SINCE_26: [EngineKind; 3] = [Docker26_1, Docker28_5, Docker28_5Containerd];

fn pull(query: &str) -> Sent {
    Sent::post(&format!("/v1.41/images/create?{query}"))
}

fn create(body: impl AsRef<[u8]>) -> Sent {
    Sent::post(CREATE).header(JSON).body(body)
}

/// A container of `evil/tool`, described in a little more than so many MiB.
fn large(size_mib: usize) -> String {
    format!(
        r#"{{"Image":"evil/tool","x":"{}"}}"#,
        "x".repeat(size_mib << 20)
    )
}

fn paths() -> Vec<Row> {
    let row = |quirk, sent| Row::new("go_path", quirk, sent);
    let empty = |target: &str| Sent::post(target).header("Content-Length: 0");
    vec![
        row(
            "an escaped letter in the path is decoded before the route is found",
            empty("/v1.41/images/cr%65ate?fromImage=evil/tool&tag=latest"),
        )
        .fetches("evil/tool")
        .tells_target("/v1.41/images/cr%65ate?fromImage=evil/tool&tag=latest")
        .refused("escape"),
        row(
            "an escaped version is a version",
            empty("/%761%2e41/images/create?fromImage=evil/tool&tag=latest"),
        )
        .fetches("evil/tool")
        .refused("escape"),
        row(
            "a target with scheme and host is served",
            empty("http://x/v1.41/images/create?fromImage=evil/tool&tag=latest"),
        )
        .fetches("evil/tool")
        .tells_target("http://x/v1.41/images/create?fromImage=evil/tool&tag=latest")
        .refused("target is not a path"),
        row(
            "a version with zeros in front is a version",
            empty("/v1.041/images/create?fromImage=evil/tool&tag=latest"),
        )
        .fetches("evil/tool")
        .refused("API version"),
        row(
            "a version may have more numbers",
            Sent::new("GET", "/v1.40.9.9/version"),
        )
        .status(200)
        .asked(1)
        .refused("API version"),
        row(
            "empty components are redirected",
            empty("//v1.41/images/create?fromImage=evil/tool"),
        )
        .status(301)
        .asks_nobody(),
        row(
            "dots are redirected, escaped too",
            empty("/v1.41/x/%2e%2e/images/create?fromImage=evil/tool"),
        )
        .status(301)
        .asks_nobody(),
        row(
            "a slash at the end finds nothing",
            empty("/v1.41/containers/create/"),
        )
        .status(404)
        .asks_nobody(),
        row("but for two routes", Sent::new("GET", "/v1.41/networks/"))
            .status(200)
            .asked(1),
        row(
            "a path is case-sensitive",
            empty("/v1.41/Images/create?fromImage=evil/tool"),
        )
        .status(404)
        .asks_nobody(),
        row(
            "a method is case-sensitive",
            Sent::new("post", CREATE).header("Content-Length: 0"),
        )
        .asks_nobody(),
        row(
            "HEAD finds nothing where only POST is",
            Sent::new("HEAD", CREATE),
        )
        .status(404)
        .asks_nobody(),
        row(
            "OPTIONS is answered everywhere and does nothing",
            Sent::new("OPTIONS", CREATE),
        )
        .status(200)
        .asked(1),
        row(
            "a wrong escape behind a number sign hides the body that the handler reads",
            Sent::post("/v1.41/services/create?#%zz")
                .header(JSON)
                .body(r#"{"Name":1}"#),
        )
        .status(400)
        .says("cannot unmarshal number")
        .hides_body()
        .refused("`#`"),
        row(
            "a number sign is a part of the query",
            empty("/v1.41/images/create?fromImage=alpine#&fromImage=evil/tool"),
        )
        .status(400)
        .says("invalid reference format")
        .refused("`#`"),
    ]
}

fn forms() -> Vec<Row> {
    let row = |quirk, sent| Row::new("go_form", quirk, sent);
    let good = || pull("fromImage=acme/app&tag=1");
    vec![
        row(
            "a form in the body overrides the query",
            good().header(FORM).body(EVIL),
        )
        .fetches("evil/tool")
        .fetches_no("acme/app")
        .hides_body()
        .refused("form"),
        row(
            "a second type is told and the first one counts, and chunks have no length",
            good()
                .header(FORM)
                .header("Content-Type: text/plain")
                .chunked(EVIL),
        )
        .fetches("evil/tool")
        .fetches_no("acme/app")
        .tells_header("Content-Type", Some("text/plain"))
        .tells_header("Content-Length", None)
        .refused("form"),
        row(
            "a type of JSON behind the one that counts hides the form",
            good().header(FORM).header(JSON).body(EVIL),
        )
        .fetches("evil/tool")
        .tells_header("Content-Type", Some("application/json"))
        .hides_body()
        .refused("form"),
        row(
            "a form's type needs neither case nor a proper parameter",
            good()
                .header("Content-Type: APPLICATION/x-WWW-form-urlencoded; x")
                .body(EVIL),
        )
        .fetches("evil/tool")
        .refused("form"),
        row(
            "a body handed over as JSON is no form",
            good().header(JSON).body(EVIL),
        )
        .fetches("acme/app")
        .fetches_no("evil/tool")
        .tells_body(EVIL),
        row("a body without a type is no form", good().body(EVIL))
            .fetches("acme/app")
            .fetches_no("evil/tool")
            .tells_header("Content-Type", None),
        row(
            "a length of 0 is no form whatever its type",
            good().header(FORM).header("Content-Length: 0"),
        )
        .fetches("acme/app")
        .tells_header("Content-Length", Some("0")),
        row(
            "two lengths that differ are refused by the engine",
            good().header(FORM).body(EVIL).header("Content-Length: 0"),
        )
        .status(400)
        .asks_nobody(),
        row(
            "a length beside chunks is not told",
            good()
                .header(FORM)
                .header("Content-Length: 0")
                .chunked(EVIL),
        )
        .fetches("evil/tool")
        .tells_header("Content-Length", None)
        .refused("form"),
        row(
            "of several values the first counts",
            pull("fromImage=acme/app&from%49mage=evil/tool&tag=1").header("Content-Length: 0"),
        )
        .fetches("acme/app")
        .fetches_no("evil/tool")
        .refused("twice"),
        row(
            "a semicolon is a mistake",
            pull("fromImage=acme/app;x&fromImage=evil/tool&tag=latest").header("Content-Length: 0"),
        )
        .status(400)
        .refused("`;`"),
        row(
            "a malformed type masks mistakes in the query, whose pairs are dropped",
            pull("fromImage=acme/app;x&fromImage=evil/tool&tag=latest&tag=%zz")
                .header("Content-Type: foo/;;")
                .header("Content-Length: 0"),
        )
        .fetches("evil/tool")
        .fetches_no("acme/app")
        .refused("`;`"),
        row(
            "a form renames the image that the path names",
            Sent::post("/v1.41/images/evil/tool/tag?repo=good&tag=1")
                .header(FORM)
                .body("repo=better&tag=2"),
        )
        .status(201)
        .makes_image("better:2")
        .refused("form"),
        row(
            "bytes that are no text are told as something else",
            pull("fromImage=acme/app&tag=1&x=%ff").header("Content-Length: 0"),
        )
        .fetches("acme/app")
        .refused("escape them"),
        row(
            "no tag and no digest is all tags",
            pull("fromImage=acme/app").header("Content-Length: 0"),
        )
        .fetches("acme/app/tags"),
    ]
}

fn tars() -> Vec<Row> {
    let row = |quirk, sent| Row::new("engine_api", quirk, sent);
    // Before 29.5 the engine looks into a build's body first, and so takes up to 4 KiB of it away from the form.
    let part = "--b\r\nContent-Disposition: form-data; name=\"remote\"\r\n\r\n\
                https://files.example/hello.txt\r\n--b--\r\n";
    let multipart = format!("{}{part}", "lost\r\n".repeat(2000));
    let urlencoded = "&remote=https://files.example/hello.txt".repeat(300);
    let kind = "Content-Type: multipart/form-data; boundary=b";
    let tar = "Content-Type: application/x-tar";
    vec![
        row(
            "a form that is sent as a tar makes a pull of an import, and nothing tells",
            pull("fromSrc=-&repo=imported").header(FORM).header(tar).chunked(EVIL),
        )
        .fetches("evil/tool")
        .tells_header("Content-Type", Some("application/x-tar")),
        row(
            "multipart adds what the query of a build lacks, and nothing tells",
            Sent::post("/v1.41/build?version=1").header(kind).header(tar).chunked(&multipart),
        )
        .asks_hosts(true, false),
        row(
            "multipart comes after the query of a build",
            Sent::post("/v1.41/build?version=1&remote=https://denied.example/hello.txt")
                .header(kind)
                .chunked(multipart),
        )
        .asks_hosts(false, true)
        .refused("form"),
        row(
            "a urlencoded form comes before the query of a build",
            Sent::post("/v1.41/build?version=1&remote=https://denied.example/hello.txt")
                .header(FORM)
                .body(&urlencoded),
        )
        .asks_hosts(true, false)
        .refused("form"),
        row(
            "multipart is no form to a pull",
            pull("fromImage=acme/app&tag=1")
                .header(kind)
                .body("--b\r\nContent-Disposition: form-data; name=\"fromImage\"\r\n\r\nevil/tool\r\n--b--\r\n"),
        )
        .fetches("acme/app")
        .fetches_no("evil/tool")
        .refused("form"),
        row(
            "a container is created from JSON alone",
            Sent::post(CREATE).header(FORM).body(r#"{"Image":"evil/tool"}"#),
        )
        .hides_body()
        .refused("body"),
        row(
            "a start takes no body",
            Sent::post("/v1.41/containers/none/start").header(FORM).body("checkpoint=x"),
        )
        .status(400)
        .says("non-empty request body")
        .refused("body"),
        row(
            "a commit takes JSON alone",
            Sent::post("/v1.41/commit?container=none").header(FORM).body("container=other"),
        )
        .status(400)
        .refused("body"),
        row(
            "a plugin's name is told by its request alone, where it stands",
            Sent::post("/v1.41/plugins/create?name=ramgate").header(tar).body(""),
        )
        .asked(1)
        .refused("policy of your administrators"),
    ]
}

fn objects() -> Vec<Row> {
    let row = |quirk, sent| Row::new("engine_api/containers", quirk, sent);
    let mount = |kind: &str| {
        let mount = format!(r#"{{"Type":"{kind}","Source":"evil/tool","Target":"/x"}}"#);
        let body = format!(r#"{{"Image":"alpine:3","HostConfig":{{"Mounts":[{mount}]}}}}"#);
        Sent::post("/v1.48/containers/create")
            .header(JSON)
            .body(body)
    };
    vec![
        row(
            "an empty image makes a container",
            create(r#"{"Image":"","Cmd":["x"]}"#),
        )
        .status(201)
        .container("/Config/Image", "")
        .refused("missing or empty"),
        row(
            "what belongs into HostConfig counts beside it",
            create(r#"{"Image":"alpine:3","AutoRemove":true}"#),
        )
        .on(&BEFORE_28)
        .container("/HostConfig/AutoRemove", true),
        row(
            "what belongs into HostConfig does not count beside it",
            create(r#"{"Image":"alpine:3","AutoRemove":true}"#),
        )
        .on(&SINCE_28)
        .container("/HostConfig/AutoRemove", false),
        row("an image can be mounted", mount("image"))
            .on(&SINCE_28)
            .status(201)
            .container("/HostConfig/Mounts/0/Source", "evil/tool"),
        row(
            "the word for a mounted image has one spelling",
            mount("Image"),
        )
        .on(&SINCE_28)
        .status(400),
        row(
            "mounts of a container that is not there are refused by the engine",
            create(r#"{"Image":"alpine:3","HostConfig":{"VolumesFrom":["none:ro"]}}"#),
        )
        .says("none"),
    ]
}

fn json() -> Vec<Row> {
    let row = |quirk, body: &str| Row::new("go_json", quirk, create(body));
    let evil = |row: Row| row.status(201).container("/Config/Image", "evil/tool");
    vec![
        evil(row("a key needs no case", r#"{"iMAGE":"evil/tool"}"#)).refused("another spelling"),
        evil(row("an escape in a key is the letter", r#"{"\u0049mage":"evil/tool"}"#)),
        evil(row(
            "of several the last counts, whatever its case",
            r#"{"Image":"alpine:3","image":"evil/tool"}"#,
        ))
        .refused("twice"),
        evil(row(
            "the exact spelling comes not first",
            r#"{"image":"alpine:3","Image":"alpine:3","IMAGE":"evil/tool"}"#,
        ))
        .refused("twice"),
        evil(row("null changes nothing", r#"{"Image":"evil/tool","Image":null}"#)).refused("twice"),
        row(
            "letters fold into ASCII",
            "{\"Image\":\"alpine:3\",\"Ho\u{17f}tConfig\":{\"Networ\u{212a}Mode\":\"host\"}}",
        )
        .container("/HostConfig/NetworkMode", "host")
        .refused("another spelling"),
        row(
            "objects merge",
            r#"{"Image":"alpine:3","HostConfig":{"AutoRemove":true},"hostconfig":{"Privileged":true}}"#,
        )
        .container("/HostConfig/AutoRemove", true)
        .container("/HostConfig/Privileged", true)
        .refused("twice"),
        row(
            "null clears an object",
            r#"{"Image":"alpine:3","HostConfig":{"AutoRemove":true},"HostConfig":null,"HostConfig":{"Privileged":true}}"#,
        )
        .container("/HostConfig/AutoRemove", false)
        .container("/HostConfig/Privileged", true)
        .refused("twice"),
        row(
            "arrays merge element by element",
            r#"{"Image":"alpine:3","HostConfig":{"Mounts":[{"Type":"volume","Source":"volume","Target":"/a"}],"mounts":[{"Target":"/b"}]}}"#,
        )
        .container("/HostConfig/Mounts/0/Source", "volume")
        .container("/HostConfig/Mounts/0/Target", "/b")
        .refused("twice"),
        evil(row("what is no value may stand behind", r#"{"Image":"evil/tool"} }]} junk"#))
            .refused("stands after"),
        row("a second value is passed over", r#"{"Image":"evil/tool"}{"Image":"alpine:3"}"#)
            .on(&[Docker20_10])
            .status(201)
            .container("/Config/Image", "evil/tool")
            .refused("stands after"),
        row("a second value is refused", r#"{"Image":"evil/tool"}{"Image":"alpine:3"}"#)
            .on(&SINCE_26)
            .status(400)
            .refused("stands after"),
        row("a lone surrogate is taken", r#"{"Image":"evil/tool","Domainname":"a\ud800"}"#)
            .status(201)
            .container("/Config/Domainname", "a\u{fffd}")
            .refused("JSON"),
        Row::new(
            "go_json",
            "bytes that are no text are taken",
            create(b"{\"Image\":\"evil/tool\",\"Domainname\":\"a\xff\"}"),
        )
        .status(201)
        .container("/Config/Domainname", "a\u{fffd}")
        .refused("UTF-8"),
        row("a byte-order mark is refused", "\u{feff}{\"Image\":\"evil/tool\"}")
            .says("looking for beginning of value")
            .refused("JSON"),
        row(
            "a thousand levels are taken",
            &format!(r#"{{"Image":"evil/tool","x":{}{}}}"#, "[".repeat(1000), "]".repeat(1000)),
        )
        .status(201)
        .refused("JSON"),
        row("a number for an image is refused", r#"{"Image":1}"#)
            .says("cannot unmarshal number")
            .refused("type"),
        row("null for a whole body is refused", "null").refused("type"),
    ]
}

fn bodies() -> Vec<Row> {
    let row = |quirk, sent| Row::new("engine_api", quirk, sent);
    let body = r#"{"Image":"alpine:3"}"#;
    let login = || Sent::post("/v1.41/auth").header(JSON).body("{}");
    let typed = |kind: &str| Sent::post(CREATE).header(&format!("Content-Type: {kind}"));
    vec![
        row("JSON is handed over", create(body))
            .status(201)
            .tells_body(body),
        row(
            "JSON in chunks is handed over",
            typed("application/json").chunked(body),
        )
        .status(201)
        .tells_body(body),
        row(
            "JSON with a parameter, in any case, is handed over",
            typed("Application/JSON; charset=utf-8").body(body),
        )
        .status(201)
        .tells_body(body),
        row(
            "JSON with a wrong parameter is handed to nobody",
            typed("application/json; foo").body(body),
        )
        .hides_body()
        .refused("did not hand over"),
        row(
            "more than a MiB of JSON is hidden and read",
            create(large(1)),
        )
        .on(&[Docker20_10])
        .status(201)
        .container("/Config/Image", "evil/tool")
        .hides_body()
        .refused("did not hand over"),
        row("more than a MiB of JSON is handed over", create(large(1)))
            .on(&SINCE_26)
            .status(201)
            .tells_body(large(1)),
        row("more than four MiB of JSON are refused", create(large(4)))
            .on(&SINCE_26)
            .status(500)
            .says("too large")
            .asks_nobody(),
        // Debian's patch for CVE-2024-41110 lost that.
        row("what logs in is told", login())
            .on(&[Docker20_10])
            .tells_body("{}"),
        row("what logs in is hidden", login())
            .on(&SINCE_26)
            .hides_body(),
        row(
            "no body is told as a length of 0",
            Sent::post(CREATE).header("Content-Length: 0"),
        )
        .hides_body()
        .tells_header("Content-Length", Some("0"))
        .refused("did not hand over"),
        row(
            "credentials are not told",
            Sent::new("GET", "/v1.41/version").header("X-Registry-Auth: e30="),
        )
        .status(200)
        .tells_header("X-Registry-Auth", None),
    ]
}

fn plugin() -> Vec<Row> {
    vec![
        Row::new(
            "message",
            "a question that was read and not answered is asked again, without its words",
            create(r#"{"Image":"alpine:3"}"#),
        )
        .asked(2)
        .status(201)
        .refused("cannot be read"),
    ]
}
