//! `query "SQL"`.

use super::{Context, Ended};
use crate::{assemble::ResultExt, cli::Output, failure::Failure, render};

pub(crate) async fn run(context: Context, sql: &str) -> Result<Ended, Failure> {
    let bench = context.open_existing()?;
    let batches = bench.reader().await?.query(sql).await.or_fail()?;
    let text = match context.output {
        Output::Text => render::as_table(&batches)?,
        Output::Json => render::as_json(&batches)?,
        Output::Csv => render::as_csv(&batches)?,
    };
    render::print(&text)?;
    Ok(Ended::default())
}
