//! Observations of single items by the key of their measure.

use crate::item::Item;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// The values of one measure, one per item in the order of the prompts; `None` is unreadable. An item to which the
/// measure does not apply is left out for every stack.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(from = "SeriesOnDisk")]
pub struct Series {
    /// Keys of the items; empty in files of earlier versions, whose items are identified by position only.
    items: Vec<String>,
    values: Vec<Option<f64>>,
}

/// The current format, or the bare list of earlier versions.
#[derive(Deserialize)]
#[serde(untagged)]
enum SeriesOnDisk {
    Bare(Vec<Option<f64>>),
    Keyed { items: Vec<String>, values: Vec<Option<f64>> },
}

impl From<SeriesOnDisk> for Series {
    fn from(found: SeriesOnDisk) -> Self {
        match found {
            SeriesOnDisk::Bare(values) => Self { items: Vec::new(), values },
            SeriesOnDisk::Keyed { items, values } => Self { items, values },
        }
    }
}

impl Series {
    /// The values in order.
    pub fn values(&self) -> &[Option<f64>] {
        &self.values
    }

    fn push(&mut self, item: &str, value: Option<f64>) {
        self.items.push(item.to_owned());
        // Values that are not finite are unreadable: they are counted, never averaged.
        self.values.push(value.filter(|value| value.is_finite()));
    }

    /// Pairs of values of the same items, in the order of `other`: by key where both have keys, else by position.
    pub(crate) fn paired(&self, other: &Series) -> (Vec<Option<f64>>, Vec<Option<f64>>) {
        let keyed = |series: &Series| series.items.len() == series.values.len();
        if !keyed(self) || !keyed(other) {
            return self.values.iter().copied().zip(other.values.iter().copied()).unzip();
        }
        let known: BTreeMap<&str, Option<f64>> =
            self.items.iter().map(String::as_str).zip(self.values.iter().copied()).collect();
        let shared = |(item, value): (&String, &Option<f64>)| Some((*known.get(item.as_str())?, *value));
        other.items.iter().zip(&other.values).filter_map(shared).unzip()
    }
}

/// Series by the key of their measure.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct Observations(BTreeMap<String, Series>);

impl Observations {
    /// Adds the value of one item.
    pub fn push(&mut self, item: &Item, measure: &str, value: Option<f64>) {
        self.0.entry(measure.to_owned()).or_default().push(&item.key, value);
    }

    /// Adds a yes or no of one item.
    pub fn flag(&mut self, item: &Item, measure: &str, value: Option<bool>) {
        self.push(item, measure, value.map(f64::from));
    }

    /// The series of a measure.
    pub fn get(&self, measure: &str) -> Option<&Series> {
        self.0.get(measure)
    }

    /// Keys of everything that was observed.
    pub fn keys(&self) -> impl Iterator<Item = &str> {
        self.0.keys().map(String::as_str)
    }

    /// Adds the series of another set; those of the same measure replace the earlier ones.
    pub fn extend(&mut self, other: Observations) {
        self.0.extend(other.0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::item::Prompt;

    fn series(values: &[(&str, f64)]) -> Series {
        let mut found = Series::default();
        values.iter().for_each(|(item, value)| found.push(item, Some(*value)));
        found
    }

    #[test]
    fn items_are_paired_by_key_and_by_position_only_without_keys() {
        let (first, second) = (series(&[("a", 1.0), ("b", 2.0), ("c", 3.0)]), series(&[("c", 30.0), ("a", 10.0)]));
        assert_eq!(first.paired(&second), (vec![Some(3.0), Some(1.0)], vec![Some(30.0), Some(10.0)]));
        let bare: Series = serde_json::from_str("[7.0, null]").unwrap();
        assert_eq!(bare.paired(&second), (vec![Some(7.0), None], vec![Some(30.0), Some(10.0)]));
        let again: Series = serde_json::from_str(&serde_json::to_string(&second).unwrap()).unwrap();
        assert_eq!(again, second);
    }

    #[test]
    fn values_that_are_not_finite_are_unreadable() {
        let mut found = Observations::default();
        let item = Item { key: "a".into(), prompt: Prompt::default() };
        for value in [f64::NAN, f64::INFINITY, 1.0] {
            found.push(&item, "loss", Some(value));
        }
        assert_eq!(found.get("loss").unwrap().values(), [None, None, Some(1.0)]);
    }
}
