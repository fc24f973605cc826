//! From what was seen to what is left to do, in words.

use crate::untrusted;

/// What a first install consists of, as it is now.
#[derive(Debug, Clone)]
pub(super) struct Seen {
    pub(super) host: Host,
    pub(super) coordinator: Coordinator,
    /// The settings close the ports.
    pub(super) is_closed: bool,
}

/// The machine of the coordinator.
#[derive(Debug, Clone)]
pub(super) struct Host {
    pub(super) name: String,
    pub(super) is_pve_node: bool,
    pub(super) agent: HostAgent,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum HostAgent {
    Absent,
    /// Its program is there, its socket is not.
    Stopped,
    Running,
}

#[derive(Debug, Clone)]
pub(super) enum Coordinator {
    Answers(Vec<Node>),
    /// It is installed and does not run.
    Stopped,
    Failed(String),
}

/// A node that the coordinator knows of.
#[derive(Debug, Clone)]
pub(super) struct Node {
    pub(super) cluster_id: String,
    /// For people.
    pub(super) cluster: String,
    pub(super) name: String,
    pub(super) agent: NodeAgent,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum NodeAgent {
    None,
    Connected,
    /// It was there before.
    Lost,
}

/// Nodes of one cluster that need an agent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Missing {
    /// Empty = not known yet, since no node is.
    pub(super) cluster_id: String,
    pub(super) cluster: String,
    pub(super) nodes: Vec<String>,
}

/// What such nodes join with.
#[derive(Debug, Clone)]
pub(super) enum Line {
    /// `until` is a time of day.
    Made { text: String, until: String },
    /// Nobody said that one is to be made.
    NotAsked,
    /// Somebody said no.
    Declined,
}

impl Seen {
    /// Nodes that have to join over the network, by cluster.
    pub(super) fn missing(&self) -> Vec<Missing> {
        let Coordinator::Answers(nodes) = &self.coordinator else {
            return Vec::new();
        };
        if nodes.is_empty() {
            // The first one tells about the others.
            return if self.host.is_pve_node {
                Vec::new()
            } else {
                vec![Missing {
                    cluster_id: String::new(),
                    cluster: String::new(),
                    nodes: Vec::new(),
                }]
            };
        }
        let mut all: Vec<Missing> = Vec::new();
        for node in nodes.iter().filter(|it| it.agent == NodeAgent::None) {
            if self.is_here(node) {
                continue;
            }
            match all.iter_mut().find(|it| it.cluster_id == node.cluster_id) {
                Some(missing) => missing.nodes.push(node.name.clone()),
                None => all.push(Missing {
                    cluster_id: node.cluster_id.clone(),
                    cluster: node.cluster.clone(),
                    nodes: vec![node.name.clone()],
                }),
            }
        }
        all
    }

    /// What is there.
    pub(super) fn state(&self) -> String {
        let mut text = format!(
            "pvelens {} on {}\n\n",
            env!("CARGO_PKG_VERSION"),
            self.host.name
        );
        let mut say = |is_well: bool, words: &str| {
            let mark = if is_well { "✔" } else { "✖" };
            text.extend(["  ", mark, " ", words, "\n"]);
        };
        let nodes = match &self.coordinator {
            Coordinator::Answers(nodes) => {
                say(true, "The coordinator runs and answers.");
                nodes.as_slice()
            }
            Coordinator::Stopped => {
                say(false, "The coordinator does not run.");
                &[]
            }
            Coordinator::Failed(reason) => {
                say(false, &format!("The coordinator does not answer: {reason}"));
                &[]
            }
        };
        match (self.host.is_pve_node, self.host.agent) {
            (true, HostAgent::Absent) => say(false, "This node has no agent."),
            (true, HostAgent::Stopped) => say(false, "The agent of this node does not run."),
            (true, HostAgent::Running) => say(true, "The agent of this node runs."),
            (false, _) => {}
        }
        let answers = matches!(self.coordinator, Coordinator::Answers(_));
        if answers && nodes.is_empty() {
            say(false, "No node is known yet.");
        }
        let of = |agent: NodeAgent| {
            let names = nodes.iter().filter(move |node| node.agent == agent);
            names.map(|node| node.name.as_str()).collect::<Vec<_>>()
        };
        let connected = of(NodeAgent::Connected);
        if !connected.is_empty() {
            let count = format!("{} of {}", connected.len(), counted(nodes.len(), "node"));
            say(
                true,
                &format!("Agents report from {count}: {}.", names(&connected)),
            );
        }
        let lost = of(NodeAgent::Lost);
        if !lost.is_empty() {
            say(
                false,
                &format!(
                    "Not connected now, though known: {}; `pvelens doctor` says why.",
                    names(&lost)
                ),
            );
        }
        let none = of(NodeAgent::None);
        if !none.is_empty() {
            say(false, &format!("No agent yet on {}.", names(&none)));
        }
        text
    }

    /// What to do on this machine, before anything else.
    pub(super) fn here(&self) -> String {
        let mut commands = Vec::new();
        if self.host.is_pve_node {
            match self.host.agent {
                HostAgent::Absent => commands.push("apt install ./pvelens-agent_*.deb"),
                HostAgent::Stopped => {
                    commands.push("systemctl enable --now pvelens-agent.socket pvelens-agent");
                }
                HostAgent::Running => {}
            }
        }
        match &self.coordinator {
            Coordinator::Stopped => commands.push("systemctl enable --now pvelens"),
            Coordinator::Failed(_) => commands.push("journalctl -u pvelens -n 30"),
            Coordinator::Answers(_) => {}
        }
        if commands.is_empty() {
            return String::new();
        }
        let mut text = "\nTo do on this machine, as root:\n\n".to_owned();
        for command in commands {
            text.extend(["    ", command, "\n"]);
        }
        text
    }

    /// What to do on nodes that are missing, with the line to join with.
    pub(super) fn elsewhere(&self, missing: &Missing, line: &Line) -> String {
        let (place, each) = match missing.nodes.as_slice() {
            [] => ("the first node of a cluster".to_owned(), ""),
            [one] => (untrusted::name(one).into_owned(), ""),
            many => (names(many), " on each"),
        };
        let text = format!(
            "\nTo do on {place}, as root{each}, with the package of the agent in the folder:\n\n    \
             apt install ./pvelens-agent_*.deb\n    pvelens-agent join\n\n"
        );
        let count = counted(missing.nodes.len().max(1), "node");
        let of = match missing.cluster.as_str() {
            "" => String::new(),
            cluster => format!(" of {}", untrusted::name(cluster)),
        };
        let words = match line {
            _ if self.is_closed => {
                "  Nothing can join: `link.enabled` is \"off\" in /etc/pvelens/pvelens.toml. Set it to\n  \
                 \"auto\", then `systemctl reload pvelens`, then run `pvelens setup` again.\n"
                    .to_owned()
            }
            Line::Made { text, until } => format!(
                "  It asks for this line, which is good for {count}{of} until {until}; keep it secret:\n\n\
                 {text}\n"
            ),
            Line::NotAsked => format!(
                "  It asks for a line. `pvelens setup --yes` makes one for {count}{of}, good for an hour.\n"
            ),
            Line::Declined => format!(
                "  It asks for a line. `pvelens agents token` makes one for {count}{of} when you want it.\n"
            ),
        };
        text + &words
    }

    /// How to go on.
    pub(super) fn end(&self) -> String {
        let is_left = !self.here().is_empty() || !self.missing().is_empty();
        let is_known =
            matches!(&self.coordinator, Coordinator::Answers(nodes) if !nodes.is_empty());
        match (is_left, is_known) {
            (true, true) => {
                "\nThen run `pvelens setup` again; it says what is left. Until then the report \
                             covers less:\n\n    pvelens health\n"
                    .to_owned()
            }
            (true, false) => "\nThen run `pvelens setup` again; it says what is left.\n".to_owned(),
            (false, true) => "\nNothing is left to do. Next:\n\n    pvelens health\n".to_owned(),
            (false, false) => {
                "\nThe agent of this node was not heard yet; in some seconds:\n\n    \
                               pvelens setup\n"
                    .to_owned()
            }
        }
    }

    fn is_here(&self, node: &Node) -> bool {
        let short = self.host.name.split('.').next().unwrap_or_default();
        self.host.is_pve_node && node.name == short
    }
}

fn counted(number: usize, noun: &str) -> String {
    match number {
        1 => format!("1 {noun}"),
        many => format!("{many} {noun}s"),
    }
}

/// `pve1, pve2 and pve3`.
fn names(names: &[impl AsRef<str>]) -> String {
    let names: Vec<_> = names
        .iter()
        .map(|name| untrusted::name(name.as_ref()).into_owned())
        .collect();
    match names.split_last() {
        Some((last, rest)) if !rest.is_empty() => format!("{} and {last}", rest.join(", ")),
        _ => names.join(""),
    }
}
