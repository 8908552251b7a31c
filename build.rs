//! Asks the linker for the short form of relocations (DT_RELR) in a release, where the program can
//! be loaded with it: 0.9 MB less to read at each start, and to keep in memory. And warns where the
//! flags of `.cargo/config.toml` are missing, which libssh2 takes from the environment alone.

use std::process::Command;

/// The first glibc that loads it.
const GLIBC: (u32, u32) = (2, 36);

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rerun-if-env-changed=CFLAGS");
    println!("cargo::rerun-if-env-changed=CROSS_SYSTEM");
    let variable = |name: &str| std::env::var(name).unwrap_or_default();
    let is_glibc = variable("CARGO_CFG_TARGET_OS") == "linux"
        && variable("CARGO_CFG_TARGET_ENV") == "gnu"
        && variable("HOST") == variable("TARGET")
        && variable("PROFILE") == "release"
        // What cross/build makes is for older systems.
        && variable("CROSS_SYSTEM").is_empty();
    if is_glibc && glibc() >= Some(GLIBC) {
        println!("cargo::rustc-link-arg-bins=-Wl,-z,pack-relative-relocs");
    }
    if !variable("CFLAGS").contains("LIBSSH2_RSA_SHA1_ENABLE") {
        println!(
            "cargo::warning=CFLAGS lacks the flags of .cargo/config.toml, which `cargo install \
             --git` does not read: legacy_algorithms will be refused (CONTRIBUTING.md has a way)"
        );
    }
}

/// The version of this machine's glibc.
fn glibc() -> Option<(u32, u32)> {
    let output = Command::new("getconf").arg("GNU_LIBC_VERSION").output().ok()?;
    let text = String::from_utf8(output.stdout).ok()?;
    let (major, minor) = text.trim().strip_prefix("glibc ")?.split_once('.')?;
    Some((major.parse().ok()?, minor.parse().ok()?))
}
