//! Hosts of what the daemon is asked to fetch: URLs and git remotes.

use ramgate_policy::{DEFAULT_PORT, Host, split_port};

/// Host and port of a location, as dockerd and git read it; `None` where they cannot be told for certain.
pub(crate) fn of(location: &str) -> Option<(Host, u16)> {
    if !location.bytes().all(|byte| byte.is_ascii_graphic()) {
        return None;
    }
    let (scheme, rest) = match location.split_once("://") {
        Some((scheme, rest)) => (scheme.to_ascii_lowercase(), rest),
        // Of remotes without a scheme dockerd takes `github.com/…` and `user@host:path`.
        None if location.starts_with("github.com/") => ("https".to_owned(), location),
        None => {
            let (_, rest) = location.split_once('@')?;
            let (host, _) = rest.split_once(':')?;
            return host.parse().ok().map(|host| (host, SSH_PORT));
        }
    };
    let port = match scheme.as_str() {
        "http" => HTTP_PORT,
        "https" => DEFAULT_PORT,
        "git" => GIT_PORT,
        "ssh" => SSH_PORT,
        _ => return None,
    };
    let authority = rest.split(['/', '?', '#']).next()?;
    // A backslash ends the host for some readers and not for others.
    if authority.contains('\\') {
        return None;
    }
    let authority = match authority.split_once('@') {
        // Two of them could be split at either.
        Some((_, host)) if !host.contains('@') => host,
        Some(_) => return None,
        None => authority,
    };
    let (host, given) = split_port(authority).ok()?;
    host.parse().ok().map(|host| (host, given.unwrap_or(port)))
}

const HTTP_PORT: u16 = 80;
const GIT_PORT: u16 = 9418;
const SSH_PORT: u16 = 22;

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(location: &str, expected: Option<&str>) {
        let got = of(location).map(|(host, port)| format!("{host}:{port}"));
        assert_eq!(got.as_deref(), expected, "{location}");
    }

    #[test]
    fn hosts_are_told_or_not_at_all() {
        check("https://files.example/x.tar", Some("files.example:443"));
        check("HTTP://Files.Example:8080/x", Some("files.example:8080"));
        check(
            "https://user:secret@files.example/x",
            Some("files.example:443"),
        );
        check("git://git.example/x.git#main", Some("git.example:9418"));
        check("ssh://git@git.example:2222/x.git", Some("git.example:2222"));
        check("git@git.example:acme/x.git", Some("git.example:22"));
        check("github.com/acme/x", Some("github.com:443"));
        check("https://[::1]:80/x", Some("[::1]:80"));
        check(
            "https://good.example@evil.example/x",
            Some("evil.example:443"),
        );
        check("https://a@good.example@evil.example/x", None);
        check("https://good.example\\@evil.example/x", None);
        check("ftp://files.example/x", None);
        check("file:///etc/passwd", None);
        check("https:///x", None);
        check("https://evil.example\n", None);
        check("plain", None);
    }
}
