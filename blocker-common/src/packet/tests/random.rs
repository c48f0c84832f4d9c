//! Frames at random that look like packets, read by our parser and by an independent one.

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;

use super::independent;

/// Numbers of what a packet may carry: transports, what is none, and extension headers that then are none.
const CARRIED: [u8; 10] = [6, 6, 6, 17, 17, 50, 58, 51, 44, 60];
/// Numbers of extension headers. Hop-by-hop options are seldom: where they are not the first, etherparse reads no further.
const EXTENSIONS: [u8; 16] = [0, 43, 43, 43, 43, 44, 44, 44, 44, 51, 51, 51, 60, 60, 60, 60];

fn tags() -> impl Strategy<Value = Vec<u8>> {
    let tag = (select(vec![0x8100u16, 0x88a8, 0x9100]), any::<[u8; 2]>());
    vec(tag, 0..4).prop_map(|tags| {
        let bytes = |(kind, id): (u16, [u8; 2])| [kind.to_be_bytes(), id].concat();
        tags.into_iter().flat_map(bytes).collect()
    })
}

/// A length as it should be, or nearly, or any.
fn length(right: usize) -> impl Strategy<Value = [u8; 2]> {
    let right = right as u16;
    prop_oneof![
        6 => Just(right),
        1 => (0..24u16).prop_map(move |less| right.saturating_sub(less)),
        1 => Just(0),
        1 => any::<u16>(),
    ]
    .prop_map(u16::to_be_bytes)
}

/// Of no offset with and without more to come, in either IP version, or of any.
fn fragment() -> impl Strategy<Value = [u8; 2]> {
    prop_oneof![4 => Just([0, 0]), 4 => Just([0, 1]), 2 => Just([0x20, 0]), 1 => any::<[u8; 2]>()]
}

fn transport() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![1 => vec(any::<u8>(), 0..8), 3 => vec(any::<u8>(), 20..40)]
}

fn ipv4() -> impl Strategy<Value = Vec<u8>> {
    let words = prop_oneof![4 => Just(5u8), 2 => 5..16u8, 1 => 0..16u8];
    let parts = (words, select(&CARRIED[..]), fragment(), any::<[u8; 8]>(), transport());
    parts.prop_flat_map(|(words, protocol, fragment, addresses, transport)| {
        let options = vec![1; usize::from(words.saturating_sub(5)) * 4];
        length(20 + options.len() + transport.len()).prop_map(move |[high, low]| {
            let [first, second] = fragment;
            let fixed = [0x40 | words, 0, high, low, 0, 1, first, second, 64, protocol, 0, 0];
            [&fixed[..], &addresses, &options, &transport].concat()
        })
    })
}

/// An extension header of this number, without the next one's: whole and of the length it says, by its number's own rule.
fn extension(number: u8) -> BoxedStrategy<Vec<u8>> {
    match number {
        44 => (fragment(), any::<u8>())
            .prop_map(|([high, low], reserved)| vec![reserved, high, low, 0, 0, 0, 9])
            .boxed(),
        51 => (0..6u8)
            .prop_map(|words| [vec![words], vec![0; (usize::from(words) + 2) * 4 - 2]].concat())
            .boxed(),
        _ => prop_oneof![9 => 0..3u8, 1 => any::<u8>()]
            .prop_map(|units| [vec![units], vec![0; (usize::from(units) + 1) * 8 - 2]].concat())
            .boxed(),
    }
}

fn ipv6() -> impl Strategy<Value = Vec<u8>> {
    let header =
        select(&EXTENSIONS[..]).prop_flat_map(|number| extension(number).prop_map(move |bytes| (number, bytes)));
    let parts = (vec(header, 0..11), select(&CARRIED[..]), any::<[u8; 16]>(), transport());
    parts.prop_flat_map(|(headers, last, source, transport)| {
        let numbers: Vec<u8> = headers.iter().map(|(number, _)| *number).chain([last]).collect();
        let mut rest = Vec::new();
        for ((_, bytes), next) in headers.iter().zip(&numbers[1..]) {
            rest.push(*next);
            rest.extend_from_slice(bytes);
        }
        rest.extend_from_slice(&transport);
        length(rest.len()).prop_map(move |[high, low]| {
            let fixed = [0x60, 0, 0, 0, high, low, numbers[0], 64];
            [&fixed[..], &source, &[1; 16], &rest].concat()
        })
    })
}

/// A frame: now and then with the other IP version's number, cut, padded, or with one byte changed.
fn frame() -> impl Strategy<Value = Vec<u8>> {
    let of = |ether_type: u16| move |packet| (ether_type, packet);
    let packet = prop_oneof![
        6 => ipv4().prop_map(of(0x0800)),
        9 => ipv6().prop_map(of(0x86dd)),
        1 => ipv4().prop_map(of(0x86dd)),
        1 => ipv6().prop_map(of(0x0806)),
    ];
    let spoilt = prop_oneof![
        6 => Just(None),
        2 => any::<prop::sample::Index>().prop_map(|at| Some((at, None))),
        2 => (any::<prop::sample::Index>(), any::<u8>()).prop_map(|(at, byte)| Some((at, Some(byte)))),
    ];
    (tags(), packet, vec(any::<u8>(), 0..6), spoilt).prop_map(|(tags, (ether_type, packet), padding, spoilt)| {
        let mut frame = [&[2; 12][..], &tags, &ether_type.to_be_bytes(), &packet, &padding].concat();
        match spoilt {
            Some((at, Some(byte))) => {
                let at = at.index(frame.len());
                frame[at] = byte;
            }
            Some((at, None)) => frame.truncate(at.index(frame.len())),
            None => {}
        }
        frame
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(4096))]

    #[test]
    fn what_looks_like_a_packet_is_read_as_an_independent_parser_does(frame in frame()) {
        independent::check(&frame);
    }
}
