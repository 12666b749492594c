//! Names to addresses, by the system's own configuration.
//!
//! `/etc/hosts` first, then the name servers of `/etc/resolv.conf`, as libc would for dockerd; but without libc, whose
//! resolver takes a thread for each name, keeps nothing, reads `127.1` and `2130706433` as addresses, and is not in static
//! builds. Answers are kept for as long as they say. Both files are read anew when they change.

use std::net::IpAddr;
use std::path::Path;
use std::str::FromStr as _;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use arc_swap::ArcSwap;
use hickory_resolver::config::ResolveHosts;
use hickory_resolver::net::{DnsError, NetError};
use hickory_resolver::proto::op::Query;
use hickory_resolver::proto::rr::{Name, RecordType};
use hickory_resolver::{Hosts, TokioResolver};
use ramgate_policy::Host;
use tokio::time::Instant;
use tracing::warn;

use crate::upstream::UpstreamError;

/// Resolves names. Clones share what is kept.
#[derive(Clone)]
pub(crate) struct Resolver(Arc<ArcSwap<Sources>>);

/// What names are resolved from.
struct Sources {
    dns: Option<TokioResolver>,
    hosts: Arc<Hosts>,
    /// When the files were last looked at, and what they were then.
    looked: Instant,
    files: [Option<Stamp>; 2],
}

/// When a file was changed, and its length.
type Stamp = (SystemTime, u64);

// === impl Resolver ===

impl Resolver {
    /// From the system's files as they are now.
    pub(crate) fn new() -> Self {
        Self(Arc::new(ArcSwap::from_pointee(Sources::read())))
    }

    /// Every address of `host`, IPv6 first, as RFC 8305 has it.
    pub(crate) async fn addresses(&self, host: &Host) -> Result<Vec<IpAddr>, UpstreamError> {
        if let Ok(address) = host.as_str().parse() {
            return Ok(vec![address]);
        }
        let sources = self.sources();
        let name = Name::from_str(host.as_str())
            .map_err(|error| UpstreamError::NotResolved(error.to_string()))?;
        let listed = sources.listed(&name);
        if !listed.is_empty() {
            return Ok(listed);
        }
        let dns = sources.dns.as_ref();
        let dns = dns.ok_or_else(|| {
            UpstreamError::NotResolved(format!(
                "it is not in {HOSTS}, and {CONFIG} has no name server"
            ))
        })?;
        match dns.lookup_ip(name).await {
            Ok(found) => Ok(found.iter().collect()),
            Err(NetError::Dns(DnsError::NoRecordsFound(_))) => Err(UpstreamError::NoAddress),
            Err(error) => Err(UpstreamError::NotResolved(error.to_string())),
        }
    }

    /// The sources, read anew if a file has changed.
    fn sources(&self) -> Arc<Sources> {
        let sources = self.0.load_full();
        if sources.looked.elapsed() < LOOK_AGAIN {
            return sources;
        }
        let fresh = if stamps() == sources.files {
            sources.looked_again()
        } else {
            Sources::read()
        };
        let fresh = Arc::new(fresh);
        self.0.store(Arc::clone(&fresh));
        fresh
    }
}

impl std::fmt::Debug for Resolver {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("Resolver").finish_non_exhaustive()
    }
}

// === impl Sources ===

impl Sources {
    fn read() -> Self {
        let files = stamps();
        let mut hosts = Hosts::default();
        // Without it there is DNS alone, as for libc.
        let read = std::fs::File::open(HOSTS).and_then(|file| hosts.read_hosts_conf(file));
        if let Err(error) = read {
            warn!(file = HOSTS, %error, "not read");
        }
        Self {
            dns: dns(),
            hosts: Arc::new(hosts),
            looked: Instant::now(),
            files,
        }
    }

    fn looked_again(&self) -> Self {
        Self {
            dns: self.dns.clone(),
            hosts: Arc::clone(&self.hosts),
            looked: Instant::now(),
            files: self.files,
        }
    }

    /// What `/etc/hosts` says. If it says anything, DNS is not asked, not for the other family either.
    fn listed(&self, name: &Name) -> Vec<IpAddr> {
        [RecordType::AAAA, RecordType::A]
            .into_iter()
            .filter_map(|kind| {
                self.hosts
                    .lookup_static_host(&Query::query(name.clone(), kind))
            })
            .flat_map(|lookup| {
                let addresses = lookup
                    .answers()
                    .iter()
                    .filter_map(|record| record.data.ip_addr());
                addresses.collect::<Vec<_>>()
            })
            .collect()
    }
}

/// The client of the system's name servers, if it has any.
fn dns() -> Option<TokioResolver> {
    let builder = TokioResolver::builder_tokio();
    let built = builder.and_then(|mut builder| {
        let options = builder.options_mut();
        options.use_hosts_file = ResolveHosts::Never;
        options.positive_max_ttl = Some(TTL_MAX);
        options.negative_max_ttl = Some(NEGATIVE_TTL_MAX);
        options.try_tcp_on_error = true;
        builder.build()
    });
    match built {
        Ok(resolver) => Some(resolver),
        Err(error) => {
            warn!(file = CONFIG, %error, "no name servers");
            None
        }
    }
}

fn stamps() -> [Option<Stamp>; 2] {
    [CONFIG, HOSTS].map(|path| {
        let metadata = Path::new(path).metadata().ok()?;
        Some((metadata.modified().ok()?, metadata.len()))
    })
}

const CONFIG: &str = "/etc/resolv.conf";
const HOSTS: &str = "/etc/hosts";
/// How long a change of a file may go unseen.
const LOOK_AGAIN: Duration = Duration::from_secs(1);
/// Nothing is kept longer, whatever it says: what moves should be found again within the hour.
const TTL_MAX: Duration = Duration::from_secs(3600);
/// A name that was just made should not be away for long.
const NEGATIVE_TTL_MAX: Duration = Duration::from_secs(30);
