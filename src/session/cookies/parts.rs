//! The parts of a token cookie in one request, and the values that they can form.
//!
//! A name may occur several times, because another host of the site can set the same one. So the work for a head must
//! not grow with copies × parts: an unsplit copy is read once, and split values are joined a bounded number of times.

use std::iter;

use super::MOST_SESSION_OCTETS;

/// Most copies of one part of a split value, its first part included.
const MOST_COPIES: usize = 4;
/// Most values that are joined for one cookie: each costs the derivation of a key.
const MOST_JOINED: usize = 64;

/// The parts of one token cookie.
#[derive(Debug, Default)]
pub(crate) struct TokenParts<'h> {
    first: Option<&'h [u8]>,
    further_firsts: Vec<&'h [u8]>,
    /// The parts after the first, by their number less one.
    numbered: Vec<Copies<'h>>,
}

/// The copies of one numbered part.
#[derive(Clone, Copy, Debug, Default)]
struct Copies<'h> {
    /// The first [`MOST_COPIES`] of them.
    values: [&'h [u8]; MOST_COPIES],
    /// How many there are, the others included.
    count: usize,
}

/// The values that a token cookie may have.
#[derive(Debug)]
pub(crate) struct Candidates<'h> {
    /// The copies that are not split.
    pub(crate) whole: Vec<&'h [u8]>,
    /// The first parts of split copies, and the number of parts of each.
    split: Vec<(&'h [u8], usize)>,
    /// A part of a split value has more than [`MOST_COPIES`] copies: no split value is read, and no cookie may be
    /// deleted.
    pub(crate) has_too_many_copies: bool,
}

impl<'h> TokenParts<'h> {
    pub(super) fn add(&mut self, part: usize, value: &'h [u8]) {
        let Some(index) = part.checked_sub(1) else {
            if self.first.is_none() {
                self.first = Some(value);
            } else {
                self.further_firsts.push(value);
            }
            return;
        };
        if self.numbered.len() <= index {
            self.numbered.resize(index + 1, Copies::default());
        }
        let copies = &mut self.numbered[index];
        if let Some(place) = copies.values.get_mut(copies.count) {
            *place = value;
        }
        copies.count += 1;
    }

    /// The cookie's value, if it has one part and occurs once, as it usually does.
    pub(crate) fn single(&self) -> Option<&'h [u8]> {
        self.first.filter(|_| self.further_firsts.is_empty() && self.numbered.is_empty())
    }

    pub(crate) fn is_absent(&self) -> bool {
        self.first.is_none() && self.numbered.is_empty()
    }

    /// One more than the highest part number: a deletion must cover as many parts.
    pub(crate) fn extent(&self) -> usize {
        if self.numbered.is_empty() { usize::from(self.first.is_some()) } else { self.numbered.len() + 1 }
    }

    /// Number of parts before the first that is absent.
    pub(crate) fn without_gap(&self) -> usize {
        1 + self.numbered.iter().take_while(|copies| copies.count > 0).count()
    }

    /// Every first part: more than one if the name occurs more than once.
    pub(crate) fn first_parts(&self) -> impl Iterator<Item = &'h [u8]> + '_ {
        self.first.into_iter().chain(self.further_firsts.iter().copied())
    }

    /// Sorts the copies. `declared` returns the number of parts that a first part says its value has.
    pub(crate) fn candidates(&self, declared: impl Fn(&[u8]) -> usize) -> Candidates<'h> {
        let (mut whole, mut split) = (Vec::new(), Vec::new());
        for first in self.first_parts() {
            match declared(first) {
                0 | 1 => whole.push(first),
                parts => split.push((first, parts)),
            }
        }
        let has_too_many_copies =
            split.len() > MOST_COPIES || self.numbered.iter().any(|copies| copies.count > MOST_COPIES);
        if has_too_many_copies {
            split.clear();
        }
        Candidates { whole, split, has_too_many_copies }
    }

    /// The split values that the copies of the parts form, each with the number of its parts, at most `octets` octets
    /// in all; `None` for a first part whose other parts are absent or too long.
    pub(crate) fn joined<'p>(
        &'p self,
        candidates: &'p Candidates<'h>,
        octets: usize,
    ) -> impl Iterator<Item = Option<(Vec<u8>, usize)>> + 'p {
        let mut left = (MOST_JOINED, octets);
        candidates.split.iter().flat_map(|&(first, parts)| self.choices(first, parts)).map_while(move |choice| {
            let len = choice.as_ref().map_or(0, |(pieces, _)| pieces.iter().map(|piece| piece.len()).sum());
            left = (left.0.checked_sub(1)?, left.1.checked_sub(len)?);
            Some(choice.map(|(pieces, parts)| (pieces.concat(), parts)))
        })
    }

    /// Each choice of one copy for each of `parts` parts, beginning with `first`; `None` once if there is none.
    fn choices(&self, first: &'h [u8], parts: usize) -> impl Iterator<Item = Option<(Vec<&'h [u8]>, usize)>> + '_ {
        let others = self.numbered.get(..parts - 1).unwrap_or_default();
        let is_complete = others.len() == parts - 1;
        // 0 if a part is absent.
        let choices =
            others.iter().fold(usize::from(is_complete), |choices, copies| choices.saturating_mul(copies.count));
        (0..choices.max(1)).map(move |choice| {
            let mut rest = choice;
            let chosen = others.iter().map(|copies| {
                let value = copies.values[rest % copies.count.max(1)];
                rest /= copies.count.max(1);
                value
            });
            let pieces: Vec<_> = iter::once(first).chain(chosen).collect();
            let len: usize = pieces.iter().map(|piece| piece.len()).sum();
            (choices > 0 && len <= MOST_SESSION_OCTETS).then_some((pieces, parts))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parts<'h>(of: &[(usize, &'h str)]) -> TokenParts<'h> {
        let mut parts = TokenParts::default();
        for (number, value) in of {
            parts.add(*number, value.as_bytes());
        }
        parts
    }

    /// `3:abc` declares three parts.
    fn declared(first: &[u8]) -> usize {
        std::str::from_utf8(first).unwrap().split_once(':').map_or(1, |(number, _)| number.parse().unwrap())
    }

    fn values(parts: &TokenParts<'_>, octets: usize) -> Vec<String> {
        let candidates = parts.candidates(declared);
        let text = |value: &[u8]| String::from_utf8(value.to_vec()).unwrap();
        let whole = candidates.whole.iter().map(|whole| text(whole));
        let joined = parts.joined(&candidates, octets);
        whole.chain(joined.map(|joined| joined.map_or("-".to_owned(), |(value, _)| text(&value)))).collect()
    }

    #[test]
    fn every_unsplit_copy_and_every_choice_of_the_copies_of_a_split_value_is_a_candidate() {
        assert_eq!(values(&parts(&[(0, "a"), (0, "b"), (1, "x")]), 100), ["a", "b"]);
        assert_eq!(values(&parts(&[(1, "x"), (0, "2:"), (0, "a")]), 100), ["a", "2:x"]);
        assert_eq!(values(&parts(&[(0, "2:"), (1, "x"), (1, "y")]), 100), ["2:x", "2:y"]);
        let both = parts(&[(0, "3:"), (0, "2:"), (1, "x"), (2, "p"), (2, "q")]);
        assert_eq!(values(&both, 100), ["3:xp", "3:xq", "2:x"]);
    }

    #[test]
    fn a_split_value_without_all_its_parts_or_over_16_kib_is_no_candidate() {
        assert_eq!(values(&parts(&[(0, "3:"), (1, "x")]), 100), ["-"]);
        assert_eq!(values(&parts(&[(0, "3:"), (2, "x")]), 100), ["-"]);
        assert_eq!(values(&parts(&[(0, "60:"), (1, "x")]), 100), ["-"]);
        let long = "x".repeat(MOST_SESSION_OCTETS);
        assert_eq!(values(&parts(&[(0, "2:"), (1, &long)]), usize::MAX), ["-"]);
    }

    #[test]
    fn more_than_four_copies_of_a_part_end_the_reading_of_split_values_alone() {
        let with = |copies: usize| {
            let mut all = vec![(0, "2:"), (0, "a")];
            all.extend(vec![(1, "x"); copies]);
            let parts = parts(&all);
            (values(&parts, 100), parts.candidates(declared).has_too_many_copies)
        };
        assert_eq!(with(4), (vec!["a".to_owned(), "2:x".into(), "2:x".into(), "2:x".into(), "2:x".into()], false));
        assert_eq!(with(5), (vec!["a".to_owned()], true));
        let firsts = parts(&[(0, "2:"), (0, "2:"), (0, "2:"), (0, "2:"), (0, "2:"), (1, "x"), (0, "a")]);
        assert_eq!(values(&firsts, 100), ["a"]);
        assert!(firsts.candidates(declared).has_too_many_copies);
    }

    #[test]
    fn the_octets_and_the_number_of_joined_values_are_bounded_whatever_the_copies() {
        let long = "x".repeat(2000);
        for (firsts, numbered, text) in
            [(1200, 1, "x"), (4, 4, "x"), (4, 4, ""), (4, 1, &*long), (1, 4, &*long), (2, 2, &*long)]
        {
            let mut all = vec![(0, "5:"); firsts];
            for number in 1..5 {
                all.extend(vec![(number, text); numbered]);
            }
            let parts = parts(&all);
            let candidates = parts.candidates(declared);
            let joined: Vec<_> = parts.joined(&candidates, 100_000).flatten().collect();
            let octets: usize = joined.iter().map(|(value, _)| value.len()).sum();
            assert!(joined.len() <= MOST_JOINED && octets <= 100_000, "{firsts} {numbered}: {} {octets}", joined.len());
        }
    }

    #[test]
    fn the_parts_before_a_gap_are_counted() {
        assert_eq!(parts(&[(0, "a"), (1, "x"), (2, "y"), (4, "z")]).without_gap(), 3);
        assert_eq!(parts(&[(0, "a"), (4, "z")]).without_gap(), 1);
        assert_eq!(parts(&[(0, "a"), (4, "z")]).extent(), 5);
    }
}
