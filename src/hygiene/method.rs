//! Headers by which frameworks take a request for one with another method (`X-HTTP-Method-Override` and its like).

use http::{HeaderMap, HeaderName, HeaderValue, Method, header};

use super::refusal::Refusal;
use crate::upstream::headers::METHOD_OVERRIDES;

/// The override headers of a request. They are taken out of it, because only a route with `method_override` forwards
/// them.
#[derive(Clone, Debug)]
pub struct MethodOverride {
    names: Vec<HeaderName>,
    method: NamedMethod,
}

/// The method that the override headers name.
#[derive(Clone, PartialEq, Eq, Debug)]
enum NamedMethod {
    /// All of them name this method.
    One(Method),
    /// They name several methods, or something that is none.
    Ambiguous,
}

impl MethodOverride {
    /// Takes them out of `headers`, if they are among the names `to_remove`.
    pub(super) fn take(to_remove: &[HeaderName], headers: &mut HeaderMap) -> Option<Box<Self>> {
        let names: Vec<_> = to_remove.iter().filter(|name| METHOD_OVERRIDES.contains(name)).cloned().collect();
        if names.is_empty() {
            return None;
        }
        let mut values = Vec::new();
        for name in &names {
            if let header::Entry::Occupied(entry) = headers.entry(name) {
                values.extend(entry.remove_entry_mult().1);
            }
        }
        Some(Box::new(Self { names, method: NamedMethod::of(&values) }))
    }

    /// The method that they name.
    ///
    /// # Errors
    /// If they name none that could be judged and forwarded.
    pub fn method(&self) -> Result<&Method, Refusal> {
        match &self.method {
            NamedMethod::One(Method::CONNECT | Method::TRACE) => Err(Refusal::Method),
            NamedMethod::One(method) => Ok(method),
            NamedMethod::Ambiguous => Err(Refusal::Ambiguous("the method override names no single method")),
        }
    }

    /// Puts them back under the names that the visitor used, with the method that was judged.
    pub fn restore(&self, headers: &mut HeaderMap) {
        let NamedMethod::One(method) = &self.method else { return };
        let Ok(value) = HeaderValue::from_str(method.as_str()) else { return };
        for name in &self.names {
            headers.insert(name, value.clone());
        }
    }
}

impl NamedMethod {
    /// Upper-case, as the frameworks read it: `delete` means DELETE.
    fn of(values: &[HeaderValue]) -> Self {
        let mut methods = values.iter().map(|value| Method::from_bytes(&value.as_bytes().to_ascii_uppercase()));
        match methods.next() {
            Some(Ok(first)) if methods.all(|other| other.is_ok_and(|other| other == first)) => Self::One(first),
            _ => Self::Ambiguous,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn taken(lines: &[(&'static str, &'static str)]) -> (Option<Box<MethodOverride>>, HeaderMap) {
        let mut headers = HeaderMap::new();
        for (name, value) in lines {
            headers.append(HeaderName::from_static(name), HeaderValue::from_static(value));
        }
        let to_remove: Vec<_> = headers.keys().filter(|name| *name != header::ACCEPT).cloned().collect();
        (MethodOverride::take(&to_remove, &mut headers), headers)
    }

    #[test]
    fn the_headers_name_one_method_in_any_case_or_none() {
        let (a, b, c) = ("x-http-method-override", "x-http-method", "x-method-override");
        for (lines, method) in [
            (&[(a, "DELETE")][..], Ok("DELETE")),
            (&[(b, "delete")], Ok("DELETE")),
            (&[(c, "Put"), (a, "PUT"), (a, "put")], Ok("PUT")),
            (&[(a, "PURGE")], Ok("PURGE")),
            (&[(a, "")], Err(())),
            (&[(a, "PUT, DELETE")], Err(())),
            (&[(a, "PUT"), (a, "DELETE")], Err(())),
            (&[(a, "PUT"), (c, "DELETE")], Err(())),
            (&[(a, "PUT"), (b, "")], Err(())),
        ] {
            let (taken, headers) = taken(lines);
            let taken = taken.unwrap();
            assert!(headers.is_empty());
            match method {
                Ok(method) => assert_eq!(taken.method().unwrap(), method, "{lines:?}"),
                Err(()) => assert!(matches!(taken.method(), Err(Refusal::Ambiguous(_))), "{lines:?}"),
            }
        }
        for method in ["TRACE", "connect"] {
            assert_eq!(taken(&[(a, method)]).0.unwrap().method(), Err(Refusal::Method));
        }
        assert!(taken(&[("accept", "PUT")]).0.is_none());
    }

    #[test]
    fn what_is_restored_is_the_method_that_was_judged() {
        let (taken, mut headers) =
            taken(&[("x-http-method", "delete"), ("x-method-override", "DELETE"), ("accept", "a")]);
        taken.unwrap().restore(&mut headers);
        let mut lines: Vec<_> = headers.iter().map(|(name, value)| (name.as_str(), value.to_str().unwrap())).collect();
        lines.sort_unstable();
        assert_eq!(lines, [("accept", "a"), ("x-http-method", "DELETE"), ("x-method-override", "DELETE")]);
    }
}
