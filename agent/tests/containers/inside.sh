# Makes what a hostile container could have mounted below a directory, and stays as
# the first process of its namespace, with that directory for its root.
#
#   inside.sh DIRECTORY OPTIONS-OF-OVERLAY FUSE-DEVICE
set -e
root=$1
mount -t tmpfs -o size=16m,nr_inodes=4096,mode=755 root "$root"
cd "$root"
mkdir -p usr run data self closed/inner covered lower upper work merged private/x z
mkdir -p var/lib/docker/overlay2 var/lib/docker/vfs
for link in bin lib lib64 sbin; do ln -s "usr/$link" "$link"; done
# A directory of the node.
mount --bind /usr usr
mount -t tmpfs -o size=3m,nr_inodes=77 data data
mkdir "data/deep er"
mount -t tmpfs -o size=1m deep "data/deep er"
head -c 300000 /dev/zero >"data/deep er/file"
mount -t tmpfs -o size=1m run run
mount -t tmpfs -o size=1m inner closed/inner
mount -t tmpfs -o size=1m below covered
mount -t tmpfs -o size=2m above covered
# Where a link leads to at the time, and not any more.
mkdir moved
ln -s moved way
mkdir moved/point
mount -t tmpfs -o size=1m point way/point
mv moved elsewhere
rm way
ln -s /usr moved
mount -t tmpfs -o size=2m private private/x
mount -t overlay -o "lowerdir=lower,upperdir=upper,workdir=work$2" overlay merged
chmod 700 private
chmod 710 var/lib/docker
# Five thousand mounts.
for number in $(seq 50); do
    mkdir "z/$number"
    mount -t tmpfs -o size=64k z "z/$number"
done
for copy in $(seq 100); do
    mkdir "z$copy"
    mount --rbind z "z$copy"
done
# The root itself.
mount --bind . self
# A file system that nobody serves, over a mount that is alive.
exec 3<>"$3"
mount -i -t fuse -o fd=3,rootmode=40000,user_id=0,group_id=0 hanging closed
read -r pid rest </proc/self/stat
exec chroot . /bin/sh -c 'echo "$1"; exec sleep 3600' sh "$pid"
