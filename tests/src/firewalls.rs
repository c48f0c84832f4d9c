//! The same test on each firewall.

/// Runs each of these tests, functions that take a firewall's name, once on each firewall.
#[macro_export]
macro_rules! on_both_firewalls {
    ($($test:ident)*) => {
        mod xdp {
            $(#[test] fn $test() { super::$test("xdp"); })*
        }
        mod nftables {
            $(#[test] fn $test() { super::$test("nftables"); })*
        }
    };
}
