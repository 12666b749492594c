//! Every answer of the plugin: the one place that knows how a decision is told to dockerd.
//!
//! dockerd reads `Allow` alone, and shows `Msg`; only status 200 is an answer at all. What could not be read or evaluated is
//! therefore `Allow: false` with status 200, and never an error.

use hyper::body::Bytes;
use ramgate_policy::Denial;
use ramgate_provenance::DecisionId;

use crate::message::AuthZRes;
use crate::registrar::RegistrarError;
use crate::unreadable::Unreadable;

/// What the plugin says to one request.
#[derive(Clone, Debug)]
pub struct Answer {
    message: AuthZRes,
}

/// Why a request is not let through.
#[derive(Debug)]
pub(crate) enum Refusal {
    /// The policy says no, and what the images are that were asked for by names which do not say so.
    Denied {
        /// All that stands against the request.
        denials: Vec<Denial>,
        /// One for each such image.
        explanations: Vec<String>,
    },
    /// The request cannot be read, or could be read in two ways.
    Unreadable(Unreadable),
    /// The engine or the ledger could not say what the policy would have to be asked.
    Unevaluated(RegistrarError),
    /// No answer was found in time.
    Timeout,
    /// The daemon would pull without asking, and not through the other gates; what is missing.
    NoGates(Vec<String>),
    /// The plugin would be switched off through itself.
    OwnPlugin,
    /// Something else is under way that must not meet it.
    Meanwhile(String),
}

// === impl Answer ===

impl Answer {
    /// Yes.
    pub(crate) const fn allow() -> Self {
        Self {
            message: AuthZRes {
                allow: true,
                msg: String::new(),
            },
        }
    }

    /// No, and what the user reads. dockerd puts `authorization denied by plugin ramgate: ` in front.
    /// `id` leads to the line of the audit log.
    pub(crate) fn refuse(refusal: &Refusal, id: DecisionId) -> Self {
        let msg = match refusal {
            Refusal::Denied {
                denials,
                explanations,
            } => {
                let parts: Vec<String> = denials.iter().map(ToString::to_string).collect();
                [parts, explanations.clone()].concat().join("; ")
            }
            Refusal::Unreadable(problem) => format!("the request cannot be judged and is denied: {problem}"),
            Refusal::Unevaluated(problem) => {
                format!("the request could not be evaluated and is denied: {problem}; try again, or ask your administrators")
            }
            Refusal::Timeout => {
                "the request could not be evaluated in time and is denied; try again, or ask your administrators".to_owned()
            }
            Refusal::NoGates(missing) => format!(
                "a swarm's nodes pull images without asking, so joining one is allowed only while the daemon uses ramgate's mirror \
                 and proxy: {}",
                missing.join("; ")
            ),
            Refusal::Meanwhile(problem) => format!("{problem}; try again when that has ended"),
            Refusal::OwnPlugin => {
                "this plugin holds the policy of your administrators and is not switched off or changed through the engine".to_owned()
            }
        };
        Self {
            message: AuthZRes {
                allow: false,
                msg: format!("{msg} (id {id})"),
            },
        }
    }

    /// Whether it is a yes.
    #[must_use]
    pub const fn is_allowed(&self) -> bool {
        self.message.allow
    }

    /// What is told to dockerd.
    #[must_use]
    pub fn to_json(&self) -> Bytes {
        if self.message.allow {
            return Bytes::from_static(ALLOW);
        }
        // A struct of a boolean and a string always serializes; were it otherwise, no answer is a denial to dockerd.
        serde_json::to_vec(&self.message).unwrap_or_default().into()
    }
}

// === impl Refusal ===

impl Refusal {
    pub(crate) fn unevaluated(error: impl Into<RegistrarError>) -> Self {
        Self::Unevaluated(error.into())
    }

    /// A stable code for logs.
    pub(crate) fn code(&self) -> &'static str {
        match self {
            Self::Denied { denials, .. } => denials
                .first()
                .map_or("denied", |denial| denial.reason().code()),
            Self::Unreadable(problem) => problem.code(),
            Self::Unevaluated(_) => "engine-unavailable",
            Self::Timeout => "timeout",
            Self::NoGates(_) => "gates-not-in-force",
            Self::OwnPlugin => "own-plugin",
            Self::Meanwhile(_) => "meanwhile",
        }
    }

    /// The line of the policy, or the part of the plugin, that refused.
    pub(crate) fn rule(&self) -> String {
        match self {
            Self::Denied { denials, .. } => {
                let rules: Vec<String> = denials.iter().map(Denial::rule).collect();
                rules.join(", ")
            }
            Self::Unreadable(_)
            | Self::Unevaluated(_)
            | Self::Timeout
            | Self::NoGates(_)
            | Self::OwnPlugin
            | Self::Meanwhile(_) => "engine gate".to_owned(),
        }
    }
}

/// The answer that most requests get. A yes says nothing more.
const ALLOW: &[u8] = br#"{"Allow":true}"#;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_yes_is_what_it_would_be_written_as() {
        let yes = Answer::allow();
        let written = serde_json::to_vec(&yes.message).unwrap();
        assert_eq!(yes.to_json(), written);
    }
}
