//! Which accelerator works on this host. It is found out by booting: a device file that can be opened says little, and on hosts
//! that are virtual machines themselves an accelerator may be there and fail at the first instruction.

use rig_provider_api::{Context, ProviderError, Result};
use std::{ffi::OsStr, fmt, io::Write, process::Stdio, time::Duration};
use tokio::process::Command;

/// How long the probe may take. It ends within a tenth of a second where the accelerator works.
const LIMIT: Duration = Duration::from_secs(5);

/// The exit code by which the probe says that it ran: the device gives twice the written value and one.
const ALIVE: i32 = 0x10 << 1 | 1;

/// A boot sector that writes [`ALIVE`]'s half to the exit device and stops: `mov al, 0x10; out 0xf4, al; hlt`.
const SECTOR: [u8; 512] = {
    let mut sector = [0; 512];
    let program = [0xb0, 0x10, 0xe6, 0xf4, 0xf4];
    let mut at = 0;
    while at < program.len() {
        sector[at] = program[at];
        at += 1;
    }
    (sector[510], sector[511]) = (0x55, 0xaa);
    sector
};

/// What runs the machine's instructions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Accelerator {
    /// Linux.
    Kvm,
    /// macOS.
    Hvf,
    /// Software: everywhere, four to five times slower at plain computing.
    Tcg,
}

impl fmt::Display for Accelerator {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Kvm => "kvm",
            Self::Hvf => "hvf",
            Self::Tcg => "tcg",
        })
    }
}

impl Accelerator {
    /// The one that this platform may have beside software. The probe is a program for x86 processors.
    const NATIVE: Option<Self> = if cfg!(not(target_arch = "x86_64")) {
        None
    } else if cfg!(target_os = "linux") {
        Some(Self::Kvm)
    } else if cfg!(target_os = "macos") {
        Some(Self::Hvf)
    } else {
        None
    };

    /// The fastest that works for this program of QEMU.
    ///
    /// # Errors
    /// When the context ends.
    pub(crate) async fn find(cx: &Context, program: &OsStr) -> Result<Self> {
        match Self::NATIVE {
            Some(native) if native.boots(cx, program).await? => Ok(native),
            _ => Ok(Self::Tcg),
        }
    }

    /// `-accel` and `-cpu` for a machine with this many processors.
    ///
    /// Several emulated processors take turns. Each in a thread of its own is what QEMU does by itself, but programs that write
    /// programs while they run die of it: OpenJDK 17's `jlink` did each time on QEMU 7.2 (SIGSEGV in code that it had just
    /// compiled), with one processor or with turns never.
    ///
    /// `any` asks for a processor that every system runs on.
    pub(crate) fn arguments(self, processors: u32, any: bool) -> [&'static str; 4] {
        match self {
            Self::Kvm => ["-accel", "kvm", "-cpu", "host"],
            Self::Hvf => ["-accel", "hvf", "-cpu", "host"],
            // A small processor boots fastest under emulation; without rdrand the kernel waits seconds for its first random
            // numbers. Measured on QEMU 7.2: 6.1 s to a login against 10.0 s with `max`. Some distributions want a newer one
            // (Red Hat Enterprise Linux since 9: x86-64-v2).
            Self::Tcg => {
                let turns =
                    if processors > 1 { "tcg,thread=single,tb-size=128" } else { "tcg,thread=multi,tb-size=128" };
                ["-accel", turns, "-cpu", if any || cfg!(target_arch = "aarch64") { "max" } else { "qemu64,+rdrand" }]
            }
        }
    }

    /// What the kernel is told beside what it is told everywhere. The clock of an emulated processor can be trusted, and an
    /// emulated processor has none of the faults that the kernel would work around: both save time.
    pub(crate) fn kernel(self) -> &'static str {
        match self {
            Self::Kvm | Self::Hvf => "",
            Self::Tcg => " tsc=reliable mitigations=off",
        }
    }

    async fn boots(self, cx: &Context, program: &OsStr) -> Result<bool> {
        let doing = format!("trying the accelerator {self}");
        let failed = |error: std::io::Error| ProviderError::failed(doing.clone(), error);
        let mut disk = tempfile::Builder::new().prefix("rig-accelerator-").tempfile().map_err(failed)?;
        disk.write_all(&SECTOR).map_err(failed)?;
        let mut command = Command::new(program);
        command
            .args(["-nodefaults", "-no-user-config", "-display", "none", "-machine", "pc", "-m", "16"])
            .args(self.arguments(1, false))
            .args(["-device", "isa-debug-exit,iobase=0xf4,iosize=0x04", "-drive"])
            .arg(format!("file={},format=raw,if=ide,readonly=off,snapshot=on", disk.path().display()))
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .kill_on_drop(true);
        let mut child = command.spawn().map_err(failed)?;
        let ended = tokio::select! {
            status = child.wait() => status.is_ok_and(|status| status.code() == Some(ALIVE)),
            () = tokio::time::sleep(LIMIT) => false,
            () = cx.cancel().cancelled() => return Err(ProviderError::Cancelled { doing }),
        };
        Ok(ended)
    }
}
