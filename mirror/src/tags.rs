//! Serves lists of tags, which `docker pull --all-tags` begins with: page by page from the upstream. What is kept is shown only while the upstream fails.

use axum::body::Bytes;
use axum::http::Uri;
use ramgate_policy::{Permit, Policy};

use crate::answer::Unserved;
use crate::audit::Source;
use crate::mirror::Mirror;

/// A page of tags.
#[derive(Debug)]
pub(crate) struct Tags {
    /// The upstream's JSON.
    pub(crate) body: Bytes,
    /// The `Link` to the next page, at this mirror.
    pub(crate) next: Option<String>,
}

// === impl Mirror ===

impl Mirror {
    /// Fetches the page of the permitted repository's tags that `asked` names.
    pub(crate) async fn tags(
        &self,
        permit: &Permit,
        policy: &Policy,
        asked: &Uri,
    ) -> Result<(Tags, Source), Unserved> {
        let query = page(asked.query().unwrap_or_default());
        let (page, source) = self.page_of_tags(permit, policy, &query).await?;
        let tags = Tags {
            next: page.link.as_deref().and_then(|link| next(link, asked)),
            body: page.body,
        };
        Ok((tags, source))
    }
}

/// Of a query, what says which page: `n` and `last`, as the distribution spec has them. Nothing else is passed on.
fn page(query: &str) -> String {
    let plain = |value: &str| {
        let of_tag = |byte: u8| byte.is_ascii_alphanumeric() || b"._-".contains(&byte);
        !value.is_empty() && value.bytes().all(of_tag)
    };
    let mut page = String::new();
    for pair in query.split('&') {
        if let Some((key @ ("n" | "last"), value)) = pair.split_once('=')
            && plain(value)
        {
            page.push(if page.is_empty() { '?' } else { '&' });
            page.push_str(&format!("{key}={value}"));
        }
    }
    page
}

/// The upstream's link to the next page as one to this mirror: a client that followed it as it stands would go past.
fn next(link: &str, asked: &Uri) -> Option<String> {
    let (target, relation) = link.strip_prefix('<')?.split_once('>')?;
    if !relation.contains("next") {
        return None;
    }
    let (_, query) = target.split_once('?')?;
    let mut page = page(query);
    let namespace = asked
        .query()
        .unwrap_or_default()
        .split('&')
        .find(|pair| pair.starts_with("ns="));
    if let Some(namespace) = namespace {
        page.push(if page.is_empty() { '?' } else { '&' });
        page.push_str(namespace);
    }
    Some(format!("<{}{page}>; rel=\"next\"", asked.path()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_a_query_only_the_page_is_passed_on() {
        assert_eq!(page("n=100&last=3.18&ns=docker.io"), "?n=100&last=3.18");
        assert_eq!(page(""), "");
        assert_eq!(page("ns=docker.io"), "");
        assert_eq!(page("n=1%0d%0a&last=../x&token=secret"), "");
    }

    #[test]
    fn the_next_page_is_at_the_mirror() {
        let check = |link: &str, asked: &str, expected: Option<&str>| {
            assert_eq!(
                next(link, &asked.parse().unwrap()).as_deref(),
                expected,
                "{link}"
            );
        };
        check(
            "</v2/library/alpine/tags/list?last=3&n=2>; rel=\"next\"",
            "/v2/library/alpine/tags/list?n=2",
            Some("</v2/library/alpine/tags/list?last=3&n=2>; rel=\"next\""),
        );
        check(
            "<https://registry.example/v2/acme/app/tags/list?n=2&last=b>; rel=\"next\"",
            "/v2/acme/app/tags/list?ns=registry.example&n=2",
            Some("</v2/acme/app/tags/list?n=2&last=b&ns=registry.example>; rel=\"next\""),
        );
        check("nonsense", "/v2/a/tags/list", None);
        check(
            "</v2/a/tags/list?n=2>; rel=\"prev\"",
            "/v2/a/tags/list",
            None,
        );
    }
}
