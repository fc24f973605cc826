use proptest::prelude::*;

use super::*;
use crate::collector::tests::sample;

fn kernels(files: &[(&str, &str)]) -> Kernels {
    let sample = sample(&COLLECTOR, files);
    assert_eq!(sample.failures, []);
    assert!(!format!("{sample:?}").contains("canary"));
    match sample.payload {
        Some(Payload::Kernels(kernels)) => kernels,
        other => panic!("{other:?}"),
    }
}

fn shown(flags: &[pvelens_proto::agent::v1::KernelFlag]) -> Vec<String> {
    flags
        .iter()
        .map(|flag| format!("{}={}", flag.name, flag.value))
        .collect()
}

#[test]
fn the_build_is_what_uname_gives() {
    let text = "Linux version 6.17.2-1-pve (build@proxmox) (gcc (Debian 14) 14, GNU ld 2.44) #1 SMP PREEMPT_DYNAMIC PMX 6.17.2-1 (2025-10-21T11:55Z)\n";
    let expected = "#1 SMP PREEMPT_DYNAMIC PMX 6.17.2-1 (2025-10-21T11:55Z)";
    assert_eq!(build(text).unwrap(), expected);
    assert!(build("Linux\n").is_err());
    assert!(build("").is_err());
}

#[test]
fn only_known_flags_of_a_command_line_are_carried() {
    let all = kernels(&[
        (
            "proc/cmdline",
            "BOOT_IMAGE=/canary root=ZFS=rpool/canary ro quiet mitigations=off secret=canary nopti intel_iommu=on\n",
        ),
        (
            "etc/default/grub",
            "GRUB_DEFAULT=\"Advanced canary>canary\"\nGRUB_CMDLINE_LINUX_DEFAULT='quiet psi=1' # canary\nGRUB_CMDLINE_LINUX=\"password=canary mitigations=auto\"\n",
        ),
        ("etc/default/grub.d/pin.cfg", "GRUB_DEFAULT=saved\n"),
        ("etc/kernel/cmdline", "root=canary iommu=pt\n"),
    ]);
    assert_eq!(
        shown(&all.flags),
        ["mitigations=off", "nopti=", "intel_iommu=on"]
    );
    assert_eq!(shown(&all.grub_flags), ["mitigations=auto", "psi=1"]);
    assert_eq!(shown(&all.systemd_boot_flags), ["iommu=pt"]);
    assert_eq!(all.grub_default(), GrubDefault::Saved);
}

#[test]
fn what_is_not_there_is_unset() {
    let all = kernels(&[]);
    assert_eq!(all, Kernels::default());
}

#[test]
fn pins_images_and_partitions_are_read() {
    let all = kernels(&[
        ("etc/kernel/proxmox-boot-pin", "6.14.11-4-pve\n"),
        ("etc/kernel/next-boot-pin", "6.17.2-1-pve"),
        ("etc/kernel/proxmox-boot-uuids", "AAAA-BBBB\n\nCCCC-DDDD\n"),
        ("etc/kernel/proxmox-boot-manual-kernels", "6.8.12-4-pve\n"),
        ("boot/vmlinuz-6.17.2-1-pve", ""),
        ("boot/initrd.img-6.17.2-1-pve", ""),
        ("sys/firmware/efi/fw_platform_size", "64\n"),
    ]);
    assert_eq!(all.pinned_release, "6.14.11-4-pve");
    assert_eq!(all.next_boot_release, "6.17.2-1-pve");
    assert_eq!(all.boot_partition_count, Some(2));
    assert_eq!(all.kept_releases, ["6.8.12-4-pve"]);
    assert_eq!(all.boot_releases, ["6.17.2-1-pve"]);
    assert_eq!(all.efi_platform_bits, Some(64));
    assert!(!all.truncated);
}

#[test]
fn modules_of_dkms_are_known_with_the_kernels_they_were_built_for() {
    let all = kernels(&[
        (
            "var/lib/dkms/r8168/8.055/6.17.2-1-pve/x86_64/module/r8168.ko",
            "",
        ),
        ("var/lib/dkms/r8168/8.055/source@", "/usr/src/r8168-8.055"),
        (
            "var/lib/dkms/r8168/kernel-6.17.2-1-pve-x86_64@",
            "8.055/6.17.2-1-pve/x86_64",
        ),
        ("var/lib/dkms/new/1/build/x", ""),
        ("var/lib/dkms/mok.pub", ""),
    ]);
    let modules: Vec<_> = all
        .dkms_modules
        .iter()
        .map(|module| {
            (
                module.name.as_str(),
                module.version.as_str(),
                module.built_releases.len(),
            )
        })
        .collect();
    assert_eq!(modules, [("new", "1", 0), ("r8168", "8.055", 1)]);
}

proptest! {
    #[test]
    fn any_text_parses_or_fails(text in "((GRUB_DEFAULT|export X)=?[\"']?\\PC{0,9}[\"']?\n|mitigations=\\PC{0,9} |\\PC{0,9}\n?| #){0,6}") {
        drop(build(&text));
        drop(flags::parse(&text));
        let _ = assignments(&text).count();
    }
}
