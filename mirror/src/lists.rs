//! Pages of tags as upstreams sent them, kept to stand in while an upstream fails or limits the rate, and for nothing else.

use std::time::{Duration, Instant};

use axum::body::Bytes;
use moka::sync::Cache;
use ramgate_policy::{Permit, Policy};
use reqwest::Method;
use reqwest::header::LINK;

use crate::answer::Unserved;
use crate::audit::Source;
use crate::mirror::Mirror;
use crate::upstream::{Resource, limited};

/// A page of tags as the upstream sent it.
#[derive(Clone, Debug)]
pub(crate) struct Page {
    pub(crate) body: Bytes,
    /// Its `Link`.
    pub(crate) link: Option<String>,
}

/// Pages by repository and query.
#[derive(Debug)]
pub(crate) struct Lists {
    pages: Cache<String, (Page, Instant)>,
}

// === impl Lists ===

impl Lists {
    pub(crate) fn new() -> Self {
        let weight = |key: &String, (page, _): &(Page, Instant)| {
            let link = page.link.as_ref().map_or(0, String::len);
            u32::try_from(key.len() + page.body.len() + link).unwrap_or(u32::MAX)
        };
        let pages = Cache::builder()
            .weigher(weight)
            .max_capacity(MEMORY_MAX_BYTES)
            .build();
        Self { pages }
    }

    fn find(&self, key: &str, age_max: Duration) -> Option<Page> {
        let (page, seen) = self.pages.get(key)?;
        (seen.elapsed() < age_max).then_some(page)
    }
}

// === impl Mirror ===

impl Mirror {
    /// Fetches the page of the permitted repository's tags that `query` names.
    pub(crate) async fn page_of_tags(
        &self,
        permit: &Permit,
        policy: &Policy,
        query: &str,
    ) -> Result<(Page, Source), Unserved> {
        let (key, lists) = (
            format!("{}{query}", permit.repository()),
            &self.memory().lists,
        );
        match self.fetch_page(permit, policy, query).await {
            Ok(page) => {
                lists.pages.insert(key, (page.clone(), Instant::now()));
                Ok((page, Source::Miss))
            }
            Err(Unserved::Upstream(error)) if error.is_transient() => {
                let kept = lists.find(&key, self.config().stale_if_error);
                let page = kept.ok_or(Unserved::Upstream(error))?;
                tracing::warn!(repository = %permit.repository(), "upstream failed, serving what is cached");
                Ok((page, Source::Stale))
            }
            Err(error) => Err(error),
        }
    }

    async fn fetch_page(
        &self,
        permit: &Permit,
        policy: &Policy,
        query: &str,
    ) -> Result<Page, Unserved> {
        let response = self
            .upstreams()
            .fetch(permit, policy, Method::GET, Resource::Tags(query))
            .await?;
        let link = response.headers().get(LINK);
        let link = link
            .and_then(|link| link.to_str().ok())
            .map(ToOwned::to_owned);
        let body = limited(response, LIST_SIZE_MAX_BYTES)
            .await?
            .ok_or(Unserved::TooLarge)?;
        Ok(Page {
            body: body.into(),
            link,
        })
    }
}

/// A repository with a hundred thousand tags of forty letters, in one page.
const LIST_SIZE_MAX_BYTES: usize = 4 * 1024 * 1024;
const MEMORY_MAX_BYTES: u64 = 8 * 1024 * 1024;
