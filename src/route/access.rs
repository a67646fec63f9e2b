//! The access rule of a route, applied to the session of a request.

use super::settings::Access;

/// Who sent a request, by its session.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Who<'r> {
    /// No usable session.
    Nobody,
    /// A user with a session.
    Person {
        /// Their roles.
        roles: &'r [String],
    },
}

/// What an access rule says.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Decision {
    /// The request may pass.
    Allow,
    /// Nobody is logged in, and the rule asks for a user.
    LogIn,
    /// The user has none of the roles that the rule asks for.
    Forbidden,
    /// A user is logged in, and the route is for those who are not.
    AlreadyIn,
}

impl Access {
    /// Applies the rule.
    pub fn decide(&self, who: Who<'_>) -> Decision {
        match (self, who) {
            (Self::Public | Self::Optional, _) | (Self::User, Who::Person { .. }) | (Self::Anonymous, Who::Nobody) => {
                Decision::Allow
            }
            (Self::User | Self::Roles(_), Who::Nobody) => Decision::LogIn,
            (Self::Anonymous, Who::Person { .. }) => Decision::AlreadyIn,
            (Self::Roles(wanted), Who::Person { roles }) if wanted.iter().any(|role| roles.contains(role)) => {
                Decision::Allow
            }
            (Self::Roles(_), Who::Person { .. }) => Decision::Forbidden,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_rule_decides_for_nobody_and_for_users_with_and_without_roles() {
        let roles = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>();
        let (none, user, admin) = (roles(&[]), roles(&["user"]), roles(&["user", "admin"]));
        let [none, user, admin] = [&none, &user, &admin].map(|roles| Who::Person { roles });
        let by_role = Access::Roles(roles(&["admin", "root"]));
        for (access, answers) in [
            (Access::Public, [Decision::Allow; 4]),
            (Access::Optional, [Decision::Allow; 4]),
            (Access::User, [Decision::LogIn, Decision::Allow, Decision::Allow, Decision::Allow]),
            (Access::Anonymous, [Decision::Allow, Decision::AlreadyIn, Decision::AlreadyIn, Decision::AlreadyIn]),
            (by_role, [Decision::LogIn, Decision::Forbidden, Decision::Forbidden, Decision::Allow]),
            (Access::Roles(vec![]), [Decision::LogIn, Decision::Forbidden, Decision::Forbidden, Decision::Forbidden]),
        ] {
            assert_eq!([Who::Nobody, none, user, admin].map(|who| access.decide(who)), answers, "{access:?}");
        }
    }
}
