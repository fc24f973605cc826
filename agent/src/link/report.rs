//! How each link is: for `systemctl status`, and for the log without saying the
//! same thing over and over.

use std::{collections::VecDeque, time::Duration};

use tokio::sync::watch;
use tracing::{debug, info, warn};

use super::{
    Address, Coordinator, Ended, Outcome,
    backoff::STEADY,
    pipe::{End, Side},
};

/// Troubles of one link that are remembered.
const TROUBLES: usize = 8;

/// The links in the order of their coordinators.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct States(Vec<(Address, State)>);

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum State {
    Connecting,
    /// Both ends are there, and the agent has said nothing yet.
    Connected,
    Up,
    Waiting {
        reason: String,
        delay: Duration,
    },
    Stopped,
}

impl States {
    #[must_use]
    pub fn new(coordinators: &[Coordinator]) -> Self {
        let state = |coordinator: &Coordinator| (coordinator.name().clone(), State::Connecting);
        Self(coordinators.iter().map(state).collect())
    }

    #[cfg(test)]
    pub(super) fn first(&self) -> &State {
        &self.0[0].1
    }
}

/// One line: the links that are up by number, the others with what keeps them.
#[must_use]
pub fn summary(states: &States) -> String {
    let States(links) = states;
    let is_up = |state: &State| matches!(state, State::Up);
    let up = links.iter().filter(|(_, state)| is_up(state)).count();
    let mut parts = vec![match links.as_slice() {
        [(coordinator, State::Up)] => format!("link to {coordinator} is up"),
        [_] => "no link".to_owned(),
        _ => format!("{up} of {} links up", links.len()),
    }];
    let others = links.iter().filter(|(_, state)| !is_up(state));
    parts.extend(others.map(|(coordinator, state)| match state {
        State::Connecting => format!("{coordinator}: connecting"),
        State::Connected => format!("{coordinator}: connected, the agent has not answered yet"),
        State::Up => format!("{coordinator}: up"),
        State::Waiting { reason, delay } => {
            format!(
                "{coordinator}: {reason}; next attempt in {} s",
                seconds(*delay)
            )
        }
        State::Stopped => format!("{coordinator}: ended"),
    }));
    parts.join("; ")
}

/// Whole seconds, none of which is too few.
fn seconds(delay: Duration) -> u64 {
    delay.as_secs() + u64::from(delay.subsec_nanos() > 0)
}

/// Tells about one link.
#[derive(Debug)]
pub(super) struct Reporter {
    coordinator: Coordinator,
    /// The address in use, when there are several.
    via: Option<Address>,
    place: usize,
    states: watch::Sender<States>,
    /// The troubles since the last steady link that the log knows of.
    said: VecDeque<Trouble>,
    /// Whether the log knows that this link is up.
    has_said_up: bool,
}

/// Why there is no link.
#[derive(Debug, PartialEq, Eq)]
struct Trouble {
    reason: String,
    /// There was one, up but not for long.
    was_up: bool,
}

impl Reporter {
    pub(super) fn new(
        coordinator: &Coordinator,
        place: usize,
        states: watch::Sender<States>,
    ) -> Self {
        Self {
            coordinator: coordinator.clone(),
            via: None,
            place,
            states,
            said: VecDeque::new(),
            has_said_up: false,
        }
    }

    pub(super) fn connecting(&mut self) {
        self.has_said_up = false;
        self.is(State::Connecting);
    }

    pub(super) fn connected(&mut self, via: &Address) {
        self.via = (self.coordinator.count() > 1).then(|| via.clone());
        self.is(State::Connected);
    }

    /// The agent has answered. After a link that was up for a moment the log waits
    /// until this one is steady: a node that is refused is up again and again.
    pub(super) fn answered(&mut self, is_steady: bool) {
        self.is(State::Up);
        let is_trusted = is_steady || self.said.iter().all(|said| !said.was_up);
        if is_trusted && !self.has_said_up {
            self.has_said_up = true;
            let via = self.via.as_ref().map(tracing::field::display);
            info!(coordinator = %self.coordinator.name(), via, "link is up");
        }
    }

    /// What ended goes to the log, but for a trouble that it knows: the addresses of
    /// a name may take turns, each with its own.
    pub(super) fn waiting(&mut self, outcome: &Outcome, delay: Duration) {
        let trouble = outcome.trouble();
        let is_known = self.knows(trouble.as_ref());
        self.ended(outcome, is_known, Some(seconds(delay)));
        match trouble {
            None => self.said.clear(),
            Some(_) if is_known => {}
            Some(trouble) => {
                if self.said.len() == TROUBLES {
                    self.said.pop_front();
                }
                self.said.push_back(trouble);
            }
        }
        let reason = outcome.reason();
        self.is(State::Waiting { reason, delay });
    }

    pub(super) fn stopped(&self, outcome: &Outcome) {
        let is_known = self.knows(outcome.trouble().as_ref());
        self.ended(outcome, is_known, None);
        self.is(State::Stopped);
    }

    fn knows(&self, trouble: Option<&Trouble>) -> bool {
        trouble.is_some_and(|trouble| self.said.contains(trouble))
    }

    fn ended(&self, outcome: &Outcome, is_known: bool, retry_seconds: Option<u64>) {
        let coordinator = self.coordinator.name();
        let reason = outcome.reason();
        match outcome {
            Outcome::Ended(ended) if ended.was_up() => {
                let (seconds, to_agent, to_coordinator) =
                    (ended.lasted.as_secs(), ended.to_agent, ended.to_coordinator);
                if is_known {
                    debug!(%coordinator, reason, seconds, to_agent, to_coordinator, retry_seconds, "link ended");
                } else {
                    info!(%coordinator, reason, seconds, to_agent, to_coordinator, retry_seconds, "link ended");
                }
            }
            Outcome::Ended(Ended {
                end: End::Stopped, ..
            }) => {}
            _ if is_known => debug!(%coordinator, reason, retry_seconds, "no link"),
            _ => warn!(%coordinator, reason, retry_seconds, "no link"),
        }
    }

    fn is(&self, state: State) {
        self.states.send_modify(|States(links)| {
            if let Some((_, place)) = links.get_mut(self.place) {
                *place = state;
            }
        });
    }
}

impl Outcome {
    fn reason(&self) -> String {
        match self {
            Self::Unreached(error) => error.to_string(),
            Self::Ended(ended) => match (&ended.end, ended.was_up()) {
                // A close with bytes unread is seen as an error.
                (end, false) if end.is_close_of(Side::Agent) => {
                    "the agent turned it away, as it does until this node has joined a coordinator"
                        .to_owned()
                }
                (end, false) if end.is_close_of(Side::Coordinator) => {
                    "the coordinator closed it before the agent answered".to_owned()
                }
                (end, _) => end.to_string(),
            },
        }
    }

    /// What is worth saying once: anything but the end of a steady link.
    fn trouble(&self) -> Option<Trouble> {
        let was_up = match self {
            Self::Ended(ended) if ended.lasted >= STEADY => return None,
            Self::Ended(ended) => ended.was_up(),
            Self::Unreached(_) => false,
        };
        let reason = self.reason();
        Some(Trouble { reason, was_up })
    }
}

impl Ended {
    /// The agent said something.
    pub(super) fn was_up(&self) -> bool {
        self.to_coordinator > 0
    }
}

#[cfg(test)]
mod tests {
    use std::{
        io::{self, Read},
        path::PathBuf,
        sync::Mutex,
    };

    use super::{super::DialError, *};

    const DELAY: Duration = Duration::from_millis(1500);

    fn reporter() -> Reporter {
        let coordinator: Coordinator = "mon".parse().unwrap();
        let states = States::new(std::slice::from_ref(&coordinator));
        Reporter::new(&coordinator, 0, watch::Sender::new(states))
    }

    fn no_agent() -> Outcome {
        Outcome::Unreached(DialError::Agent {
            path: PathBuf::from("/link.sock"),
            source: io::Error::new(io::ErrorKind::NotFound, "absent"),
        })
    }

    fn link(end: End, seconds: u64, to_coordinator: u64) -> Outcome {
        Outcome::Ended(Ended {
            end,
            lasted: Duration::from_secs(seconds),
            to_agent: 7,
            to_coordinator,
        })
    }

    fn refused() -> Outcome {
        link(End::Closed(Side::Coordinator), 0, 9)
    }

    /// What the log gets.
    fn logged(told: impl FnOnce(&mut Reporter)) -> Vec<String> {
        let (mut reader, writer) = io::pipe().unwrap();
        let log = tracing_subscriber::fmt()
            .with_writer(Mutex::new(writer))
            .with_ansi(false)
            .with_target(false)
            .without_time()
            .finish();
        tracing::subscriber::with_default(log, || told(&mut reporter()));
        let mut text = String::new();
        reader.read_to_string(&mut text).unwrap();
        text.lines().map(|line| line.trim().to_owned()).collect()
    }

    fn up(reporter: &mut Reporter) {
        reporter.connecting();
        reporter.connected(&"mon".parse().unwrap());
        reporter.answered(false);
    }

    const UP: &str = "INFO link is up coordinator=mon:8440";
    const ABSENT: &str = "WARN no link coordinator=mon:8440 reason=\"connecting to the agent at /link.sock: absent\" retry_seconds=2";

    #[test]
    fn the_same_trouble_is_logged_once_and_again_after_a_steady_link() {
        let lines = logged(|reporter| {
            for _ in 0..3 {
                reporter.connecting();
                reporter.waiting(&no_agent(), DELAY);
            }
            up(reporter);
            reporter.waiting(&link(End::Closed(Side::Agent), 3600, 9), DELAY);
            reporter.waiting(&no_agent(), DELAY);
        });
        let ended = "INFO link ended coordinator=mon:8440 reason=\"the agent closed it\" seconds=3600 to_agent=7 to_coordinator=9 retry_seconds=2";
        assert_eq!(lines, [ABSENT, UP, ended, ABSENT]);
    }

    #[test]
    fn troubles_that_take_turns_are_logged_once_each() {
        let other = |number: u16| {
            let host = format!("mon{number}");
            Outcome::Unreached(DialError::NoAddress { host })
        };
        let lines = logged(|reporter| {
            for _ in 0..3 {
                reporter.waiting(&no_agent(), DELAY);
                reporter.waiting(&other(0), DELAY);
            }
        });
        assert_eq!(lines.len(), 2, "{lines:?}");
        let mut reporter = reporter();
        for number in 0..100 {
            reporter.waiting(&other(number), DELAY);
        }
        assert_eq!(reporter.said.len(), TROUBLES);
    }

    #[test]
    fn a_link_that_is_refused_each_time_is_logged_once_until_it_holds() {
        let lines = logged(|reporter| {
            for _ in 0..3 {
                up(reporter);
                reporter.waiting(&refused(), DELAY);
            }
            up(reporter);
            reporter.answered(true);
        });
        let ended = "INFO link ended coordinator=mon:8440 reason=\"the coordinator closed it\" seconds=0 to_agent=7 to_coordinator=9 retry_seconds=2";
        assert_eq!(lines, [UP, ended, UP]);
    }

    #[test]
    fn an_agent_that_turns_away_is_one_trouble_whether_it_read_or_not() {
        let lines = logged(|reporter| {
            let source = || io::Error::from(io::ErrorKind::ConnectionReset);
            let (from, to) = (Side::Agent, Side::Agent);
            for end in [
                End::Closed(Side::Agent),
                End::Reading {
                    from,
                    source: source(),
                },
                End::Writing {
                    to,
                    source: source(),
                },
            ] {
                reporter.waiting(&link(end, 0, 0), DELAY);
            }
        });
        let [line] = lines.as_slice() else {
            panic!("{lines:?}");
        };
        assert!(line.contains("has joined a coordinator"), "{line}");
    }

    #[test]
    fn a_stopped_link_says_what_it_carried() {
        let lines = logged(|reporter| {
            reporter.stopped(&link(End::Stopped, 5, 9));
            reporter.stopped(&link(End::Stopped, 5, 0));
        });
        let known = logged(|reporter| {
            reporter.waiting(&no_agent(), DELAY);
            reporter.stopped(&no_agent());
        });
        assert_eq!(known, [ABSENT]);
        let ended = "INFO link ended coordinator=mon:8440 reason=\"told to stop\" seconds=5 to_agent=7 to_coordinator=9";
        assert_eq!(lines, [ended]);
    }

    #[test]
    fn the_status_names_what_keeps_a_link() {
        let mut reporter = reporter();
        let status = |reporter: &Reporter| summary(&reporter.states.borrow());
        reporter.connecting();
        assert_eq!(status(&reporter), "no link; mon:8440: connecting");
        reporter.answered(false);
        assert_eq!(status(&reporter), "link to mon:8440 is up");
        reporter.waiting(&refused(), DELAY);
        assert_eq!(
            status(&reporter),
            "no link; mon:8440: the coordinator closed it; next attempt in 2 s"
        );

        let two = ["a".parse().unwrap(), "b".parse().unwrap()];
        let States(mut links) = States::new(&two);
        links[0].1 = State::Up;
        links[1].1 = State::Connected;
        assert_eq!(
            summary(&States(links)),
            "1 of 2 links up; b:8440: connected, the agent has not answered yet"
        );
    }
}
