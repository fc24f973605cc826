//! The running kernel, those that could be booted, and what chooses among them.
//!
//! `/lib/modules` is hidden by the unit (`ProtectKernelModules=`), so bootable
//! kernels are known by their images in `/boot`, and what DKMS built by its own tree.

use pvelens_proto::agent::v1::{CollectionClass, DkmsModule, GrubDefault, Kernels};

use super::{CollectError, Collector, FILE_DEADLINE, Payload, Reading};
use crate::format::{
    FormatError,
    plain::{name, short},
    whole_lines,
};

mod flags;

const RELEASE: &str = "/proc/sys/kernel/osrelease";
const VERSION: &str = "/proc/version";
const CMDLINE: &str = "/proc/cmdline";
const MICROCODE: &str = "/sys/devices/system/cpu/cpu0/microcode/version";
const EFI: &str = "/sys/firmware/efi/fw_platform_size";
const PIN: &str = "/etc/kernel/proxmox-boot-pin";
const NEXT: &str = "/etc/kernel/next-boot-pin";
const KEPT: &str = "/etc/kernel/proxmox-boot-manual-kernels";
const UUIDS: &str = "/etc/kernel/proxmox-boot-uuids";
const SYSTEMD_BOOT: &str = "/etc/kernel/cmdline";
const GRUB: &str = "/etc/default/grub";
const GRUB_PARTS: &str = "/etc/default/grub.d";
const BOOT: &str = "/boot";
const DKMS: &str = "/var/lib/dkms";
const LIMIT: u64 = 64 << 10;
const RELEASE_LIMIT: usize = 100;
const LIST_LIMIT: usize = 50;
/// Versions of one module.
const VERSION_LIMIT: usize = 10;

pub(super) const COLLECTOR: Collector = Collector {
    name: "kernels",
    summary: "running and bootable kernels, their flags, pins, and whether a restart is due",
    class: CollectionClass::Slow,
    interval: std::time::Duration::from_secs(600),
    deadline: FILE_DEADLINE,
    paths: &[
        RELEASE,
        VERSION,
        CMDLINE,
        MICROCODE,
        EFI,
        PIN,
        NEXT,
        KEPT,
        UUIDS,
        SYSTEMD_BOOT,
        GRUB,
        "/etc/default/grub.d/*.cfg",
        "/boot/vmlinuz-*",
        "/var/lib/dkms/*/*/*/**",
    ],
    probes: &[],
    collect,
};

fn collect(reading: &mut Reading<'_>) -> Result<Payload, CollectError> {
    let mut kernels = Kernels {
        running_release: reading.read_word(RELEASE).unwrap_or_default(),
        microcode_revision: short(&reading.read_word(MICROCODE).unwrap_or_default(), 40),
        ..Kernels::default()
    };
    if let Some(text) = reading.read_optional(VERSION, LIMIT) {
        let build = build(&text).map_err(|error| error.at(VERSION));
        kernels.running_build = reading.keep(build).unwrap_or_default();
    }
    if let Some(text) = reading.read_optional(CMDLINE, LIMIT) {
        let line = whole_lines(&text).map_err(|error| error.at(CMDLINE));
        kernels.flags = reading.keep(line).map(flags::parse).unwrap_or_default();
    }
    kernels.efi_platform_bits = reading
        .read_number(EFI)
        .and_then(|bits| u32::try_from(bits).ok());
    boot_tool(reading, &mut kernels);
    grub(reading, &mut kernels);
    // Both may be empty files.
    let images = reading.list_optional(BOOT);
    let releases = images
        .iter()
        .filter_map(|image| name(image.strip_prefix("vmlinuz-")?))
        .map(str::to_owned);
    kernels.boot_releases = bounded(releases, RELEASE_LIMIT, &mut kernels.truncated);
    dkms(reading, &mut kernels);
    Ok(Payload::Kernels(kernels))
}

/// What `proxmox-boot-tool` keeps in `/etc/kernel`
/// (`proxmox-kernel-helper@src/proxmox-boot/functions`).
fn boot_tool(reading: &mut Reading<'_>, kernels: &mut Kernels) {
    let mut one = |path: &str| {
        let text = reading.read_optional(path, LIMIT)?;
        name(text.lines().next()?).map(str::to_owned)
    };
    kernels.pinned_release = one(PIN).unwrap_or_default();
    kernels.next_boot_release = one(NEXT).unwrap_or_default();
    kernels.kept_releases = names_in(reading, KEPT, &mut kernels.truncated);
    kernels.boot_partition_count = reading.read_optional(UUIDS, LIMIT).map(|text| {
        let lines = text.lines().map(str::trim);
        let partitions = lines.filter(|line| !line.is_empty() && !line.starts_with('#'));
        u32::try_from(partitions.count()).unwrap_or(u32::MAX)
    });
    if let Some(text) = reading.read_optional(SYSTEMD_BOOT, LIMIT) {
        kernels.has_systemd_boot_command_line = true;
        kernels.systemd_boot_flags = flags::parse(&text);
    }
}

/// `/etc/default/grub`, then the parts by name; the last value of a key holds.
fn grub(reading: &mut Reading<'_>, kernels: &mut Kernels) {
    let mut paths = vec![GRUB.to_owned()];
    let mut parts = reading.list_optional(GRUB_PARTS);
    parts.retain(|part| part.ends_with(".cfg"));
    let parts = bounded(parts.into_iter(), LIST_LIMIT, &mut kernels.truncated);
    paths.extend(parts.iter().map(|part| format!("{GRUB_PARTS}/{part}")));
    let (mut always, mut usual) = (String::new(), String::new());
    for path in paths {
        let Some(text) = reading.read_optional(&path, LIMIT) else {
            continue;
        };
        for (key, value) in assignments(&text) {
            match key {
                "GRUB_DEFAULT" => kernels.grub_default = grub_default(value).into(),
                "GRUB_CMDLINE_LINUX" => always = value.to_owned(),
                "GRUB_CMDLINE_LINUX_DEFAULT" => usual = value.to_owned(),
                _ => {}
            }
        }
    }
    kernels.grub_flags = flags::parse(&format!("{always} {usual}"));
}

fn grub_default(value: &str) -> GrubDefault {
    match value {
        "" | "0" => GrubDefault::First,
        "saved" => GrubDefault::Saved,
        _ => GrubDefault::Other,
    }
}

/// `KEY=value` lines of a shell, quotes taken off; nothing is expanded.
fn assignments(text: &str) -> impl Iterator<Item = (&str, &str)> {
    text.lines().filter_map(|line| {
        let (key, value) = line.trim().split_once('=')?;
        let value = value.trim();
        let unquoted = ['"', '\'']
            .iter()
            .find_map(|quote| value.strip_prefix(*quote)?.split_once(*quote));
        let value = unquoted.map_or(value, |(value, _)| value);
        Some((key.trim_start_matches("export ").trim(), value))
    })
}

/// The tree is `NAME/VERSION/RELEASE/ARCH/module`; beside the releases there are
/// `build`, `source` and `original_module` (`dkms@dkms.in`).
fn dkms(reading: &mut Reading<'_>, kernels: &mut Kernels) {
    let modules = reading.list_optional(DKMS);
    for module in modules.iter().filter_map(|module| name(module)) {
        let versions = list_directory(reading, &format!("{DKMS}/{module}"));
        let mut versions: Vec<_> = versions
            .iter()
            .filter_map(|version| name(version))
            .collect();
        versions.retain(|version| !version.starts_with("kernel-") && *version != "original_module");
        kernels.truncated |= versions.len() > VERSION_LIMIT;
        for version in versions.into_iter().take(VERSION_LIMIT) {
            if kernels.dkms_modules.len() >= LIST_LIMIT {
                kernels.truncated = true;
                return;
            }
            let places = list_directory(reading, &format!("{DKMS}/{module}/{version}"));
            let releases = places
                .iter()
                .filter_map(|place| name(place))
                .filter(|place| place.starts_with(|c: char| c.is_ascii_digit()))
                .map(str::to_owned);
            kernels.dkms_modules.push(DkmsModule {
                name: module.to_owned(),
                version: version.to_owned(),
                built_releases: bounded(releases, LIST_LIMIT, &mut kernels.truncated),
            });
        }
    }
}

/// The names in what may also be a file: DKMS keeps its signing key beside its
/// modules.
fn list_directory(reading: &mut Reading<'_>, path: &str) -> Vec<String> {
    reading.list(path).unwrap_or_default()
}

/// Names in a file, one a line.
fn names_in(reading: &mut Reading<'_>, path: &str, truncated: &mut bool) -> Vec<String> {
    let text = reading.read_optional(path, LIMIT).unwrap_or_default();
    let mut names: Vec<String> = text.lines().filter_map(name).map(str::to_owned).collect();
    names.sort_unstable();
    names.dedup();
    bounded(names.into_iter(), LIST_LIMIT, truncated)
}

fn bounded(
    mut items: impl Iterator<Item = String>,
    limit: usize,
    truncated: &mut bool,
) -> Vec<String> {
    let kept = items.by_ref().take(limit).collect();
    *truncated |= items.next().is_some();
    kept
}

/// `Linux version RELEASE (builder) (compiler) #1 SMP …`: what `uname -v` gives.
fn build(text: &str) -> Result<String, FormatError> {
    let text = whole_lines(text)?.trim_end();
    let (_, build) = text
        .rsplit_once(" #")
        .ok_or_else(|| FormatError::malformed("no build of the kernel"))?;
    Ok(format!("#{}", short(build, 200)))
}

#[cfg(test)]
mod tests;
