//! Docker Hub's API, and registries that have whatever they are asked for.

use std::net::SocketAddr;

use axum::Router;
use axum::extract::Path;
use axum::http::{StatusCode, Uri, header};
use axum::response::{IntoResponse as _, Response};
use axum::routing::get;
use sha2::{Digest as _, Sha256};

/// What stands for Docker Hub's API. Of `silent` it has nothing to say, and of the rest as Docker Hub.
pub(crate) async fn hub() -> SocketAddr {
    let organization = async |Path(namespace): Path<String>| {
        let badge = match namespace.as_str() {
            "publisher" => "verified_publisher",
            "sponsored" => "open_source",
            "silent" => return StatusCode::BAD_GATEWAY.into_response(),
            _ => return StatusCode::NOT_FOUND.into_response(),
        };
        let text = format!(r#"{{"orgname":"{namespace}","badge":"{badge}"}}"#);
        ([(header::CONTENT_TYPE, "application/json")], text).into_response()
    };
    serve(Router::new().route("/v2/orgs/{namespace}/", get(organization))).await
}

/// A registry in which every repository has one image, of its own content.
pub(crate) async fn registry() -> SocketAddr {
    serve(Router::new().fallback(async |uri: Uri| answer(uri.path()))).await
}

fn answer(path: &str) -> Response {
    let path = path.strip_prefix("/v2/").unwrap();
    let split = ["/manifests/", "/blobs/"].into_iter();
    let Some((repository, pointer)) = split.filter_map(|kind| path.split_once(kind)).next() else {
        return StatusCode::OK.into_response();
    };
    let content = [manifest(repository), config(repository)]
        .into_iter()
        .find(|content| pointer == "1" || digest(content) == pointer);
    match content {
        Some(content) => ([(header::CONTENT_TYPE, MANIFEST_TYPE)], content).into_response(),
        None => StatusCode::NOT_FOUND.into_response(),
    }
}

/// The image's manifest.
fn manifest(repository: &str) -> String {
    let config = config(repository);
    format!(
        r#"{{"schemaVersion":2,"mediaType":"{MANIFEST_TYPE}","config":{{"mediaType":"application/vnd.oci.image.config.v1+json","digest":"{}","size":{}}},"layers":[]}}"#,
        digest(&config),
        config.len()
    )
}

fn config(repository: &str) -> String {
    format!(r#"{{"architecture":"amd64","os":"linux","author":"{repository}"}}"#)
}

/// The one blob that a repository's image has, which is its ID in an engine.
pub(crate) fn blob(repository: &str) -> String {
    digest(&config(repository))
}

fn digest(content: &str) -> String {
    let digest = Sha256::digest(content.as_bytes());
    let mut text = "sha256:".to_owned();
    for byte in digest {
        text.push_str(&format!("{byte:02x}"));
    }
    text
}

async fn serve(router: Router) -> SocketAddr {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move { axum::serve(listener, router).await });
    address
}

const MANIFEST_TYPE: &str = "application/vnd.oci.image.manifest.v1+json";
