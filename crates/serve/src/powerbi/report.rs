//! The report: its pages in order, its theme, and what binds it to the model.

use serde_json::{Value, json};

use super::{NAME, SCHEMAS, document, pages, platform};

/// Colors that people with any color vision tell apart, with a contrast of 3 to 1 on white at least.
pub(super) const RISE: &str = "#0B6E8A";
pub(super) const FALL: &str = "#C2500A";
pub(super) const PLAIN: &str = "#3C4654";
pub(super) const SHORT_MEAN: &str = "#7A4FBF";
pub(super) const LONG_MEAN: &str = "#7C6A00";

/// The versions that the theme was written for: the same as the files'.
const THEME_VERSIONS: [(&str, &str); 3] =
    [("visual", "2.4.0"), ("report", "3.0.0"), ("page", "2.0.0")];

/// Returns the files of the report, with paths below its folder.
pub(super) fn files() -> Vec<(String, String)> {
    let theme = format!("{NAME}.json");
    let mut files = vec![
        (".platform".to_owned(), platform("Report")),
        ("definition.pbir".to_owned(), document(&binding())),
        (format!("StaticResources/RegisteredResources/{theme}"), document(&theme_colors())),
        ("definition/version.json".to_owned(), document(&version())),
        ("definition/report.json".to_owned(), document(&report(&theme))),
        ("definition/pages/pages.json".to_owned(), document(&order())),
    ];
    for page in pages::all() {
        let folder = format!("definition/pages/{}", page.name);
        files.push((format!("{folder}/page.json"), document(&page_file(&page))));
        for (index, visual) in page.visuals.iter().enumerate() {
            let (path, text) = visual.file(index);
            files.push((format!("{folder}/{path}"), text));
        }
    }
    files
}

fn binding() -> Value {
    json!({
        "$schema": format!("{SCHEMAS}/item/report/definitionProperties/2.0.0/schema.json"),
        "version": "4.0",
        "datasetReference": {"byPath": {"path": format!("../{NAME}.SemanticModel")}},
    })
}

fn version() -> Value {
    json!({"$schema": schema("versionMetadata", "1.0.0"), "version": "2.0.0"})
}

fn report(theme: &str) -> Value {
    let mut versions = json!({});
    for (part, version) in THEME_VERSIONS {
        versions[part] = Value::from(version);
    }
    let resources = "RegisteredResources";
    json!({
        "$schema": schema("report", "3.0.0"),
        "themeCollection": {
            "customTheme": {
                "name": theme, "reportVersionAtImport": versions, "type": resources,
            },
        },
        "resourcePackages": [{
            "name": resources,
            "type": resources,
            "items": [{"name": theme, "path": theme, "type": "CustomTheme"}],
        }],
        "settings": {
            "useStylableVisualContainerHeader": true,
            "exportDataMode": "AllowSummarizedAndUnderlying",
            "defaultDrillFilterOtherVisuals": true,
            "useEnhancedTooltips": true,
        },
    })
}

fn theme_colors() -> Value {
    json!({
        "name": NAME,
        "dataColors": [RISE, FALL, SHORT_MEAN, LONG_MEAN, PLAIN, "#4E7D2A", "#A33B6F", "#2F5FB3"],
        "good": RISE,
        "neutral": PLAIN,
        "bad": FALL,
        "foreground": "#1C232B",
        "background": "#FFFFFF",
        "tableAccent": RISE,
    })
}

fn order() -> Value {
    let names: Vec<&str> = pages::all().iter().map(|page| page.name).collect();
    json!({
        "$schema": schema("pagesMetadata", "1.0.0"),
        "pageOrder": names,
        "activePageName": names.first(),
    })
}

fn page_file(page: &pages::Page) -> Value {
    json!({
        "$schema": schema("page", "2.0.0"),
        "name": page.name,
        "displayName": page.title,
        "displayOption": "FitToPage",
        "height": pages::HEIGHT,
        "width": pages::WIDTH,
    })
}

fn schema(part: &str, version: &str) -> String {
    format!("{SCHEMAS}/item/report/definition/{part}/{version}/schema.json")
}
