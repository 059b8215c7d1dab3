//! What the drawings share: escaping, ticks, and how wide a text is. Drawings take their colours from the style sheet of the
//! page, so that they follow its theme.

/// Text inside of an element or attribute.
pub(crate) fn escape(text: &str) -> String {
    let mut safe = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '&' => safe.push_str("&amp;"),
            '<' => safe.push_str("&lt;"),
            '>' => safe.push_str("&gt;"),
            '"' => safe.push_str("&quot;"),
            '\'' => safe.push_str("&#39;"),
            other => safe.push(other),
        }
    }
    safe
}

/// A text element; `place` is “start”, “middle” or “end”.
pub(crate) fn text(x: f64, y: f64, place: &str, class: &str, content: &str) -> String {
    let content = escape(&alidade_domain::printable(content));
    format!("<text x=\"{x:.1}\" y=\"{y:.1}\" text-anchor=\"{place}\" class=\"{class}\">{content}</text>")
}

/// A straight line.
pub(crate) fn line([x1, y1]: [f64; 2], [x2, y2]: [f64; 2], class: &str) -> String {
    format!("<line x1=\"{x1:.1}\" y1=\"{y1:.1}\" x2=\"{x2:.1}\" y2=\"{y2:.1}\" class=\"{class}\"/>")
}

/// A connected line through points.
pub(crate) fn path(points: impl Iterator<Item = [f64; 2]>, class: &str) -> String {
    let steps: Vec<String> = points.map(|[x, y]| format!("{x:.1},{y:.1}")).collect();
    format!("<polyline points=\"{}\" class=\"{class}\"/>", steps.join(" "))
}

/// Round numbers from `low` to `high`, about `wanted` of them, and how many decimals tell them apart.
pub(crate) fn ticks(low: f64, high: f64, wanted: f64, smallest: f64) -> (Vec<f64>, usize) {
    let rough = ((high - low) / wanted).max(smallest).max(f64::MIN_POSITIVE);
    let unit = 10f64.powf(rough.log10().floor());
    let step = [1.0, 2.0, 5.0, 10.0].into_iter().map(|factor| factor * unit).find(|step| *step >= rough * 0.999);
    let step = step.unwrap_or(rough).max(smallest);
    let (first, last) = ((low / step - 1e-9).ceil(), (high / step + 1e-9).floor());
    if !(first.is_finite() && last.is_finite()) || last - first > 50.0 {
        return (Vec::new(), 0);
    }
    let mut found = Vec::new();
    let mut place = first;
    while place <= last {
        found.push(place * step + 0.0);
        place += 1.0;
    }
    let decimals = (-step.log10()).ceil().clamp(0.0, 12.0) as usize;
    (found, decimals)
}

/// A tick with a real minus sign; very large and very small numbers in powers of ten.
pub(crate) fn tick(value: f64, decimals: usize) -> String {
    let text = match value.abs() {
        size if decimals > 4 || size >= 1e6 => format!("{value:e}"),
        _ => format!("{value:.decimals$}"),
    };
    text.replace('-', "−")
}

/// Width of a text in pixels at a font size, roughly: letters of CJK are square, others about half as wide.
pub(crate) fn width(text: &str, size: f64) -> f64 {
    text.chars().map(|letter| if letter as u32 > 0x2E7F { size } else { 0.52 * size }).sum()
}

/// The text in up to two lines of a width; what does not fit is cut.
pub(crate) fn lines(text: &str, room: f64, size: f64) -> Vec<String> {
    let mut lines = vec![String::new()];
    for word in pieces(text) {
        let whole = lines.last().map_or(0.0, |line| width(line, size)) + width(word.trim_end(), size);
        if whole > room && lines.last().is_some_and(|line| !line.is_empty()) {
            lines.push(String::new());
        }
        if let Some(line) = lines.last_mut() {
            line.push_str(word);
        }
    }
    let cut = lines.len() > 2;
    lines.truncate(2);
    for line in &mut lines {
        *line = line.trim().to_owned();
        if width(line, size) > room {
            while width(line, size) > room - size && line.pop().is_some() {}
            line.push('…');
        }
    }
    if cut && let Some(line) = lines.last_mut().filter(|line| !line.ends_with('…')) {
        line.push('…');
    }
    lines
}

/// Where a line may break: behind a space, and around a letter of CJK.
fn pieces(text: &str) -> Vec<&str> {
    let mut found = Vec::new();
    let mut start = 0;
    for (place, letter) in text.char_indices() {
        let end = place + letter.len_utf8();
        if letter == ' ' || letter as u32 > 0x2E7F {
            found.push(&text[start..end]);
            start = end;
        }
    }
    if start < text.len() {
        found.push(&text[start..]);
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ticks_are_round_and_differ() {
        assert_eq!(ticks(0.0, 1.0, 5.0, 0.0), (vec![0.0, 0.2, 0.4, 0.6000000000000001, 0.8, 1.0], 1));
        assert_eq!(ticks(1.0, 6.0, 5.0, 1.0).0, [1.0, 2.0, 3.0, 4.0, 5.0, 6.0]);
        assert_eq!(ticks(1.0, 2.0, 5.0, 1.0).0, [1.0, 2.0]);
        for (low, high) in [(0.0021, 0.0024), (-3.0, 7.5), (0.693, 0.6935), (1e-7, 3e-7), (-1e9, 1e9), (0.0, 1e-300)] {
            let (found, decimals) = ticks(low, high, 4.0, 0.0);
            let mut said: Vec<String> = found.iter().map(|value| tick(*value, decimals)).collect();
            let all = said.len();
            said.dedup();
            assert_eq!(said.len(), all, "{low} {high}: {said:?}");
            assert!((2..=12).contains(&all), "{low} {high}: {said:?}");
        }
        assert!(ticks(f64::NAN, 1.0, 4.0, 0.0).0.is_empty());
    }

    #[test]
    fn long_names_get_two_lines_and_an_end() {
        assert_eq!(lines("harmless requests refused", 200.0, 12.0), ["harmless requests refused"]);
        assert_eq!(lines("harmful requests carried out", 120.0, 12.0), ["harmful requests", "carried out"]);
        assert_eq!(lines("偏好较短回答时排序正确", 72.0, 12.0), ["偏好较短回答", "时排序正确"]);
        let long = lines(&"x".repeat(90), 120.0, 12.0);
        assert!(long.len() == 1 && long[0].ends_with('…') && width(&long[0], 12.0) <= 126.0, "{long:?}");
        assert!(lines(&"word ".repeat(50), 120.0, 12.0)[1].ends_with('…'));
        assert_eq!(lines("", 10.0, 12.0), [""]);
    }

    #[test]
    fn texts_cannot_leave_their_element() {
        let drawn = text(0.0, 0.0, "end", "a", "</text><script>\u{202e}\"&'");
        assert!(drawn.contains("&lt;/text&gt;&lt;script&gt;\\u{202e}&quot;&amp;&#39;"), "{drawn}");
    }
}
