//! dockerd's command line: what it says that `daemon.json` must not say too, and where it puts things.

use std::path::PathBuf;

/// What dockerd was told when it was started.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct CommandLine {
    words: Vec<String>,
}

// === impl CommandLine ===

impl CommandLine {
    pub(crate) const fn new(words: Vec<String>) -> Self {
        Self { words }
    }

    /// The words of `/proc/PID/cmdline`.
    pub(crate) fn of_process(cmdline: &[u8]) -> Self {
        let words = cmdline.split(|byte| *byte == 0);
        let words = words.map(|word| String::from_utf8_lossy(word).into_owned());
        Self::new(words.filter(|word| !word.is_empty()).collect())
    }

    /// The flags given here that stand for `key` of `daemon.json`: dockerd does not start when both are there.
    pub(crate) fn flags_for(&self, key: &str) -> Vec<&str> {
        let flags: &[&str] = match key {
            "authorization-plugins" => &["authorization-plugin"],
            "registry-mirrors" => &["registry-mirror"],
            "proxies" => &["http-proxy", "https-proxy", "no-proxy"],
            _ => &[],
        };
        self.words
            .iter()
            .map(String::as_str)
            .filter(|word| name(word).is_some_and(|name| flags.contains(&name)))
            .collect()
    }

    /// `--config-file`.
    pub(crate) fn config_file(&self) -> Option<PathBuf> {
        self.value("config-file").map(PathBuf::from)
    }

    /// `--pidfile`.
    pub(crate) fn pid_file(&self) -> Option<PathBuf> {
        self.value("pidfile")
            .or_else(|| self.value("p"))
            .map(PathBuf::from)
    }

    fn value(&self, flag: &str) -> Option<&str> {
        let at = self
            .words
            .iter()
            .position(|word| name(word) == Some(flag))?;
        let word = self.words.get(at)?;
        match word.split_once('=') {
            Some((_, value)) => Some(value),
            None => self.words.get(at + 1).map(String::as_str),
        }
    }
}

/// The flag that a word is, without its dashes and its value.
fn name(word: &str) -> Option<&str> {
    let bare = word.strip_prefix("--").or_else(|| word.strip_prefix('-'))?;
    Some(bare.split_once('=').map_or(bare, |(name, _)| name))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(text: &str) -> CommandLine {
        CommandLine::of_process(text.replace(' ', "\0").as_bytes())
    }

    #[test]
    fn flags_are_found_in_both_of_their_forms() {
        let line = line(
            "/usr/bin/dockerd -H fd:// --registry-mirror https://m --authorization-plugin=x --config-file /etc/d.json --pidfile=/run/d.pid",
        );
        assert_eq!(line.flags_for("registry-mirrors"), ["--registry-mirror"]);
        assert_eq!(
            line.flags_for("authorization-plugins"),
            ["--authorization-plugin=x"]
        );
        assert!(line.flags_for("proxies").is_empty());
        assert_eq!(line.config_file(), Some("/etc/d.json".into()));
        assert_eq!(line.pid_file(), Some("/run/d.pid".into()));
    }

    #[test]
    fn what_only_looks_alike_is_none() {
        let line = line("dockerd --registry-mirrors-x --label registry-mirror");
        assert!(line.flags_for("registry-mirrors").is_empty());
        assert_eq!(line.config_file(), None);
    }
}
