//! Changes made on the command line, such as `--set recipe.batch=64`.

use anyhow::Result;
use serde::Deserialize;
use toml::de::DeTable;
use toml::{Table, Value};

use super::merge::merge;
use super::source::{unprintable, unusable};
use super::validate::seeds_fault;
use super::wording::plain;
use crate::exit::Exit;
use crate::recipe::Recipe;

/// What `--set` changes.
#[derive(Default)]
pub(super) struct Overrides {
    /// The arguments as given.
    pub given: Vec<String>,
    /// Only the fields that change.
    pub recipe: Table,
    pub seeds: Option<Vec<u64>>,
}

/// The fields that `--set` accepts.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct OverrideFile {
    #[serde(default)]
    #[allow(dead_code, reason = "type check only; the table is what gets merged")]
    recipe: Recipe,
    seeds: Option<Vec<u64>>,
}

impl Overrides {
    /// Parses arguments of the form `FIELD=VALUE`; later ones win.
    pub fn parse(given: &[String]) -> Result<Self> {
        let mut all = Self {
            given: given.to_vec(),
            ..Self::default()
        };
        for text in given {
            let refuse = |why: &str| {
                Exit::Usage.error(format!(
                    "--set {text}: {}; write e.g. --set recipe.batch=64 or --set seeds=[1,2]",
                    plain(why)
                ))
            };
            if let Some(why) = unprintable(text) {
                return Err(Exit::Usage.error(format!("--set: {why}")));
            }
            let table = table(text).map_err(|why| refuse(&why))?;
            let checked =
                OverrideFile::deserialize(table.clone()).map_err(
                    |error| match Recipe::deserialize(table.clone()) {
                        Ok(_) => Exit::Usage.error(format!(
                            "--set {text}: unknown field; did you mean --set recipe.{text}?"
                        )),
                        Err(_) => refuse(error.message()),
                    },
                )?;
            if let Some(why) = checked.seeds.as_deref().and_then(seeds_fault) {
                return Err(Exit::Usage.error(format!("--set {text}: {why}")));
            }
            match table.get("recipe") {
                Some(Value::Table(recipe)) => merge(&mut all.recipe, recipe),
                // serde takes a list for a struct.
                Some(_) => return Err(refuse("expected a table")),
                None => {}
            }
            all.seeds = checked.seeds.or(all.seeds);
        }
        Ok(all)
    }

    /// The last argument that set this field of the recipe, if any.
    pub fn of(&self, field: &str) -> Option<&str> {
        let wanted = format!("recipe.{field}");
        self.given
            .iter()
            .rev()
            .find(|text| {
                text.split_once('=').is_some_and(|(key, _)| {
                    let rest = wanted.strip_prefix(key.trim());
                    rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
                })
            })
            .map(String::as_str)
    }
}

/// `FIELD=VALUE` as TOML, or what is wrong with it.
fn table(text: &str) -> std::result::Result<Table, String> {
    let (key, value) = text.split_once('=').ok_or("no value")?;
    let (key, value) = (key.trim(), value.trim());
    let mut document = format!("{key} = {value}");
    let parsed = DeTable::parse(&document).map(|_| ());
    if let Err(error) = parsed {
        if value.starts_with(['[', '{', '"', '\'']) {
            return Err(error.message().to_owned());
        }
        // A bare word is not a TOML value; take it as a string: recipe.shortcut=B.
        document = format!("{key} = {}", Value::String(value.into()));
    }
    if let Some((_, why)) = unusable(&document) {
        return Err(why);
    }
    toml::from_str(&document).map_err(|error| error.message().to_owned())
}
