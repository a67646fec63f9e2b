//! The access rule of a route, applied to the session of a request.

use super::settings::Access;

/// The sender of a request, by its session.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Requester<'r> {
    /// No usable session.
    Anonymous,
    /// A user with a session.
    User {
        /// Their roles.
        roles: &'r [String],
    },
}

/// The result of an access rule.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Decision {
    /// The request is forwarded.
    Allow,
    /// There is no session, and the rule requires a user.
    LogIn,
    /// The user has none of the roles that the rule requires.
    Forbidden,
    /// A user is logged in, and the route is for anonymous requests.
    AlreadyLoggedIn,
}

impl Access {
    /// Whether this rule includes the other: public < optional < anonymous, user < roles, and of two lists of roles the
    /// one that allows fewer.
    pub fn is_as_strict_as(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Roles(own), Self::Roles(others)) => own.iter().all(|role| others.contains(role)),
            _ => self == other || self.level() > other.level(),
        }
    }

    fn level(&self) -> u8 {
        match self {
            Self::Public => 0,
            Self::Optional => 1,
            Self::Anonymous | Self::User => 2,
            Self::Roles(_) => 3,
        }
    }

    /// Applies the rule.
    pub fn decide(&self, requester: Requester<'_>) -> Decision {
        match (self, requester) {
            (Self::Public | Self::Optional, _)
            | (Self::User, Requester::User { .. })
            | (Self::Anonymous, Requester::Anonymous) => Decision::Allow,
            (Self::User | Self::Roles(_), Requester::Anonymous) => Decision::LogIn,
            (Self::Anonymous, Requester::User { .. }) => Decision::AlreadyLoggedIn,
            (Self::Roles(wanted), Requester::User { roles }) if wanted.iter().any(|role| roles.contains(role)) => {
                Decision::Allow
            }
            (Self::Roles(_), Requester::User { .. }) => Decision::Forbidden,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rules_are_ordered_by_strictness_and_some_have_no_order() {
        let roles = |names: &[&str]| Access::Roles(names.iter().map(|name| (*name).to_owned()).collect());
        let rising = [Access::Public, Access::Optional, Access::User, roles(&["a", "b"]), roles(&["b"]), roles(&[])];
        for (at, one) in rising.iter().enumerate() {
            for (other_at, other) in rising.iter().enumerate() {
                assert_eq!(one.is_as_strict_as(other), at >= other_at, "{one:?} {other:?}");
            }
        }
        assert!(roles(&["a", "b"]).is_as_strict_as(&roles(&["b", "a"])));
        assert!(
            Access::Anonymous.is_as_strict_as(&Access::Optional) && roles(&["a"]).is_as_strict_as(&Access::Anonymous)
        );
        for (one, other) in [(Access::Anonymous, Access::User), (roles(&["a"]), roles(&["b"]))] {
            assert!(!one.is_as_strict_as(&other) && !other.is_as_strict_as(&one), "{one:?} {other:?}");
        }
    }

    #[test]
    fn each_rule_decides_for_anonymous_requests_and_for_users_with_and_without_roles() {
        let roles = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>();
        let (none, user, admin) = (roles(&[]), roles(&["user"]), roles(&["user", "admin"]));
        let [none, user, admin] = [&none, &user, &admin].map(|roles| Requester::User { roles });
        let by_role = Access::Roles(roles(&["admin", "root"]));
        for (access, answers) in [
            (Access::Public, [Decision::Allow; 4]),
            (Access::Optional, [Decision::Allow; 4]),
            (Access::User, [Decision::LogIn, Decision::Allow, Decision::Allow, Decision::Allow]),
            (
                Access::Anonymous,
                [Decision::Allow, Decision::AlreadyLoggedIn, Decision::AlreadyLoggedIn, Decision::AlreadyLoggedIn],
            ),
            (by_role, [Decision::LogIn, Decision::Forbidden, Decision::Forbidden, Decision::Allow]),
            (Access::Roles(vec![]), [Decision::LogIn, Decision::Forbidden, Decision::Forbidden, Decision::Forbidden]),
        ] {
            assert_eq!(
                [Requester::Anonymous, none, user, admin].map(|requester| access.decide(requester)),
                answers,
                "{access:?}"
            );
        }
    }
}
