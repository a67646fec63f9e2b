//! The pages that say why something did not work: what each is called and what the visitor can do.

use super::Text;

/// Something that went wrong, as a visitor is told. Statuses are not decided here.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Notice {
    /// The login attempt is unknown, too old, or was used.
    AttemptExpired,
    /// Logins for one path follow each other.
    LoginLoop,
    /// The identity provider does not answer.
    ProviderUnavailable,
    /// Whoever issues the tokens does not answer.
    AuthorityUnavailable,
    /// The person is known, but not one of those who may come in.
    NotAllowed,
    /// The tokens do not fit into cookies.
    SessionTooLarge,
    /// The request is malformed.
    BadRequest,
    /// A rule refuses the person.
    Forbidden,
    /// Another site sent the request.
    CrossOrigin,
    /// Nothing is there.
    NotFound,
    /// The body is too large.
    TooLarge,
    /// The host is not ours.
    Misdirected,
    /// Our own fault.
    Internal,
    /// The upstream cannot be reached.
    BadGateway,
    /// The session cannot be refreshed now.
    Unavailable,
    /// The upstream is too slow.
    GatewayTimeout,
}

impl Notice {
    /// What happened: a page's title, and the `error` text of a problem document.
    pub const fn title(self) -> Text {
        self.texts().0
    }

    /// What the visitor can do.
    pub const fn advice(self) -> Text {
        self.texts().1
    }

    const fn texts(self) -> (Text, Text) {
        match self {
            Self::AttemptExpired => (Text::AttemptExpired, Text::AttemptExpiredWhy),
            Self::LoginLoop => (Text::LoginLoop, Text::LoginLoopWhy),
            Self::ProviderUnavailable => (Text::ProviderUnavailable, Text::ProviderUnavailableWhy),
            Self::AuthorityUnavailable => (Text::AuthorityUnavailable, Text::AuthorityUnavailableWhy),
            Self::NotAllowed => (Text::NotAllowed, Text::NotAllowedWhy),
            Self::SessionTooLarge => (Text::SessionTooLarge, Text::SessionTooLargeWhy),
            Self::BadRequest => (Text::BadRequest, Text::BadRequestWhy),
            Self::Forbidden => (Text::Forbidden, Text::ForbiddenWhy),
            Self::CrossOrigin => (Text::CrossOrigin, Text::CrossOriginWhy),
            Self::NotFound => (Text::NotFound, Text::NotFoundWhy),
            Self::TooLarge => (Text::TooLarge, Text::TooLargeWhy),
            Self::Misdirected => (Text::Misdirected, Text::MisdirectedWhy),
            Self::Internal => (Text::Internal, Text::InternalWhy),
            Self::BadGateway => (Text::BadGateway, Text::BadGatewayWhy),
            Self::Unavailable => (Text::Unavailable, Text::UnavailableWhy),
            Self::GatewayTimeout => (Text::GatewayTimeout, Text::GatewayTimeoutWhy),
        }
    }
}
