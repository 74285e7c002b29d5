#!/bin/bash
# boot.sh FOLDER TREE: becomes a systemd that has just been booted. It is the first process of new namespaces (box.py).
#
# The root is an overlay: below, read-only, the file system TREE (/ for the machine's own), above a tmpfs under FOLDER.
# What this script mounts is seen by nobody outside, and gone with its last process. Of the machine itself nothing is
# changed: sysctls, sysrq and /sys are read-only inside, and no service of the machine is enabled.
set -euo pipefail
folder=$1 tree=$2
top=$folder/top new=$folder/top/root

mount --make-rprivate /
mkdir -p "$top"
mount -t tmpfs -o size=2g,mode=755 box "$top"
mkdir "$top/upper" "$top/work" "$new"
mount -t overlay -o "lowerdir=$tree,upperdir=$top/upper,workdir=$top/work" box "$new"

# the kernel's file systems
mount -t proc -o nosuid,nodev,noexec proc "$new/proc"
mount --bind "$new/proc/sys" "$new/proc/sys"
mount -o remount,bind,ro,nosuid,nodev,noexec "$new/proc/sys"
[ ! -e "$new/proc/sysrq-trigger" ] || mount --bind /dev/null "$new/proc/sysrq-trigger"
mount -t sysfs -o ro,nosuid,nodev,noexec sysfs "$new/sys"
mount -t cgroup2 -o nosuid,nodev,noexec cgroup2 "$new/sys/fs/cgroup"

# devices that harm nobody
mount -t tmpfs -o mode=755 tmpfs "$new/dev"
for device in null zero full random urandom tty; do
    : >"$new/dev/$device"
    mount --bind "/dev/$device" "$new/dev/$device"
done
mkdir "$new/dev/pts" "$new/dev/shm"
mount -t devpts -o newinstance,ptmxmode=0666,mode=620,gid=5 devpts "$new/dev/pts"
ln -s pts/ptmx "$new/dev/ptmx"
ln -s /proc/self/fd "$new/dev/fd"
for number in 0 1 2; do
    name=(stdin stdout stderr)
    ln -s "/proc/self/fd/$number" "$new/dev/${name[number]}"
done

# what a boot finds empty
for place in dev/shm:1777 tmp:1777 run:755 etc/systemd/system:755 var/log/journal:755; do
    mkdir -p "$new/${place%:*}"
    mount -t tmpfs -o "mode=${place#*:}" tmpfs "$new/${place%:*}"
done
mkdir "$new/run/lock"
: >"$new/etc/fstab"
rm -f "$new/etc/machine-id" "$new"/etc/rc?.d/S*
tr -d - </proc/sys/kernel/random/uuid >"$new/etc/machine-id"

# a small target instead of the machine's own; what needs hardware, or changes the kernel, is masked
units=$new/etc/systemd/system
printf '[Unit]\nRequires=basic.target\nAfter=basic.target\nAllowIsolate=yes\n' >"$units/box.target"
for unit in systemd-{sysctl,modules-load,random-seed,update-utmp,timesyncd,networkd,resolved,udevd,firstboot,remount-fs}.service \
    modprobe@.service getty@.service apt-daily.service apt-daily-upgrade.service \
    dev-hugepages.mount dev-mqueue.mount proc-sys-fs-binfmt_misc.automount \
    sys-kernel-{config,debug,tracing}.mount sys-fs-fuse-connections.mount \
    systemd-udevd-{kernel,control}.socket systemd-journald-audit.socket; do
    ln -s /dev/null "$units/$unit"
done

hostname box
ip link set lo up
cd "$new"
mkdir -p .outside
pivot_root . .outside
cd /
umount -l /.outside
rmdir /.outside
mount --make-rshared / # a container's manager does it for systemd; LoadCredential= needs it
exec env -i container=box LANG=C.UTF-8 PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin \
    /lib/systemd/systemd --system --unit=box.target --show-status=no --log-target=journal
