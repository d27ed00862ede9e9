//! Starts the program in a folder and an environment of its own.

use std::{
    io::{BufRead, BufReader, Write},
    path::Path,
    process::{Child, Command, Output, Stdio},
};

/// A command of the program under test; nothing of the caller's environment reaches it.
pub(crate) fn marketlake(folder: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_marketlake"));
    command.current_dir(folder).env_clear().args(arguments);
    command
}

/// Runs to the end.
#[track_caller]
pub(crate) fn run(command: &mut Command) -> (i32, String, String) {
    let Output { status, stdout, stderr } = command.output().expect("the program starts");
    let text = |bytes| String::from_utf8(bytes).expect("the program writes UTF-8");
    (status.code().expect("the program was not killed"), text(stdout), text(stderr))
}

/// Runs to the end with `input` on standard input.
#[track_caller]
pub(crate) fn run_with_input(command: &mut Command, input: &str) -> (i32, String, String) {
    let (reader, mut writer) = std::io::pipe().expect("the system has pipes");
    writer.write_all(input.as_bytes()).expect("a pipe holds a short text");
    drop(writer);
    run(command.stdin(reader))
}

/// A process that is ended with the test.
pub(crate) struct Running {
    child: Child,
    lines: BufReader<std::process::ChildStdout>,
}

impl Running {
    pub(crate) fn start(command: &mut Command) -> Self {
        let child = command.stdout(Stdio::piped()).stderr(Stdio::null()).spawn();
        let mut child = child.expect("the program starts");
        let lines = BufReader::new(child.stdout.take().expect("its output is piped"));
        Self { child, lines }
    }

    /// Reads the next line of its output.
    pub(crate) fn line(&mut self) -> String {
        let mut line = String::new();
        self.lines.read_line(&mut line).expect("the output can be read");
        line.trim_end().to_owned()
    }

    /// Sends SIGTERM and waits for the end.
    pub(crate) fn terminate(mut self) -> i32 {
        let id = self.child.id().to_string();
        let sent = Command::new("kill").args(["-TERM", &id]).status().expect("`kill` exists");
        assert!(sent.success());
        self.child.wait().expect("the process ends").code().unwrap_or(-1)
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // Already ended after `terminate`; then there is nothing to kill.
        drop(self.child.kill());
        drop(self.child.wait());
    }
}
