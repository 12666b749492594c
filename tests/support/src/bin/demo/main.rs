//! `make demo`: what ramgate does, shown on a real Docker Engine. Every step is checked, so a demo that ends well is also a test.

mod arguments;
mod page;
mod stage;
mod steps;

use std::process::ExitCode;

use anyhow::{Context as _, Result};
use clap::Parser as _;
use tokio::signal::unix::{SignalKind, signal};

use arguments::Arguments;
use page::Page;
use stage::Stage;

fn main() -> ExitCode {
    let arguments = match Arguments::try_parse() {
        Ok(arguments) => arguments,
        Err(answer) => {
            let _ = answer.print();
            return ExitCode::from(if answer.use_stderr() { USAGE } else { 0 });
        }
    };
    let page = Page::stdout();
    let result = watch_signals(&page).and_then(|_watch| show(&arguments, &page));
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(_) if page.is_interrupted() => ExitCode::from(INTERRUPTED),
        Err(error) => {
            // Whoever reads a pipe may have gone; the exit code says it all the same.
            let _ = page.unexpected(&error);
            ExitCode::FAILURE
        }
    }
}

/// Sets the stage, plays every step, and removes the stage however that ends.
fn show(arguments: &Arguments, page: &Page) -> Result<()> {
    let stage = Stage::set(arguments.engine, &arguments.ramgate, page)?;
    for (number, (title, step)) in (1..).zip(steps::STEPS) {
        page.title(number, title)?;
        step(&stage)?;
    }
    page.end()
}

/// Lets SIGINT and SIGTERM end the demo after the command that runs, so that what it has set up is removed.
fn watch_signals(page: &Page) -> Result<tokio::runtime::Runtime> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build()?;
    let inside = runtime.enter();
    for kind in [SignalKind::interrupt(), SignalKind::terminate()] {
        let mut signal = signal(kind).context("watching for signals")?;
        let interrupted = page.interrupted();
        runtime.spawn(async move {
            if signal.recv().await.is_some() {
                interrupted.store(true, std::sync::atomic::Ordering::SeqCst);
            }
        });
    }
    drop(inside);
    Ok(runtime)
}

/// `EX_USAGE` of sysexits.h, as ramgate has it.
const USAGE: u8 = 64;
/// As a shell reports a program that SIGINT ended.
const INTERRUPTED: u8 = 130;
