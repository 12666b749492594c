//! What level `strict` adds for containers: the firewall's rules that send what they fetch by themselves to the network gate.

use serde_json::{Value, json};

use super::{Draft, Gates};
use crate::install::json_file::Edit;
use crate::install::unit::{RULES, Unit};
use crate::nft::{Ruleset, Standing};
use crate::settings::Settings;

/// The edit of the settings by which the gate takes what the rules send.
pub(super) fn setting(draft: &Draft<'_>) -> Option<Edit> {
    let there = draft.value(&draft.host.layout.settings, KEY);
    let is_set = there.is_some_and(|value| value != Value::Null);
    (draft.choices.level.captures() && !is_set).then(|| Edit::Set {
        key: KEY,
        value: json!({}),
    })
}

/// The unit that puts them in force at each start of the host.
pub(super) fn unit(draft: &Draft<'_>) -> Option<Unit> {
    draft.choices.level.captures().then_some(RULES)
}

/// The rules, if they are to be put in force: anew where what makes them is replaced.
///
/// Those that an administrator has put in force by hand, and that lead where they should, stay as they are.
pub(super) fn in_force(draft: &mut Draft<'_>, gates: Gates) -> Option<String> {
    if !draft.choices.level.captures() {
        return None;
    }
    let host = draft.host;
    if !host.has_nft {
        draft.problems.push(
            "level strict sends what containers fetch by themselves to the network gate, by rules of nftables, and there is no `nft` \
             here: install the package `nftables`, or use `--level standard`"
                .to_owned(),
        );
        return None;
    }
    let ours = host.journal.as_ref().is_some_and(|record| record.rules);
    let stands = match &host.rules {
        _ if !host.is_live() => ours || !unit_is_made(draft),
        Some(Standing::InForce) => !ours || gates == Gates::Leave,
        Some(Standing::Absent | Standing::Elsewhere | Standing::Unknown(_)) | None => false,
    };
    if stands {
        return None;
    }
    let text = draft.planned(&host.layout.settings);
    // One that is wrong is a problem already.
    let settings = Settings::parse(&String::from_utf8_lossy(&text)).ok()?;
    let transparent = settings.egress?.transparent?;
    let port = transparent.listen.port();
    draft.notes.push(format!(
        "what containers fetch by themselves goes through the network gate from then on, and is refused while ramgate is down: a \
         firewall of this host has to let them reach its port {port}, and what they fetch from registries is read, so they have to trust \
         `ramgate egress ca show`"
    ));
    if !host.systemd {
        draft.notes.push(
            "there is no systemd here: have `ramgate egress nft apply` run at each start of the host, before the engine"
                .to_owned(),
        );
    }
    Some(Ruleset::new(&transparent, None).to_string())
}

fn unit_is_made(draft: &Draft<'_>) -> bool {
    draft
        .steps
        .iter()
        .any(|step| step.path.ends_with(RULES.name))
}

const KEY: &[&str] = &["egress", "transparent"];
