//! What goes wrong while joining, in the words of who has to mend it.

use super::call::{Refusal, Unreached};
use crate::cli::plain;

const NEW_LINE: &str = "make a new line on the coordinator with `pvelens agents token`";

/// The coordinator said no.
pub(super) fn refused(coordinator: &str, node: &str, refusal: &Refusal) -> String {
    let coordinator = plain(coordinator);
    let node = plain(node);
    let said = match refusal.reason.as_str() {
        "TOKEN_UNKNOWN" => format!(
            "it does not know the token of this line, which may be of long ago, or of a coordinator that was set up anew since; {NEW_LINE}"
        ),
        "TOKEN_EXPIRED" => format!("the token of this line has ended; {NEW_LINE}"),
        "TOKEN_WITHDRAWN" => format!("the token of this line was withdrawn; {NEW_LINE}"),
        "TOKEN_USED" => format!(
            "the token of this line was used already. If no node of yours did that, somebody else has read the line: `pvelens agents list` on the coordinator shows who joined, `pvelens agents revoke NODE` ends it. Otherwise {NEW_LINE}"
        ),
        "TOKEN_SCOPE" => format!(
            "the token of this line is not for this node ({}); {NEW_LINE} for {node}",
            plain(&refusal.message)
        ),
        "NODE_ALREADY_ENROLLED" => format!(
            "a node {node} of this cluster has joined already. If this is that node, installed anew, {NEW_LINE} that is for it alone: `pvelens agents token --node {node}`; a second node must not have the same name"
        ),
        _ => format!(
            "{}; the log of the coordinator may say more",
            plain(&refusal.message)
        ),
    };
    format!("the coordinator {coordinator} refuses: {said}")
}

/// Nobody answered for the coordinator.
pub(super) fn unreached(error: &Unreached) -> String {
    let tried = plain_lines(&error.to_string());
    if error.is_other() {
        format!(
            "somebody answers who is not the coordinator that made the line. Either the line is of another installation, or its authority was replaced since: {NEW_LINE}. Or the connection is intercepted: then find out who answers at these addresses before anything else. Nothing was sent:{tried}"
        )
    } else {
        format!(
            "the coordinator cannot be reached; see whether it runs, whether its port (8441 unless it was set) is open for this node, and whether these are its addresses:{tried}"
        )
    }
}

/// The time of the line is over, by the clock of this node.
pub(super) fn late(expires_at: &str) -> String {
    format!(
        "by the clock of this node the line ended at {expires_at}. The coordinator decides, so it is asked nevertheless; if it agrees, make a new line, and if not, the clock of this node is wrong and wants to be set"
    )
}

fn plain_lines(text: &str) -> String {
    let lines: Vec<_> = text.split('\n').map(plain).collect();
    lines.join("\n")
}
