//! Where things are.

use std::env;
use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::error::{Context, Error, Result};

/// The repository this program was built from.
pub(crate) struct Workspace {
    root: PathBuf,
}

impl Workspace {
    pub(crate) fn find() -> Result<Self> {
        let root = Path::new(env!("CARGO_MANIFEST_DIR"))
            .parent()
            .ok_or_else(|| Error::new("xtask has no parent directory"))?;
        Ok(Self {
            root: root.to_path_buf(),
        })
    }

    pub(crate) fn path(&self, relative: &str) -> PathBuf {
        self.root.join(relative)
    }

    /// Cargo's target directory, which logs and stamps share.
    pub(crate) fn target(&self) -> PathBuf {
        env::var_os("CARGO_TARGET_DIR").map_or_else(|| self.path("target"), |dir| self.root.join(dir))
    }

    /// The file that takes the output of `name`; its directory exists.
    pub(crate) fn log(&self, name: &str) -> Result<PathBuf> {
        let dir = self.target().join("ci");
        fs::create_dir_all(&dir).context(format_args!("cannot make {}", dir.display()))?;
        let plain = |c: char| if c.is_ascii_alphanumeric() { c } else { '-' };
        Ok(dir.join(format!("{}.log", name.chars().map(plain).collect::<String>())))
    }

    /// A command started in the root.
    pub(crate) fn command(&self, program: impl Into<OsString>) -> Command {
        let mut command = Command::new(program.into());
        command.current_dir(&self.root);
        command
    }

    pub(crate) fn cargo(&self, args: &[&str]) -> Command {
        let mut command = self.command(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
        command.args(args);
        command
    }

    /// What a program, started in the root, prints.
    pub(crate) fn output(&self, program: &str, args: &[&str]) -> Result<String> {
        let asked = self.command(program).args(args).output();
        let output = asked.context(format_args!("cannot start {program}"))?;
        if !output.status.success() {
            let said = String::from_utf8_lossy(&output.stderr).trim().to_owned();
            return Err(Error::new(format!("{program} {}: {said}", args.join(" "))));
        }
        let text = String::from_utf8(output.stdout).context(program)?;
        Ok(text.trim_end().to_owned())
    }

    pub(crate) fn read(&self, relative: &str) -> Result<String> {
        fs::read_to_string(self.path(relative)).context(relative)
    }

    /// `script` as a [`crate::process::Server`]: it ends when its standard input closes.
    pub(crate) fn node_server(&self, script: &str) -> Command {
        let mut command = self.node(24, "--import");
        command
            .arg(self.path("xtask/js/leash.mjs"))
            .arg(self.path(script));
        command
    }

    /// The Node of that major version which `setup` brought.
    pub(crate) fn node_path(&self, major: u8) -> PathBuf {
        let (os, cpu) = platform();
        self.path(&format!("tests/node_modules/node{major}-{os}-{cpu}/bin/node"))
    }

    /// The Deno which `setup` brought.
    pub(crate) fn deno_path(&self) -> PathBuf {
        let (os, cpu) = platform();
        let libc = if os == "linux" { "-glibc" } else { "" };
        self.path(&format!("tests/node_modules/@deno/{os}-{cpu}{libc}/deno"))
    }

    /// The Bun which `setup` brought.
    pub(crate) fn bun_path(&self) -> PathBuf {
        let (os, cpu) = platform();
        let cpu = if cpu == "arm64" { "aarch64" } else { cpu };
        self.path(&format!("tests/node_modules/@oven/bun-{os}-{cpu}/bin/bun"))
    }

    /// `script` under that Node.
    pub(crate) fn node(&self, major: u8, script: impl Into<OsString>) -> Command {
        let mut command = self.command(self.node_path(major));
        command.arg(script.into()).env("WRANGLER_SEND_METRICS", "false");
        command
    }

    /// Files directly in `dir` whose name ends in `suffix`, sorted, relative to the root; none is an error.
    pub(crate) fn files(&self, dir: &str, suffix: &str) -> Result<Vec<String>> {
        let entries = fs::read_dir(self.path(dir)).context(format_args!("cannot list {dir}"))?;
        let mut files: Vec<String> = entries
            .filter_map(|entry| entry.ok()?.file_name().into_string().ok())
            .filter(|name| name.ends_with(suffix))
            .map(|name| format!("{dir}/{name}"))
            .collect();
        files.sort();
        if files.is_empty() {
            return Err(Error::new(format!("no {dir}/*{suffix}")));
        }
        Ok(files)
    }
}

/// This machine's system and processor as npm packages name them.
fn platform() -> (&'static str, &'static str) {
    (
        if cfg!(target_os = "macos") {
            "darwin"
        } else {
            "linux"
        },
        if cfg!(target_arch = "aarch64") {
            "arm64"
        } else {
            "x64"
        },
    )
}
