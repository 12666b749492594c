//! Sets ramgate up on a host, and takes it out again.
//!
//! `host` looks, [`plan`](plan::plan) works out the steps without touching anything, `executor` makes them one by one. Each is
//! written down in the `journal`, with what was there before, before it is made; so whatever fails, and whenever, is unmade, and
//! `ramgate uninstall` leaves what was there, byte for byte.
//!
//! The order is what keeps the engine working: it refuses every request while a plugin that it was told of does not answer. So the
//! gates run before the engine hears of them, and go on running until it has forgotten them.

mod capture;
mod command_line;
mod control;
mod docker;
mod docker_unit;
mod entry;
mod executor;
#[cfg(test)]
mod executor_tests;
mod host;
mod journal;
mod json_file;
mod layout;
mod level;
mod plan;
mod probe;
mod record;
mod step;
mod undo;
mod unit;

use anyhow::Context as _;

pub(crate) use control::Control;
pub(crate) use docker::{engine_process, pid_file};
pub(crate) use entry::Entry;
pub(crate) use executor::Executor;
pub(crate) use host::Host;
pub(crate) use journal::Journal;
pub(crate) use layout::Layout;
pub(crate) use level::Level;
pub(crate) use plan::{Apply, Choices, Gates, Plan, Refusal, Route, plan};
pub(crate) use record::{Change, Record};
pub(crate) use step::{Part, below};
pub(crate) use undo::Extent;

/// An installation, or the end of one, on its way.
#[derive(Debug)]
pub(crate) struct Installation<'a> {
    pub(crate) executor: Executor,
    /// What runs; `None` where only files are prepared.
    pub(crate) control: Option<&'a Control>,
    /// Whether the engine runs.
    pub(crate) engine_runs: bool,
    /// Whether the engine may know of what is pending.
    pub(crate) told: bool,
    /// Told of what is being done.
    pub(crate) progress: fn(&str),
}

/// An installation that failed.
#[derive(Debug)]
pub(crate) struct Failure {
    pub(crate) cause: anyhow::Error,
    /// What became of the attempt to put everything back.
    pub(crate) rollback: anyhow::Result<Vec<String>>,
}

// === impl Installation ===

impl Installation<'_> {
    /// Does what the plan says; `before_engine` is called when the gates run and the engine has not heard of them. If anything fails,
    /// everything is put back.
    pub(crate) fn install(
        &mut self,
        plan: &Plan,
        gates_ran: bool,
        before_engine: &dyn Fn() -> anyhow::Result<()>,
    ) -> Result<(), Failure> {
        let done = self
            .carry_out(plan, gates_ran, before_engine)
            .and_then(|()| self.executor.journal.commit(plan.level));
        done.map_err(|cause| {
            (self.progress)("failed; putting everything back");
            let rollback = self.unmake(Extent::Pending, plan.engine);
            Failure { cause, rollback }
        })
    }

    fn carry_out(
        &mut self,
        plan: &Plan,
        gates_ran: bool,
        before_engine: &dyn Fn() -> anyhow::Result<()>,
    ) -> anyhow::Result<()> {
        let record = &mut self.executor.journal.record;
        // An installation that was interrupted may have started them.
        if record.pending.is_empty() {
            record.gates_ran = gates_ran;
            record.rules_ran = record.rules;
            record.begin(plan.level);
            self.executor.journal.save()?;
        }
        self.make(plan, Part::Gates)?;
        if plan.rules.is_some() {
            self.executor.journal.record.rules = true;
            self.executor.journal.save()?;
        }
        if let Some(control) = self.control {
            control.reload_units()?;
            match plan.gates {
                Gates::Leave => {}
                Gates::Start | Gates::Restart => {
                    (self.progress)("starting the gates");
                    control.start_gates(plan.gates == Gates::Restart)?;
                }
            }
            if plan.rules.is_some() {
                (self.progress)("sending what containers fetch to the network gate");
                control.apply_rules()?;
            }
            before_engine()?;
        }
        if plan.engine != Apply::Nothing {
            self.executor.journal.record.unapplied = true;
            self.executor.journal.save()?;
        }
        self.make(plan, Part::Engine)?;
        if let Some(control) = self.control.filter(|_| self.engine_runs) {
            control.reload_units()?;
            match plan.engine {
                Apply::Nothing => {}
                Apply::Reload => (self.progress)("reloading the engine"),
                Apply::Restart => (self.progress)("restarting the engine"),
            }
            self.told |= plan.engine != Apply::Nothing;
            control.apply(plan.engine)?;
            control.wait_for_engine(true)?;
            (self.progress)("the engine asks ramgate: a canary was refused");
            if let Some(certificate) = &plan.trusted {
                control.check_trust(certificate)?;
            }
        }
        Ok(())
    }

    fn make(&mut self, plan: &Plan, part: Part) -> anyhow::Result<()> {
        for step in plan.steps.iter().filter(|step| step.part == part) {
            (self.progress)(&format!("writing {}", step.path.display()));
            self.executor.make(step)?;
        }
        Ok(())
    }

    /// Puts back what was there, first for the engine; what an administrator should know of it.
    pub(crate) fn unmake(&mut self, extent: Extent, how: Apply) -> anyhow::Result<Vec<String>> {
        let record = &self.executor.journal.record;
        // The gates stay for an installation that came to its end before.
        let stays = extent == Extent::Pending && record.level.is_some();
        let gates_ran = extent == Extent::Pending && record.gates_ran;
        let rules_ran = extent == Extent::Pending && record.rules_ran;
        if extent == Extent::Everything && how != Apply::Nothing {
            self.executor.journal.record.unapplied = true;
            self.executor.journal.save()?;
        }
        let mut notes = self.executor.unmake(Part::Engine, extent)?;
        if self.executor.journal.record.unapplied {
            // One that was not told is not restarted for nothing.
            let knows = self.engine_runs && (self.told || extent == Extent::Everything);
            if let Some(control) = self.control.filter(|_| knows) {
                (self.progress)("telling the engine");
                control.reload_units()?;
                let alive = control.engine_answers();
                let told = control.apply(if alive { how } else { Apply::Restart });
                control.wait_for_engine(stays).context(
                    "the engine has its own settings back and does not come up; mend it, and run this again",
                )?;
                // One that was not reached the first time either is as it was.
                if let Err(error) = told {
                    notes.push(format!(
                        "the engine answers as before and may not have read its settings again: {error:#}"
                    ));
                }
            }
            self.executor.journal.record.unapplied = false;
            self.executor.journal.save()?;
        }
        if self.executor.journal.record.rules && !rules_ran {
            (self.progress)("taking the firewall's rules out");
            notes.extend(self.control.and_then(Control::remove_rules));
            self.executor.journal.record.rules = false;
            self.executor.journal.save()?;
        }
        if let Some(control) = self.control.filter(|_| !gates_ran) {
            control.stop_gates();
            if !control.systemd && control.stop_command.is_none() {
                notes.push("`ramgate serve` may still run; stop it".to_owned());
            }
        }
        notes.extend(self.executor.unmake(Part::Gates, extent)?);
        if let Some(control) = self.control {
            control.reload_units()?;
            if gates_ran {
                control.start_gates(true)?;
            }
            if rules_ran {
                control.apply_rules()?;
            }
        }
        Ok(notes)
    }
}
