//! Authorization: hygiene, route, session, cross-site rule and access rule turn a request's head into a verdict.
//! Nothing is forwarded here and no body is read, so a request that another proxy describes could be judged too.

use http::{Method, header, request::Parts, uri::PathAndQuery};

use super::{
    answer_head::{SessionHead, Stop},
    cors,
    peer::Peer,
    request_handler::RequestHandler,
    request_log::RequestFacts,
    routing::{Destination, RouteMatch},
};
use crate::{
    hygiene::{self, Admitted, SameSite},
    problem::{Failure, LoginAskedBy, Problem, ProblemKind},
    route::{Cors, Decision, OwnMatch, Requester, Route, Rules},
    session::{CarriedToken, Visit},
    upstream::Bearer,
};

/// The next step for a request that is not refused.
#[expect(
    clippy::large_enum_variant,
    reason = "made once for each request and taken apart at once; a box would cost more"
)]
pub(super) enum Verdict<'h> {
    /// An own endpoint answers it, by the rules of its row.
    Own(OwnMatch, Admitted),
    /// A preflight on a route: the gateway answers it, not the upstream.
    Preflight(SessionHead),
    /// It is forwarded; `None` on a public route, where no session is read.
    Forward(Authorized<'h>, Option<Visit>),
}

/// A request that may be forwarded, and its route.
pub(super) struct Authorized<'h> {
    pub(super) admitted: Admitted,
    pub(super) route: &'h Route,
    /// As the upstream gets it.
    pub(super) target: PathAndQuery,
    /// The method for a backend that obeys the override headers that the route lets pass.
    pub(super) overridden: Option<Method>,
}

impl RequestHandler {
    /// Judges a request by its head and its connection. Each fact is written into `facts` as soon as it is known, so
    /// that the access log has it even if the client leaves. `parts` is rewritten by hygiene.
    pub(super) async fn authorize<'h>(
        &'h self,
        parts: &mut Parts,
        peer: &Peer,
        facts: &mut RequestFacts<'h>,
    ) -> Result<Verdict<'h>, Stop> {
        let admitted = self.routing.hygiene.admit(parts, peer.address, peer.scheme).map_err(Failure::from)?;
        (facts.client, facts.scheme) = (admitted.client.address(), Some(admitted.scheme));
        facts.target = parts.uri.path_and_query().cloned();

        // A preflight asks about the request that would follow it.
        let preflighted = cors::method_behind_preflight(parts);
        let method = preflighted.as_ref().unwrap_or(&parts.method);
        let RouteMatch { route, target, rules, overridden } = match self.routing.destination(parts, &admitted, method) {
            Destination::Route(matched) => matched,
            Destination::Own(own) if preflighted.is_none() => return Ok(Verdict::Own(own, admitted)),
            Destination::NoRoute => return Err(ProblemKind::NotFound.into()),
            Destination::Refused(refusal) => return Err(Failure::from(refusal).into()),
            Destination::OwnCall(matched) => {
                facts.route = Some(matched.route);
                return Err(ProblemKind::NotFound.into());
            }
            at_own_path @ (Destination::Own(_) | Destination::WrongMethod(_) | Destination::NoEndpoint) => {
                let problem = match at_own_path {
                    Destination::NoEndpoint => ProblemKind::NotFound.into(),
                    Destination::WrongMethod(allow) if preflighted.is_none() => {
                        Problem::new(ProblemKind::WrongMethod).allowing(allow)
                    }
                    _ => ProblemKind::OriginNotAllowed.into(),
                };
                let visit = self.sessions.visit(&parts.headers, &admitted.client).await;
                return Err(Stop::with(problem, &visit));
            }
        };
        facts.route = Some(route);
        facts.cors = route.settings.cors.as_ref();
        facts.origin = facts.cors.and_then(|_| parts.headers.get(header::ORIGIN).cloned());

        if let (Some(_), Some(headers)) = (&overridden, &admitted.method_override) {
            headers.restore(&mut parts.headers);
        }
        let authorized = Authorized { admitted, route, target, overridden };
        if rules.is_public() {
            return Ok(Verdict::Forward(authorized, None));
        }
        let mut visit = self.sessions.visit(&parts.headers, &authorized.admitted.client).await;
        if preflighted.is_some() {
            return Ok(Verdict::Preflight(SessionHead::of(&visit)));
        }
        let origins = facts.cors.map_or(&[][..], Cors::cookie_origins);
        let is_foreign = |method| is_foreign(parts, method, &authorized.admitted, origins);
        if visit.came_with_session()
            && (is_foreign(&parts.method) || authorized.overridden.as_ref().is_some_and(is_foreign))
        {
            return Err(Stop::with(ProblemKind::CrossOrigin, &visit));
        }
        let carried = match self.upstreams[route.settings.upstream].settings().bearer {
            Bearer::Id => CarriedToken::Id,
            Bearer::Access | Bearer::None => CarriedToken::Access,
        };
        visit.ensure_to_carry(carried).await;
        match refusal_by_rule(&rules, parts, &visit) {
            Some(failure) => Err(Stop::with(failure, &visit)),
            None => Ok(Verdict::Forward(authorized, Some(visit))),
        }
    }
}

/// Whether a page of another site caused a request that may change something, if `method` is its method. Pages of
/// `origins` may.
pub(super) fn is_foreign(parts: &Parts, method: &Method, admitted: &Admitted, origins: &[String]) -> bool {
    hygiene::must_be_same_site(method, &parts.headers)
        && hygiene::same_site(&parts.headers, &admitted.host, admitted.scheme, origins) == SameSite::Foreign
}

/// The failure if an access rule refuses the session.
fn refusal_by_rule(rules: &Rules<'_>, parts: &Parts, visit: &Visit) -> Option<Failure> {
    let requester = visit.access().map_or(Requester::Anonymous, |access| Requester::User { roles: &access.roles });
    let asked = || parts.uri.path_and_query().map_or("/", PathAndQuery::as_str).to_owned();
    match (rules.decide(requester), visit.undecided()) {
        (Decision::LogIn | Decision::Forbidden, Some(why)) => {
            let mut failure = Failure::from(why);
            failure.set_return_to(Some(asked()));
            Some(failure)
        }
        // A login that begins unasked would push out one that the person has begun in another tab.
        (Decision::LogIn, None) if hygiene::is_prefetch(&parts.headers) => Some(ProblemKind::NotAheadOfTime.into()),
        (Decision::LogIn, None) => {
            let asked_by = if hygiene::is_navigation(parts) {
                LoginAskedBy::Navigation
            } else if hygiene::is_form_submission(parts) {
                LoginAskedBy::Form
            } else {
                LoginAskedBy::Script
            };
            Some(Failure::LogIn { return_to: asked(), asked_by })
        }
        (Decision::Forbidden, None) => {
            let mut failure = Failure::from(ProblemKind::Forbidden);
            failure.set_return_to(Some(asked()));
            Some(failure)
        }
        (Decision::AlreadyLoggedIn, _) if hygiene::is_navigation(parts) => Some(Failure::AlreadyLoggedIn),
        (Decision::Allow | Decision::AlreadyLoggedIn, _) => None,
    }
}
