//! Questions on a terminal. An answer that would make no policy is said to be wrong there and then, and asked for again.

use std::io::{BufRead, Write};

use super::super::super::CommandError;

/// Who is asked, and who answers.
#[derive(Debug)]
pub(super) struct Questions<R, W> {
    answers: R,
    questions: W,
}

// === impl Questions ===

impl<R: BufRead, W: Write> Questions<R, W> {
    pub(super) fn new(answers: R, questions: W) -> Self {
        Self { answers, questions }
    }

    /// Asks until `read` takes the answer; its error says what is wrong with it.
    pub(super) fn ask<T>(
        &mut self,
        question: &str,
        read: impl Fn(&str) -> Result<T, String>,
    ) -> Result<T, CommandError> {
        loop {
            write!(self.questions, "{question} ")?;
            self.questions.flush()?;
            let mut answer = String::new();
            if self.answers.read_line(&mut answer)? == 0 {
                return Err(CommandError::Usage("the answers ended early".to_owned()));
            }
            match read(answer.trim()) {
                Ok(answer) => return Ok(answer),
                Err(problem) => writeln!(self.questions, "  {problem}")?,
            }
        }
    }
}
