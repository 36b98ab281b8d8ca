//! Header extensions (RFC 8285): the offered ones that a section uses, under the offer's ids.

use smallvec::SmallVec;

use crate::media::description::{Direction, Extmap};
use crate::media::rtp::{Extension, MAX_EXTENSION_ID};

/// The longest element of the one-byte form. A longer mid would cost every packet the two-byte form.
const MAX_MID_ELEMENT: usize = 16;

/// The facts that decide, besides the extension itself.
#[derive(Clone, Copy)]
pub(super) struct ExtensionUse {
    /// Whether the client sends to us in this section.
    pub receive: bool,
    /// Whether we send to the client.
    pub send: bool,
    /// Whether a codec of the section has `transport-cc` feedback.
    pub transport_cc: bool,
    /// Whether a codec of the section has `goog-remb` feedback.
    pub remb: bool,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Accepted {
    pub id: u8,
    pub extension: Extension,
    /// Direction after the id in the answer, from our point of view, if the offer has one there (RFC 8285 §6).
    pub direction: Option<Direction>,
}

/// Ids that have a meaning in bundled sections. An id means the same extension in all of them (RFC 9143 §10.2), because the
/// extension shows to which section a packet belongs.
#[derive(Default)]
pub(super) struct BundleIds([Option<Extension>; MAX_EXTENSION_ID as usize + 1]);

impl BundleIds {
    fn claim(&mut self, id: u8, extension: Extension) -> bool {
        let Some(place) = self.0.get_mut(usize::from(id)) else {
            return false;
        };
        *place.get_or_insert(extension) == extension
    }
}

/// The extensions of `offered` that are used in a section with this `mid`.
pub(super) fn accept(
    offered: &[Extmap],
    mid: Option<&str>,
    needs: ExtensionUse,
    ids: &mut BundleIds,
) -> SmallVec<[Accepted; 8]> {
    let mut accepted: SmallVec<[Accepted; 8]> = SmallVec::new();
    for &Extmap {
        id,
        direction,
        extension,
    } in offered
    {
        let known = |other: &Accepted| other.id == id || other.extension == extension;
        let wanted = direction.is_none_or(|direction| flows(direction, extension, needs));
        if accepted.iter().any(known) || !wanted || !is_used(extension, mid, needs) {
            continue;
        }
        if ids.claim(id, extension) {
            let direction = direction.map(|offered| answered(offered, needs));
            accepted.push(Accepted {
                id,
                extension,
                direction,
            });
        }
    }
    without_double_estimate(&mut accepted);
    accepted
}

/// Whether an extension is of use. If we only send in a section, these are the extensions that a subscriber reads. If we
/// receive, these are also the extensions that show us the stream and the network.
fn is_used(extension: Extension, mid: Option<&str>, needs: ExtensionUse) -> bool {
    match extension {
        Extension::Mid => mid.is_some_and(|mid| mid.len() <= MAX_MID_ELEMENT),
        Extension::Rid | Extension::RepairedRid | Extension::AudioLevel => needs.receive || extension.is_end_to_end(),
        Extension::TransportSequence => needs.transport_cc,
        Extension::AbsSendTime => needs.receive && needs.remb,
        other => other.is_end_to_end(),
    }
}

/// Whether the section sends in a direction in which the client offers to use an extension.
fn flows(offered: Direction, extension: Extension, needs: ExtensionUse) -> bool {
    let up = offered.sends && needs.receive;
    let is_ours = matches!(extension, Extension::Mid | Extension::TransportSequence);
    let down = offered.receives && needs.send && (extension.is_end_to_end() || is_ours);
    up || down
}

fn answered(offered: Direction, needs: ExtensionUse) -> Direction {
    Direction {
        sends: offered.receives && needs.send,
        receives: offered.sends && needs.receive,
    }
}

/// The id under which the client reads transport-wide numbers of what we send. (An id without a direction is for both
/// directions, RFC 8285 §8.)
pub(super) fn number_id(accepted: &[Accepted]) -> Option<u8> {
    let ours = |one: &&Accepted| {
        one.extension == Extension::TransportSequence && one.direction.is_none_or(|direction| direction.sends)
    };
    accepted.iter().find(ours).map(|one| one.id)
}

/// Removes the send time if there is the transport-wide sequence number, which makes it superfluous.
fn without_double_estimate(accepted: &mut SmallVec<[Accepted; 8]>) {
    if accepted.iter().any(|one| one.extension == Extension::TransportSequence) {
        accepted.retain(|one| one.extension != Extension::AbsSendTime);
    }
}
