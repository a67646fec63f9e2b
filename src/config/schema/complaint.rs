//! Collects all mistakes of a file and prints them with their lines. Secrets are masked.

use std::{collections::BTreeSet, fmt, ops::Range};

use annotate_snippets::{AnnotationKind, Level, Renderer, Snippet};

use super::tree::{Entry, Node, Place, Table, Value};

/// An error or a warning, printed.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Complaint {
    /// Line in the file, from 1; 0 if the complaint is not about a line.
    pub line: usize,
    /// Column in characters, from 1; 0 if the complaint is not about a line.
    pub column: usize,
    /// What is wrong.
    pub message: String,
    /// What to write instead.
    pub help: String,
    shown: String,
}

impl Complaint {
    /// A warning that is not about a line of the file.
    pub fn without_place(message: String, help: &str) -> Self {
        let draft = Draft { place: Place::Nowhere, message, help: help.to_owned() };
        draft.show(&Level::WARNING, "", "", &Lines::of(""))
    }
}

impl fmt::Display for Complaint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.shown)
    }
}

/// Every complaint of one run; errors are printed first, each kind in the order of the file.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub struct Complaints {
    /// Mistakes; the program does not start with them.
    pub errors: Vec<Complaint>,
    /// Complaints that do not prevent a start.
    pub warnings: Vec<Complaint>,
}

impl Complaints {
    /// `2 problems, 1 warning`.
    pub fn count(&self) -> String {
        let count = |number: usize, what: &str| match number {
            0 => format!("no {what}s"),
            1 => format!("1 {what}"),
            _ => format!("{number} {what}s"),
        };
        format!("{}, {}", count(self.errors.len(), "problem"), count(self.warnings.len(), "warning"))
    }
}

impl fmt::Display for Complaints {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for complaint in self.errors.iter().chain(&self.warnings) {
            writeln!(f, "{complaint}\n")?;
        }
        Ok(())
    }
}

/// Collects errors and warnings, and the places to mask.
#[derive(Debug, Default)]
pub(crate) struct Problems {
    errors: Vec<Draft>,
    warnings: Vec<Draft>,
    /// Byte ranges (start and end) of the values to mask.
    hidden: BTreeSet<(usize, usize)>,
}

#[derive(Debug)]
struct Draft {
    place: Place,
    message: String,
    help: String,
}

impl Problems {
    /// Adds an error: the program does not start.
    pub(crate) fn complain(&mut self, place: &Place, message: impl Into<String>, help: impl Into<String>) {
        self.errors.push(Draft { place: place.clone(), message: message.into(), help: help.into() });
    }

    /// Adds a warning.
    pub(crate) fn warn(&mut self, place: &Place, message: impl Into<String>, help: impl Into<String>) {
        self.warnings.push(Draft { place: place.clone(), message: message.into(), help: help.into() });
    }

    /// Whether there is an error about the value at `place` or about a part of it.
    pub(crate) fn complains_of(&self, place: &Place) -> bool {
        self.errors.iter().any(|error| match (place, &error.place) {
            (Place::File(whole), Place::File(part)) => whole.start <= part.start && part.end <= whole.end,
            (Place::Environment(name), Place::Environment(other)) => name == other,
            _ => false,
        })
    }

    /// Masks the value at `place` in everything that is printed.
    pub(crate) fn hide(&mut self, place: &Place) {
        if let Place::File(range) = place {
            self.hidden.insert((range.start, range.end));
        }
    }

    /// Whether the value at `place` is masked.
    pub(crate) fn hides(&self, place: &Place) -> bool {
        matches!(place, Place::File(range) if self.hidden.contains(&(range.start, range.end)))
    }

    /// Masks all texts in a value of an unknown key: any of them may be a secret.
    pub(crate) fn hide_texts(&mut self, node: &Node) {
        match &node.value {
            Value::Text(_) => self.hide(&node.place),
            Value::List(list) => list.iter().for_each(|element| self.hide_texts(element)),
            Value::Table(table) => table.0.iter().for_each(|entry| self.hide_texts(&entry.node)),
            Value::Number(_) | Value::Flag(_) | Value::Other(_) => {}
        }
    }

    /// Masks addresses that have a user or a password.
    pub(crate) fn hide_passwords(&mut self, table: &Table) {
        for Entry { node, .. } in &table.0 {
            self.hide_password(node);
        }
    }

    fn hide_password(&mut self, node: &Node) {
        match &node.value {
            Value::Text(text) if has_password(text) => self.hide(&node.place),
            Value::List(list) => list.iter().for_each(|element| self.hide_password(element)),
            Value::Table(table) => self.hide_passwords(table),
            _ => {}
        }
    }

    /// Prints all complaints in the order of the file, with their lines of `text`, the content of the file `name`.
    pub(crate) fn finish(self, name: &str, text: &str) -> Complaints {
        let masked = Masked::of(text, &self.hidden);
        let lines = Lines::of(&masked.text);
        let show = |mut drafts: Vec<Draft>, level: &Level<'_>| {
            drafts.sort_by_key(|draft| if let Place::File(range) = &draft.place { range.start } else { usize::MAX });
            for draft in &mut drafts {
                if let Place::File(range) = &mut draft.place {
                    *range = masked.place(range.start)..masked.place(range.end);
                }
            }
            drafts.into_iter().map(|draft| draft.show(level, name, &masked.text, &lines)).collect()
        };
        Complaints { errors: show(self.errors, &Level::ERROR), warnings: show(self.warnings, &Level::WARNING) }
    }
}

impl Draft {
    fn show(self, level: &Level<'_>, name: &str, text: &str, lines: &Lines) -> Complaint {
        let Self { place, message, help } = self;
        let message =
            if let Place::Environment(variable) = &place { format!("{variable}: {message}") } else { message };
        let title = level.clone().primary_title(&message);
        let mut group = match &place {
            Place::File(range) => {
                let range = first_line(text, range);
                let (number, line) = lines.shown(text, range.start);
                let source = &text[line.clone()];
                let span = range.start - line.start..range.end - line.start;
                let snippet = Snippet::source(source).line_start(number).path(name);
                title.element(snippet.annotation(AnnotationKind::Primary.span(span)))
            }
            Place::Environment(_) | Place::Nowhere => annotate_snippets::Group::with_title(title),
        };
        if !help.is_empty() {
            group = group.element(Level::HELP.message(&help));
        }
        // Lines that are longer than 400 columns are shortened.
        let shown = Renderer::plain().term_width(400).render(&[group]);
        let (line, column) = if let Place::File(range) = &place { lines.position(text, range.start) } else { (0, 0) };
        Complaint { line, column, message, help, shown }
    }
}

/// Whether a text is an address with a user in it (RFC 3986 section 3.2.1).
pub(crate) fn has_password(text: &str) -> bool {
    text.split_once("://").is_some_and(|(_, rest)| rest.contains('@'))
}

/// The start of each line of a text. Without this index, a file of 10,000 routes took seconds.
#[derive(Debug)]
pub(crate) struct Lines(Vec<usize>);

impl Lines {
    pub(crate) fn of(text: &str) -> Self {
        Self([0].into_iter().chain(text.match_indices('\n').map(|(at, _)| at + 1)).collect())
    }

    /// The line of a byte, from 1.
    pub(crate) fn number(&self, at: usize) -> usize {
        self.0.partition_point(|start| *start <= at)
    }

    /// Like [`Self::around`]; for the empty line at the end of a file, the line before it.
    fn shown(&self, text: &str, at: usize) -> (usize, Range<usize>) {
        match self.around(text, at) {
            (2.., line) if line.is_empty() => self.around(text, at - 1),
            found => found,
        }
    }

    /// The number of the line that a byte is on, and the bytes of that line, with its line end.
    fn around(&self, text: &str, at: usize) -> (usize, Range<usize>) {
        let number = self.number(at);
        let end = self.0.get(number).copied().unwrap_or(text.len());
        (number, self.0[number - 1]..end)
    }

    /// Line and column of a byte, in characters, from 1.
    fn position(&self, text: &str, at: usize) -> (usize, usize) {
        let (number, line) = self.around(text, at);
        let before = text.get(line.start..at).unwrap_or(&text[line]);
        (number, before.chars().count() + 1)
    }
}

/// The part of `range` that is on its first line.
fn first_line(text: &str, range: &Range<usize>) -> Range<usize> {
    let Some(part) = text.get(range.start..range.end.min(text.len())) else { return 0..0 };
    range.start..range.start + part.find('\n').unwrap_or(part.len())
}

/// A text with one `*` for each hidden character, so that columns stay right; line ends are kept.
struct Masked {
    text: String,
    /// Pairs: from this byte offset of the original on, offsets in `text` are smaller by this number.
    missing: Vec<(usize, usize)>,
}

impl Masked {
    fn of(original: &str, hidden: &BTreeSet<(usize, usize)>) -> Self {
        let (mut text, mut missing, mut total) = (String::with_capacity(original.len()), Vec::new(), 0);
        let (mut hidden, mut hidden_to) = (hidden.iter().peekable(), 0);
        for (at, c) in original.char_indices() {
            let end = at + c.len_utf8();
            while let Some((_, to)) = hidden.next_if(|(from, _)| *from < end) {
                hidden_to = hidden_to.max(*to);
            }
            if c == '\n' || hidden_to <= at {
                text.push(c);
                continue;
            }
            text.push('*');
            if c.len_utf8() > 1 {
                total += c.len_utf8() - 1;
                missing.push((end, total));
            }
        }
        Self { text, missing }
    }

    /// The offset in `text` for an offset in the original.
    fn place(&self, at: usize) -> usize {
        let before = self.missing.partition_point(|(from, _)| *from <= at);
        at - before.checked_sub(1).map_or(0, |last| self.missing[last].1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_masked_value_is_never_printed() {
        let mut problems = Problems::default();
        problems.hide(&Place::File(4..13));
        problems.complain(&Place::File(0..1), "`a` is odd", "try `b`");
        problems.complain(&Place::Environment("X__Y".into()), "no", "");
        let complaints = problems.finish("f.toml", "a = \"sécret\"\nb = 1\n");
        assert_eq!(
            complaints.to_string(),
            "error: `a` is odd\n --> f.toml:1:1\n  |\n1 | a = ********\n  | ^\n  |\n  = help: try `b`\n\nerror: X__Y: no\n\n"
        );
    }

    #[test]
    fn a_column_after_masked_multi_byte_characters_is_right() {
        let text = "a = [\"식방\", b]\nc = 1\n";
        let mut problems = Problems::default();
        problems.hide(&Place::File(5..13));
        problems.complain(&Place::File(15..16), "`b` is odd", "");
        problems.complain(&Place::File(18..19), "`c` is odd", "");
        let complaints = problems.finish("f.toml", text);
        assert_eq!(complaints.errors.iter().map(|e| (e.line, e.column)).collect::<Vec<_>>(), [(1, 12), (2, 1)]);
        assert!(complaints.to_string().contains("1 | a = [****, b]\n  |            ^\n"), "{complaints}");
    }

    fn shown(source: &str, number: usize, span: Range<usize>) -> String {
        let snippet = Snippet::source(source).line_start(number).path("f.toml");
        let group = Level::ERROR.primary_title("x").element(snippet.annotation(AnnotationKind::Primary.span(span)));
        Renderer::plain().term_width(400).render(&[group])
    }

    proptest::proptest! {
        #[test]
        fn a_complaint_shows_its_line_as_the_whole_file_would(
            text in "([ -~é가]{0,8}(\\n|\\r\\n|\\t|)){0,14}",
            at in 0..140_usize,
            length in 0..12_usize,
        ) {
            let boundary = |at: usize| (0..=at.min(text.len())).rev().find(|at| text.is_char_boundary(*at)).unwrap();
            let range = first_line(&text, &(boundary(at)..boundary(at + length)));
            let lines = Lines::of(&text);
            let (number, line) = lines.shown(&text, range.start);
            let span = range.start - line.start..range.end - line.start;
            proptest::prop_assert_eq!(shown(&text[line], number, span), shown(&text, 1, range.clone()));
            let before = &text[..range.start];
            let column = before.chars().rev().take_while(|c| *c != '\n').count() + 1;
            proptest::prop_assert_eq!(lines.position(&text, range.start), (before.matches('\n').count() + 1, column));
        }
    }
}
