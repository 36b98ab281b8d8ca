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

#[allow(clippy::disallowed_methods, reason = "a test's starting point")]
fn start() -> std::time::Instant {
    std::time::Instant::now()
}

/// One after the other: the allocator counts for the whole process.
#[test]
fn forwarding_a_packet_to_a_hundred_subscribers_allocates_nothing_on_one_worker_and_on_two() {
    allocates_nothing(Broadcast::new(start(), 100));
    allocates_nothing(Broadcast::spread(start(), 50, 50));
}

fn allocates_nothing(mut broadcast: Broadcast) {
    let warm = broadcast.sealed(1_200, false);
    let measured = broadcast.sealed(1_000, false);
    broadcast.forward(&warm);
    let before = counting::allocations();
    let sent = broadcast.forward(&measured);
    let made = counting::allocations() - before;
    assert!(sent > 1_000 * 100 * 1_188, "only {sent} bytes were sent");
    assert_eq!(made, 0, "{made} allocations for 1,000 packets to 100 subscribers");
}
