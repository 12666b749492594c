//! the engine gate: Docker authorization plugin.
