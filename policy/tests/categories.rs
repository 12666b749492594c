//! Docker Hub's categories as a golden file: what a namespace is × how it is named × action × caller × policy.
//! `make golden` writes it anew.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::cell::RefCell;
use std::collections::BTreeSet;
use std::fmt::Write as _;

use ramgate_policy::{
    Action, Categories, Category, Decision, Doubt, Policy, Request, Standing, Subject,
};

const POLICIES: [(&str, &str); 5] = [
    (
        "official and verified publishers",
        r#"{ "official": "allow", "verified-publisher": "allow", "organizations": ["own"], "repositories": ["listed/app"] }"#,
    ),
    (
        "sponsored projects as well, and of library what is maintained",
        r#"{ "official": "allow", "official-names": "listed", "verified-publisher": "allow", "sponsored-open-source": "allow" }"#,
    ),
    ("official alone", r#"{ "official": "allow" }"#),
    ("community alone", r#"{ "community": "allow" }"#),
    (
        "all but publishers",
        r#"{ "official": "allow", "verified-publisher": "deny", "sponsored-open-source": "allow", "community": "allow" }"#,
    ),
];

const REPOSITORIES: [&str; 12] = [
    "alpine",
    "centos",
    "publisher/app",
    "sponsored/app",
    "nobody/app",
    "unreachable/app",
    "own/app",
    "listed/app",
    "index.docker.io/publisher/app",
    "mirror.gcr.io/publisher/app",
    "mirror.gcr.io/nobody/app",
    "gitlab.example/team/dependency_proxy/containers/unreachable/app",
];

/// What a catalogue would say; notes what it was asked.
#[derive(Default)]
struct Known {
    asked: RefCell<BTreeSet<String>>,
}

impl Categories for Known {
    fn standing(&self, namespace: &str) -> Standing {
        self.asked.borrow_mut().insert(namespace.to_owned());
        match namespace {
            "publisher" => Standing::Is(Category::VerifiedPublisher),
            "sponsored" => Standing::Is(Category::SponsoredOpenSource),
            "unreachable" => Standing::Unknown(Doubt::Unreachable),
            _ => Standing::Is(Category::Community),
        }
    }
}

#[test]
fn categories_are_as_reviewed() {
    let subjects = [
        Subject::Daemon,
        Subject::User("owner".to_owned()),
        Subject::User("ci-1".to_owned()),
    ];
    let mut matrix = String::new();
    for (name, hub) in POLICIES {
        let policy = Policy::parse(&format!(
            r#"{{ "version": 1, "docker-hub": {hub}, "subjects": {{ "owners": ["owner"],
                 "teams": {{ "ci": {{ "members": ["ci-*"], "docker-hub": {{ "community": "allow" }} }} }} }} }}"#
        ))
        .unwrap();
        writeln!(matrix, "# {name}").unwrap();
        for repository in REPOSITORIES {
            for action in [Action::Pull, Action::Push, Action::Run] {
                let known = Known::default();
                let cells: Vec<String> = subjects
                    .iter()
                    .map(|subject| cell(&policy, repository, action, subject, &known))
                    .collect();
                let asked: Vec<String> = known.asked.into_inner().into_iter().collect();
                let asked = match asked.as_slice() {
                    [] => String::new(),
                    asked => format!("  (asked: {})", asked.join(", ")),
                };
                writeln!(
                    matrix,
                    "{repository:64} {action:5} {}{asked}",
                    cells.join("  ")
                )
                .unwrap();
            }
        }
    }
    let columns: Vec<&str> = subjects.iter().map(Subject::principal).collect();
    let mut settings = insta::Settings::clone_current();
    settings.set_snapshot_path("golden");
    settings.set_prepend_module_to_snapshot(false);
    settings.set_omit_expression(true);
    settings.bind(|| {
        insta::assert_snapshot!(
            "categories",
            format!("columns: {}\n{matrix}", columns.join(", "))
        );
    });
}

fn cell(
    policy: &Policy,
    repository: &str,
    action: Action,
    subject: &Subject,
    known: &Known,
) -> String {
    let repository = repository.parse().unwrap();
    let request = Request {
        repository: &repository,
        action,
        subject,
    };
    match policy.evaluate_knowing(&request, known) {
        Decision::Allow(permit) => format!("✔ {}", permit.grant().rule()),
        Decision::Deny(denial) => format!("✘ {}", denial.reason().code()),
    }
}
