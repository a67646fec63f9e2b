//! The built-in templates, and the operator's templates that replace some of them. If a template of the operator fails
//! to render, the built-in one is used.

use minijinja::{AutoEscape, Environment, Output, State, UndefinedBehavior, Value, escape_formatter};

pub(super) const LOGIN: &str = "login.html";
pub(super) const CODE: &str = "code.html";
pub(super) const NOTICE: &str = "notice.html";
pub(super) const CONFIRM: &str = "confirm.html";

/// The built-in templates by name; an operator can replace each.
const BUILT_IN: [(&str, &str); 5] = [
    ("frame.html", include_str!("frame.html")),
    (LOGIN, include_str!("login.html")),
    (CODE, include_str!("code.html")),
    (NOTICE, include_str!("notice.html")),
    (CONFIRM, include_str!("confirm.html")),
];
const STYLE: (&str, &str) = ("style.css", include_str!("style.css"));

/// The names of the files that an operator can replace.
pub fn replaceable() -> impl Iterator<Item = &'static str> {
    BUILT_IN.iter().map(|(name, _)| *name).chain([STYLE.0])
}

/// A fault in a template of the operator.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error("{name}: {message}")]
pub struct TemplateFault {
    /// The template's file.
    pub name: String,
    /// The fault, with its line number if known.
    pub message: String,
}

impl TemplateFault {
    pub(super) fn of(name: &str, error: &minijinja::Error) -> Self {
        let line = error.line().map(|line| format!(" (line {line})")).unwrap_or_default();
        let detail = error.detail().map(|detail| format!(": {detail}")).unwrap_or_default();
        Self { name: error.name().unwrap_or(name).to_owned(), message: format!("{}{detail}{line}", error.kind()) }
    }
}

#[derive(Debug)]
pub(super) struct Templates {
    built_in: Environment<'static>,
    own: Option<Environment<'static>>,
    style: String,
}

impl Templates {
    /// Compiles the templates; `globals` are values that every template can use.
    pub(super) fn compile(
        own: &[(&'static str, String)],
        more_style: &str,
        globals: &[(&'static str, Value)],
    ) -> Result<Self, TemplateFault> {
        let find = |name: &str| own.iter().find(|(own, _)| *own == name).map(|(_, source)| source.as_str());
        let style = format!("{}{more_style}", find(STYLE.0).unwrap_or(STYLE.1)).replace("\r\n", "\n");
        if style.contains("</") {
            let message = "a style sheet cannot hold `</`".to_owned();
            return Err(TemplateFault { name: STYLE.0.to_owned(), message });
        }
        let environment = |source: &dyn Fn(&'static str, &'static str) -> String| {
            let mut templates = Environment::new();
            templates.set_undefined_behavior(UndefinedBehavior::Strict);
            templates.set_formatter(escape);
            templates.add_global("style", style.as_str());
            for (name, value) in globals {
                templates.add_global(*name, value.clone());
            }
            for (name, built_in) in BUILT_IN {
                let added = templates.add_template_owned(name, source(name, built_in));
                added.map_err(|error| TemplateFault::of(name, &error))?;
            }
            Ok(templates)
        };
        let is_own = BUILT_IN.iter().any(|(name, _)| find(name).is_some());
        let own =
            is_own.then(|| environment(&|name, built_in| find(name).unwrap_or(built_in).to_owned())).transpose()?;
        Ok(Self { built_in: environment(&|_, built_in| built_in.to_owned())?, own, style })
    }

    pub(super) fn style(&self) -> &str {
        &self.style
    }

    /// Renders the operator's template, or the built-in one if none replaces it.
    pub(super) fn try_render(&self, name: &str, values: Value) -> Result<String, TemplateFault> {
        let templates = self.own.as_ref().unwrap_or(&self.built_in);
        let rendered = templates.get_template(name).and_then(|template| template.render(values));
        rendered.map_err(|error| TemplateFault::of(name, &error))
    }

    /// Renders a template. If the operator's template fails, the built-in one is rendered.
    pub(super) fn render(&self, name: &str, values: &Value) -> String {
        if self.own.is_some() {
            match self.try_render(name, values.clone()) {
                Ok(html) => return html,
                Err(fault) => {
                    tracing::error!(%fault, "a template of [pages] failed to render: the built-in page is shown");
                }
            }
        }
        let rendered = self.built_in.get_template(name).and_then(|template| template.render(values.clone()));
        rendered.expect("the embedded templates render with the values that are given here")
    }
}

/// Escapes a value for text and for attributes in double quotes. minijinja's default would also encode the slashes of
/// URLs.
fn escape(out: &mut Output<'_>, state: &mut State<'_, '_>, value: &Value) -> Result<(), minijinja::Error> {
    let Some(text) = value.as_str().filter(|_| !value.is_safe() && *state.auto_escape() == AutoEscape::Html) else {
        return escape_formatter(out, state, value);
    };
    let mut rest = text;
    while let Some(at) = rest.find(['&', '<', '>', '"', '\'']) {
        out.write_str(&rest[..at])?;
        out.write_str(match rest.as_bytes()[at] {
            b'&' => "&amp;",
            b'<' => "&lt;",
            b'>' => "&gt;",
            b'"' => "&quot;",
            _ => "&#39;",
        })?;
        rest = &rest[at + 1..];
    }
    Ok(out.write_str(rest)?)
}
