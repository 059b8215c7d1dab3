//! Curves as SVG: a thin raw line and a smoothed line, in the colours of the UI.

use alidade_domain::{Curve, Problem, wording};
use plotters::prelude::*;

const SIZE: (u32, u32) = (520, 240);
const ACCENT: RGBColor = RGBColor(0x0F, 0x76, 0x6E);
const INK: RGBColor = RGBColor(0x6B, 0x67, 0x5F);
const HAIRLINE: RGBColor = RGBColor(0xE4, 0xE1, 0xDB);
const SMOOTHING: f64 = 0.85;

/// A curve as an SVG element. Steps with infinite or undefined values are left out.
pub(crate) fn svg(curve: &Curve) -> Result<String, Problem> {
    let points: Vec<(f64, f64)> =
        curve.points.iter().copied().filter(|(x, y)| x.is_finite() && y.is_finite()).collect();
    let mut text = String::new();
    draw(&mut text, &points).map_err(|error| {
        Problem::internal(wording!(
            "Drawing “{name}” failed: {error}.",
            "绘制“{name}”失败：{error}。",
            name = curve.name
        ))
    })?;
    Ok(text)
}

fn draw(text: &mut String, points: &[(f64, f64)]) -> Result<(), Box<dyn std::error::Error>> {
    let range = |value: fn(&(f64, f64)) -> f64| {
        let low = points.iter().map(value).fold(f64::INFINITY, f64::min);
        let high = points.iter().map(value).fold(f64::NEG_INFINITY, f64::max);
        let room = if high > low { 0.05 * (high - low) } else { 0.5 };
        (low - room)..(high + room)
    };
    let area = SVGBackend::with_string(text, SIZE).into_drawing_area();
    if !points.is_empty() {
        let mut chart = ChartBuilder::on(&area)
            .margin(8)
            .x_label_area_size(28)
            .y_label_area_size(48)
            .build_cartesian_2d(range(|point| point.0), range(|point| point.1))?;
        let axis = |value: &f64| format!("{value:.3}").trim_end_matches('0').trim_end_matches('.').to_owned();
        chart
            .configure_mesh()
            .light_line_style(TRANSPARENT)
            .bold_line_style(HAIRLINE)
            .axis_style(HAIRLINE)
            .label_style(("sans-serif", 11).into_font().color(&INK))
            .x_desc("step")
            .x_label_formatter(&|value| format!("{value:.0}"))
            .y_label_formatter(&axis)
            .draw()?;
        chart.draw_series(LineSeries::new(points.iter().copied(), ACCENT.mix(0.3)))?;
        chart.draw_series(LineSeries::new(smooth(points), ACCENT.stroke_width(2)))?;
    }
    area.present()?;
    drop(area);
    Ok(())
}

/// Exponential smoothing with bias correction.
fn smooth(points: &[(f64, f64)]) -> Vec<(f64, f64)> {
    let (mut sum, mut weight) = (0.0, 0.0);
    let mut next = |(step, value): &(f64, f64)| {
        sum = SMOOTHING * sum + (1.0 - SMOOTHING) * value;
        weight = SMOOTHING * weight + (1.0 - SMOOTHING);
        (*step, sum / weight)
    };
    points.iter().map(&mut next).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn odd_curves_are_drawn_too() {
        for points in [vec![], vec![(1.0, 2.0)], vec![(1.0, f64::NAN), (2.0, 1.0), (3.0, 1.0)]] {
            assert!(svg(&Curve { name: "loss".into(), points }).unwrap().starts_with("<svg"));
        }
        assert_eq!(smooth(&[(1.0, 3.0), (2.0, 3.0)]), [(1.0, 3.0), (2.0, 3.0)]);
    }
}
