//! Claims that headers, calls and `[authority.answer]` name: where they can come from, and whether anything uses them.

use super::{
    super::{
        schema::context::Context,
        sections::{
            RootTable,
            authority::{AnswerTable, AuthorityTable, Issuer},
            routes::{HeadersTable, RouteTable},
            session::SessionTable,
        },
    },
    Checks,
};
use crate::{channel::Channel, upstream::HeaderPiece};

impl Checks<'_, '_> {
    pub(super) fn claims(&self, cx: &mut Context<'_>) {
        self.claims_without_source(cx);
        self.answers_without_use(cx);
    }

    /// Whether `[authority.answer] claims` takes this claim from the backend's answers.
    pub(super) fn is_answered(&self, claim: &str) -> bool {
        let answer = self.authority().section(&AuthorityTable::ANSWER);
        answer.entries(&AnswerTable::CLAIMS).iter().any(|entry| entry.name == claim)
    }

    /// Whether some source of the configuration can give a person this claim.
    fn may_be_known(&self, claim: &str) -> bool {
        if self.issuer != Issuer::Backend || self.verifies() || self.is_answered(claim) {
            return true;
        }
        let codes = |channel| self.logins.iter().any(|login| login.channel == channel);
        match claim {
            // The session's own: a provider's subject is `{provider_sub}`.
            "sub" => false,
            "email" | "email_verified" => self.has_providers() || codes(Channel::Email),
            "phone_number" | "phone_number_verified" => self.has_providers() || codes(Channel::Sms),
            _ => self.has_providers(),
        }
    }

    /// Warns at each header of a route. The access token of a backend may be a JWT with the claim, which is not known
    /// here.
    fn claims_without_source(&self, cx: &mut Context<'_>) {
        let mut in_headers = Vec::new();
        for (section, route) in self.routes {
            for (header, template) in &route.headers.set {
                let claims = template.0.iter().filter_map(|piece| match piece {
                    HeaderPiece::Claim(claim) => Some(claim),
                    HeaderPiece::Literal(_) | HeaderPiece::ProviderSub => None,
                });
                in_headers.extend(claims.clone().cloned());
                if let Some(claim) = claims.clone().find(|claim| !self.may_be_known(claim)) {
                    let entries = section.section(&RouteTable::HEADERS).entries(&HeadersTable::SET).iter();
                    let place =
                        entries.filter(|entry| header == entry.name.as_str()).map(|entry| &entry.node.place).next();
                    cx.warn(
                        place.unwrap_or_else(|| section.own_place()),
                        format!(
                            "no configured source gives the claim `{claim}`, unless the backend's access token is a JWT with it: `{header}` is not set without it"
                        ),
                        answer_help(claim),
                    );
                }
            }
        }
        // What no header uses is used by a call.
        let used = self.used_claims.unwrap_or_default().iter();
        if let Some(claim) = used.filter(|claim| !in_headers.contains(*claim)).find(|claim| !self.may_be_known(claim)) {
            cx.warn(
                self.authority().own_place(),
                format!(
                    "a call uses the claim `{claim}`, and no configured source gives it, unless the backend's access token is a JWT with it"
                ),
                answer_help(claim),
            );
        }
    }

    /// Warns of a claim that is taken from answers and used nowhere.
    fn answers_without_use(&self, cx: &mut Context<'_>) {
        let session = self.root.section(&RootTable::SESSION);
        let exposed = session.values(&SessionTable::EXPOSE_CLAIMS);
        let roles = session.read(&SessionTable::ROLES_CLAIM);
        let role = roles.split('/').nth(1).unwrap_or_default().replace("~1", "/").replace("~0", "~");
        let Some(used) = self.used_claims else { return };
        for entry in self.authority().section(&AuthorityTable::ANSWER).entries(&AnswerTable::CLAIMS) {
            let name = &entry.name;
            let is_used = matches!(name.as_str(), "sub" | "iss")
                || *name == role
                || exposed.contains(name)
                || used.contains(name);
            if !is_used {
                cx.warn(
                    &entry.place,
                    format!("`{name}` has no effect here: no header, no call, no role and no `session.expose_claims` uses it"),
                    "leave it out, or use it",
                );
            }
        }
    }
}

fn answer_help(claim: &str) -> String {
    format!(
        "write `[authority.answer]` with `claims = {{ {claim} = \"/user/{claim}\" }}`: its place in the backend's answers"
    )
}
