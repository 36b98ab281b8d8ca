//! The packet path allocates nothing once it is warm. A test binary of its own: the counting allocator is for the whole
//! process, and another test's allocations would be counted too.

#[allow(dead_code, reason = "each binary uses its own part of the common support")]
#[path = "support/broadcast.rs"]
mod broadcast;
#[allow(dead_code, reason = "each binary uses its own part of the common support")]
#[path = "support/counting.rs"]
mod counting;
#[allow(dead_code, reason = "each binary uses its own part of the common support")]
#[path = "support/media_client.rs"]
mod media_client;

use broadcast::Broadcast;

#[global_allocator]
static ALLOCATOR: counting::Counting = counting::Counting;

#[test]
fn forwarding_a_packet_to_a_hundred_subscribers_allocates_nothing() {
    #[allow(clippy::disallowed_methods, reason = "a test's starting point")]
    let start = std::time::Instant::now();
    let mut broadcast = Broadcast::new(start, 100);
    let warm = broadcast.sealed(1_200, false);
    let measured = broadcast.sealed(1_000, false);
    broadcast.forward(&warm);
    let before = counting::allocations();
    let sent = broadcast.forward(&measured);
    let made = counting::allocations() - before;
    assert!(sent > 1_000 * 100 * 1_188, "only {sent} bytes were sent");
    assert_eq!(made, 0, "{made} allocations for 1,000 packets to 100 subscribers");
}
