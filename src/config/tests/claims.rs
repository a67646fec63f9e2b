//! `[authority.answer] claims`, the fields of logins and codes, and the languages of pages.

use super::*;

/// The complaints about [`BACKEND`] after a replacement.
fn errors(old: &str, new: &str) -> String {
    printed(&read(&BACKEND.replace(old, new)).unwrap_err().errors)
}

fn warnings(text: &str) -> String {
    printed(&read(text).unwrap_or_else(|complaints| panic!("{complaints}\n{text}")).warnings)
}

fn with_answer(claims: &str) -> String {
    BACKEND.replace("[upstreams", &format!("[authority.answer]\nclaims = {claims}\n[upstreams"))
}

fn backend(text: &str) -> crate::authority::BackendSettings {
    let loaded = read(text).unwrap_or_else(|complaints| panic!("{complaints}\n{text}"));
    let AuthorityKind::Backend(backend) = loaded.config.authority.kind else { panic!("a backend") };
    *backend
}

#[test]
fn claims_of_answers_are_json_pointers_by_name() {
    let read = backend(&with_answer(r#"{ sub = "/user/id", "https://a.example/role" = "/user/role~1s" }"#));
    let claims = [("sub", "/user/id"), ("https://a.example/role", "/user/role~1s")];
    assert_eq!(read.answer.claims, claims.map(|(name, place)| (name.to_owned(), place.to_owned())));
}

#[test]
fn a_claim_that_would_hold_a_token_or_has_no_name_or_place_is_an_error() {
    for (claims, expected) in [
        (r#"{ at = "/accessToken" }"#, "`/accessToken` has a token in it"),
        (r#"{ "" = "/user/id" }"#, "cannot be the name of a claim"),
        (r#"{ "a\nb" = "/user/id" }"#, "cannot be the name of a claim"),
        (r#"{ sub = "user.id" }"#, "must be a JSON pointer"),
        (r#"{ sub = "" }"#, "must be a JSON pointer"),
        (r#"{ sub = "cookie:id" }"#, "must be a JSON pointer"),
    ] {
        let text = with_answer(claims);
        let errors = printed(&read(&text).unwrap_err().errors);
        assert!(errors.contains(expected) && errors.lines().count() == 1, "{claims}\n{errors}");
    }
    let nested = with_answer(r#"{ data = "/data" }"#).replace("claims =", "access_token = \"/data/token\"\nclaims =");
    assert!(printed(&read(&nested).unwrap_err().errors).contains("`/data` has a token in it"));
    let many: Vec<_> = (0..33).map(|number| format!("c{number} = \"/c{number}\"")).collect();
    let errors = printed(&read(&with_answer(&format!("{{ {} }}", many.join(", ")))).unwrap_err().errors);
    assert!(errors.contains("33 claims: a session keeps 32 at most"), "{errors}");
}

#[test]
fn roles_may_come_from_the_answers_and_claims_without_a_source_are_warned_of() {
    let admin = |text: String| text.replace("access = \"user\"", "access = { roles = [\"admin\"] }");
    assert!(read(&admin(with_answer("{ role = \"/user/role\" }"))).is_ok());
    assert!(read(&admin(with_answer("{ sub = \"/user/id\" }"))).is_err());
    for (header, claim) in [("{sub}", "sub"), ("{claims.email}", "email"), ("u-{claims.team}", "team")] {
        let headers = format!("access = \"user\"\nheaders = {{ set = {{ x-id = \"{header}\" }} }}");
        let text = BACKEND.replace("access = \"user\"", &headers);
        let warned = warnings(&text);
        assert!(warned.contains(&format!("no configured source gives the claim `{claim}`")), "{warned}");
        let answered =
            text.replace("[upstreams", &format!("[authority.answer]\nclaims = {{ {claim} = \"/x\" }}\n[upstreams"));
        assert!(!warnings(&answered).contains("no configured source"), "{claim}");
    }
    assert!(!warnings(BACKEND).contains("no configured source"));
    let refresh = BACKEND.replace("\"{refresh_token}\" }", "\"{refresh_token}\", who = \"{sub}\" }");
    assert!(warnings(&refresh).contains("a call uses the claim `sub`"), "{}", warnings(&refresh));
    let idle = warnings(&with_answer(r#"{ name = "/n", team = "/t" }"#));
    assert!(idle.contains("`team` has no effect here") && !idle.contains("`name`"), "{idle}");
}

#[test]
fn the_fields_of_a_login_are_placeholders_of_its_call() {
    let call = "path = \"/auth/login\"\njson = { email = \"{email}\", password = \"{password}\" }";
    let other = "path = \"/auth/login\"\nfields = [\"login_id\", \"password\"]\njson = { id = \"{field.login_id}\", password = \"{password}\" }";
    assert_eq!(backend(&BACKEND.replace(call, other)).fields, ["login_id", "password"]);
    assert_eq!(backend(BACKEND).fields, ["email", "password"]);
    assert!(errors(call, &other.replace("{field.login_id}", "{email}")).contains("there is no `{email}` here"));
    assert!(
        errors(call, &other.replace("{field.login_id}", "{field.loginid}"))
            .contains("did you mean `{field.login_id}`?")
    );
    let unused = other.replace("id = \"{field.login_id}\", ", "");
    assert!(warnings(&BACKEND.replace(call, &unused)).contains("the field `login_id` is asked for and sent nowhere"));
}

#[test]
fn names_of_fields_are_bounded_unlike_each_other_and_not_the_gateways_own() {
    let call = "path = \"/auth/login\"\njson = { email = \"{email}\", password = \"{password}\" }";
    let long = "x".repeat(65);
    for (name, expected) in [
        ("login id", "`login id` cannot be the name of a field"),
        ("", "`` cannot be the name of a field"),
        ("아이디", "cannot be the name of a field"),
        (long.as_str(), "cannot be the name of a field"),
        ("return_to", "`return_to` is a field of the gateway's own here"),
        ("deviceId", "`deviceId` is a field of the gateway's own here"),
        ("password", "two fields are called `password`"),
    ] {
        let fields =
            format!("path = \"/auth/login\"\nfields = [\"password\", \"{name}\"]\njson = {{ a = \"{{password}}\" }}");
        let errors = errors(call, &fields);
        assert!(errors.contains(expected) && errors.lines().count() == 1, "{name}\n{errors}");
    }
    for fields in ["[]", "[\"a\", \"b\", \"c\", \"d\", \"e\", \"f\", \"g\", \"h\", \"i\"]"] {
        let errors = errors(call, &format!("path = \"/auth/login\"\nfields = {fields}"));
        assert!(errors.contains("a login has 1 to 8 fields"), "{errors}");
    }
    let sms = "[otp.sms]\npurpose = \"prove\"\nfields = FIELDS\n[otp.sms.http]\nurl = \"https://sms.example/send\"\njson = \"{text}\"\n[upstreams";
    let of_codes = |fields: &str| BACKEND.replace("[upstreams", &sms.replace("FIELDS", fields));
    for (fields, expected) in [
        ("{ address = \"code\" }", "two fields are called `code`"),
        ("{ address = \"challenge\" }", "`challenge` is a field of the gateway's own here"),
        ("{ code = \"a b\" }", "`a b` cannot be the name of a field"),
    ] {
        let errors = printed(&read(&of_codes(fields)).unwrap_err().errors);
        assert!(errors.contains(expected) && errors.lines().count() == 1, "{fields}\n{errors}");
    }
    let config = read(&of_codes("{ address = \"number\" }")).unwrap_or_else(|complaints| panic!("{complaints}")).config;
    let fields = &config.otp.sms.unwrap().channel.fields;
    assert_eq!((&*fields.address, &*fields.code), ("number", "code"));
}

#[test]
fn the_language_for_everybody_else_is_one_of_the_languages() {
    let pages = |text: &str| BACKEND.replace("[upstreams", &format!("[pages]\n{text}\n[upstreams"));
    let languages =
        |text: &str| read(&pages(text)).unwrap_or_else(|complaints| panic!("{complaints}")).config.pages.languages;
    assert_eq!(languages("language = \"ko\""), Languages::new(Language::ALL, Language::Korean));
    assert_eq!(languages("languages = [\"ko\"]"), Languages::new(&[Language::Korean], Language::Korean));
    let refused = |text: &str| printed(&read(&pages(text)).unwrap_err().errors);
    assert!(refused("language = \"en\"\nlanguages = [\"ko\"]").contains("\"en\" is not one of `languages`"));
    assert!(refused("languages = []").contains("without a language there are no texts"));
    assert!(!refused("language = \"fr\"").is_empty());
}
