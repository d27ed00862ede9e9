//! Copies the built console to `OUT_DIR` and lists its files for the server to embed.
//!
//! Without `console/dist` a page is embedded that says how to build it, so that the crate always
//! compiles; nothing is written into the source tree.

use std::{
    env,
    error::Error,
    fmt::Write as _,
    fs, io,
    path::{Path, PathBuf},
};

const DIST: &str = "../../console/dist";
const CONSOLE: &str = "../../console";

const PLACEHOLDER: &str = "<!doctype html>
<html lang=\"en\">
<head><meta charset=\"utf-8\"><title>marketlake</title></head>
<body>
<h1>The console is not built</h1>
<p>Run <code>npm ci</code> and <code>npm run build</code> in the folder <code>console</code>, then
build marketlake again.</p>
<p>The API works: <a href=\"/api/v1/status\">/api/v1/status</a>,
<a href=\"/api/v1/openapi.json\">/api/v1/openapi.json</a>.</p>
</body>
</html>
";

/// Folders below `dist` are two levels deep; more is a mistake, such as a link to itself.
const DEPTH_MAX: usize = 8;

fn main() -> Result<(), Box<dyn Error>> {
    let out = PathBuf::from(env::var_os("OUT_DIR").ok_or("cargo sets OUT_DIR")?);
    let root = PathBuf::from(env::var_os("CARGO_MANIFEST_DIR").ok_or("cargo sets it")?);
    let dist = root.join(DIST);
    let copy = out.join("console");
    if copy.try_exists()? {
        fs::remove_dir_all(&copy)?;
    }
    fs::create_dir_all(&copy)?;

    let mut names = Vec::new();
    if dist.join("index.html").try_exists()? {
        copy_files(&dist, &copy, "", DEPTH_MAX, &mut names)?;
    } else {
        fs::write(copy.join("index.html"), PLACEHOLDER)?;
        names.push("index.html".to_owned());
    }
    names.sort();
    fs::write(out.join("console.rs"), list(&copy, &names)?)?;

    // Cargo runs this again on every build while a watched path is missing. Without node_modules
    // the console's folder is small enough to be watched for the appearance of `dist` instead.
    let is_installed = root.join(CONSOLE).join("node_modules").try_exists()?;
    let can_watch_console = root.join(CONSOLE).try_exists()? && !is_installed;
    let watched = if !dist.try_exists()? && can_watch_console { CONSOLE } else { DIST };
    println!("cargo::rerun-if-changed={watched}");
    println!("cargo::rerun-if-changed=build.rs");
    Ok(())
}

fn copy_files(
    from: &Path,
    to: &Path,
    prefix: &str,
    depth: usize,
    names: &mut Vec<String>,
) -> io::Result<()> {
    if depth == 0 {
        return Err(io::Error::other(format!("`{DIST}/{prefix}` is too deep")));
    }
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        let file_name = entry.file_name();
        let file_name = file_name.to_str().ok_or_else(|| io::Error::other("name is not UTF-8"))?;
        let name = format!("{prefix}{file_name}");
        let target = to.join(file_name);
        if entry.file_type()?.is_dir() {
            fs::create_dir_all(&target)?;
            copy_files(&entry.path(), &target, &format!("{name}/"), depth - 1, names)?;
        } else {
            fs::copy(entry.path(), &target)?;
            names.push(name);
        }
    }
    Ok(())
}

fn list(copy: &Path, names: &[String]) -> Result<String, Box<dyn Error>> {
    let mut code = "pub(super) static FILES: &[(&str, &[u8])] = &[\n".to_owned();
    for name in names {
        let path = copy.join(name);
        let path = path.to_str().ok_or("the build folder's path is not UTF-8")?;
        writeln!(code, "    ({name:?}, include_bytes!({path:?})),")?;
    }
    code.push_str("];\n");
    Ok(code)
}
