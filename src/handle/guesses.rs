//! Guesses of a client, whatever it guesses at: counted around the endpoints that check something, and given back unless they were wrong.

use super::{Gateway, Stop};
use crate::{
    endpoint::{Answer, Call, CountError},
    route::OwnEndpoint,
};

impl Gateway {
    /// Calls an endpoint of ours, where this client may still guess.
    pub(super) async fn guarded(&self, endpoint: OwnEndpoint, call: Call) -> Result<Answer, Stop> {
        if !checks_something(endpoint) {
            return self.endpoint(endpoint, call).await;
        }
        let guess = match self.guesses.of_client(call.client.key()).await {
            Ok(guess) => guess,
            Err(error) => return self.not_tried(endpoint, &call, error),
        };
        let answer = self.endpoint(endpoint, call).await;
        if !was_wrong(&answer) {
            self.guesses.give_back(guess).await;
        }
        answer
    }

    fn not_tried(&self, endpoint: OwnEndpoint, call: &Call, error: CountError) -> Result<Answer, Stop> {
        match endpoint {
            OwnEndpoint::VerifyCode(channel) => Ok(self.otps.not_tried(call, channel, error.into())?),
            OwnEndpoint::Callback(provider) | OwnEndpoint::IdToken(provider) => {
                Err(self.logins.not_tried(call, self.table.provider_name(provider), error.into()).into())
            }
            _ => Ok(self.logins.credentials_not_tried(call, error.into())?),
        }
    }
}

/// Where something is shown that could be made up. What a session's cookies hold cannot: they open or they do not.
fn checks_something(endpoint: OwnEndpoint) -> bool {
    matches!(
        endpoint,
        OwnEndpoint::Credentials | OwnEndpoint::IdToken(_) | OwnEndpoint::Callback(_) | OwnEndpoint::VerifyCode(_)
    )
}

fn was_wrong(answer: &Result<Answer, Stop>) -> bool {
    match answer {
        Ok(answer) => answer.wrong_guess,
        Err(stop) => stop.failure.is_wrong_guess(),
    }
}
