//! What an installation asks on the terminal.

use std::io::{self, BufRead as _, IsTerminal as _, Write as _};

use ramgate_policy::Registry;

use crate::cli::CommandError;

/// Asks on the terminal; where there is none, nobody agrees.
pub(in crate::cli) fn confirm(question: &str) -> Result<bool, CommandError> {
    if !io::stdin().is_terminal() {
        return Ok(false);
    }
    let answer = ask(&format!("{question} [y/N] "))?;
    Ok(matches!(answer.trim(), "y" | "Y" | "yes"))
}

/// Which registries beside Docker Hub.
pub(super) fn ask_for_registries() -> Result<Vec<String>, CommandError> {
    let answer = ask(
        "Which registries may be used beside Docker Hub, as in `ghcr.io registry.example:5000`? [none] ",
    )?;
    let words = answer.split([' ', ',', '\t', '\n']);
    words
        .filter(|word| !word.is_empty())
        .map(|word| {
            let host: Result<Registry, _> = word.parse();
            host.map(|host| host.to_string())
                .map_err(|error| CommandError::Usage(format!("`{word}`: {error}")))
        })
        .collect()
}

fn ask(question: &str) -> Result<String, CommandError> {
    let mut terminal = io::stderr();
    write!(terminal, "{question}")?;
    terminal.flush()?;
    let mut answer = String::new();
    io::stdin().lock().read_line(&mut answer)?;
    Ok(answer)
}
