//! The properties, on what proptest makes of the pieces that count.

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;

/// JSON near to a body of `containers/create`, with spellings that Go takes for one.
fn json() -> impl Strategy<Value = Vec<u8>> {
    let key = select(vec![
        "\"Image\"",
        "\"image\"",
        "\"\\u0049mage\"",
        "\"Im\\u0061ge\"",
        "\"HostConfig\"",
        "\"HOSTCONFIG\"",
        "\"Ho\u{17f}tConfig\"",
        "\"Mounts\"",
        "\"Mount\u{17f}\"",
        "\"mounts\"",
        "\"VolumesFrom\"",
        "\"volumesfrom\"",
        "\"Type\"",
        "\"type\"",
        "\"Source\"",
        "\"\u{17f}ource\"",
        "\"Labels\"",
        "\"x\"",
        "\"Imag\u{130}\"",
    ]);
    let scalar = select(vec![
        "\"alpine\"",
        "\"image\"",
        "\"evil/tool\"",
        "\"\"",
        "\"a:ro\"",
        "null",
        "1",
        "-0.5e+3",
        "true",
        "\"\\ud800\"",
        "\"\\ud83d\\ude00\"",
        "\"\\ud800\\u0041\"",
        "\"\\n\\/\"",
    ])
    .prop_map(str::to_owned);
    let space = select(vec!["", "", "", " ", "\n", "\t"]);
    let value = scalar.prop_recursive(4, 24, 5, move |inner| {
        let pair = (key.clone(), space.clone(), inner.clone())
            .prop_map(|(key, space, value)| format!("{space}{key}{space}:{value}"));
        prop_oneof![
            3 => vec(pair, 0..5).prop_map(|pairs| format!("{{{}}}", pairs.join(","))),
            1 => vec(inner, 0..4).prop_map(|values| format!("[{}]", values.join(", "))),
        ]
    });
    let junk = select(vec![
        "", "", "", " ", "\n", "}", "]x", "{}", "\u{feff}", "\0",
    ]);
    let change = proptest::option::weighted(0.1, (any::<prop::sample::Index>(), any::<u8>()));
    (value, junk, change).prop_map(|(value, junk, change)| {
        let mut bytes = format!("{value}{junk}").into_bytes();
        if let Some((at, byte)) = change
            && !bytes.is_empty()
        {
            let at = at.index(bytes.len());
            bytes[at] = byte;
        }
        bytes
    })
}

/// A body that is accepted more often than not, so that the property has something to say.
fn readable_json() -> impl Strategy<Value = String> {
    let mount = (select(vec!["bind", "image", "volume"]), "[a-z]{1,8}")
        .prop_map(|(kind, source)| format!(r#"{{"Type":"{kind}","Source":"{source}"}}"#));
    let mounts = vec(mount, 0..4).prop_map(|mounts| format!("\"Mounts\":[{}]", mounts.join(",")));
    let volumes = vec("\"[a-z]{1,8}(:ro)?\"", 0..3)
        .prop_map(|volumes| format!("\"VolumesFrom\":[{}]", volumes.join(",")));
    let host = (mounts, volumes).prop_map(|(mounts, volumes)| format!("{mounts},{volumes}"));
    ("[a-z]{1,8}", host.clone(), proptest::option::of(host)).prop_map(|(image, host, beside)| {
        let beside = beside
            .map(|beside| format!(",{beside}"))
            .unwrap_or_default();
        format!(r#"{{"HostConfig":{{{host}}},"Image":"{image}"{beside}}}"#)
    })
}

/// A body that could be accepted, with a key in another spelling or one more pair.
fn spoilt_json() -> impl Strategy<Value = String> {
    let spelling = select(vec![
        ("Image", "image"),
        ("Image", "IMAGE"),
        ("HostConfig", "hostconfig"),
        ("HostConfig", "Ho\u{17f}tConfig"),
        ("Mounts", "mounts"),
        ("Mounts", "Mount\u{17f}"),
        ("VolumesFrom", "Volume\u{17f}From"),
        ("Type", "type"),
        ("Source", "source"),
        ("Source", "\u{17f}ource"),
        ("Source", "\\u017fource"),
    ]);
    let pair = select(vec![
        "\"Image\":\"evil\",",
        "\"image\":\"evil\",",
        "\"Image\":null,",
        "\"Type\":\"image\",",
        "\"source\":\"evil\",",
        "\"mounts\":[{\"Type\":\"image\",\"Source\":\"evil\"}],",
        "\"hostconfig\":null,",
        "",
    ]);
    let at = any::<prop::sample::Index>();
    (readable_json(), proptest::option::of(spelling), pair, at).prop_map(
        |(json, spelling, pair, at)| {
            let json = match spelling {
                Some((key, other)) => {
                    json.replacen(&format!("\"{key}\""), &format!("\"{other}\""), 1)
                }
                None => json,
            };
            let braces: Vec<usize> = json.match_indices('{').map(|(at, _)| at).collect();
            let at = braces[at.index(braces.len())] + 1;
            let (before, after) = json.split_at(at);
            // An empty object must not end in a comma.
            let pair = if after.starts_with('}') {
                pair.trim_end_matches(',')
            } else {
                pair
            };
            format!("{before}{pair}{after}")
        },
    )
}

fn target() -> impl Strategy<Value = String> {
    let piece = select(vec![
        "/",
        "/",
        "/",
        "v1.44",
        "v1.044",
        "v",
        "v1..4",
        "%76",
        "images",
        "create",
        "cr%65ate",
        "networks",
        "debug/pprof",
        ".",
        "..",
        "%2e",
        "%2F",
        "%2f",
        "%40",
        "%3A",
        ":",
        "@",
        "?",
        "?a=b",
        "#",
        "%zz",
        "%",
        "+",
        "ä",
        "%ff",
        "%c3%a4",
        " ",
        "http://x",
        "\\",
    ]);
    vec(piece, 0..12).prop_map(|pieces| pieces.concat())
}

fn query() -> impl Strategy<Value = String> {
    let key = select(vec![
        "fromImage",
        "from%49mage",
        "fromimage",
        "tag",
        "remote",
        "name",
        "container",
        "fromSrc",
        "x",
        "",
    ]);
    let value = select(vec![
        "alpine",
        "evil/tool",
        "evil%2Ftool",
        "ghcr.io/a/b",
        "ramgate",
        "-",
        "a:",
        "",
        "%zz",
        "%",
        "a;b",
        "a+b",
        "%ff",
        "=",
        "a b",
        "ä",
    ]);
    let pair = (key, select(vec!["=", "=", "=", ""]), value)
        .prop_map(|(key, equals, value)| format!("{key}{equals}{value}"));
    (vec(pair, 0..5), select(vec!["&", "&", "&", "&&", ";"]))
        .prop_map(|(pairs, between)| pairs.join(between))
}

/// A request over the wire, with more headers than one should have.
fn wire() -> impl Strategy<Value = String> {
    let kind = select(vec![
        "application/json",
        "application/json; charset=utf-8",
        "application/json; foo",
        "APPLICATION/JSON",
        "application/x-www-form-urlencoded",
        "Application/X-WWW-form-urlencoded; x",
        "multipart/form-data; boundary=b",
        "text/plain",
        "application/x-tar",
        "foo/;;",
        "",
    ]);
    let path = select(vec![
        "/images/create",
        "/images/create",
        "/v1.44/images/create",
        "/plugins/pull",
        "/commit",
    ]);
    let part = query().prop_map(|query| {
        let pairs = query.split('&').filter_map(|pair| pair.split_once('='));
        pairs
            .map(|(key, value)| format!("--b\r\nx; name=\"{key}\"\r\n\r\n{value}\r\n--b--"))
            .collect::<String>()
    });
    let body = prop_oneof![
        Just(String::new()),
        query(),
        part,
        Just("null".to_owned()),
        Just("[]".to_owned()),
    ];
    let length = select(vec!["own", "own", "0", "7", "none"]);
    let head = (select(vec!["h1", "h2"]), path, query());
    (
        head,
        vec(kind, 0..3),
        vec(length, 0..3),
        any::<bool>(),
        body,
    )
        .prop_map(
            |((protocol, path, query), kinds, lengths, is_chunked, body)| {
                let mut lines = vec![format!("{protocol} POST {path}?{query}")];
                lines.extend(kinds.iter().map(|kind| format!("Content-Type: {kind}")));
                for length in lengths.into_iter().filter(|length| *length != "none") {
                    let length = if length == "own" {
                        body.len().to_string()
                    } else {
                        length.to_owned()
                    };
                    lines.push(format!("Content-Length: {length}"));
                }
                if is_chunked {
                    lines.push("Transfer-Encoding: chunked".to_owned());
                }
                format!("{}\n\n{body}", lines.join("\n"))
            },
        )
}

/// A request that looks well and has a form in its body, behind headers that may hide it.
fn lying_wire() -> impl Strategy<Value = String> {
    let target = select(vec![
        "/images/create?fromImage=alpine&tag=3",
        "/images/create?fromSrc=-&repo=x",
        "/plugins/pull?remote=acme/plugin&name=x",
        "/plugins/pull?remote=acme/plugin",
        "/plugins/pull?remote=acme/plugin&name=a/ramgate:1",
        "/v1.44/commit?container=mine",
    ]);
    let pair = select(vec![
        ("fromImage", "evil/tool"),
        ("remote", "evil/plugin"),
        ("name", "ramgate"),
        ("container", "theirs"),
    ]);
    let kind = select(vec![
        "application/x-www-form-urlencoded",
        "multipart/form-data; boundary=b",
        "application/json",
        "application/x-tar",
        "text/plain",
    ]);
    let length = select(vec!["own", "0"]);
    let headers = (vec(kind, 0..3), vec(length, 0..3), any::<bool>());
    (
        select(vec!["h1", "h2"]),
        target,
        pair,
        any::<bool>(),
        headers,
    )
        .prop_map(
            |(protocol, target, (key, value), is_multipart, (kinds, lengths, is_chunked))| {
                let body = if is_multipart {
                    format!("--b\r\nx; name=\"{key}\"\r\n\r\n{value}\r\n--b--")
                } else {
                    format!("{key}={value}")
                };
                let mut text = format!("{protocol} POST {target}\n");
                for kind in kinds {
                    text += &format!("Content-Type: {kind}\n");
                }
                for length in lengths {
                    let length = if length == "own" { body.len() } else { 0 };
                    text += &format!("Content-Length: {length}\n");
                }
                if is_chunked {
                    text += "Transfer-Encoding: chunked\n";
                }
                format!("{text}\n{body}")
            },
        )
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2_000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn json_names_what_go_finds(body in json()) {
        super::go_json(&body);
    }

    #[test]
    fn json_that_can_be_read_names_what_go_finds(body in readable_json()) {
        super::go_json(body.as_bytes());
    }

    #[test]
    fn json_that_is_spoilt_names_what_go_finds(body in spoilt_json()) {
        super::go_json(body.as_bytes());
    }

    #[test]
    fn requests_that_lie_do_nothing_that_was_not_asked(wire in lying_wire()) {
        super::request(wire.as_bytes());
    }

    #[test]
    fn targets_are_what_the_router_finds(target in target()) {
        super::go_path(target.as_bytes());
    }

    #[test]
    fn queries_are_what_every_handler_finds(query in query()) {
        super::go_form(query.as_bytes());
    }

    #[test]
    fn requests_do_nothing_that_was_not_asked(wire in wire()) {
        super::request(wire.as_bytes());
    }

    #[test]
    fn any_bytes_are_read_or_refused(bytes in vec(any::<u8>(), 0..64)) {
        super::go_json(&bytes);
        super::go_path(&bytes);
        super::go_form(&bytes);
        super::message(&bytes);
        super::request(&bytes);
    }

    #[test]
    fn any_message_is_read_or_refused(
        method in "(POST|GET|PUT|.{0,3})", target in target(), name in "(Content-Type|Content-Length|.{0,5})", value in ".{0,9}",
        body in proptest::option::of(json()),
    ) {
        let told = super::Told { method: &method, target: &target, headers: &[(&name, &value)], body: body.as_deref() };
        let _ = told.read();
    }
}
