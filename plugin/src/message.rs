//! What dockerd says to an authorization plugin, and what it hears.
//!
//! Source: moby `pkg/authorization/api.go` and `pkg/plugins/client.go`. The public documentation names two fields wrongly:
//! on the wire they are `RequestUri` and `RequestHeaders`.

use std::borrow::Cow;
use std::collections::HashMap;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ramgate_policy::Subject;
use serde::{Deserialize, Serialize};

/// A request to the engine, as dockerd describes it.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub(crate) struct AuthZReq<'a> {
    #[serde(borrow)]
    user: Cow<'a, str>,
    #[serde(borrow)]
    user_auth_n_method: Cow<'a, str>,
    #[serde(borrow)]
    pub(crate) request_method: Cow<'a, str>,
    /// The request target exactly as it stood on the request line.
    #[serde(borrow)]
    pub(crate) request_uri: Cow<'a, str>,
    /// Base64. Absent is not empty: it means that dockerd did not send it.
    #[serde(borrow)]
    request_body: Option<Cow<'a, str>>,
    /// One value for each name: the *last*. dockerd itself goes by the first.
    #[serde(borrow)]
    request_headers: HashMap<Cow<'a, str>, Cow<'a, str>>,
    /// Base64, and only once the request was carried out.
    #[serde(borrow)]
    response_body: Option<Cow<'a, str>>,
}

/// The engine's answer to the creation of a container.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Created {
    id: String,
}

/// The plugin's answer. dockerd reads `Allow` and shows `Msg`; an `Err` it would ignore.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct AuthZRes {
    pub(crate) allow: bool,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub(crate) msg: String,
}

/// The answer to `/Plugin.Activate`. The word is lower-case.
pub(crate) const ACTIVATED: &str = r#"{"Implements":["authz"]}"#;

/// What plugins speak; source: moby `pkg/plugins/transport`.
pub(crate) const MEDIA_TYPE: &str = "application/vnd.docker.plugins.v1.2+json";

// === impl AuthZReq ===

impl AuthZReq<'_> {
    /// The body, if dockerd sent one; `Err` if it is no base64.
    pub(crate) fn body(&self) -> Result<Option<Vec<u8>>, base64::DecodeError> {
        self.request_body
            .as_deref()
            .filter(|body| !body.is_empty())
            .map(|body| STANDARD.decode(body))
            .transpose()
    }

    /// The ID of the container that was created; `None` if none was, or if the engine did not hand over what it answered.
    pub(crate) fn created(&self) -> Option<String> {
        let body = STANDARD.decode(self.response_body.as_deref()?).ok()?;
        let created: Created = serde_json::from_slice(&body).ok()?;
        Some(created.id)
    }

    /// The last header of that name, in Go's canonical spelling.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.request_headers.get(name).map(AsRef::as_ref)
    }

    /// On whose behalf: the common name of a client certificate, or nobody that is known.
    pub(crate) fn subject(&self) -> Subject {
        if self.user_auth_n_method == "TLS" && !self.user.is_empty() {
            Subject::User(self.user.clone().into_owned())
        } else {
            Subject::Anonymous
        }
    }
}
