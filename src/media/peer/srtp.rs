//! SRTP and SRTCP (RFC 3711; AEAD: RFC 7714), with their state in ordinary fields.
//!
//! Roll-over counters, replay windows and SRTCP indices are plain fields, so that a connection's state can be saved and
//! restored elsewhere. Sending keeps no state for each SSRC: the caller knows the extended sequence number of each packet.
//! Nothing here allocates for a packet.

use aws_lc_rs::aead::{AES_128_GCM, AES_256_GCM, Aad, LessSafeKey, Nonce, UnboundKey};
use aws_lc_rs::cipher::{AES_128, AES_256, EncryptingKey, EncryptionContext, UnboundCipherKey};
use aws_lc_rs::hmac;
use aws_lc_rs::iv::FixedLength;
use smallvec::SmallVec;

use super::replay::Streams;
use crate::media::rtp::{Header, sequence_distance};

/// Bytes of the longest packet that is tried with a second roll-over counter: more than goes through any network in one piece.
const FIRST_BYTES_MAX: usize = 2_048;

/// SRTP protection profiles (RFC 5764 §4.1.2, RFC 7714 §14.2), best first: AES-GCM seals a packet in about a third of
/// the time that AES-CM with HMAC-SHA1 takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Profile {
    AeadAes128Gcm,
    AeadAes256Gcm,
    Aes128CmHmacSha1_80,
}

impl Profile {
    pub(crate) const PREFERENCE: [Profile; 3] = [
        Profile::AeadAes128Gcm,
        Profile::AeadAes256Gcm,
        Profile::Aes128CmHmacSha1_80,
    ];

    pub(crate) const fn key_len(self) -> usize {
        match self {
            Profile::AeadAes128Gcm | Profile::Aes128CmHmacSha1_80 => 16,
            Profile::AeadAes256Gcm => 32,
        }
    }

    pub(crate) const fn salt_len(self) -> usize {
        match self {
            Profile::AeadAes128Gcm | Profile::AeadAes256Gcm => 12,
            Profile::Aes128CmHmacSha1_80 => 14,
        }
    }

    /// Bytes of keying material to export from DTLS: both sides' master keys and salts (RFC 5764 §4.2).
    pub(crate) const fn exported_len(self) -> usize {
        2 * (self.key_len() + self.salt_len())
    }

    /// Bytes that protection adds to an RTP packet.
    pub const fn tag_len(self) -> usize {
        match self {
            Profile::AeadAes128Gcm | Profile::AeadAes256Gcm => 16,
            Profile::Aes128CmHmacSha1_80 => 10,
        }
    }
}

/// The most bytes that protection adds to any packet: an AEAD tag and the SRTCP index.
pub(crate) const MAX_OVERHEAD: usize = 20;

/// The reason why a packet was not accepted. The packet is dropped, and nothing of it is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rejected {
    TooShort,
    /// The packet was seen before, or is older than the replay window.
    Replayed,
    /// The packet was not made with this connection's keys.
    NotAuthentic,
}

/// Makes both directions' contexts from DTLS-exported keying material: client key, server key, client salt, server salt
/// (RFC 5764 §4.2). `None` if it is too short.
pub fn contexts(profile: Profile, exported: &[u8], we_are_client: bool) -> Option<(Outbound, Inbound)> {
    let (key, salt) = (profile.key_len(), profile.salt_len());
    let exported = exported.get(..profile.exported_len())?;
    let (keys, salts) = exported.split_at(2 * key);
    let client = SrtpKeys::derive(profile, &keys[..key], &salts[..salt])?;
    let server = SrtpKeys::derive(profile, &keys[key..], &salts[salt..])?;
    let (ours, theirs) = if we_are_client {
        (client, server)
    } else {
        (server, client)
    };
    Some((
        Outbound {
            keys: ours,
            srtcp_index: 0,
        },
        Inbound {
            keys: theirs,
            rtp: Streams::default(),
            rtcp: Streams::default(),
            bound: SmallVec::new(),
        },
    ))
}

/// Session keys of one direction.
struct SrtpKeys {
    profile: Profile,
    rtp: Cipher,
    rtcp: Cipher,
}

enum Cipher {
    Gcm {
        key: LessSafeKey,
        salt: [u8; 12],
    },
    CmSha1 {
        key: Box<EncryptingKey>,
        salt: [u8; 14],
        auth: Box<hmac::Key>,
    },
}

impl SrtpKeys {
    fn derive(profile: Profile, master_key: &[u8], master_salt: &[u8]) -> Option<SrtpKeys> {
        let cipher = |first_label: u8| -> Option<Cipher> {
            let mut key = [0; 32];
            let key = &mut key[..profile.key_len()];
            derive_key(profile, master_key, master_salt, first_label, key)?;
            match profile {
                Profile::AeadAes128Gcm | Profile::AeadAes256Gcm => {
                    let algorithm = if key.len() == 16 { &AES_128_GCM } else { &AES_256_GCM };
                    let mut salt = [0; 12];
                    derive_key(profile, master_key, master_salt, first_label + 2, &mut salt)?;
                    Some(Cipher::Gcm {
                        key: LessSafeKey::new(UnboundKey::new(algorithm, key).ok()?),
                        salt,
                    })
                }
                Profile::Aes128CmHmacSha1_80 => {
                    let mut auth = [0; 20];
                    derive_key(profile, master_key, master_salt, first_label + 1, &mut auth)?;
                    let mut salt = [0; 14];
                    derive_key(profile, master_key, master_salt, first_label + 2, &mut salt)?;
                    Some(Cipher::CmSha1 {
                        key: Box::new(EncryptingKey::ctr(UnboundCipherKey::new(&AES_128, key).ok()?).ok()?),
                        salt,
                        auth: Box::new(hmac::Key::new(hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY, &auth)),
                    })
                }
            }
        };
        // Labels 0 to 2 are for RTP, 3 to 5 for RTCP: encryption, authentication, salting (RFC 3711 §4.3.2).
        Some(SrtpKeys {
            profile,
            rtp: cipher(0)?,
            rtcp: cipher(3)?,
        })
    }
}

/// The key derivation function of RFC 3711 §4.3, with a key derivation rate of zero; for 256-bit keys as in RFC 6188.
fn derive_key(profile: Profile, master_key: &[u8], master_salt: &[u8], label: u8, out: &mut [u8]) -> Option<()> {
    let mut iv = [0; 16];
    iv[..master_salt.len()].copy_from_slice(master_salt);
    iv[7] ^= label;
    let algorithm = if profile.key_len() == 16 { &AES_128 } else { &AES_256 };
    let key = EncryptingKey::ctr(UnboundCipherKey::new(algorithm, master_key).ok()?).ok()?;
    out.fill(0);
    key.less_safe_encrypt(out, EncryptionContext::Iv128(FixedLength::from(iv)))
        .ok()?;
    Some(())
}

/// The nonce of RTP. RFC 7714 §8.1: two zero bytes, SSRC, ROC, sequence number, all XOR the salt.
fn gcm_rtp_nonce(salt: &[u8; 12], ssrc: u32, index: u64) -> Nonce {
    let mut nonce = *salt;
    xor(&mut nonce[2..6], &ssrc.to_be_bytes());
    xor(&mut nonce[6..12], &index.to_be_bytes()[2..]);
    Nonce::assume_unique_for_key(nonce)
}

/// The nonce of RTCP. RFC 7714 §9.1: two zero bytes, SSRC, two zero bytes, index, all XOR the salt.
fn gcm_rtcp_nonce(salt: &[u8; 12], ssrc: u32, index: u32) -> Nonce {
    let mut nonce = *salt;
    xor(&mut nonce[2..6], &ssrc.to_be_bytes());
    xor(&mut nonce[8..12], &index.to_be_bytes());
    Nonce::assume_unique_for_key(nonce)
}

/// The initial counter block. RFC 3711 §4.1.1: salt, SSRC and the 48-bit packet index, shifted so that 16 bits are left for
/// the block counter.
fn cm_iv(salt: &[u8; 14], ssrc: u32, index: u64) -> EncryptionContext {
    let mut iv = [0; 16];
    iv[..14].copy_from_slice(salt);
    xor(&mut iv[4..8], &ssrc.to_be_bytes());
    xor(&mut iv[8..14], &index.to_be_bytes()[2..]);
    EncryptionContext::Iv128(FixedLength::from(iv))
}

fn xor(into: &mut [u8], with: &[u8]) {
    for (a, b) in into.iter_mut().zip(with) {
        *a ^= b;
    }
}

/// HMAC-SHA1, cut to 80 bits, over `data` and a suffix that is not in it (the ROC; RFC 3711 §4.2).
fn sha1_80(auth: &hmac::Key, data: &[u8], suffix: &[u8]) -> [u8; 10] {
    let mut context = hmac::Context::with_key(auth);
    context.update(data);
    context.update(suffix);
    let tag = context.sign();
    let mut cut = [0; 10];
    cut.copy_from_slice(&tag.as_ref()[..10]);
    cut
}

fn equal(a: &[u8], b: &[u8]) -> bool {
    aws_lc_rs::constant_time::verify_slices_are_equal(a, b).is_ok()
}

/// Protects the packets that we send.
pub struct Outbound {
    keys: SrtpKeys,
    /// The counter of all SSRCs of this direction; 31 bits (RFC 3711 §3.4).
    srtcp_index: u32,
}

impl Outbound {
    pub fn profile(&self) -> Profile {
        self.keys.profile
    }

    /// Seals `packet`, which ends with [`Profile::tag_len`] spare bytes. `index` is the extended sequence number, whose low
    /// 16 bits are in the header. The same index must never be used for different bytes.
    #[allow(
        clippy::expect_used,
        reason = "it depends on the length alone, which is far below the limit"
    )]
    pub fn seal_rtp(&self, packet: &mut [u8], header_len: usize, ssrc: u32, index: u64) {
        let end = packet.len() - self.keys.profile.tag_len();
        let (body, tag_room) = packet.split_at_mut(end);
        match &self.keys.rtp {
            Cipher::Gcm { key, salt } => {
                let (header, payload) = body.split_at_mut(header_len);
                let tag = key
                    .seal_in_place_separate_tag(gcm_rtp_nonce(salt, ssrc, index), Aad::from(&*header), payload)
                    .expect("a packet is far below AES-GCM's length limit");
                tag_room.copy_from_slice(tag.as_ref());
            }
            Cipher::CmSha1 { key, salt, auth } => {
                key.less_safe_encrypt(&mut body[header_len..], cm_iv(salt, ssrc, index))
                    .expect("counter mode takes any length");
                let roc = (index >> 16) as u32;
                tag_room.copy_from_slice(&sha1_80(auth, body, &roc.to_be_bytes()));
            }
        }
    }

    /// Seals a compound RTCP packet, which grows by at most [`MAX_OVERHEAD`]. Packets under eight bytes are not RTCP and
    /// are cleared.
    #[allow(
        clippy::expect_used,
        reason = "it depends on the length alone, which is far below the limit"
    )]
    pub fn seal_rtcp(&mut self, packet: &mut Vec<u8>) {
        if packet.len() < 8 {
            packet.clear();
            return;
        }
        let ssrc = u32::from_be_bytes([packet[4], packet[5], packet[6], packet[7]]);
        self.srtcp_index = (self.srtcp_index + 1) & 0x7fff_ffff;
        let trailer = (self.srtcp_index | 0x8000_0000).to_be_bytes();
        match &self.keys.rtcp {
            Cipher::Gcm { key, salt } => {
                // RFC 7714 §9.2: the first eight bytes and the trailer are associated data.
                let mut aad = [0; 12];
                aad[..8].copy_from_slice(&packet[..8]);
                aad[8..].copy_from_slice(&trailer);
                let nonce = gcm_rtcp_nonce(salt, ssrc, self.srtcp_index);
                let tag = key
                    .seal_in_place_separate_tag(nonce, Aad::from(aad), &mut packet[8..])
                    .expect("a packet is far below AES-GCM's length limit");
                packet.extend_from_slice(tag.as_ref());
                packet.extend_from_slice(&trailer);
            }
            Cipher::CmSha1 { key, salt, auth } => {
                key.less_safe_encrypt(&mut packet[8..], cm_iv(salt, ssrc, u64::from(self.srtcp_index)))
                    .expect("counter mode takes any length");
                packet.extend_from_slice(&trailer);
                let tag = sha1_80(auth, packet, &[]);
                packet.extend_from_slice(&tag);
            }
        }
    }
}

impl SrtpKeys {
    /// Opens the packet with this index in place. Its tag begins at `end`.
    fn open_rtp(&self, packet: &mut [u8], header: &Header, end: usize, index: u64) -> Result<(), Rejected> {
        let (body, tag) = packet.split_at_mut(end);
        match &self.rtp {
            Cipher::Gcm { key, salt } => {
                let (head, payload) = body.split_at_mut(header.len);
                let nonce = gcm_rtp_nonce(salt, header.ssrc, index);
                key.open_in_place_separate_tag(nonce, Aad::from(&*head), tag, payload)
                    .map_err(|_| Rejected::NotAuthentic)?;
            }
            Cipher::CmSha1 { key, salt, auth } => {
                let roc = (index >> 16) as u32;
                if !equal(&sha1_80(auth, body, &roc.to_be_bytes()), tag) {
                    return Err(Rejected::NotAuthentic);
                }
                key.less_safe_encrypt(&mut body[header.len..], cm_iv(salt, header.ssrc, index))
                    .map_err(|_| Rejected::NotAuthentic)?;
            }
        }
        Ok(())
    }
}

/// Opens the packets that we receive. State for an SSRC is kept only once a packet of it has proved authentic.
pub struct Inbound {
    keys: SrtpKeys,
    rtp: Streams,
    rtcp: Streams,
    /// SSRCs that carry a track, whether or not a packet has come.
    bound: SmallVec<[u32; 4]>,
}

impl Inbound {
    /// Records that `ssrc` carries a track: its state is kept from now on.
    pub fn bind(&mut self, ssrc: u32) {
        if !self.bound.contains(&ssrc) {
            self.bound.push(ssrc);
        }
        self.rtp.set_bound(ssrc, true);
        self.rtcp.set_bound(ssrc, true);
    }

    /// Records that `ssrc` carries no track any more. Its state is not removed at once, but when others need its place: so
    /// its last packets cannot be replayed into another section.
    pub(crate) fn unbind(&mut self, ssrc: u32) {
        self.bound.retain(|bound| *bound != ssrc);
        self.rtp.set_bound(ssrc, false);
        self.rtcp.set_bound(ssrc, false);
    }

    /// Opens `packet` in place and returns its length without the tag.
    pub fn open_rtp(&mut self, packet: &mut [u8], header: &Header) -> Result<usize, Rejected> {
        let tag_len = self.keys.profile.tag_len();
        let end = packet
            .len()
            .checked_sub(tag_len)
            .filter(|&end| end >= header.len)
            .ok_or(Rejected::TooShort)?;
        let Some(at) = self.rtp.position(header.ssrc) else {
            return self.open_first(packet, header, end);
        };
        let index = guess_index(self.rtp.highest(at), header.sequence);
        if !self.rtp.is_fresh(at, index) {
            return Err(Rejected::Replayed);
        }
        self.keys.open_rtp(packet, header, end, index)?;
        self.rtp.note(Some(at), header.ssrc, index, &self.bound);
        Ok(end)
    }

    /// Opens the first packet that comes through of an SSRC. Those before it may be lost, and its number may have rolled over
    /// meanwhile: senders begin anywhere below 2^16 with a roll-over counter of 0 (RFC 3711 §3.3.1). Which counter it has is
    /// found by trying, since nothing else says so.
    fn open_first(&mut self, packet: &mut [u8], header: &Header, end: usize) -> Result<usize, Rejected> {
        let mut index = u64::from(header.sequence);
        // Of a packet that AES-GCM does not open nothing is left.
        let mut copy = [0; FIRST_BYTES_MAX];
        let sealed = copy.get_mut(..packet.len()).map(|copy| {
            copy.copy_from_slice(packet);
            &*copy
        });
        let opened = self.keys.open_rtp(packet, header, end, index);
        if let (Err(_), Some(sealed)) = (opened, sealed) {
            index += 1 << 16;
            packet.copy_from_slice(sealed);
            self.keys.open_rtp(packet, header, end, index)?;
        } else {
            opened?;
        }
        self.rtp.note(None, header.ssrc, index, &self.bound);
        Ok(end)
    }

    /// Opens a compound RTCP packet in place and returns its length without index and tag.
    pub fn open_rtcp(&mut self, packet: &mut [u8]) -> Result<usize, Rejected> {
        const INDEX: usize = 4;
        let tag_len = self.keys.profile.tag_len();
        let end = packet
            .len()
            .checked_sub(tag_len + INDEX)
            .filter(|&end| end >= 8)
            .ok_or(Rejected::TooShort)?;
        let ssrc = u32::from_be_bytes([packet[4], packet[5], packet[6], packet[7]]);
        // The AEAD tag comes before the index, the HMAC after it (RFC 7714 §9.3, RFC 3711 §3.4).
        let index_at = match self.keys.rtcp {
            Cipher::Gcm { .. } => packet.len() - INDEX,
            Cipher::CmSha1 { .. } => end,
        };
        let trailer = [
            packet[index_at],
            packet[index_at + 1],
            packet[index_at + 2],
            packet[index_at + 3],
        ];
        let word = u32::from_be_bytes(trailer);
        if word & 0x8000_0000 == 0 {
            return Err(Rejected::NotAuthentic);
        }
        let index = word & 0x7fff_ffff;
        let known = self.rtcp.position(ssrc);
        if known.is_some_and(|at| !self.rtcp.is_fresh(at, u64::from(index))) {
            return Err(Rejected::Replayed);
        }
        match &self.keys.rtcp {
            Cipher::Gcm { key, salt } => {
                let mut aad = [0; 12];
                aad[..8].copy_from_slice(&packet[..8]);
                aad[8..].copy_from_slice(&trailer);
                let (body, tag) = packet.split_at_mut(end);
                key.open_in_place_separate_tag(
                    gcm_rtcp_nonce(salt, ssrc, index),
                    Aad::from(aad),
                    &tag[..tag_len],
                    &mut body[8..],
                )
                .map_err(|_| Rejected::NotAuthentic)?;
            }
            Cipher::CmSha1 { key, salt, auth } => {
                let (body, tag) = packet.split_at_mut(end + INDEX);
                if !equal(&sha1_80(auth, body, &[]), tag) {
                    return Err(Rejected::NotAuthentic);
                }
                key.less_safe_encrypt(&mut body[8..end], cm_iv(salt, ssrc, u64::from(index)))
                    .map_err(|_| Rejected::NotAuthentic)?;
            }
        }
        self.rtcp.note(known, ssrc, u64::from(index), &self.bound);
        Ok(end)
    }
}

/// The extended index nearest to `highest` with these low 16 bits (RFC 3711 §3.3.1).
fn guess_index(highest: u64, sequence: u16) -> u64 {
    highest.saturating_add_signed(i64::from(sequence_distance(sequence, highest as u16)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use rtc_srtp::context::Context;
    use rtc_srtp::protection_profile::ProtectionProfile;

    const EXPORTED: [u8; 88] = {
        let mut bytes = [0; 88];
        let mut at = 0;
        while at < 88 {
            bytes[at] = (at as u8).wrapping_mul(37).wrapping_add(11);
            at += 1;
        }
        bytes
    };

    fn packet(sequence: u16, payload: &[u8]) -> Vec<u8> {
        let mut packet = vec![0x80, 96];
        packet.extend_from_slice(&sequence.to_be_bytes());
        packet.extend_from_slice(&[0, 0, 1, 0, 0xde, 0xad, 0xbe, 0xef]);
        packet.extend_from_slice(payload);
        packet
    }

    fn sealed(outbound: &Outbound, plain: &[u8], index: u64) -> Vec<u8> {
        let mut packet = plain.to_vec();
        packet.resize(plain.len() + outbound.profile().tag_len(), 0);
        outbound.seal_rtp(&mut packet, 12, 0xdead_beef, index);
        packet
    }

    fn open(inbound: &mut Inbound, packet: &[u8]) -> Result<Vec<u8>, Rejected> {
        let mut packet = packet.to_vec();
        let header = Header {
            marker: false,
            padding: false,
            payload_type: 96,
            sequence: u16::from_be_bytes([packet[2], packet[3]]),
            timestamp: 256,
            ssrc: u32::from_be_bytes([packet[8], packet[9], packet[10], packet[11]]),
            csrc_count: 0,
            extensions: None,
            len: 12,
        };
        let len = inbound.open_rtp(&mut packet, &header)?;
        packet.truncate(len);
        Ok(packet)
    }

    fn both(profile: Profile) -> ((Outbound, Inbound), (Outbound, Inbound)) {
        (
            contexts(profile, &EXPORTED, true).unwrap(),
            contexts(profile, &EXPORTED, false).unwrap(),
        )
    }

    /// The same keys in an independent implementation, for the direction client → server.
    fn reference(profile: Profile) -> Context {
        let (key, salt) = (profile.key_len(), profile.salt_len());
        let other = match profile {
            Profile::AeadAes128Gcm => ProtectionProfile::AeadAes128Gcm,
            Profile::AeadAes256Gcm => ProtectionProfile::AeadAes256Gcm,
            Profile::Aes128CmHmacSha1_80 => ProtectionProfile::Aes128CmHmacSha1_80,
        };
        Context::new(
            &EXPORTED[..key],
            &EXPORTED[2 * key..2 * key + salt],
            other,
            None,
            None,
            rtc_crypto::default_provider().unwrap().crypto(),
        )
        .unwrap()
    }

    #[test]
    fn every_profile_agrees_with_an_independent_implementation() {
        for profile in Profile::PREFERENCE {
            let ((mut client, _), (_, mut server)) = both(profile);
            let mut other = reference(profile);
            for sequence in [65_534_u16, 65_535, 0, 1] {
                let index = u64::from(sequence) + if sequence < 100 { 65_536 } else { 0 };
                let plain = packet(sequence, b"a payload that spans more than one AES block");
                let ours = sealed(&client, &plain, index);
                assert_eq!(ours, other.encrypt_rtp(&plain).unwrap().to_vec(), "{profile:?}");
                assert_eq!(open(&mut server, &ours).unwrap(), plain, "{profile:?}");
            }
            let report = [0x80, 201, 0, 1, 1, 2, 3, 4, 0x80, 200, 0, 1, 5, 6, 7, 8];
            let mut ours = report.to_vec();
            client.seal_rtcp(&mut ours);
            assert_eq!(other.decrypt_rtcp(&ours).unwrap().to_vec(), report, "{profile:?}");
            let len = server.open_rtcp(&mut ours).unwrap();
            assert_eq!(ours[..len], report, "{profile:?}");
        }
    }

    #[test]
    fn a_stream_is_opened_whose_packets_before_the_first_roll_over_are_all_lost() {
        for profile in Profile::PREFERENCE {
            let ((client, _), (_, mut server)) = both(profile);
            let of = |index: u64| sealed(&client, &packet(index as u16, b"payload"), index);
            assert!(open(&mut server, &of(65_600)).is_ok(), "{profile:?}");
            assert_eq!(open(&mut server, &of(65_600)), Err(Rejected::Replayed), "{profile:?}");
            assert!(
                open(&mut server, &of(65_535)).is_ok(),
                "one that comes late, {profile:?}"
            );
            assert!(open(&mut server, &of(65_601)).is_ok(), "{profile:?}");
            let ((_, _), (_, mut server)) = both(profile);
            let twice = open(&mut server, &of(2 * 65_536));
            assert_eq!(twice, Err(Rejected::NotAuthentic), "{profile:?}");
            assert_eq!(server.rtp.len(), 0, "{profile:?}");
        }
    }

    #[test]
    fn a_replayed_packet_is_refused_and_a_late_one_is_not() {
        for profile in Profile::PREFERENCE {
            let ((client, _), (_, mut server)) = both(profile);
            let late = sealed(&client, &packet(10, b"late"), 10);
            let newest = sealed(&client, &packet(400, b"new"), 400);
            let ancient = sealed(&client, &packet(9, b"ancient"), 9);
            let first = sealed(&client, &packet(11, b"first"), 11);
            open(&mut server, &first).unwrap();
            open(&mut server, &newest).unwrap();
            assert_eq!(open(&mut server, &newest), Err(Rejected::Replayed));
            open(&mut server, &late).unwrap();
            assert_eq!(open(&mut server, &late), Err(Rejected::Replayed));
            let far = sealed(&client, &packet(600, b"far"), 600);
            open(&mut server, &far).unwrap();
            assert_eq!(open(&mut server, &ancient), Err(Rejected::Replayed));
        }
    }

    #[test]
    fn a_changed_byte_anywhere_is_refused_and_leaves_no_state() {
        for profile in Profile::PREFERENCE {
            let ((client, _), (_, mut server)) = both(profile);
            let good = sealed(&client, &packet(1, b"payload"), 1);
            for at in 1..good.len() {
                let mut bad = good.clone();
                bad[at] ^= 0x40;
                assert!(open(&mut server, &bad).is_err(), "{profile:?} byte {at}");
            }
            assert_eq!(server.rtp.len(), 0);
            assert!(open(&mut server, &good).is_ok());
        }
    }

    #[test]
    fn every_truncation_is_refused() {
        for profile in Profile::PREFERENCE {
            let ((mut client, _), (_, mut server)) = both(profile);
            let good = sealed(&client, &packet(1, b"payload"), 1);
            for len in 12..good.len() {
                assert!(open(&mut server, &good[..len]).is_err());
            }
            let mut report = vec![0x80, 201, 0, 1, 1, 2, 3, 4];
            client.seal_rtcp(&mut report);
            for len in 0..report.len() {
                assert!(server.open_rtcp(&mut report[..len].to_vec()).is_err());
            }
        }
    }

    /// An authentic packet of `ssrc` with one sequence number.
    fn of(client: &Outbound, ssrc: u32, sequence: u16) -> Vec<u8> {
        let mut bytes = packet(sequence, b"x");
        bytes[8..12].copy_from_slice(&ssrc.to_be_bytes());
        bytes.resize(bytes.len() + client.profile().tag_len(), 0);
        client.seal_rtp(&mut bytes, 12, ssrc, u64::from(sequence));
        bytes
    }

    #[test]
    fn ever_new_ssrcs_stay_bounded_and_let_nothing_be_replayed_that_carries_a_track() {
        let ((mut client, _), (_, mut server)) = both(Profile::AeadAes128Gcm);
        let heard = of(&client, 7, 1);
        open(&mut server, &heard).unwrap();
        server.bind(7);
        let mut report = vec![0x80, 201, 0, 1, 0, 0, 0, 7];
        client.seal_rtcp(&mut report);
        server.open_rtcp(&mut report.clone()).unwrap();
        for ssrc in 1_000..2_000_u32 {
            assert!(
                open(&mut server, &of(&client, ssrc, 1)).is_ok(),
                "the newest finds room"
            );
            let mut report = vec![0x80, 201, 0, 1];
            report.extend_from_slice(&ssrc.to_be_bytes());
            client.seal_rtcp(&mut report);
            assert!(server.open_rtcp(&mut report).is_ok());
        }
        assert_eq!(open(&mut server, &heard), Err(Rejected::Replayed));
        assert_eq!(server.open_rtcp(&mut report), Err(Rejected::Replayed));
        assert!(server.rtp.len() < 64 && server.rtcp.len() < 64);
        open(&mut server, &of(&client, 7, 2)).unwrap();
    }

    #[test]
    fn an_ssrc_that_is_bound_before_it_is_heard_keeps_its_place() {
        let ((client, _), (_, mut server)) = both(Profile::AeadAes128Gcm);
        server.bind(7);
        let heard = of(&client, 7, 1);
        open(&mut server, &heard).unwrap();
        (1_000..1_100).for_each(|ssrc| drop(open(&mut server, &of(&client, ssrc, 1))));
        assert_eq!(open(&mut server, &heard), Err(Rejected::Replayed));
        server.unbind(7);
        assert_eq!(
            open(&mut server, &heard),
            Err(Rejected::Replayed),
            "not forgotten at once"
        );
        (1_000..1_100).for_each(|ssrc| drop(open(&mut server, &of(&client, ssrc, 2))));
        assert!(server.rtp.position(7).is_none(), "its place is free");
    }
}
