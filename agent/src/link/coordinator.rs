//! One coordinator: the addresses under which it may be reached, of which one at a
//! time is used.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};

use super::{Address, AddressError};

/// Of one coordinator. Each may take 20 s when a network swallows packets.
const ADDRESSES: usize = 8;

/// `HOST[:PORT]`, or several of them separated by spaces, in the order to try.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Coordinator {
    first: Address,
    others: Vec<Address>,
}

/// Why some text names no coordinator.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CoordinatorError {
    #[error(transparent)]
    Address(#[from] AddressError),
    #[error("a coordinator has no address")]
    None,
    #[error("one coordinator has {0} twice")]
    Twice(Address),
    #[error("one coordinator has more than {ADDRESSES} addresses")]
    Many,
}

impl Coordinator {
    /// The coordinator with these addresses.
    ///
    /// # Errors
    /// When there is none, one is there twice, or there are too many.
    pub fn of(addresses: Vec<Address>) -> Result<Self, CoordinatorError> {
        let mut addresses = addresses.into_iter();
        let mut coordinator = Self {
            first: addresses.next().ok_or(CoordinatorError::None)?,
            others: Vec::new(),
        };
        for address in addresses {
            if coordinator.has(&address) {
                return Err(CoordinatorError::Twice(address));
            }
            if coordinator.count() == ADDRESSES {
                return Err(CoordinatorError::Many);
            }
            coordinator.others.push(address);
        }
        Ok(coordinator)
    }

    /// By its first address it is called in the log.
    #[must_use]
    pub fn name(&self) -> &Address {
        &self.first
    }

    /// In the order to try.
    pub fn addresses(&self) -> impl Iterator<Item = &Address> {
        std::iter::once(&self.first).chain(&self.others)
    }

    /// How many there are; never none.
    pub(super) fn count(&self) -> usize {
        self.others.len().saturating_add(1)
    }

    /// The address at a place, counted round and round.
    pub(super) fn at(&self, place: usize) -> &Address {
        let place = place % self.count();
        place
            .checked_sub(1)
            .and_then(|place| self.others.get(place))
            .unwrap_or(&self.first)
    }

    /// Whether both are the same coordinator, as far as addresses tell.
    fn meets(&self, other: &Self) -> bool {
        self.addresses().any(|address| other.has(address))
    }

    fn has(&self, address: &Address) -> bool {
        self.addresses().any(|known| known == address)
    }
}

/// The first list, then the second one: what shares an address is one coordinator,
/// with the addresses of both.
#[must_use]
pub fn merged(first: Vec<Coordinator>, second: &[Coordinator]) -> Vec<Coordinator> {
    let mut all = first;
    for coordinator in second {
        let is_new = |address: &&Address| !all.iter().any(|known| known.has(address));
        let new: Vec<_> = coordinator.addresses().filter(is_new).cloned().collect();
        match all.iter_mut().find(|known| known.meets(coordinator)) {
            None => all.push(coordinator.clone()),
            Some(known) => {
                known.others.extend(new);
                known.others.truncate(ADDRESSES.saturating_sub(1));
            }
        }
    }
    all
}

impl FromStr for Coordinator {
    type Err = CoordinatorError;

    fn from_str(text: &str) -> Result<Self, CoordinatorError> {
        let words = text.split(' ').filter(|word| !word.is_empty());
        let mut addresses: Vec<Address> = words.map(str::parse).collect::<Result<_, _>>()?;
        if addresses.is_empty() {
            // It says what is wrong with a text that is empty.
            addresses.push(text.parse()?);
        }
        Self::of(addresses)
    }
}

impl fmt::Display for Coordinator {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}", self.first)?;
        self.others
            .iter()
            .try_for_each(|address| write!(formatter, " {address}"))
    }
}

impl TryFrom<String> for Coordinator {
    type Error = CoordinatorError;

    fn try_from(text: String) -> Result<Self, CoordinatorError> {
        text.parse()
    }
}

impl From<Coordinator> for String {
    fn from(coordinator: Coordinator) -> Self {
        coordinator.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Coordinator {
        text.parse().unwrap()
    }

    #[test]
    fn several_addresses_are_alternatives_in_their_order() {
        let coordinator = read(" mon  192.0.2.7:1 [::1]");
        assert_eq!(coordinator.to_string(), "mon:8440 192.0.2.7:1 [::1]:8440");
        assert_eq!(read(&coordinator.to_string()), coordinator);
        assert_eq!(coordinator.name().to_string(), "mon:8440");
        let round: Vec<_> = (0..4).map(|place| coordinator.at(place)).collect();
        assert_eq!(round[0], round[3]);
        assert_eq!(round[2].to_string(), "[::1]:8440");
    }

    #[test]
    fn what_names_no_coordinator_is_refused() {
        let refused = |text: &str| text.parse::<Coordinator>().unwrap_err().to_string();
        assert!(refused("").contains("neither a host name"));
        assert!(refused("mon https://x").contains("is a URL"));
        assert!(refused("mon MON:8440").contains("mon:8440 twice"));
        let many: Vec<_> = (0..9).map(|number| format!("mon{number}")).collect();
        assert!(refused(&many.join(" ")).contains("more than 8"));
    }

    #[test]
    fn what_shares_an_address_is_one_coordinator() {
        let joined = vec![read("mon 192.0.2.7")];
        let set = [read("192.0.2.7 192.0.2.8"), read("other"), read("mon")];
        let all: Vec<_> = merged(joined, &set)
            .iter()
            .map(ToString::to_string)
            .collect();
        assert_eq!(
            all,
            ["mon:8440 192.0.2.7:8440 192.0.2.8:8440", "other:8440"]
        );
    }
}
