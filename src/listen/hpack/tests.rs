//! Header blocks of the standard's examples, of a browser, and of an attacker.

use proptest::prelude::*;

use super::*;

fn bytes(hex: &str) -> Vec<u8> {
    let hex: String = hex.split_whitespace().collect();
    (0..hex.len()).step_by(2).map(|at| u8::from_str_radix(&hex[at..at + 2], 16).unwrap()).collect()
}

/// A field as a literal; `first` is its first byte, without a name by index.
fn literal(first: u8, name: &str, value: &str) -> Vec<u8> {
    let text = |text: &str| [&[u8::try_from(text.len()).unwrap()][..], text.as_bytes()].concat();
    [vec![first], text(name), text(value)].concat()
}

/// Reads one block.
fn read(blocks: &mut HeaderBlocks, kind: BlockKind, block: &[u8]) -> Result<Vec<u8>, BlockFault> {
    let mut block = block.to_vec();
    blocks.begin(kind);
    blocks.read(&mut block)?;
    assert!(blocks.may_end(), "{block:x?}");
    Ok(block)
}

/// RFC 7541 appendix C.3 to C.6: the size of the dynamic table after each block.
#[test]
fn the_table_has_the_sizes_of_the_standards_examples() {
    let requests = [
        ["8286 8441 0f77 7777 2e65 7861 6d70 6c65 2e63 6f6d", "8286 8441 8cf1 e3c2 e5f2 3a6b a0ab 90f4 ff"],
        ["8286 84be 5808 6e6f 2d63 6163 6865", "8286 84be 5886 a8eb 1064 9cbf"],
        [
            "8287 85bf 400a 6375 7374 6f6d 2d6b 6579 0c63 7573 746f 6d2d 7661 6c75 65",
            "8287 85bf 4088 25a8 49e9 5ba9 7d7f 8925 a849 e95b b8e8 b4bf",
        ],
    ];
    for coding in [0, 1] {
        let mut blocks = HeaderBlocks::new();
        for (block, size) in requests.iter().zip([57, 110, 164]) {
            read(&mut blocks, BlockKind::Head, &bytes(block[coding])).unwrap();
            assert_eq!(blocks.table.size, size);
        }
    }
    let answers = [
        [
            "4803 3330 3258 0770 7269 7661 7465 611d 4d6f 6e2c 2032 3120 4f63 7420 3230 3133 2032 303a 3133 3a32 3120 \
             474d 546e 1768 7474 7073 3a2f 2f77 7777 2e65 7861 6d70 6c65 2e63 6f6d",
            "4882 6402 5885 aec3 771a 4b61 96d0 7abe 9410 54d4 44a8 2005 9504 0b81 66e0 82a6 2d1b ff6e 919d 29ad 1718 \
             63c7 8f0b 97c8 e9ae 82ae 43d3",
        ],
        ["4803 3330 37c1 c0bf", "4883 640e ffc1 c0bf"],
        [
            "88c1 611d 4d6f 6e2c 2032 3120 4f63 7420 3230 3133 2032 303a 3133 3a32 3220 474d 54c0 5a04 677a 6970 7738 \
             666f 6f3d 4153 444a 4b48 514b 425a 584f 5157 454f 5049 5541 5851 5745 4f49 553b 206d 6178 2d61 6765 3d33 \
             3630 303b 2076 6572 7369 6f6e 3d31",
            "88c1 6196 d07a be94 1054 d444 a820 0595 040b 8166 e084 a62d 1bff c05a 839b d9ab 77ad 94e7 821d d7f2 e6c7 \
             b335 dfdf cd5b 3960 d5af 2708 7f36 72c1 ab27 0fb5 291f 9587 3160 65c0 03ed 4ee5 b106 3d50 07",
        ],
    ];
    for coding in [0, 1] {
        let mut blocks = HeaderBlocks::new();
        blocks.table.resize(256);
        for (block, size) in answers.iter().zip([222, 222, 215]) {
            read(&mut blocks, BlockKind::Head, &bytes(block[coding])).unwrap();
            assert_eq!(blocks.table.size, size);
        }
    }
}

#[test]
fn a_fragment_in_a_path_becomes_what_no_path_has() {
    let blocks = HeaderBlocks::new;
    let name = |first| [vec![first, 5], b"/a#b#".to_vec()].concat();
    for first in [0x04, 0x14, 0x44, 0x45, 0x05] {
        let changed = read(&mut blocks(), BlockKind::Head, &name(first)).unwrap();
        assert_eq!(changed[2..], *b"/a>b>", "{first:x}");
    }
    for first in [0x00, 0x10, 0x40] {
        let changed = read(&mut blocks(), BlockKind::Head, &literal(first, ":path", "/#")).unwrap();
        assert!(changed.ends_with(b"/>"), "{first:x}");
    }
    // `/#` and `/a/#` in Huffman's code, with the name by index and as a text: `/` is 011000, `a` 00011.
    for (block, changed) in [
        ("0483 63fe bf", "0483 63fe ff"),
        ("0484 606c 7fd7", "0484 606c 7fdf"),
        ("0084 b958 d33f 8363 febf", "0084 b958 d33f 8363 feff"),
    ] {
        assert_eq!(read(&mut blocks(), BlockKind::Head, &bytes(block)).unwrap(), bytes(changed), "{block}");
    }
    // Only in `:path`.
    for unchanged in
        [literal(0, "referer", "a#b"), literal(0x40, "x-path", "#"), [vec![0x01, 1], b"#".to_vec()].concat()]
    {
        assert_eq!(read(&mut blocks(), BlockKind::Head, &unchanged).unwrap(), unchanged);
    }
}

#[test]
fn a_path_whose_name_is_in_the_dynamic_table_is_found_too() {
    let mut blocks = HeaderBlocks::new();
    read(&mut blocks, BlockKind::Head, &literal(0x40, ":path", "/x")).unwrap();
    let by_name = [vec![0x7e, 2], b"/#".to_vec()].concat();
    assert!(read(&mut blocks, BlockKind::Head, &by_name).unwrap().ends_with(b"/>"));
}

#[test]
fn a_pseudo_header_field_in_trailers_is_a_fault_in_every_form() {
    let fault = Err(BlockFault::PseudoInTrailers);
    for block in [
        vec![0x84],
        vec![0x88],
        vec![0x04, 1, b'/'],
        vec![0x44, 1, b'/'],
        literal(0, ":path", "/"),
        literal(0x40, ":x", "/"),
        literal(0x10, ":", "/"),
        bytes("0084 b958 d33f 0161"),
        [literal(0, "x-sum", "1"), vec![0x84]].concat(),
    ] {
        assert_eq!(read(&mut HeaderBlocks::new(), BlockKind::Trailers, &block), fault, "{block:x?}");
        assert!(read(&mut HeaderBlocks::new(), BlockKind::Head, &block).is_ok(), "{block:x?}");
    }
    let mut blocks = HeaderBlocks::new();
    read(&mut blocks, BlockKind::Head, &literal(0x40, ":authority", "a")).unwrap();
    assert_eq!(read(&mut blocks, BlockKind::Trailers, &[0xbe]), fault, "from the dynamic table");
    let fields = [literal(0x40, "x-sum", "1"), literal(0, "x:y", ":path"), vec![0x90]].concat();
    assert!(read(&mut HeaderBlocks::new(), BlockKind::Trailers, &fields).is_ok());
}

#[test]
fn what_cannot_be_decoded_is_a_fault() {
    for block in [
        vec![0x80],
        vec![0xbe],
        vec![0x7f, 0x00, 1, b'x'],
        vec![0xff, 0xff, 0xff, 0xff, 0xff, 0x7f],
        vec![0x3f, 0xe2, 0x1f],
        bytes("0081 ff 0161"),
        bytes("0484 ffff ffff"),
    ] {
        let mut blocks = HeaderBlocks::new();
        assert_eq!(blocks.read(&mut block.clone()), Err(BlockFault::Undecodable), "{block:x?}");
    }
    let mut blocks = HeaderBlocks::new();
    blocks.read(&mut [0x40, 5, b'x']).unwrap();
    assert!(!blocks.may_end());
}

#[test]
fn the_table_keeps_its_limit() {
    let mut blocks = HeaderBlocks::new();
    for _ in 0..200 {
        read(&mut blocks, BlockKind::Head, &literal(0x40, "x-name", &"v".repeat(60))).unwrap();
        assert!(blocks.table.size <= LARGEST_TABLE && blocks.table.entries.len() <= 41);
    }
    read(&mut blocks, BlockKind::Head, &[0x20]).unwrap();
    assert_eq!((blocks.table.size, blocks.table.entries.len()), (0, 0));
    read(&mut blocks, BlockKind::Head, &literal(0x40, "x", "")).unwrap();
    assert_eq!(blocks.table.entries.len(), 0, "an entry that does not fit");
}

proptest! {
    #[test]
    fn the_result_does_not_depend_on_where_the_bytes_are_cut(
        block in prop::collection::vec(any::<u8>(), 0..60),
        fields in prop::collection::vec((prop::sample::select(&[0_u8, 0x10, 0x40][..]), ":?[a-z]{0,5}", "[#-z]{0,20}"), 0..6),
        size in 1..9_usize,
    ) {
        let known: Vec<u8> = fields.iter().flat_map(|(first, name, value)| literal(*first, name, value)).collect();
        for block in [&block, &known, &[&known[..], &block].concat()] {
            let outcome = |bytes: &mut [u8], size| {
                let mut blocks = HeaderBlocks::new();
                let outcome = bytes.chunks_mut(size).try_for_each(|piece| blocks.read(piece));
                (outcome, outcome.is_ok().then(|| (blocks.may_end(), blocks.table.size)))
            };
            let (mut one, mut cut) = (block.clone(), block.clone());
            let expected = outcome(&mut one, block.len().max(1));
            prop_assert_eq!(outcome(&mut cut, size), expected);
            if expected.0.is_ok() {
                prop_assert_eq!(one, cut);
            }
        }
    }
}
