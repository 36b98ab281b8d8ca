//! An amount of something that everybody shares, of which nobody takes more than a part.
//!
//! What an address may hold is in a fixed ratio to what is still free. Alone it gets its whole share. With others it
//! gets less, and so do they: several addresses that take all they can leave some for the next one, which has
//! nothing yet. (Buffers of network switches are shared by this rule: Choudhury and Hahne, "Dynamic queue length
//! thresholds for shared-memory packet switches", 1998.)

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use super::ClientAddress;

/// The most that one address may hold of a pot.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Share {
    /// The part of the whole that an address may hold while nobody else holds any. 100: everything.
    pub percent: u8,
    /// The amount that an address may hold in any case while there is any left: a small pot is not divided into
    /// useless parts.
    pub at_least: u64,
}

/// The reason why nothing was taken from a pot.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Denied {
    #[error("the server has no more of it")]
    UsedUp,
    #[error("clients of this address have their share of it")]
    ShareUsedUp,
}

/// An amount of something, and what each address holds of it.
#[derive(Debug)]
pub(crate) struct Pot {
    total: u64,
    share: Share,
    taken: u64,
    /// The amounts held by each address. Programs on this machine are counted in `taken` alone.
    held: HashMap<ClientAddress, u64>,
}

impl Pot {
    pub fn new(total: u64, share: Share) -> Self {
        Self {
            total,
            share,
            taken: 0,
            held: HashMap::new(),
        }
    }

    #[cfg(test)]
    pub fn taken(&self) -> u64 {
        self.taken
    }

    pub(crate) fn free(&self) -> u64 {
        self.total.saturating_sub(self.taken)
    }

    /// Whether `amount` could be taken now.
    pub(crate) fn allows(&self, client: ClientAddress, amount: u64) -> Result<(), Denied> {
        let held = self.held(client).saturating_add(amount);
        let left = self.free().saturating_sub(amount);
        if !client.is_this_machine() && held > self.share.at_least.max(self.allowed(left)) {
            return Err(Denied::ShareUsedUp);
        }
        if self.free() < amount {
            return Err(Denied::UsedUp);
        }
        Ok(())
    }

    pub fn take(&mut self, client: ClientAddress, amount: u64) -> Result<(), Denied> {
        self.allows(client, amount)?;
        self.count(client, amount);
        Ok(())
    }

    /// The amount that an address holds; 0 for programs on this machine, which are not counted one by one.
    pub fn held(&self, client: ClientAddress) -> u64 {
        self.held.get(&client).copied().unwrap_or(0)
    }

    /// Counts an amount that is held already. The sum may exceed the total, where the total has become smaller.
    pub fn count(&mut self, client: ClientAddress, amount: u64) {
        self.taken = self.taken.saturating_add(amount);
        if !client.is_this_machine() && amount > 0 {
            let held = self.held.entry(client).or_default();
            *held = held.saturating_add(amount);
        }
    }

    pub(crate) fn give_back(&mut self, client: ClientAddress, amount: u64) {
        self.taken = self.taken.saturating_sub(amount);
        if let Some(held) = self.held.get_mut(&client) {
            *held = held.saturating_sub(amount);
            if *held == 0 {
                self.held.remove(&client);
            }
        }
    }

    /// The amount that one address may hold while `free` is free.
    fn allowed(&self, free: u64) -> u64 {
        let percent = u64::from(self.share.percent.min(100));
        match 100 - percent {
            0 => u64::MAX,
            others => free.saturating_mul(percent) / others,
        }
    }
}

/// A pot from which several tasks take. Cheap to clone.
#[derive(Clone, Debug)]
pub(crate) struct Places(Arc<Mutex<Pot>>);

impl Places {
    pub fn new(pot: Pot) -> Self {
        Self(Arc::new(Mutex::new(pot)))
    }

    /// Takes `amount`, until the place is dropped.
    pub fn take(&self, client: ClientAddress, amount: u64) -> Result<Place, Denied> {
        self.with(|pot| pot.take(client, amount))?;
        Ok(Place {
            places: self.clone(),
            client,
            amount,
        })
    }

    pub(crate) fn free(&self) -> u64 {
        self.with(|pot| pot.free())
    }

    /// Gives access to the pot itself, for uses that a [`Place`] does not fit. `use_it` must not wait.
    pub fn with<T>(&self, use_it: impl FnOnce(&mut Pot) -> T) -> T {
        use_it(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// An amount taken from a pot. It is given back when this is dropped.
#[derive(Debug)]
pub struct Place {
    places: Places,
    client: ClientAddress,
    amount: u64,
}

impl Place {
    pub fn client(&self) -> ClientAddress {
        self.client
    }

    pub(crate) fn amount(&self) -> u64 {
        self.amount
    }

    /// Takes `more` in addition.
    pub(crate) fn grow(&mut self, more: u64) -> Result<(), Denied> {
        self.places.with(|pot| pot.take(self.client, more))?;
        self.amount += more;
        Ok(())
    }

    /// Leaves the amount taken. Somebody else gives it back with [`Pot::give_back`].
    pub fn keep(mut self) {
        self.amount = 0;
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.places.with(|pot| pot.give_back(self.client, self.amount));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn address(number: u32) -> ClientAddress {
        std::net::IpAddr::from((0x0a00_0000 + number).to_be_bytes()).into()
    }

    fn pot(total: u64, percent: u8, at_least: u64) -> Pot {
        Pot::new(total, Share { percent, at_least })
    }

    /// Takes one at a time until that is denied.
    fn take_all(pot: &mut Pot, client: ClientAddress) -> (u64, Denied) {
        let mut taken = 0;
        loop {
            match pot.take(client, 1) {
                Ok(()) => taken += 1,
                Err(denied) => return (taken, denied),
            }
        }
    }

    #[test]
    fn an_address_alone_gets_its_share_and_no_more() {
        let mut pot = pot(1_000, 25, 1);
        assert_eq!(take_all(&mut pot, address(1)), (250, Denied::ShareUsedUp));
        pot.give_back(address(1), 10);
        assert_eq!(take_all(&mut pot, address(1)).0, 10);
    }

    #[test]
    fn addresses_that_take_all_they_can_leave_some_for_the_next() {
        let mut pot = pot(1_000, 25, 1);
        for number in 0..20 {
            assert!(take_all(&mut pot, address(number)).0 > 0, "{number}");
        }
        assert!(pot.take(address(1_000), 1).is_ok(), "a newcomer");
    }

    #[test]
    fn this_machine_takes_as_much_as_there_is() {
        let mut pot = pot(100, 25, 1);
        assert_eq!(take_all(&mut pot, ClientAddress::THIS_MACHINE), (100, Denied::UsedUp));
        assert_eq!(pot.take(address(1), 1), Err(Denied::UsedUp));
        pot.give_back(ClientAddress::THIS_MACHINE, 1);
        assert_eq!(pot.take(address(1), 1), Ok(()));
    }

    #[test]
    fn a_share_of_all_is_no_limit_and_a_small_pot_is_not_divided_into_nothing() {
        assert_eq!(take_all(&mut pot(100, 100, 1), address(1)), (100, Denied::UsedUp));
        let mut small = pot(2, 25, 1);
        assert_eq!(take_all(&mut small, address(1)), (1, Denied::ShareUsedUp));
        assert_eq!(take_all(&mut small, address(2)).0, 1);
        assert_eq!(small.take(address(3), 1), Err(Denied::UsedUp));
    }

    #[test]
    fn a_place_grows_and_is_given_back() {
        let places = Places::new(pot(100, 50, 1));
        let mut place = places.take(address(1), 20).unwrap();
        assert_eq!(place.grow(40), Err(Denied::ShareUsedUp));
        place.grow(30).unwrap();
        assert_eq!((place.amount(), places.free()), (50, 50));
        drop(place);
        assert_eq!(places.free(), 100);
        places.take(address(1), 50).unwrap().keep();
        assert_eq!(places.free(), 50);
        places.with(|pot| pot.give_back(address(1), 50));
        assert!(
            places.with(|pot| pot.held.is_empty()),
            "nothing is remembered of who holds nothing"
        );
    }

    proptest! {
        /// In whatever order amounts are taken and given back, the sum taken is the sum held.
        #[test]
        fn it_never_holds_more_than_there_is(steps in prop::collection::vec((0_u32..5, 0_u64..40, any::<bool>()), 0..200)) {
            let mut pot = pot(100, 30, 3);
            let mut held = [0_u64; 5];
            for (client, amount, takes) in steps {
                let (client, held) = (address(client), &mut held[client as usize]);
                if takes {
                    *held += pot.take(client, amount).map_or(0, |()| amount);
                } else {
                    let amount = amount.min(*held);
                    pot.give_back(client, amount);
                    *held -= amount;
                }
                prop_assert!(pot.taken() <= 100);
            }
            prop_assert_eq!(pot.taken(), held.iter().sum::<u64>());
        }
    }
}
