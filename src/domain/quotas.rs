//! Rooms and connections that sessions hold, counted for each client address against what the whole node has.
//!
//! A connection counts twice: as a connection, and until it has connected as an unconnected one. Offers cost their sender
//! nothing, so there are few places for unconnected connections. Where there are too many the oldest gives way: of the session
//! that has too many, or of the address that has most. So somebody whose connections connect does not wait for somebody whose
//! connections do not.

use std::cmp::Reverse;
use std::collections::{BTreeSet, HashMap};

use super::Limits;
use crate::ids::{PeerId, SessionId};
use crate::shares::{ClientAddress, Denied, Pot};

pub(super) struct Quotas {
    clients: HashMap<SessionId, ClientAddress>,
    pub rooms: Pot,
    pub peers: PeerQuota,
}

impl Quotas {
    pub fn new(limits: &Limits) -> Self {
        Self {
            clients: HashMap::new(),
            rooms: Pot::new(limits.rooms as u64, limits.share(ROOMS_AT_LEAST)),
            peers: PeerQuota::new(limits),
        }
    }

    /// A session has come from this address.
    pub fn arrive(&mut self, session: SessionId, client: ClientAddress) {
        self.clients.insert(session, client);
    }

    /// A session has left, and holds nothing any longer.
    pub fn leave(&mut self, session: SessionId) {
        self.clients.remove(&session);
    }

    pub(crate) fn client_of(&self, session: SessionId) -> ClientAddress {
        let known = self.clients.get(&session).copied();
        known.unwrap_or(ClientAddress::THIS_MACHINE)
    }
}

/// Rooms that an address may have in any case. A household is seldom in two at once.
const ROOMS_AT_LEAST: u64 = 4;

/// All connections, and which of them have not connected yet.
pub(super) struct PeerQuota {
    pot: Pot,
    unconnected_max: usize,
    unconnected_per_session: usize,
    holders: HashMap<PeerId, Holder>,
    /// Connections that have not connected, by session. Ids grow, so the first of each session is the oldest.
    unconnected: HashMap<SessionId, BTreeSet<PeerId>>,
    unconnected_count: usize,
    /// Connections that have given way and are still to be closed, with who held them.
    displaced: Vec<(PeerId, Holder)>,
}

#[derive(Clone, Copy)]
struct Holder {
    session: SessionId,
    client: ClientAddress,
}

impl PeerQuota {
    fn new(limits: &Limits) -> Self {
        // A page that joins a full room opens a connection to publish, and one for each of the others.
        let full_page = limits.participants_per_room;
        Self {
            pot: Pot::new(limits.peers as u64, limits.share(full_page as u64)),
            unconnected_max: limits.unconnected_peers,
            unconnected_per_session: full_page,
            holders: HashMap::new(),
            unconnected: HashMap::new(),
            unconnected_count: 0,
            displaced: Vec::new(),
        }
    }

    /// Whether this client could add a connection now.
    pub(crate) fn allows(&self, client: ClientAddress) -> bool {
        self.place_for(client).is_ok()
    }

    /// The connection that must end to make place for one more of this client. `None` if there is place.
    fn place_for(&self, client: ClientAddress) -> Result<Option<PeerId>, Denied> {
        match self.pot.allows(client, 1) {
            Ok(()) => Ok(None),
            Err(Denied::ShareUsedUp) => self.oldest_of(client).ok_or(Denied::ShareUsedUp).map(Some),
            Err(Denied::UsedUp) => self.oldest_of_most().ok_or(Denied::UsedUp).map(Some),
        }
    }

    /// Adds a connection of this client. If another one must end for it, [`PeerQuota::displaced`] returns that one.
    pub fn add(&mut self, peer: PeerId, session: SessionId, client: ClientAddress) -> Result<(), Denied> {
        let victim = self.place_for(client)?;
        self.displace(victim);
        self.insert(peer, Holder { session, client });
        Ok(())
    }

    /// Adds two connections, or none. Where there are no places for both nobody gives way, and least of all one of the two to
    /// the other.
    pub(crate) fn add_pair(&mut self, pair: [(PeerId, SessionId, ClientAddress); 2]) -> Result<(), Denied> {
        let [first, second] = pair;
        let before = self.displaced.len();
        self.add(first.0, first.1, first.2)?;
        let added = self.add(second.0, second.1, second.2);
        if added.is_ok() && self.holders.contains_key(&first.0) {
            return Ok(());
        }
        self.remove(first.0);
        self.remove(second.0);
        for (peer, holder) in self.displaced.split_off(before) {
            if peer != first.0 {
                self.note(peer, holder);
            }
        }
        added.and(Err(Denied::ShareUsedUp))
    }

    /// Puts a connection in the place of an older one of the same session. It needs no more than the older one had.
    pub fn replace(&mut self, old: PeerId, new: PeerId, session: SessionId, client: ClientAddress) {
        self.remove(old);
        self.insert(new, Holder { session, client });
    }

    fn insert(&mut self, peer: PeerId, holder: Holder) {
        let victim = self.one_too_many_unconnected(holder.session);
        self.displace(victim);
        self.note(peer, holder);
    }

    /// Counts a connection from now on, as one that has not connected.
    fn note(&mut self, peer: PeerId, holder: Holder) {
        self.pot.count(holder.client, 1);
        self.holders.insert(peer, holder);
        self.unconnected.entry(holder.session).or_default().insert(peer);
        self.unconnected_count += 1;
    }

    fn displace(&mut self, victim: Option<PeerId>) {
        if let Some((victim, holder)) = victim.and_then(|peer| Some((peer, *self.holders.get(&peer)?))) {
            self.remove(victim);
            self.displaced.push((victim, holder));
        }
    }

    /// A connection has connected. From now on it gives way to no other.
    pub fn connected(&mut self, peer: PeerId) {
        if let Some(holder) = self.holders.get(&peer).copied() {
            self.settle(peer, holder.session);
        }
    }

    pub fn remove(&mut self, peer: PeerId) {
        if let Some(holder) = self.holders.remove(&peer) {
            self.settle(peer, holder.session);
            self.pot.give_back(holder.client, 1);
        }
    }

    /// The connections that have given way since the last call. They are to be closed, and their rooms and calls have lost
    /// them.
    pub(crate) fn displaced(&mut self) -> Vec<PeerId> {
        self.displaced.drain(..).map(|(peer, _)| peer).collect()
    }

    fn settle(&mut self, peer: PeerId, session: SessionId) {
        let Some(peers) = self.unconnected.get_mut(&session) else {
            return;
        };
        self.unconnected_count -= usize::from(peers.remove(&peer));
        if peers.is_empty() {
            self.unconnected.remove(&session);
        }
    }

    fn one_too_many_unconnected(&self, session: SessionId) -> Option<PeerId> {
        let own = self.unconnected.get(&session);
        if let Some(own) = own.filter(|own| own.len() >= self.unconnected_per_session) {
            return own.first().copied();
        }
        let too_many = self.unconnected_count >= self.unconnected_max;
        too_many.then(|| self.oldest_of_most()).flatten()
    }

    /// The oldest unconnected connection from this address, of the session that has most.
    fn oldest_of(&self, client: ClientAddress) -> Option<PeerId> {
        self.oldest_where(|holder| holder.client == client)
    }

    /// The oldest unconnected connection of the address that has most. Each session of this machine's programs counts as an
    /// address of its own: these programs may serve anybody behind a proxy.
    fn oldest_of_most(&self) -> Option<PeerId> {
        let mut groups: HashMap<(ClientAddress, Option<SessionId>), (usize, Reverse<PeerId>)> = HashMap::new();
        for (session, peers) in &self.unconnected {
            let Some(oldest) = peers.first().copied().map(Reverse) else {
                continue;
            };
            let client = self.holders.get(&oldest.0).map(|holder| holder.client);
            let client = client.unwrap_or(ClientAddress::THIS_MACHINE);
            let alone = (client.is_this_machine()).then_some(*session);
            let group = groups.entry((client, alone)).or_insert((0, oldest));
            *group = (group.0 + peers.len(), group.1.max(oldest));
        }
        let ((client, alone), _) = groups.into_iter().max_by_key(|(_, most)| *most)?;
        self.oldest_where(|holder| holder.client == client && alone.is_none_or(|session| holder.session == session))
    }

    fn oldest_where(&self, is_asked: impl Fn(&Holder) -> bool) -> Option<PeerId> {
        let candidates = self.unconnected.values().filter(|peers| {
            peers
                .first()
                .is_some_and(|first| self.holders.get(first).is_some_and(&is_asked))
        });
        let most = candidates.max_by_key(|peers| (peers.len(), Reverse(peers.first().copied())));
        most?.first().copied()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn attacker() -> ClientAddress {
        std::net::IpAddr::from([192, 0, 2, 1]).into()
    }

    fn newcomer() -> ClientAddress {
        std::net::IpAddr::from([192, 0, 2, 2]).into()
    }

    fn quota(peers: usize, unconnected: usize) -> PeerQuota {
        PeerQuota::new(&Limits {
            peers,
            unconnected_peers: unconnected,
            participants_per_room: 10,
            ..Limits::default()
        })
    }

    fn add(quota: &mut PeerQuota, peer: u64, session: u64, client: ClientAddress) -> Result<Vec<u64>, Denied> {
        quota.add(PeerId(peer), SessionId(session), client)?;
        Ok(quota.displaced().into_iter().map(|peer| peer.0).collect())
    }

    #[test]
    fn the_oldest_unconnected_of_a_session_gives_way_to_one_too_many_of_the_same() {
        let mut quota = quota(1_000, 1_000);
        for peer in 0..10 {
            assert_eq!(add(&mut quota, peer, 1, newcomer()), Ok(vec![]));
        }
        assert_eq!(add(&mut quota, 10, 1, newcomer()), Ok(vec![0]));
        quota.connected(PeerId(1));
        assert_eq!(add(&mut quota, 11, 1, newcomer()), Ok(vec![]), "one has connected");
        assert_eq!(add(&mut quota, 12, 1, newcomer()), Ok(vec![2]), "it does not give way");
    }

    #[test]
    fn whoever_has_most_unconnected_ones_gives_way_to_a_newcomer_and_not_the_other_way_round() {
        for client in [attacker(), ClientAddress::THIS_MACHINE] {
            let mut quota = quota(1_000, 50);
            add(&mut quota, 0, 0, newcomer()).unwrap();
            for peer in 1..1_000 {
                let displaced = add(&mut quota, peer, 1 + peer % 20, client).unwrap();
                assert!(!displaced.contains(&0), "offer {peer}");
            }
            assert_eq!(quota.unconnected_count, 50);
            let displaced = add(&mut quota, 1_000, 1_000, newcomer()).unwrap();
            assert_eq!(displaced.len(), 1);
            assert_ne!(displaced, [0]);
        }
    }

    #[test]
    fn one_address_gets_its_share_of_connections_that_live_and_others_are_not_kept_out() {
        let mut quota = quota(100, 100);
        let mut connected = 0;
        let denied = loop {
            match add(&mut quota, connected, connected, attacker()) {
                Ok(displaced) => assert!(displaced.is_empty()),
                Err(denied) => break denied,
            }
            quota.connected(PeerId(connected));
            connected += 1;
        };
        assert_eq!((connected, denied), (25, Denied::ShareUsedUp));
        assert_eq!(add(&mut quota, 200, 200, newcomer()), Ok(vec![]));
    }

    #[test]
    fn what_does_not_connect_gives_way_where_a_share_or_everything_is_used_up() {
        let mut quota = quota(40, 100);
        for peer in 0..12 {
            add(&mut quota, peer, peer, attacker()).ok();
        }
        assert_eq!(add(&mut quota, 12, 12, attacker()), Ok(vec![2]), "its own oldest");
        for peer in 100..130 {
            add(&mut quota, peer, peer, ClientAddress::THIS_MACHINE).unwrap();
            quota.connected(PeerId(peer));
        }
        assert_eq!(quota.pot.free(), 0);
        let displaced = add(&mut quota, 200, 200, newcomer()).unwrap();
        assert_eq!(displaced.len(), 1, "one of the attacker's");
        assert!(displaced[0] < 20);
    }

    /// Connections of the attacker that have connected: its whole share, but for `left` of them.
    fn all_but(left: usize) -> (PeerQuota, u64) {
        let mut quota = quota(40, 100);
        let mut peer = 0;
        while add(&mut quota, peer, peer, attacker()).is_ok() {
            quota.connected(PeerId(peer));
            peer += 1;
        }
        for given_back in 0..left as u64 {
            quota.remove(PeerId(given_back));
        }
        (quota, peer)
    }

    fn add_pair(quota: &mut PeerQuota, peer: u64) -> Result<Vec<u64>, Denied> {
        let of = |peer| (PeerId(peer), SessionId(peer), attacker());
        quota.add_pair([of(peer), of(peer + 1)])?;
        Ok(quota.displaced().into_iter().map(|peer| peer.0).collect())
    }

    #[test]
    fn two_connections_for_which_there_is_one_place_displace_nobody_and_not_one_another() {
        // One place is free: the second would have to displace the first.
        let (mut quota, peer) = all_but(1);
        assert_eq!(add_pair(&mut quota, peer), Err(Denied::ShareUsedUp));
        assert_eq!(quota.displaced(), []);
        assert_eq!((quota.pot.held(attacker()), quota.unconnected_count), (peer - 1, 0));

        // One that has not connected would give way to the first, and there would be none for the second.
        assert_eq!(add(&mut quota, peer, peer, attacker()), Ok(vec![]));
        assert_eq!(add_pair(&mut quota, peer + 1), Err(Denied::ShareUsedUp));
        assert_eq!(quota.displaced(), []);
        assert_eq!((quota.pot.held(attacker()), quota.unconnected_count), (peer, 1));
        assert!(quota.holders.contains_key(&PeerId(peer)), "it has its place still");

        let (mut quota, peer) = all_but(2);
        assert_eq!(add_pair(&mut quota, peer), Ok(vec![]));
        assert_eq!(
            add_pair(&mut quota, peer + 2),
            Ok(vec![peer, peer + 1]),
            "the older pair gives way"
        );
    }

    #[test]
    fn what_has_ended_is_not_counted() {
        let mut quota = quota(100, 100);
        for peer in 0..20 {
            add(&mut quota, peer, peer, attacker()).unwrap();
        }
        for peer in 0..20 {
            quota.connected(PeerId(peer));
            quota.connected(PeerId(peer));
            quota.remove(PeerId(peer));
            quota.remove(PeerId(peer));
        }
        assert_eq!((quota.pot.taken(), quota.unconnected_count), (0, 0));
        assert!(quota.holders.is_empty() && quota.unconnected.is_empty());
    }
}
