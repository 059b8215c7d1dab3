//! How a run is watched: which curves are drawn together, the range in which they usually stay, and how to interpret them. A
//! method declares this as data; the window draws and interprets the curves without knowing the method.
//!
//! Not here: smoothing, and how long a curve must be to be interpreted. The window decides that.

use crate::Words;
use serde::Serialize;
use ts_rs::TS;

/// A figure of a step: its name in the log, and its label in a legend.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, TS)]
pub struct Metric {
    /// TRL's name.
    pub key: &'static str,
    /// What it is.
    pub label: Words,
}

impl Metric {
    /// A figure of the log.
    pub const fn new(key: &'static str, en: &'static str, zh: &'static str) -> Self {
        Self { key, label: Words::new(en, zh) }
    }
}

/// How a curve is drawn.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, TS)]
#[serde(rename_all = "snake_case")]
pub enum Tone {
    /// The main curve of the method.
    Accent,
    /// A secondary curve.
    Base,
    /// The second of two, dashed.
    Dashed,
}

/// A curve of a chart.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, TS)]
pub struct Line {
    /// The figure.
    pub metric: Metric,
    /// How it is drawn.
    pub tone: Tone,
}

/// Curves that are drawn together.
#[derive(Debug, Clone, PartialEq, Serialize, TS)]
pub struct Chart {
    /// What it shows.
    pub title: Words,
    /// The curves.
    pub lines: Vec<Line>,
    /// The usual range; values outside deserve attention.
    pub usual: Option<[f64; 2]>,
}

impl Chart {
    /// A chart of one main figure.
    pub fn of(metric: Metric) -> Self {
        Self { title: metric.label, lines: vec![Line { metric, tone: Tone::Accent }], usual: None }
    }

    /// A chart of one secondary figure.
    pub fn beside(metric: Metric) -> Self {
        Self { title: metric.label, lines: vec![Line { metric, tone: Tone::Base }], usual: None }
    }

    /// A chart of several figures.
    pub fn several<const N: usize>(title: Words, lines: [(Metric, Tone); N]) -> Self {
        Self { title, lines: lines.map(|(metric, tone)| Line { metric, tone }).to_vec(), usual: None }
    }

    /// The same with its usual range.
    #[must_use]
    pub fn usually(mut self, low: f64, high: f64) -> Self {
        self.usual = Some([low, high]);
        self
    }
}

/// The beginning or the end of a curve.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, TS)]
#[serde(rename_all = "snake_case")]
pub enum At {
    /// Its first value.
    First,
    /// Where it is.
    Last,
}

/// A multiple of an earlier or current value of a curve.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, TS)]
pub struct Multiple {
    /// The factor.
    pub factor: f64,
    /// Name of the figure.
    pub key: &'static str,
    /// Which point of the curve.
    pub at: At,
}

/// A condition: a curve is now above or below a threshold, or a threshold plus a multiple of another value.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, TS)]
pub struct Sign {
    /// Name of the figure.
    pub key: &'static str,
    /// True for above, false for below.
    pub above: bool,
    /// The threshold.
    pub than: f64,
    /// The value that is added to it.
    pub plus: Option<Multiple>,
}

impl Sign {
    /// The figure is above a number.
    pub const fn above(key: &'static str, than: f64) -> Self {
        Self { key, above: true, than, plus: None }
    }

    /// The figure is below a number.
    pub const fn below(key: &'static str, than: f64) -> Self {
        Self { key, above: false, than, plus: None }
    }

    /// The figure has risen by more than a number.
    pub const fn rose(key: &'static str, by: f64) -> Self {
        Self::above(key, by).plus(1.0, key, At::First)
    }

    /// The figure has fallen by more than a number.
    pub const fn fell(key: &'static str, by: f64) -> Self {
        Self::below(key, -by).plus(1.0, key, At::First)
    }

    /// The same against the number and a multiple of another value.
    #[must_use]
    pub const fn plus(self, factor: f64, key: &'static str, at: At) -> Self {
        Self { plus: Some(Multiple { factor, key, at }), ..self }
    }
}

/// A reading of the curves, shown when all its conditions hold; the first of several counts.
#[derive(Debug, Clone, PartialEq, Serialize, TS)]
pub struct Reading {
    /// A short name.
    pub id: &'static str,
    /// The conditions.
    pub when: Vec<Sign>,
    /// The text: what it means, and what to do.
    pub says: Words,
    /// True if the person should act.
    pub alarm: bool,
}

impl Reading {
    /// A reading without a call to action.
    pub fn calm<const N: usize>(id: &'static str, when: [Sign; N], en: &'static str, zh: &'static str) -> Self {
        Self { id, when: when.to_vec(), says: Words::new(en, zh), alarm: false }
    }

    /// A reading that calls for action.
    pub fn alarm<const N: usize>(id: &'static str, when: [Sign; N], en: &'static str, zh: &'static str) -> Self {
        Self { alarm: true, ..Self::calm(id, when, en, zh) }
    }
}

/// The charts of a method and their readings.
#[derive(Debug, Clone, PartialEq, Default, Serialize, TS)]
pub struct Watch {
    /// The charts, in their order.
    pub charts: Vec<Chart>,
    /// Figures that must exist before anything is shown.
    pub needs: Vec<&'static str>,
    /// Readings in the order in which they are tried; the last one always holds.
    pub readings: Vec<Reading>,
    /// The figure for the margin between better and worse answers, if it has one.
    pub margin: Option<&'static str>,
}
