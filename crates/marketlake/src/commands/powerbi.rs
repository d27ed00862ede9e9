//! `powerbi`: writes the files that Power BI opens.

use std::{
    fs, io,
    net::SocketAddr,
    path::{Path, PathBuf},
};

use comfy_table::CellAlignment;
use model::ErrorKind;
use serde_json::json;
use serve::powerbi::{self, Mode, NAME, Server, Wishes};
use tempfile::TempDir;

use super::{Context, Ended};
use crate::{
    cli::{Output, PowerbiArgs, PowerbiMode},
    failure::Failure,
    render,
};

/// Writes the project and says what to do with it.
pub(crate) fn run(context: &Context, args: PowerbiArgs) -> Result<Ended, Failure> {
    let PowerbiArgs { out, server, database, mode, force } = args;
    let server = match server {
        Some(server) => server,
        None => here(context.config.postgres.bind)?,
    };
    let mode = match mode {
        PowerbiMode::Import => Mode::Import,
        PowerbiMode::DirectQuery => Mode::DirectQuery,
    };
    let wishes = Wishes { server, database, mode };
    let files = powerbi::project(&wishes);
    if !force && !is_empty(&out)? {
        return Err(Failure::config(format!(
            "`{}` is not empty; name another folder with `--out`, or replace the project in it with \
             `--force`",
            out.display()
        )));
    }
    write(&files, &out)?;
    let user = &context.config.postgres.user;
    let text = match context.output {
        Output::Json => as_json(&files, &out, &wishes, user),
        Output::Text | Output::Csv => as_text(&files, &out, &wishes, user),
    };
    render::print(&text)?;
    Ok(Ended::default())
}

/// Returns how the SQL port is called on its own machine.
fn here(bind: SocketAddr) -> Result<Server, Failure> {
    // A name, because that is what certificates are made out to.
    let address = format!("localhost:{}", bind.port());
    address.parse().map_err(|_| {
        Failure::config("`postgres.bind` leaves the port open; name it with `--server HOST:PORT`")
    })
}

/// Returns whether there is nothing in a folder, or no folder.
fn is_empty(folder: &Path) -> Result<bool, Failure> {
    match fs::read_dir(folder) {
        Ok(mut entries) => Ok(entries.next().is_none()),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(true),
        Err(error) => Err(failed("looking into", folder, error)),
    }
}

/// Writes every file beside its place, then puts report, model and the rest in place, each whole.
///
/// A report is replaced, not written over: a visual that an earlier project had would stay in it.
fn write(files: &[(String, String)], out: &Path) -> Result<(), Failure> {
    fs::create_dir_all(out).map_err(|error| failed("creating", out, error))?;
    // In the folder itself, because a rename cannot leave the disk.
    let stage = tempfile::Builder::new().prefix(".new-").tempdir_in(out);
    let stage = stage.map_err(|error| failed("writing into", out, error))?;
    let (new, old) = (stage.path().join("new"), stage.path().join("old"));
    for folder in [&new, &old] {
        fs::create_dir(folder).map_err(|error| failed("creating", folder, error))?;
    }
    let mut tops: Vec<&str> = Vec::new();
    for (path, text) in files {
        let top = path.split('/').next().unwrap_or(path);
        if !tops.contains(&top) {
            tops.push(top);
        }
        let place = new.join(path);
        if let Some(folder) = place.parent() {
            fs::create_dir_all(folder).map_err(|error| failed("creating", folder, error))?;
        }
        fs::write(&place, text).map_err(|error| failed("writing", &out.join(path), error))?;
    }
    // What somebody tells git to ignore is their own.
    let is_free = |top: &str| out.join(top).try_exists().is_ok_and(|is_there| !is_there);
    tops.retain(|top| *top != powerbi::GITIGNORE || is_free(top));
    for (done, top) in tops.iter().enumerate() {
        let put = put(&new.join(top), &out.join(top), &old.join(top));
        if let Err(failure) = put {
            return Err(undo(&tops[..done], out, stage, failure));
        }
    }
    stage.close().map_err(|error| failed("clearing up in", out, error))
}

/// Puts back what was replaced before something failed: half of one project and half of another open
/// as neither. What cannot be put back is kept, and named.
fn undo(done: &[&str], out: &Path, stage: TempDir, failure: Failure) -> Failure {
    let (new, old) = (stage.path().join("new"), stage.path().join("old"));
    let put_back = |top: &&str| {
        fs::rename(out.join(top), new.join(top))?;
        match fs::rename(old.join(top), out.join(top)) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
            _ => Ok(()),
        }
    };
    let is_undone = done.iter().rev().map(put_back).fold(true, |all, one| all & one.is_ok());
    let is_empty = is_empty(&old).unwrap_or_default();
    if is_undone && is_empty {
        return failure;
    }
    let kept = stage.keep();
    failure.context(format!("what was there before is in `{}`", kept.join("old").display()))
}

/// Puts what is new into its place, and what is there out of the way.
fn put(new: &Path, place: &Path, old: &Path) -> Result<(), Failure> {
    let is_replaced = match fs::rename(place, old) {
        Ok(()) => true,
        Err(error) if error.kind() == io::ErrorKind::NotFound => false,
        Err(error) => return Err(failed("replacing", place, error)),
    };
    fs::rename(new, place).map_err(|error| {
        if is_replaced {
            // Better the old one than none; the failure is told either way.
            drop(fs::rename(old, place));
        }
        failed("writing", place, error)
    })
}

fn failed(doing: &str, path: &Path, error: io::Error) -> Failure {
    Failure::new(ErrorKind::Config, error).context(format!("{doing} `{}`", path.display()))
}

/// What somebody finds in the folder: where, and what it is for.
fn contents(mode: Mode) -> [(String, &'static str); 5] {
    let kept = match mode {
        Mode::Import => "the project: open it, sign in, refresh",
        Mode::DirectQuery => "the project: open it and sign in",
    };
    [
        (format!("{NAME}.pbip"), kept),
        (format!("{NAME}.Report"), "its pages, one file a visual"),
        (format!("{NAME}.SemanticModel"), "its tables, relationships and measures"),
        (
            powerbi::connection_name(Mode::Import),
            "for a report of your own: copies the tables you choose",
        ),
        (powerbi::connection_name(Mode::DirectQuery), "for a report of your own: asks each time"),
    ]
}

fn as_text(files: &[(String, String)], out: &Path, wishes: &Wishes, user: &str) -> String {
    let mut table = render::table(&["path", "files", "what it is"]);
    for (name, what) in contents(wishes.mode) {
        let below = format!("{name}/");
        let count = files.iter().filter(|(path, _)| *path == name || path.starts_with(&below));
        let path = out.join(&name).display().to_string();
        table.add_row([path, count.count().to_string(), what.to_owned()]);
    }
    if let Some(column) = table.column_mut(1) {
        column.set_cell_alignment(CellAlignment::Right);
    }
    let Wishes { server, database, .. } = wishes;
    let project: PathBuf = out.join(format!("{NAME}.pbip"));
    format!(
        "{table}\n\nNext: open `{}` in Power BI Desktop (on Windows), choose Database when it asks how \
         to sign in,\nand enter the user `{user}` and its password. It connects to `{server}`, database \
         `{database}`.\nEvery step, and what to do when one fails: docs/powerbi.md\n",
        project.display()
    )
}

fn as_json(files: &[(String, String)], out: &Path, wishes: &Wishes, user: &str) -> String {
    let Wishes { server, database, mode } = wishes;
    let mode = match mode {
        Mode::Import => "import",
        Mode::DirectQuery => "direct-query",
    };
    let list: Vec<_> =
        files.iter().map(|(path, text)| json!({"path": path, "bytes": text.len()})).collect();
    let written = json!({
        "folder": out.display().to_string(),
        "project": out.join(format!("{NAME}.pbip")).display().to_string(),
        "server": server.as_str(),
        "database": database.as_str(),
        "user": user,
        "mode": mode,
        "files": list,
    });
    format!("{written:#}\n")
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::{Failure, here, is_empty, put, undo, write};

    fn file(path: &str, text: &str) -> (String, String) {
        (path.to_owned(), text.to_owned())
    }

    #[test]
    fn the_port_is_found_on_this_machine_unless_it_is_open() {
        for (bind, server) in
            [("127.0.0.1:5439", "localhost:5439"), ("[::1]:6000", "localhost:6000")]
        {
            assert_eq!(here(bind.parse().unwrap()).unwrap().as_str(), server);
        }
        let failure = here("127.0.0.1:0".parse().unwrap()).unwrap_err();
        assert!(failure.error.to_string().contains("--server"));
    }

    #[test]
    fn what_a_user_ignores_stays_ignored() {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join(".gitignore"), "mine").unwrap();
        write(&[file(".gitignore", "new"), file("p", "1")], folder.path()).unwrap();
        assert_eq!(fs::read_to_string(folder.path().join(".gitignore")).unwrap(), "mine");
        assert_eq!(fs::read_to_string(folder.path().join("p")).unwrap(), "1");
    }

    #[test]
    fn a_project_that_is_half_replaced_is_put_back() {
        let folder = tempfile::tempdir().unwrap();
        let out = folder.path();
        write(&[file("r/x.json", "1"), file("p", "1")], out).unwrap();
        let stage = tempfile::tempdir_in(out).unwrap();
        let (new, old) = (stage.path().join("new"), stage.path().join("old"));
        for side in [&new, &old] {
            fs::create_dir(side).unwrap();
        }
        for top in ["p", "q"] {
            fs::write(new.join(top), "2").unwrap();
            put(&new.join(top), &out.join(top), &old.join(top)).unwrap();
        }
        let failure = undo(&["p", "q"], out, stage, Failure::config("it is open elsewhere"));
        assert_eq!(failure.error.to_string(), "it is open elsewhere", "nothing is left to fetch");
        assert_eq!(fs::read_to_string(out.join("p")).unwrap(), "1");
        assert!(!out.join("q").try_exists().unwrap());
        assert_eq!(fs::read_dir(out).unwrap().count(), 2, "nothing else is there");
    }

    #[test]
    fn a_second_project_replaces_the_first_and_nothing_else() {
        let folder = tempfile::tempdir().unwrap();
        let out = folder.path().join("a/b");
        assert!(is_empty(&out).unwrap(), "a folder that is not there has nothing in it");
        write(&[file("r/one/x.json", "1"), file("p", "1")], &out).unwrap();
        assert!(!is_empty(&out).unwrap());
        fs::write(out.join("notes.txt"), "mine").unwrap();
        write(&[file("r/two/x.json", "2"), file("p", "2")], &out).unwrap();
        let text = |path| fs::read_to_string(out.join(path)).unwrap();
        assert_eq!(
            (text("r/two/x.json"), text("p"), text("notes.txt")),
            ("2".to_owned(), "2".to_owned(), "mine".to_owned())
        );
        assert!(!out.join("r/one").try_exists().unwrap(), "a visual of the first project stayed");
        let mut names: Vec<_> =
            fs::read_dir(&out).unwrap().map(|entry| entry.unwrap().file_name()).collect();
        names.sort();
        assert_eq!(names, ["notes.txt", "p", "r"], "something else was left behind");
    }
}
