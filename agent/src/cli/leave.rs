//! `leave`: forget who this node is to its coordinator, and end the link.

use std::{fmt::Write, process::ExitCode};

use super::{
    LeaveArguments, complain,
    join::{pending, places::Places, unit},
    plain, print,
};
use crate::{identity::Identity, joined};

pub(super) fn leave(arguments: &LeaveArguments) -> anyhow::Result<ExitCode> {
    let places = arguments.places.find()?;
    // First of all nobody comes in any more.
    let is_disabled_here = !arguments.no_disable && unit::is_there();
    let disabled = if is_disabled_here {
        unit::disable()
    } else {
        Ok(())
    };
    print(&forget(&places)?)?;
    if !is_disabled_here {
        print(&format!(
            "The link is not ended here; that is done by\n  {}\n",
            unit::DISABLE_COMMAND
        ))?;
    }
    if let Err(error) = disabled {
        complain(&format!("the link could not be ended: {error:#}"));
        return Ok(ExitCode::FAILURE);
    }
    Ok(ExitCode::SUCCESS)
}

/// Removes everything; says what was there.
pub(super) fn forget(places: &Places) -> anyhow::Result<String> {
    // What cannot be read is removed all the same.
    let identity = Identity::load(&places.identity);
    let was_pending = pending::remove(&places.identity)?;
    let was_linked = joined::remove(&places.config)?;
    Identity::remove(&places.identity)?;
    let mut text = String::new();
    match identity {
        Ok(Some(identity)) => {
            let node = plain(&identity.node);
            writeln!(
                text,
                "{node} has left: its key and certificate are removed.\n\
                 The coordinator would still take a copy of them, in a backup of this node \
                 for instance. To finish it, there:\n  pvelens agents revoke {node}"
            )?;
        }
        Err(error) => writeln!(
            text,
            "An identity that could not be used is removed ({}). To finish it, on the \
             coordinator:\n  pvelens agents revoke NODE",
            plain(&error.to_string())
        )?,
        Ok(None) if was_pending || was_linked => {
            writeln!(text, "What was left of joining is removed.")?;
        }
        Ok(None) => writeln!(text, "This node has not joined a coordinator.")?,
    }
    Ok(text)
}
