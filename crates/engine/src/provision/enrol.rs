//! First contact: the machine learns the workspace's key, and rig learns the machine's host keys. Both go through the
//! provider, which is trusted to reach the machine that it made; nothing is believed that only the network says.

use crate::{EngineError, run_command};
use rig_provider_api::{Context, ExecRequest, MachineRef, Provider};
use rig_ssh::HostKey;
use std::time::Duration;

/// How long a machine may take to make its host keys after its start.
const LIMIT: Duration = Duration::from_secs(60);

/// How much of the output is kept, in bytes: some lines of keys.
const KEPT: usize = 16 << 10;

/// Arguments: the user, the public key. Prints the host keys.
const SCRIPT: &str = r#"
set -eu
home=$(getent passwd "$1" | cut -d: -f6)
[ -n "$home" ] || { echo "there is no user $1 in this machine" >&2; exit 1; }
mkdir -p "$home/.ssh"
file=$home/.ssh/authorized_keys
# Another key may be the user's own and stays; a line is added once.
grep -qxF "$2" "$file" 2>/dev/null || printf '%s\n' "$2" >>"$file"
chmod 0700 "$home/.ssh"
chmod 0600 "$file"
chown -R "$1:" "$home/.ssh"
tries=0
until cat /etc/ssh/ssh_host_*_key.pub 2>/dev/null; do
    tries=$((tries + 1))
    [ "$tries" -lt 300 ] || { echo "no SSH host keys appeared in /etc/ssh" >&2; exit 1; }
    sleep 0.1
done
"#;

/// Introduces the two to each other; gives the machine's host keys.
pub(super) async fn enrol(
    provider: &dyn Provider,
    cx: &Context,
    machine: &MachineRef,
    user: &str,
    public_key: &str,
) -> Result<Vec<String>, EngineError> {
    let command = ["/bin/sh", "-c", SCRIPT, "rig", user, public_key].map(str::to_owned).to_vec();
    let request = ExecRequest { command, user: Some("root".to_owned()), ..ExecRequest::default() };
    let output = run_command(provider, &cx.within(LIMIT), machine, &request, KEPT).await?;
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).trim().to_owned();
    if output.code != 0 {
        return Err(EngineError::NotEnrolled { machine: machine.id.clone(), why: text(&output.stderr) });
    }
    let keys: Vec<String> =
        text(&output.stdout).lines().filter(|line| HostKey::parse(line).is_ok()).map(str::to_owned).collect();
    if keys.is_empty() {
        let why = "it has no SSH host keys; its box needs an SSH server".to_owned();
        return Err(EngineError::NotEnrolled { machine: machine.id.clone(), why });
    }
    Ok(keys)
}
