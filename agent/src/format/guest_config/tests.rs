//! What is carried out of a guest's configuration, and what stays.

use proptest::prelude::*;
use pvelens_proto::agent::v1::VolumeKind;

use super::*;

const VM: &str = "#a note with p%3Ass\nagent: enabled=1,type=virtio\nargs: -append secret\nballoon: 192\n\
    boot: order=scsi0\ncipassword: $5$canary\ncores: 2\ncpu: host,flags=+aes\nide2: none,media=cdrom\n\
    ide3: local:cloudinit/vm-101-cloudinit.qcow2,media=cdrom\nmemory: 2048\nmeta: creation-qemu=9.0.2,ctime=1700000000\n\
    name: web%2D1\nnet0: virtio=bc:24:11:00:00:65,bridge=vmbr0,firewall=1,tag=7\nonboot: 1\nscsi0: tank:vm-101-disk-0,cache=unsafe,size=32G\n\
    scsi1: tank:vm-101-disk-1,backup=0,size=1G\nsshkeys: ssh-rsa%20AAAA\nhostpci0: 0000:01:00.0,pcie=1\ntags: prod;web\nunused0: tank:vm-101-disk-2\n\
    weird line\n\n[PENDING]\nmemory: 4096\ndelete: net0,!scsi1\n\n[special:cloudinit]\nname: x\n\n[before]\nparent: base\nsnaptime: 1790000000\nvmstate: tank:vm-101-state-before\nmemory: 1024\n";

#[test]
fn a_vm_keeps_its_settings_and_loses_its_secrets() {
    let config = parse(GuestKind::Qemu, 101, "pve1", VM);
    let settings = config.settings.as_ref().unwrap();
    assert_eq!(settings.name, "web-1");
    assert_eq!(settings.memory_bytes, Some(2048 << 20));
    assert_eq!(settings.cpu_type, "host");
    assert_eq!(settings.agent_enabled, Some(true));
    assert_eq!(settings.created_at.unwrap().seconds, 1_700_000_000);
    assert!(settings.has_description && settings.has_raw_arguments);
    assert_eq!(settings.dropped_keys, ["args", "cipassword", "sshkeys"]);
    assert_eq!(settings.nics[0].mac_address, "BC:24:11:00:00:65");
    assert_eq!(settings.nics[0].vlan_tag, Some(7));
    assert_eq!(settings.host_devices[0].host, "0000:01:00.0");
    let kinds: Vec<_> = settings
        .volumes
        .iter()
        .map(|v| (v.key.as_str(), v.kind(), v.backup))
        .collect();
    assert_eq!(
        kinds,
        [
            ("ide2", VolumeKind::Cdrom, false),
            ("ide3", VolumeKind::CloudInit, false),
            ("scsi0", VolumeKind::Disk, true),
            ("scsi1", VolumeKind::Disk, false),
            ("unused0", VolumeKind::Unused, false),
        ]
    );
    assert_eq!(settings.volumes[2].size_bytes, Some(32 << 30));
    let shown = format!("{config:?}");
    for secret in ["canary", "AAAA", "-append", "p%3Ass"] {
        assert!(!shown.contains(secret), "{secret}");
    }
}

#[test]
fn pending_changes_and_snapshots_are_not_the_current_state() {
    let config = parse(GuestKind::Qemu, 101, "pve1", VM);
    let pending = config.pending.unwrap();
    assert_eq!(pending.changed_keys, ["memory"]);
    assert_eq!(pending.deleted_keys, ["net0", "scsi1"]);
    assert_eq!(config.snapshots.len(), 1);
    assert_eq!(config.snapshots[0].taken_at.unwrap().seconds, 1_790_000_000);
    assert!(config.snapshots[0].has_memory_state);
    assert_eq!(config.malformed_lines, [22]);
}

#[test]
fn mount_points_of_a_container_are_backed_up_only_when_they_say_so() {
    let text = "hostname: dns1\nunprivileged: 1\nfeatures: nesting=1,keyctl=0,mount=nfs;cifs\nrootfs: local:110/root.raw,size=8G\n\
        mp0: tank:subvol-1,mp=/data,size=10G\nmp1: tank:subvol-2,mp=/kept,backup=1\nmp2: /etc,mp=/host,ro=1\nmp3: volume=/dev/sdb1,mp=/disk\n\
        dev0: /dev/ttyUSB0,mode=0660\nlxc.apparmor.profile: unconfined\nlxc.cap.drop =\nlxc.environment: TOKEN=canary\nswap: 256\n";
    let settings = parse(GuestKind::Lxc, 110, "pve1", text).settings.unwrap();
    let volumes: Vec<_> = settings
        .volumes
        .iter()
        .map(|v| (v.key.as_str(), v.kind(), v.backup, v.host_path.as_str()))
        .collect();
    assert_eq!(
        volumes,
        [
            ("rootfs", VolumeKind::Rootfs, true, ""),
            ("mp0", VolumeKind::MountPoint, false, ""),
            ("mp1", VolumeKind::MountPoint, true, ""),
            ("mp2", VolumeKind::BindMount, false, "/etc"),
            ("mp3", VolumeKind::Device, false, "/dev/sdb1"),
            ("dev0", VolumeKind::Device, false, "/dev/ttyUSB0"),
        ]
    );
    assert_eq!(settings.features, ["nesting", "mount=nfs;cifs"]);
    assert_eq!(settings.confinement_lines.len(), 2);
    assert_eq!(settings.confinement_lines[1].value, "");
    assert_eq!(settings.other_raw_lxc_lines, 1);
    assert_eq!(settings.dropped_keys, ["lxc.environment"]);
    assert!(!format!("{settings:?}").contains("canary"));
}

#[test]
fn settings_that_decide_about_moving_and_starting_are_carried() {
    let text = "affinity: 0-3,8\nagent: 1,freeze-fs-on-backup=0\nargs: -vnc :1,password=canary\nboot: order=scsi0;net0\nbootdisk: scsi0\n\
        cpu: x86-64-v3,flags=+aes;-svm,phys-bits=host\nefidisk0: tank:vm-1-disk-1,efitype=4m,ms-cert=2011,pre-enrolled-keys=1\n\
        hookscript: local:snippets/hook.pl\nhostpci0: mapping=gpu,mdev=nvidia-63\nipconfig0: ip=192.0.2.7/24,gw=192.0.2.1,ip6=auto\nipconfig3: ip=dhcp\n\
        net0: virtio=BC:24:11:00:00:65,bridge=vmbr0,queues=4,trunks=7;10-20\nscsi0: tank:vm-1-disk-0,aio=native,iops_wr=500,mbps=0,rerror=stop,snapshot=1,werror=report\n\
        tpmstate0: tank:vm-1-disk-2,version=v2.0\nvga: virtio,clipboard=vnc\n";
    let settings = parse(GuestKind::Qemu, 1, "n", text).settings.unwrap();
    assert_eq!(settings.dropped_keys, ["args", "ipconfig3"]);
    assert_eq!(settings.cpu_affinity, "0-3,8");
    assert_eq!(settings.agent_freezes_filesystems, Some(false));
    assert_eq!(settings.raw_argument_kinds, ["vnc"]);
    assert_eq!(settings.boot_order, ["scsi0", "net0"]);
    assert_eq!(settings.boot_disk, "scsi0");
    assert_eq!(settings.cpu_flags, ["+aes", "-svm"]);
    assert_eq!(settings.cpu_physical_bits, "host");
    assert_eq!(settings.hook_script_storage, "local");
    assert_eq!(settings.hook_script_volume, "snippets/hook.pl");
    assert_eq!(settings.host_devices[0].mediated_type, "nvidia-63");
    assert_eq!(
        (
            settings.display_type.as_str(),
            settings.display_clipboard.as_str()
        ),
        ("virtio", "vnc")
    );
    let [nic] = settings.nics.as_slice() else {
        panic!("{:?}", settings.nics);
    };
    assert_eq!(
        (nic.ipv4_address.as_str(), nic.ipv6_address.as_str()),
        ("192.0.2.7/24", "auto")
    );
    assert_eq!(nic.queues, Some(4));
    assert_eq!(nic.trunk_vlans, ["7", "10-20"]);
    let [efi, disk, tpm] = settings.volumes.as_slice() else {
        panic!("{:?}", settings.volumes);
    };
    assert_eq!(
        (efi.efi_type.as_str(), efi.efi_certificate.as_str()),
        ("4m", "2011")
    );
    assert_eq!(efi.has_enrolled_keys, Some(true));
    assert_eq!(tpm.tpm_version, "v2.0");
    assert_eq!(disk.aio, "native");
    assert!(disk.discards_writes);
    assert_eq!(
        (
            disk.write_error_policy.as_str(),
            disk.read_error_policy.as_str()
        ),
        ("report", "stop")
    );
    let limits = disk.limits.unwrap();
    assert_eq!(limits.write_operations_per_second, Some(500));
    // 0 is none.
    assert_eq!(limits.megabytes_per_second, None);
    assert!(!format!("{settings:?}").contains("canary"));
    let older = parse(GuestKind::Qemu, 1, "n", "boot: cdn\n")
        .settings
        .unwrap();
    assert_eq!(
        (older.boot_letters.as_str(), older.boot_order.len()),
        ("cdn", 0)
    );
    let container = "net0: name=eth0,bridge=vmbr0,ip=192.0.2.8/24,ip6=canary\n";
    let container = parse(GuestKind::Lxc, 2, "n", container).settings.unwrap();
    assert_eq!(container.nics[0].ipv4_address, "192.0.2.8/24");
    assert_eq!(container.nics[0].ipv6_address, "");
}

#[test]
fn snapshots_name_their_machine_and_what_they_need() {
    let text = "name: x\n[s]\nmachine: pc-q35-9.0\nrunningmachine: pc-q35-9.0+pve0\nvmstate: tank:vm-1-state-s\n\
        scsi0: tank:vm-1-disk-0,size=1G\nide2: none,media=cdrom\ncipassword: canary\n";
    let config = parse(GuestKind::Qemu, 1, "n", text);
    let [snapshot] = config.snapshots.as_slice() else {
        panic!("{config:?}");
    };
    assert_eq!(snapshot.machine, "pc-q35-9.0");
    assert_eq!(snapshot.running_machine, "pc-q35-9.0+pve0");
    let volumes: Vec<_> = snapshot
        .volumes
        .iter()
        .map(|volume| (volume.key.as_str(), volume.volume.as_str()))
        .collect();
    assert_eq!(
        volumes,
        [("vmstate", "vm-1-state-s"), ("scsi0", "vm-1-disk-0")]
    );
    assert!(!format!("{config:?}").contains("canary"));
}

#[test]
fn the_cloud_init_drive_lacks_what_changed_since_and_what_is_new() {
    let text = "ciuser: new\ncipassword: $5$canary\nname: x\nsshkeys: canary\n\
        [special:cloudinit]\nadded: sshkeys,gone\nciuser: old\ncipassword: $5$canary-before\nname: x\n";
    let config = parse(GuestKind::Qemu, 1, "n", text);
    assert_eq!(
        config.stale_cloud_init_keys,
        ["cipassword", "ciuser", "sshkeys"]
    );
    assert!(config.snapshots.is_empty());
    assert!(!format!("{config:?}").contains("canary"));
}

proptest! {
    #[test]
    fn any_text_gives_a_configuration(text in "([a-z]{1,8}[0-9]{0,2}: ?\\PC{0,20}\n|\\[\\PC{0,8}\\]\n|#\\PC{0,9}\n|lxc.\\PC{0,9}\n|\\PC{0,20}\n?){0,12}") {
        for kind in [GuestKind::Qemu, GuestKind::Lxc] {
            let config = parse(kind, 100, "n", &text);
            prop_assert!(config.settings.is_some());
        }
    }

    #[test]
    fn numbers_come_back(cores in 1_u32..512, memory in 16_u64..1_000_000, onboot: bool, name in "[a-z][a-z0-9-]{0,20}") {
        let text = format!("name: {name}\ncores: {cores}\nmemory: {memory}\nonboot: {}\n", u8::from(onboot));
        let settings = parse(GuestKind::Qemu, 100, "n", &text).settings.unwrap();
        prop_assert_eq!(settings.name, name);
        prop_assert_eq!(settings.cores, Some(cores));
        prop_assert_eq!(settings.memory_bytes, Some(memory << 20));
        prop_assert_eq!(settings.start_on_boot, Some(onboot));
    }
}
