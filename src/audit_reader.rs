//! Reads the audit log back: its last lines, and those that are added.

use std::collections::VecDeque;
use std::fs::File;
use std::io::{self, BufRead as _, BufReader, Seek as _, SeekFrom};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use serde_json::{Map, Value};

use crate::audit_file::rotated;

/// One decision, as it stands in the log. What it lacks is empty.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Decision(Map<String, Value>);

/// Follows a log to its end, and on into the file that takes its place.
#[derive(Debug)]
pub(crate) struct Follower {
    path: PathBuf,
    reader: BufReader<File>,
    /// The beginning of a line whose end is not written yet.
    begun: Vec<u8>,
}

// === impl Decision ===

impl Decision {
    /// Reads one line; `None` if it is none.
    pub(crate) fn parse(line: &[u8]) -> Option<Self> {
        serde_json::from_slice(line).ok().map(Self)
    }

    /// The same with no text in it longer than `most` bytes.
    pub(crate) fn cut(mut self, most: usize) -> Self {
        for value in self.0.values_mut() {
            if let Value::String(text) = value {
                text.truncate(text.floor_char_boundary(most));
                text.shrink_to_fit();
            }
        }
        self
    }

    /// A field as text.
    pub(crate) fn text(&self, field: &str) -> &str {
        self.0.get(field).and_then(Value::as_str).unwrap_or("")
    }

    /// A field as a number.
    pub(crate) fn number(&self, field: &str) -> Option<f64> {
        self.0.get(field)?.as_f64()
    }

    pub(crate) fn is_denial(&self) -> bool {
        self.text("decision") == "deny"
    }

    /// What it is about: the repository, or the host, or the image, as far as it is known.
    pub(crate) fn subject(&self) -> String {
        let (registry, repository) = (self.text("registry"), self.text("repository"));
        match (registry, repository) {
            ("", "") => match self.text("image") {
                "" => "-".to_owned(),
                image => image.chars().take(19).collect(),
            },
            (registry, "") => registry.to_owned(),
            (registry, repository) => format!("{registry}/{repository}"),
        }
    }

    /// All fields, in the order of their names.
    pub(crate) fn values(&self) -> impl Iterator<Item = (&str, &Value)> {
        self.0.iter().map(|(name, value)| (name.as_str(), value))
    }

    /// The same, as text.
    pub(crate) fn fields(&self) -> impl Iterator<Item = (&str, String)> {
        self.values().map(|(name, value)| {
            let text = value
                .as_str()
                .map_or_else(|| value.to_string(), str::to_owned);
            (name, text)
        })
    }

    pub(crate) fn into_json(self) -> Value {
        Value::Object(self.0)
    }
}

/// That there is a log at all.
///
/// # Errors
/// When it cannot be read, with what that may come from.
pub(crate) fn readable(path: &Path) -> anyhow::Result<()> {
    File::open(path).map(drop).with_context(|| {
        format!(
            "{}: the audit log cannot be read; has ramgate run, and are you root?",
            path.display()
        )
    })
}

/// The last `count` decisions of the log at `path` that `wanted` takes, oldest first; the files it was moved away to are read as far
/// as needed.
///
/// # Errors
/// When a file is there and cannot be read.
pub(crate) fn last(
    path: &Path,
    count: usize,
    wanted: impl Fn(&Decision) -> bool,
) -> io::Result<Vec<Decision>> {
    let mut found: VecDeque<Decision> = VecDeque::new();
    for file in files(path) {
        let mut of_file = VecDeque::new();
        let room = count.saturating_sub(found.len());
        for line in BufReader::new(File::open(file)?).split(b'\n') {
            let Some(decision) = Decision::parse(&line?).filter(&wanted) else {
                continue;
            };
            of_file.push_back(decision);
            if of_file.len() > room {
                of_file.pop_front();
            }
        }
        of_file.append(&mut found);
        found = of_file;
        if found.len() >= count {
            break;
        }
    }
    Ok(found.into())
}

/// Shows every decision of the log at `path`, and of the files it was moved away to, in no order of files.
///
/// # Errors
/// When a file is there and cannot be read.
pub(crate) fn visit(path: &Path, mut seen: impl FnMut(Decision)) -> io::Result<()> {
    for file in files(path) {
        for line in BufReader::new(File::open(file)?).split(b'\n') {
            if let Some(decision) = Decision::parse(&line?) {
                seen(decision);
            }
        }
    }
    Ok(())
}

/// The log and what it was moved away to, newest first; of those that are there.
fn files(path: &Path) -> impl Iterator<Item = PathBuf> {
    let older = (1..).map(|number| rotated(path, number));
    let older = older.take_while(|file| file.exists());
    let current = Some(path.to_owned()).filter(|path| path.exists());
    current.into_iter().chain(older)
}

// === impl Follower ===

impl Follower {
    /// From the end of the log on.
    pub(crate) fn at_end(path: &Path) -> io::Result<Self> {
        let mut file = File::open(path)?;
        file.seek(SeekFrom::End(0))?;
        Ok(Self {
            path: path.to_owned(),
            reader: BufReader::new(file),
            begun: Vec::new(),
        })
    }

    /// The next decision; `None` if there is none yet.
    pub(crate) fn next(&mut self) -> io::Result<Option<Decision>> {
        loop {
            if !self.read_line()? && !self.moved_on()? {
                return Ok(None);
            }
            if self.begun.last() == Some(&b'\n') {
                let decision = Decision::parse(&self.begun);
                self.begun.clear();
                if decision.is_some() {
                    return Ok(decision);
                }
            }
        }
    }

    /// Whether a line is there to its end.
    fn read_line(&mut self) -> io::Result<bool> {
        self.reader.read_until(b'\n', &mut self.begun)?;
        Ok(self.begun.last() == Some(&b'\n'))
    }

    /// Goes on with the file that has taken the log's place, or from its start if it was emptied. Whether there may be more.
    fn moved_on(&mut self) -> io::Result<bool> {
        let ours = self.reader.get_ref().metadata()?;
        let Ok(file) = File::open(&self.path) else {
            return Ok(false);
        };
        let theirs = file.metadata()?;
        if (ours.dev(), ours.ino()) != (theirs.dev(), theirs.ino()) {
            // What came between our last look and the old file's end.
            if !self.read_line()? {
                self.reader = BufReader::new(file);
                self.begun.clear();
            }
            return Ok(true);
        }
        if self.reader.stream_position()? > theirs.len() {
            self.reader.seek(SeekFrom::Start(0))?;
            self.begun.clear();
            return Ok(true);
        }
        Ok(false)
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::io::Write as _;

    use super::*;

    fn line(number: usize) -> String {
        let decision = if number.is_multiple_of(2) {
            "deny"
        } else {
            "allow"
        };
        format!("{{\"decision\":\"{decision}\",\"id\":\"{number}\"}}\n")
    }

    fn ids(decisions: &[Decision]) -> Vec<&str> {
        decisions
            .iter()
            .map(|decision| decision.text("id"))
            .collect()
    }

    #[test]
    fn the_last_decisions_are_found_over_files_that_were_moved_away() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("audit.jsonl");
        assert!(last(&path, 3, |_| true).unwrap().is_empty());
        fs::write(rotated(&path, 2), line(1) + &line(2)).unwrap();
        fs::write(rotated(&path, 1), line(3) + "torn\n" + &line(4)).unwrap();
        fs::write(&path, line(5) + &line(6)).unwrap();
        assert_eq!(ids(&last(&path, 3, |_| true).unwrap()), ["4", "5", "6"]);
        assert_eq!(
            ids(&last(&path, 2, Decision::is_denial).unwrap()),
            ["4", "6"]
        );
        assert_eq!(ids(&last(&path, 9, |_| true).unwrap()).len(), 6);
        assert!(last(&path, 0, |_| true).unwrap().is_empty());
    }

    #[test]
    fn a_follower_goes_on_over_a_rotation_and_an_emptied_file_and_waits_for_the_end_of_a_line() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("audit.jsonl");
        fs::write(&path, line(1)).unwrap();
        let mut follower = Follower::at_end(&path).unwrap();
        let mut next = move || {
            let decision = follower.next().unwrap();
            decision.map(|decision| decision.text("id").to_owned())
        };
        assert_eq!(next(), None);
        let mut file = fs::OpenOptions::new().append(true).open(&path).unwrap();
        let two = line(2);
        file.write_all(&two.as_bytes()[..9]).unwrap();
        assert_eq!(next(), None);
        file.write_all(&two.as_bytes()[9..]).unwrap();
        file.write_all(line(3).as_bytes()).unwrap();
        fs::rename(&path, rotated(&path, 1)).unwrap();
        fs::write(&path, line(4)).unwrap();
        for expected in ["2", "3", "4"] {
            assert_eq!(next().as_deref(), Some(expected));
        }
        assert_eq!(next(), None);
        fs::write(&path, "").unwrap();
        assert_eq!(next(), None);
        fs::write(&path, line(5)).unwrap();
        assert_eq!(next().as_deref(), Some("5"));
    }
}
