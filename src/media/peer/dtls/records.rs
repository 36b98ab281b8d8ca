//! The outer form of DTLS 1.2: records (RFC 6347 §4.1), fragments of handshake messages (§4.2.2), and those few fields of a
//! ClientHello that decide about it. Everything here can come from anybody: it is read, never believed.

use super::identity::library_profile;
use crate::media::peer::srtp::Profile;

/// Content types (RFC 5246 §6.2.1).
pub(crate) const CHANGE_CIPHER_SPEC: u8 = 20;
pub(crate) const ALERT: u8 = 21;
pub(crate) const HANDSHAKE: u8 = 22;

/// Types of handshake messages (RFC 5246 §7.4, RFC 6347 §4.3.2).
pub(crate) const CLIENT_HELLO: u8 = 1;
pub(crate) const SERVER_HELLO: u8 = 2;
pub(crate) const HELLO_VERIFY_REQUEST: u8 = 3;
pub(crate) const CERTIFICATE: u8 = 11;
pub(crate) const SERVER_KEY_EXCHANGE: u8 = 12;
pub(crate) const CERTIFICATE_REQUEST: u8 = 13;
pub(crate) const SERVER_HELLO_DONE: u8 = 14;
pub(crate) const CERTIFICATE_VERIFY: u8 = 15;
pub(crate) const CLIENT_KEY_EXCHANGE: u8 = 16;

const RECORD_HEADER: usize = 13;
pub(crate) const MESSAGE_HEADER: usize = 12;
/// The extension use_srtp (RFC 5764 §4.1.1).
const USE_SRTP: u16 = 14;

/// One record of a datagram.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Record<'a> {
    pub kind: u8,
    /// The epoch: 0 in plain text, 1 under the keys of the handshake.
    pub epoch: u16,
    pub body: &'a [u8],
    /// The record with its header.
    pub whole: &'a [u8],
}

/// The records of a datagram, up to the first that is cut off or of another protocol.
pub(crate) fn records(mut datagram: &[u8]) -> impl Iterator<Item = Record<'_>> {
    std::iter::from_fn(move || {
        let header = datagram.get(..RECORD_HEADER)?;
        // Hellos have the version of DTLS 1.0, everything else that of 1.2.
        if header[1] != 0xfe || !matches!(header[2], 0xfd | 0xff) {
            return None;
        }
        let len = usize::from(u16::from_be_bytes([header[11], header[12]]));
        let whole = datagram.get(..RECORD_HEADER + len)?;
        datagram = &datagram[RECORD_HEADER + len..];
        Some(Record {
            kind: header[0],
            epoch: u16::from_be_bytes([header[3], header[4]]),
            body: &whole[RECORD_HEADER..],
            whole,
        })
    })
}

/// Appends a plain-text record.
pub(crate) fn write_record(out: &mut Vec<u8>, kind: u8, sequence: u32, body: &[u8]) {
    out.extend_from_slice(&[kind, 0xfe, 0xfd, 0, 0, 0, 0]);
    out.extend_from_slice(&sequence.to_be_bytes());
    out.extend_from_slice(&(body.len() as u16).to_be_bytes());
    out.extend_from_slice(body);
}

/// A part of a handshake message, or all of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Fragment<'a> {
    pub kind: u8,
    /// The message's number among those of its sender.
    pub message: u16,
    /// Bytes of the whole message.
    pub length: usize,
    pub offset: usize,
    pub body: &'a [u8],
}

/// The fragments in the body of a plain-text handshake record, up to the first that contradicts itself.
pub(crate) fn fragments(mut body: &[u8]) -> impl Iterator<Item = Fragment<'_>> {
    std::iter::from_fn(move || {
        let header = body.get(..MESSAGE_HEADER)?;
        let length = uint24(&header[1..4]);
        let offset = uint24(&header[6..9]);
        let end = MESSAGE_HEADER + uint24(&header[9..12]);
        let fragment = Fragment {
            kind: header[0],
            message: u16::from_be_bytes([header[4], header[5]]),
            length,
            offset,
            body: body.get(MESSAGE_HEADER..end)?,
        };
        body = &body[end..];
        (offset + fragment.body.len() <= length).then_some(fragment)
    })
}

/// The header of a message that is sent whole.
pub(crate) fn message_header(kind: u8, message: u16, length: usize) -> [u8; MESSAGE_HEADER] {
    let [_, a, b, c] = (length as u32).to_be_bytes();
    let [d, e] = message.to_be_bytes();
    [kind, a, b, c, d, e, 0, 0, 0, a, b, c]
}

fn uint24(bytes: &[u8]) -> usize {
    bytes.iter().fold(0, |value, &byte| value << 8 | usize::from(byte))
}

/// The fields of a ClientHello that we need (RFC 5246 §7.4.1.2, RFC 6347 §4.2.1).
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ClientHello<'a> {
    /// The client's random bytes: the same in both hellos of one handshake, and in those of no other.
    pub random: [u8; 32],
    /// The server's cookie, brought back by the client; empty in the first hello.
    pub(crate) cookie: &'a [u8],
    /// The SRTP profile that we prefer among the client's.
    pub profile: Option<Profile>,
    before_cookie: &'a [u8],
    after_cookie: &'a [u8],
}

impl<'a> ClientHello<'a> {
    /// Reads the body of a whole message.
    pub fn parse(body: &'a [u8]) -> Option<ClientHello<'a>> {
        let mut reader = Reader(body);
        reader.take(2)?;
        let random = reader.take(32)?.try_into().ok()?;
        let _session = reader.vector(1)?;
        let before_cookie = &body[..body.len() - reader.0.len()];
        let cookie = reader.vector(1)?;
        let after_cookie = reader.0;
        let _cipher_suites = reader.vector(2)?;
        let _compression_methods = reader.vector(1)?;
        let mut profile = None;
        let mut extensions = Reader(reader.vector(2).unwrap_or_default());
        while let (Some(kind), Some(value)) = (extensions.take(2), extensions.vector(2)) {
            if uint24(kind) == usize::from(USE_SRTP) {
                let offered = Reader(value).vector(2)?;
                let offers = |wanted: &Profile| {
                    let id = library_profile(*wanted) as u16;
                    offered.chunks_exact(2).any(|offer| *offer == id.to_be_bytes())
                };
                profile = Profile::PREFERENCE.into_iter().find(offers);
            }
        }
        Some(ClientHello {
            random,
            cookie,
            profile,
            before_cookie,
            after_cookie,
        })
    }

    /// The client's first hello, rebuilt from one with a cookie: only the cookie differs (RFC 6347 §4.2.1).
    pub fn first(&self) -> Vec<u8> {
        self.message(0, &[])
    }

    /// The hello with which a client brings a cookie back.
    pub(crate) fn second(&self, cookie: &[u8]) -> Vec<u8> {
        self.message(1, cookie)
    }

    fn message(&self, number: u16, cookie: &[u8]) -> Vec<u8> {
        let body = [self.before_cookie, &[cookie.len() as u8], cookie, self.after_cookie].concat();
        [&message_header(CLIENT_HELLO, number, body.len())[..], &body].concat()
    }
}

/// A HelloVerifyRequest, a whole message. Its version is DTLS 1.2: some clients accept only the version that they use.
pub(crate) fn hello_verify_request(cookie: &[u8]) -> Vec<u8> {
    let body = [&[0xfe, 0xfd, cookie.len() as u8], cookie].concat();
    [&message_header(HELLO_VERIFY_REQUEST, 0, body.len())[..], &body].concat()
}

/// The cookie in the body of a HelloVerifyRequest.
pub(crate) fn requested_cookie(body: &[u8]) -> Option<&[u8]> {
    let mut reader = Reader(body);
    reader.take(2)?;
    reader.vector(1).filter(|_| reader.0.is_empty())
}

/// Gives the plain-text records of a datagram the numbers from `next` on.
pub(crate) fn number(datagram: &mut [u8], next: &mut u32) {
    let mut start = 0;
    while let Some(header) = datagram.get_mut(start..start + RECORD_HEADER) {
        if header[3..5] == [0, 0] {
            header[5..7].fill(0);
            header[7..11].copy_from_slice(&next.to_be_bytes());
            *next = next.saturating_add(1);
        }
        start += RECORD_HEADER + usize::from(u16::from_be_bytes([header[11], header[12]]));
    }
}

/// The identity that a server's first messages claim.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Introduction<'a> {
    /// The random of the ServerHello.
    pub random: &'a [u8],
    /// The signed part of the ServerKeyExchange, besides both randoms (RFC 8422 §5.4).
    pub parameters: &'a [u8],
    pub signed: Signed<'a>,
}

/// A signature, and the certificate whose key is said to have made it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Signed<'a> {
    /// The sender's own certificate, without those that certify it.
    pub certificate: &'a [u8],
    /// Hash and kind of signature (RFC 5246 §7.4.1.4.1).
    pub(crate) algorithm: [u8; 2],
    pub signature: &'a [u8],
}

impl<'a> Signed<'a> {
    /// Reads the bodies of a client's Certificate and CertificateVerify (RFC 5246 §7.4.8).
    pub fn parse(certificates: &'a [u8], verify: &'a [u8]) -> Option<Signed<'a>> {
        Signed::read(certificates, &mut Reader(verify))
    }

    fn read(certificates: &'a [u8], reader: &mut Reader<'a>) -> Option<Signed<'a>> {
        Some(Signed {
            certificate: Reader(Reader(certificates).vector(3)?).vector(3)?,
            algorithm: reader.take(2)?.try_into().ok()?,
            signature: reader.vector(2)?,
        })
    }
}

impl<'a> Introduction<'a> {
    /// Reads the bodies of a ServerHello, a Certificate and a ServerKeyExchange.
    pub fn parse(hello: &'a [u8], certificates: &'a [u8], key_exchange: &'a [u8]) -> Option<Introduction<'a>> {
        let random = hello.get(2..34)?;
        let mut reader = Reader(key_exchange);
        let _named_curve = reader.take(3)?;
        let _point = reader.vector(1)?;
        let parameters = &key_exchange[..key_exchange.len() - reader.0.len()];
        Some(Introduction {
            random,
            parameters,
            signed: Signed::read(certificates, &mut reader)?,
        })
    }
}

struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    fn take(&mut self, len: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(len)?;
        self.0 = rest;
        Some(taken)
    }

    /// Reads bytes after their length, which is a number of `length_bytes` bytes.
    fn vector(&mut self, length_bytes: usize) -> Option<&'a [u8]> {
        let length = uint24(self.take(length_bytes)?);
        self.take(length)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hello(extensions: &[u8]) -> Vec<u8> {
        let mut body = vec![0xfe, 0xfd];
        body.extend_from_slice(&[7; 32]);
        body.extend_from_slice(&[0, 2, 9, 9, 0, 2, 0xc0, 0x2b, 1, 0]);
        body.extend_from_slice(&(extensions.len() as u16).to_be_bytes());
        body.extend_from_slice(extensions);
        body
    }

    #[test]
    fn a_hello_says_its_random_and_the_best_profile() {
        // An unknown extension, then use_srtp with SHA1-80, AES-256-GCM and AES-128-GCM.
        let body = hello(&[0, 23, 0, 0, 0, 14, 0, 9, 0, 6, 0, 1, 0, 8, 0, 7, 0]);
        let parsed = ClientHello::parse(&body).unwrap();
        assert_eq!(parsed.random, [7; 32]);
        assert_eq!(parsed.cookie, [9, 9]);
        assert_eq!(parsed.profile, Some(Profile::AeadAes128Gcm));
        let first = parsed.first();
        let first = ClientHello::parse(&first[MESSAGE_HEADER..]).unwrap();
        assert_eq!((first.random, first.cookie), ([7; 32], &[][..]));
        assert_eq!(first.after_cookie, parsed.after_cookie);
        assert_eq!(ClientHello::parse(&hello(&[])).unwrap().profile, None);
        for end in 0..44 {
            assert_eq!(ClientHello::parse(&body[..end]), None, "{end}");
        }
    }

    #[test]
    fn records_and_fragments_end_where_they_contradict_themselves() {
        let message = [&message_header(CLIENT_HELLO, 3, 2)[..], &[8, 9]].concat();
        let mut datagram = Vec::new();
        write_record(&mut datagram, HANDSHAKE, 5, &message);
        write_record(&mut datagram, CHANGE_CIPHER_SPEC, 6, &[1]);
        let found: Vec<_> = records(&datagram).collect();
        assert_eq!(found.len(), 2);
        assert_eq!((found[1].kind, found[1].epoch, found[1].body), (20, 0, &[1][..]));
        let fragment = Fragment {
            kind: CLIENT_HELLO,
            message: 3,
            length: 2,
            offset: 0,
            body: &[8, 9],
        };
        assert_eq!(fragments(found[0].body).collect::<Vec<_>>(), [fragment]);
        assert_eq!(records(&datagram[..datagram.len() - 1]).count(), 1);
        assert_eq!(fragments(&message[..13]).count(), 0);
        let mut beyond = message.clone();
        beyond[8] = 1;
        assert_eq!(fragments(&beyond).count(), 0);
        datagram[1] = 3;
        assert_eq!(records(&datagram).count(), 0);
    }
}
