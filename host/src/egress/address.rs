//! Which addresses may be connected to: public ones, and those that the operator lists.
//!
//! Looks at addresses after name resolution, never at names, and at every IPv4 address that an IPv6 address carries
//! inside (mapped, NAT64, 6to4, Teredo, ISATAP), since a gateway on the way would unwrap it.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ipnet::{IpNet, Ipv4Net, Ipv6Net};

/// Lets public addresses pass, and what the operator allows.
#[derive(Clone, Debug)]
pub(super) struct AddressFilter {
    allowed: Vec<IpNet>,
}

/// An address that may not be connected to.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the address {address} is {class}; to allow it: {}", self.config_line())]
pub(super) struct AddressDenied {
    /// In its canonical form.
    pub(super) address: IpAddr,
    /// Why it is special.
    class: &'static str,
}

impl AddressDenied {
    /// The line of the host's configuration that would allow it.
    fn config_line(&self) -> String {
        format!("[egress] allow_cidrs = [\"{}\"]", IpNet::from(self.address))
    }
}

impl AddressFilter {
    pub(super) fn new(allowed: Vec<IpNet>) -> Self {
        Self { allowed }
    }

    pub(super) fn check(&self, address: IpAddr) -> Result<(), AddressDenied> {
        let address = address.to_canonical();
        if self.allows(address) {
            return Ok(());
        }
        let deny = |class| Err(AddressDenied { address, class });
        match address {
            IpAddr::V4(v4) => special_v4(v4).map_or(Ok(()), deny),
            IpAddr::V6(v6) => {
                if let Some(class) = special_v6(v6) {
                    return deny(class);
                }
                embedded(v6).into_iter().flatten().try_for_each(|inner| self.check(IpAddr::V4(inner)))
            }
        }
    }

    fn allows(&self, address: IpAddr) -> bool {
        self.allowed.iter().any(|net| match net {
            // A listed `::ffff:10.0.0.0/104` means the same IPv4 addresses.
            IpNet::V6(v6) if v6.addr().to_ipv4_mapped().is_some() => match address {
                IpAddr::V4(v4) => v6.contains(&v4.to_ipv6_mapped()),
                IpAddr::V6(_) => false,
            },
            net => net.contains(&address),
        })
    }
}

const fn v4(a: u8, b: u8, c: u8, d: u8, length: u8) -> Ipv4Net {
    Ipv4Net::new_assert(Ipv4Addr::new(a, b, c, d), length)
}

/// IANA's special-purpose registry, and the one metadata service that has a public address.
const SPECIAL_V4: [(Ipv4Net, &str); 18] = [
    (v4(0, 0, 0, 0, 8), "unspecified"),
    (v4(10, 0, 0, 0, 8), "private"),
    (v4(100, 64, 0, 0, 10), "shared (carrier-grade NAT)"),
    (v4(127, 0, 0, 0, 8), "loopback"),
    (v4(168, 63, 129, 16, 32), "a metadata service"),
    (v4(169, 254, 169, 254, 32), "a metadata service"),
    (v4(169, 254, 0, 0, 16), "link-local"),
    (v4(172, 16, 0, 0, 12), "private"),
    (v4(192, 0, 0, 0, 24), "reserved"),
    (v4(192, 0, 2, 0, 24), "for documentation"),
    (v4(192, 88, 99, 0, 24), "a relay"),
    (v4(192, 168, 0, 0, 16), "private"),
    (v4(198, 18, 0, 0, 15), "for benchmarks"),
    (v4(198, 51, 100, 0, 24), "for documentation"),
    (v4(203, 0, 113, 0, 24), "for documentation"),
    (v4(224, 0, 0, 0, 4), "multicast"),
    (v4(255, 255, 255, 255, 32), "broadcast"),
    (v4(240, 0, 0, 0, 4), "reserved"),
];

fn special_v4(address: Ipv4Addr) -> Option<&'static str> {
    SPECIAL_V4.iter().find(|(net, _)| net.contains(&address)).map(|(_, class)| *class)
}

const fn v6(a: u16, b: u16, c: u16, length: u8) -> Ipv6Net {
    Ipv6Net::new_assert(Ipv6Addr::new(a, b, c, 0, 0, 0, 0, 0), length)
}

const NAT64: Ipv6Net = v6(0x64, 0xff9b, 0, 96);
const TEREDO: Ipv6Net = v6(0x2001, 0, 0, 32);
const SIX_TO_FOUR: Ipv6Net = v6(0x2002, 0, 0, 16);

/// Inside the global unicast range; everything outside it is special by itself.
const SPECIAL_V6: [(Ipv6Net, &str); 3] = [
    (v6(0x2001, 0, 0, 23), "reserved"),
    (v6(0x2001, 0xdb8, 0, 32), "for documentation"),
    (v6(0x3fff, 0, 0, 20), "for documentation"),
];

fn special_v6(address: Ipv6Addr) -> Option<&'static str> {
    if NAT64.contains(&address) || TEREDO.contains(&address) {
        return None;
    }
    if address.segments()[0] & 0xe000 != 0x2000 {
        return Some(match address.segments()[0] {
            0 if address.is_loopback() => "loopback",
            0 if address.is_unspecified() => "unspecified",
            s if s & 0xff00 == 0xff00 => "multicast",
            s if s & 0xffc0 == 0xfe80 => "link-local",
            s if s & 0xfe00 == 0xfc00 || s & 0xffc0 == 0xfec0 => "private",
            _ => "reserved",
        });
    }
    SPECIAL_V6.iter().find(|(net, _)| net.contains(&address)).map(|(_, class)| *class)
}

/// The IPv4 addresses that an IPv6 address carries.
fn embedded(address: Ipv6Addr) -> [Option<Ipv4Addr>; 2] {
    let s = address.segments();
    let at = |high: u16, low: u16| Ipv4Addr::from((u32::from(high) << 16) | u32::from(low));
    if NAT64.contains(&address) {
        [Some(at(s[6], s[7])), None]
    } else if SIX_TO_FOUR.contains(&address) {
        [Some(at(s[1], s[2])), None]
    } else if TEREDO.contains(&address) {
        // The client's address is written with every bit turned.
        [Some(at(s[2], s[3])), Some(at(!s[6], !s[7]))]
    } else if s[5] == 0x5efe && s[4] & 0xfdff == 0 {
        [Some(at(s[6], s[7])), None]
    } else {
        [None, None]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn passes(filter: &AddressFilter, address: &str) -> bool {
        filter.check(address.parse().unwrap()).is_ok()
    }

    #[test]
    fn special_addresses_are_denied_in_every_wrapping() {
        let filter = AddressFilter::new(Vec::new());
        for address in [
            "0.0.0.0",
            "0.1.2.3",
            "10.0.0.1",
            "10.255.255.255",
            "100.64.0.1",
            "100.127.255.255",
            "100.100.100.200",
            "127.0.0.1",
            "127.255.255.254",
            "168.63.129.16",
            "169.254.169.254",
            "169.254.0.1",
            "172.16.0.1",
            "172.31.255.255",
            "192.0.0.192",
            "192.0.2.1",
            "192.88.99.1",
            "192.168.0.1",
            "198.18.0.1",
            "198.19.255.255",
            "198.51.100.7",
            "203.0.113.7",
            "224.0.0.1",
            "239.255.255.255",
            "240.0.0.1",
            "255.255.255.255",
            "::",
            "::1",
            "::2",
            "::127.0.0.1",
            "::7f00:1",
            "::ffff:127.0.0.1",
            "::ffff:a9fe:a9fe",
            "::ffff:0:7f00:1",
            "64:ff9b::127.0.0.1",
            "64:ff9b::10.0.0.1",
            "64:ff9b::169.254.169.254",
            "64:ff9b:1::1",
            "64:ff9b:1::808:808",
            "100::1",
            "2002:7f00:1::",
            "2002:a00:1::1",
            "2002:a9fe:a9fe::1",
            "2002:c0a8:101::",
            "2001:0:7f00:1::",
            "2001:0:808:808::80ff:fffe",
            "2001:0:808:808:0:0:f5ff:fffe",
            "2001:db8::1",
            "2001:2::1",
            "2001:20::1",
            "3fff::1",
            "5f00::1",
            "fc00::1",
            "fd00:ec2::254",
            "fd12:3456::1",
            "fe80::1",
            "febf::1",
            "fec0::1",
            "ff02::1",
            "ff0e::1",
            "2607:f8b0::5efe:10.0.0.1",
            "2607:f8b0::200:5efe:127.0.0.1",
            "4000::1",
        ] {
            assert!(!passes(&filter, address), "{address}");
        }
    }

    #[test]
    fn public_addresses_pass() {
        let filter = AddressFilter::new(Vec::new());
        for address in [
            "1.1.1.1",
            "8.8.8.8",
            "9.255.255.255",
            "11.0.0.1",
            "100.63.255.255",
            "100.128.0.1",
            "172.15.0.1",
            "172.32.0.1",
            "192.0.1.1",
            "198.17.0.1",
            "198.20.0.1",
            "223.255.255.255",
            "::ffff:8.8.8.8",
            "64:ff9b::8.8.8.8",
            "2002:808:808::1",
            "2001:4860:4860::8888",
            "2606:4700::1111",
            "2a00:1450::1",
        ] {
            assert!(passes(&filter, address), "{address}");
        }
    }

    #[test]
    fn the_operator_allows_ranges_and_nothing_beside_them() {
        let filter = AddressFilter::new(vec!["127.0.0.0/8".parse().unwrap(), "fd00:1::/32".parse().unwrap()]);
        for address in ["127.0.0.1", "::ffff:127.9.9.9", "64:ff9b::127.0.0.1", "fd00:1::7"] {
            assert!(passes(&filter, address), "{address}");
        }
        for address in ["128.0.0.0", "10.0.0.1", "::1", "fd00:2::7", "64:ff9b::10.0.0.1"] {
            assert!(address == "128.0.0.0" || !passes(&filter, address), "{address}");
        }
        let mapped = AddressFilter::new(vec!["::ffff:10.0.0.0/104".parse().unwrap()]);
        assert!(passes(&mapped, "10.1.2.3") && passes(&mapped, "::ffff:10.1.2.3") && !passes(&mapped, "127.0.0.1"));
    }

    #[test]
    fn a_denial_names_the_line_that_would_allow_it() {
        let denied = |address: &str| AddressFilter::new(Vec::new()).check(address.parse().unwrap()).unwrap_err();
        let text = denied("::ffff:127.0.0.1").to_string();
        assert_eq!(text, "the address 127.0.0.1 is loopback; to allow it: [egress] allow_cidrs = [\"127.0.0.1/32\"]");
        assert!(denied("fd00::5").to_string().ends_with("[egress] allow_cidrs = [\"fd00::5/128\"]"));
        for address in ["127.0.0.1", "fd00::5", "2002:a00:1::1"] {
            let net: IpNet = IpNet::from(denied(address).address);
            assert!(passes(&AddressFilter::new(vec![net]), address), "the line helps for {address}");
        }
    }
}
