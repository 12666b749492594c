//! `ramgate egress nft`: sends what containers fetch by themselves to the network gate, and stops that.

use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, TcpStream};
use std::time::Duration;

use clap::{Args, Subcommand};

use crate::cli::{CommandError, Outcome, complain, say};
use crate::nft::{Group, Ruleset, program};
use crate::serve::control_path;
use crate::settings::{Settings, Transparent};

#[derive(Debug, Subcommand)]
pub(super) enum Nft {
    /// Print the rules that `apply` would put in force.
    Show {
        #[command(flatten)]
        scope: Scope,
        /// Print those that are in force instead.
        #[arg(long, conflicts_with = "host")]
        in_force: bool,
    },
    /// Put the rules in force, in place of those that were. Needs root, and the program `nft`.
    ///
    /// Containers' connections go through ramgate from then on; while it does not run, they are refused. Connections that are
    /// open go on. The rules are gone after a restart of the host, unless `ramgate-nft.service` is enabled.
    Apply {
        #[command(flatten)]
        scope: Scope,
        /// Print the rules and change nothing.
        #[arg(long)]
        dry_run: bool,
    },
    /// Take the rules out of force, so that nothing of them is left.
    Remove,
}

#[derive(Clone, Copy, Debug, Args)]
pub(super) struct Scope {
    /// Also for what the host's own programs fetch, but for those of ramgate's group.
    #[arg(long)]
    host: bool,
}

// === impl Nft ===

impl Nft {
    pub(super) fn run(&self, settings: &Settings) -> Result<Outcome, CommandError> {
        match *self {
            Self::Show { in_force: true, .. } => return show_in_force(),
            Self::Show { scope, .. }
            | Self::Apply {
                scope,
                dry_run: true,
            } => {
                let transparent = transparent(settings)?;
                let rules = Ruleset::new(transparent, scope.exempt(transparent)?).to_string();
                say(rules.trim_end())?;
            }
            Self::Apply { scope, .. } => apply(settings, scope)?,
            Self::Remove => program::load(&Ruleset::none()).map_err(CommandError::Failed)?,
        }
        Ok(Outcome::Done)
    }
}

// === impl Scope ===

impl Scope {
    /// The group that is exempt, if the host's own traffic is meant too.
    fn exempt(self, transparent: &Transparent) -> Result<Option<Group>, CommandError> {
        if !self.host {
            return Ok(None);
        }
        let group = Group::named(&transparent.exempt_group);
        group.map(Some).map_err(CommandError::Failed)
    }
}

fn apply(settings: &Settings, scope: Scope) -> Result<(), CommandError> {
    let transparent = transparent(settings)?;
    let exempt = scope.exempt(transparent)?;
    if let Some(group) = exempt {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()?;
        let control = control_path(settings);
        let checked = runtime.block_on(group.check_of(&control));
        checked.map_err(CommandError::Failed)?;
    }
    // Asked before: afterwards the rules refuse who asks directly. Rules that are in force refuse it too.
    let is_heard =
        program::table().map_err(CommandError::Failed)?.is_some() || listens(transparent.listen);
    let rules = Ruleset::new(transparent, exempt).to_string();
    program::load(&rules).map_err(CommandError::Failed)?;
    if !is_heard {
        complain(&format!(
            "nobody listens at {}: what the rules send there is refused until ramgate runs with these settings",
            transparent.listen
        ));
    }
    Ok(())
}

fn show_in_force() -> Result<Outcome, CommandError> {
    if let Some(table) = program::table().map_err(CommandError::Failed)? {
        say(table.trim_end())?;
        return Ok(Outcome::Done);
    }
    complain("no rules are in force");
    Ok(Outcome::Failed)
}

fn transparent(settings: &Settings) -> Result<&Transparent, CommandError> {
    let egress = settings.egress.as_ref();
    let transparent = egress.and_then(|egress| egress.transparent.as_ref());
    transparent.ok_or_else(|| {
        CommandError::Usage(
            "nothing would take what the rules send: set `egress.transparent` in the settings, as `\"transparent\": {}`, \
             and restart ramgate"
                .to_owned(),
        )
    })
}

/// Whether anybody takes connections at `address`; of all addresses, this host's own.
fn listens(mut address: SocketAddr) -> bool {
    if address.ip().is_unspecified() {
        address.set_ip(match address {
            SocketAddr::V4(_) => Ipv4Addr::LOCALHOST.into(),
            SocketAddr::V6(_) => Ipv6Addr::LOCALHOST.into(),
        });
    }
    TcpStream::connect_timeout(&address, PATIENCE).is_ok()
}

/// It is on this host.
const PATIENCE: Duration = Duration::from_secs(1);
