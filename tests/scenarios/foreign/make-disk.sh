#!/bin/bash
# Makes a disk of the system that this runs in, as the makers of cloud images and of Vagrant's boxes make theirs: GRUB in its first
# sectors, one partition that is less than the disk, cloud-init, and a user `vagrant` whom the published key lets in.
# $1: the disk. $2: the published key.
set -euo pipefail
disk=$1 key=$2
work=/build root=/build/root
mkdir -p $root

useradd --create-home --shell /bin/bash vagrant
echo 'vagrant ALL=(ALL) NOPASSWD:ALL' >/etc/sudoers.d/vagrant
install -d -o vagrant -g vagrant -m 700 ~vagrant/.ssh
echo "$key" >~vagrant/.ssh/authorized_keys
chown vagrant: ~vagrant/.ssh/authorized_keys
chmod 600 ~vagrant/.ssh/authorized_keys
# Where cloud-init finds nothing to read it changes nothing, and the first card asks for its address.
printf '[Match]\nMACAddress=52:54:00:00:00:01\n[Network]\nDHCP=yes\n' >/etc/systemd/network/80-dhcp.network
systemctl -q enable systemd-networkd systemd-resolved
systemctl -q mask systemd-networkd-wait-online
echo '/dev/vda1 / ext4 defaults 0 1' >/etc/fstab

# What is mounted here is not the system's, and nothing says that it is a container.
tar --one-file-system --exclude=./.dockerenv --exclude=.$work --exclude='./boot/grub/*' -C / -cf - . | tar --numeric-owner -xpf - -C $root
mkdir -p $root/{dev,proc,run,sys,tmp}
chmod 1777 $root/tmp
: >$root/etc/machine-id
echo foreign >$root/etc/hostname
echo '127.0.0.1 localhost' >$root/etc/hosts
ln -sf ../run/systemd/resolve/stub-resolv.conf $root/etc/resolv.conf

# Sectors of 512 bytes.
cd $work
begin=2048 size=$((2500 << 11))
truncate -s $((size * 512)) system.img
mke2fs -q -F -t ext4 -d $root system.img
cat >grub.cfg <<X
set root=(hd0,msdos1)
linux /vmlinuz root=/dev/vda1 ro console=ttyS0 quiet
initrd /initrd.img
boot
X
grub-mkimage -O i386-pc -p /boot/grub -c grub.cfg -o core.img biosdisk part_msdos ext2 linux
truncate -s $(((begin + size) * 512)) raw.img
echo "$begin,$size,83,*" | sfdisk --quiet raw.img
dd if=system.img of=raw.img bs=1M seek=1 conv=notrunc,sparse status=none
dd if=core.img of=raw.img bs=512 seek=1 conv=notrunc status=none
dd if=/usr/lib/grub/i386-pc/boot.img of=raw.img bs=440 count=1 conv=notrunc status=none
cp --sparse=always raw.img "$disk"
rm -rf $work
