//! Answers to calls that ring at users, by their one-time tokens.

use super::{Conferences, Invitation, InvitationToken, calls};
use crate::domain::{CallAnswer, CallCommand, Claim, Decline, Refusal};
use crate::hub::NoPlace;
use crate::shares::ClientAddress;

/// The reason why a call is not refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotRefused {
    #[error("the token is not known, was used before, or belongs to a call that is over")]
    UnknownToken,
    #[error("there is no such conference, or the token is for another one")]
    OtherPlace,
    #[error(transparent)]
    NoPlace(#[from] NoPlace),
    #[error(transparent)]
    Hub(#[from] Refusal),
}

impl Conferences {
    /// Refuses the call that the token is for, on behalf of the user at whom it rings. `place` is the conference that was named.
    pub async fn refuse(&self, token: &str, place: &str, client: ClientAddress) -> Result<(), NotRefused> {
        let token = InvitationToken::read(token).ok_or(NotRefused::UnknownToken)?;
        let invitation = {
            let mut invitations = self.invitations();
            let found = invitations
                .find((self.passed)(), token)
                .ok_or(NotRefused::UnknownToken)?;
            if !found.is_for(place) {
                return Err(NotRefused::OtherPlace);
            }
            invitations
                .take((self.passed)(), token)
                .ok_or(NotRefused::UnknownToken)?
        };
        self.answer_at_once(invitation, CallAnswer::Decline(Decline::Unwilling), client)
            .await
    }

    /// Accepts an invitation into a meeting, where its conversation with the caller ends.
    pub async fn accept(&self, invitation: Invitation, client: ClientAddress) -> Result<(), NotRefused> {
        self.answer_at_once(invitation, CallAnswer::Accept(None), client).await
    }

    /// Answers a call by a session that ends with that.
    async fn answer_at_once(
        &self,
        invitation: Invitation,
        answer: CallAnswer,
        client: ClientAddress,
    ) -> Result<(), NotRefused> {
        let (session, _events) = self.hub.connect(client).await?;
        // The token was given to nobody else.
        session
            .request(calls::speak_for(invitation.account, Claim::Proven))
            .await?;
        let answer = CallCommand::Answer {
            from: invitation.from,
            room: Some(invitation.room),
            answer,
        };
        match session.request(answer.into()).await {
            Err(Refusal::NoSuchCall) => Err(NotRefused::UnknownToken),
            outcome => Ok(outcome?),
        }
    }

    /// Takes the token of a call that is to be answered, while the call is fresh. It is then used up. `place` is the conference that
    /// was named.
    pub fn redeem(&self, token: &str, place: &str) -> Option<Invitation> {
        let token = InvitationToken::read(token)?;
        self.invitations().redeem((self.passed)(), token, place)
    }
}
