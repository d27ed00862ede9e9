//! A process that dies leaves no copy of its memory behind.

use std::{
    fs,
    io::{BufRead, BufReader},
    os::unix::process::ExitStatusExt,
    path::Path,
    process::{Command, Stdio},
};

/// Sends SIGABRT to the process when its first line of output is there; says whether it was dumped.
fn is_dumped_when_aborted(command: &mut Command) -> bool {
    let mut child =
        command.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().expect("a shell exists");
    let mut line = String::new();
    let output = child.stdout.take().expect("its output is piped");
    BufReader::new(output).read_line(&mut line).expect("the output can be read");
    assert_ne!(line, "", "the process ended early");
    let id = child.id().to_string();
    assert!(Command::new("kill").args(["-ABRT", &id]).status().expect("`kill` exists").success());
    let status = child.wait().expect("the process ends");
    assert_eq!(status.signal(), Some(6), "{status}");
    status.core_dumped()
}

fn cores(folder: &Path) -> usize {
    let entries = fs::read_dir(folder).expect("the folder is there").flatten();
    entries.filter(|entry| entry.file_name().to_string_lossy().starts_with("core")).count()
}

#[test]
fn a_crash_writes_no_secret_to_disk() {
    let in_shell = |folder: &Path, script: &str| {
        let mut shell = Command::new("sh");
        shell.current_dir(folder).args(["-c", &format!("ulimit -c unlimited && {script}")]);
        shell
            .env("PROGRAM", env!("CARGO_BIN_EXE_marketlake"))
            .env("MARKETLAKE__HTTP__BIND", "127.0.0.1:0")
            .env("MARKETLAKE__POSTGRES__BIND", "127.0.0.1:0")
            .env("MARKETLAKE__POSTGRES__PASSWORD", "{{secrets/env/password}}")
            .env("MARKETLAKE_SECRET_PASSWORD", "cnry-0123456789");
        shell
    };
    let (other, ours) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    assert!(
        is_dumped_when_aborted(&mut in_shell(other.path(), "echo ready && exec sleep 60")),
        "this machine dumps nobody, so nothing can be told; see `ulimit -H -c`"
    );
    assert!(!is_dumped_when_aborted(&mut in_shell(ours.path(), "exec \"$PROGRAM\" serve")));
    assert_eq!(cores(ours.path()), 0);
}
