//! What a filter or a method was called with, by place or by name, as Python allows either.

use minijinja::value::{Kwargs, Rest, from_args};
use minijinja::{Error, ErrorKind, Value};

/// The arguments of one call.
pub(super) struct Arguments {
    places: Vec<Value>,
    names: Kwargs,
}

impl Arguments {
    /// From what an engine hands to a filter.
    pub(super) fn new(places: Rest<Value>, names: Kwargs) -> Self {
        Self { places: places.to_vec(), names }
    }

    /// From what it hands to a method.
    ///
    /// # Errors
    /// When the list is none of arguments.
    pub(super) fn of_method(values: &[Value]) -> Result<Self, Error> {
        let (places, names): (Rest<Value>, Kwargs) = from_args(values)?;
        Ok(Self::new(places, names))
    }

    /// The one at a place, or with a name; `None` and what is undefined count as left out.
    ///
    /// # Errors
    /// Never in practice: any value will do.
    pub(super) fn get(&self, place: usize, name: &str) -> Result<Option<Value>, Error> {
        let named: Option<Value> = if self.names.has(name) { Some(self.names.get(name)?) } else { None };
        let found = named.or_else(|| self.places.get(place).cloned());
        Ok(found.filter(|value| !value.is_none() && !value.is_undefined()))
    }

    /// A text.
    ///
    /// # Errors
    /// When it is none.
    pub(super) fn text(&self, place: usize, name: &str) -> Result<Option<String>, Error> {
        let wrong = || Error::new(ErrorKind::InvalidOperation, format!("“{name}” must be a text"));
        self.get(place, name)?.map(|value| value.as_str().map(str::to_owned).ok_or_else(wrong)).transpose()
    }

    /// A whole number.
    ///
    /// # Errors
    /// When it is none.
    pub(super) fn number(&self, place: usize, name: &str) -> Result<Option<i64>, Error> {
        let wrong = || Error::new(ErrorKind::InvalidOperation, format!("“{name}” must be a whole number"));
        self.get(place, name)?.map(|value| value.as_i64().ok_or_else(wrong)).transpose()
    }

    /// A width or a length, below which nothing counts.
    ///
    /// # Errors
    /// When it is no number.
    pub(super) fn size(&self, place: usize, name: &str) -> Result<Option<usize>, Error> {
        Ok(self.number(place, name)?.map(|number| usize::try_from(number).unwrap_or(0)))
    }

    /// Whether it counts as true.
    ///
    /// # Errors
    /// Never in practice: any value will do.
    pub(super) fn flag(&self, place: usize, name: &str) -> Result<Option<bool>, Error> {
        Ok(self.get(place, name)?.map(|value| value.is_true()))
    }

    /// Refuses names that nobody asked for.
    ///
    /// # Errors
    /// When there is one.
    pub(super) fn done(&self) -> Result<(), Error> {
        self.names.assert_all_used()
    }
}
