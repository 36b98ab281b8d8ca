//! The memory of a connected, receiving peer and of a subscription: a thousand of each, counted by the allocator.

#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "a bench prints its results, and panics if there are none"
)]

#[allow(dead_code, reason = "each binary uses its own part of the common support")]
#[path = "../tests/support/broadcast.rs"]
mod broadcast;
#[allow(dead_code, reason = "each binary uses its own part of the common support")]
#[path = "../tests/support/counting.rs"]
mod counting;
#[allow(dead_code, reason = "each binary uses its own part of the common support")]
#[path = "../tests/support/media_client.rs"]
mod media_client;

use std::time::Instant;

use broadcast::{Broadcast, VIDEO_SSRC};
use media_client::{Client, VIDEO_PT, VIDEO_RTX_PT, codec, section, worker};
use patchbay::media::codec::Codec;
use patchbay::media::peer::dtls::DtlsIdentity;
use patchbay::media::subscription::Subscription;

#[global_allocator]
static ALLOCATOR: counting::Counting = counting::Counting;

const PEERS: u64 = 1_000;

#[allow(clippy::disallowed_methods, reason = "a bench reads the clock")]
fn clock() -> Instant {
    Instant::now()
}

fn main() {
    peers();
    subscriptions();
}

/// A room of a thousand receivers, minus the same room without any, minus the memory of their own side of the wire.
fn peers() {
    let empty = Broadcast::new(clock(), 0);
    let before = counting::live_bytes();
    let mut room = Broadcast::new(clock(), PEERS);
    let packets = room.sealed(10, false);
    let sent = room.forward(&packets);
    assert!(sent > 10 * 1_000 * PEERS as usize, "everybody receives");
    drop(packets);
    // The clients live in this process too: memory that is freed with them is not the server's.
    let with_clients = counting::live_bytes();
    drop(std::mem::take(&mut room.subscribers));
    let clients = with_clients - counting::live_bytes();
    let server = counting::live_bytes() - before;
    let base = {
        let before = counting::live_bytes();
        let again = Broadcast::new(clock(), 0);
        let size = counting::live_bytes() - before;
        drop((again, empty));
        size
    };
    println!(
        "a connected, receiving peer with one subscription: {} bytes (target 65536)",
        (server - base) / PEERS as i64
    );
    println!(
        "(the client's side of it, in the same process: {} bytes)",
        clients / PEERS as i64
    );
}

/// One peer that gets a thousand tracks, minus the same peer that gets none.
fn subscriptions() {
    let grow = |count: u64| {
        let now = clock();
        let (mut worker, identity) = worker(now);
        let own = DtlsIdentity::generate().expect("a certificate can be made");
        let video = |number: u64| {
            let codec = codec(VIDEO_PT, Some(VIDEO_RTX_PT), Codec::Vp8);
            section(
                &number.to_string(),
                codec,
                false,
                VIDEO_SSRC,
                0x2_0000 + 16 * number as u32,
            )
        };
        let client = Client::new(2, Some(1), Vec::new(), &identity, &own);
        let mut spec = client.spec.clone();
        client.open(now, &mut worker);
        let before = counting::live_bytes();
        spec.sections = (0..count).map(video).collect();
        let command = patchbay::media::messages::MediaCommand::Open(Box::new(spec));
        worker.handle_command(now, command);
        let grown = counting::live_bytes() - before;
        assert_eq!(worker.stats().subscriptions, count);
        grown
    };
    println!("a subscription: {} bytes (target 4096)", grow(1_000) / 1_000);
    println!("(its own state alone: {} bytes)", size_of::<Subscription>());
}
