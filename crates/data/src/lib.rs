//! Importers, the data doctor, splits.
