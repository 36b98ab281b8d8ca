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

use std::sync::Mutex;

use broadcast::Broadcast;
use patchbay::media::peer::dtls::{Dtls, DtlsIdentity};
use patchbay::media::session::{DtlsRole, Fingerprint, FingerprintHash};

#[global_allocator]
static ALLOCATOR: counting::Counting = counting::Counting;

#[allow(clippy::disallowed_methods, reason = "a test's starting point")]
fn start() -> std::time::Instant {
    std::time::Instant::now()
}

/// One test after the other: the allocator counts for the whole process.
static ALONE: Mutex<()> = Mutex::new(());

#[test]
fn forwarding_a_packet_to_a_hundred_subscribers_allocates_nothing_on_one_worker_and_on_two() {
    let _alone = ALONE.lock();
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

/// A record of 1,100 bytes that claims `kind` and `epoch`.
fn record(kind: u8, epoch: u8, number: u32) -> Vec<u8> {
    let mut record = vec![kind, 0xfe, 0xfd, 0, epoch, 0, 0];
    record.extend_from_slice(&number.to_be_bytes());
    record.extend_from_slice(&1_087_u16.to_be_bytes());
    record.resize(1_100, 7);
    record
}

/// A record with the beginning of message `number` of the handshake, which claims to have 16,000 bytes.
fn fragment(number: u16) -> Vec<u8> {
    let mut record = record(22, 0, u32::from(number));
    let [high, low] = number.to_be_bytes();
    record[13..25].copy_from_slice(&[11, 0, 0x3e, 0x80, high, low, 0, 0, 0, 0, 4, 0x33]);
    record
}

#[test]
fn what_a_client_says_before_its_handshake_is_done_is_not_kept() {
    let _alone = ALONE.lock();
    let identity = DtlsIdentity::generate().unwrap();
    let expected = Fingerprint {
        hash: FingerprintHash::Sha256,
        digest: [1; 32].into(),
    };
    for with_hello in [false, true] {
        let mut server = Dtls::new(identity.clone(), DtlsRole::Server, vec![expected.clone()]);
        let mut client = Dtls::new(identity.clone(), DtlsRole::Client, Vec::new());
        client.start(start()).unwrap();
        for _ in 0..if with_hello { 2 } else { 0 } {
            let hello = client.poll_transmit().unwrap();
            server.receive(start(), &hello).unwrap();
            while let Some(answer) = server.poll_transmit() {
                client.receive(start(), &answer).unwrap();
            }
        }
        let before = counting::live_bytes();
        for number in 0..20_000 {
            for datagram in [
                record(22, 1, number),
                record(21, 1, number),
                record(23, 1, number),
                record(20, 0, number),
            ] {
                let _ = server.receive(start(), &datagram);
            }
            let _ = server.receive(start(), &fragment((number % 50) as u16));
        }
        let kept = counting::live_bytes() - before;
        assert!(kept < 128 * 1_024, "{kept} bytes kept; begun: {with_hello}");
    }
}
