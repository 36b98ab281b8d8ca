//! The limits of the rules' target.

use patchbay::domain::Limits;

/// The usual limits, or limits that a few clients reach.
pub fn limits(choice: u8) -> Limits {
    let usual = Limits {
        proof_required: choice & 2 != 0,
        ..Limits::default()
    };
    match choice & 1 {
        0 => usual,
        _ => Limits {
            rooms: 2,
            participants_per_room: 3,
            peers_per_participant: 2,
            peers: 6,
            unconnected_peers: 3,
            calls: 2,
            calls_per_address: 2,
            calls_per_address_from_one: 1,
            callees_per_call: 3,
            sessions_per_address: 2,
            push_targets: 2,
            ..usual
        },
    }
}
