#!/bin/busybox sh
# The init of the initrd: the drivers of the root disk, the root file system, and on to its own init. Kernels that are
# made for clouds have everything built in but these drivers.
b=/bin/busybox
$b mount -t devtmpfs dev /dev
# Their names begin with their turn.
for module in /modules/*; do
    $b insmod "$module"
done
root=/dev/vda
init=/sbin/init
$b mount -t proc proc /proc
read -r line </proc/cmdline
for word in $line; do
    case $word in
    root=*) root=${word#root=} ;;
    init=*) init=${word#init=} ;;
    esac
done
tries=0
# Of several disks of one controller each is found in its own time: which of them is the first is chance.
look() {
    case $root in
    LABEL=*) disk=$($b findfs "$root") ;;
    *) disk=$root ;;
    esac
    [ -b "$disk" ]
}
until look 2>/dev/null; do
    tries=$((tries + 1))
    # The end of process 1 is a panic, with these words on the console.
    [ $tries -le 50 ] || { echo "initrd: there is no root disk $root"; exit 1; }
    $b sleep 0.1
done
$b umount /proc
$b mount -t ext4 -o noatime "$disk" /system || { echo "initrd: $disk cannot be mounted"; exit 1; }
$b mount -o move /dev /system/dev
exec $b switch_root /system "$init"
