//! The rules, as text. Pure.

use std::fmt;
use std::net::SocketAddr;

use super::{Group, TABLE};
use crate::settings::Transparent;

/// What `nft -f` is given: one transaction, after which the table has these rules and no others.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Ruleset<'a> {
    transparent: &'a Transparent,
    /// The host's own traffic is captured too, but for this group's.
    host: Option<Group>,
}

// === impl Ruleset ===

impl<'a> Ruleset<'a> {
    pub(crate) const fn new(transparent: &'a Transparent, host: Option<Group>) -> Self {
        Self { transparent, host }
    }

    /// What leaves nothing of it, whether it was there or not.
    pub(crate) fn none() -> String {
        format!("add table {TABLE}\ndelete table {TABLE}\n")
    }

    /// Whether `table`, as `nft` lists it, sends anything to where we listen.
    pub(crate) fn leads_to(table: &str, listen: SocketAddr) -> bool {
        let port = format!("redirect to :{}", listen.port());
        table.lines().any(|line| line.trim_end().ends_with(&port))
    }

    fn ports(&self) -> String {
        let ports: Vec<String> = self.transparent.ports.iter().map(u16::to_string).collect();
        format!("{{ {} }}", ports.join(", "))
    }

    /// What is sent to the gate, once it is known to come from somewhere captured.
    fn redirect(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        for network in &self.transparent.except {
            writeln!(formatter, "\t\t{network} return")?;
        }
        let (ports, port) = (self.ports(), self.transparent.listen.port());
        writeln!(formatter, "\t\ttcp dport {ports} redirect to :{port}")
    }

    /// What is refused, since no gate can judge it: QUIC. Clients try TCP then.
    fn refuse(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        for network in &self.transparent.except {
            writeln!(formatter, "\t\t{network} return")?;
        }
        writeln!(formatter, "\t\tudp dport {} reject", self.ports())
    }

    fn containers(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let jump = |formatter: &mut fmt::Formatter<'_>, chain: &str| -> fmt::Result {
            for interface in &self.transparent.interfaces {
                writeln!(formatter, "\t\t{interface} jump {chain}")?;
            }
            Ok(())
        };
        // Behind Docker's and Kubernetes' own: what they lead to containers, as published ports and services, stays theirs.
        writeln!(formatter, "\tchain containers {{")?;
        writeln!(
            formatter,
            "\t\ttype nat hook prerouting priority -99; policy accept;"
        )?;
        jump(formatter, "capture")?;
        writeln!(formatter, "\t}}\n\tchain capture {{")?;
        // For this host itself, and between containers of one network.
        writeln!(
            formatter,
            "\t\tfib daddr type {{ local, broadcast, multicast }} return"
        )?;
        writeln!(formatter, "\t\tfib daddr . iif oif exists return")?;
        self.redirect(formatter)?;
        writeln!(formatter, "\t}}\n\tchain passing {{")?;
        writeln!(
            formatter,
            "\t\ttype filter hook forward priority -1; policy accept;"
        )?;
        jump(formatter, "refuse")?;
        writeln!(formatter, "\t}}\n\tchain refuse {{")?;
        writeln!(formatter, "\t\tfib daddr . iif oif exists return")?;
        self.refuse(formatter)?;
        writeln!(formatter, "\t}}")
    }

    /// The listener is for what was sent there, and for nobody who asks it directly.
    fn listener(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let port = self.transparent.listen.port();
        writeln!(formatter, "\tchain listener {{")?;
        writeln!(
            formatter,
            "\t\ttype filter hook input priority -1; policy accept;"
        )?;
        writeln!(
            formatter,
            "\t\ttcp dport {port} ct status & dnat == 0 reject with tcp reset"
        )?;
        writeln!(formatter, "\t}}")
    }

    fn own(&self, group: Group, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let leaves = |formatter: &mut fmt::Formatter<'_>| -> fmt::Result {
            writeln!(formatter, "\t\tmeta skgid {} return", group.number())?;
            writeln!(formatter, "\t\toifname \"lo\" return")?;
            writeln!(
                formatter,
                "\t\tfib daddr type {{ local, broadcast, multicast }} return"
            )
        };
        writeln!(formatter, "\tchain host {{")?;
        writeln!(
            formatter,
            "\t\ttype nat hook output priority -99; policy accept;"
        )?;
        leaves(formatter)?;
        self.redirect(formatter)?;
        writeln!(formatter, "\t}}\n\tchain leaving {{")?;
        writeln!(
            formatter,
            "\t\ttype filter hook output priority -1; policy accept;"
        )?;
        leaves(formatter)?;
        self.refuse(formatter)?;
        writeln!(formatter, "\t}}")
    }
}

impl fmt::Display for Ruleset<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Deleted first, so that nothing of an earlier one is left; added before that, so that there is something to delete.
        formatter.write_str(&Self::none())?;
        writeln!(formatter, "table {TABLE} {{")?;
        self.containers(formatter)?;
        self.listener(formatter)?;
        if let Some(group) = self.host {
            self.own(group, formatter)?;
        }
        writeln!(formatter, "}}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::settings::Settings;

    fn rules(transparent: &str, host: Option<Group>) -> String {
        let text = format!(r#"{{ "egress": {{ "transparent": {transparent} }} }}"#);
        let settings = Settings::parse(&text).unwrap();
        let transparent = settings.egress.unwrap().transparent.unwrap();
        Ruleset::new(&transparent, host).to_string()
    }

    #[test]
    fn by_default_all_that_comes_from_bridges_and_pods_is_captured() {
        let expected = r#"add table inet ramgate
delete table inet ramgate
table inet ramgate {
	chain containers {
		type nat hook prerouting priority -99; policy accept;
		meta iifkind "bridge" jump capture
		meta iifkind "veth" jump capture
	}
	chain capture {
		fib daddr type { local, broadcast, multicast } return
		fib daddr . iif oif exists return
		tcp dport { 80, 443 } redirect to :5054
	}
	chain passing {
		type filter hook forward priority -1; policy accept;
		meta iifkind "bridge" jump refuse
		meta iifkind "veth" jump refuse
	}
	chain refuse {
		fib daddr . iif oif exists return
		udp dport { 80, 443 } reject
	}
	chain listener {
		type filter hook input priority -1; policy accept;
		tcp dport 5054 ct status & dnat == 0 reject with tcp reset
	}
}
"#;
        assert_eq!(rules("{}", None), expected);
    }

    #[test]
    fn the_settings_say_what_is_captured_and_the_hosts_own_is_if_asked() {
        let text = rules(
            r#"{ "listen": "0.0.0.0:6000", "interfaces": ["docker0", "br-*"], "ports": [443, 5000],
                 "except": ["10.244.0.0/16", "fd00::/8"] }"#,
            Some(Group::numbered(998)),
        );
        for line in [
            "iifname \"docker0\" jump capture",
            "iifname \"br-*\" jump refuse",
            "ip daddr 10.244.0.0/16 return",
            "ip6 daddr fd00::/8 return",
            "tcp dport { 443, 5000 } redirect to :6000",
            "udp dport { 443, 5000 } reject",
            "tcp dport 6000 ct status & dnat == 0 reject with tcp reset",
            "type nat hook output priority -99; policy accept;",
            "meta skgid 998 return",
        ] {
            assert!(text.contains(&format!("\t\t{line}\n")), "{line} in {text}");
        }
        assert!(!text.contains("kind"), "{text}");
    }

    #[test]
    fn where_a_table_leads_is_read_from_it() {
        let table = "\t\ttcp dport { 80, 443 } redirect to :5054\n";
        let leads = |port: u16| Ruleset::leads_to(table, ([0, 0, 0, 0], port).into());
        assert!(leads(5054));
        assert!(!leads(505) && !leads(54));
    }
}
