//! How a run is watched: which curves are drawn together, the range in which they usually stay, and what a patient colleague
//! would say on seeing them. A method says it as data; the window draws and reads it without knowing the method.
//!
//! Not here: smoothing, and from which step on a curve is long enough to be read. That is the window's.

use crate::Words;
use serde::Serialize;
use ts_rs::TS;

/// A figure of a step: its name in the log, and what a legend calls it.
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

/// How a curve stands out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, TS)]
#[serde(rename_all = "snake_case")]
pub enum Tone {
    /// What the method is after.
    Accent,
    /// What goes with it.
    Base,
    /// The same, dashed: the other of two.
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
    /// What is seen.
    pub title: Words,
    /// The curves.
    pub lines: Vec<Line>,
    /// Where they usually stay; outside of it a look is worth while.
    pub usual: Option<[f64; 2]>,
}

impl Chart {
    /// A chart of one figure that the method is after.
    pub fn of(metric: Metric) -> Self {
        Self { title: metric.label, lines: vec![Line { metric, tone: Tone::Accent }], usual: None }
    }

    /// A chart of one figure that goes with it.
    pub fn beside(metric: Metric) -> Self {
        Self { title: metric.label, lines: vec![Line { metric, tone: Tone::Base }], usual: None }
    }

    /// A chart of several figures.
    pub fn several<const N: usize>(title: Words, lines: [(Metric, Tone); N]) -> Self {
        Self { title, lines: lines.map(|(metric, tone)| Line { metric, tone }).to_vec(), usual: None }
    }

    /// The same with the range in which it usually stays.
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
    /// Where it began.
    First,
    /// Where it is.
    Last,
}

/// A multiple of where a curve was or is.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, TS)]
pub struct Multiple {
    /// How many times.
    pub factor: f64,
    /// Name of the figure.
    pub key: &'static str,
    /// When.
    pub at: At,
}

/// Whether a curve is now above or below a number, or that number and a multiple of another value.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, TS)]
pub struct Sign {
    /// Name of the figure.
    pub key: &'static str,
    /// True for above, false for below.
    pub above: bool,
    /// The number.
    pub than: f64,
    /// What is added to it.
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

/// What is said of a run when all its signs are there; of several the first counts.
#[derive(Debug, Clone, PartialEq, Serialize, TS)]
pub struct Reading {
    /// A short name of what is seen.
    pub id: &'static str,
    /// The signs.
    pub when: Vec<Sign>,
    /// What is seen, and what to do.
    pub says: Words,
    /// True when it asks for a hand.
    pub alarm: bool,
}

impl Reading {
    /// What is said when all is as it should be, or nothing is known yet.
    pub fn calm<const N: usize>(id: &'static str, when: [Sign; N], en: &'static str, zh: &'static str) -> Self {
        Self { id, when: when.to_vec(), says: Words::new(en, zh), alarm: false }
    }

    /// What is said when somebody should do something.
    pub fn alarm<const N: usize>(id: &'static str, when: [Sign; N], en: &'static str, zh: &'static str) -> Self {
        Self { alarm: true, ..Self::calm(id, when, en, zh) }
    }
}

/// How the curves of a method are read.
#[derive(Debug, Clone, PartialEq, Default, Serialize, TS)]
pub struct Watch {
    /// The charts, in their order.
    pub charts: Vec<Chart>,
    /// Figures without which nothing is said.
    pub needs: Vec<&'static str>,
    /// What may be said, in the order in which it is looked at; the last one always holds.
    pub readings: Vec<Reading>,
    /// The figure that tells how far better and worse answers are apart, if it has one.
    pub margin: Option<&'static str>,
}
