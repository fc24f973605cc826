//! What the kernel says about the process itself.

use std::{fs, io};

use super::{Unit, attempt::Attempt};

/// Bits of `CAP_SYS_RAWIO` and `CAP_SYS_ADMIN`.
const DISK_CAPABILITIES: u64 = 1 << 17 | 1 << 21;

/// Bits of `CAP_DAC_READ_SEARCH` and `CAP_SYS_PTRACE`.
const CONTAINER_CAPABILITIES: u64 = 1 << 2 | 1 << 19;

/// Each is refused when the line of `/proc/self/status` is as it must be.
pub(super) fn attempts(unit: Unit) -> Vec<Attempt> {
    let allowed = match unit {
        Unit::DiskProbe => DISK_CAPABILITIES,
        Unit::ContainerProbe => CONTAINER_CAPABILITIES,
        _ => 0,
    };
    let mut attempts: Vec<Attempt> = ["CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb"]
        .into_iter()
        .map(|set| {
            Attempt::new(format!("have a capability in {set}"), move || {
                let held = u64::from_str_radix(&status(set)?, 16).map_err(io::Error::other)?;
                if held & !allowed == 0 {
                    Err(io::Error::other("none beyond its needs"))
                } else {
                    Ok(())
                }
            })
        })
        .collect();
    for (line, wanted) in [("NoNewPrivs", "1"), ("Seccomp", "2")] {
        attempts.push(Attempt::new(format!("be without {line}"), move || {
            if status(line)? == wanted {
                Err(io::Error::other("on"))
            } else {
                Ok(())
            }
        }));
    }
    if !unit.is_root() {
        attempts.push(Attempt::new("be root", || {
            if status("Uid")?.starts_with("0\t") {
                Ok(())
            } else {
                Err(io::Error::other("another user"))
            }
        }));
    }
    attempts
}

fn status(line: &str) -> io::Result<String> {
    let text = fs::read_to_string("/proc/self/status")?;
    text.lines()
        .find_map(|text| text.strip_prefix(line)?.strip_prefix(':'))
        .map(|value| value.trim().to_owned())
        .ok_or_else(|| io::Error::other(format!("no line {line}")))
}
