//! What a node has of files before it joins, and joining.

use std::{
    fs,
    io::Write,
    os::unix::fs::symlink,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use anyhow::{Context, Result, bail};
use base64::{Engine, engine::general_purpose::STANDARD};

use super::{Programs, quoted, write};

/// The files of one node's agent.
#[derive(Debug, Clone)]
pub struct Place {
    /// Its settings, its identity, its sockets.
    pub directory: PathBuf,
    /// The tree that it reads.
    pub root: PathBuf,
}

impl Place {
    #[must_use]
    pub fn identity(&self) -> PathBuf {
        self.directory.join("identity")
    }

    #[must_use]
    pub fn settings(&self) -> PathBuf {
        self.directory.join("agent.toml")
    }

    #[must_use]
    pub fn socket(&self, name: &str) -> PathBuf {
        self.directory.join("run").join(name)
    }

    /// Writes the settings of an agent that keeps everything here.
    ///
    /// # Errors
    /// When they cannot be written.
    pub fn write_settings(&self) -> Result<()> {
        let at = |name: &str| quoted(&self.directory.join(name));
        let text = format!(
            "[agent]\nroot = {root}\nsocket = {local}\n[spool]\ndirectory = {spool}\n\
             [recorder]\ndirectory = \"\"\n[audit]\ndirectory = {audit}\n\
             [identity]\ndirectory = {identity}\n[link]\nsocket = {link}\n",
            root = quoted(&self.root),
            local = at("run/local.sock"),
            link = at("run/link.sock"),
            spool = at("spool"),
            audit = at("audit"),
            identity = at("identity"),
        );
        write(&self.settings(), &text).context("writing the settings of an agent")
    }

    /// What `pvelens-agent join` looks at: the name, and the root CA of the cluster.
    ///
    /// # Errors
    /// When a file cannot be written.
    pub fn write_tree(&self, cluster: &str, node: &str) -> Result<()> {
        let pmxcfs = self.root.join("etc/pve");
        fs::create_dir_all(pmxcfs.join("nodes").join(node))?;
        symlink(format!("nodes/{node}"), pmxcfs.join("local"))?;
        // Only its fingerprint is looked at.
        let body = STANDARD.encode(cluster);
        let pem = format!("-----BEGIN CERTIFICATE-----\n{body}\n-----END CERTIFICATE-----\n");
        write(&pmxcfs.join("pve-root-ca.pem"), &pem)?;
        write(&self.root.join("etc/hostname"), node)?;
        Ok(())
    }

    /// Joins by the documented command, with the line on standard input.
    ///
    /// # Errors
    /// When it fails, with what it said.
    pub fn join(&self, programs: &Programs, line: &str, wrapper: &[String]) -> Result<String> {
        join(&programs.agent, &self.directory, line, wrapper, &[])
    }
}

/// Joins with the settings in a directory.
///
/// # Errors
/// When it fails, with what it said.
pub fn join(
    agent: &Path,
    settings: &Path,
    line: &str,
    wrapper: &[String],
    variables: &[(String, String)],
) -> Result<String> {
    let mut words = wrapper.to_vec();
    words.push(agent.display().to_string());
    let (program, arguments) = words.split_first().context("no program")?;
    let mut child = Command::new(program)
        .args(arguments)
        .args(["join", "--no-enable", "--config-directory"])
        .arg(settings)
        .envs(variables.iter().cloned())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .context("starting pvelens-agent join")?;
    if let Some(mut input) = child.stdin.take() {
        // It may have ended without reading.
        drop(writeln!(input, "{line}"));
    }
    let output = child.wait_with_output()?;
    let said = String::from_utf8_lossy(&output.stderr);
    if !output.status.success() {
        bail!("joining: {}", said.trim());
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}
