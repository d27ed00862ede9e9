//! `files plan`: what the next load would do, without doing it.

use autoloader::files::{choice::Choice, preview::Preview};
use serde_json::{Value, json};

use crate::{
    assemble::{
        Access, ResultExt,
        folder::{OpenFolder, open_folder},
    },
    cli::{FolderArgs, Output},
    commands::{Context, Ended},
    failure::Failure,
    render,
};

/// Files whose columns a dry run looks at: as many as a first batch takes by default.
const LOOKED_AT_MAX: usize = 1000;

pub(super) async fn run(context: Context, args: &FolderArgs) -> Result<Ended, Failure> {
    let bench = context.without_data();
    let OpenFolder { mut stream, columns, .. } = open_folder(&bench, args, Access::Read).await?;
    let choice = stream.look().await.or_fail()?;
    let new: Vec<_> = choice.files.iter().map(|it| it.file.clone()).take(LOOKED_AT_MAX).collect();
    let preview = columns.preview(&new).await.or_fail()?;
    let plan = Plan { choice, preview };
    match context.output {
        Output::Json => render::print(&format!("{}\n", plan.as_json()))?,
        Output::Text | Output::Csv => render::print(&plan.as_text())?,
    }
    Ok(Ended::default())
}

struct Plan {
    choice: Choice,
    preview: Preview,
}

impl Plan {
    /// Returns files and bytes of the next batch.
    fn next(&self) -> (u64, u64) {
        let files = &self.choice.files;
        let bytes = files.iter().map(|it| it.file.size).sum();
        (u64::try_from(files.len()).unwrap_or(u64::MAX), bytes)
    }

    fn as_json(&self) -> Value {
        let ((files, bytes), (waiting, waiting_bytes)) = (self.next(), self.choice.waiting);
        let modes = self.preview.modes.iter().map(|mode| {
            json!({
                "mode": mode.mode.as_str(), "is_chosen": mode.is_chosen,
                "stream": mode.stream, "columns": mode.schema, "not_held": mode.data,
            })
        });
        json!({
            "next_batch": {"files": files, "bytes": bytes},
            "behind_it": {"files": waiting, "bytes": waiting_bytes},
            "overwritten": self.choice.overwritten,
            "refused": self.choice.refused,
            "ripe_at": self.choice.ripe_at,
            "columns": {"version": self.preview.version, "ddl": self.preview.columns},
            "evolution": modes.collect::<Vec<_>>(),
        })
    }

    fn as_text(&self) -> String {
        let ((files, bytes), (waiting, waiting_bytes)) = (self.next(), self.choice.waiting);
        let mut table = render::table(&["", "files", "bytes"]);
        table.add_row(["next batch".to_owned(), files.to_string(), bytes.to_string()]);
        table.add_row(["behind it".to_owned(), waiting.to_string(), waiting_bytes.to_string()]);
        render::align_right(&mut table, [1, 2]);
        let mut text = format!("{table}\n\n");
        text.push_str(&match self.preview.version {
            Some(version) => format!("columns, version {version}:\n"),
            None => "columns that the first version would have:\n".to_owned(),
        });
        for column in &self.preview.columns {
            text.push_str(&format!("  {column}\n"));
        }
        if self.preview.columns.is_empty() {
            text.push_str("  none: the files have no fields\n");
        }
        if !self.preview.modes.is_empty() {
            text.push_str(&format!("\n{}\n", self.modes()));
        }
        for path in &self.choice.overwritten {
            let line = "overwritten since it was loaded, and left alone, as `overwrites` says";
            text.push_str(&format!("{line}: {path}\n"));
        }
        if let Some(path) = &self.choice.refused {
            let line = "overwritten since it was loaded, which stops the load";
            text.push_str(&format!("{line}: {path}\n"));
        }
        text
    }

    /// Shows what each mode would do with fields that are no columns.
    fn modes(&self) -> comfy_table::Table {
        let header = ["schemaEvolutionMode", "stream", "columns", "what they do not hold"];
        let mut table = render::table(&header);
        for mode in &self.preview.modes {
            let mark = if mode.is_chosen { " (chosen)" } else { "" };
            let name = format!("{}{mark}", mode.mode.as_str());
            table.add_row([name.as_str(), mode.stream, &mode.schema, &mode.data]);
        }
        table
    }
}
