//! Packs short rows into full ones, so that no step is spent on padding. The strategies are those of TRL; documents of a
//! packed row do not attend to each other (`TokenBatch::packed`).

use crate::declare::options;
use alidade_model::TokenRow;
use std::collections::VecDeque;

options! {
    /// Ways of packing. `bfd` (best fit decreasing) puts the longest row first into the fullest bin that still has room and
    /// truncates rows longer than a bin; `bfd_split` keeps what was cut as rows of its own; `wrapped` concatenates all rows
    /// and cuts.
    pub(crate) enum PackingStrategy { Bfd = "bfd", BfdSplit = "bfd_split", Wrapped = "wrapped" }
}

impl PackingStrategy {
    /// True when tokens beyond a bin are kept as further rows.
    pub(crate) fn keeps_all(self) -> bool {
        self != PackingStrategy::Bfd
    }
}

/// A packed row: its documents, each with the number of the row that it came from.
pub(crate) type Bin = Vec<(usize, TokenRow)>;

/// Packs rows into bins of at most `limit` tokens.
pub(crate) fn pack(rows: Vec<(usize, TokenRow)>, limit: usize, strategy: PackingStrategy) -> Vec<Bin> {
    match strategy {
        PackingStrategy::Wrapped => wrapped(rows, limit),
        PackingStrategy::BfdSplit => best_fit(rows.into_iter().flat_map(|row| pieces(row, limit)).collect(), limit),
        PackingStrategy::Bfd => {
            best_fit(rows.into_iter().filter_map(|row| pieces(row, limit).into_iter().next()).collect(), limit)
        }
    }
}

fn pieces((row, tokens): (usize, TokenRow), limit: usize) -> Vec<(usize, TokenRow)> {
    let parts = tokens.ids.chunks(limit).zip(tokens.scored.chunks(limit));
    parts.map(|(ids, scored)| (row, TokenRow { ids: ids.to_vec(), scored: scored.to_vec() })).collect()
}

fn best_fit(mut rows: Vec<(usize, TokenRow)>, limit: usize) -> Vec<Bin> {
    rows.sort_by_key(|(_, row)| std::cmp::Reverse(row.ids.len()));
    let mut bins: Vec<(usize, Bin)> = Vec::new();
    for (number, row) in rows {
        let length = row.ids.len();
        // The fullest bin that still fits, the earliest among equals.
        let fitting = bins.iter_mut().filter(|(used, _)| used + length <= limit);
        match fitting.reduce(|best, bin| if bin.0 > best.0 { bin } else { best }) {
            Some((used, bin)) => {
                *used += length;
                bin.push((number, row));
            }
            None => bins.push((length, vec![(number, row)])),
        }
    }
    bins.into_iter().map(|(_, bin)| bin).collect()
}

fn wrapped(rows: Vec<(usize, TokenRow)>, limit: usize) -> Vec<Bin> {
    let mut waiting: VecDeque<(usize, TokenRow)> = rows.into();
    let (mut bins, mut bin, mut room): (Vec<Bin>, Bin, usize) = (Vec::new(), Vec::new(), limit);
    while let Some((number, mut row)) = waiting.pop_front() {
        if row.ids.len() > room {
            let rest = TokenRow { ids: row.ids.split_off(room), scored: row.scored.split_off(room) };
            waiting.push_front((number, rest));
        }
        room -= row.ids.len();
        bin.push((number, row));
        if room == 0 {
            bins.push(std::mem::take(&mut bin));
            room = limit;
        }
    }
    if !bin.is_empty() {
        bins.push(bin);
    }
    bins
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::declare::Choice;
    use serde_json::Value;

    /// TRL's own packings of six rows into bins of six tokens.
    #[test]
    fn packings_agree_with_trl() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/golden/methods/rl_and_misc.json");
        let golden: Value = serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap();
        let golden = &golden["packing"];
        let ids = |row: &Value| -> Vec<u32> { serde_json::from_value(row.clone()).unwrap() };
        for strategy in PackingStrategy::ALL {
            let rows = golden["input"].as_array().unwrap().iter().enumerate();
            let rows = rows.map(|(index, row)| (index, TokenRow::all_scored(ids(row)))).collect();
            let ours: Vec<Vec<u32>> = pack(rows, 6, *strategy)
                .into_iter()
                .map(|bin| bin.into_iter().flat_map(|(_, row)| row.ids).collect())
                .collect();
            let theirs: Vec<Vec<u32>> =
                golden[strategy.name()]["input_ids"].as_array().unwrap().iter().map(ids).collect();
            assert_eq!(ours, theirs, "{strategy:?}");
        }
    }
}
