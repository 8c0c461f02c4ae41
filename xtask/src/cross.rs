//! `cargo xtask cross`: builds for Windows and runs the result in Wine, type-checks for macOS.
//!
//! The targets' standard libraries are compiled from source, so that package registries are all that it needs: Debian's own
//! compiler comes with that source, mingw-w64 links for Windows, and Zig compiles C for macOS. What was linked for macOS
//! could not be run here; a check says that it compiles, not that it works.

use crate::{
    cargo::{self, Result, root},
    lab::packages,
};
use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
    time::Instant,
};

/// Debian's compiler with the source of its standard library, and the linker for Windows.
const PACKAGES: [&str; 4] = ["rustc-web", "cargo-web", "rust-web-src", "gcc-mingw-w64-x86-64"];
/// Runs Windows programs.
const WINE: &str = "wine64";
/// The same for both targets: their standard library is built from source.
const BUILD_STD: &str = "-Zbuild-std=std,panic_abort";

/// Builds for Windows, type-checks for macOS.
///
/// # Errors
/// When something that it needs cannot be installed, the workspace does not compile, or the program does not run.
pub(crate) fn cross() -> Result {
    let began = Instant::now();
    packages::install(&PACKAGES)?;
    show_versions()?;
    let program = windows()?;
    in_wine(&program)?;
    macos()?;
    println!("cross: {:.0} s", began.elapsed().as_secs_f64());
    Ok(())
}

fn show_versions() -> Result {
    for program in ["/usr/bin/rustc", "/usr/bin/cargo"] {
        cargo::run(&format!("{program} --version"), Command::new(program).arg("--version"))?;
    }
    Ok(())
}

/// Where one part keeps what it makes: apart from the host's own builds, and from the other part.
fn folder(part: &str) -> Result<PathBuf> {
    let folder = root().join("target").join("cross").join(part);
    fs::create_dir_all(&folder).map_err(|error| format!("creating {}: {error}", folder.display()))?;
    Ok(folder)
}

/// Debian's cargo, kept apart from a rustup that may have started this task.
fn debian_cargo(arguments: &[&str], target: &str, folder: &Path) -> Command {
    let mut command = Command::new("/usr/bin/cargo");
    let path = std::env::var("PATH").unwrap_or_default();
    command
        .args(arguments)
        .args([BUILD_STD, "--locked", "--target", target, "--target-dir"])
        .arg(folder)
        .env("PATH", format!("/usr/bin:{path}"))
        .env("RUSTC", "/usr/bin/rustc")
        // Building a standard library is not a stable option.
        .env("RUSTC_BOOTSTRAP", "1")
        .env("CARGO_PROFILE_DEV_DEBUG", "false")
        .env("CARGO_INCREMENTAL", "0");
    for name in [
        "RUSTUP_TOOLCHAIN",
        "RUSTC_WRAPPER",
        "RUSTC_WORKSPACE_WRAPPER",
        "RUSTDOC",
        "RUSTFLAGS",
        "CARGO",
        "LD_LIBRARY_PATH",
    ] {
        command.env_remove(name);
    }
    command
}

/// Builds the program for Windows.
fn windows() -> Result<PathBuf> {
    const TARGET: &str = "x86_64-pc-windows-gnu";
    let folder = folder("windows")?;
    let mut build = debian_cargo(&["build", "--package", "rig"], TARGET, &folder);
    build.env("CARGO_TARGET_X86_64_PC_WINDOWS_GNU_LINKER", "x86_64-w64-mingw32-gcc");
    cargo::run("build for Windows", &mut build)?;
    Ok(folder.join(TARGET).join("debug").join("rig.exe"))
}

/// Runs the program that was built for Windows.
fn in_wine(program: &Path) -> Result {
    if let Err(error) = packages::install(&[WINE]) {
        println!("the program for Windows was built, and not run: {error}");
        return Ok(());
    }
    process_prng(program.parent().unwrap_or(program))?;
    let prefix = folder("wine")?;
    for arguments in [["--version"], ["validate"]] {
        let mut wine = Command::new("/usr/lib/wine/wine64");
        wine.arg(program).args(arguments).env("WINEPREFIX", &prefix).env("WINEDEBUG", "-all").env_remove("DISPLAY");
        // The DLL beside the program instead of Wine's own; no Mono or Gecko, which would ask to be downloaded.
        wine.env("WINEDLLOVERRIDES", "bcryptprimitives=n;mscoree=;mshtml=");
        cargo::run(&format!("rig.exe {} in Wine", arguments.join(" ")), &mut wine)?;
    }
    Ok(())
}

/// Builds the one function that Rust's standard library needs and Wine 8 lacks. Without it a program ends silently.
fn process_prng(folder: &Path) -> Result {
    const SOURCE: &str = "\
#include <windows.h>
#include <ntsecapi.h>
__declspec(dllexport) BOOL WINAPI ProcessPrng(PBYTE data, SIZE_T length) { return RtlGenRandom(data, (ULONG)length); }
";
    let source = folder.join("bcryptprimitives.c");
    fs::write(&source, SOURCE).map_err(|error| format!("writing {}: {error}", source.display()))?;
    let mut compiler = Command::new("x86_64-w64-mingw32-gcc");
    compiler.args(["-shared", "-o"]).arg(folder.join("bcryptprimitives.dll")).arg(&source).arg("-ladvapi32");
    cargo::run("build bcryptprimitives.dll", &mut compiler)
}

/// Type-checks for macOS; the C and assembler sources of dependencies are compiled.
fn macos() -> Result {
    let folder = folder("macos")?;
    let python = ziglang()?;
    let compiler = wrapper(&folder, "zig-cc", &zig_cc(&python))?;
    let archiver =
        wrapper(&folder, "zig-ar", &format!("#!/bin/sh\nexec '{}' -m ziglang ar \"$@\"\n", python.display()))?;
    let mut check = debian_cargo(&["check", "--workspace"], "aarch64-apple-darwin", &folder);
    check
        .env("CC_aarch64_apple_darwin", &compiler)
        .env("AR_aarch64_apple_darwin", &archiver)
        // Build scripts only want to know that there is one.
        .env("SDKROOT", &folder)
        .env("ZIG_GLOBAL_CACHE_DIR", folder.join("zig-cache"))
        .env("ZIG_LOCAL_CACHE_DIR", folder.join("zig-cache"));
    cargo::run("type-check for macOS", &mut check)
}

/// Zig from the Python package index, in an environment of its own; the Python that runs it.
fn ziglang() -> Result<PathBuf> {
    let folder = folder("python")?;
    let python = folder.join("bin").join("python");
    let works = |module: &str| {
        let found = Command::new(&python).args(["-c", &format!("import {module}")]).output();
        found.is_ok_and(|output| output.status.success())
    };
    if !works("pip") {
        let mut create = Command::new("python3");
        create.args(["-m", "venv"]).arg(&folder);
        if let Err(error) = cargo::run("create a Python environment", &mut create) {
            println!("{error}; trying with Debian's Python");
            packages::install(&["python3-venv"])?;
            let mut create = Command::new("/usr/bin/python3");
            cargo::run("create a Python environment", create.args(["-m", "venv", "--clear"]).arg(&folder))?;
        }
    }
    if !works("ziglang") {
        cargo::run("install Zig", Command::new(&python).args(["-m", "pip", "install", "--quiet", "ziglang"]))?;
    }
    Ok(python)
}

/// A compiler that takes what the `cc` crate passes to Apple's, and leaves out what Zig does not know.
fn zig_cc(python: &Path) -> String {
    format!(
        r#"#!/bin/sh
skip=
for argument do
    shift
    if [ -n "$skip" ]; then skip=; continue; fi
    case $argument in
        -arch|-isysroot|-target) skip=1 ;;
        --target=*|-mmacosx-version-min=*) ;;
        *) set -- "$@" "$argument" ;;
    esac
done
exec '{}' -m ziglang cc -target aarch64-macos "$@"
"#,
        python.display()
    )
}

/// Writes a program of a few lines.
fn wrapper(folder: &Path, name: &str, script: &str) -> Result<PathBuf> {
    let path = folder.join(name);
    fs::write(&path, script).map_err(|error| format!("writing {}: {error}", path.display()))?;
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755))
            .map_err(|error| format!("making {} executable: {error}", path.display()))?;
    }
    Ok(path)
}
