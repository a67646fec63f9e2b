//! The one encoding of values in headers: of claims in a route's headers, and of placeholders in call templates.

use std::fmt::Write as _;

use percent_encoding::{AsciiSet, CONTROLS, utf8_percent_encode};
use serde_json::Value;

/// Percent-encoded in a text: everything but visible ASCII, and `%`, so that decoding gives back the text.
const TEXT: &AsciiSet = &CONTROLS.add(b' ').add(b'%');
/// Percent-encoded in an item of a list: the separator of the items too.
const ITEM: &AsciiSet = &TEXT.add(b',');

/// Appends a value as it stands in a header (product.md, "Identity headers"): texts as percent-encoded UTF-8, numbers
/// and booleans as JSON, the items of a list joined by commas. Two different texts, or two different lists of texts,
/// are never appended alike.
///
/// `None` for what no header can have: null, objects, empty lists, and lists with an item that is no text, number or
/// boolean. `text` may then have a part of the value.
pub fn append_value(text: &mut String, value: &Value) -> Option<()> {
    match value {
        Value::Array(items) => {
            let (first, rest) = items.split_first()?;
            append_scalar(text, first, ITEM)?;
            rest.iter().try_for_each(|item| {
                text.push(',');
                append_scalar(text, item, ITEM)
            })
        }
        scalar => append_scalar(text, scalar, TEXT),
    }
}

fn append_scalar(text: &mut String, value: &Value, encoded: &'static AsciiSet) -> Option<()> {
    match value {
        Value::String(value) => text.extend(utf8_percent_encode(value, encoded)),
        Value::Number(number) => write!(text, "{number}").ok()?,
        Value::Bool(flag) => text.push_str(if *flag { "true" } else { "false" }),
        Value::Null | Value::Array(_) | Value::Object(_) => return None,
    }
    Some(())
}

#[cfg(test)]
mod tests {
    use percent_encoding::percent_decode_str;
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    fn appended(value: &Value) -> Option<String> {
        let mut text = String::new();
        append_value(&mut text, value).map(|()| text)
    }

    #[test]
    fn a_text_is_visible_ascii_without_a_percent_sign_and_all_else_is_encoded() {
        for (claim, text) in [
            ("u-1", "u-1"),
            ("Gil-dong 100%", "Gil-dong%20100%25"),
            ("김", "%EA%B9%80"),
            ("%EA%B9%80", "%25EA%25B9%2580"),
            ("é", "%C3%A9"),
            ("a,b", "a,b"),
            ("a\r\nx-admin: 1", "a%0D%0Ax-admin:%201"),
            (" lead", "%20lead"),
            ("nul\0del\u{7f}", "nul%00del%7F"),
            ("\"<>`{}|^\\", "\"<>`{}|^\\"),
            ("", ""),
        ] {
            assert_eq!(appended(&json!(claim)).as_deref(), Some(text), "{claim}");
        }
    }

    #[test]
    fn the_items_of_a_list_are_joined_by_commas_and_a_comma_in_an_item_is_encoded() {
        for (claim, text) in [
            (json!(["a", "b"]), "a,b"),
            (json!(["a,b"]), "a%2Cb"),
            (json!(["a%2Cb"]), "a%252Cb"),
            (json!(["a b", "한", 1, true, -0.5]), "a%20b,%ED%95%9C,1,true,-0.5"),
            (json!([""]), ""),
            (json!(["", ""]), ","),
        ] {
            assert_eq!(appended(&claim).as_deref(), Some(text), "{claim}");
        }
    }

    #[test]
    fn numbers_and_booleans_are_json() {
        for (claim, text) in [(json!(7), "7"), (json!(1.5), "1.5"), (json!(true), "true"), (json!(false), "false")] {
            assert_eq!(appended(&claim).as_deref(), Some(text), "{claim}");
        }
    }

    #[test]
    fn null_objects_empty_lists_and_lists_of_anything_else_have_no_text() {
        for claim in [
            json!(null),
            json!({}),
            json!({"a": 1}),
            json!([]),
            json!([null]),
            json!(["a", null]),
            json!([["a"]]),
            json!(["a", {"b": 1}]),
            json!([{"a": 1}, "b"]),
        ] {
            assert_eq!(appended(&claim), None, "{claim}");
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(2000))]

        #[test]
        fn a_text_is_read_back_by_decoding(text in "([%,2Cc5a ]|\\PC){0,8}") {
            let header = appended(&json!(text)).unwrap();
            prop_assert!(header.bytes().all(|byte| byte.is_ascii_graphic()));
            let decoded = percent_decode_str(&header).decode_utf8().unwrap();
            prop_assert_eq!(decoded, text);
        }

        #[test]
        fn a_list_is_read_back_by_splitting_and_decoding(list in prop::collection::vec("([%,2Cc5a ]|\\PC){0,4}", 1..5)) {
            let header = appended(&json!(list)).unwrap();
            let read: Vec<_> =
                header.split(',').map(|item| percent_decode_str(item).decode_utf8().unwrap().into_owned()).collect();
            prop_assert_eq!(read, list);
        }
    }
}
