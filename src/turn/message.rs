//! Messages as bytes: requests are read, answers are written. Of a request only that counts which its MESSAGE-INTEGRITY covers:
//! anybody could have added attributes behind it (RFC 8489 §14.5).

use std::net::SocketAddr;

use rtc_stun::attributes::{
    ATTR_CHANNEL_NUMBER, ATTR_DATA, ATTR_DONT_FRAGMENT, ATTR_ERROR_CODE, ATTR_EVEN_PORT, ATTR_FINGERPRINT,
    ATTR_LIFETIME, ATTR_MESSAGE_INTEGRITY, ATTR_NONCE, ATTR_REALM, ATTR_REQUESTED_ADDRESS_FAMILY,
    ATTR_REQUESTED_TRANSPORT, ATTR_RESERVATION_TOKEN, ATTR_UNKNOWN_ATTRIBUTES, ATTR_USERNAME, ATTR_XOR_PEER_ADDRESS,
    AttrType, RawAttribute,
};
use rtc_stun::fingerprint::FINGERPRINT;
use rtc_stun::integrity::MessageIntegrity;
use rtc_stun::message::{
    CLASS_ERROR_RESPONSE, CLASS_INDICATION, CLASS_SUCCESS_RESPONSE, METHOD_DATA, Message, MessageClass, MessageType,
    Setter, TransactionId,
};
use rtc_stun::xoraddr::XorMappedAddress;

use super::{MAX_MESSAGE, REALM};

/// Bytes of the header of a message.
const HEADER: usize = 20;

/// Attributes that are understood, of those that must be (RFC 8489 §6.3.1). DONT-FRAGMENT asks for what is so in any case: nothing
/// is fragmented on the way through memory.
const KNOWN: [AttrType; 14] = [
    ATTR_USERNAME,
    ATTR_MESSAGE_INTEGRITY,
    ATTR_REALM,
    ATTR_NONCE,
    ATTR_CHANNEL_NUMBER,
    ATTR_LIFETIME,
    ATTR_XOR_PEER_ADDRESS,
    ATTR_DATA,
    ATTR_REQUESTED_ADDRESS_FAMILY,
    ATTR_EVEN_PORT,
    ATTR_REQUESTED_TRANSPORT,
    ATTR_DONT_FRAGMENT,
    ATTR_RESERVATION_TOKEN,
    AttrType(0x001c), // MESSAGE-INTEGRITY-SHA256, which is not offered and not used
];

/// The key of long-term credentials (RFC 8489 §9.2.2).
pub(super) fn key(username: &str, password: String) -> Option<Vec<u8>> {
    let provider = rtc_crypto::default_provider().ok()?;
    let (username, realm) = (username.to_owned(), REALM.to_owned());
    MessageIntegrity::long_term_integrity_key(username, realm, password, provider.crypto()).ok()
}

/// A message of a client.
pub(super) struct Incoming {
    message: Message,
    /// The number of attributes that count.
    counted: usize,
}

impl Incoming {
    /// Reads a message. `None` if it is none, or longer or shorter than it says.
    pub fn read(bytes: &[u8]) -> Option<Incoming> {
        let &[_, _, high, low, ..] = bytes else { return None };
        if bytes.len() > MAX_MESSAGE || bytes.len() != HEADER + usize::from(u16::from_be_bytes([high, low])) {
            return None;
        }
        let mut message = Message::new();
        message.unmarshal_binary(bytes).ok()?;
        let attributes = &message.attributes.0;
        if attributes.iter().any(|attribute| attribute.typ == ATTR_FINGERPRINT) {
            FINGERPRINT.check(&message).ok()?;
        }
        let is_last = |attribute: &RawAttribute| attribute.typ == ATTR_MESSAGE_INTEGRITY;
        let counted = attributes.iter().position(is_last).unwrap_or(attributes.len());
        Some(Incoming { message, counted })
    }

    pub fn typ(&self) -> MessageType {
        self.message.typ
    }

    pub fn transaction(&self) -> TransactionId {
        self.message.transaction_id
    }

    fn counted(&self) -> &[RawAttribute] {
        self.message.attributes.0.get(..self.counted).unwrap_or_default()
    }

    pub fn is_signed(&self) -> bool {
        self.counted < self.message.attributes.0.len() && self.message.contains(ATTR_MESSAGE_INTEGRITY)
    }

    /// Whether this key has signed it.
    pub fn is_signed_with(&mut self, key: &[u8]) -> bool {
        rtc_crypto::default_provider()
            .is_ok_and(|provider| MessageIntegrity::check(&mut self.message, key, provider.crypto()).is_ok())
    }

    /// The value of the first attribute of this type.
    pub fn value(&self, wanted: AttrType) -> Option<&[u8]> {
        let mut counted = self.counted().iter();
        counted
            .find(|attribute| attribute.typ == wanted)
            .map(|attribute| &attribute.value[..])
    }

    pub fn text(&self, wanted: AttrType) -> Option<&str> {
        std::str::from_utf8(self.value(wanted)?).ok()
    }

    /// The first 32 bits of an attribute's value.
    pub fn number(&self, wanted: AttrType) -> Option<u32> {
        let bytes = self.value(wanted)?.first_chunk()?;
        Some(u32::from_be_bytes(*bytes))
    }

    /// The addresses of peers, in their order. `None` where one cannot be read, or there is none.
    pub fn peers(&self) -> Option<Vec<SocketAddr>> {
        let of_peers = |attribute: &&RawAttribute| attribute.typ == ATTR_XOR_PEER_ADDRESS;
        let read = |attribute: &RawAttribute| self.address(&attribute.value);
        let peers: Vec<SocketAddr> = self
            .counted()
            .iter()
            .filter(of_peers)
            .map(read)
            .collect::<Option<_>>()?;
        (!peers.is_empty()).then_some(peers)
    }

    /// Reads an address as it is obscured in this message (RFC 8489 §14.2).
    fn address(&self, value: &[u8]) -> Option<SocketAddr> {
        let mut alone = Message::new();
        alone.transaction_id = self.message.transaction_id;
        alone.add(ATTR_XOR_PEER_ADDRESS, value);
        let mut found = XorMappedAddress::default();
        // The library reads a shorter IPv4 address as one that ends with zeros.
        let is_whole =
            matches!(value, [_, 1, ..] if value.len() == 8) || matches!(value, [_, 2, ..] if value.len() == 20);
        found
            .get_from_as(&alone, ATTR_XOR_PEER_ADDRESS)
            .ok()
            .filter(|()| is_whole)?;
        Some(SocketAddr::new(found.ip, found.port))
    }

    /// Takes the packet of an indication.
    pub fn into_data(self) -> Option<Vec<u8>> {
        let counted = self.counted;
        let attributes = self.message.attributes.0.into_iter().take(counted);
        let mut data = attributes.filter(|attribute| attribute.typ == ATTR_DATA);
        data.next().map(|attribute| attribute.value)
    }

    /// Attributes that must be understood and are not, a few of them.
    pub fn unknown(&self) -> Vec<AttrType> {
        let types = self.counted().iter().map(|attribute| attribute.typ);
        types
            .filter(|typ| typ.required() && !KNOWN.contains(typ))
            .take(8)
            .collect()
    }
}

/// An answer, or an indication, as it is written.
pub(super) struct Outgoing(Message);

impl Outgoing {
    pub fn success(request: &Incoming) -> Outgoing {
        Outgoing::answer(request, CLASS_SUCCESS_RESPONSE)
    }

    /// An error. Its reason is its number alone: words would make the answer to a forged request longer.
    pub fn error(request: &Incoming, code: u16) -> Outgoing {
        let mut answer = Outgoing::answer(request, CLASS_ERROR_RESPONSE);
        answer.add(ATTR_ERROR_CODE, &[0, 0, (code / 100) as u8, (code % 100) as u8]);
        answer
    }

    fn answer(request: &Incoming, class: MessageClass) -> Outgoing {
        Outgoing::new(MessageType::new(request.typ().method, class), request.transaction())
    }

    /// A packet from a peer, for a client that has bound no channel for it.
    pub fn data(number: u32, peer: SocketAddr, packet: &[u8]) -> Outgoing {
        let mut id = TransactionId::default();
        if let Some(last) = id.0.last_chunk_mut() {
            *last = number.to_be_bytes();
        }
        let mut indication = Outgoing::new(MessageType::new(METHOD_DATA, CLASS_INDICATION), id);
        indication.add_address(ATTR_XOR_PEER_ADDRESS, peer);
        indication.add(ATTR_DATA, packet);
        indication
    }

    fn new(typ: MessageType, id: TransactionId) -> Outgoing {
        let mut message = Message::new();
        message.set_type(typ);
        message.transaction_id = id;
        message.write_header();
        Outgoing(message)
    }

    pub fn add(&mut self, typ: AttrType, value: &[u8]) {
        self.0.add(typ, value);
    }

    pub fn add_address(&mut self, typ: AttrType, address: SocketAddr) {
        let (ip, port) = (address.ip(), address.port());
        // This never fails: both families are known.
        let _ = XorMappedAddress { ip, port }.add_to_as(&mut self.0, typ);
    }

    pub fn add_unknown(&mut self, unknown: &[AttrType]) {
        let types: Vec<u8> = unknown.iter().flat_map(|typ| typ.value().to_be_bytes()).collect();
        self.add(ATTR_UNKNOWN_ATTRIBUTES, &types);
    }

    pub fn into_bytes(self) -> Vec<u8> {
        self.0.raw
    }

    /// The message, signed.
    pub fn signed(mut self, key: &[u8]) -> Vec<u8> {
        if let Ok(provider) = rtc_crypto::default_provider() {
            // Without a signature the client drops it.
            let _ = MessageIntegrity::new_raw_integrity_with_provider(key, provider.crypto()).add_to(&mut self.0);
        }
        self.into_bytes()
    }
}
