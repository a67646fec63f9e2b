//! `[pages]`: the site's name, logo and colours, and the operator's own templates.

use std::{fs, path::Path};

use bytes::Bytes;

use crate::config::{form, secrets::Surroundings, section::Section};
use crate::{
    login,
    pages::{self, Color, Logo, Pages, Settings},
};

/// Larger pictures make the login slow on a phone.
const LARGEST_LOGO: usize = 256 << 10;
/// By the end of the file's name.
const PICTURES: [(&str, &str); 6] = [
    ("svg", "image/svg+xml"),
    ("png", "image/png"),
    ("jpg", "image/jpeg"),
    ("jpeg", "image/jpeg"),
    ("webp", "image/webp"),
    ("gif", "image/gif"),
];

/// Reads `[pages]`; `login` says where the pages stand.
pub(crate) fn pages(section: &Section<'_>, login: &login::Settings, around: &mut Surroundings<'_>) -> Settings {
    let color = |key| section.optional(key, form::color).and_then(|text| Color::parse(&text));
    if section.optional("name", form::text).is_some_and(|name| name.contains(char::is_control)) {
        let help = "write it on one line; it stands in the pages' titles and in messages";
        around.problems.complain(section.place("name"), "`name` has control characters in it", help);
    }
    let settings = Settings {
        name: section.optional("name", form::text).filter(|name| !name.trim().is_empty()),
        logo: logo(section, around),
        color: color("color"),
        background: color("background"),
        templates: templates(section, around),
    };
    // The built-in ones are sound, and a start need not try them.
    if !settings.templates.is_empty()
        && let Some(fault) = Pages::fault(&settings, &login.site(&login.login_page()))
    {
        let help =
            "docs/pages.md lists what each template is given; the built-in ones are in the source under src/pages";
        around.problems.complain(section.place("templates"), format!("an own template does not work: {fault}"), help);
    }
    settings
}

fn logo(section: &Section<'_>, around: &mut Surroundings<'_>) -> Option<Logo> {
    let path = around.path(&section.optional("logo", form::text)?);
    let end = path.extension().and_then(|end| end.to_str()).unwrap_or_default().to_ascii_lowercase();
    let Some((_, media_type)) = PICTURES.iter().find(|(known, _)| *known == end) else {
        let help = "give an SVG, PNG, JPEG, WebP or GIF file, with that ending";
        around.problems.complain(section.place("logo"), "the logo is no picture that browsers show", help);
        return None;
    };
    let bytes = read(&path, section, "logo", around)?;
    if bytes.len() > LARGEST_LOGO {
        let help = "256 KiB are enough for a logo; an SVG is smaller still";
        around.problems.complain(section.place("logo"), format!("the logo has {} bytes", bytes.len()), help);
        return None;
    }
    Some(Logo { media_type, bytes: Bytes::from(bytes) })
}

fn templates(section: &Section<'_>, around: &mut Surroundings<'_>) -> Vec<(&'static str, String)> {
    let Some(folder) = section.optional("templates", form::text).map(|path| around.path(&path)) else {
        return Vec::new();
    };
    let names: Vec<_> = pages::replaceable().filter(|name| folder.join(name).exists()).collect();
    if names.is_empty() {
        let known = pages::replaceable().collect::<Vec<_>>().join(", ");
        around.problems.complain(
            section.place("templates"),
            "there is no template in this folder",
            format!("the templates that can be replaced are {known}"),
        );
    }
    let text = |name| {
        let bytes = read(&folder.join(name), section, "templates", around)?;
        let text = String::from_utf8(bytes).ok();
        if text.is_none() {
            around.problems.complain(
                section.place("templates"),
                format!("{name} is not text in UTF-8"),
                "save it as UTF-8",
            );
        }
        Some((name, text?))
    };
    names.into_iter().filter_map(text).collect()
}

fn read(path: &Path, section: &Section<'_>, key: &str, around: &mut Surroundings<'_>) -> Option<Vec<u8>> {
    fs::read(path)
        .map_err(|error| {
            let message = format!("{} cannot be read: {}", path.display(), error.kind());
            let help = "relative paths start at the folder of this file; it must be readable for the user that vestibule runs as";
            around.problems.complain(section.place(key), message, help);
        })
        .ok()
}
