//! Serves lists of tags, which `docker pull --all-tags` begins with: page by page from the upstream. What is kept is shown only while the upstream fails.

use axum::http::Uri;
use ramgate_policy::{Permit, Policy};
use serde::Deserialize;
use serde_json::json;

use crate::answer::Unserved;
use crate::audit::Source;
use crate::mirror::Mirror;
use crate::path;

/// A page of tags.
#[derive(Debug)]
pub(crate) struct Tags {
    /// Its JSON.
    pub(crate) body: Vec<u8>,
    /// The `Link` to the next page, at this mirror.
    pub(crate) next: Option<String>,
}

/// What an upstream says; source: OCI distribution-spec, "Listing Tags". Go writes `null` for no tags.
#[derive(Deserialize)]
struct List {
    tags: Option<Vec<String>>,
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
        let next = page.link.as_deref().and_then(|link| next(link, asked));
        let List { tags } = serde_json::from_slice(&page.body).map_err(|_| Unserved::List)?;
        // What is no tag names nothing that could be pulled, and may name something to whoever prints it.
        let mut tags = tags.unwrap_or_default();
        tags.retain(|tag| path::is_tag(tag));
        let next = next.or_else(|| cut(&mut tags, asked));
        let body = json!({ "name": name(asked.path()), "tags": tags }).to_string();
        let body = body.into_bytes();
        Ok((Tags { body, next }, source))
    }
}

/// The repository as the client calls it.
fn name(path: &str) -> &str {
    let name = path.strip_prefix("/v2/").unwrap_or(path);
    name.strip_suffix("/tags/list").unwrap_or(name)
}

/// Of a query, what says which page: `n` and `last`, as the distribution spec has them, and Quay's `next_page`. Nothing else is
/// passed on.
pub(crate) fn page(query: &str) -> String {
    let plain = |value: &str| {
        let of_tag = |byte: u8| byte.is_ascii_alphanumeric() || b"._-=".contains(&byte);
        !value.is_empty() && value.bytes().all(of_tag)
    };
    let mut page = String::new();
    for pair in query.split('&') {
        if let Some((key @ ("n" | "last" | "next_page"), value)) = pair.split_once('=')
            && plain(&value.replace("%3D", "="))
        {
            page.push(if page.is_empty() { '?' } else { '&' });
            page.push_str(&format!("{key}={value}"));
        }
    }
    page
}

/// Cuts the page that was asked for out of a list, where the upstream gave all of it: registries before Distribution 3 know no pages.
/// Returns the link to the next one.
fn cut(tags: &mut Vec<String>, asked: &Uri) -> Option<String> {
    let parameter = |name| path::parameter(asked.query(), name).ok().flatten();
    let count: Option<usize> = parameter("n").and_then(|count| count.parse().ok());
    let last = parameter("last");
    let is_whole = last.as_ref().is_some_and(|last| tags.contains(last));
    if !is_whole && count.is_none_or(|count| tags.len() <= count) {
        return None;
    }
    // The order that the spec asks for.
    let order = |tag: &str| (tag.to_ascii_lowercase(), tag.to_owned());
    tags.sort_by_cached_key(|tag| order(tag));
    if let Some(last) = &last {
        tags.retain(|tag| order(tag) > order(last));
    }
    let count = count.filter(|count| tags.len() > *count)?;
    tags.truncate(count);
    // Nothing of a list has no next page.
    let last = tags.last()?;
    link(&format!("n={count}&last={last}"), asked)
}

/// The upstream's link to the next page as one to this mirror: a client that followed it as it stands would go past.
fn next(upstreams: &str, asked: &Uri) -> Option<String> {
    link(query_of_next(upstreams)?, asked)
}

/// A link to the page of what was asked for that `query` names.
fn link(query: &str, asked: &Uri) -> Option<String> {
    let mut page = page(query);
    let mut pairs = asked.query().unwrap_or_default().split('&');
    if let Some(namespace) = pairs.find(|pair| pair.starts_with("ns=")) {
        page.push(if page.is_empty() { '?' } else { '&' });
        page.push_str(namespace);
    }
    (!page.is_empty()).then(|| format!("<{}{page}>; rel=\"next\"", asked.path()))
}

/// The query of a `Link` to a next page.
pub(crate) fn query_of_next(link: &str) -> Option<&str> {
    let (target, relation) = link.strip_prefix('<')?.split_once('>')?;
    if !relation.contains("next") {
        return None;
    }
    target.split_once('?').map(|(_, query)| query)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_a_query_only_the_page_is_passed_on() {
        assert_eq!(page("n=100&last=3.18&ns=docker.io"), "?n=100&last=3.18");
        assert_eq!(
            page("next_page=gAAAA_-x%3D%3D"),
            "?next_page=gAAAA_-x%3D%3D"
        );
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
