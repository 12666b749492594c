//! Which addresses a name may lead to: resolves once, and lets only what was looked at be dialled.
//!
//! INVARIANT(addresses): no connection is made to an address of this machine, its link or its site unless the settings name the
//! host; and never by a name to a cloud's metadata service. A name that answers otherwise the second time (DNS rebinding) gains
//! nothing: each connection is made to an address of the answer that was judged.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::Arc;

use ramgate_policy::{AddressKind, Host, Reach};
use reqwest::Url;
use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use thiserror::Error;

/// The resolver of one upstream's client.
#[derive(Clone, Debug, Default)]
pub(crate) struct Guard {
    /// Hosts that the settings name for this upstream.
    configured: Arc<HashMap<String, Reach>>,
}

/// An address that a name must not lead to.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error(
    "`{host}` leads to {address}, {kind}; if that is right, name the host in the settings' mirror.upstreams"
)]
pub(crate) struct RefusedAddress {
    host: String,
    address: IpAddr,
    kind: AddressKind,
}

// === impl Guard ===

impl Guard {
    /// Lets `hosts`, which the settings name, lead into the site. An address among them is meant as it stands.
    pub(crate) fn of_configured<'a>(hosts: impl IntoIterator<Item = &'a str>) -> Self {
        let reach = |host: &str| match bare(host).parse::<IpAddr>() {
            Ok(_) => Reach::SpelledOut,
            Err(_) => Reach::Configured,
        };
        let configured = hosts
            .into_iter()
            .map(|host| (bare(host).to_ascii_lowercase(), reach(host)))
            .collect();
        Self {
            configured: Arc::new(configured),
        }
    }

    /// The same, and `host`.
    pub(crate) fn and_configured(self, host: Option<&str>) -> Self {
        let Some(host) = host else {
            return self;
        };
        let mut configured = (*self.configured).clone();
        configured.extend((*Self::of_configured([host]).configured).clone());
        Self {
            configured: Arc::new(configured),
        }
    }

    /// Judges the host of `url` where it is an address: those are dialled without being resolved.
    pub(crate) fn judge(&self, url: &Url) -> Result<(), RefusedAddress> {
        let host = url.host_str().unwrap_or_default();
        match bare(host).parse::<IpAddr>() {
            Ok(address) => self.judge_address(bare(host), address),
            Err(_) => Ok(()),
        }
    }

    fn judge_address(&self, host: &str, address: IpAddr) -> Result<(), RefusedAddress> {
        let reach = self.configured.get(host).copied();
        let kind = AddressKind::of(address);
        if kind.is_within(reach.unwrap_or(Reach::Public)) {
            Ok(())
        } else {
            Err(RefusedAddress {
                host: host.to_owned(),
                address,
                kind,
            })
        }
    }

    /// Of the addresses found for `host`, those that may be dialled.
    fn sift(&self, host: &str, found: &[IpAddr]) -> Result<Vec<IpAddr>, RefusedAddress> {
        let host = host.parse::<Host>().map_or_else(
            |_| host.to_ascii_lowercase(),
            |host| host.as_str().to_owned(),
        );
        let mut refused = None;
        let mut open = Vec::new();
        for address in found {
            match self.judge_address(&host, *address) {
                Ok(()) => open.push(*address),
                Err(problem) => refused = Some(problem),
            }
        }
        match refused {
            Some(refused) if open.is_empty() => Err(refused),
            _ => Ok(open),
        }
    }
}

impl Resolve for Guard {
    fn resolve(&self, name: Name) -> Resolving {
        let guard = self.clone();
        Box::pin(async move {
            // The client puts in the port.
            let found: Vec<IpAddr> = tokio::net::lookup_host((name.as_str(), 0))
                .await?
                .map(|address| address.ip())
                .collect();
            let open = guard.sift(name.as_str(), &found)?;
            let addresses: Addrs = Box::new(open.into_iter().map(|address| (address, 0).into()));
            Ok(addresses)
        })
    }
}

// === impl RefusedAddress ===

impl RefusedAddress {
    /// The refusal in what a request failed with, if that is why.
    pub(crate) fn within(error: &reqwest::Error) -> Option<Self> {
        let mut cause: Option<&(dyn std::error::Error + 'static)> = Some(error);
        while let Some(error) = cause {
            if let Some(refused) = error.downcast_ref::<Self>() {
                return Some(refused.clone());
            }
            cause = error.source();
        }
        None
    }
}

fn bare(host: &str) -> &str {
    host.strip_prefix('[')
        .and_then(|inner| inner.strip_suffix(']'))
        .unwrap_or(host)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sifted(configured: &[&str], host: &str, found: &[&str]) -> Result<Vec<String>, String> {
        let found: Vec<IpAddr> = found
            .iter()
            .map(|address| address.parse().unwrap())
            .collect();
        Guard::of_configured(configured.iter().copied())
            .sift(host, &found)
            .map(|open| open.iter().map(ToString::to_string).collect())
            .map_err(|refused| refused.to_string())
    }

    #[test]
    fn a_name_leads_into_the_site_only_if_the_settings_name_it() {
        for inside in ["10.0.0.1", "127.0.0.1", "::1", "::ffff:192.168.1.1"] {
            assert!(sifted(&[], "r.example", &[inside]).is_err(), "{inside}");
            assert!(
                sifted(&["r.example"], "R.example.", &[inside]).is_ok(),
                "{inside}"
            );
            assert!(
                sifted(&["other.example"], "r.example", &[inside]).is_err(),
                "{inside}"
            );
        }
        assert!(sifted(&[], "r.example", &["140.82.121.33"]).is_ok());
    }

    #[test]
    fn no_name_leads_to_metadata_or_to_nowhere() {
        for never in [
            "169.254.169.254",
            "fd00:ec2::254",
            "168.63.129.16",
            "0.0.0.0",
            "::",
            "64:ff9b::a9fe:a9fe",
            "::ffff:169.254.169.254",
            "224.0.0.1",
            "fe80::1",
        ] {
            assert!(
                sifted(&["r.example"], "r.example", &[never]).is_err(),
                "{never}"
            );
        }
    }

    #[test]
    fn of_a_mixed_answer_only_what_is_open_is_dialled() {
        assert_eq!(
            sifted(&[], "r.example", &["127.0.0.1", "140.82.121.33", "fd00::1"]),
            Ok(vec!["140.82.121.33".to_owned()])
        );
        assert_eq!(
            sifted(&[], "r.example", &["10.1.1.1"]),
            Err("`r.example` leads to 10.1.1.1, a private address; if that is right, name the host in the settings' mirror.upstreams".to_owned())
        );
    }

    #[test]
    fn an_address_in_a_url_is_judged_without_a_resolver() {
        let judge = |configured: &[&str], url: &str| {
            Guard::of_configured(configured.iter().copied())
                .judge(&Url::parse(url).unwrap())
                .is_ok()
        };
        assert!(!judge(&[], "http://127.0.0.1:5000/"));
        assert!(judge(&["127.0.0.1"], "http://127.0.0.1:5000/"));
        assert!(!judge(&["127.0.0.1"], "http://127.0.0.2:5000/"));
        assert!(!judge(&["r.example"], "http://169.254.169.254/"));
        // What a URL parser makes of an address in disguise.
        for disguised in [
            "http://0x7f.1/",
            "http://2130706433/",
            "http://017700000001/",
        ] {
            assert!(!judge(&[], disguised), "{disguised}");
        }
        assert!(!judge(&[], "http://[::ffff:7f00:1]/"));
        assert!(judge(&["[::1]"], "http://[::1]:5000/"));
    }
}
