//! The outcome of an evaluation: a permit, which is proof, or a denial, which is an explanation.

use std::sync::Arc;

use crate::action::Action;
use crate::denial::Denial;
use crate::host::Host;
use crate::repository::Repository;

/// May a repository be pulled, pushed or run?
#[derive(Clone, Debug)]
#[must_use = "a decision that is not acted on is a bypass"]
pub enum Decision {
    /// Yes; the permit proves it.
    Allow(Permit),
    /// No, and why.
    Deny(Denial),
}

/// Proof that the policy allowed a repository. Only [`Policy::evaluate`](crate::Policy::evaluate) makes one.
#[derive(Clone, Debug)]
pub struct Permit {
    repository: Repository,
    action: Action,
    grant: Grant,
}

/// May a connection be opened to a host and port?
#[derive(Clone, Debug)]
#[must_use = "a decision that is not acted on is a bypass"]
pub enum TunnelDecision {
    /// Yes; the permit proves it.
    Allow(TunnelPermit),
    /// No, and why.
    Deny(Denial),
}

/// Proof that the policy allowed a connection. Only [`Policy::evaluate_tunnel`](crate::Policy::evaluate_tunnel) makes one.
#[derive(Clone, Debug)]
pub struct TunnelPermit {
    host: Host,
    port: u16,
    grant: Grant,
    listed: bool,
    inspected: bool,
}

/// May an image come to be without a pull?
#[derive(Clone, Debug)]
#[must_use = "a decision that is not acted on is a bypass"]
pub enum LocalDecision {
    /// Yes.
    Allow(Grant),
    /// Yes, if the mirror and the egress gate are in force; the denial to give if they are not.
    Gated(Grant, Denial),
    /// No, and why.
    Deny(Denial),
}

/// What an allowance rests on.
#[derive(Clone, Debug)]
pub struct Grant {
    rule: RuleName,
    suppressed: Option<Arc<Denial>>,
}

/// The name of a rule, for logs; cheap to copy, since every decision carries one.
#[derive(Clone, Debug)]
pub(crate) enum RuleName {
    /// A rule that every policy has.
    Fixed(&'static str),
    /// A rule that was written in this one.
    Written(Arc<str>),
}

// === impl Permit ===

impl Permit {
    pub(crate) const fn new(repository: Repository, action: Action, grant: Grant) -> Self {
        Self {
            repository,
            action,
            grant,
        }
    }

    /// The repository that was allowed.
    #[must_use]
    pub const fn repository(&self) -> &Repository {
        &self.repository
    }

    /// The action that was allowed.
    #[must_use]
    pub const fn action(&self) -> Action {
        self.action
    }

    /// What the allowance rests on.
    #[must_use]
    pub const fn grant(&self) -> &Grant {
        &self.grant
    }
}

// === impl TunnelPermit ===

impl TunnelPermit {
    pub(crate) const fn new(host: Host, port: u16, grant: Grant, listed: bool) -> Self {
        Self {
            host,
            port,
            grant,
            listed,
            inspected: false,
        }
    }

    /// The same, although `denial` would have been the answer. What was suppressed before stays.
    pub(crate) fn suppressing(mut self, denial: Denial) -> Self {
        if self.grant.suppressed.is_none() {
            self.grant = Grant::suppressing(denial);
        }
        self
    }

    /// Whether the policy lists the host, rather than having no list or not enforcing it. Only a listed host may lie at an
    /// address that is not public.
    #[must_use]
    pub const fn is_listed(&self) -> bool {
        self.listed
    }

    pub(crate) fn inspected(self, inspected: bool) -> Self {
        Self { inspected, ..self }
    }

    /// Whether what goes through is to be read and judged request by request. Then no byte goes through unread.
    #[must_use]
    pub const fn is_inspected(&self) -> bool {
        self.inspected
    }

    /// The host that was allowed.
    #[must_use]
    pub const fn host(&self) -> &Host {
        &self.host
    }

    /// The port that was allowed.
    #[must_use]
    pub const fn port(&self) -> u16 {
        self.port
    }

    /// What the allowance rests on.
    #[must_use]
    pub const fn grant(&self) -> &Grant {
        &self.grant
    }
}

// === impl RuleName ===

impl RuleName {
    pub(crate) fn as_str(&self) -> &str {
        match self {
            Self::Fixed(name) => name,
            Self::Written(name) => name,
        }
    }
}

// === impl Grant ===

impl Grant {
    pub(crate) const fn new(rule: RuleName) -> Self {
        Self {
            rule,
            suppressed: None,
        }
    }

    /// In `mode: audit`: the denial that would have been given, which is not enforced.
    pub(crate) fn suppressing(denial: Denial) -> Self {
        Self {
            rule: RuleName::Fixed("mode: audit"),
            suppressed: Some(Arc::new(denial)),
        }
    }

    /// The line of the policy that allowed it.
    #[must_use]
    pub fn rule(&self) -> &str {
        self.rule.as_str()
    }

    /// What would have been denied, were the policy enforced.
    #[must_use]
    pub fn suppressed(&self) -> Option<&Denial> {
        self.suppressed.as_deref()
    }
}
