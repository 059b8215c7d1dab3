//! The interval plot: one row for each measure, its name in a left column, and every stack as a dot on its 95 % interval. Rates
//! share an axis from 0 to 100 %; any other quantity has its own.

use crate::svg::{line, lines, text, tick, ticks};
use alidade_domain::Estimate;
use std::fmt::Write;

const WIDTH: f64 = 720.0;
/// The column of names.
const LEFT: f64 = 196.0;
/// The column of values.
const RIGHT: f64 = 112.0;
const SIZE: f64 = 12.0;
/// Height of one stack within a row, and the space around a row.
const LANE: f64 = 15.0;
const AROUND: f64 = 13.0;

/// A measure of the plot.
pub(crate) struct PlotRow {
    /// Its name.
    pub(crate) title: String,
    /// What is written at its right.
    pub(crate) values: String,
    /// The figures, with the place of their stack in the palette.
    pub(crate) stacks: Vec<(usize, Estimate)>,
}

/// The scale of an axis.
pub(crate) enum Scale {
    /// Shares, from 0 to 100 %.
    Rate,
    /// Anything else, around the figures.
    Around {
        /// The unit behind the axis.
        unit: String,
    },
}

/// Rows on one axis as an SVG element; `label` says the same in words.
pub(crate) fn plot(rows: &[PlotRow], scale: &Scale, label: &str) -> String {
    let heights: Vec<f64> = rows.iter().map(|row| LANE * row.stacks.len() as f64 + AROUND).collect();
    let bottom = 6.0 + heights.iter().sum::<f64>();
    let height = bottom + 26.0;
    let [low, high] = range(rows, scale);
    let across = |value: f64| LEFT + (WIDTH - LEFT - RIGHT) * ((value - low) / (high - low)).clamp(0.0, 1.0);
    let mut drawn = String::new();
    let label = crate::svg::escape(&alidade_domain::printable(label));
    // Writing to a string cannot fail.
    let _ = write!(
        drawn,
        "<svg viewBox=\"0 0 {WIDTH} {height}\" width=\"{WIDTH}\" height=\"{height}\" role=\"img\" aria-label=\"{label}\">"
    );
    axis(&mut drawn, [low, high], scale, bottom, &across);
    let mut top = 6.0;
    for (row, height) in rows.iter().zip(heights) {
        draw_row(&mut drawn, row, top, height, &across);
        top += height;
    }
    drawn + "</svg>"
}

fn axis(drawn: &mut String, [low, high]: [f64; 2], scale: &Scale, bottom: f64, across: &dyn Fn(f64) -> f64) {
    let (found, decimals) = ticks(low, high, 5.0, 0.0);
    for value in &found {
        let x = across(*value);
        drawn.push_str(&line([x, 2.0], [x, bottom + 4.0], "grid"));
        let said = match scale {
            Scale::Rate => format!("{:.0}", 100.0 * value),
            Scale::Around { .. } => tick(*value, decimals),
        };
        drawn.push_str(&text(x, bottom + 18.0, "middle", "tick", &said));
    }
    let unit = match scale {
        Scale::Rate => "%",
        Scale::Around { unit } => unit,
    };
    drawn.push_str(&text(WIDTH - RIGHT + 18.0, bottom + 18.0, "start", "tick", unit));
    drawn.push_str(&line([LEFT, bottom + 4.0], [WIDTH - RIGHT, bottom + 4.0], "axis"));
}

fn draw_row(drawn: &mut String, row: &PlotRow, top: f64, height: f64, across: &dyn Fn(f64) -> f64) {
    let middle = top + height / 2.0;
    let names = lines(&row.title, LEFT - 20.0, SIZE);
    let first = middle + 4.0 - 7.0 * (names.len() as f64 - 1.0);
    for (place, name) in names.iter().enumerate() {
        drawn.push_str(&text(LEFT - 14.0, first + 14.0 * place as f64, "end", "name", name));
    }
    drawn.push_str(&text(WIDTH, middle + 4.0, "end", "figure", &row.values));
    let start = middle - LANE * (row.stacks.len() as f64 - 1.0) / 2.0;
    for (place, (color, estimate)) in row.stacks.iter().enumerate() {
        let (y, class) = (start + LANE * place as f64, format!("s{color}"));
        let ends = [across(estimate.low), across(estimate.high)];
        drawn.push_str(&line([ends[0], y], [ends[1], y], &format!("whisker {class}")));
        for end in ends {
            drawn.push_str(&line([end, y - 3.5], [end, y + 3.5], &format!("cap {class}")));
        }
        // Writing to a string cannot fail.
        let _ = write!(
            drawn,
            "<circle cx=\"{:.1}\" cy=\"{y:.1}\" r=\"4.5\" class=\"dot {class}\"/>",
            across(estimate.value)
        );
    }
}

/// The ends of the axis.
fn range(rows: &[PlotRow], scale: &Scale) -> [f64; 2] {
    if matches!(scale, Scale::Rate) {
        return [0.0, 1.0];
    }
    let all = || rows.iter().flat_map(|row| &row.stacks).map(|(_, estimate)| estimate);
    let low = all().map(|estimate| estimate.low).fold(f64::INFINITY, f64::min);
    let high = all().map(|estimate| estimate.high).fold(f64::NEG_INFINITY, f64::max);
    match (high - low).is_finite() {
        true if high > low => [low - 0.08 * (high - low), high + 0.08 * (high - low)],
        true => [low - 0.5, low + 0.5],
        false => [0.0, 1.0],
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(title: &str, values: &[(f64, f64, f64)]) -> PlotRow {
        let estimate = |(value, low, high): &(f64, f64, f64)| Estimate {
            value: *value,
            low: *low,
            high: *high,
            n: 9,
            unreadable: 0,
        };
        let stacks = values.iter().map(estimate).enumerate().collect();
        PlotRow { title: title.to_owned(), values: "a → b".to_owned(), stacks }
    }

    #[test]
    fn rates_lie_on_an_axis_of_all_per_cents() {
        let drawn = plot(&[row("good", &[(0.0, 0.0, 0.1), (1.0, 0.9, 1.0)])], &Scale::Rate, "good: 0 % → 100 %");
        for wanted in [
            ">0<",
            ">20<",
            ">100<",
            ">%<",
            ">good<",
            "cx=\"196.0\"",
            "cx=\"608.0\"",
            "dot s0",
            "dot s1",
            "role=\"img\"",
        ] {
            assert!(drawn.contains(wanted), "{wanted}: {drawn}");
        }
    }

    #[test]
    fn odd_figures_stay_on_the_paper() {
        for values in
            [vec![], vec![(1.0, 1.0, 1.0)], vec![(f64::NAN, f64::NAN, f64::NAN)], vec![(2.0, -7.0, f64::INFINITY)]]
        {
            for scale in [Scale::Rate, Scale::Around { unit: "nats".to_owned() }] {
                let drawn = plot(&[row("<b>", &values)], &scale, "\"");
                assert!(drawn.starts_with("<svg") && !drawn.contains("<b>") && !drawn.contains("inf"), "{drawn}");
            }
        }
    }
}
