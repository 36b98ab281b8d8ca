//! Transport-wide feedback, as viewers write it (draft-holmer-rmcat-transport-wide-cc-extensions-01 §3.1).

/// The longest time between two arrivals that one byte can say, in units of 250 µs.
const MAX_SMALL: u64 = 0xff;

/// Feedback of packets from `base` on: the time at which each has arrived, in microseconds of the viewer's clock. Times must not go
/// backwards. `count` counts a viewer's feedback packets.
pub fn feedback(base: u16, arrivals: &[Option<u64>], count: u8) -> Vec<u8> {
    let first = arrivals.iter().flatten().next().copied().unwrap_or(0);
    let reference = first / 64_000;
    let mut packet = vec![0x8f, 205, 0, 0, 0, 0, 0, 7, 0, 0, 0, 9];
    packet.extend_from_slice(&base.to_be_bytes());
    packet.extend_from_slice(&(arrivals.len() as u16).to_be_bytes());
    packet.extend_from_slice(&((reference as u32) << 8 | u32::from(count)).to_be_bytes());
    let mut last = reference * 64_000 / 250;
    let deltas: Vec<Option<u64>> = arrivals
        .iter()
        .map(|arrival| {
            let at = (*arrival)? / 250;
            let delta = at - last;
            last = at;
            Some(delta)
        })
        .collect();
    let symbol = |delta: &Option<u64>| match delta {
        None => 0,
        Some(..=MAX_SMALL) => 1,
        Some(_) => 2_u16,
    };
    for chunk in deltas.chunks(7) {
        let symbols = (0..).zip(chunk);
        let bits = symbols.fold(0xc000, |bits, (at, delta)| bits | symbol(delta) << (12 - 2 * at));
        packet.extend_from_slice(&bits.to_be_bytes());
    }
    for delta in deltas.into_iter().flatten() {
        match delta {
            ..=MAX_SMALL => packet.push(delta as u8),
            _ => packet.extend_from_slice(&(delta as i16).to_be_bytes()),
        }
    }
    packet.resize(packet.len().next_multiple_of(4), 0);
    let words = (packet.len() / 4 - 1) as u16;
    packet[2..4].copy_from_slice(&words.to_be_bytes());
    packet
}
