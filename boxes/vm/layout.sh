# mmdebstrap --customize-hook; $1 is the new root, $RIG_VM the folder with this box's files.
set -eu
cd "$1"
for file in vm-init vm-finish rig-seed; do
    install -m 755 "$RIG_VM/$file" "usr/local/sbin/$file"
done
install -D -m 755 "$RIG_VM/sshd-run" etc/s6/sshd/run
install -m 644 "$RIG_VM/sshd_config" etc/ssh/sshd_config
# Made when the box was built, host keys would be the same in every machine.
rm -f etc/ssh/ssh_host_*
# "*": no password fits, yet the account is not locked, for a locked one cannot log in with a key either.
chroot . useradd --create-home --shell /bin/bash --password '*' rig
printf 'rig ALL=(ALL) NOPASSWD:ALL\n' >etc/sudoers.d/rig
chmod 440 etc/sudoers.d/rig
# Each machine's own, or nobody's.
: >etc/machine-id
