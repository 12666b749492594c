//! the registry gate: pull-through mirror.
