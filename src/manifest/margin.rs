//! The margin of a claim: one number of points, or one for each profile.

use std::collections::BTreeMap;
use std::fmt;

use schemars::JsonSchema;
use serde::de::value::MapAccessDeserializer;
use serde::de::{MapAccess, Visitor};
use serde::{Deserialize, Deserializer};

/// How far a claim's errors must lie apart, in points.
#[derive(Clone, Debug, JsonSchema)]
#[serde(untagged)]
pub(super) enum Margin {
    /// At every profile that trains the networks of the claim.
    Everywhere(f64),
    /// At these profiles only.
    Each(BTreeMap<String, f64>),
}

impl Default for Margin {
    fn default() -> Self {
        Self::Everywhere(0.0)
    }
}

/// By hand, because serde's message for an untagged enum does not say what is expected.
impl<'de> Deserialize<'de> for Margin {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        struct Points;
        impl<'de> Visitor<'de> for Points {
            type Value = Margin;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a number of points, or a table of them by profile")
            }
            fn visit_f64<E>(self, points: f64) -> Result<Margin, E> {
                Ok(Margin::Everywhere(points))
            }
            fn visit_i64<E>(self, points: i64) -> Result<Margin, E> {
                Ok(Margin::Everywhere(points as f64))
            }
            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Margin, A::Error> {
                BTreeMap::deserialize(MapAccessDeserializer::new(map)).map(Margin::Each)
            }
        }
        from.deserialize_any(Points)
    }
}
