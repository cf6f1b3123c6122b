//! Laying one TOML table over another.

use toml::{Table, Value};

/// Lays `change` over `base`: merges tables key by key and replaces everything else.
pub(super) fn merge(base: &mut Table, change: &Table) {
    for (key, value) in change {
        match (base.get_mut(key), value) {
            (Some(Value::Table(below)), Value::Table(above)) => merge(below, above),
            _ => {
                base.insert(key.clone(), value.clone());
            }
        }
    }
}

/// The table at `path`; empty if absent.
pub(super) fn subtable(table: &Table, path: &[&str]) -> Table {
    let mut at = table;
    for key in path {
        match at.get(*key) {
            Some(Value::Table(next)) => at = next,
            _ => return Table::new(),
        }
    }
    at.clone()
}
