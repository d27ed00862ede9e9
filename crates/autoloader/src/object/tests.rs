//! Objects as landing writes them, and every way one can be damaged.

use model::landing::LandingKind;

use super::*;

/// The key of an object of the test topic.
pub(crate) fn key(partition: u32, first_offset: u64, kind: LandingKind) -> LandingKey {
    LandingKey { generation: 0, topic: "intraday".to_owned(), partition, first_offset, kind }
}

/// Seals `lines`, each without its newline, as landing does.
pub(crate) fn seal(first: u64, next: u64, lines: &[Vec<u8>]) -> Vec<u8> {
    let mut raw = Vec::new();
    for line in lines {
        raw.extend_from_slice(line);
        raw.push(b'\n');
    }
    let count = u64::try_from(lines.len()).unwrap();
    let footer = Footer { first, next, count, sha256: sha256_hex(&raw), last_record_crc: 0 };
    raw.extend_from_slice(footer.to_line().as_bytes());
    zstd::bulk::compress(&raw, 1).unwrap()
}

fn records(first: u64) -> LandingKey {
    key(0, first, LandingKind::Records)
}

#[test]
fn lines_come_back_as_they_were_sealed() {
    let lines = vec![b"one".to_vec(), Vec::new(), b"\xff three".to_vec()];
    let rows = verify_object(&records(4), &seal(4, 9, &lines)).unwrap();
    assert_eq!(rows.lines().map(<[u8]>::to_vec).collect::<Vec<_>>(), lines);
    assert_eq!((rows.footer().first, rows.footer().next), (4, 9));
    let gap = verify_object(&key(0, 4, LandingKind::Gap), &seal(4, 9, &[])).unwrap();
    assert_eq!(gap.lines().count(), 0);
}

#[test]
fn an_object_without_compression_is_read_too() {
    let footer =
        Footer { first: 4, next: 9, count: 0, sha256: sha256_hex(b""), last_record_crc: 0 };
    let gap = key(0, 4, LandingKind::Gap);
    assert!(verify_object(&gap, footer.to_line().as_bytes()).is_ok());
}

#[test]
fn every_cut_and_every_flipped_byte_is_noticed() {
    let lines: Vec<Vec<u8>> = (0..50).map(|n| format!("line {n}").into_bytes()).collect();
    let whole = seal(0, 50, &lines);
    for cut in 0..whole.len() {
        let error = verify_object(&records(0), &whole[..cut]).unwrap_err();
        assert_eq!(error.kind(), model::ErrorKind::Data, "cut at {cut}");
    }
    for place in 0..whole.len() {
        let mut damaged = whole.clone();
        damaged[place] ^= 1;
        // A flip may hit a bit of the frame that means nothing; the lines must be right then.
        if let Ok(rows) = verify_object(&records(0), &damaged) {
            assert!(rows.lines().eq(lines.iter().map(Vec::as_slice)), "flip at {place}");
        }
    }
}

#[test]
fn names_footers_and_lines_must_agree() {
    let lines = vec![b"one".to_vec()];
    for (bytes, expected) in [
        (seal(1, 2, &lines), "the name says first offset 0, the footer 1"),
        (seal(0, 0, &[]), "offsets 0 to 0 cannot hold 0 records"),
        (seal(0, 1, &[lines[0].clone(), lines[0].clone()]), "offsets 0 to 1 cannot hold 2 records"),
        (
            zstd::bulk::compress(b"{}\n", 1).unwrap(),
            "the last line is no footer; the object is truncated",
        ),
        (Vec::new(), "the last line is no footer; the object is truncated"),
    ] {
        let Err(Error::Object { source, .. }) = verify_object(&records(0), &bytes) else {
            panic!("accepted; expected {expected}");
        };
        assert_eq!(source.to_string(), expected);
    }
}
