//! Why a request is refused before the policy is asked: it cannot be read, or could be read in two ways.
//!
//! Each has a stable code, which the audit log shows and `docs/reasons.md` explains.

use ramgate_policy::InvalidReference;
use thiserror::Error;

/// Why a request is refused before the policy is asked. The text says what is wrong, then what to do.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub(crate) enum Unreadable {
    /// The message of the daemon is no AuthZReq.
    #[error("the daemon's message cannot be read; send the request again")]
    Message,
    /// The message is over the limit.
    #[error("the request is larger than this plugin takes; send less in one request")]
    TooLarge,
    /// Absolute form, asterisk form, or nothing.
    #[error("the request target is not a path; send the path alone, without scheme and host")]
    TargetForm,
    /// `#`, which hides bodies from a plugin.
    #[error("the request target has a `#`; write it as `%23`")]
    Fragment,
    /// An escape that no client needs, or that is wrong.
    #[error(
        "the path has an escape that is wrong or that no client needs; write letters, digits, `.`, `-`, `_` and `~` as they are"
    )]
    PathEscape,
    /// Empty or dot components, or characters that no path has.
    #[error(
        "the path has empty components, dots or control characters; write it without them, and without a slash at its end"
    )]
    PathUnclean,
    /// A version that is not `v1.44`.
    #[error("the API version in the path is not of the form `v1.44`")]
    Version,
    /// A `;`, which some versions of Go take for a separator and others for a mistake.
    #[error("the query has a `;`; separate parameters by `&`, and write a `;` in a value as `%3B`")]
    QuerySemicolon,
    /// A wrong escape, for which dockerd drops the pair or, if the type of the body is malformed, says nothing.
    #[error("the query has a wrong escape; write a `%` in a value as `%25`")]
    QueryEscape,
    /// Bytes that are no text, or that no URL has.
    #[error("the query has bytes that are no text or that no URL has; escape them, as UTF-8")]
    QueryEncoding,
    /// A parameter that counts stands twice.
    #[error("the parameter `{0}` stands twice in the query; give it once")]
    DuplicateParameter(&'static str),
    /// A form body would override the query.
    #[error(
        "the request may carry a form in its body, which would override its query; send the parameters in the query, \
         no body, and no `Content-Type`"
    )]
    FormBody,
    /// The daemon did not hand over the body that it will act on.
    #[error(
        "the daemon did not hand over the request's body, because of its size or of how it was sent; \
         send it as application/json, smaller than 1 MiB and with a length"
    )]
    MissingBody,
    /// The body is no JSON, or too deep.
    #[error(
        "the body, or a parameter that is JSON, is not exactly one JSON value of at most 127 levels"
    )]
    Json,
    /// Go takes bytes that are no text for U+FFFD.
    #[error("the JSON is not UTF-8; send it as UTF-8, without a byte-order mark")]
    JsonEncoding,
    /// Something stands after the value, which dockerd reads or passes over, depending on what it is.
    #[error("the body is not exactly one JSON value: something stands after it; leave that out")]
    JsonTrailing,
    /// A key that counts stands twice: the last wins, unless it is `null`, and objects and arrays merge.
    #[error("the key `{0}` stands twice in the body, perhaps in another spelling; give it once")]
    DuplicateKey(&'static str),
    /// A key that counts in another spelling, which the daemon takes for it.
    #[error("a key in the body is another spelling of `{0}`; write it so")]
    KeySpelling(&'static str),
    /// A value of another type than the daemon expects.
    #[error("the value of `{0}` is of a wrong type; see the description of the Engine API")]
    WrongType(&'static str),
    /// A parameter or key that must be there.
    #[error("`{0}` is missing or empty; the engine would take that for something else, so name it")]
    Missing(&'static str),
    /// No reference.
    #[error(
        "`{text}` is no reference: {source}; write it as `[registry/]repository[:tag][@digest]`"
    )]
    Reference {
        /// What was given.
        text: String,
        /// Why.
        source: InvalidReference,
    },
    /// A service's image by an ID, which every node would resolve for itself.
    #[error(
        "`{0}` may be an image's ID, which each node of the swarm resolves for itself; name the image, with its registry"
    )]
    ServiceImageId(String),
    /// A container by the name that another gave it, which leads elsewhere when that one is made anew.
    #[error("the container is named by a link of another one; give its own name, or its ID")]
    ContainerLink,
    /// A managed plugin by its ID, which only the engine can resolve.
    #[error(
        "`{0}` may be a plugin's ID, so it cannot be told which plugin is meant; write the plugin's name with its tag"
    )]
    PluginId(String),
    /// No URL whose host can be told.
    #[error("the host of `{0}` cannot be told; give a URL with a scheme and one host")]
    Url(&'static str),
    /// A route that changes something and that this version does not know.
    #[error(
        "this version of ramgate does not know the route {0} and therefore denies it; a newer version may know it"
    )]
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
            Self::QuerySemicolon => "query-semicolon",
            Self::QueryEscape => "query-escape",
            Self::QueryEncoding => "query-encoding",
            Self::DuplicateParameter(_) => "parameter-duplicate",
            Self::FormBody => "form-body",
            Self::MissingBody => "body-missing",
            Self::Json => "json-unreadable",
            Self::JsonEncoding => "json-encoding",
            Self::JsonTrailing => "json-trailing",
            Self::DuplicateKey(_) => "json-key-duplicate",
            Self::KeySpelling(_) => "json-key-spelling",
            Self::WrongType(_) => "json-type",
            Self::Missing(_) => "value-missing",
            Self::Reference { .. } => "reference-invalid",
            Self::ServiceImageId(_) => "service-image-id",
            Self::ContainerLink => "container-link",
            Self::PluginId(_) => "plugin-id",
            Self::Url(_) => "url-unreadable",
            Self::UnknownRoute(_) => "route-unknown",
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    /// One of each. A variant that is added without being listed here fails to be documented, and `code` fails to compile
    /// without it.
    fn all() -> Vec<Unreadable> {
        vec![
            Unreadable::Message,
            Unreadable::TooLarge,
            Unreadable::TargetForm,
            Unreadable::Fragment,
            Unreadable::PathEscape,
            Unreadable::PathUnclean,
            Unreadable::Version,
            Unreadable::QuerySemicolon,
            Unreadable::QueryEscape,
            Unreadable::QueryEncoding,
            Unreadable::DuplicateParameter("tag"),
            Unreadable::FormBody,
            Unreadable::MissingBody,
            Unreadable::Json,
            Unreadable::JsonEncoding,
            Unreadable::JsonTrailing,
            Unreadable::DuplicateKey("Image"),
            Unreadable::KeySpelling("Image"),
            Unreadable::WrongType("Image"),
            Unreadable::Missing("Image"),
            Unreadable::Reference {
                text: "A".to_owned(),
                source: InvalidReference::Uppercase,
            },
            Unreadable::ServiceImageId("cafe".to_owned()),
            Unreadable::ContainerLink,
            Unreadable::PluginId("cafe".to_owned()),
            Unreadable::Url("remote"),
            Unreadable::UnknownRoute("POST /brand/new".to_owned()),
        ]
    }

    #[test]
    fn every_code_is_in_the_document_once_and_the_document_has_no_other() {
        let source = include_str!("unreadable.rs");
        let codes: BTreeSet<&str> = all().iter().map(Unreadable::code).collect();
        let arms = source
            .lines()
            .filter(|line| line.trim_start().starts_with("Self::") && line.ends_with("\","));
        assert_eq!(arms.count(), codes.len(), "a variant is missing in `all`");
        let document = include_str!("../../docs/reasons.md");
        let section = document
            .split_once("## The request cannot be read")
            .unwrap()
            .1;
        let section = section.split("\n## ").next().unwrap();
        let rows: Vec<&str> = section
            .lines()
            .filter_map(|line| line.strip_prefix("| `")?.split_once('`'))
            .map(|(code, _)| code)
            .collect();
        assert_eq!(rows.iter().copied().collect::<BTreeSet<_>>(), codes);
        assert_eq!(rows.len(), codes.len(), "a code stands twice");
    }

    #[test]
    fn texts_are_in_the_house_style() {
        for problem in all() {
            let text = problem.to_string();
            assert!(!text.ends_with('.'), "{text}");
            assert!(
                !text.starts_with(|first: char| first.is_uppercase()),
                "{text}"
            );
            assert!(
                text.is_ascii() && !text.contains('\n') && !text.contains("  "),
                "{text}"
            );
        }
    }
}
