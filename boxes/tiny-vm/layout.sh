# mmdebstrap --extract-hook; $1 is the new root, into which packages were unpacked and nothing was installed; $RIG_VM is the
# folder with this box's files. Leaves what a machine needs in which somebody is let in, and removes everything else.
set -eu
root=$1
new=$root/tiny
mkdir -p "$new"
cd "$new"
mkdir -p boot dev etc/s6/sshd etc/ssh etc/pam.d etc/sudoers.d home mnt opt proc root run srv sys tmp usr/bin usr/sbin usr/lib usr/local/bin usr/local/sbin var/cache \
    var/lib var/log var/tmp
chmod 700 root
chmod 1777 tmp var/tmp
for folder in bin sbin lib lib32 lib64 libx32; do
    if [ -L "$root/$folder" ]; then
        cp -a "$root/$folder" .
        mkdir -p "usr/$folder"
    fi
done
ln -s ../run var/run
# What links the others.
loader=
for file in "$root"/lib64/ld-linux-*.so.* "$root"/lib/ld-linux-*.so.*; do
    [ -z "$loader" ] && [ -e "$file" ] && loader=${file#"$root"}
done
[ -n "$loader" ] || { echo "E: the suite's libc has no loader that is known" >&2; exit 1; }
bring() {
    [ ! -e ".$1" ] || return 0
    mkdir -p ".$(dirname "$1")"
    cp -pL "$root$1" ".$1"
}
# A program or a plugin with the libraries that it names.
program() {
    bring "$1"
    # A program that needs no library has no list of them.
    if ! list=$(chroot "$root" "$loader" --list "$1" 2>&1); then
        case $list in *"statically linked"* | *"not a dynamic"*) return ;; esac
        echo "E: the libraries of $1 cannot be listed: $list" >&2
        exit 1
    fi
    case $list in *"not found"*) echo "E: a library of $1 is missing: $list" >&2 && exit 1 ;; esac
    for library in $(printf '%s\n' "$list" | grep -o '/[^ ]*'); do
        bring "$library"
    done
}
security=$(dirname "$(cd "$root" && echo usr/lib/*/security/pam_permit.so)")
for file in /usr/bin/busybox /bin/busybox; do
    [ ! -e "$root$file" ] || busybox=$file
done
bring "$busybox"
for file in /usr/sbin/dropbear /usr/bin/dropbearconvert /usr/bin/sudo /usr/bin/getent /usr/lib/openssh/sftp-server \
    /usr/libexec/sudo/sudoers.so "/$security/pam_permit.so"; do
    program "$file"
done
for file in "$root"/usr/bin/s6-*; do
    program "${file#"$root"}"
done
for applet in $(chroot "$root" "$busybox" --list); do
    [ -e "usr/bin/$applet" ] || ln -s busybox "usr/bin/$applet"
done
mkdir -p usr/share/doc
for package in busybox-static dropbear-bin libc6 libpam-modules openssh-sftp-server s6 sudo; do
    [ ! -e "$root/usr/share/doc/$package/copyright" ] || bring "/usr/share/doc/$package/copyright"
done

for file in vm-init vm-finish rig-seed; do
    install -m 755 "$RIG_VM/$file" "usr/local/sbin/$file"
done
install -m 755 "$RIG_VM/sshd-run" etc/s6/sshd/run
cat >etc/passwd <<'X'
root:x:0:0:root:/root:/bin/sh
nobody:x:65534:65534:nobody:/nonexistent:/bin/false
rig:x:1000:1000:rig:/home/rig:/bin/sh
X
cat >etc/group <<'X'
root:x:0:
tty:x:5:
nogroup:x:65534:
rig:x:1000:
X
# "*": no password fits, yet the account is not locked, for a locked one cannot log in with a key either.
sed 's/^\([^:]*\):.*/\1:*:::::::/' etc/passwd >etc/shadow
chmod 640 etc/shadow
printf '%s\n' /bin/sh >etc/shells
printf '%s\n' 'passwd: files' 'group: files' 'shadow: files' 'hosts: files dns' >etc/nsswitch.conf
printf '%s\n' '127.0.0.1 localhost' >etc/hosts
# Who may become root is said below, and nobody has a password to be asked for.
printf '%s required pam_permit.so\n' auth account session >etc/pam.d/sudo
cp etc/pam.d/sudo etc/pam.d/sudo-i
printf '%s\n' 'Defaults secure_path="/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"' 'root ALL=(ALL:ALL) ALL' \
    '@includedir /etc/sudoers.d' >etc/sudoers
printf 'rig ALL=(ALL) NOPASSWD:ALL\n' >etc/sudoers.d/rig
chmod 440 etc/sudoers etc/sudoers.d/rig
cp "$root/etc/os-release" etc/os-release 2>/dev/null || cp "$root/usr/lib/os-release" etc/os-release 2>/dev/null || :
mkdir -p home/rig
chown 1000:1000 home/rig
chmod 700 home/rig
: >etc/machine-id

mv "$root/boot/vmlinuz" boot/
if [ -d "$root/usr/lib/systemd/boot" ]; then
    mkdir -p usr/lib/systemd
    mv "$root/usr/lib/systemd/boot" usr/lib/systemd/
fi
mv "$root/usr/lib/modules" usr/lib/ 2>/dev/null || mv "$root/lib/modules" usr/lib/
# mmdebstrap removes this file itself, and fails without it.
mkdir -p etc/apt/apt.conf.d
: >etc/apt/apt.conf.d/00mmdebstrap
cd "$root"
# /dev stays: without rights of its own, mmdebstrap has the host's devices in it.
for entry in * .[!.]*; do
    case $entry in tiny | dev | '*' | '.[!.]*') ;; *) rm -rf "${entry:?}" ;; esac
done
rmdir tiny/dev
mv tiny/* .
rmdir tiny
