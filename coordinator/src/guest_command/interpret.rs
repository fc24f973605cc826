//! Reads the output of a guest command.
//!
//! One interpreter for each way to read, most of them a file. An interpreter takes
//! what has the shape that it knows, counts the lines that have not, and sets
//! `understood` only for what it read: silence of a text that is something else is no
//! good news.

use super::facts::GuestFacts;
use disk::df::Counts;
use output::Output;

mod clock;
mod disk;
mod load;
mod log;
mod memory;
mod network;
mod number;
mod output;
mod pairs;
mod process;
pub mod reads;
mod service;

pub use reads::Reads;

/// What `text`, which the guest printed, says. `reads` is how the catalogue says that
/// the output is read; an unknown word is plain text. With `is_cut` the text is only
/// the beginning: its last line is not believed, and what is missing says nothing.
///
/// Call it only for a program that ran: that a list is empty is a fact.
#[must_use]
pub fn interpret(reads: &str, text: &str, is_cut: bool) -> GuestFacts {
    let output = Output::new(text, is_cut);
    let mut facts = GuestFacts {
        is_cut: output.is_cut,
        ..GuestFacts::default()
    };
    let (output, facts_) = (&output, &mut facts);
    match Reads::parse(reads).unwrap_or(Reads::Text) {
        Reads::Df => disk::df::read(output, Counts::Space, facts_),
        Reads::DfInodes => disk::df::read(output, Counts::Inodes, facts_),
        Reads::Mounts => disk::mounts::read(output, facts_),
        Reads::BlockDevices => disk::block_devices::read(output, facts_),
        Reads::Du => disk::du::read(output, facts_),
        Reads::DeletedFiles => disk::deleted_files::read(output, facts_),
        Reads::MdArrays => disk::md_arrays::read(output, facts_),
        Reads::DiskStatistics => disk::statistics::read(output, facts_),
        Reads::Uptime => load::uptime(output, facts_),
        Reads::Loadavg => load::loadavg(output, facts_),
        Reads::Pressure => load::pressure(output, facts_),
        Reads::Vmstat => load::vmstat::read(output, facts_),
        Reads::Processes => process::full(output, facts_),
        Reads::ProcessesBasic => process::basic(output, facts_),
        Reads::Free => memory::free(output, facts_),
        Reads::Meminfo => memory::meminfo(output, facts_),
        Reads::Swaps => memory::swaps(output, facts_),
        Reads::IpAddress => network::link::addresses(output, facts_),
        Reads::IpLink => network::link::links(output, facts_),
        Reads::IpRoute => network::route::read(output, facts_),
        Reads::Sockets => network::socket::ss(output, facts_),
        Reads::SocketSummary => network::socket_summary(output, facts_),
        Reads::ResolvConf => network::resolv_conf(output, facts_),
        Reads::Conntrack => network::conntrack(output, facts_),
        Reads::FailedUnits => service::systemd::failed(output, facts_),
        Reads::UnitStatus => service::systemd::status(output, facts_),
        Reads::SystemState => service::systemd::system_state(output, facts_),
        Reads::OpenrcStatus => service::openrc::read(output, facts_),
        Reads::DockerPs => service::containers::read(output, facts_),
        Reads::Journal => log::journal(output, facts_),
        Reads::KernelLog => log::kernel(output, facts_),
        Reads::Timedatectl => clock::timedatectl(output, facts_),
        Reads::ChronyTracking => clock::chrony_tracking(output, facts_),
        Reads::AptUpgradable => clock::updates::apt(output, facts_),
        Reads::RebootRequired => clock::reboot_required(output, facts_),
        Reads::LoggedIn => clock::sessions::who(output, facts_),
        Reads::WindowsSockets => network::socket::netstat(output, facts_),
        Reads::WindowsTime => clock::windows(output, facts_),
        Reads::WindowsSessions => clock::sessions::quser(output, facts_),
        _ => {}
    }
    facts
}
