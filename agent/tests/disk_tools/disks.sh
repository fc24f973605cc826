# Two loop devices as the disks sdy and sdz of a node, one volume group on them; what
# the disk probe then replies is written into a tree, as a recording.
#
#   unshare --mount sh disks.sh PROGRAM LOOP LOOP GROUP TREE
#
# Of this machine's devices none can be seen: /dev is a new one. That there is
# device-mapper is pretended, for without it the probe asks nothing. Tools that need
# it say then that it is missing.
set -eu
program=$1 first=$2 second=$3 group=$4 tree=$5
replies=$tree/.pvelens/probe/disk

first=$(stat -c %Hr:%Lr "$first") second=$(stat -c %Hr:%Lr "$second")
mount -t tmpfs tmpfs /dev
mkdir /dev/mapper
mknod /dev/null c 1 3
mknod /dev/urandom c 1 9
mknod /dev/sdy b "${first%:*}" "${first#*:}"
mknod /dev/sdz b "${second%:*}" "${second#*:}"
for place in /run /etc/lvm /sys/class/misc /sys/block; do
    [ ! -d "$place" ] || mount -t tmpfs tmpfs "$place"
done
mkdir /sys/class/misc/device-mapper /sys/block/sdy /sys/block/sdz

exec >/dev/null
grep -o 'gaTTqP-[0-9-]*00001[01]' "$group" | while read -r id; do
    case $id in *0) disk=sdy ;; *) disk=sdz ;; esac
    pvcreate --quiet --quiet --uuid "$id" --restorefile "$group" "/dev/$disk"
done
# Volumes of a thin pool are restored to this state only when told so.
vgcfgrestore --force --file "$group" data

mkdir -p "$replies" "$tree/sys/class/misc/device-mapper" "$tree/sys/block/sdy" "$tree/sys/block/sdz"
ask() { # NAME REQUEST
    printf '%s\n' "$2" | "$program" answer-probe disk >"$replies/$1"
}
for report in vgs lvs pvs; do ask "$report" "{\"entry\":\"$report\"}"; done
ask dm_status.thin-pool '{"entry":"dm_status","target":"thin-pool"}'
for disk in sdy sdz; do ask "smart.$disk.auto" "{\"entry\":\"smart\",\"device\":\"$disk\"}"; done
