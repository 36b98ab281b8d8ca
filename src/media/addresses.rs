//! The addresses at which clients can reach the media sockets.

use std::collections::HashSet;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

/// The addresses that the operator announces. Without those, the public ones, and the bound addresses, where a wildcard becomes all
/// addresses of the machine (loopback only where there is nothing else). Empty where nothing is found.
pub(crate) fn candidates(
    (announced, public): (&[IpAddr], &[IpAddr]),
    bound: impl Iterator<Item = IpAddr>,
    port: u16,
) -> Vec<SocketAddr> {
    let mut found: Vec<IpAddr> = announced.to_vec();
    if found.is_empty() {
        found.extend(public);
        for ip in bound {
            match ip.is_unspecified() {
                false => found.push(ip),
                true => found.extend(machine_addresses(ip.is_ipv4())),
            }
        }
    }
    // IPv4 comes first: where both work, fewer networks break it.
    found.sort_by_key(|ip| ip.is_ipv6());
    let mut seen = HashSet::new();
    found.retain(|ip| seen.insert(*ip));
    found.into_iter().map(|ip| SocketAddr::new(ip, port)).collect()
}

/// The addresses at which clients reach these listening sockets for TCP. What the operator announces counts for the sockets of its
/// family.
pub(crate) fn tcp_candidates((announced, public): (&[IpAddr], &[IpAddr]), listening: &[SocketAddr]) -> Vec<SocketAddr> {
    let mut found: Vec<SocketAddr> = Vec::new();
    for local in listening {
        let of_family = |ips: &[IpAddr]| -> Vec<IpAddr> {
            let is_alike = |ip: &&IpAddr| ip.is_ipv4() == local.is_ipv4();
            ips.iter().filter(is_alike).copied().collect()
        };
        let (of_announced, of_public) = (of_family(announced), of_family(public));
        if announced.is_empty() || !of_announced.is_empty() {
            let bound = std::iter::once(local.ip());
            found.extend(candidates((&of_announced, &of_public), bound, local.port()));
        }
    }
    found.sort_by_key(SocketAddr::is_ipv6);
    let mut seen = HashSet::new();
    found.retain(|address| seen.insert(*address));
    found
}

fn machine_addresses(ipv4: bool) -> Vec<IpAddr> {
    let interfaces = if_addrs::get_if_addrs().unwrap_or_default();
    let usable = |ip: &IpAddr| match ip {
        IpAddr::V4(ip) => ipv4 && !ip.is_loopback() && !ip.is_link_local(),
        IpAddr::V6(ip) => !ipv4 && !ip.is_loopback() && !ip.is_unicast_link_local(),
    };
    let found: Vec<IpAddr> = interfaces
        .iter()
        .map(|interface| interface.ip())
        .filter(usable)
        .collect();
    match (found.is_empty(), ipv4) {
        (false, _) => found,
        (true, true) => vec![Ipv4Addr::LOCALHOST.into()],
        (true, false) if interfaces.iter().any(|interface| interface.ip().is_ipv6()) => {
            vec![Ipv6Addr::LOCALHOST.into()]
        }
        (true, false) => Vec::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(announced: &[&str], public: &[&str], bound: &[&str]) -> Vec<String> {
        let parse = |texts: &[&str]| -> Vec<IpAddr> { texts.iter().map(|text| text.parse().unwrap()).collect() };
        let bound = parse(bound).into_iter();
        let found = candidates((&parse(announced), &parse(public)), bound, 8_800);
        found.iter().map(SocketAddr::to_string).collect()
    }

    #[test]
    fn what_the_operator_announces_counts_alone() {
        let found = found(&["2001:db8::1", "203.0.113.7"], &["198.51.100.1"], &["10.0.0.1"]);
        assert_eq!(found, ["203.0.113.7:8800", "[2001:db8::1]:8800"]);
    }

    #[test]
    fn a_public_address_comes_before_those_of_the_machine_and_once() {
        assert_eq!(
            found(&[], &["203.0.113.7"], &["10.0.0.1"]),
            ["203.0.113.7:8800", "10.0.0.1:8800"]
        );
        let found = found(
            &[],
            &["203.0.113.7", "2001:db8::1"],
            &["10.0.0.1", "203.0.113.7", "2001:db8::1"],
        );
        assert_eq!(found, ["203.0.113.7:8800", "10.0.0.1:8800", "[2001:db8::1]:8800"]);
    }

    fn addresses(texts: &[&str]) -> Vec<SocketAddr> {
        texts.iter().map(|text| text.parse().unwrap()).collect()
    }

    #[test]
    fn what_is_announced_has_the_port_of_each_socket_of_its_family() {
        let announced: Vec<IpAddr> = ["2001:db8::7", "203.0.113.7"].map(|ip| ip.parse().unwrap()).into();
        let listening = addresses(&["0.0.0.0:8800", "[::]:8800", "0.0.0.0:443", "192.0.2.1:443"]);
        assert_eq!(
            tcp_candidates((&announced, &[]), &listening),
            addresses(&["203.0.113.7:8800", "203.0.113.7:443", "[2001:db8::7]:8800"])
        );
        assert!(
            tcp_candidates((&announced[1..], &[]), &listening[1..2]).is_empty(),
            "nothing of its family"
        );
    }

    #[test]
    fn without_that_it_is_the_addresses_of_the_sockets() {
        let listening = addresses(&["[::1]:443", "127.0.0.1:8800", "127.0.0.1:443"]);
        let expected = addresses(&["127.0.0.1:8800", "127.0.0.1:443", "[::1]:443"]);
        assert_eq!(tcp_candidates((&[], &[]), &listening), expected);
        let public: IpAddr = "203.0.113.7".parse().unwrap();
        let expected = addresses(&["203.0.113.7:8800", "127.0.0.1:8800"]);
        assert_eq!(tcp_candidates((&[], &[public]), &listening[1..2]), expected);
        assert_eq!(tcp_candidates((&[], &[public]), &listening[..1]), listening[..1]);
    }
}
