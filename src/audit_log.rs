//! The audit log's way to its file: lines are gathered in memory and written by a thread of its own, so that no decision waits
//! for the disk, or wakes a thread while others are decided as well.
//!
//! INVARIANT(no-line-lost): if lines come faster than the disk takes them, those who bring them wait. What the file itself
//! refuses, as when the disk is full, is told on stderr.

use std::io::{self, Write};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use tracing_subscriber::fmt::MakeWriter;

/// Takes lines. Cloning it is cheap and gives the same log.
#[derive(Clone, Debug)]
pub(crate) struct AuditLog {
    shared: Arc<Shared>,
}

/// The thread that writes. Dropping it writes the rest first.
#[derive(Debug)]
pub(crate) struct AuditWriter {
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

#[derive(Debug, Default)]
struct Shared {
    state: Mutex<State>,
    /// There is something to write, or the end has come.
    wake: Condvar,
    /// There is room for more.
    room: Condvar,
}

#[derive(Debug, Default)]
struct State {
    lines: Vec<u8>,
    closed: bool,
}

// === impl AuditLog ===

impl AuditLog {
    /// Starts to write to `file`.
    pub(crate) fn start(file: impl Write + Send + 'static) -> io::Result<(Self, AuditWriter)> {
        let shared = Arc::new(Shared::default());
        let writing = Arc::clone(&shared);
        let thread = std::thread::Builder::new()
            .name("audit".to_owned())
            .spawn(move || writing.write_to(file))?;
        let log = Self {
            shared: Arc::clone(&shared),
        };
        let thread = Some(thread);
        Ok((log, AuditWriter { shared, thread }))
    }
}

impl<'a> MakeWriter<'a> for AuditLog {
    type Writer = &'a Self;

    fn make_writer(&'a self) -> &'a Self {
        self
    }
}

impl Write for &AuditLog {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        let shared = &self.shared;
        let mut state = shared.lock();
        while state.lines.len() > GATHERED_MAX_BYTES && !state.closed {
            state = wait(&shared.room, state);
        }
        let first = state.lines.is_empty();
        state.lines.extend_from_slice(line);
        drop(state);
        if first {
            shared.wake.notify_one();
        }
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

// === impl AuditWriter ===

impl Drop for AuditWriter {
    fn drop(&mut self) {
        self.shared.lock().closed = true;
        self.shared.wake.notify_one();
        if let Some(thread) = self.thread.take() {
            // A thread that panicked has nothing left to write with.
            let _ = thread.join();
        }
    }
}

// === impl Shared ===

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Writes what is gathered, again and again, until the end.
    fn write_to(&self, mut file: impl Write) {
        let mut batch = Vec::new();
        let mut failing = false;
        while self.gathered(&mut batch) {
            let written = file.write_all(&batch);
            match &written {
                Err(error) if !failing => {
                    complain(&format!(
                        "the audit log cannot be written, decisions go unlogged: {error}"
                    ));
                }
                Ok(()) if failing => complain("the audit log is written again"),
                _ => {}
            }
            failing = written.is_err();
            batch.clear();
        }
    }

    /// Waits for lines and moves them into `batch`, which is empty. False at the end.
    fn gathered(&self, batch: &mut Vec<u8>) -> bool {
        let mut state = self.lock();
        while state.lines.is_empty() && !state.closed {
            state = wait(&self.wake, state);
        }
        if !state.closed {
            // Where there is one decision there are often more: one write is for all of them.
            drop(state);
            std::thread::sleep(GATHER);
            state = self.lock();
        }
        std::mem::swap(&mut state.lines, batch);
        drop(state);
        self.room.notify_all();
        !batch.is_empty()
    }
}

fn wait<'a>(condition: &Condvar, state: MutexGuard<'a, State>) -> MutexGuard<'a, State> {
    condition
        .wait(state)
        .unwrap_or_else(PoisonError::into_inner)
}

/// Tells on stderr what cannot be told through `tracing`, whose events may lead here.
pub(crate) fn complain(problem: &str) {
    // Nobody is left to tell when this fails.
    let _ = writeln!(io::stderr(), "ramgate: {problem}");
}

/// How long a line may wait for others. Short for whoever follows the log, and five hundred writes a second at most.
const GATHER: Duration = Duration::from_millis(2);
/// Some fifty thousand decisions, which is what a busy second may hold.
const GATHERED_MAX_BYTES: usize = 16 * 1024 * 1024;

#[cfg(test)]
mod tests {
    use super::*;

    /// A slow file that keeps what is written.
    #[derive(Clone, Default)]
    struct File(Arc<Mutex<Vec<u8>>>);

    impl Write for File {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            std::thread::sleep(Duration::from_millis(1));
            let taken = bytes.len().min(1024 * 1024);
            self.0.lock().unwrap().extend_from_slice(&bytes[..taken]);
            Ok(taken)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn no_line_is_lost_or_torn_and_each_thread_keeps_its_order() {
        let file = File::default();
        let (log, writer) = AuditLog::start(file.clone()).unwrap();
        // More than may be gathered at once.
        let padding = "x".repeat(1_000);
        std::thread::scope(|scope| {
            for thread in 0..4 {
                let (mut log, padding) = (&log, &padding);
                scope.spawn(move || {
                    for number in 0..6_000 {
                        let line = format!("{thread} {number} {padding}\n");
                        log.write_all(line.as_bytes()).unwrap();
                    }
                });
            }
        });
        drop(writer);
        let written = file.0.lock().unwrap().clone();
        let mut next = [0; 4];
        for line in String::from_utf8(written).unwrap().lines() {
            let parts: Vec<&str> = line.split(' ').collect();
            let [thread, number, rest] = parts[..] else {
                panic!("{line}");
            };
            let next = &mut next[thread.parse::<usize>().unwrap()];
            assert_eq!(number.parse(), Ok(*next));
            assert_eq!(rest, padding);
            *next += 1;
        }
        assert_eq!(next, [6_000; 4]);
    }

    #[test]
    fn a_line_reaches_the_file_while_the_log_is_open() {
        let file = File::default();
        let (log, _writer) = AuditLog::start(file.clone()).unwrap();
        (&log).write_all(b"one\n").unwrap();
        let deadline = std::time::Instant::now() + Duration::from_secs(10);
        while file.0.lock().unwrap().is_empty() {
            assert!(std::time::Instant::now() < deadline);
            std::thread::sleep(Duration::from_millis(1));
        }
        assert_eq!(*file.0.lock().unwrap(), b"one\n");
    }
}
