//! The values that each template is given. docs/pages.md lists them.

use minijinja::{Value, context};

use super::{
    Pages,
    brand::Brand,
    invitation::is_invitation,
    views::{
        Action, CodeForm, CodePage, ErrorPage, FormField, InputType, LogOutPage, LoginPage, PasswordForm, ProviderLink,
    },
};
use crate::{
    channel::Channel,
    text::{Language, Text},
};

impl Pages {
    pub(super) fn login_values(&self, page: &LoginPage<'_>) -> Value {
        let say = |text: Text| text.say(page.language);
        let methods: Vec<_> = page.methods.iter().map(|method| method_value(page.language, method)).collect();
        let codes: Vec<_> = page.codes.iter().map(|form| self.code_form_value(page.language, form)).collect();
        let form = page.form.as_ref().map(password_form_value);
        context! {
            lang => page.language.tag(),
            title => say(Text::LogIn),
            page_title => page_title(page.language, say(Text::LogIn), page.message.is_some()),
            message => page.message.as_deref(),
            invalid => page.invalid,
            ways => ways(page, &methods, &codes, form.as_ref()),
            used_last => say(Text::UsedLast),
            methods,
            codes,
            form,
            or => say(Text::Or),
            email => say(Text::Email),
            password => say(Text::Password),
            no_method => say(Text::NoMethod),
        }
    }

    fn code_form_value(&self, language: Language, form: &CodeForm<'_>) -> Value {
        context! {
            action => format!("{}/{}/send", self.base_path, form.channel.as_str()),
            return_to => form.return_to,
            field => form.channel.field(),
            name => form.name,
            label => address_label(form.channel).say(language),
            placeholder => Text::PhoneExample.say(language),
            send => send_label(form.channel).say(language),
        }
    }

    pub(super) fn code_values(&self, page: &CodePage<'_>) -> Value {
        let say = |text: Text| text.say(page.language);
        let at = |step: &str| format!("{}/{}/{step}", self.base_path, page.channel.as_str());
        let sent = page.sent.map(|sent| {
            context! {
                text => Text::SentTo.with(page.language, "address", sent.address),
                left => sent.left,
                left_text => format!("{}:{:02}", sent.left / 60, sent.left % 60),
            }
        });
        let title = say(if sent.is_some() { Text::EnterCode } else { code_heading(page.channel) });
        context! {
            lang => page.language.tag(),
            title,
            page_title => page_title(page.language, title, page.message.is_some()),
            message => page.message.as_deref(),
            invalid => page.invalid,
            retry => page.retry,
            notice => page.notice.map(say),
            sent,
            field => page.channel.field(),
            address_name => page.address_field,
            code_name => page.code_field,
            send => at("send"),
            verify => at("verify"),
            resend => at("resend"),
            return_to => page.return_to,
            expires_in => say(Text::ExpiresIn),
            is_over => say(Text::CodeExpired),
            code_label => say(Text::Code),
            code_form => say(Text::CodeForm),
            by_itself => say(Text::CodeGoesByItself),
            confirm => say(Text::Confirm),
            send_again => say(Text::SendAgain),
            other_address => say(Text::OtherAddress),
            start => page.start.as_str(),
            to_label => say(address_label(page.channel)),
            placeholder => say(Text::PhoneExample),
            send_code => say(send_label(page.channel)),
            other_way => say(Text::OtherWay),
            login_page => page.login_page.as_str(),
        }
    }

    pub(super) fn notice_values(&self, page: &ErrorPage<'_>) -> Value {
        let say = |text: Text| text.say(page.language);
        let actions: Vec<_> = page.actions.iter().map(|action| self.action_value(page.language, action)).collect();
        let link = page.actions.iter().find_map(|action| match action {
            Action::Link(label, href) => Some(context! { label => say(*label), href }),
            Action::Reload | Action::LogInAsAnother { .. } => None,
        });
        context! {
            lang => page.language.tag(),
            title => page.title,
            page_title => page.title,
            advice => page.advice.as_deref(),
            link,
            actions,
            back => say(Text::Back),
            is_error => page.is_error,
            request_id => page.request_id,
            request_label => say(Text::RequestNumber),
        }
    }

    fn action_value(&self, language: Language, action: &Action) -> Value {
        match action {
            Action::Link(label, href) => context! { label => label.say(language), href, form => false },
            // An empty reference is the address of the page itself (RFC 3986 section 4.4).
            Action::Reload => context! { label => Text::TryAgain.say(language), href => "", form => false },
            Action::LogInAsAnother { return_to } => {
                let form = context! { action => format!("{}/logout", self.base_path), return_to };
                context! { label => Text::LogInAsAnother.say(language), href => false, form }
            }
        }
    }
}

/// Every way to log in, in the order of the page: the first is the main one. After a failure of the form for e-mail and
/// password that form is first, because it was used last.
fn ways(page: &LoginPage<'_>, methods: &[Value], codes: &[Value], form: Option<&Value>) -> Vec<Value> {
    let say = |text: Text| text.say(page.language);
    let way = |id: String, heading: &str, method: Option<&Value>, code: Option<&Value>, form: Option<&Value>| {
        context! { id, heading, method, code, form }
    };
    let providers = page.methods.iter().zip(methods);
    let providers = providers.map(|(link, value)| way(format!("provider {}", link.name), "", Some(value), None, None));
    let codes = page.codes.iter().zip(codes).map(|(code, value)| {
        way(format!("code {}", code.channel.as_str()), say(code_heading(code.channel)), None, Some(value), None)
    });
    let password = form.map(|form| way("password".to_owned(), say(Text::WithPassword), None, None, Some(form)));
    let (first, last) = if page.password_first { (password, None) } else { (None, password) };
    first.into_iter().chain(providers).chain(codes).chain(last).collect()
}

pub(super) fn log_out_values(page: &LogOutPage<'_>) -> Value {
    let title = Text::LogOutQuestion.say(page.language);
    let fields: Vec<_> = page.fields.iter().map(|field| context! { name => field.0, value => field.1 }).collect();
    context! {
        lang => page.language.tag(),
        title,
        page_title => title,
        action => page.action,
        fields,
        button => Text::LogOut.say(page.language),
    }
}

fn method_value(language: Language, method: &ProviderLink<'_>) -> Value {
    let label = match (method.label, method.brand.wording()) {
        (Some(label), _) => continue_with(language, label),
        (None, Some(wording)) => wording.say(language).to_owned(),
        (None, None) => continue_with(language, method.brand.name().map_or(method.name, |name| name.say(language))),
    };
    context! {
        href => &method.href,
        brand => method.brand.class(),
        mark => Brand::mark(method.brand).map(|mark| Value::from_safe_string(mark.to_owned())),
        label,
    }
}

fn password_form_value(form: &PasswordForm<'_>) -> Value {
    let field = |field: &FormField<'_>| {
        context! {
            name => field.name,
            label => field.label,
            type => field.input.html(),
            inputmode => (field.input == InputType::Digits).then_some("numeric"),
            autocomplete => field.autocomplete,
            longest => field.input.longest(),
        }
    };
    let fields: Vec<_> = form.fields.iter().map(field).collect();
    context! { action => &form.action, return_to => form.return_to, fields }
}

/// The title in the browser's tab. It says first that something went wrong: a screen reader reads it before the page.
fn page_title(language: Language, title: &str, has_failed: bool) -> String {
    if has_failed { Text::ErrorTitle.with(language, "title", title) } else { title.to_owned() }
}

/// Label of a provider's button. Words of the label that the name has itself are not said twice.
fn continue_with(language: Language, name: &str) -> String {
    let name = name.trim();
    if is_invitation(name) {
        return name.to_owned();
    }
    let (before, after) = Text::ContinueWith.say(language).split_once("{name}").unwrap_or_default();
    if !before.is_empty() && name.starts_with(before) {
        return name.to_owned();
    }
    let after = after.trim_start();
    let ends_of_words = after.match_indices(' ').map(|(end, _)| end).chain([after.len()]).filter(|end| *end > 0);
    if let Some(end) = ends_of_words.rev().find(|end| name.ends_with(&after[..*end])) {
        return format!("{name}{}", &after[end..]);
    }
    let text = if name.ends_with(Text::Account.say(language)) { Text::ContinueWithAccount } else { Text::ContinueWith };
    text.with(language, "name", name)
}

/// Heading of the login by a code.
const fn code_heading(channel: Channel) -> Text {
    match channel {
        Channel::Sms => Text::WithSmsCode,
        Channel::Email => Text::WithMailCode,
    }
}

/// Label of the button that sends a code.
const fn send_label(channel: Channel) -> Text {
    match channel {
        Channel::Sms => Text::SendCodeBySms,
        Channel::Email => Text::SendCodeByMail,
    }
}

/// Label of the field for an address. It differs from that of the form for e-mail and password.
const fn address_label(channel: Channel) -> Text {
    match channel {
        Channel::Sms => Text::Phone,
        Channel::Email => Text::EmailForCode,
    }
}
