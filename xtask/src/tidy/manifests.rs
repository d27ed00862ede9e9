//! Which crate may know which: the edges between ours, and the owners of heavy packages.

use super::{Breach, repository::Repository};

/// Allowed edges. Whoever adds one writes a decision in `docs/adr` first.
const EDGES: [(&str, &[&str]); 11] = [
    ("model", &[]),
    ("secrets", &[]),
    ("stores", &["model"]),
    ("ingest", &["model"]),
    ("autoloader", &["model"]),
    ("simulator", &["model"]),
    ("fuzz", &["autoloader", "model"]),
    ("lake", &["autoloader", "model"]),
    ("serve", &["lake", "model"]),
    (
        "marketlake",
        &["autoloader", "ingest", "lake", "model", "secrets", "serve", "simulator", "stores"],
    ),
    ("xtask", &[]),
];

/// Packages with a fence around them, and the crates inside. Others use what the owner re-exports.
const OWNERS: [(&str, &[&str]); 18] = [
    ("reqwest", &["ingest", "secrets"]),
    ("rdkafka", &["ingest"]),
    ("age", &["secrets"]),
    ("azure_core", &["secrets"]),
    ("azure_identity", &["secrets"]),
    ("azure_security_keyvault_secrets", &["secrets"]),
    ("rusqlite", &["ingest"]),
    ("deltalake-core", &["lake"]),
    ("datafusion", &["lake"]),
    ("parquet", &["lake", "autoloader"]),
    ("arrow", &["autoloader", "fuzz", "lake"]),
    ("arrow-flight", &["serve"]),
    ("axum", &["serve", "simulator", "stores"]),
    ("pgwire", &["serve"]),
    ("tonic", &["serve"]),
    ("clap", &["marketlake"]),
    ("anyhow", &["marketlake"]),
    ("toml", &["marketlake"]),
];

/// One dependency as a manifest states it.
#[derive(Debug, PartialEq, Eq)]
struct Dependency {
    line: usize,
    package: String,
}

/// Checks the manifest of every member.
pub(super) fn check(repository: &Repository) -> Vec<Breach> {
    repository
        .texts("Cargo.toml")
        .filter_map(|(path, text)| Some((path, member(path)?, text)))
        .flat_map(|(path, member, text)| breaches(path, member, text))
        .collect()
}

/// Returns the crate whose manifest this is; the root's is nobody's.
fn member(path: &str) -> Option<&str> {
    let folder = path.strip_suffix("/Cargo.toml")?;
    let name = folder.strip_prefix("crates/").unwrap_or(folder);
    (!name.contains('/')).then_some(name)
}

fn breaches(path: &str, member: &str, manifest: &str) -> Vec<Breach> {
    let mut breaches = Vec::new();
    let Some((_, allowed)) = EDGES.iter().find(|(name, _)| *name == member) else {
        let what = format!("`{member}` is a new crate");
        let mend = "write a decision in docs/adr, then add its edges in xtask";
        return vec![Breach::new(path, 0, what, mend)];
    };
    for Dependency { line, package } in dependencies(manifest) {
        let package = package.as_str();
        let is_ours = EDGES.iter().any(|(name, _)| *name == package);
        if is_ours && !allowed.contains(&package) {
            let what = format!("`{member}` must not depend on `{package}`");
            let mend = "move what it needs to `model`, or pass it in from `marketlake`";
            breaches.push(Breach::new(path, line, what, mend));
        }
        if let Some((_, owners)) = OWNERS.iter().find(|(name, _)| *name == package)
            && !owners.contains(&member)
        {
            let owner = owners.join("` and `");
            let what = format!("`{package}` belongs to `{owner}`");
            breaches.push(Breach::new(path, line, what, "use what the owner offers"));
        }
    }
    if !inherits_lints(manifest) {
        let what = "does not inherit the lints of the workspace";
        breaches.push(Breach::new(path, 0, what, "add `[lints]` with `workspace = true`"));
    }
    breaches
}

/// Returns the dependencies of the crate itself and of its build script. What only tests need is
/// free: a test may look at anything.
fn dependencies(manifest: &str) -> Vec<Dependency> {
    let mut found = Vec::new();
    let mut is_inside = false;
    // Brackets that a value left open: its other lines are no keys.
    let mut open: usize = 0;
    for (index, text) in manifest.lines().enumerate() {
        let (line, text) = (index + 1, without_comment(text));
        if open == 0 && text.starts_with('[') {
            let name = text.trim_matches(['[', ']']);
            let (head, tail) = name.rsplit_once('.').unwrap_or(("", name));
            is_inside = is_list(tail);
            // `[dependencies.foo]` names one package, and what follows are its settings.
            if is_list(head.rsplit('.').next().unwrap_or_default()) {
                found.push(Dependency { line, package: tail.to_owned() });
            }
            continue;
        }
        if open == 0
            && is_inside
            && let Some((key, value)) = text.split_once('=')
        {
            let name = key.trim().split('.').next().unwrap_or_default().trim_matches('"');
            let package = renamed(value).unwrap_or_else(|| name.to_owned());
            found.push(Dependency { line, package });
        }
        let count = |letters: [char; 2]| text.matches(letters).count();
        open = (open + count(['[', '{'])).saturating_sub(count([']', '}']));
    }
    found
}

fn is_list(table: &str) -> bool {
    matches!(table, "dependencies" | "build-dependencies")
}

/// Returns the package behind another name: `x = { package = "y" }`.
fn renamed(value: &str) -> Option<String> {
    let (_, after) = value.split_once("package")?;
    let quoted = after.trim_start().strip_prefix('=')?.trim_start().strip_prefix('"')?;
    quoted.split_once('"').map(|(name, _)| name.to_owned())
}

fn inherits_lints(manifest: &str) -> bool {
    let mut lines = manifest.lines().map(without_comment).filter(|line| !line.is_empty());
    lines.any(|line| line == "[lints]")
        && lines
            .next()
            .is_some_and(|line| line.split_whitespace().collect::<String>() == "workspace=true")
}

fn without_comment(line: &str) -> &str {
    line.split('#').next().unwrap_or_default().trim()
}

#[cfg(test)]
mod tests {
    use super::{breaches, dependencies, member};

    const LINTS: &str = "[lints]\nworkspace = true\n";

    #[track_caller]
    fn check(name: &str, body: &str, expected: &[usize]) {
        let found = breaches("Cargo.toml", name, &format!("{body}\n{LINTS}"));
        let lines: Vec<usize> = found.iter().map(|breach| breach.line).collect();
        assert_eq!(lines, expected, "{found:?}");
    }

    #[test]
    fn edges_point_one_way() {
        check("lake", "[dependencies]\nmodel.workspace = true\nautoloader.workspace = true", &[]);
        check("model", "[dependencies]\nlake.workspace = true", &[2]);
        check("ingest", "[dependencies]\nlake = { path = \"../lake\" }", &[2]);
        check("ingest", "[dependencies.lake]\npath = \"../lake\"", &[1]);
        check("ingest", "[dependencies]\nx = { package = \"lake\", path = \"../lake\" }", &[2]);
        check("ingest", "[dev-dependencies]\nlake.workspace = true", &[]);
        check("ingest", "[target.'cfg(unix)'.dependencies]\nlake.workspace = true", &[2]);
        check("novel", "", &[0]);
    }

    #[test]
    fn heavy_packages_have_owners() {
        check("ingest", "[dependencies]\nreqwest.workspace = true", &[]);
        check("serve", "[dependencies]\nreqwest.workspace = true", &[2]);
        check("serve", "[build-dependencies]\nreqwest = \"1\"", &[2]);
    }

    #[test]
    fn values_over_several_lines_are_no_keys() {
        let found =
            dependencies("[dependencies]\na = { features = [\n  \"x=y\",\n] }\nb = \"1\"\n");
        let names: Vec<&str> = found.iter().map(|found| found.package.as_str()).collect();
        assert_eq!(names, ["a", "b"]);
    }

    #[test]
    fn lints_are_inherited() {
        assert_eq!(breaches("Cargo.toml", "model", LINTS), []);
        assert_eq!(breaches("Cargo.toml", "model", "[lints]\nrust = 1\n").len(), 1);
        assert_eq!(breaches("Cargo.toml", "model", "").len(), 1);
    }

    #[test]
    fn members_are_known_by_their_folder() {
        assert_eq!(member("crates/lake/Cargo.toml"), Some("lake"));
        assert_eq!(member("xtask/Cargo.toml"), Some("xtask"));
        assert_eq!(member("Cargo.toml"), None);
    }
}
