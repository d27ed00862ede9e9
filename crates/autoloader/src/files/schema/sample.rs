//! Which files a schema is inferred from: spread over all of them, whatever order they come in.

use crate::files::SourceFile;

/// Picks the files to look into, within `(files, bytes)`, whichever limit is crossed first; in the
/// order of their paths, and one at least.
///
/// Which are picked depends on which files there are and on nothing else. The one with the greatest
/// path comes first, then the one in the middle, then those between: names mostly tell the time, so
/// the newest are seen, and the oldest too, however few may be read. The bytes are a soft limit, as
/// in a batch: the file that crosses it is still taken.
#[must_use]
pub fn sample(files: &[SourceFile], (files_max, bytes_max): (usize, u64)) -> Vec<&SourceFile> {
    let mut sorted: Vec<&SourceFile> = files.iter().collect();
    sorted.sort_by(|left, right| left.path.cmp(&right.path));
    sorted.dedup_by(|left, right| left.path == right.path);

    let mut bytes: u64 = 0;
    let mut picked = Vec::new();
    for at in spread(sorted.len()) {
        if !picked.is_empty() && (files_max <= picked.len() || bytes_max <= bytes) {
            break;
        }
        if let Some(file) = sorted.len().checked_sub(at + 1).and_then(|at| sorted.get(at)) {
            bytes = bytes.saturating_add(file.size);
            picked.push(*file);
        }
    }
    picked.sort_by(|left, right| left.path.cmp(&right.path));
    picked
}

/// Returns the numbers below `count`, each halving the widest gap that those before it left.
fn spread(count: usize) -> impl Iterator<Item = usize> {
    // Counting with the bits in reverse visits halves, then quarters, then eighths.
    let range = count.next_power_of_two();
    let unused = usize::BITS - range.trailing_zeros();
    (0..range)
        .map(move |at| at.reverse_bits().checked_shr(unused).unwrap_or_default())
        .filter(move |at| *at < count)
}

#[cfg(test)]
mod tests;
