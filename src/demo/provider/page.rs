//! The provider's pages in Korean and English: the choice of a person, and the form that posts the response.

use http::{StatusCode, header};
use url::Url;

use super::super::{
    people::LISTED,
    reply::{self, Parameters, escape},
    server::Reply,
};

/// A fault of an authorization request that is shown on a page, because a redirect would not be safe.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum RequestError {
    Client,
    Redirect,
}

/// The login page. Its forms post to the URL of the request, with its query. All addresses on the pages are relative,
/// because the pages may be behind a gateway, under a path.
pub(super) fn login(korean: bool, query: &Parameters, hint: Option<&str>, panel: Option<&str>) -> Reply {
    let say = |ko: &'static str, en: &'static str| if korean { ko } else { en };
    let mut action = url::form_urlencoded::Serializer::new(String::from("authorize?"));
    let action = action.extend_pairs(query.iter()).finish();
    let person = |(id, name, role): &(&str, &str, &str)| {
        let role = if *role == "admin" { say("관리자", "admin") } else { say("사용자", "user") };
        let focus = if hint == Some(id) { " autofocus" } else { "" };
        format!(r#"<button class="person" name="person" value="{id}"{focus}><b>{name}</b><i>{role}</i></button>"#)
    };
    let people = LISTED.iter().map(person).collect::<Vec<_>>().concat();
    let typed = hint.filter(|hint| !LISTED.iter().any(|(id, ..)| id == hint)).unwrap_or("");
    let panel = panel.map(|panel| {
        format!(r#"<p><a href="{panel}">{}</a></p>"#, say("세션 패널과 인증번호", "Session panel and codes"))
    });
    let body = format!(
        r#"<h1>{title}</h1><p>{about}</p>
<form method="post" action="{action}">{people}</form>
<form method="post" action="{action}"><label for="name">{other}</label>
<div class="row"><input id="name" name="name" maxlength="40" autocomplete="off" required value="{typed}"><button>{enter}</button></div></form>
<form method="post" action="{action}"><button class="quiet" name="cancel" value="1">{cancel}</button></form>{panel}"#,
        panel = panel.unwrap_or_default(),
        title = say("누구로 로그인할까요?", "Who is logging in?"),
        about = say(
            "데모용 로그인 제공자입니다. 비밀번호는 없습니다. 실제로는 Google, 카카오, 네이버가 이 자리에 있습니다.",
            "This is the demo's identity provider. There is no password. In real life Google, Kakao or Naver stands here.",
        ),
        action = escape(&action),
        other = say("또는 이름을 입력하세요", "or type any name"),
        typed = escape(typed),
        enter = say("로그인", "Log in"),
        cancel = say("취소", "Cancel"),
    );
    document(StatusCode::OK, korean, say("데모 로그인", "Demo login"), "", &body)
}

/// OAuth 2.0 Form Post Response Mode: a form that a script submits, with a button for browsers without scripts.
pub(super) fn form_post(korean: bool, target: &Url, parameters: &[(&'static str, String)]) -> Reply {
    let say = |ko: &'static str, en: &'static str| if korean { ko } else { en };
    let field =
        |(name, value): &(&str, String)| format!(r#"<input type="hidden" name="{name}" value="{}">"#, escape(value));
    let fields = parameters.iter().map(field).collect::<Vec<_>>().concat();
    let body = format!(
        r#"<form method="post" action="{}">{fields}<button>{}</button></form>"#,
        escape(target.as_str()),
        say("계속", "Continue"),
    );
    document(
        StatusCode::OK,
        korean,
        say("돌아가는 중", "Going back"),
        r#"<script src="form_post.js" defer></script>"#,
        &body,
    )
}

/// The error page of a request with an unknown client or a bad `redirect_uri`.
pub(super) fn request_error(korean: bool, error: RequestError) -> Reply {
    let (ko, en) = match error {
        RequestError::Client => ("알 수 없는 클라이언트입니다.", "This client is not known here."),
        RequestError::Redirect => ("허용되지 않은 redirect_uri입니다.", "This redirect_uri is not allowed."),
    };
    let text = if korean { ko } else { en };
    document(StatusCode::BAD_REQUEST, korean, text, "", &format!("<h1>{text}</h1>"))
}

/// The page after a logout without a `post_logout_redirect_uri`.
pub(super) fn signed_out() -> Reply {
    document(StatusCode::OK, false, "Signed out", "", "<h1>로그아웃되었습니다 · You are signed out</h1>")
}

/// The pages' style sheet, script and icon.
pub(super) fn asset(path: &str) -> Reply {
    let (content_type, text) = match path {
        "/login.css" => ("text/css; charset=utf-8", include_str!("../page/login.css")),
        "/form_post.js" => ("text/javascript; charset=utf-8", "document.forms[0].submit();\n"),
        "/favicon.ico" => ("image/svg+xml", include_str!("../page/icon.svg")),
        _ => return reply::not_found(),
    };
    reply::with(reply::reply(StatusCode::OK, content_type, text), header::CACHE_CONTROL, "max-age=60")
}

fn document(status: StatusCode, korean: bool, title: &str, head: &str, body: &str) -> Reply {
    let language = if korean { "ko" } else { "en" };
    reply::html(
        status,
        format!(
            r#"<!doctype html><html lang="{language}"><head><meta charset="utf-8"><title>{title}</title>
<meta name="viewport" content="width=device-width, initial-scale=1"><link rel="stylesheet" href="login.css"><link rel="icon" href="favicon.ico" type="image/svg+xml">{head}</head>
<body><main>{body}</main></body></html>"#
        ),
    )
}
