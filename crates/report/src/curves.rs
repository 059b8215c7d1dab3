//! Charts of curves: thin raw lines, smoothed lines on top where there are enough steps, the last value at the end of each line,
//! and the usual range as two dotted lines.

use crate::svg::{escape, line, path, text, tick, ticks, width};
use alidade_domain::{Curve, Language, ReportChart};
use std::fmt::Write;

const WIDTH: f64 = 350.0;
const HEIGHT: f64 = 190.0;
const TOP: f64 = 10.0;
const BOTTOM: f64 = 28.0;
const RIGHT: f64 = 46.0;
const SIZE: f64 = 11.0;
const SMOOTHING: f64 = 0.85;
/// Shorter curves are not smoothed: the smoothed line would only lag behind.
const FEWEST_STEPS: usize = 20;
/// Pieces that a long curve is drawn in, each by its lowest and highest value.
const PIECES: usize = 200;

/// Values that no chart can show.
const HUGE: f64 = 1e200;

type Point = (f64, f64);

/// A chart as an SVG element. Steps with infinite or undefined values are left out; none if nothing is left.
pub(crate) fn chart(language: Language, chart: &ReportChart) -> Option<String> {
    let finite = |curve: &Curve| -> Vec<Point> {
        curve.points.iter().copied().filter(|(x, y)| x.is_finite() && y.abs() < HUGE).collect()
    };
    let curves: Vec<Vec<Point>> = chart.curves.iter().map(finite).collect();
    let all = || curves.iter().flatten();
    all().next()?;
    let (steps, values) = (range(all().map(|point| point.0), 0.0), range(all().map(|point| point.1), 0.06));
    let (y_ticks, decimals) = ticks(values[0], values[1], 5.0, 0.0);
    let labels: Vec<String> = y_ticks.iter().map(|value| tick(*value, decimals)).collect();
    let left = 10.0 + labels.iter().map(|label| width(label, SIZE)).fold(0.0, f64::max);
    let plane = Plane { left, steps, values };
    let mut drawn = String::new();
    let label = escape(&alidade_domain::printable(&spoken(language, chart, &curves)));
    // Writing to a string cannot fail.
    let _ = write!(
        drawn,
        "<svg viewBox=\"0 0 {WIDTH} {HEIGHT}\" width=\"{WIDTH}\" height=\"{HEIGHT}\" role=\"img\" aria-label=\"{label}\">"
    );
    axes(&mut drawn, language, &plane, &y_ticks, &labels);
    if let Some(usual) = chart.usual {
        band(&mut drawn, language, &plane, usual);
    }
    for (place, points) in curves.iter().enumerate() {
        draw(&mut drawn, &plane, points, class(chart, place));
    }
    ends(&mut drawn, chart, &plane, &curves, decimals);
    Some(drawn + "</svg>")
}

/// The style of a curve: the first line, the dashed one of two, or a further one.
pub(crate) fn class(chart: &ReportChart, place: usize) -> &'static str {
    match chart.curves.get(place) {
        Some(curve) if curve.dashed => "c1",
        _ if place > 0 => "c2",
        _ => "c0",
    }
}

/// The drawn part of the plane.
struct Plane {
    left: f64,
    steps: [f64; 2],
    values: [f64; 2],
}

impl Plane {
    fn x(&self, step: f64) -> f64 {
        self.left + (WIDTH - RIGHT - self.left) * (step - self.steps[0]) / (self.steps[1] - self.steps[0])
    }

    fn y(&self, value: f64) -> f64 {
        HEIGHT - BOTTOM - (HEIGHT - BOTTOM - TOP) * (value - self.values[0]) / (self.values[1] - self.values[0])
    }

    fn at(&self, (step, value): Point) -> [f64; 2] {
        [self.x(step), self.y(value)]
    }
}

fn range(values: impl Iterator<Item = f64>, room: f64) -> [f64; 2] {
    let (low, high) =
        values.fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), value| (low.min(value), high.max(value)));
    let room = if high > low { room * (high - low) } else { 0.5 * low.abs().max(1e-3) };
    [low - room, high + room]
}

fn axes(drawn: &mut String, language: Language, plane: &Plane, y_ticks: &[f64], labels: &[String]) {
    let (right, bottom) = (WIDTH - RIGHT, HEIGHT - BOTTOM);
    for (value, label) in y_ticks.iter().zip(labels) {
        let y = plane.y(*value);
        drawn.push_str(&line([plane.left, y], [right, y], "grid"));
        drawn.push_str(&text(plane.left - 5.0, y + 4.0, "end", "tick", label));
    }
    for step in ticks(plane.steps[0], plane.steps[1], 5.0, 1.0).0 {
        let x = plane.x(step);
        drawn.push_str(&line([x, bottom], [x, bottom + 3.0], "axis"));
        drawn.push_str(&text(x, bottom + 15.0, "middle", "tick", &format!("{step:.0}")));
    }
    drawn.push_str(&line([plane.left, bottom], [right, bottom], "axis"));
    drawn.push_str(&text(WIDTH, bottom + 15.0, "end", "tick", language.word(crate::words::STEP)));
}

/// The usual range, as far as it is in sight.
fn band(drawn: &mut String, language: Language, plane: &Plane, usual: [f64; 2]) {
    let seen = |value: &&f64| (plane.values[0]..=plane.values[1]).contains(*value);
    for (place, value) in usual.iter().filter(seen).enumerate() {
        let y = plane.y(*value);
        drawn.push_str(&line([plane.left, y], [WIDTH - RIGHT, y], "usual"));
        if place == 0 {
            let above = if y < TOP + 14.0 { y + 11.0 } else { y - 3.0 };
            drawn.push_str(&text(plane.left + 4.0, above, "start", "tick", language.word(crate::words::USUAL)));
        }
    }
}

fn draw(drawn: &mut String, plane: &Plane, points: &[Point], class: &str) {
    if let [point] = points {
        let [x, y] = plane.at(*point);
        // Writing to a string cannot fail.
        let _ = write!(drawn, "<circle cx=\"{x:.1}\" cy=\"{y:.1}\" r=\"3\" class=\"dot {class}\"/>");
        return;
    }
    let smoothed = points.len() >= FEWEST_STEPS && is_noisy(points);
    let raw = if smoothed { "raw" } else { "curve" };
    drawn.push_str(&path(thinned(points).map(|point| plane.at(point)), &format!("{raw} {class}")));
    if smoothed {
        drawn.push_str(&path(thinned(&smooth(points)).map(|point| plane.at(point)), &format!("curve {class}")));
    }
}

/// True if a curve goes up and down more than once over its range; a schedule or a plain rise needs no smoothing, which would
/// only shift it.
fn is_noisy(points: &[Point]) -> bool {
    let [low, high] = range(points.iter().map(|point| point.1), 0.0);
    let way: f64 = points.windows(2).map(|pair| (pair[1].1 - pair[0].1).abs()).sum();
    way > 2.2 * (high - low)
}

/// The last value of each curve at its end; two that would overlap are moved apart.
fn ends(drawn: &mut String, chart: &ReportChart, plane: &Plane, curves: &[Vec<Point>], decimals: usize) {
    let last = curves.iter().enumerate().filter_map(|(place, points)| Some((place, *points.last()?)));
    let mut found: Vec<(f64, String)> = last
        .map(|(place, point)| {
            let said = tick(point.1, (decimals + 1).min(4));
            let class = format!("end {}", class(chart, place));
            (plane.y(point.1), text(plane.x(point.0) + 5.0, f64::NAN, "start", &class, &said))
        })
        .collect();
    found.sort_by(|a, b| a.0.total_cmp(&b.0));
    let mut lowest = f64::NEG_INFINITY;
    for (y, label) in found {
        lowest = (lowest + SIZE).max(y + 4.0);
        drawn.push_str(&label.replace("NaN", &format!("{lowest:.1}")));
    }
}

/// Long curves by the lowest and highest value of each piece, in order.
fn thinned(points: &[Point]) -> impl Iterator<Item = Point> {
    let size = points.len().div_ceil(PIECES);
    let extremes = move |piece: &[Point]| -> Vec<Point> {
        if size <= 2 {
            return piece.to_vec();
        }
        let by = |a: &&Point, b: &&Point| a.1.total_cmp(&b.1);
        let mut ends: Vec<Point> =
            piece.iter().min_by(by).into_iter().chain(piece.iter().max_by(by)).copied().collect();
        ends.sort_by(|a, b| a.0.total_cmp(&b.0));
        ends
    };
    points.chunks(size.max(1)).flat_map(extremes).collect::<Vec<_>>().into_iter()
}

/// Exponential smoothing with bias correction.
fn smooth(points: &[Point]) -> Vec<Point> {
    let (mut sum, mut weight) = (0.0, 0.0);
    let mut next = |(step, value): &Point| {
        sum = SMOOTHING * sum + (1.0 - SMOOTHING) * value;
        weight = SMOOTHING * weight + (1.0 - SMOOTHING);
        (*step, sum / weight)
    };
    points.iter().map(&mut next).collect()
}

/// The chart in words: each curve with its first and last value.
fn spoken(language: Language, chart: &ReportChart, curves: &[Vec<Point>]) -> String {
    let told = chart.curves.iter().zip(curves).filter_map(|(curve, points)| {
        let (first, last) = (points.first()?, points.last()?);
        Some(format!("{}: {} → {}", language.wording(&curve.label), tick(first.1, 3), tick(last.1, 3)))
    });
    format!("{}; {}", language.wording(&chart.title), told.collect::<Vec<_>>().join("; "))
}

#[cfg(test)]
mod tests {
    use super::*;
    use alidade_domain::Wording;

    fn of(curves: Vec<Vec<Point>>) -> ReportChart {
        let curve =
            |(place, points): (usize, Vec<Point>)| Curve { label: Wording::name("c<"), dashed: place == 1, points };
        let curves = curves.into_iter().enumerate().map(curve).collect();
        ReportChart { title: Wording::name("loss (nats)"), curves, usual: Some([0.2, 0.9]) }
    }

    #[test]
    fn odd_curves_are_drawn_too() {
        for points in [
            vec![(1.0, 2.0)],
            vec![(1.0, f64::NAN), (2.0, 1.0), (3.0, 1.0)],
            vec![(1.0, 1e150), (2.0, -1e150), (3.0, 1e300)],
        ] {
            let drawn = chart(Language::English, &of(vec![points.clone(), points])).unwrap();
            assert!(
                drawn.starts_with("<svg") && !drawn.contains("NaN") && !drawn.contains("inf") && !drawn.contains("c<")
            );
        }
        assert_eq!(chart(Language::English, &of(vec![vec![], vec![(1.0, f64::NAN)]])), None);
    }

    #[test]
    fn only_long_curves_are_smoothed_and_very_long_ones_are_thinned() {
        let schedule = |steps: usize| (1..=steps).map(|step| (step as f64, 1.0 / step as f64)).collect::<Vec<_>>();
        let curve = |steps: usize| (1..=steps).map(|step| (step as f64, (step % 7) as f64)).collect::<Vec<_>>();
        let drawn = |steps| chart(Language::English, &of(vec![curve(steps)])).unwrap();
        assert!(!drawn(19).contains("raw") && drawn(20).contains("raw"));
        assert!(!is_noisy(&schedule(500)) && is_noisy(&curve(500)));
        assert_eq!(thinned(&curve(40_000)).count(), 2 * PIECES);
        assert!(thinned(&schedule(40_000)).all(|(step, value)| value == 1.0 / step));
        assert_eq!(smooth(&[(1.0, 3.0), (2.0, 3.0)]), [(1.0, 3.0), (2.0, 3.0)]);
    }

    #[test]
    fn ends_of_equal_curves_do_not_overlap() {
        let drawn = chart(Language::Chinese, &of(vec![vec![(1.0, 0.1), (2.0, 0.95)]; 2])).unwrap();
        let places: Vec<f64> = drawn
            .split("class=\"end")
            .take(2)
            .map(|part| part.rsplit("y=\"").next().unwrap().split('"').next().unwrap().parse().unwrap())
            .collect();
        assert_eq!(places[1] - places[0], SIZE);
        assert!(drawn.contains("常见范围") && drawn.contains("步数"));
    }
}
