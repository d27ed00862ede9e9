//! One visual of a page as the file that Power BI reads.

use serde_json::{Map, Value, json};

use super::{SCHEMAS, document, measures};

/// A column or a measure of the model.
#[derive(Clone, Copy, Debug)]
pub(super) enum Field {
    /// Table and name.
    Column(&'static str, &'static str),
    /// Name; its table is looked up.
    Measure(&'static str),
}

impl Field {
    fn table(self) -> &'static str {
        match self {
            Self::Column(table, _) => table,
            Self::Measure(name) => {
                let found = measures::all().find(|measure| measure.name == name);
                // A name that is no measure has no table; a test finds it.
                found.map_or("", |measure| measure.table)
            }
        }
    }

    fn name(self) -> &'static str {
        match self {
            Self::Column(_, name) | Self::Measure(name) => name,
        }
    }

    /// Returns how selectors and queries call it.
    pub(super) fn reference(self) -> String {
        format!("{}.{}", self.table(), self.name())
    }

    /// Returns the expression that reads it.
    pub(super) fn expression(self) -> Value {
        let kind = match self {
            Self::Column(..) => "Column",
            Self::Measure(_) => "Measure",
        };
        let read = json!({
            "Expression": {"SourceRef": {"Entity": self.table()}},
            "Property": self.name(),
        });
        json!({kind: read})
    }

    fn projection(self, is_active: bool) -> Value {
        let mut projection = json!({
            "field": self.expression(),
            "queryRef": self.reference(),
            "nativeQueryRef": self.name(),
        });
        if is_active {
            projection["active"] = Value::Bool(true);
        }
        projection
    }
}

/// A value of a property: truth.
pub(super) fn truth(value: bool) -> Value {
    literal(if value { "true" } else { "false" })
}

/// A value of a property: a number, in pixels, points or percent.
pub(super) fn number(value: u32) -> Value {
    literal(&format!("{value}D"))
}

/// A value of a property: text.
pub(super) fn text(value: &str) -> Value {
    literal(&format!("'{}'", value.replace('\'', "''")))
}

/// A value of a property: a color, `#rrggbb`.
pub(super) fn color(value: &str) -> Value {
    json!({"solid": {"color": text(value)}})
}

fn literal(value: &str) -> Value {
    json!({"expr": {"Literal": {"Value": value}}})
}

/// Where a visual lies on its page, in pixels.
#[derive(Clone, Copy, Debug)]
pub(super) struct Place {
    pub(super) x: u32,
    pub(super) y: u32,
    pub(super) width: u32,
    pub(super) height: u32,
}

/// What stands above a visual.
#[derive(Clone, Copy, Debug)]
pub(super) enum Title {
    Text(&'static str),
    /// A measure that returns the text.
    Measure(&'static str),
}

/// A visual that shows data.
#[derive(Clone, Debug)]
pub(super) struct Visual {
    /// Its name on the page, which is its folder's.
    pub(super) name: &'static str,
    /// What Power BI calls this kind of visual.
    pub(super) kind: &'static str,
    pub(super) place: Place,
    pub(super) title: Title,
    /// What it shows, for those who do not see it.
    pub(super) about: &'static str,
    /// Which fields play which part.
    pub(super) roles: Vec<(&'static str, Vec<Field>)>,
    /// What it is sorted by, largest first if so said.
    pub(super) sort: Option<(Field, Sort)>,
    /// Formatting by object; each entry is one rule of an object.
    pub(super) objects: Vec<(&'static str, Value)>,
    /// Slicers of the same group choose the same on every page.
    pub(super) group: Option<&'static str>,
}

/// The direction of a sort.
#[derive(Clone, Copy, Debug)]
pub(super) enum Sort {
    Ascending,
    Descending,
}

impl Visual {
    /// Writes the visual; `index` is its place in the order of the Tab key.
    pub(super) fn file(&self, index: usize) -> (String, String) {
        // Hundreds leave room for visuals that somebody puts between.
        let order = index * 100;
        let Place { x, y, width, height } = self.place;
        let text = document(&json!({
            "$schema": format!("{SCHEMAS}/item/report/definition/visualContainer/2.4.0/schema.json"),
            "name": self.name,
            "position": {
                "x": x, "y": y, "z": order, "height": height, "width": width, "tabOrder": order,
            },
            "visual": self.configuration(),
        }));
        (format!("visuals/{}/visual.json", self.name), text)
    }

    fn configuration(&self) -> Value {
        let is_slicer = self.kind == "slicer";
        let mut state = Map::new();
        for (role, fields) in &self.roles {
            // A field that can be drilled into, and a slicer's, is marked as the one in use.
            let is_active = is_slicer || matches!(*role, "Category" | "Rows" | "Columns");
            let fields: Vec<Value> =
                fields.iter().map(|field| field.projection(is_active)).collect();
            state.insert((*role).to_owned(), json!({"projections": fields}));
        }
        let mut query = json!({"queryState": state});
        if let Some((field, direction)) = self.sort {
            let direction = match direction {
                Sort::Ascending => "Ascending",
                Sort::Descending => "Descending",
            };
            let sort = json!([{"field": field.expression(), "direction": direction}]);
            query["sortDefinition"] = json!({"sort": sort, "isDefaultSort": false});
        }
        let mut objects = Map::new();
        for (object, rule) in &self.objects {
            let rules = objects.entry(*object).or_insert_with(|| json!([]));
            if let Some(rules) = rules.as_array_mut() {
                rules.push(rule.clone());
            }
        }
        let mut visual = json!({"visualType": self.kind, "query": query, "objects": objects});
        visual["visualContainerObjects"] = self.container();
        if let Some(group) = self.group {
            visual["syncGroup"] =
                json!({"groupName": group, "fieldChanges": true, "filterChanges": true});
        }
        visual["drillFilterOtherVisuals"] = Value::Bool(true);
        visual
    }

    fn container(&self) -> Value {
        let title = match self.title {
            Title::Text(title) => text(title),
            Title::Measure(name) => json!({"expr": Field::Measure(name).expression()}),
        };
        json!({
            "title": [{"properties": {"show": truth(true), "text": title}}],
            "general": [{"properties": {"altText": text(self.about)}}],
        })
    }
}

/// A rule for a whole object.
pub(super) fn rule(properties: Value) -> Value {
    json!({"properties": properties})
}

/// A rule for one series.
pub(super) fn series_rule(field: Field, properties: Value) -> Value {
    json!({"properties": properties, "selector": {"metadata": field.reference()}})
}

/// A bar from one measure to another at every point of a series, whose own line may be invisible.
pub(super) fn error_bars(
    series: Field,
    [low, high]: [&'static str; 2],
    style: (u32, &str),
) -> [(&'static str, Value); 2] {
    let (width, paint) = style;
    let bound = |name| json!({"expr": Field::Measure(name).expression()});
    let range = json!({
        "properties": {"errorRange": {
            "kind": "ErrorRange",
            "explicit": {
                "isRelative": truth(false),
                "lowerBound": bound(low),
                "upperBound": bound(high),
            },
        }},
        "selector": {
            "data": [{"dataViewWildcard": {"matchingOption": 0}}],
            "metadata": series.reference(),
            "highlightMatching": 1,
        },
    });
    let look = json!({
        "enabled": truth(true),
        "barShow": truth(true),
        "barMatchSeriesColor": truth(false),
        "barColor": color(paint),
        "barWidth": number(width),
        "barBorderSize": number(0),
        "markerShow": truth(false),
        "labelShow": truth(false),
        "tooltipShow": truth(false),
    });
    [("error", range), ("error", series_rule(series, look))]
}
