//! What is written down, with a bound on every text that comes from outside.
//!
//! Names and shapes stay: records live for years, and others read them. A field may be
//! added, and a reader takes what it knows.

use serde::{Deserialize, Serialize};

/// Bytes of one text.
const TEXT: usize = 200;
const ID: usize = 64;
/// Why a command was refused, in words.
const DETAIL: usize = 320;
/// Arguments of one command, and the bytes of each and of all.
const ARGUMENTS: usize = 48;
const ARGUMENT: usize = 512;
const ALL_ARGUMENTS: usize = 4096;
/// Bytes of all parameters of a refused request: anybody may send them, and the record
/// shall not be filled with them.
const PARAMETERS: usize = 640;
/// Ends a text that was cut.
const CUT: char = '…';
/// Stands for what nobody would see, and for what a terminal would obey.
const UNSEEN: char = '\u{fffd}';

/// One thing that happened.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Event {
    /// The record was opened, and is written to from here on.
    Opened(Opened),
    /// A command passed every rule and is about to run.
    Begun(Begun),
    /// A request was refused, and nothing was sent to a guest.
    Refused(Refused),
    /// What came of a command that was begun.
    Ended(Ended),
    /// What came of a program that was left running.
    Reaped(Reaped),
    /// A command was begun and its end never written down: the agent or the node
    /// stopped meanwhile. What it did in the guest is not known.
    Abandoned(Abandoned),
    /// The ring was full, and its oldest records went.
    Dropped(Dropped),
    /// Of a newer version of the agent.
    #[serde(other)]
    Unknown,
}

#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Opened {
    /// Of the agent.
    pub version: String,
    /// Which start of the node this is, by `/proc/sys/kernel/random/boot_id`; empty when
    /// that is not known.
    #[serde(default)]
    pub boot_id: String,
    /// The end of the record that was not whole, as after a loss of power.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub torn: Option<Torn>,
}

/// Bytes that were no whole record.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Torn {
    /// Where they are now, in the directory of the record.
    pub file: String,
    pub bytes: u64,
}

#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Begun {
    pub request_id: String,
    pub vmid: u32,
    /// Of the guest, since the epoch.
    pub guest_created_seconds: Option<i64>,
    pub guest_name: String,
    /// Id in the catalogue.
    pub command: String,
    /// What runs in the guest, argument by argument.
    pub argv: Vec<String>,
    /// Who called, as the kernel of this node says.
    pub caller: String,
    /// For whom, as the caller asserts.
    pub on_behalf_of: String,
}

#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Refused {
    pub request_id: String,
    /// 0: the request named none.
    pub vmid: u32,
    /// As it was asked for; there may be no such command.
    pub command: String,
    /// Names and values in their order, as far as there is room.
    pub parameters: Vec<(String, String)>,
    /// Name of the rule that was not kept.
    pub rule: String,
    pub detail: String,
    pub caller: String,
    pub on_behalf_of: String,
}

#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Ended {
    pub request_id: String,
    pub vmid: u32,
    /// `completed`, `still_running`, ...
    pub outcome: String,
    pub exit_code: Option<i64>,
    /// Of the output in the guest; what was kept of it may be shorter.
    pub output_bytes: u64,
    /// Of the output as it was given to the caller.
    pub output_sha256: String,
    pub truncated: bool,
    /// From the beginning to the end, to the millisecond.
    pub seconds: f64,
}

#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reaped {
    pub request_id: String,
    pub vmid: u32,
    /// `ended`, `lost`, `vm_stopped` or `given_up`.
    pub outcome: String,
}

#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Abandoned {
    pub request_id: String,
    pub vmid: u32,
}

#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Dropped {
    /// The oldest record that stays.
    pub first_kept: u64,
}

impl Event {
    /// A command that is about to run.
    #[must_use]
    pub fn begun(begun: Begun) -> Self {
        let mut room = ALL_ARGUMENTS;
        Self::Begun(Begun {
            request_id: clean(&begun.request_id, ID),
            vmid: begun.vmid,
            guest_created_seconds: begun.guest_created_seconds,
            guest_name: clean(&begun.guest_name, TEXT),
            command: clean(&begun.command, ID),
            argv: begun
                .argv
                .iter()
                .take(ARGUMENTS)
                .map(|argument| within(&mut room, argument, ARGUMENT))
                .collect(),
            caller: clean(&begun.caller, TEXT),
            on_behalf_of: clean(&begun.on_behalf_of, TEXT),
        })
    }

    /// A request that is not carried out.
    #[must_use]
    pub fn refused(refused: Refused) -> Self {
        let mut room = PARAMETERS;
        let mut parameters = Vec::new();
        for (name, value) in &refused.parameters {
            if room == 0 {
                break;
            }
            let name = within(&mut room, name, ID);
            parameters.push((name, within(&mut room, value, TEXT)));
        }
        Self::Refused(Refused {
            request_id: clean(&refused.request_id, ID),
            vmid: refused.vmid,
            command: clean(&refused.command, ID),
            parameters,
            rule: clean(&refused.rule, ID),
            detail: clean(&refused.detail, DETAIL),
            caller: clean(&refused.caller, TEXT),
            on_behalf_of: clean(&refused.on_behalf_of, TEXT),
        })
    }

    /// What came of a command.
    #[must_use]
    pub fn ended(ended: Ended) -> Self {
        Self::Ended(Ended {
            request_id: clean(&ended.request_id, ID),
            outcome: clean(&ended.outcome, ID),
            output_sha256: clean(&ended.output_sha256, ID),
            seconds: (ended.seconds * 1000.0).round() / 1000.0,
            ..ended
        })
    }

    /// What came of a program that was left running.
    #[must_use]
    pub fn reaped(reaped: Reaped) -> Self {
        Self::Reaped(Reaped {
            request_id: clean(&reaped.request_id, ID),
            outcome: clean(&reaped.outcome, ID),
            ..reaped
        })
    }

    /// The record was opened.
    #[must_use]
    pub(super) fn opened(version: &str, boot_id: &str, torn: Option<Torn>) -> Self {
        Self::Opened(Opened {
            version: clean(version, ID),
            boot_id: clean(boot_id.trim(), ID),
            torn,
        })
    }

    /// The request that it is about, if it is about one.
    #[must_use]
    pub fn request_id(&self) -> Option<&str> {
        match self {
            Self::Begun(begun) => Some(&begun.request_id),
            Self::Refused(refused) => Some(&refused.request_id),
            Self::Ended(ended) => Some(&ended.request_id),
            Self::Reaped(reaped) => Some(&reaped.request_id),
            Self::Abandoned(abandoned) => Some(&abandoned.request_id),
            Self::Opened(_) | Self::Dropped(_) | Self::Unknown => None,
        }
    }
}

/// A text of at most so many bytes that is safe to show.
fn clean(text: &str, limit: usize) -> String {
    let mut kept = String::new();
    for letter in text.chars() {
        let letter = if is_unseen(letter) { UNSEEN } else { letter };
        if kept.len().saturating_add(letter.len_utf8()) > limit {
            while kept.len().saturating_add(CUT.len_utf8()) > limit && kept.pop().is_some() {}
            kept.push(CUT);
            break;
        }
        kept.push(letter);
    }
    kept
}

/// As [`clean`], within what is left of the room of several texts.
fn within(room: &mut usize, text: &str, limit: usize) -> String {
    let limit = limit.min(*room);
    let kept = if limit < CUT.len_utf8() && text.len() > limit {
        String::new()
    } else {
        clean(text, limit)
    };
    // Each costs something, or empty ones would cost nothing.
    *room = room.saturating_sub(kept.len().max(CUT.len_utf8()));
    kept
}

/// Controls, what turns the direction of the text around it, and what has no width.
fn is_unseen(letter: char) -> bool {
    letter.is_control()
        || matches!(
            letter,
            '\u{ad}'
                | '\u{61c}'
                | '\u{180e}'
                | '\u{200b}'..='\u{200f}'
                | '\u{2028}'..='\u{202e}'
                | '\u{2060}'..='\u{206f}'
                | '\u{feff}'
                | '\u{fff9}'..='\u{fffb}'
                | '\u{e0000}'..='\u{e0fff}'
        )
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_text_is_cut_between_letters_and_says_so() {
        assert_eq!(
            clean("ticket 7\u{1b}[31m\u{202e}", 40),
            "ticket 7\u{fffd}[31m\u{fffd}"
        );
        assert_eq!(clean("abcdefgh", 8), "abcdefgh");
        assert_eq!(clean("abcdefghi", 8), "abcde…");
        assert_eq!(clean("äöüäöü", 8), "äö…");
    }

    #[test]
    fn the_words_of_the_record_stay() {
        let event = Event::reaped(Reaped {
            request_id: "r".to_owned(),
            vmid: 101,
            outcome: "lost".to_owned(),
        });
        let text = r#"{"kind":"reaped","request_id":"r","vmid":101,"outcome":"lost"}"#;
        assert_eq!(serde_json::to_string(&event).unwrap(), text);
        let newer = text.replace("}", r#","more":[{"a":1}]}"#);
        assert_eq!(serde_json::from_str::<Event>(&newer).unwrap(), event);
        let unknown = newer.replace("reaped", "of_a_newer_version");
        assert_eq!(
            serde_json::from_str::<Event>(&unknown).unwrap(),
            Event::Unknown
        );
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(40))]

        #[test]
        fn whatever_is_asked_takes_little_room(
            text in ".{0,400}",
            parameters in proptest::collection::vec((".{0,80}", ".{0,400}"), 0..40),
            argv in proptest::collection::vec(".{0,900}", 0..90),
        ) {
            let refused = Event::refused(Refused {
                request_id: text.clone(),
                vmid: 7,
                command: text.clone(),
                parameters,
                rule: text.clone(),
                detail: text.clone(),
                caller: text.clone(),
                on_behalf_of: text.clone(),
            });
            let begun = Event::begun(Begun {
                guest_name: text.clone(),
                on_behalf_of: text,
                argv,
                ..Begun::default()
            });
            for (event, limit) in [(refused, 3600), (begun, 10_000)] {
                let line = serde_json::to_string(&event).unwrap();
                prop_assert!(line.len() < limit, "{}", line.len());
                prop_assert!(!line.contains(|c: char| is_unseen(c)));
                prop_assert_eq!(serde_json::from_str::<Event>(&line).unwrap(), event);
            }
        }
    }
}
