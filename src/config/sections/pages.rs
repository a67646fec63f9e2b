//! `[pages]`: the site's name, logo and colours, and the operator's own templates.

use std::{fs, path::Path};

use bytes::Bytes;

use super::forms;
use crate::{
    config::schema::{
        context::Context,
        form,
        key::{Choice, Key, List, Word as _, table, words},
        section::Section,
        tree::Place,
    },
    login,
    pages::{self, Color, Logo, Pages, Settings},
    text::{Language, Languages},
};

table! {
    /// `[pages]`
    pub(crate) struct PagesTable {
        /// The site's name on the pages and in messages. Default: the host of `public_url`.
        NAME: form::Text = optional("name");
        /// A picture above the pages' title: an SVG, PNG, JPEG, WebP or GIF file of at most 256 KiB.
        LOGO: forms::File = optional("logo");
        /// The colour of buttons, and of links where it can be read, e.g. `"#0b6bcb"`.
        COLOR: form::Color = optional("color");
        /// The colour behind the page.
        BACKGROUND: form::Color = optional("background");
        /// The language for a visitor whose `Accept-Language` names none of `languages`. Default: English, or the first
        /// of `languages` if English is not one.
        LANGUAGE: Choice<Language> = default("language", "\"en\"");
        /// The languages of pages, messages and errors.
        LANGUAGES: List<Choice<Language>> = default("languages", "[\"ko\", \"en\"]");
        /// A folder with own templates (`frame.html`, `login.html`, `code.html`, `notice.html`, `style.css`) in place
        /// of the built-in ones of the same name.
        TEMPLATES: forms::File = optional("templates");
    }
}

words! { Language: "ko" => Self::Korean, "en" => Self::English }

/// Largest logo in bytes; a larger one makes the login page slow on phones.
const LARGEST_LOGO: usize = 256 << 10;
/// Media types by the extension of the file.
const PICTURES: [(&str, &str); 6] = [
    ("svg", "image/svg+xml"),
    ("png", "image/png"),
    ("jpg", "image/jpeg"),
    ("jpeg", "image/jpeg"),
    ("webp", "image/webp"),
    ("gif", "image/gif"),
];

/// Reads `[pages]`. Templates are rendered once as a test, with the paths of `login`.
pub(crate) fn pages(section: &Section<'_, PagesTable>, login: &login::Settings, cx: &mut Context<'_>) -> Settings {
    let color = |key: &Key<_, form::Color>| section.optional(key).and_then(|text| Color::parse(&text));
    if section.optional(&PagesTable::NAME).is_some_and(|name| name.contains(char::is_control)) {
        let help = "write it on one line; it stands in the pages' titles and in messages";
        cx.complain(section.place(&PagesTable::NAME), "`name` has control characters in it", help);
    }
    let settings = Settings {
        name: section.optional(&PagesTable::NAME).filter(|name| !name.trim().is_empty()),
        logo: logo(section, cx),
        color: color(&PagesTable::COLOR),
        background: color(&PagesTable::BACKGROUND),
        languages: languages(section, cx),
        templates: templates(section, cx),
    };
    // The built-in templates are covered by tests.
    if !settings.templates.is_empty()
        && let Some(fault) = Pages::fault(&settings, &login.site())
    {
        let help =
            "docs/pages.md lists what each template is given; the built-in ones are in the source under src/pages";
        cx.complain(section.place(&PagesTable::TEMPLATES), format!("an own template does not work: {fault}"), help);
    }
    settings
}

fn languages(section: &Section<'_, PagesTable>, cx: &mut Context<'_>) -> Languages {
    let offered = section.values(&PagesTable::LANGUAGES);
    let mut otherwise = section.read(&PagesTable::LANGUAGE);
    let Some(first) = offered.first().copied() else {
        cx.complain(
            section.place(&PagesTable::LANGUAGES),
            "without a language there are no texts",
            "write `languages = [\"ko\", \"en\"]`, or leave it out",
        );
        return Languages::default();
    };
    if !offered.contains(&otherwise) {
        if section.has(&PagesTable::LANGUAGE) {
            let message = format!("\"{}\" is not one of `languages`", otherwise.word());
            cx.complain(section.place(&PagesTable::LANGUAGE), message, "add it there, or name one of them");
        }
        otherwise = first;
    }
    Languages::new(&offered, otherwise)
}

fn logo(section: &Section<'_, PagesTable>, cx: &mut Context<'_>) -> Option<Logo> {
    let path = cx.path(&section.optional(&PagesTable::LOGO)?);
    let extension = path.extension().and_then(|extension| extension.to_str()).unwrap_or_default().to_ascii_lowercase();
    let Some((_, media_type)) = PICTURES.iter().find(|(known, _)| *known == extension) else {
        let help = "give an SVG, PNG, JPEG, WebP or GIF file, with that ending";
        cx.complain(section.place(&PagesTable::LOGO), "the logo is not a picture format that browsers show", help);
        return None;
    };
    let bytes = read(&path, section.place(&PagesTable::LOGO), cx)?;
    if bytes.len() > LARGEST_LOGO {
        let help = "256 KiB are enough for a logo; an SVG is smaller still";
        cx.complain(section.place(&PagesTable::LOGO), format!("the logo has {} bytes", bytes.len()), help);
        return None;
    }
    Some(Logo { media_type, bytes: Bytes::from(bytes) })
}

fn templates(section: &Section<'_, PagesTable>, cx: &mut Context<'_>) -> Vec<(&'static str, String)> {
    let Some(folder) = section.optional(&PagesTable::TEMPLATES).map(|path| cx.path(&path)) else {
        return Vec::new();
    };
    let names: Vec<_> = pages::replaceable().filter(|name| folder.join(name).exists()).collect();
    if names.is_empty() {
        let known = pages::replaceable().collect::<Vec<_>>().join(", ");
        cx.complain(
            section.place(&PagesTable::TEMPLATES),
            "there is no template in this folder",
            format!("the templates that can be replaced are {known}"),
        );
    }
    let text = |name| {
        let bytes = read(&folder.join(name), section.place(&PagesTable::TEMPLATES), cx)?;
        let text = String::from_utf8(bytes).ok();
        if text.is_none() {
            cx.complain(
                section.place(&PagesTable::TEMPLATES),
                format!("{name} is not text in UTF-8"),
                "save it as UTF-8",
            );
        }
        Some((name, text?))
    };
    names.into_iter().filter_map(text).collect()
}

fn read(path: &Path, place: &Place, cx: &mut Context<'_>) -> Option<Vec<u8>> {
    fs::read(path).inspect_err(|error| cx.complain_of_unreadable(place, &path.display().to_string(), error)).ok()
}
