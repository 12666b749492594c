//! The journal, spoken to in its own protocol, which keeps fields apart: <https://systemd.io/JOURNAL_NATIVE_PROTOCOL/>.

use std::io;
use std::os::unix::fs::MetadataExt as _;
use std::os::unix::net::UnixDatagram;
use std::path::{Path, PathBuf};
use std::time::Duration;

use tracing::Level;

/// Takes entries.
#[derive(Debug)]
pub(crate) struct Journal {
    socket: UnixDatagram,
    path: PathBuf,
}

/// What is told at once: a message and its fields.
#[derive(Debug)]
pub(crate) struct Entry {
    fields: Vec<u8>,
    message: String,
}

// === impl Journal ===

impl Journal {
    /// The system's. Who sends waits at most `patience` for it to take an entry; without it, not at all.
    ///
    /// # Errors
    /// When there is none.
    pub(crate) fn open(patience: Option<Duration>) -> io::Result<Self> {
        Self::at(Path::new(SOCKET), patience)
    }

    fn at(path: &Path, patience: Option<Duration>) -> io::Result<Self> {
        let socket = UnixDatagram::unbound()?;
        match patience {
            Some(patience) => socket.set_write_timeout(Some(patience))?,
            None => socket.set_nonblocking(true)?,
        }
        // That somebody is there.
        UnixDatagram::unbound()?.connect(path)?;
        Ok(Self {
            socket,
            path: path.to_owned(),
        })
    }

    /// Sends `entry`: to whoever is at the path now, as after a restart of the journal.
    ///
    /// # Errors
    /// When it is not taken.
    pub(crate) fn send(&self, entry: &Entry) -> io::Result<()> {
        self.socket.send_to(&entry.bytes(), &self.path).map(drop)
    }
}

/// Whether stderr leads to the journal, as the service manager says it does.
#[expect(
    clippy::disallowed_methods,
    reason = "it is nobody's configuration, but where this process was started"
)]
pub(crate) fn takes_stderr() -> bool {
    let said = std::env::var("JOURNAL_STREAM").unwrap_or_default();
    std::fs::metadata("/proc/self/fd/2")
        .is_ok_and(|stderr| said == format!("{}:{}", stderr.dev(), stderr.ino()))
}

// === impl Entry ===

impl Entry {
    /// One that says `message`.
    pub(crate) fn new(level: Level, message: &str) -> Self {
        let mut entry = Self {
            fields: Vec::with_capacity(512),
            message: plain(message),
        };
        entry.write("PRIORITY", priority(level));
        entry.write("SYSLOG_IDENTIFIER", "ramgate");
        entry
    }

    /// Adds a field, also to the message: whoever reads the journal as text sees only that.
    pub(crate) fn add(&mut self, name: &str, value: &str) {
        let value = cut(value);
        let (shown, mark) = match value.contains([' ', '=', '"']) {
            true => (value.escape_debug().to_string(), "\""),
            false => (plain(value), ""),
        };
        self.message
            .push_str(&format!(" {name}={mark}{shown}{mark}"));
        self.write(&field(name), value);
    }

    pub(crate) fn message(&self) -> &str {
        &self.message
    }

    fn bytes(&self) -> Vec<u8> {
        let mut whole = Self {
            fields: self.fields.clone(),
            message: String::new(),
        };
        whole.write("MESSAGE", cut(&self.message));
        whole.fields
    }

    fn write(&mut self, name: &str, value: &str) {
        let fields = &mut self.fields;
        fields.extend_from_slice(name.as_bytes());
        if value.contains('\n') {
            fields.push(b'\n');
            let length = u64::try_from(value.len()).unwrap_or(u64::MAX);
            fields.extend_from_slice(&length.to_le_bytes());
        } else {
            fields.push(b'=');
        }
        fields.extend_from_slice(value.as_bytes());
        fields.push(b'\n');
    }
}

/// A field's name as the journal has them: capital letters, digits and underscores.
fn field(name: &str) -> String {
    // What a user reads with a refusal, and so what one asks the journal for.
    let name = if name == "id" { "decision_id" } else { name };
    let letter = |letter: char| match letter.is_ascii_alphanumeric() {
        true => letter.to_ascii_uppercase(),
        false => '_',
    };
    let name = name.chars().map(letter);
    "RAMGATE_".chars().chain(name).collect()
}

/// As syslog has them.
fn priority(level: Level) -> &'static str {
    match level {
        Level::ERROR => "3",
        Level::WARN => "4",
        Level::INFO => "6",
        Level::DEBUG | Level::TRACE => "7",
    }
}

/// Without what would begin another line, or speak to a terminal.
fn plain(text: &str) -> String {
    let letter = |letter: char| match letter.is_control() {
        true => letter.escape_debug().to_string(),
        false => letter.to_string(),
    };
    text.chars().map(letter).collect()
}

/// No more than fits into a datagram beside the others.
fn cut(value: &str) -> &str {
    value
        .get(..value.floor_char_boundary(VALUE_MAX_BYTES))
        .unwrap_or(value)
}

const SOCKET: &str = "/run/systemd/journal/socket";
/// A datagram holds 208 KiB (`net.core.wmem_default`), and a request's head, of which values are, 32.
const VALUE_MAX_BYTES: usize = 32 * 1024;

#[cfg(test)]
pub(super) mod tests {
    use std::collections::BTreeMap;

    use super::*;

    /// A socket where the journal's would be, and a journal that sends there.
    pub(in crate::telemetry) fn stand_in(
        patience: Option<Duration>,
    ) -> (Journal, UnixDatagram, tempfile::TempDir) {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("socket");
        let socket = UnixDatagram::bind(&path).unwrap();
        socket
            .set_read_timeout(Some(Duration::from_secs(10)))
            .unwrap();
        (Journal::at(&path, patience).unwrap(), socket, directory)
    }

    /// The next entry, read by the protocol's own words.
    pub(in crate::telemetry) fn received(socket: &UnixDatagram) -> BTreeMap<String, String> {
        let mut buffer = vec![0; 256 * 1024];
        let length = socket.recv(&mut buffer).unwrap();
        let mut rest = &buffer[..length];
        let mut fields = BTreeMap::new();
        while !rest.is_empty() {
            let end = rest
                .iter()
                .position(|byte| matches!(byte, b'=' | b'\n'))
                .unwrap();
            let (name, value) = (&rest[..end], &rest[end + 1..]);
            let (value, after) = if rest[end] == b'=' {
                let end = value.iter().position(|byte| *byte == b'\n').unwrap();
                (&value[..end], &value[end..])
            } else {
                let (length, value) = value.split_at(8);
                let length = u64::from_le_bytes(length.try_into().unwrap());
                value.split_at(usize::try_from(length).unwrap())
            };
            assert_eq!(after[0], b'\n');
            rest = &after[1..];
            let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
            assert_eq!(fields.insert(text(name), text(value)), None);
        }
        fields
    }

    #[test]
    fn an_entry_has_its_fields_apart_and_its_message_has_them_together() {
        let (journal, socket, _directory) = stand_in(None);
        let mut entry = Entry::new(Level::INFO, "request denied");
        entry.add("id", "00c0ffee");
        entry.add("rule", "a\nMESSAGE=forged");
        journal.send(&entry).unwrap();
        let fields = received(&socket);
        let field = |name: &str| fields[name].as_str();
        assert_eq!(field("PRIORITY"), "6");
        assert_eq!(field("SYSLOG_IDENTIFIER"), "ramgate");
        assert_eq!(field("RAMGATE_DECISION_ID"), "00c0ffee");
        assert_eq!(field("RAMGATE_RULE"), "a\nMESSAGE=forged");
        assert_eq!(
            field("MESSAGE"),
            r#"request denied id=00c0ffee rule="a\nMESSAGE=forged""#
        );
        assert_eq!(fields.len(), 5);
    }

    #[test]
    fn a_message_is_one_line_in_which_no_value_is_taken_for_another_field() {
        let mut entry = Entry::new(Level::INFO, "denied\n\u{1b}[2J");
        entry.add("principal", "ci decision=allow");
        entry.add("tag", "a\r");
        assert_eq!(
            entry.message(),
            r#"denied\n\u{1b}[2J principal="ci decision=allow" tag=a\r"#
        );
    }

    #[test]
    fn what_is_longer_than_a_datagram_is_cut() {
        let (journal, socket, _directory) = stand_in(None);
        let mut entry = Entry::new(Level::WARN, "long");
        for name in ["registry", "repository", "tag"] {
            entry.add(name, &"ß".repeat(200_000));
        }
        journal.send(&entry).unwrap();
        assert_eq!(received(&socket)["RAMGATE_TAG"].len(), VALUE_MAX_BYTES);
    }

    #[test]
    fn a_journal_that_takes_nothing_is_waited_for_no_longer_than_said() {
        for patience in [None, Some(Duration::from_millis(20))] {
            let (journal, _socket, _directory) = stand_in(patience);
            let entry = Entry::new(Level::INFO, &"x".repeat(30_000));
            let began = std::time::Instant::now();
            // Until nothing more fits.
            while journal.send(&entry).is_ok() {
                assert!(began.elapsed() < Duration::from_secs(10));
            }
        }
    }

    #[test]
    fn without_a_journal_there_is_an_error() {
        let directory = tempfile::tempdir().unwrap();
        assert!(Journal::at(&directory.path().join("socket"), None).is_err());
    }
}
