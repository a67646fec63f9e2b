//! Lists the placeholders of a template.

use super::template::{Body, Json, Piece, Placeholder, Template, Text};

impl Template {
    /// Every placeholder in any part of the call, as often as it occurs.
    pub fn placeholders(&self) -> Vec<&Placeholder> {
        let form = if let Body::Form(form) = &self.body { &form[..] } else { &[] };
        let headers = self.headers.iter().map(|(_, text)| text);
        let texts = headers.chain(self.cookies.iter().chain(form).map(|(_, text)| text)).chain([&self.path]);
        let mut found: Vec<_> = texts.flat_map(Text::placeholders).collect();
        if let Body::Json(json) = &self.body {
            json.collect_placeholders(&mut found);
        }
        found
    }
}

impl Text {
    fn placeholders(&self) -> impl Iterator<Item = &Placeholder> {
        self.0.iter().filter_map(|piece| match piece {
            Piece::Placeholder(placeholder) => Some(placeholder),
            Piece::Literal(_) => None,
        })
    }
}

impl Json {
    fn collect_placeholders<'j>(&'j self, found: &mut Vec<&'j Placeholder>) {
        match self {
            Self::Plain(_) => {}
            Self::Value(placeholder) => found.push(placeholder),
            Self::Text(text) => found.extend(text.placeholders()),
            Self::Array(elements) => elements.iter().for_each(|element| element.collect_placeholders(found)),
            Self::Object(members) => members.iter().for_each(|(_, member)| member.collect_placeholders(found)),
        }
    }
}
