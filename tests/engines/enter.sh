#!/bin/bash
# enter.sh ROOT FOLDER COMMAND...: runs a command in the root file system ROOT, in mounts of its own, in which FOLDER has
# the same path as outside. A chroot is not enough: an engine mounts "/" anew, so that has to be a mount.
set -eu
root=$1 folder=$2
shift 2
mount --make-rprivate /
mount --bind "$root" "$root"
mkdir -p "$root/.old"
for one in /proc /sys /dev "$folder"; do mkdir -p "$root$one"; mount --rbind "$one" "$root$one"; done
cd "$root"
pivot_root . .old
umount -l /.old
export PATH=/usr/sbin:/usr/bin:/sbin:/bin
exec "$@"
