# mmdebstrap --essential-hook; $1 is the new root.
# Written before the remaining packages are unpacked and left in the image, so that
# packages installed later (by boxes or provisioners) leave their documentation out too.
# As --dpkgopt it would also apply to the first extraction, which mmdebstrap then
# filters in Perl: 12 s slower.
set -eu
cat > "$1/etc/dpkg/dpkg.cfg.d/rig-small" <<'CFG'
path-exclude=/usr/share/doc/*
path-include=/usr/share/doc/*/copyright
path-exclude=/usr/share/man/*
path-exclude=/usr/share/info/*
path-exclude=/usr/share/locale/*
path-include=/usr/share/locale/locale.alias
path-exclude=/usr/share/lintian/*
path-exclude=/usr/share/linda/*
CFG
