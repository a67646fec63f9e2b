//! The cells of a row in the table of problems.

use http::StatusCode;

use crate::{channel::Channel, telemetry::UpstreamFailure, text::Text};

/// Everything that is fixed for one kind of problem. A row names every cell.
#[derive(Clone, Copy, Debug)]
pub struct ProblemRow {
    /// Status of the answer.
    pub status: StatusCode,
    /// Stable `code` of the answer: clients decide by it. Several kinds may share one.
    pub code: &'static str,
    /// The text for people: `error` of the JSON, title of the page.
    pub text: Wording,
    /// The page's advice, below its title.
    pub advice: Option<Text>,
    /// What the page offers about the login.
    pub link: Option<Link>,
    /// The form on which a person can correct it: a browser that posted the form is sent back to it.
    pub form: FormPage,
    /// Whether the connection ends with the answer.
    pub connection: Connection,
    /// Whether the session's cookies are cleared.
    pub session: SessionCookies,
    /// Whether another try can succeed, and when.
    pub retry: RetryAdvice,
    /// Whether it counts as a wrong guess of the client.
    pub guess: GuessCounting,
    /// The failure counter that it increments.
    pub counter: Option<FailureCounter>,
    /// What it means, for docs/problems.md.
    pub meaning: &'static str,
    /// What a client should do, for docs/problems.md.
    pub client: &'static str,
}

/// The text for people.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Wording {
    /// Always this text.
    Fixed(Text),
    /// A text with `{seconds}`, and another one where the time to wait is not known.
    Wait {
        /// With the time to wait.
        known: Text,
        /// Without it: on a page that was redirected to without it.
        unknown: Text,
    },
}

/// A link to the login page, or a button that leads there, by its label.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Link {
    /// "Log in".
    LogIn,
    /// "Log in again".
    StartAgain,
    /// "Try again".
    TryAgain,
    /// "Log in another way".
    OtherWay,
    /// "Log in as another person": a form that logs out first, because with a session the login page redirects to
    /// `return_to`.
    OtherPerson,
}

impl Link {
    /// The text of the link.
    pub const fn label(self) -> Text {
        match self {
            Self::LogIn => Text::LogIn,
            Self::StartAgain => Text::StartAgain,
            Self::TryAgain => Text::TryAgain,
            Self::OtherWay => Text::OtherWay,
            Self::OtherPerson => Text::LogInAsAnother,
        }
    }
}

/// The page whose form a person can correct.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum FormPage {
    /// None: the problem has a page of its own.
    None,
    /// The login page, with its form for e-mail address and password.
    Login,
    /// The code page of these channels.
    Code(&'static [Channel]),
}

/// Whether the visitor's connection stays open.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Connection {
    /// It may serve another request.
    Keep,
    /// It is closed: the rest of the request was not read, or where it ends is not known.
    Close,
}

/// Whether the session's cookies are cleared.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum SessionCookies {
    /// The problem ends no session: cookies stay.
    Kept,
    /// There is no session, or it has ended: cookies of an ended session are cleared.
    ClearedIfEnded,
}

/// Whether another try can succeed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum RetryAdvice {
    /// The same request fails again.
    Never,
    /// Later: `Retry-After` is the time that the problem names, else 1 second.
    Later,
    /// After the time that the problem names: in `Retry-After`, in the member `retryAfter` and in the text.
    Wait,
}

/// Whether a problem counts as a wrong guess (`[limits] failures_per_client`).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum GuessCounting {
    /// It counts.
    Wrong,
    /// It does not.
    Uncounted,
}

/// A failure counter of the metrics.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum FailureCounter {
    /// `vestibule_store_errors_total`.
    Store,
    /// `vestibule_upstream_failures_total`, by its kind.
    Upstream(UpstreamFailure),
}

/// Declares `ProblemKind` with its rows.
macro_rules! problems {
    ($($(#[doc = $meaning:literal])+ $name:ident { $($cells:tt)+ })+) => {
        /// A kind of problem.
        #[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
        pub enum ProblemKind {
            $($(#[doc = $meaning])+ $name,)+
        }

        impl ProblemKind {
            /// Every kind, in the table's order.
            pub const ALL: &'static [Self] = &[$(Self::$name),+];

            /// Its row.
            pub const fn row(self) -> &'static ProblemRow {
                match self {
                    $(Self::$name => &ProblemRow { meaning: concat!($($meaning),+), $($cells)+ },)+
                }
            }
        }
    };
}
pub(super) use problems;
