//! What an administrator should know before agreeing.

use super::{Apply, Draft};

// === impl Draft ===

impl Draft<'_> {
    pub(super) fn offer_adoption(&mut self) {
        let images = self
            .host
            .docker
            .running
            .as_ref()
            .map_or(0, |running| running.images);
        if images > 0 && self.host.journal.is_none() && !self.choices.adopt {
            self.notes.push(format!(
                "images that are on this host already: {images}; those whose origin the engine cannot prove do not run until somebody \
                 vouches for them: `--adopt` does it now, `ramgate ledger adopt` later"
            ));
        }
    }

    pub(super) fn warn_of_restart(&mut self, engine: Apply) {
        let Some(running) = &self.host.docker.running else {
            return;
        };
        if engine != Apply::Restart {
            return;
        }
        if !self.host.systemd && !self.choices.can_restart {
            self.problems.push(
                "the engine has to be restarted, and there is no systemd here: say how, as in `--restart-command 'service docker \
                 restart'`"
                    .to_owned(),
            );
        }
        if running.live_restore {
            self.notes.push(
                "the engine is restarted; `live-restore` is on, so containers go on running"
                    .to_owned(),
            );
        } else {
            let count = match running.containers {
                0 => "no container runs".to_owned(),
                1 => "1 running container stops with it".to_owned(),
                count => format!("{count} running containers stop with it"),
            };
            let advice = if running.containers == 0 {
                ""
            } else {
                "; to keep them, put `\"live-restore\": true` into daemon.json and reload the engine first"
            };
            self.notes
                .push(format!("the engine is restarted: {count}{advice}"));
        }
    }
}
