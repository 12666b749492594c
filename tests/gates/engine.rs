//! An engine that uses the gates, and has an image or none.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::extract::State;
use axum::http::{Method, StatusCode, Uri};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpStream, UnixListener};

/// What an engine has: the name and the ID of an image. A container was made of it.
#[derive(Clone, Default)]
pub(crate) struct Present(Arc<Mutex<Option<(String, String)>>>);

#[derive(Clone)]
struct Engine {
    present: Present,
    mirror: SocketAddr,
    egress: SocketAddr,
}

/// The container's ID.
pub(crate) const CONTAINER: &str =
    "c0ffee00000000000000000000000000000000000000000000000000000000aa";

// === impl Present ===

impl Present {
    pub(crate) fn set(&self, image: Option<(&str, &str)>) {
        let image = image.map(|(name, id)| (name.to_owned(), id.to_owned()));
        *self.0.lock().unwrap() = image;
    }

    fn get(&self) -> Option<(String, String)> {
        self.0.lock().unwrap().clone()
    }
}

/// Serves an engine at `socket` that fetches through `mirror` and `egress`.
pub(crate) fn serve(socket: &Path, mirror: SocketAddr, egress: SocketAddr) -> Present {
    let present = Present::default();
    let engine = Engine {
        present: present.clone(),
        mirror,
        egress,
    };
    let listener = UnixListener::bind(socket).unwrap();
    let router = Router::new().fallback(answer).with_state(engine);
    tokio::spawn(async move { axum::serve(listener, router).await });
    present
}

async fn answer(State(engine): State<Engine>, method: Method, uri: Uri) -> (StatusCode, String) {
    if method == Method::POST {
        // Only ramgate itself asks for something: its canary, which is nowhere.
        let image = uri.query().unwrap().strip_prefix("fromImage=").unwrap();
        let host = image.split('/').next().unwrap();
        let answer = connect(engine.egress, &format!("{host}:443")).await;
        return (StatusCode::NOT_FOUND, answer);
    }
    let found = |text: String| (StatusCode::OK, text);
    match (uri.path(), engine.present.get()) {
        ("/version", _) => found(r#"{"ApiVersion":"1.51"}"#.to_owned()),
        ("/info", _) => found(format!(
            r#"{{"HttpProxy":"http://{0}","HttpsProxy":"http://{0}","NoProxy":"","RegistryConfig":{{"Mirrors":["http://{1}/"]}}}}"#,
            engine.egress, engine.mirror
        )),
        ("/images/json", None) => found("[]".to_owned()),
        ("/images/json", Some((name, id))) => {
            found(format!(r#"[{{"Id":"{id}","RepoTags":["{name}:1"]}}]"#))
        }
        ("/containers/json", Some(_)) => found(format!(r#"[{{"Id":"{CONTAINER}"}}]"#)),
        (path, Some((name, id))) if path.starts_with("/images/") => found(format!(
            r#"{{"Id":"{id}","RepoTags":["{name}:1"],"RepoDigests":[]}}"#
        )),
        (path, Some((name, id))) if path.starts_with("/containers/") => found(format!(
            r#"{{"Id":"{CONTAINER}","Image":"{id}","Config":{{"Image":"{name}"}},"Mounts":[]}}"#
        )),
        _ => (StatusCode::NOT_FOUND, String::new()),
    }
}

/// Asks the network gate for a tunnel; its answer's first line.
pub(crate) async fn connect(egress: SocketAddr, target: &str) -> String {
    let mut stream = TcpStream::connect(egress).await.unwrap();
    let head = format!("CONNECT {target} HTTP/1.1\r\nHost: {target}\r\n\r\n");
    stream.write_all(head.as_bytes()).await.unwrap();
    let mut answer = Vec::new();
    while !answer.contains(&b'\n') {
        if stream.read_buf(&mut answer).await.unwrap() == 0 {
            break;
        }
    }
    let answer = String::from_utf8(answer).unwrap();
    answer.lines().next().unwrap().to_owned()
}
