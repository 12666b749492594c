//! `docker.service` with its drop-ins: how dockerd will be started the next time.

use std::collections::BTreeMap;
use std::path::Path;

use super::command_line::CommandLine;
use super::layout::Layout;
use super::step::below;

/// What the unit says.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct DockerUnit {
    pub(crate) command_line: CommandLine,
    pub(crate) environment: BTreeMap<String, String>,
}

// === impl DockerUnit ===

impl DockerUnit {
    /// Reads the unit and its drop-ins, in systemd's order; `None` if there is none.
    pub(crate) fn find(root: &Path, layout: &Layout) -> Option<Self> {
        let directories = layout.unit_directories();
        let mut text = directories
            .iter()
            .find_map(|directory| read(root, &directory.join(UNIT)))?;
        let mut drop_ins = BTreeMap::new();
        // Of two drop-ins of one name, that of the first directory counts.
        for directory in directories.iter().rev() {
            let below = below(root, &directory.join(format!("{UNIT}.d")));
            for entry in std::fs::read_dir(below).into_iter().flatten().flatten() {
                let path = entry.path();
                if path
                    .extension()
                    .is_some_and(|extension| extension == "conf")
                {
                    let content = std::fs::read_to_string(&path).unwrap_or_default();
                    drop_ins.insert(entry.file_name(), content);
                }
            }
        }
        for drop_in in drop_ins.values() {
            text.push('\n');
            text.push_str(drop_in);
        }
        Some(Self::parse(&text, |path| read(root, Path::new(path))))
    }

    /// Reads the text of a unit; `file` reads the environment files that it names.
    fn parse(text: &str, file: impl Fn(&str) -> Option<String>) -> Self {
        let mut environment = BTreeMap::new();
        let mut words: Vec<String> = Vec::new();
        let joined = text.replace("\\\n", " ");
        let lines = joined.lines().map(str::trim);
        for (key, value) in lines.filter_map(|line| line.split_once('=')) {
            match key {
                "Environment" => {
                    for word in split(value) {
                        assign(&mut environment, &word);
                    }
                }
                "EnvironmentFile" => {
                    let content = file(value.trim_start_matches('-')).unwrap_or_default();
                    for line in content.lines().map(str::trim) {
                        let line = line.strip_prefix("export ").unwrap_or(line);
                        if !line.starts_with('#') {
                            let unquoted: Vec<String> = line
                                .split_once('=')
                                .map(|(name, value)| format!("{name}={}", split(value).join(" ")))
                                .into_iter()
                                .collect();
                            unquoted
                                .iter()
                                .for_each(|line| assign(&mut environment, line));
                        }
                    }
                }
                // Each replaces what was before it: a service of this kind has one.
                "ExecStart" => words = split(value),
                _ => {}
            }
        }
        let expanded = words.into_iter().flat_map(|word| {
            let name = word
                .strip_prefix('$')
                .map(|name| name.trim_start_matches('{').trim_end_matches('}'));
            match name {
                Some(name) => split(environment.get(name).map_or("", String::as_str)),
                None => vec![word],
            }
        });
        let command_line = CommandLine::new(expanded.collect());
        Self {
            command_line,
            environment,
        }
    }
}

fn assign(environment: &mut BTreeMap<String, String>, assignment: &str) {
    if let Some((name, value)) = assignment.split_once('=') {
        environment.insert(name.to_owned(), value.to_owned());
    }
}

/// Words as a shell would have them, as far as units need it: quotes keep together and vanish.
fn split(text: &str) -> Vec<String> {
    let mut words = Vec::new();
    let mut word: Option<String> = None;
    let mut quote = None;
    for character in text.chars() {
        match (quote, character) {
            (Some(open), _) if character == open => quote = None,
            (None, '"' | '\'') => {
                quote = Some(character);
                word.get_or_insert_default();
            }
            (None, ' ' | '\t') => words.extend(word.take()),
            (_, character) => word.get_or_insert_default().push(character),
        }
    }
    words.extend(word);
    words
}

fn read(root: &Path, path: &Path) -> Option<String> {
    std::fs::read_to_string(below(root, path)).ok()
}

const UNIT: &str = "docker.service";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_is_that_of_the_last_drop_in_with_its_variables() {
        let root = tempfile::tempdir().unwrap();
        let write = |path: &str, text: &str| {
            let path = root.path().join(path);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, text).unwrap();
        };
        assert_eq!(DockerUnit::find(root.path(), &Layout::system()), None);
        write(
            "usr/lib/systemd/system/docker.service",
            "[Service]\nEnvironmentFile=-/etc/default/docker\nExecStart=/usr/sbin/dockerd -H fd:// $DOCKER_OPTS\n",
        );
        write(
            "etc/default/docker",
            "# DOCKER_OPTS=\"--debug\"\nDOCKER_OPTS=\"--registry-mirror https://m --debug\"\n",
        );
        write(
            "etc/systemd/system/docker.service.d/proxy.conf",
            "[Service]\nEnvironment=\"HTTP_PROXY=http://p:1\" NO_PROXY=x\n",
        );
        let unit = DockerUnit::find(root.path(), &Layout::system()).unwrap();
        assert_eq!(
            unit.command_line.flags_for("registry-mirrors"),
            ["--registry-mirror"]
        );
        assert_eq!(unit.environment["HTTP_PROXY"], "http://p:1");
        assert_eq!(unit.environment["NO_PROXY"], "x");

        write(
            "etc/systemd/system/docker.service.d/start.conf",
            "[Service]\nExecStart=\nExecStart=/usr/sbin/dockerd \\\n  --authorization-plugin=x\n",
        );
        let unit = DockerUnit::find(root.path(), &Layout::system()).unwrap();
        assert!(unit.command_line.flags_for("registry-mirrors").is_empty());
        assert_eq!(
            unit.command_line.flags_for("authorization-plugins"),
            ["--authorization-plugin=x"]
        );
    }
}
