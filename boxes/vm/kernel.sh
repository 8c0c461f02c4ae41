# mmdebstrap --customize-hook or, where nothing is installed, --extract-hook; $1 is the new root.
# The kernel's package is unpacked, not installed: its scripts want an initrd to be made and a boot loader to be told, and
# bring 100 MB of packages for that. rig makes the initrd, and the kernel lies beside the disk.
set -eu
root=$1
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
export APT_CONFIG="$MMDEBSTRAP_APT_CONFIG"
eval "$(apt-config shell arch APT::Architecture)"
# The kernel for virtual machines: fewer drivers, ext4 built in. The package of that name only names the present one.
package=$(apt-cache depends "linux-image-cloud-$arch" | sed -n 's/.*Depends: \(linux-image-[0-9].*\)/\1/p' | head -n 1)
[ -n "$package" ] || { echo "E: the suite has no package linux-image-cloud-$arch" >&2; exit 1; }
# As the user that it is run by: nobody else may write where the package lies until it is unpacked.
apt-get -o APT::Sandbox::User=root download -q "$package" >&2
dpkg-deb --fsys-tarfile ./linux-image-*.deb | tar -x -C "$root" --keep-directory-symlink --exclude=./usr/share
# The boot loader for machines whose firmware has to find the kernel. Debian has it since version 12; QEMU needs none.
if [ -n "$(apt-cache pkgnames systemd-boot-efi)" ]; then
    apt-get -o APT::Sandbox::User=root download -q systemd-boot-efi >&2
    dpkg-deb --fsys-tarfile ./systemd-boot-efi_*.deb |
        tar -x -C "$root" --keep-directory-symlink --wildcards './usr/lib/systemd/boot/efi/systemd-boot*.efi'
fi
cd "$root"
mv boot/vmlinuz-* boot/vmlinuz
rm -f boot/config-* boot/System.map-*
# Cards that only clouds have, machines in the machine, laboratory hardware, disks for others. What containers need stays:
# overlay, bridges, veth, filters, file systems.
for modules in lib/modules/*; do
    for part in drivers/net/ethernet drivers/comedi drivers/target drivers/staging arch/x86/kvm; do
        rm -rf "$modules/kernel/$part"
    done
    chroot . depmod "${modules##*/}"
done
