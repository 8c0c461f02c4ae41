# mmdebstrap --customize-hook; $1 is the new root.
set -eu
cd "$1"
# What was extracted before essential.sh wrote the exclusions. Copyright files stay.
find usr/share/doc -mindepth 2 ! -type d ! -name copyright -delete
find usr/share/doc -depth -mindepth 1 -type d -empty -delete
find usr/share/man usr/share/info usr/share/lintian usr/share/locale ! -type d ! -name locale.alias -delete 2>/dev/null || :
find usr/share/man usr/share/locale usr/share/lintian -depth -mindepth 1 -type d -empty -delete 2>/dev/null || :
# update-alternatives of some packages (OpenJDK) fails without these folders.
for n in 1 2 3 4 5 6 7 8 9; do mkdir -p "usr/share/man/man$n"; done
rm -f var/cache/debconf/*-old var/log/apt/* var/log/dpkg.log var/log/alternatives.log var/log/bootstrap.log
rm -f var/cache/ldconfig/aux-cache var/cache/apt/*.bin
# These describe the machine that built the box. The engine supplies its own.
rm -f etc/resolv.conf etc/hostname
# The day on which the box was built, as that of each account's last change of password: the same packages would make another
# file on the next day. Empty is "no ageing" (shadow(5)), which holds for accounts that have no password.
sed -i 's/^\([^:]*:[^:]*\):[0-9]*:/\1::/' etc/shadow
rm -f etc/shadow- etc/passwd- etc/group- etc/gshadow-
# No service starts while packages are installed in an image; there is no init there.
printf '#!/bin/sh\nexit 101\n' > usr/sbin/policy-rc.d
chmod 755 usr/sbin/policy-rc.d
# Boxes install what they name and keep no copies of it.
printf '%s\n' 'APT::Install-Recommends "false";' 'Acquire::Languages "none";' \
  'Acquire::Retries "3";' \
  'APT::Keep-Downloaded-Packages "false";' \
  'Dir::Cache::pkgcache "";' 'Dir::Cache::srcpkgcache "";' > etc/apt/apt.conf.d/90rig-small
rm -f etc/apt/apt.conf.d/99mmdebstrap
# Unsafe I/O is safe here: a layer that was interrupted is thrown away.
printf 'force-unsafe-io\n' > etc/dpkg/dpkg.cfg.d/rig-unsafe-io
