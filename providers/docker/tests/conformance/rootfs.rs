//! A box of one program: BusyBox, from Debian's package `busybox-static` on this host.

use bytes::Bytes;
use std::path::Path;
use tar::{Builder, EntryType, Header};

/// Where the package puts it.
const BUSYBOX: &str = "/bin/busybox";

/// The programs that the suite runs.
const APPLETS: [&str; 27] = [
    "awk", "cat", "chmod", "chown", "echo", "env", "false", "hostname", "httpd", "ip", "ln", "ls", "nslookup", "pwd",
    "rm", "seq", "sh", "sleep", "stat", "stty", "tail", "timeout", "true", "tty", "wc", "wget", "whoami",
];

const PASSWD: &str = "root:x:0:0:root:/root:/bin/sh\nnobody:x:65534:65534:nobody:/:/bin/sh\n";
const GROUP: &str = "root:x:0:\nnogroup:x:65534:\n";

/// The root file system as an archive.
pub(crate) fn root() -> Result<Bytes, String> {
    let program = fs_err::read(Path::new(BUSYBOX))
        .map_err(|error| format!("{error}; the suite's box is made of it: `apt-get install busybox-static`"))?;
    pack(&program).map(Bytes::from).map_err(|error| format!("packing the suite's box: {error}"))
}

fn pack(program: &[u8]) -> std::io::Result<Vec<u8>> {
    let mut archive = Builder::new(Vec::new());
    for (folder, mode) in
        [("bin", 0o755), ("etc", 0o755), ("root", 0o700), ("srv", 0o755), ("tmp", 0o1777), ("var", 0o755)]
    {
        let mut header = header(EntryType::Directory, mode, 0);
        archive.append_data(&mut header, format!("{folder}/"), std::io::empty())?;
    }
    let files: [(&str, u32, &[u8]); 4] = [
        ("bin/busybox", 0o755, program),
        ("etc/passwd", 0o644, PASSWD.as_bytes()),
        ("etc/group", 0o644, GROUP.as_bytes()),
        ("srv/hello", 0o644, b"hello"),
    ];
    for (path, mode, content) in files {
        archive.append_data(&mut header(EntryType::Regular, mode, content.len()), path, content)?;
    }
    for applet in APPLETS {
        archive.append_link(&mut header(EntryType::Symlink, 0o777, 0), format!("bin/{applet}"), "busybox")?;
    }
    archive.into_inner()
}

/// A build context with this Dockerfile. Writing to memory does not fail; if it did, the build would say what is missing.
pub(crate) fn context(dockerfile: &str) -> Bytes {
    let mut archive = Builder::new(Vec::new());
    let mut header = header(EntryType::Regular, 0o644, dockerfile.len());
    let packed =
        archive.append_data(&mut header, "Dockerfile", dockerfile.as_bytes()).and_then(|()| archive.into_inner());
    packed.unwrap_or_default().into()
}

/// Nothing of it depends on the time or the user, so that the same content has the same hash.
fn header(kind: EntryType, mode: u32, size: usize) -> Header {
    let mut header = Header::new_gnu();
    header.set_entry_type(kind);
    header.set_mode(mode);
    header.set_size(size as u64);
    header
}
