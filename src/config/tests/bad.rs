//! Complaints about wrong files: a part of a valid file is replaced, and all complaints are compared with the expected
//! ones.

use super::{BACKEND, GATEWAY, SMALLEST, printed, read};

/// Reads `base` with `old` replaced by `new`, and compares the complaints.
fn complains(base: &str, old: &str, new: &str, expected: &str) {
    assert!(base.contains(old), "{old}");
    match read(&base.replacen(old, new, 1)) {
        Err(complaints) => assert_eq!(printed(&complaints.errors), expected, "{new}"),
        Ok(_) => panic!("accepted: {new}"),
    }
}

macro_rules! bad {
    ($($name:ident: $base:ident, $old:literal => $new:literal, $expected:literal;)*) => {$(
        #[test]
        fn $name() {
            complains($base, $old, $new, $expected);
        }
    )*};
}

bad! {
    text_that_is_not_toml: SMALLEST, "\"user\"" => "user",
        "13:10 this is not TOML: string values must be quoted, expected literal string → the rest of the file is looked at when this is right\n";
    an_unknown_table: SMALLEST, "[session]" => "[sesion]",
        "4:2 unknown table `sesion` → did you mean `session`?\n";
    an_unknown_key_without_a_similar_one: SMALLEST, "[session]" => "[server.tls]\ncert = \"c\"\nkey = \"k\"\nxyz = 1",
        "3:14 `public_url` is http, but `[server.tls]` has a certificate → write `public_url = \"https://…\"`, or leave out `[server.tls]`\n\
         5:8 the file of the certificate cannot be read: entity not found → relative paths start at the folder of this file; the file must be readable for the user that vestibule runs as\n\
         6:7 the file of the private key cannot be read: entity not found → relative paths start at the folder of this file; the file must be readable for the user that vestibule runs as\n\
         7:1 unknown key `xyz` in `server.tls` → there are `cert`, `key`\n";
    a_missing_table: SMALLEST, "[server]\nlisten = \"127.0.0.1:8080\"\npublic_url = \"http://localhost:8080\"\n" => "",
        "1:1 `[server]` is missing → write `[server]` and its keys\n";
    a_missing_key: SMALLEST, "client_id = \"id\"\n" => "",
        "5:12 `client_id` is missing in `providers.google` → write `client_id = \"…\"`\n";
    a_number_where_a_duration_belongs: SMALLEST, "[session]" => "[session]\nidle = 30",
        "5:8 `idle` must be a duration, not the number 30 → write `idle = \"30s\"`\n";
    a_duration_without_a_unit: SMALLEST, "[session]" => "[session]\nidle = \"30\"",
        "5:8 `idle` must be a duration, not `30` → write a whole number with a unit: ms, s, m, h or d, e.g. \"60s\"\n";
    a_duration_of_zero: SMALLEST, "[session]" => "[session]\nidle = \"0s\"",
        "5:8 `idle` must be a duration, not `0s` → it must be more than zero\n";
    a_size_without_a_known_unit: SMALLEST, "[session]" => "[session]\nreplay_body = \"64kb\"",
        "5:15 `replay_body` must be a size, not `64kb` → write a whole number with a unit: B, KiB, MiB, GiB, kB, MB or GB, e.g. \"64KiB\"\n";
    a_flag_in_quotes: SMALLEST, "[session]" => "[session]\nhost_prefix = \"true\"",
        "5:15 `host_prefix` must be true or false, not the text `true` → write `host_prefix = true` or `host_prefix = false`, without quotes\n";
    cookies_of_https_by_http: BACKEND, "https://app.example\"\n[session]" => "http://app.example\"\n[session]\nhost_prefix = true",
        "3:14 cookies over http are allowed only where `public_url` and every listen address are on loopback → write `public_url = \"https://…\"`: visitors may reach a load balancer that has the certificate\n\
         5:15 browsers accept `__Host-` cookies by https alone → leave it out while `public_url` is http\n";
    a_text_where_a_list_belongs: SMALLEST, "[\"http://127.0.0.1:3000\"]" => "\"http://127.0.0.1:3000\"",
        "9:11 `targets` must be a list, not the text `http://127.0.0.1:3000` → write `targets = [\"http://127.0.0.1:3000\"]`\n";
    a_table_where_tables_belong: SMALLEST, "[[routes]]" => "[routes]",
        "10:2 `routes` must be a list of tables, not a table → write `[[routes]]`\n";
    a_provider_that_is_not_a_table: SMALLEST, "[session]" => "[providers]\nkakao = 1",
        "5:1 `providers.kakao` must be a table → write `[providers.kakao]`, and the keys under it\n";
    a_list_element_of_another_type: SMALLEST, "client_id = \"id\"" => "client_id = \"id\"\nscopes = [\"openid\", 3]",
        "7:21 each of `scopes` must be a text, not the number 3 → write `scopes = [\"…\"]`\n";
    a_name_on_two_lines: SMALLEST, "[session]" => "[pages]\nname = \"a\\nb\"\n[session]",
        "5:8 `name` has control characters in it → write it on one line; it stands in the pages' titles and in messages\n";
    a_date: SMALLEST, "[session]" => "[session]\nafter_login = 2026-01-01",
        "5:15 `after_login` must be a path or a web address, not a date → write `after_login = \"/login\"`\n";
    a_word_that_is_not_a_choice: SMALLEST, "\"user\"" => "\"users\"",
        "13:10 `access` cannot be `users` → did you mean \"user\"?\n";
    a_public_url_with_a_path: SMALLEST, "http://localhost:8080" => "http://localhost:8080/app",
        "3:14 `public_url` must be a web address without a path, not `http://localhost:8080/app` → leave out what stands behind the host, e.g. \"https://app.example.com\"\n";
    a_public_url_of_another_scheme: SMALLEST, "http://localhost:8080" => "ftp://localhost",
        "3:14 `public_url` must be a web address without a path, not `ftp://localhost` → it must begin with http:// or https://\n";
    an_address_without_a_port: SMALLEST, "127.0.0.1:8080" => "localhost",
        "2:10 `listen` must be an address with a port, not `localhost` → write an IP address and a port, e.g. \"0.0.0.0:8080\" or \"[::1]:8080\"\n";
    http_in_public: SMALLEST, "http://localhost:8080" => "http://app.example",
        "3:14 cookies over http are allowed only where `public_url` and every listen address are on loopback → write `public_url = \"https://…\"`: visitors may reach a load balancer that has the certificate\n\
         4:2 `session.keys` is needed where something is not on loopback → write `keys = [\"env:VESTIBULE_KEY\"]` under `[session]`; `vestibule keygen` prints a key\n\
         5:12 who may come in through `google`? `public_url` is open to everyone → write `allow = { email_domains = [\"example.com\"] }`, or `allow = \"anyone\"`\n";
    http_on_an_address_that_is_not_loopback: SMALLEST, "127.0.0.1:8080" => "0.0.0.0:8080",
        "3:14 cookies over http are allowed only where `public_url` and every listen address are on loopback → listen on 127.0.0.1 (admin_listen and health_listen too), use an https address, or write `development = true` in a container for development\n\
         4:2 `session.keys` is needed where something is not on loopback → write `keys = [\"env:VESTIBULE_KEY\"]` under `[session]`; `vestibule keygen` prints a key\n";
    no_key_in_public: BACKEND, "keys = [\"env:KEY\"]\n" => "",
        "4:2 `session.keys` is needed where something is not on loopback → write `keys = [\"env:VESTIBULE_KEY\"]` under `[session]`; `vestibule keygen` prints a key\n";
    a_key_that_is_too_short: BACKEND, "env:KEY" => "env:SECRET",
        "5:9 this key is not 32 bytes in base64 → `vestibule keygen` prints a good one\n";
    a_key_twice: BACKEND, "[\"env:KEY\"]" => "[\"env:KEY\", \"env:KEY\"]",
        "5:20 this key is listed twice → leave one of the two out\n";
    a_variable_that_is_not_set: SMALLEST, "env:SECRET" => "env:SECRETS",
        "7:17 there is no environment variable `SECRETS` → set `SECRETS`\n";
    a_secret_file_that_cannot_be_read: SMALLEST, "env:SECRET" => "file:secret.txt",
        "7:17 the file `secret.txt` cannot be read: entity not found → relative paths start at the folder of this file; the file must be readable for the user that vestibule runs as\n";
    a_provider_in_public_without_allow: SMALLEST, "[server]\nlisten = \"127.0.0.1:8080\"\npublic_url = \"http://localhost:8080\"\n[session]" => "[server]\nlisten = \"127.0.0.1:8080\"\npublic_url = \"https://app.example\"\n[session]\nkeys = [\"env:KEY\"]",
        "6:12 who may come in through `google`? `public_url` is open to everyone → write `allow = { email_domains = [\"example.com\"] }`, or `allow = \"anyone\"`\n";
    an_empty_allow: SMALLEST, "[upstreams" => "allow = {}\n[upstreams",
        "8:1 an empty `allow` does not say who may come in → write `allow = { email_domains = [\"example.com\"] }`, or `allow = \"anyone\"`\n";
    a_provider_with_the_name_of_an_endpoint: SMALLEST, "[session]" => "[providers.session]\nissuer = \"https://id.example\"\nclient_id = \"x\"",
        "4:12 the name `session` is that of the gateway's own endpoint `{base_path}/session` → choose another, e.g. `[providers.my-session]`\n";
    a_provider_without_an_issuer: SMALLEST, "[session]" => "[providers.corp]\nclient_id = \"x\"",
        "4:12 `issuer` is missing in `providers.corp` → write `issuer = \"https://…\"`; google, kakao and naver are known by their names\n";
    a_provider_that_has_no_openid_connect: SMALLEST, "[session]" => "[providers.github]\nclient_id = \"x\"",
        "4:12 `issuer` is missing in `providers.github` → write `kind = \"oauth2\"`: it has no OpenID Connect\n";
    an_unknown_oauth2_provider_without_addresses: SMALLEST, "[session]" => "[providers.corp]\nkind = \"oauth2\"\nclient_id = \"x\"",
        "4:12 `authorize_url` is missing in `providers.corp` → write `authorize_url = \"https://…\"`; github, kakao and naver are known by their names\n\
         4:12 `token_url` is missing in `providers.corp` → write `token_url = \"https://…\"`; github, kakao and naver are known by their names\n\
         4:12 `profile` is missing in `providers.corp` → write `profile = { url = \"https://…\", subject = \"/id\" }`: where the person's profile is, and where in it the id stands\n";
    an_oauth2_profile_with_missing_and_malformed_keys: SMALLEST, "[session]" => "[providers.corp]\nkind = \"oauth2\"\nclient_id = \"x\"\nauthorize_url = \"https://x/a#b\"\ntoken_url = \"https://x/t\"\nprofile = { email = \"mail\", success = { pointer = \"/ok\", equals = [1] }, headers = { authorization = \"x\", \"a b\" = \"x\", a = \"\\u0000\" } }",
        "7:17 the authorization endpoint has no fragment → leave out what begins with `#`\n\
         9:1 `url` is missing in `providers.corp.profile` → write `url = \"https://api.example.com/me\"`\n\
         9:1 `subject` is missing in `providers.corp.profile` → write `subject = \"/id\"`\n\
         9:21 `email` must be a JSON pointer, not `mail` → it begins with `/`, e.g. \"/role\" or \"/realm_access/roles\"\n\
         9:67 `equals` must be a text, a number, true or false → write `equals = \"00\"`\n\
         9:86 the gateway sets `authorization` itself → leave it out\n\
         9:107 `a b` is no header's name → letters, digits and `-`, e.g. \"x-user-id\"\n\
         9:124 no header can have the value of `a` → leave out control characters\n";
    oauth2_with_keys_of_oidc: SMALLEST, "[session]" => "[providers.github]\nkind = \"oauth2\"\nclient_id = \"x\"\nresponse_mode = \"form_post\"\nid_token_login = { audiences = [] }\ntoken_params = { code = \"x\" }",
        "7:1 with `kind = \"oauth2\"` answers come in the address → leave it out, or write `kind = \"oidc\"`\n\
         8:1 `id_token_login` is for ID tokens, and with `kind = \"oauth2\"` there are none → leave it out, or write `kind = \"oidc\"`\n\
         9:18 the gateway sets `code` itself → leave it out\n";
    oidc_with_keys_of_oauth2: SMALLEST, "[session]" => "[providers.corp]\ntoken_url = \"https://x\"\nprofile = { url = \"https://x\" }\nclient_id = \"x\"",
        "6:1 `profile` is for `kind = \"oauth2\"`; an OpenID provider says this in its discovery document → write `kind = \"oauth2\"`, or leave it out and write `issuer = \"https://…\"`\n";
    oauth2_with_addresses_of_oidc: SMALLEST, "[session]" => "[providers.github]\nkind = \"oauth2\"\nclient_id = \"x\"\njwks_url = \"https://x\"\ntenants = [\"a\"]",
        "7:1 `jwks_url` is for OpenID Connect, and the provider is of `kind = \"oauth2\"` → leave it out, or write `kind = \"oidc\"`\n\
         8:1 `tenants` is for OpenID Connect, and the provider is of `kind = \"oauth2\"` → leave it out, or write `kind = \"oidc\"`\n";
    parameters_that_the_gateway_sets: SMALLEST, "[upstreams" => "authorize_params = { state = \"x\", scope = \"y\" }\ntoken_params = { redirect_uri = \"x\" }\nrefresh_params = { code_challenge = \"x\", scope = \"ok\" }\n[upstreams",
        "8:22 the gateway sets `state` itself → leave it out\n\
         8:35 the scopes have a key of their own → write `scopes = [\"openid\", …]`\n\
         9:18 the gateway sets `redirect_uri` itself → leave it out\n\
         10:20 the gateway sets `code_challenge` itself → leave it out\n";
    a_tenant_that_is_no_id: SMALLEST, "[upstreams" => "tenants = [\"contoso.com\"]\n[upstreams",
        "8:12 `contoso.com` is no tenant id (`tid`) → write the tenant's id, e.g. \"9188040d-6c67-4c5b-b112-36a304b66dad\"\n";
    labels_without_text: SMALLEST, "[upstreams" => "label = { ko = \" \", en = \"Staff\" }\n[upstreams",
        "8:16 a label without text shows an empty button → leave it out for the usual name\n";
    values_that_refuse_nothing: BACKEND, "json = { refreshToken" => "refused_when = { code = [\"x\"], \"/a\" = [], \"/b\" = [{ c = 1 }] }\njson = { refreshToken",
        "14:18 `code` is no JSON pointer → write e.g. `refused_when = { \"/errors/0/extensions/code\" = [\"invalid-jwt\"] }`\n\
         14:39 `/a` lists no value, so it refuses nothing → write e.g. `refused_when = { \"/errors/0/extensions/code\" = [\"invalid-jwt\"] }`\n\
         14:51 a value must be a text, a number, true or false → write e.g. `refused_when = { \"/errors/0/extensions/code\" = [\"invalid-jwt\"] }`\n";
    scopes_without_openid: SMALLEST, "[upstreams" => "scopes = [\"email\"]\n[upstreams",
        "8:10 without the scope `openid` there is no ID token → write `scopes = [\"openid\", …]`\n";
    no_provider_at_all: SMALLEST, "[providers.google]\nclient_id = \"id\"\nclient_secret = \"env:SECRET\"\n" => "",
        "1:1 authority `provider`, but there is no provider: nobody could log in → write `[providers.google]` or another, or `[authority]` with `kind = \"backend\"`\n";
    a_backend_without_a_call_that_returns_tokens: BACKEND, "[authority.credentials]\npath = \"/auth/login\"\njson = { email = \"{email}\", password = \"{password}\" }\n" => "",
        "7:8 authority `backend`, but no call that brings tokens: nobody could log in → write `[authority.exchange]` (after a login at a provider), `[authority.credentials]` (e-mail and password) or `[authority.otp]` (a one-time code)\n";
    providers_whose_tokens_are_not_exchanged: BACKEND, "[upstreams" => "[providers.google]\nclient_id = \"x\"\n[upstreams",
        "7:8 there are providers, but no `[authority.exchange]` that gives the backend's tokens for theirs → write `[authority.exchange]` with the `path` that takes a provider's tokens\n";
    a_backend_without_an_upstream: BACKEND, "upstream = \"api\"\n[authority" => "[authority",
        "7:8 `upstream` is missing in `authority` → write `upstream = \"NAME\"`: the backend that issues the tokens\n";
    keys_of_a_backend_with_authority_provider: SMALLEST, "[upstreams" => "[authority]\nkind = \"provider\"\nupstream = \"app\"\n[upstreams",
        "10:1 `upstream` is for a backend that issues tokens, and the authority is `provider` → write `kind = \"backend\"` under `[authority]`, or leave this out\n";
    an_unknown_authority: BACKEND, "\"backend\"" => "\"gatway\"",
        "7:8 `kind` cannot be `gatway` → did you mean \"gateway\"?\n";
    authority_gateway_without_logins: GATEWAY, "[providers.google]\nclient_id = \"id\"\nallow = \"anyone\"\n[otp.sms]\npurpose = \"login\"\nallow = { claims = { phone_number = [\"+821012345678\"] } }" => "[otp.sms]\npurpose = \"prove\"",
        "7:8 authority `gateway`, but neither a provider nor a code that logs in: nobody could log in → write `[providers.google]` or another, or `[otp.sms]` with `purpose = \"login\"`\n";
    authority_gateway_in_public_without_allow: GATEWAY, "allow = \"anyone\"\n[otp.sms]\npurpose = \"login\"\nallow = { claims = { phone_number = [\"+821012345678\"] } }" => "[otp.sms]\npurpose = \"login\"",
        "10:12 who may come in through `google`? `public_url` is open to everyone → write `allow = { email_domains = [\"example.com\"] }`, or `allow = \"anyone\"`\n\
         12:6 who may come in through `sms`? `public_url` is open to everyone → write `allow = \"anyone\"`, or `allow = { claims = { phone_number = [\"+821012345678\"] } }`\n";
    a_gateway_with_keys_of_a_backend: GATEWAY, "[authority.gateway]" => "upstream = \"api\"\n[authority.refresh]\npath = \"/x\"\n[authority.verify]\nsecret = \"env:SECRET\"\n[authority.gateway]",
        "8:1 `upstream` is for a backend that issues tokens, and the authority is `gateway` → write `kind = \"backend\"` under `[authority]`, or leave this out\n\
         9:12 `refresh` is for a backend that issues tokens, and the authority is `gateway` → write `kind = \"backend\"` under `[authority]`, or leave this out\n\
         11:12 the gateway knows the tokens that it issues itself → leave `[authority.verify]` out\n";
    a_backend_with_keys_of_a_gateway: BACKEND, "[upstreams" => "[authority.gateway]\ndefault_role = \"x\"\n[upstreams",
        "15:12 `gateway` is for tokens that the gateway issues, and the authority is `backend` → write `kind = \"gateway\"` under `[authority]`, or leave this out\n";
    claims_that_are_the_gateways_own: GATEWAY, "roles.admin" => "claims = { sub = \"{claims.sub}\", role = \"x\", tenant = \"{claim.hd}\" }\nroles.nobody = {}\nroles.admin",
        "9:12 the gateway sets the claim `sub` itself → leave it out\n\
         9:34 the gateway sets the claim `role` itself → roles are given under `roles`\n\
         9:55 there is no `{claim.hd}` here → did you mean `{claims.hd}`?\n\
         10:7 nobody has the role `nobody` → write `roles.nobody = { emails = [\"boss@example.com\"] }`\n";
    an_access_token_lifetime_below_a_second: GATEWAY, "roles.admin" => "access_token_lifetime = \"500ms\"\nroles.admin",
        "9:25 a token's times are whole seconds → write `access_token_lifetime = \"10m\"`\n";
    a_code_that_logs_in_with_authority_provider: SMALLEST, "[session]" => "[otp.sms]\npurpose = \"login\"\n[otp.sms.http]\nurl = \"https://sms.example/send\"\njson = \"{text}\"\n[session]",
        "5:11 the authority `provider` has no tokens for a code → write `[authority]` with `kind = \"backend\"` or `kind = \"gateway\"`, or another `purpose`\n";
    a_code_that_logs_in_without_authority_otp: BACKEND, "[session]" => "[otp.sms]\npurpose = \"login\"\n[otp.sms.http]\nurl = \"https://sms.example/send\"\njson = \"{text}\"\n[session]",
        "5:11 a code logs in here, but there is no `[authority.otp]` that gives the backend's tokens for it → write `[authority.otp]` with the `path` that takes a proved address, or another `purpose`\n";
    authority_otp_without_codes_that_log_in: BACKEND, "[authority.credentials]\npath = \"/auth/login\"\njson = { email = \"{email}\", password = \"{password}\" }\n" => "[authority.otp]\npath = \"/auth/otp\"\n",
        "9:12 there is `[authority.otp]`, but no code that logs in: nobody could log in → write `[otp.sms]` or `[otp.email]` with `purpose = \"login\"`\n";
    login_notify_with_authority_backend: BACKEND, "[upstreams" => "[login.notify]\nupstream = \"api\"\npath = \"/x\"\n[upstreams",
        "15:8 the authority `backend` learns of every login by its own calls → leave it out, or write `kind = \"provider\"` or `kind = \"gateway\"` under `[authority]`\n";
    login_notify_without_an_upstream: GATEWAY, "[upstreams" => "[login.notify]\npath = \"/x\"\njson = \"{password}\"\n[upstreams",
        "16:8 `upstream` is missing in `login.notify` → write `upstream = \"NAME\"`: the backend that is told\n\
         18:8 there is no `{password}` here → here there are `{sub}`, `{provider_sub}`, `{provider}`, `{method}`, `{profile}`, `{email}`, `{channel}`, `{address}`, `{address_e164}`, `{device_id}`, `{device_name}`, `{claims.NAME}`\n";
    a_route_for_the_gateways_public_keys: BACKEND, "/api/{*rest}" => "/.well-known/jwks.json",
        "18:8 this route can never match: the gateway's public keys are at `/.well-known/jwks.json` → choose another path for the backend's own\n";
    an_unknown_upstream: BACKEND, "upstream = \"api\"\naccess" => "upstream = \"web\"\naccess",
        "19:12 there is no upstream `web` → write `[upstreams.web]`, or name one of \"api\"\n";
    an_unknown_placeholder: BACKEND, "\"{email}\"" => "\"{e-mail}\"",
        "11:18 there is no `{e-mail}` here → did you mean `{email}`?\n";
    a_placeholder_of_another_call: BACKEND, "\"{refresh_token}\"" => "\"{password}\"",
        "14:25 there is no `{password}` here → here there are `{refresh_token}`, `{access_token}`, `{provider}`, `{method}`, `{sub}`, `{provider_sub}`, `{device_id}`, `{device_name}`, `{claims.NAME}`\n";
    a_placeholder_in_a_query: BACKEND, "{ refreshToken" => "{ query = \"mutation { x(t: {refresh_token}) }\", refreshToken",
        "14:18 a query cannot hold placeholders: a value would become part of its syntax → use a variable of the query, and put the placeholder under `variables`\n";
    two_bodies: BACKEND, "json = { refreshToken" => "form = { a = \"b\" }\njson = { refreshToken",
        "14:1 a call has one body: `json` or `form` → leave one of the two out\n";
    a_call_that_sets_its_host: BACKEND, "json = { refreshToken" => "headers = { Host = \"a\" }\njson = { refreshToken",
        "14:13 a call does not set the header `host` → leave it out; for cookies there is `cookies`\n";
    a_refused_status_that_is_not_4xx: BACKEND, "json = { refreshToken" => "refused = [200, \"401\"]\njson = { refreshToken",
        "14:12 each of `refused` must be a number from 400 to 499, not the number 200 → write a whole number from 400 to 499, without quotes\n\
         14:17 each of `refused` must be a number from 400 to 499, not the text `401` → write a whole number from 400 to 499, without quotes\n";
    an_unsealed_token_without_verification: BACKEND, "[session]" => "[session]\nseal = false",
        "5:8 `seal = false` needs `[authority.verify]` → say there how the access token is verified, or write `seal = true`\n";
    roles_without_tokens_that_can_be_verified: BACKEND, "\"user\"" => "{ roles = [\"admin\"] }",
        "20:10 there is nothing that roles could be read from → write `[authority.verify]`, so that the roles in the backend's access token can be believed, or `[authority.answer]` with `claims = { role = \"/user/role\" }`\n";
    two_keys_to_verify_with: BACKEND, "[upstreams" => "[authority.verify]\nsecret = \"env:SECRET\"\njwks_url = \"https://a.example\"\n[upstreams",
        "16:1 `[authority.verify]` needs one of `jwks_url`, `secret` and `public_key` → leave all but one out\n";
    a_public_key_with_an_hmac_algorithm: BACKEND, "[upstreams" => "[authority.verify]\njwks_url = \"https://a.example/jwks\"\nalgorithms = [\"HS256\"]\n[upstreams",
        "17:15 `HS256` does not go with `jwks_url` → HS… goes with `secret`\n";
    a_public_key_that_is_not_pem: BACKEND, "[upstreams" => "[authority.verify]\npublic_key = \"env:SECRET\"\n[upstreams",
        "16:14 this is not a public key in PEM → write `public_key = \"file:PATH\"` with a file that begins with `-----BEGIN PUBLIC KEY-----`\n";
    an_upstream_that_asks_for_the_refresh_token: BACKEND, "[[routes]]" => "cookies = [\"sb_rt\", \"sb_rt.1\", \"sid\"]\n[[routes]]",
        "17:12 `sb_rt` holds the refresh token: no upstream gets it → leave it out\n\
         17:21 `sb_rt.1` holds the refresh token: no upstream gets it → leave it out\n\
         17:32 `sid` is not a cookie of the gateway → there are \"sb_at\", \"sb_did\"; cookies of the app pass anyway\n";
    a_target_with_a_path: BACKEND, "http://10.0.0.1:3000" => "http://10.0.0.1:3000/v1",
        "16:12 `targets` must be the address of a backend, not `http://10.0.0.1:3000/v1` → leave out what stands behind the port, and any user name; `strip` of a route changes paths\n";
    no_target: BACKEND, "[\"http://10.0.0.1:3000\"]" => "[]",
        "16:11 an upstream needs a target → write `targets = [\"http://127.0.0.1:3000\"]`\n";
    two_routes_for_the_same_requests: BACKEND, "[[routes]]" => "[[routes]]\npath = \"/api/{*all}\"\nupstream = \"api\"\n[[routes]]",
        "21:8 nothing separates this route from `/api/{*all}` on line 17 → give one of them another path, `hosts` or `methods`, or leave it out\n";
    a_route_under_the_gateways_own_paths: BACKEND, "/api/{*rest}" => "/auth/{*rest}",
        "18:8 this route can never match: `/auth` is the gateway's own (`session.base_path`) → choose another path, or another `base_path`\n";
    a_pattern_with_a_segment_after_the_rest: BACKEND, "/api/{*rest}" => "/api/{*rest}/x",
        "18:8 `/api/{*rest}/x` is not a path pattern → {*rest} can only be its end\n";
    a_method_that_is_always_refused: BACKEND, "access = \"user\"" => "methods = [\"GET\", \"TRACE\"]",
        "20:19 a request with the method TRACE is refused before routes are looked at → leave it out\n";
    mistakes_of_several_routes: BACKEND, "[[routes]]" => "[[routes]]\npath = \"/x{id}\"\nupstream = \"ap\"\n[[routes]]\npath = \"/api/{*all}\"\nstrip = \"/apis\"\nupstream = \"api\"\n[[routes]]",
        "18:8 `/x{id}` is not a path pattern → a placeholder takes a whole segment\n\
         19:12 there is no upstream `ap` → did you mean \"api\"?\n\
         22:9 `/apis` is not the beginning of `/api/{*all}`, up to a slash → strip whole segments with which every path of this route begins\n";
    a_base_path_of_a_slash: SMALLEST, "[session]" => "[session]\nbase_path = \"/\"",
        "5:13 `base_path` must be the beginning of a path, not `/` → write whole segments of letters, digits, `-`, `.`, `_` and `~`, without a slash at the end, e.g. \"/api/auth\"\n";
    an_empty_base_path: SMALLEST, "[session]" => "[session]\nbase_path = \"\"",
        "5:13 `base_path` must be the beginning of a path, not `` → it must begin with `/`\n";
    a_base_path_that_is_not_ascii: SMALLEST, "[session]" => "[session]\nbase_path = \"/인증\"",
        "5:13 `base_path` must be the beginning of a path, not `/인증` → write whole segments of letters, digits, `-`, `.`, `_` and `~`, without a slash at the end, e.g. \"/api/auth\"\n";
    headers_that_a_call_does_not_set: BACKEND, "json = { refreshToken" => "headers = { content-length = \"1\", Transfer-Encoding = \"chunked\", connection = \"close\" }\njson = { refreshToken",
        "14:13 a call does not set the header `content-length` → leave it out; for cookies there is `cookies`\n\
         14:35 a call does not set the header `transfer-encoding` → leave it out; for cookies there is `cookies`\n\
         14:66 a call does not set the header `connection` → leave it out; for cookies there is `cookies`\n";
    a_strip_that_cuts_a_segment: BACKEND, "access = \"user\"" => "strip = \"/ap\"",
        "20:9 `/ap` is not the beginning of `/api/{*rest}`, up to a slash → strip whole segments with which every path of this route begins\n";
    headers_that_only_the_gateway_sets: BACKEND, "access = \"user\"" => "headers = { set = { Authorization = \"x\", \"X-Auth-Status\" = \"x\", \"a b\" = \"x\", x-id = \"{claim.sub}\" }, remove = [\"Connection\"] }",
        "20:21 the header `authorization` is set by the gateway alone → `bearer` of the upstream decides what stands there\n\
         20:42 the header `x-auth-status` is set by the gateway alone → leave it out\n\
         20:65 `a b` cannot be the name of a header → letters, digits and `-`, e.g. \"x-user-id\"\n\
         20:85 there is no `{claim.sub}` here → did you mean `{claims.sub}`?\n\
         20:112 the header `connection` is set by the gateway alone → leave it out\n";
    an_expression_of_a_later_version: BACKEND, "\"user\"" => "{ when = \"true\" }",
        "20:1 `roles` is missing in `routes.access` → write `roles = [\"…\"]`\n\
         20:12 `when` is not available yet in this version → leave it out\n";
    an_origin_that_is_not_a_url: BACKEND, "access = \"user\"" => "cors = { origins = [\"*\"] }",
        "20:21 `origins` must be a web address without a path, not `*` → write it in full, e.g. \"https://app.example.com\"\n";
    a_login_page_that_needs_a_login: BACKEND, "[session]" => "[session]\nlogin_page = \"/api/login\"",
        "5:14 the login page `/api/login` itself needs a login: its route on line 18 is not open → write a route for it, with `access = \"anonymous\"`\n";
    a_login_page_without_a_route: BACKEND, "[session]" => "[session]\nlogin_page = \"/login\"",
        "5:14 no route serves the login page `/login` → write a route for it, with `access = \"anonymous\"`\n";
    a_login_page_under_the_base_path: BACKEND, "[session]" => "[session]\nlogin_page = \"/auth/login\"",
        "5:14 `/auth/login` is the gateway's own → write \"built-in\", or a path of the app\n";
    a_proxy_protocol_without_trusted_proxies: BACKEND, "[session]" => "proxy_protocol = true\n[session]",
        "4:18 `proxy_protocol` believes `trusted_proxies` alone, and there are none → write `trusted_proxies = [\"10.0.0.7\"]` with the load balancer's address\n";
    two_listeners_on_one_address: BACKEND, "[session]" => "health_listen = \"0.0.0.0:8080\"\n[session]",
        "4:17 `health_listen` is the address of `listen` → give it a port of its own\n";
    an_ejection_with_wrong_values: BACKEND, "[[routes]]" => "max_connection_age = \"0s\"\neject = { failures = 0, share = 1.5, window = 10, for = \"0s\", most = -0.1, statuses = [200, \"503\"], minimum = 1 }\n[[routes]]",
        "17:22 `max_connection_age` must be a duration, not `0s` → it must be more than zero\n\
         18:22 `failures` must be a number from 1 to 1000000, not the number 0 → write a whole number from 1 to 1000000, without quotes\n\
         18:33 `share` must be a number from 0 to 1, not the number 1.5 → write `share = 0.5`, without quotes\n\
         18:47 `window` must be a duration, not the number 10 → write `window = \"10s\"`\n\
         18:57 `for` must be a duration, not `0s` → it must be more than zero\n\
         18:70 `most` must be a number from 0 to 1, not the number -0.1 → write `most = 0.5`, without quotes\n\
         18:88 each of `statuses` must be a number from 400 to 599, not the number 200 → write a whole number from 400 to 599, without quotes\n\
         18:93 each of `statuses` must be a number from 400 to 599, not the text `503` → write a whole number from 400 to 599, without quotes\n\
         18:101 unknown key `minimum` in `upstreams.api.eject` → there are `failures`, `share`, `window`, `for`, `most`, `statuses`\n";
    keys_of_upstreams_of_a_later_version: BACKEND, "[[routes]]" => "http = \"2\"\nhost = \"target\"\nmax_in_flight = 5\nqueue_timeout = \"1s\"\nrewrite_back = true\ntls = {}\n[[routes]]",
        "17:1 `http` is not available yet in this version → leave it out\n\
         18:1 `host` is not available yet in this version → leave it out\n\
         19:1 `max_in_flight` is not available yet in this version → leave it out\n\
         20:1 `queue_timeout` is not available yet in this version → leave it out\n\
         21:1 `rewrite_back` is not available yet in this version → leave it out\n\
         22:1 `tls` is not available yet in this version → leave it out\n";
    a_login_target_of_another_origin: BACKEND, "[session]" => "[session]\nafter_login = \"https://evil.example/\"",
        "5:15 `after_login` leads to another origin → list its origin in `return_to_origins`, or write a path\n";
    a_store_on_a_server_without_a_url: BACKEND, "[session]" => "[store]\nkind = \"redis\"\n[session]",
        "5:8 a store of `kind = \"redis\"` needs a `url` → write `url = \"redis://127.0.0.1:6379/0\"`; with a password in it, `url = \"env:NAME\"`\n";
    a_store_with_the_url_of_another_kind: BACKEND, "[session]" => "[store]\nkind = \"postgres\"\nurl = \"redis://x\"\n[session]",
        "6:7 `url` is no address that a store of `kind = \"postgres\"` can have → it begins with postgres://, postgresql://; write `url = \"postgres://vestibule@127.0.0.1:5432/vestibule\"`; with a password in it, `url = \"env:NAME\"`\n";
    a_store_with_a_secret_that_is_not_a_url: BACKEND, "[session]" => "[store]\nkind = \"redis\"\nurl = \"env:SECRET\"\n[session]",
        "6:7 `url` is no address that a store of `kind = \"redis\"` can have → it begins with redis://, rediss://, redis-sentinel://, rediss-sentinel://, redis-cluster://, rediss-cluster://; write `url = \"redis://127.0.0.1:6379/0\"`; with a password in it, `url = \"env:NAME\"`\n";
    a_store_with_keys_of_other_kinds: BACKEND, "[session]" => "[store]\npath = \"x\"\nurl = \"redis://x\"\n[session]",
        "5:1 a store of `kind = \"memory\"` has no `path` → write `kind` too: `path` is for \"file\"\n\
         6:1 a store of `kind = \"memory\"` has no `url` → write `kind` too: `url` is for \"redis\" and \"postgres\"\n";
    a_store_in_a_missing_folder: BACKEND, "[session]" => "[store]\nkind = \"file\"\npath = \"data/v.redb\"\n[session]",
        "6:8 the folder of the store's file does not exist → make the folder, or write another `path`; relative paths start at the folder of this file\n";
    a_store_of_an_unknown_kind: BACKEND, "[session]" => "[store]\nkind = \"mysql\"\nstore_down = \"fail\"\n[session]",
        "5:8 `kind` cannot be `mysql` → it can be one of \"memory\", \"file\", \"redis\", \"postgres\"\n\
         6:14 `store_down` cannot be `fail` → it can be one of \"wait\", \"refresh\"\n";
    limits_of_zero_or_of_the_wrong_type: BACKEND, "[session]" => "[limits]\nfailures_per_client = \"0/h\"\nfailures_per_account = 100\nconnections = 0\nconnections_per_client = \"4096\"\n[session]",
        "5:23 `failures_per_client` must be a rate, not `0/h` → write how many in how long, e.g. \"5/h\", \"100/d\" or \"3/10m\"\n\
         6:24 `failures_per_account` must be a rate, not the number 100 → write `failures_per_account = \"20/h\"`\n\
         7:15 `connections` must be a number from 1 to 1000000, not the number 0 → write a whole number from 1 to 1000000, without quotes\n\
         8:26 `connections_per_client` must be a number from 1 to 1000000, not the text `4096` → write a whole number from 1 to 1000000, without quotes\n";
    tables_of_later_versions: BACKEND, "[session]" => "[verify]\n[session]",
        "4:2 `verify` is not available yet in this version → leave it out\n";
    a_session_on_the_server: BACKEND, "[session]" => "[session]\nstore = \"server\"",
        "5:9 `store = \"server\"` is not available yet in this version → it can be \"cookie\"\n";
    an_unknown_log_level: BACKEND, "[session]" => "[telemetry]\nlog = { level = \"loud\" }\n[session]",
        "5:17 `level` must be a log level, not `loud` → write error, warn, info, debug or trace, or directives such as \"info,vestibule::session=debug\"\n";
}
