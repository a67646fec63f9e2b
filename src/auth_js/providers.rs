//! `GET /providers`: the login methods, for pages that draw their own buttons.

use http::StatusCode;
use serde_json::{Map, Value, json};

use super::AuthJs;
use crate::{
    endpoint::{Call, EndpointAnswer},
    login::{Method, MethodKind},
    session::AuthJsVersion,
};

impl AuthJs {
    /// `GET /providers`.
    pub fn providers(&self, call: &Call) -> EndpointAnswer {
        let describe = |method: Method| {
            let address = |endpoint: &str| call.origin.absolute(&self.at(&format!("{endpoint}/{}", method.name), &[]));
            let object = json!({
                "id": method.name,
                "name": method.label,
                "type": self.kind(method.kind),
                "signinUrl": address("signin"),
                "callbackUrl": address("callback"),
            });
            (method.name, object)
        };
        let all: Map<String, Value> = self.logins.methods(call.language).into_iter().map(describe).collect();
        let (auth_status, cookies) = call.visit.head();
        EndpointAnswer::json(StatusCode::OK, Value::Object(all), cookies, auth_status)
    }

    fn kind(&self, kind: MethodKind) -> &'static str {
        match (self.version, kind) {
            (_, MethodKind::Credentials) => "credentials",
            (AuthJsVersion::AuthJs5, MethodKind::Oidc) => "oidc",
            (AuthJsVersion::NextAuth4, MethodKind::Oidc) | (_, MethodKind::OAuth2) => "oauth",
        }
    }
}
