//! What a request comes down to: questions, all of which must be answered with yes.

use ramgate_policy::{Action, Host, LocalImage, Registry, Repository};

use crate::unreadable::Unreadable;

/// What a request comes down to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Reading {
    /// It bears no image: it passes.
    Pass,
    /// It does; all of these must be allowed.
    Ask(Vec<Question>),
}

/// One question about a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Question {
    /// May the repository be pulled, pushed or run?
    Repository(Repository, Action),
    /// May the image that this text names be run? The engine says what it names, where that is not plain.
    Image(String),
    /// May the image of this container be run?
    Container(String),
    /// May the image be run that this service had before?
    PreviousService(String),
    /// May an image come to be this way?
    Local(LocalImage),
    /// May content come from this host?
    Host(Host, u16),
    /// May this registry be searched?
    Registry(Registry),
    /// Does the engine speak HTTP/1 alone? Over HTTP/2 a request may show a length that is not its own, and hide a form.
    Http1,
    /// Are mirror and egress gate in force? For what makes the daemon pull without asking.
    Gates,
    /// May what this managed plugin was fetched from be pulled? The engine says what that was.
    Plugin(String),
    /// Is this the plugin that asks? It is not to be switched off through itself.
    OwnPlugin,
}

/// A request as far as it was read: the route's template, and what it comes down to.
pub(crate) type Read = Result<Reading, Unreadable>;
