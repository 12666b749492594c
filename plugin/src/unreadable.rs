//! Why a request is refused before the policy is asked: it cannot be read, or could be read in two ways.

use ramgate_policy::InvalidReference;
use thiserror::Error;

/// Why a request is refused before the policy is asked.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub(crate) enum Unreadable {
    /// The message of the daemon is no AuthZReq.
    #[error("the daemon's message cannot be read")]
    Message,
    /// The message is over the limit.
    #[error("the request is larger than this plugin takes")]
    TooLarge,
    /// Absolute form, asterisk form, or nothing.
    #[error("the request target is not a path")]
    TargetForm,
    /// `#`, which hides bodies from a plugin.
    #[error("the request target has a `#`")]
    Fragment,
    /// An escape that no client needs, or that is wrong.
    #[error("the path has an escape that is wrong or that no client needs")]
    PathEscape,
    /// Empty or dot components, or characters that no path has.
    #[error("the path has empty components, dots or control characters")]
    PathUnclean,
    /// A version that is not `v1.44`.
    #[error("the API version in the path is not of the form `v1.44`")]
    Version,
    /// The query has a `;`, a wrong escape, or bytes that are no text.
    #[error("the query has a `;` or a wrong escape")]
    Query,
    /// A parameter that counts stands twice.
    #[error("the parameter `{0}` stands twice in the query")]
    DuplicateParameter(&'static str),
    /// A form body would override the query.
    #[error(
        "the request may carry a form in its body, which would override its query; send the parameters in the query alone"
    )]
    FormBody,
    /// The daemon did not hand over the body that it will act on.
    #[error(
        "the daemon did not hand over the request's body, because of its size or of how it was sent; \
         send it as application/json, smaller than 1 MiB"
    )]
    MissingBody,
    /// The body is no JSON, or JSON with something after it.
    #[error("the body is not exactly one JSON value")]
    Json,
    /// A key that counts stands twice, or in another spelling that the daemon takes for it.
    #[error("the key `{0}` stands twice in the body, or in another spelling")]
    AmbiguousKey(&'static str),
    /// A value of another type than the daemon expects.
    #[error("the value of `{0}` is of a wrong type")]
    WrongType(&'static str),
    /// A parameter or key that must be there.
    #[error("`{0}` is missing or empty")]
    Missing(&'static str),
    /// No reference.
    #[error("`{text}` is no reference: {source}")]
    Reference {
        /// What was given.
        text: String,
        /// Why.
        source: InvalidReference,
    },
    /// No URL whose host can be told.
    #[error("the host of `{0}` cannot be told")]
    Url(&'static str),
    /// A route that changes something and that this version does not know.
    #[error("this version of ramgate does not know the route {0} and therefore denies it")]
    UnknownRoute(String),
}

// === impl Unreadable ===

impl Unreadable {
    /// A stable code for logs.
    pub(crate) const fn code(&self) -> &'static str {
        match self {
            Self::Message => "message-unreadable",
            Self::TooLarge => "request-too-large",
            Self::TargetForm => "target-form",
            Self::Fragment => "target-fragment",
            Self::PathEscape => "path-escape",
            Self::PathUnclean => "path-unclean",
            Self::Version => "api-version",
            Self::Query => "query-unreadable",
            Self::DuplicateParameter(_) => "parameter-duplicate",
            Self::FormBody => "form-body",
            Self::MissingBody => "body-missing",
            Self::Json => "json-unreadable",
            Self::AmbiguousKey(_) => "json-key-ambiguous",
            Self::WrongType(_) => "json-type",
            Self::Missing(_) => "value-missing",
            Self::Reference { .. } => "reference-invalid",
            Self::Url(_) => "url-unreadable",
            Self::UnknownRoute(_) => "route-unknown",
        }
    }
}
