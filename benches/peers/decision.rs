//! The decision in process: with 100,000 rules it should take what it takes with 10. The peer is ramgate itself with 10.

use std::hint::black_box;
use std::time::Instant;

use anyhow::{Result, bail};
use ramgate_policy::{Action, Decision, Policy, Reference, Repository, Request, Steering, Subject};

use crate::Bench;
use crate::policy::{self, FEW, MANY};
use crate::rounds::{Figure, Unit, alternate};
use crate::table::Table;

pub(crate) fn measure(bench: &Bench, table: &mut Table) -> Result<()> {
    let few = parse(&policy::text(FEW))?;
    let many = parse(&policy::text(MANY))?;
    let mut row = |case: &str, many: &mut dyn FnMut(), few: &mut dyn FnMut()| -> Result<()> {
        let pair = alternate(bench.rounds, || Ok(time(many)), || Ok(time(few)))?;
        table.add(
            format!("decision: {case}, {MANY} rules"),
            format!("{FEW} rules"),
            pair,
            Some(AIM),
        );
        Ok(())
    };
    for (case, reference, allowed) in EVALUATED {
        let repository = reference.parse::<Reference>()?.repository()?;
        for policy in [&few, &many] {
            if matches!(evaluate(policy, &repository), Decision::Allow(_)) != allowed {
                bail!("`{reference}` is not decided as it should be");
            }
        }
        let ask = |policy| drop(black_box(evaluate(policy, black_box(&repository))));
        row(case, &mut || ask(&many), &mut || ask(&few))?;
    }
    let read = |policy: &Policy| -> Option<Decision> {
        let reference: Reference = black_box("alpine:3.20").parse().ok()?;
        Some(evaluate(policy, &reference.repository().ok()?))
    };
    let ask = |policy| drop(black_box(read(policy)));
    row(
        "reference read and allowed",
        &mut || ask(&many),
        &mut || ask(&few),
    )?;

    let host = "r7.example".parse()?;
    let ask = |policy: &Policy| {
        let steering = Steering {
            docker_hub_by_mirror: true,
            inspect: false,
        };
        drop(black_box(policy.evaluate_tunnel(
            black_box(&host),
            443,
            &steering,
        )));
    };
    row("tunnel allowed", &mut || ask(&many), &mut || ask(&few))
}

fn parse(text: &str) -> Result<Policy> {
    Policy::parse(text).map_err(|findings| anyhow::anyhow!("{findings}"))
}

fn evaluate(policy: &Policy, repository: &Repository) -> Decision {
    policy.evaluate(&Request {
        repository,
        action: Action::Pull,
        subject: &Subject::Anonymous,
    })
}

/// Seconds of one call.
fn time(call: &mut dyn FnMut()) -> Figure {
    let started = Instant::now();
    for _ in 0..CALLS {
        call();
    }
    let seconds = started.elapsed().as_secs_f64() / f64::from(CALLS);
    Figure::new(seconds, Unit::Seconds)
}

/// Name, repository and whether it is allowed.
const EVALUATED: [(&str, &str, bool); 6] = [
    ("allowed", "r7.example/team-7/app", true),
    (
        "allowed, twelve components deep",
        "r7.example/team-7/b/c/d/e/f/g/h/i/j/k/l",
        true,
    ),
    (
        "allowed by a wildcard host",
        "eu.a.b.w3.example/team/app",
        true,
    ),
    (
        "denied, of many wildcards in one registry",
        "wild.example/other/a/b/c",
        false,
    ),
    (
        "allowed, of many wildcards in one registry",
        "wild.example/group-5/a/b/c",
        true,
    ),
    ("denied", "unknown.example/a/b/c", false),
];
const CALLS: u32 = 100_000;
/// Beyond the processor's caches a look-up takes longer by itself.
const AIM: f64 = 0.5;
