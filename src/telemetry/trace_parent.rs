//! The trace that a trusted proxy began (W3C Trace Context, `traceparent`).

use http::HeaderValue;

/// A valid `traceparent`: version, trace id, parent id and flags. A clone shares the text.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct TraceParent(HeaderValue);

impl TraceParent {
    /// `None` if the value is malformed (W3C Trace Context section 3.2.2): it names no trace then.
    pub fn parse(value: &HeaderValue) -> Option<Self> {
        let text = value.to_str().ok()?;
        let mut fields = text.splitn(5, '-');
        let (version, trace, parent, flags) = (fields.next()?, fields.next()?, fields.next()?, fields.next()?);
        let is_hex = |field: &str, digits: usize| {
            field.len() == digits && field.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
        };
        let is_id = |field: &str, digits| is_hex(field, digits) && field.bytes().any(|byte| byte != b'0');
        let is_valid =
            is_hex(version, 2) && version != "ff" && is_id(trace, 32) && is_id(parent, 16) && is_hex(flags, 2);
        // A later version may have more fields.
        (is_valid && (version != "00" || fields.next().is_none())).then(|| Self(value.clone()))
    }

    /// The value of the header, as it came.
    pub fn header(&self) -> &HeaderValue {
        &self.0
    }

    /// The trace's id: 32 hexadecimal digits.
    pub fn trace_id(&self) -> &str {
        self.0.to_str().ok().and_then(|text| text.get(3..35)).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_traceparent_names_a_trace_only_in_the_form_of_the_standard() {
        let trace = "4bf92f3577b34da6a3ce929d0e0e4736";
        for (text, is_valid) in [
            (format!("00-{trace}-00f067aa0ba902b7-01"), true),
            (format!("01-{trace}-00f067aa0ba902b7-01-more"), true),
            (format!("00-{trace}-00f067aa0ba902b7-01-more"), false),
            (format!("ff-{trace}-00f067aa0ba902b7-01"), false),
            (format!("00-{trace}-0000000000000000-01"), false),
            (format!("00-{}-00f067aa0ba902b7-01", "0".repeat(32)), false),
            (format!("00-{}-00f067aa0ba902b7-01", trace.to_uppercase()), false),
            (format!("00-{trace}1-00f067aa0ba902b7-01"), false),
            (format!("00-{trace}-00f067aa0ba902b7"), false),
            (format!("0-{trace}-00f067aa0ba902b7-01"), false),
            (String::new(), false),
        ] {
            let parsed = TraceParent::parse(&HeaderValue::from_str(&text).unwrap());
            assert_eq!(parsed.as_ref().map(TraceParent::trace_id), is_valid.then_some(trace), "{text}");
        }
    }
}
