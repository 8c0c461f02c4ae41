#!/bin/bash
# Makes the guest's disk, inside the file system that has the tools. $1: the public key that lets the user `vagrant` in. Leaves
# /guest/disk.raw: a BIOS disk with GRUB's core image behind the boot sector, the kernel from sector 2048 by its block list, and an ext4
# file system in the first partition.
set -euo pipefail
key=$1
here=$(dirname "$(realpath "$0")")
guest=/guest
mkdir -p $guest

if [ ! -e $guest/vmlinuz ]; then
    cd /usr/src
    tar xf linux-source-*.tar.xz
    cd linux-source-*/
    make -s tinyconfig
    scripts/kconfig/merge_config.sh -m .config "$here/kernel.config"
    make -s olddefconfig
    while IFS== read -r name value; do
        case $name in CONFIG_*) [ "$value" = n ] || grep -qx "$name=$value" .config || { echo "not set: $name"; exit 1; } ;; esac
    done <"$here/kernel.config"
    make -s -j"$(nproc)" bzImage
    cp arch/x86/boot/bzImage $guest/vmlinuz
    cd ..
    rm -rf linux-source-*/
fi

root=$guest/root
rm -rf $root
mkdir -p $root/{bin,dev,etc/dropbear,home/vagrant/.ssh,mnt,proc,root,run,sbin,srv,sys,tmp,usr/bin,usr/local/bin,usr/sbin,var/lib,var/log}
ln -s ../run $root/var/run
cp /bin/busybox $root/bin/
for applet in $(/bin/busybox --list); do
    [ "$applet" = busybox ] || ln -s busybox "$root/bin/$applet"
done
for name in sh env; do ln -sf ../../bin/busybox "$root/usr/bin/$name"; done
cp /usr/sbin/dropbear $root/bin/
gcc -O2 -static -o $root/bin/seed "$here/seed.c"
gcc -O2 -static -o $root/bin/sudo "$here/sudo.c" 2>/dev/null
chmod 4755 $root/bin/sudo
head -c 64 /dev/urandom >$root/etc/seed
for library in $(ldd /usr/sbin/dropbear | grep -o '/[^ ]*'); do
    mkdir -p "$root$(dirname "$library")"
    cp -L "$library" "$root$library"
done
printf 'root:x:0:0:root:/root:/bin/sh\nvagrant:x:1000:1000::/home/vagrant:/bin/sh\nnobody:x:65534:65534::/:/bin/sh\n' >$root/etc/passwd
printf 'root:*:::::::\nvagrant:*:::::::\n' >$root/etc/shadow
printf 'root:x:0:\nvagrant:x:1000:\nnogroup:x:65534:\n' >$root/etc/group
echo /bin/sh >$root/etc/shells
echo guest >$root/etc/hostname
echo '127.0.0.1 localhost' >$root/etc/hosts
echo "$key" >$root/home/vagrant/.ssh/authorized_keys
chmod 700 $root/home/vagrant/.ssh
chown -R 1000:1000 $root/home/vagrant
install -m 755 "$here/init" $root/sbin/init
install -m 755 "$here/getent" $root/bin/getent
install -D -m 755 "$here/power" $root/etc/acpi/PWRF/00000080

# Sectors of 512 bytes.
sectors() { echo $((($(stat -c %s "$1") + 511) / 512)); }
cd $guest
begin=32768 size=98304
truncate -s $((size * 512)) system.img
mke2fs -q -F -t ext4 -d $root system.img
cat >grub.cfg <<X
linux (hd0)2048+$(sectors vmlinuz) root=/dev/sda1 rw console=ttyS0 quiet panic=-1 tsc=reliable init=/sbin/init
boot
X
grub-mkimage -O i386-pc -p /none -c grub.cfg -o core.img biosdisk linux
rm -f disk.raw
truncate -s $(((begin + size) * 512)) disk.raw
put() { dd if="$1" of=disk.raw bs=512 seek="$2" conv=notrunc,sparse status=none; }
echo "$begin,$size,83" | sfdisk --quiet disk.raw
put core.img 1
put vmlinuz 2048
put system.img $begin
dd if=/usr/lib/grub/i386-pc/boot.img of=disk.raw bs=440 count=1 conv=notrunc status=none
rm system.img
