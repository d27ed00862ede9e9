//! Every packing, whole and cut, misnamed and damaged.

use std::io::Write as _;

use proptest::prelude::*;

use super::*;

fn pack(kind: Compression, bytes: &[u8]) -> Vec<u8> {
    match kind {
        Compression::None => bytes.to_vec(),
        Compression::Gzip => {
            let level = flate2::Compression::fast();
            let mut encoder = flate2::write::GzEncoder::new(Vec::new(), level);
            encoder.write_all(bytes).unwrap();
            encoder.finish().unwrap()
        }
        Compression::Zstd => zstd::bulk::compress(bytes, 1).unwrap(),
        Compression::Bzip2 => {
            let level = bzip2::Compression::fast();
            let mut encoder = bzip2::write::BzEncoder::new(Vec::new(), level);
            encoder.write_all(bytes).unwrap();
            encoder.finish().unwrap()
        }
        Compression::Lz4 => {
            let info = lz4_flex::frame::FrameInfo::new()
                .block_mode(lz4_flex::frame::BlockMode::Linked)
                .block_size(lz4_flex::frame::BlockSize::Max64KB)
                .block_checksums(true)
                .content_checksum(true);
            let mut encoder = lz4_flex::frame::FrameEncoder::with_frame_info(info, Vec::new());
            encoder.write_all(bytes).unwrap();
            encoder.finish().unwrap()
        }
    }
}

fn unpack(name: &str, packed: &[u8], size: usize) -> Result<Vec<u8>, FileProblem> {
    let mut unpacker = Unpacker::new(name);
    let mut out = Vec::new();
    let mut each = |bytes: &[u8]| {
        assert!(bytes.len() <= (4 << 20), "a step is bounded");
        out.extend_from_slice(bytes);
        Ok(())
    };
    for piece in packed.chunks(size.max(1)) {
        unpacker.push(piece, &mut each)?;
    }
    unpacker.finish(&mut each)?;
    Ok(out)
}

const KINDS: [Compression; 4] =
    [Compression::Gzip, Compression::Zstd, Compression::Bzip2, Compression::Lz4];

/// Text that packs well, longer than any step.
fn text() -> Vec<u8> {
    "{\"symbol\":\"AAPL\",\"close\":189.43}\n".repeat(100_000).into_bytes()
}

#[test]
fn what_was_packed_is_unpacked_whatever_the_cuts_and_the_name() {
    let text = text();
    for kind in KINDS {
        let packed = pack(kind, &text);
        for (name, size) in [
            ("a.json", usize::MAX),
            ("a.json.gz", 1000),
            ("a.zst", 4096),
            ("a.csv.bz2", 65_536),
            ("a.LZ4", 77),
        ] {
            let out = unpack(name, &packed, size).unwrap();
            assert!(out == text, "{kind:?} as {name} in pieces of {size}");
        }
    }
}

#[test]
fn a_block_of_lz4_takes_no_more_room_than_its_frame_says() {
    let text = text();
    let mut packed = &pack(Compression::Lz4, &text)[..];
    let (mut decoder, mut unpacked) = (Lz4::default(), 0);
    while !packed.is_empty() {
        let mut out = Vec::new();
        packed = &packed[decoder.step(packed, &mut out).unwrap()..];
        assert!(out.capacity() <= 64 << 10, "{} bytes for a block", out.capacity());
        unpacked += out.len();
    }
    assert_eq!(unpacked, text.len());
}

#[test]
fn several_members_frames_and_streams_are_one_file() {
    for kind in KINDS {
        let packed = [pack(kind, b"one,"), pack(kind, b""), pack(kind, b"two")].concat();
        for size in [1, 3, packed.len()] {
            assert_eq!(unpack("a", &packed, size).unwrap(), b"one,two", "{kind:?}, {size}");
        }
    }
}

#[test]
fn a_file_packed_twice_is_unpacked_twice_but_not_for_ever() {
    for outer in KINDS {
        for inner in KINDS {
            let packed = pack(outer, &pack(inner, b"{\"a\":1}"));
            assert_eq!(unpack("a.json.gz", &packed, 5).unwrap(), b"{\"a\":1}");
        }
    }
    let mut packed = b"{\"a\":1}".to_vec();
    for _ in 0..LAYERS_MAX {
        packed = pack(Compression::Gzip, &packed);
    }
    assert!(matches!(unpack("a", &packed, 9), Err(FileProblem::Layers { .. })));
}

#[test]
fn a_name_that_lies_changes_nothing() {
    for name in ["a.gz", "a.zst", "a.bz2", "a.lz4"] {
        assert_eq!(unpack(name, b"{\"a\":1} and more\n", 3).unwrap(), b"{\"a\":1} and more\n");
        assert_eq!(unpack(name, b"x", 1).unwrap(), b"x");
        assert_eq!(unpack(name, b"", 1).unwrap(), b"");
    }
}

#[test]
fn a_cut_off_file_is_damaged_and_says_where() {
    let text = b"{\"symbol\":\"AAPL\",\"close\":189.43}\n".repeat(50);
    for (kind, name) in KINDS.into_iter().zip(["a.gz", "a.zst", "a.bz2", "a.lz4"]) {
        let packed = pack(kind, &text);
        for length in [1, 2, 3, 5, 12, packed.len() / 2, packed.len() - 1] {
            let problem = unpack(name, &packed[..length], 7).unwrap_err();
            let FileProblem::Damaged { compression, offset, .. } = problem else {
                panic!("{kind:?} of {length}: {problem}");
            };
            assert_eq!(compression, kind.as_str());
            assert!(offset <= length as u64, "{kind:?}: {offset} of {length}");
        }
    }
}

#[test]
fn what_stands_behind_the_end_is_no_part_of_the_file() {
    for kind in KINDS {
        let packed = [pack(kind, b"{\"a\":1}").as_slice(), b"and then some text"].concat();
        assert!(unpack("a", &packed, 8).is_err(), "{kind:?}");
    }
}

#[test]
fn frames_of_other_programs_are_passed_over() {
    let foreign = [0x53, 0x2a, 0x4d, 0x18, 3, 0, 0, 0, 1, 2, 3];
    for (kind, name) in [(Compression::Zstd, "a.zst"), (Compression::Lz4, "a.lz4")] {
        let packed = [&foreign, pack(kind, b"a").as_slice(), &foreign].concat();
        for size in [1, 4, packed.len()] {
            assert_eq!(unpack(name, &packed, size).unwrap(), b"a", "{kind:?}, {size}");
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]

    #[test]
    fn any_bytes_come_back(
        bytes in prop::collection::vec(any::<u8>(), 0..3000),
        size in 1_usize..400,
        kind in prop::sample::select(KINDS.to_vec()),
    ) {
        // Bytes that are a packed file by themselves would be unpacked, too.
        prop_assume!(Compression::detect(&bytes, "a") == Compression::None);
        prop_assert_eq!(unpack("a", &pack(kind, &bytes), size).unwrap(), bytes);
    }

    #[test]
    fn damage_never_panics(
        at in 0_usize..400,
        flip in 1_u8..=255,
        size in 1_usize..50,
        kind in prop::sample::select(KINDS.to_vec()),
    ) {
        let mut packed = pack(kind, "{\"symbol\":\"AAPL\",\"close\":189.43}\n".repeat(9).as_bytes());
        let index = at % packed.len();
        packed[index] ^= flip;
        // Damage that no checksum sees may leave it readable.
        let _read = unpack("a", &packed, size);
    }
}
