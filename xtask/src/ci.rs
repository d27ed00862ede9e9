//! The steps that must pass before a push, each told in one line with its time.

use std::{
    io::{self, Write},
    path::Path,
    process::{Command, Stdio},
    time::{Duration, Instant},
};

use crate::tidy;

/// One step: a cargo command that must end well.
struct Step {
    name: &'static str,
    arguments: &'static [&'static str],
    environment: &'static [(&'static str, &'static str)],
}

const STEPS: [Step; 4] = [
    Step { name: "fmt", arguments: &["fmt", "--all", "--check"], environment: &[] },
    Step {
        name: "clippy",
        arguments: &["clippy", "--workspace", "--all-targets", "--quiet", "--", "-D", "warnings"],
        environment: &[],
    },
    Step { name: "test", arguments: &["test", "--workspace", "--quiet"], environment: &[] },
    Step {
        name: "doc",
        arguments: &["doc", "--workspace", "--no-deps", "--document-private-items", "--quiet"],
        environment: &[("RUSTDOCFLAGS", "-D warnings")],
    },
];

/// In this order, because what clippy writes is not formatted.
const FIXES: [Step; 2] = [
    Step {
        name: "clippy",
        arguments: &[
            "clippy",
            "--fix",
            "--workspace",
            "--all-targets",
            "--allow-dirty",
            "--allow-staged",
        ],
        environment: &[],
    },
    Step { name: "fmt", arguments: &["fmt", "--all"], environment: &[] },
];

const DENY: Step = Step { name: "deny", arguments: &["deny", "check"], environment: &[] };

/// Runs every step and stops at the first failure, with the command that repeats it.
pub(crate) fn run(root: &Path) -> bool {
    STEPS.iter().all(|step| run_step(root, step)) && run_tidy(root) && run_deny(root)
}

/// Lets the tools mend what they can.
pub(crate) fn fix(root: &Path) -> bool {
    FIXES.iter().all(|step| step.command(root).status().is_ok_and(|status| status.success()))
}

impl Step {
    fn command(&self, root: &Path) -> Command {
        let mut command = Command::new("cargo");
        command.args(self.arguments).envs(self.environment.iter().copied()).current_dir(root);
        command
    }

    fn as_text(&self) -> String {
        let variables = self.environment.iter().map(|(name, value)| format!("{name}='{value}' "));
        format!("{}cargo {}", variables.collect::<String>(), self.arguments.join(" "))
    }
}

fn run_step(root: &Path, step: &Step) -> bool {
    let begun = begin(step.name);
    // What a step prints is read only when it fails.
    match step.command(root).output() {
        Ok(output) if output.status.success() => end("ok", begun),
        Ok(output) => {
            end("FAILED", begun);
            show(&output.stdout);
            show(&output.stderr);
            println!("repeat it with: {}", step.as_text());
            false
        }
        Err(error) => {
            end("FAILED", begun);
            println!("starting `{}`: {error}", step.as_text());
            false
        }
    }
}

fn run_tidy(root: &Path) -> bool {
    let begun = begin("tidy");
    let breaches = tidy::check_all(root);
    if breaches.is_empty() {
        return end("ok", begun);
    }
    end("FAILED", begun);
    tidy::report(&breaches);
    println!("repeat it with: cargo xtask tidy");
    false
}

fn run_deny(root: &Path) -> bool {
    let mut version = Command::new("cargo");
    version.args(["deny", "--version"]).stdout(Stdio::null()).stderr(Stdio::null());
    if version.status().is_ok_and(|status| status.success()) {
        return run_step(root, &DENY);
    }
    println!("{:8} not run: cargo-deny is not installed (cargo install cargo-deny)", DENY.name);
    true
}

fn begin(name: &str) -> Duration {
    print!("{name:8} ");
    // Without a flush the line would appear only when the step has ended.
    drop(io::stdout().flush());
    since_start()
}

/// Ends a step's line; returns true, the result of most steps.
fn end(verdict: &str, begun: Duration) -> bool {
    println!("{verdict:8} {:>6.1} s", (since_start() - begun).as_secs_f64());
    true
}

fn show(output: &[u8]) {
    print!("{}", String::from_utf8_lossy(output));
}

fn since_start() -> Duration {
    static START: std::sync::OnceLock<Instant> = std::sync::OnceLock::new();
    #[expect(
        clippy::disallowed_methods,
        reason = "nothing but the time that is printed depends on it"
    )]
    let now = Instant::now();
    now - *START.get_or_init(|| now)
}
