//! The agent's own count of drops, to be shown beside what the tap sees.

use std::io::{Read as _, Write as _};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::time::Duration;

use anyhow::Result;
use blocker_lab::Namespace;

/// Where the agent serves its metrics, on the relay.
pub(crate) const ADDRESS: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(Ipv4Addr::LOCALHOST), 9919);

const PATIENCE: Duration = Duration::from_millis(500);

/// Packets that the agent says were dropped, over all jails; none when it does not say.
pub(crate) fn dropped(relay: &Namespace) -> Option<u64> {
    let text = relay.enter(fetch).ok()?.ok()?;
    sum(&text, "blocker_dropped_packets_total")
}

fn fetch() -> Result<String> {
    let mut stream = TcpStream::connect_timeout(&ADDRESS, PATIENCE)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    // By HTTP/1.0 the answer comes in one piece and ends with the connection.
    write!(stream, "GET /metrics HTTP/1.0\r\nHost: {ADDRESS}\r\n\r\n")?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    Ok(answer)
}

/// Adds up a counter over all of its labels; none when it is not there at all.
fn sum(text: &str, counter: &str) -> Option<u64> {
    let mut samples = text
        .lines()
        .filter_map(|line| line.strip_prefix(counter)?.strip_prefix('{')?.rsplit_once("} "))
        .filter_map(|(_, value)| value.split('.').next()?.trim().parse::<u64>().ok())
        .peekable();
    samples.peek()?;
    Some(samples.sum())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_counter_is_added_up_over_its_labels() {
        let text = "HTTP/1.0 200 OK\r\n\r\n# TYPE blocker_dropped_packets counter\n\
                    blocker_dropped_packets_total{jail=\"spam\",family=\"ipv4\",firewall=\"xdp\"} 12\n\
                    blocker_dropped_packets_total{jail=\"spam\",family=\"ipv6\",firewall=\"xdp\"} 3.0\n\
                    blocker_bans_total{jail=\"spam\"} 4\n";
        assert_eq!(sum(text, "blocker_dropped_packets_total"), Some(15));
        assert_eq!(sum(text, "blocker_nothing_total"), None);
    }
}
