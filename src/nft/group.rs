//! The group that ramgate runs in, by which its own connections are told from the host's others.

use std::path::Path;

use anyhow::{Context as _, bail};

/// A group of this host.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Group(u32);

// === impl Group ===

impl Group {
    /// Looks a name up.
    pub(crate) fn named(name: &str) -> anyhow::Result<Self> {
        let text = std::fs::read_to_string(GROUPS).context(GROUPS)?;
        match Self::within(&text, name) {
            Some(Self(0)) => bail!(
                "`{name}` is root's own group: by it every connection of root's would be exempt; give ramgate a group of its own"
            ),
            Some(group) => Ok(group),
            None => bail!(
                "there is no group `{name}`, by which ramgate's own connections are told from others: `groupadd --system {name}`, \
                 have ramgate run in it (`Group={name}` in a drop-in of its unit), and restart it"
            ),
        }
    }

    fn within(groups: &str, name: &str) -> Option<Self> {
        let mut entries = groups.lines().map(|line| line.split(':'));
        let number = entries.find_map(|mut fields| {
            (fields.next() == Some(name)).then(|| fields.nth(1).unwrap_or_default())
        });
        number?.parse().ok().map(Self)
    }

    #[cfg(test)]
    pub(crate) const fn numbered(number: u32) -> Self {
        Self(number)
    }

    /// Its number.
    pub(crate) const fn number(self) -> u32 {
        self.0
    }

    /// Sees that the ramgate that serves `control` runs in it; if none does, nothing would be sent to itself.
    ///
    /// # Errors
    /// When it runs in another.
    pub(crate) async fn check_of(self, control: &Path) -> anyhow::Result<()> {
        let Ok(stream) = tokio::net::UnixStream::connect(control).await else {
            return Ok(());
        };
        let running = stream
            .peer_cred()
            .context("asking who ramgate runs as")?
            .gid();
        if running != self.0 {
            bail!(
                "ramgate runs in group {running} and not in {}, so that its own connections would be sent to itself: set `Group=` \
                 in a drop-in of its unit, and restart it",
                self.0
            );
        }
        Ok(())
    }
}

const GROUPS: &str = "/etc/group";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_group_is_found_by_its_whole_name() {
        let groups = "root:x:0:\nramgate-x:x:7:\nramgate:x:998:a,b\n";
        assert_eq!(Group::within(groups, "ramgate"), Some(Group(998)));
        assert_eq!(Group::within(groups, "ram"), None);
        assert_eq!(Group::within("ramgate:x:many:\n", "ramgate"), None);
    }
}
