//! Reads the output of a guest command.
//!
//! One interpreter for each way to read, most of them a file. An interpreter takes
//! what has the shape that it knows, counts the lines that have not, and sets
//! `understood` only for what it read: silence of a text that is something else is no
//! good news.

use super::facts::GuestFacts;
use disk::df::Counts;
use output::Output;

mod bound;
mod clock;
mod disk;
mod identity;
mod json;
mod load;
mod log;
mod memory;
mod network;
mod number;
mod output;
mod pairs;
mod process;
pub mod reads;
mod rpc;
mod service;
mod windows;

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
    let (output, into) = (&output, &mut facts);
    match Reads::parse(reads).unwrap_or(Reads::Text) {
        Reads::Df => disk::df::read(output, Counts::Space, into),
        Reads::DfInodes => disk::df::read(output, Counts::Inodes, into),
        Reads::Mounts => disk::mounts::read(output, into),
        Reads::BlockDevices => disk::block_devices::read(output, into),
        Reads::Du => disk::du::read(output, into),
        Reads::DeletedFiles => disk::deleted_files::read(output, into),
        Reads::MdArrays => disk::md_arrays::read(output, into),
        Reads::DiskStatistics => disk::statistics::read(output, into),
        Reads::Uptime => load::uptime(output, into),
        Reads::Loadavg => load::loadavg(output, into),
        Reads::Pressure => load::pressure(output, into),
        Reads::Vmstat => load::vmstat::read(output, into),
        Reads::Processes => process::full(output, into),
        Reads::ProcessesBasic => process::basic(output, into),
        Reads::Free => memory::free(output, into),
        Reads::Meminfo => memory::meminfo(output, into),
        Reads::Swaps => memory::swaps(output, into),
        Reads::IpAddress => network::link::addresses(output, into),
        Reads::IpLink => network::link::links(output, into),
        Reads::IpRoute => network::route::read(output, into),
        Reads::Sockets => network::socket::ss(output, into),
        Reads::SocketSummary => network::socket_summary(output, into),
        Reads::ResolvConf => network::resolv_conf(output, into),
        Reads::Conntrack => network::conntrack(output, into),
        Reads::FailedUnits => service::systemd::failed(output, into),
        Reads::UnitStatus => service::systemd::status(output, into),
        Reads::SystemState => service::systemd::system_state(output, into),
        Reads::OpenrcStatus => service::openrc::read(output, into),
        Reads::DockerPs => service::containers::read(output, into),
        Reads::Journal => log::journal(output, into),
        Reads::KernelLog => log::kernel(output, into),
        Reads::Timedatectl => clock::timedatectl(output, into),
        Reads::ChronyTracking => clock::chrony_tracking(output, into),
        Reads::AptUpgradable => clock::updates::apt(output, into),
        Reads::RebootRequired => clock::reboot_required(output, into),
        Reads::LoggedIn => clock::sessions::who(output, into),
        Reads::WindowsSockets => network::socket::netstat(output, into),
        Reads::WindowsTime => clock::windows(output, into),
        Reads::WindowsSessions => clock::sessions::quser(output, into),
        Reads::OsRelease => identity::os_release(output, into),
        Reads::RpcPing => rpc::ping(output, into),
        Reads::RpcAgentInfo => rpc::agent_info(output, into),
        Reads::RpcOsinfo => rpc::osinfo(output, into),
        Reads::RpcHostname => rpc::hostname(output, into),
        Reads::RpcTimezone => rpc::timezone(output, into),
        Reads::RpcTime => rpc::time(output, into),
        Reads::RpcUsers => rpc::users(output, into),
        Reads::RpcNetworkInterfaces => rpc::network::interfaces(output, into),
        Reads::RpcFsinfo => rpc::file_systems::read(output, into),
        Reads::RpcFsfreezeStatus => rpc::freeze_status(output, into),
        Reads::RpcDisks => rpc::disks::read(output, into),
        Reads::RpcDiskStats => rpc::statistics::disks(output, into),
        Reads::RpcCpuStats => rpc::statistics::cpus(output, into),
        Reads::RpcLoad => rpc::load(output, into),
        Reads::RpcVcpus => rpc::vcpus(output, into),
        Reads::RpcDevices => rpc::devices(output, into),
        Reads::RpcNetworkRoutes => rpc::network::routes(output, into),
        Reads::WindowsSystem => windows::system::read(output, into),
        Reads::WindowsProcesses => windows::processes::read(output, into),
        Reads::WindowsServices => windows::services::read(output, into),
        Reads::WindowsDiskFree => windows::disk_free(output, into),
        Reads::WindowsEvents => windows::events::read(output, into),
        Reads::WindowsCounters => windows::counters::read(output, into),
        Reads::WindowsVssWriters => windows::vss_writers::read(output, into),
        Reads::Text => {}
    }
    bound::fit(&mut facts);
    facts
}

#[cfg(test)]
mod tests;
