//! From what ramgate logs in with as written, to what it logs in with.

use std::path::PathBuf;

use ramgate_policy::{Registry, check_path};

use super::file::LoginPart;
use super::{Login, LoginSource};

/// A login for `prefix`: a registry, or a registry and the beginning of a repository's path.
pub(super) fn login(part: &LoginPart) -> Result<Login, String> {
    let (registry, path) = prefix(&part.prefix)?;
    let source = source(
        part.username.as_deref(),
        part.password_file.as_deref(),
        part.credential_helper.as_deref(),
    )?;
    Ok(Login {
        registry,
        path,
        source: source.ok_or(NOTHING)?,
    })
}

/// Where a secret is; `None` where nothing is said of one.
pub(super) fn source(
    username: Option<&str>,
    password_file: Option<&str>,
    helper: Option<&str>,
) -> Result<Option<LoginSource>, String> {
    match (username, password_file, helper) {
        (None, None, None) => Ok(None),
        (Some(username), Some(file), None) => {
            let password_file = PathBuf::from(file);
            if !password_file.is_absolute() {
                return Err(format!("password-file: `{file}` is not an absolute path"));
            }
            // Basic ends the name at the first colon.
            if username.contains(':') {
                return Err("username: a name with a colon cannot be sent".to_owned());
            }
            Ok(Some(LoginSource::Password {
                username: username.to_owned(),
                password_file,
            }))
        }
        (None, None, Some(helper)) if ramgate_mirror::is_helper_name(helper) => {
            Ok(Some(LoginSource::Helper(helper.to_owned())))
        }
        (None, None, Some(helper)) => Err(format!(
            "credential-helper: `{helper}` is not the end of a program's name, as `ecr-login` is of `docker-credential-ecr-login`"
        )),
        (Some(_), None, None) | (None, Some(_), None) => {
            Err("`username` and `password-file` come together".to_owned())
        }
        (_, _, Some(_)) => {
            Err("either `username` with `password-file`, or `credential-helper`".to_owned())
        }
    }
}

fn prefix(text: &str) -> Result<(Registry, Option<String>), String> {
    let (host, path) = match text.split_once('/') {
        Some((host, path)) => (host, path.strip_suffix('/').unwrap_or(path)),
        None => (text, ""),
    };
    let registry = host
        .parse()
        .map_err(|error| format!("prefix: `{text}` does not begin with a registry: {error}"))?;
    if path.is_empty() {
        return Ok((registry, None));
    }
    check_path(path).map_err(|error| {
        format!("prefix: the path in `{text}` is none of a repository: {error}")
    })?;
    Ok((registry, Some(path.to_owned())))
}

const NOTHING: &str = "`username` with `password-file`, or `credential-helper` is missing";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_prefix_is_a_registry_and_a_path_or_none() {
        let read = |text: &str| prefix(text).map(|(registry, path)| (registry.to_string(), path));
        assert_eq!(read("ghcr.io"), Ok(("ghcr.io".to_owned(), None)));
        assert_eq!(
            read("ghcr.io/acme/"),
            Ok(("ghcr.io".to_owned(), Some("acme".to_owned())))
        );
        assert_eq!(
            read("index.docker.io/acme/app"),
            Ok(("docker.io".to_owned(), Some("acme/app".to_owned())))
        );
        for wrong in [
            "",
            "/acme",
            "ghcr.io/Acme",
            "ghcr.io//x",
            "https://ghcr.io",
            "ghcr.io/../x",
        ] {
            assert!(prefix(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_login_has_one_source() {
        assert!(matches!(source(None, None, None), Ok(None)));
        assert!(source(Some("u"), Some("/p"), None).is_ok());
        assert!(source(None, None, Some("ecr-login")).is_ok());
        for (username, file, helper) in [
            (Some("u"), None, None),
            (None, Some("/p"), None),
            (Some("u"), Some("p"), None),
            (Some("u:v"), Some("/p"), None),
            (Some("u"), Some("/p"), Some("ecr-login")),
            (None, None, Some("../sh")),
        ] {
            assert!(
                source(username, file, helper).is_err(),
                "{username:?} {file:?} {helper:?}"
            );
        }
    }
}
