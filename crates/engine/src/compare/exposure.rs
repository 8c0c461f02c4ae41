//! Asking a machine what it exposes.

use crate::{
    Access, EngineError,
    drift::{Inside, PACKAGES},
};
use bytes::Bytes;
use rig_compare::surface::{FORMAT, Process, Profile, profile};
use rig_model::MachineSpec;
use rig_provider_api::Context;

/// Prints processes with their rights: the kernel's own word. Processes that come after the list was made, as the helpers of
/// this very program, are not in it, nor are threads of the kernel itself, which have no memory.
const PROCESSES: &str = r#"
logins=
for folder in /proc/[0-9]*; do
    pid=${folder#/proc/}
    [ "$pid" != "$$" ] || continue
    uid= gid= name= memory= effective= bounding= privileges=0 seccomp=0
    while read -r key value rest; do
        case $key in
        Name:) name=$value${rest:+ $rest} ;;
        Uid:) uid=$value ;;
        Gid:) gid=$value ;;
        VmSize:) memory=$value ;;
        CapEff:) effective=$value ;;
        CapBnd:) bounding=$value ;;
        NoNewPrivs:) privileges=$value ;;
        Seccomp:) seccomp=$value; break ;;
        esac
    done 2>/dev/null <"$folder/status"
    [ -n "$memory" ] && [ -n "$bounding" ] || continue
    case $name in sshd | dropbear | telnetd | agetty | getty) logins=$logins$name' runs
' ;; esac
    printf '%s %s %s %s %s %s %s %s\t' "$pid" "$uid" "$gid" "$effective" "$bounding" "$privileges" "$seccomp" "$name"
    tr '\0\n' '\037 ' 2>/dev/null <"$folder/cmdline"
    printf '\n'
done
"#;

/// Prints sockets, and files that lend rights.
const REACH: &str = r#"
printf '\0'
cat /proc/net/tcp /proc/net/tcp6 2>/dev/null
printf '\0'
if find / -maxdepth 0 -perm /7777 >/dev/null 2>&1; then
    find / -xdev \( -path /proc -o -path /sys -o -path /dev \) -prune -o -type f -perm /6000 -print 2>/dev/null
else printf '?'; fi
printf '\0'
"#;

/// Prints shells, ways to log in and the options of the root's mount.
const ACCOUNTS: &str = r#"
printf '\0'
for folder in /bin /usr/bin /usr/local/bin; do
    for name in sh ash bash dash zsh ksh mksh csh tcsh fish busybox; do
        [ ! -x "$folder/$name" ] || readlink -f "$folder/$name"
    done
done | sort -u
printf '\0'
printf '%s' "$logins" | sort -u
while IFS=: read -r name password rest; do
    case $password in
    '') printf 'no password: %s\n' "$name" ;;
    '!'* | '*'* | x) ;;
    *) printf 'password: %s\n' "$name" ;;
    esac
done 2>/dev/null </etc/shadow
while IFS=: read -r name password uid gid info home shell; do
    [ ! -s "$home/.ssh/authorized_keys" ] || printf 'key: %s\n' "$name"
done 2>/dev/null </etc/passwd
printf '\0'
options=
while read -r device at type rest; do
    [ "$at" != / ] || options=${rest%% *}
done 2>/dev/null </proc/mounts
printf '%s\n' "$options"
"#;

/// Asks a running machine.
pub(super) async fn look(cx: &Context, access: &Access, machine: &MachineSpec) -> Result<Profile, EngineError> {
    ask(cx, access, machine, &format!("{PROCESSES}{REACH}{PACKAGES}{ACCOUNTS}")).await
}

/// Asks a running machine for its processes alone.
pub(super) async fn processes(
    cx: &Context,
    access: &Access,
    machine: &MachineSpec,
) -> Result<Vec<Process>, EngineError> {
    // All the other parts are empty.
    let program = format!("{PROCESSES}printf '\\0\\0\\0\\0\\0\\0'");
    Ok(ask(cx, access, machine, &program).await?.processes)
}

async fn ask(cx: &Context, access: &Access, machine: &MachineSpec, program: &str) -> Result<Profile, EngineError> {
    let inside = Inside::enter(cx, access, machine).await?;
    let program = format!("printf '{FORMAT}\\n\\0'{program}");
    let output = inside.run(cx, &program, Bytes::new()).await?;
    profile(&String::from_utf8_lossy(&output.stdout)).ok_or_else(|| EngineError::Host {
        doing: format!("looking at what machine {} exposes", machine.id),
        why: match String::from_utf8_lossy(&output.stderr).trim() {
            "" => "its shell gave no answer".to_owned(),
            said => said.to_owned(),
        },
    })
}
