//! Files before and after, as bytes.

use serde_json::json;

use super::*;

fn edits() -> [Edit; 3] {
    [
        Edit::Add {
            key: "authorization-plugins",
            item: json!("ramgate"),
        },
        Edit::Set {
            key: &["registry-mirrors"],
            value: json!(["http://127.0.0.1:5050"]),
        },
        Edit::Set {
            key: &["proxies", "http-proxy"],
            value: json!("http://127.0.0.1:5051"),
        },
    ]
}

/// Edits `before` into `after`, and back into what means the same as `before`.
#[track_caller]
fn check(before: &str, after: &str) {
    let file = JsonFile::read(before.as_bytes()).unwrap();
    let edited: Vec<Edited> = edits()
        .iter()
        .filter_map(|edit| file.edit(edit).unwrap())
        .collect();
    assert_eq!(String::from_utf8(file.bytes()).unwrap(), after);
    // A second time there is nothing to do.
    let again = JsonFile::read(&file.bytes()).unwrap();
    for edit in &edits() {
        assert_eq!(again.edit(edit).unwrap(), None, "{after}");
    }
    for edited in edited.iter().rev() {
        again.unmake(edited).unwrap();
    }
    let value = |file: &JsonFile| file.value(&[]);
    let original = JsonFile::read(before.as_bytes()).unwrap();
    assert_eq!(value(&again), value(&original), "{before}");
}

#[test]
fn what_is_there_keeps_its_order_and_its_looks() {
    check(
        "{\n    \"zeta\": 1,\n    \"alpha\": {\"b\": 2, \"a\": 1}\n}\n",
        "{\n    \"zeta\": 1,\n    \"alpha\": {\"b\": 2, \"a\": 1},\n    \"authorization-plugins\": [\"ramgate\"],\n    \
         \"registry-mirrors\": [\"http://127.0.0.1:5050\"],\n    \"proxies\": {\n        \
         \"http-proxy\": \"http://127.0.0.1:5051\"\n    }\n}\n",
    );
    check(
        "{\n  \"authorization-plugins\": [\"other\"],\n  \"registry-mirrors\": [\"https://mirror.example\"]\n}",
        "{\n  \"authorization-plugins\": [\"other\", \"ramgate\"],\n  \"registry-mirrors\": [\"http://127.0.0.1:5050\"],\n  \
         \"proxies\": {\n    \"http-proxy\": \"http://127.0.0.1:5051\"\n  }\n}",
    );
    check(
        "{\r\n\t\"debug\": true\r\n}\r\n",
        "{\r\n\t\"debug\": true,\r\n\t\"authorization-plugins\": [\"ramgate\"],\r\n\t\"registry-mirrors\": \
         [\"http://127.0.0.1:5050\"],\r\n\t\"proxies\": {\r\n\t\t\"http-proxy\": \"http://127.0.0.1:5051\"\r\n\t}\r\n}\r\n",
    );
    check(
        "\u{feff}{\n  \"proxies\": {\n    \"no-proxy\": \"x\"\n  }\n}\n",
        "\u{feff}{\n  \"proxies\": {\n    \"no-proxy\": \"x\",\n    \"http-proxy\": \"http://127.0.0.1:5051\"\n  },\n  \
         \"authorization-plugins\": [\"ramgate\"],\n  \"registry-mirrors\": [\"http://127.0.0.1:5050\"]\n}\n",
    );
}

#[test]
fn an_empty_file_is_an_empty_object() {
    let full = "{\n  \"authorization-plugins\": [\"ramgate\"],\n  \"registry-mirrors\": [\"http://127.0.0.1:5050\"],\n  \
                \"proxies\": {\n    \"http-proxy\": \"http://127.0.0.1:5051\"\n  }\n}\n";
    check("", full);
    check(" \n", full);
    check("{}\n", full);
}

#[track_caller]
fn refused(text: &str, why: &str) {
    let error = JsonFile::read(text.as_bytes()).unwrap_err().to_string();
    assert!(error.contains(why), "{error}");
}

#[test]
fn what_dockerd_would_not_read_is_refused() {
    refused("{\n  // mine\n  \"a\": 1\n}", "line 2: there is a comment");
    refused("{\"a\": 1 /* x */}", "line 1: there is a comment");
    refused("{\"a\": 1}\n// x\n", "line 2: there is a comment");
    refused("{} {}", "line 1");
    refused("{\"a\": 1, \"a\": 2}", "`a` stands twice");
    refused("{\"p\": {\"a\": 1, \"\\u0061\": 2}}", "`p.a` stands twice");
    refused("{\"a\": 1,}", "line 1");
    refused("[1]", "an object is expected");
    refused("{", "line 1");
    let file = JsonFile::read(b"{\"authorization-plugins\": \"x\", \"proxies\": 1}").unwrap();
    let [add, _, set] = edits();
    assert!(file.edit(&add).is_err());
    assert!(file.edit(&set).is_err());
}

#[test]
fn what_others_made_of_a_key_stays() {
    let file = JsonFile::read(b"{\"registry-mirrors\": [\"a\"]}").unwrap();
    let [_, set, _] = edits();
    let edited = file.edit(&set).unwrap().unwrap();
    let theirs = JsonFile::read(b"{\"registry-mirrors\": [\"theirs\"]}").unwrap();
    theirs.unmake(&edited).unwrap();
    assert_eq!(theirs.bytes(), b"{\"registry-mirrors\": [\"theirs\"]}");
}
