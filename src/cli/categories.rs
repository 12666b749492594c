//! Decides as a running ramgate would: by what it knows of Docker Hub, or by a catalogue of our own.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};

use ramgate_catalog::Catalog;
use ramgate_policy::{Categories, Category, Doubt, OFFICIAL_NAMESPACE, Standing};

use super::CommandError;
use crate::catalog::{self, Answer, Ask, Desk};
use crate::serve::control_path;
use crate::settings::Settings;

/// What was said of namespaces, and by whom.
#[derive(Debug, Default)]
pub(super) struct Sayings(BTreeMap<String, (Standing, String)>);

/// Sayings while a decision is made; notes what it wanted besides.
struct Hearing<'a> {
    sayings: &'a Sayings,
    wanted: RefCell<BTreeSet<String>>,
}

// === impl Sayings ===

impl Sayings {
    /// Who said what `namespace` is, for people.
    pub(super) fn source(&self, namespace: &str) -> Option<&str> {
        self.0.get(namespace).map(|(_, source)| source.as_str())
    }

    async fn hear(&mut self, settings: &Settings, namespace: String) -> anyhow::Result<()> {
        let ask = Ask::Show {
            namespace: namespace.clone(),
        };
        let answer = match ask.put(&control_path(settings)).await? {
            Some(answer) => answer,
            None => {
                let catalog: Catalog = catalog::open_to_look(settings)?;
                Desk::new(catalog).answer(&ask).await?
            }
        };
        let saying = match answer {
            Answer::Shown(shown) => match (shown.entry, shown.doubt) {
                (Some(entry), None) => {
                    let source = format!(
                        "{}, {}",
                        entry.source.as_str(),
                        super::catalog::date(entry.checked)
                    );
                    (Standing::Is(shown.category), source)
                }
                (_, doubt) => (
                    Standing::Unknown(Doubt::Unreachable),
                    doubt.unwrap_or_default(),
                ),
            },
            Answer::Done(_) | Answer::Bundle(_) => {
                anyhow::bail!("the running ramgate answers as another version does; restart it")
            }
        };
        self.0.insert(namespace, saying);
        Ok(())
    }
}

/// Decides, and asks for what the decision turns on: a running ramgate, or Docker Hub itself. Without `settings`, nobody.
pub(super) fn settle<T>(
    settings: Option<&Settings>,
    decide: impl Fn(&dyn Categories) -> T,
) -> Result<(T, Sayings), CommandError> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let mut sayings = Sayings::default();
    loop {
        let hearing = Hearing {
            sayings: &sayings,
            wanted: RefCell::default(),
        };
        let decision = decide(&hearing);
        let wanted = hearing.wanted.into_inner();
        let Some(settings) = settings.filter(|_| !wanted.is_empty()) else {
            return Ok((decision, sayings));
        };
        for namespace in wanted {
            runtime
                .block_on(sayings.hear(settings, namespace))
                .map_err(CommandError::Failed)?;
        }
    }
}

impl Categories for Hearing<'_> {
    fn standing(&self, namespace: &str) -> Standing {
        if namespace == OFFICIAL_NAMESPACE {
            return Standing::Is(Category::Official);
        }
        if let Some((standing, _)) = self.sayings.0.get(namespace) {
            return *standing;
        }
        self.wanted.borrow_mut().insert(namespace.to_owned());
        Standing::Unknown(Doubt::NotAsked)
    }
}
