//! From the settings to what the gates are made with.

use std::net::SocketAddr;
use std::path::Path;

use anyhow::Context as _;
use ramgate_mirror::SiteProxy;
use ramgate_policy::Registry;
use ramgate_provenance::Canaries;

use crate::settings::{self, Settings};

/// Where what containers fetch by themselves is taken.
pub(super) fn captured_address(settings: &Settings) -> Option<SocketAddr> {
    let transparent = settings.egress.as_ref()?.transparent.as_ref()?;
    Some(transparent.listen)
}

/// The names under which references reach our own mirror.
pub(crate) fn mirror_names(settings: &Settings) -> Vec<Registry> {
    let Some(mirror) = &settings.mirror else {
        return Vec::new();
    };
    let port = mirror.listen.port();
    let local = [
        format!("localhost:{port}"),
        format!("127.0.0.1:{port}"),
        format!("[::1]:{port}"),
    ];
    let named = local
        .iter()
        .map(String::as_str)
        .filter_map(|name| name.parse().ok());
    named.chain(mirror.listen.to_string().parse()).collect()
}

pub(crate) fn mirror_config(
    part: &settings::Mirror,
    canaries: Canaries,
) -> anyhow::Result<ramgate_mirror::Config> {
    let mut upstreams = std::collections::BTreeMap::new();
    for (registry, upstream) in &part.upstreams {
        let key = || format!("mirror.upstreams.{registry}");
        let read = |path: &Path| {
            std::fs::read(path).with_context(|| format!("{}: {}", key(), path.display()))
        };
        upstreams.insert(
            registry.clone(),
            ramgate_mirror::Upstream {
                url: upstream.url.parse().with_context(key)?,
                ca_pem: upstream.ca_file.as_deref().map(read).transpose()?,
                token_realms: upstream.token_realms.clone(),
                redirect_hosts: upstream.redirect_hosts.clone(),
            },
        );
    }
    // Read again whenever they are needed; that they are there is better known now.
    for login in &part.logins {
        if let settings::LoginSource::Password { password_file, .. } = &login.source {
            std::fs::read(password_file)
                .with_context(|| format!("{}: {}", login.registry, password_file.display()))?;
        }
    }
    Ok(ramgate_mirror::Config {
        tag_ttl: part.tag_ttl,
        stale_if_error: part.stale_if_error,
        absent_ttl: part.absent_ttl,
        upstreams,
        logins: part.logins.clone(),
        docker_config: part.docker_config.clone(),
        canaries,
        ..ramgate_mirror::Config::new(crate::storage::open(part)?)
    })
}

/// The site's proxy, as the network gate goes through it.
pub(super) fn upstream_proxy(
    part: &settings::Egress,
) -> anyhow::Result<Option<ramgate_egress::UpstreamProxy>> {
    let Some(part) = &part.upstream_proxy else {
        return Ok(None);
    };
    let proxy =
        ramgate_egress::UpstreamProxy::new(part.host.clone(), part.port, part.no_proxy.clone());
    Ok(Some(match login(part)? {
        Some((username, password)) => proxy.with_credentials(&username, &password),
        None => proxy,
    }))
}

/// The same, as the registry gate does, for itself and for what is inspected.
pub(super) fn site_proxy(settings: &Settings) -> anyhow::Result<Option<SiteProxy>> {
    let part = settings.egress.as_ref();
    let Some(part) = part.and_then(|part| part.upstream_proxy.as_ref()) else {
        return Ok(None);
    };
    let no_proxy = part.no_proxy.clone();
    let url = part.url().parse().context("egress.upstream-proxy.url")?;
    let proxy = SiteProxy::new(url, move |host, port| no_proxy.covers(host, port));
    Ok(Some(match login(part)? {
        Some((username, password)) => proxy.with_credentials(&username, &password),
        None => proxy,
    }))
}

/// Name and password for the site's proxy.
fn login(part: &settings::UpstreamProxy) -> anyhow::Result<Option<(String, String)>> {
    let Some(credentials) = &part.credentials else {
        return Ok(None);
    };
    let file = &credentials.password_file;
    let password = std::fs::read_to_string(file)
        .with_context(|| format!("egress.upstream-proxy.password-file: {}", file.display()))?;
    let password = password.trim_end_matches(['\n', '\r']);
    Ok(Some((credentials.username.clone(), password.to_owned())))
}
