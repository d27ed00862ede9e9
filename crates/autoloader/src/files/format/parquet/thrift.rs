//! The few things that are read of Thrift's compact protocol: how deep a schema is, and what pages
//! say of their size.

/// Deepest structs beside the schema, which is flat: what is deeper is neither footer nor page.
const STRUCTS_MAX: usize = 16;

/// What the header of a page says of its size.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct PageHeader {
    /// Bytes that it unpacks to.
    pub bytes: i64,
    /// Values that it has, if it is a dictionary.
    pub dictionary: i64,
}

/// Bytes of Thrift's compact protocol that are not yet read.
pub(super) struct Thrift<'a>(pub &'a [u8]);

impl Thrift<'_> {
    /// Returns how deep the schema is; `None` if these are no bytes of a footer.
    pub(super) fn schema_depth(&mut self) -> Option<usize> {
        let mut field = 0;
        loop {
            let kind = self.field(&mut field)?;
            match (field, kind) {
                (_, STOP) => return None,
                (2, LIST) => break,
                _ => self.skip(kind, STRUCTS_MAX)?,
            }
        }
        let (count, kind) = self.list()?;
        if kind != STRUCT {
            return None;
        }
        // Of each group that is open, how many of its children are still to come.
        let (mut open, mut deepest): (Vec<u64>, usize) = (Vec::new(), 0);
        for _ in 0..count {
            let children = self.children()?;
            if let Some(left) = open.last_mut() {
                *left = left.checked_sub(1)?;
            }
            if children != 0 {
                open.push(children);
                deepest = deepest.max(open.len());
            }
            while open.last() == Some(&0) {
                open.pop();
            }
        }
        Some(deepest)
    }

    /// Reads an element of the schema; returns how many children it has.
    fn children(&mut self) -> Option<u64> {
        let (mut field, mut children) = (0, 0);
        loop {
            match self.field(&mut field)? {
                STOP => return Some(children),
                I32 if field == 5 => {
                    let number = self.number()?;
                    // Zigzag: odd numbers are negative.
                    children = (number % 2 == 0).then_some(number / 2)?;
                }
                kind => self.skip(kind, STRUCTS_MAX)?,
            }
        }
    }

    /// Reads the header of a page; `None` if these are no bytes of one, or not all of them.
    pub(super) fn page(&mut self) -> Option<PageHeader> {
        let (mut field, mut page) = (0, PageHeader::default());
        loop {
            match self.field(&mut field)? {
                STOP => return Some(page),
                I32 if field == 2 => page.bytes = self.signed()?,
                STRUCT if field == 7 => page.dictionary = self.dictionary()?,
                kind => self.skip(kind, STRUCTS_MAX)?,
            }
        }
    }

    /// Reads the header of a dictionary; returns how many values it has.
    fn dictionary(&mut self) -> Option<i64> {
        let (mut field, mut values) = (0, 0);
        loop {
            match self.field(&mut field)? {
                STOP => return Some(values),
                I32 if field == 1 => values = self.signed()?,
                kind => self.skip(kind, STRUCTS_MAX)?,
            }
        }
    }

    /// Reads the head of a field; returns its kind.
    fn field(&mut self, field: &mut i64) -> Option<u8> {
        let head = self.byte()?;
        if head == STOP {
            return Some(STOP);
        }
        *field = match head >> 4 {
            0 => self.signed()?,
            delta => field.checked_add(delta.into())?,
        };
        Some(head & 0x0f)
    }

    /// Reads the head of a list; returns the count and the kind of its elements.
    fn list(&mut self) -> Option<(u64, u8)> {
        let head = self.byte()?;
        let count = match head >> 4 {
            15 => self.number()?,
            count => count.into(),
        };
        // Each element is a byte at least, so the count cannot be more than what is left.
        (count <= self.0.len() as u64).then_some((count, head & 0x0f))
    }

    fn skip(&mut self, kind: u8, depth: usize) -> Option<()> {
        let depth = depth.checked_sub(1)?;
        match kind {
            1 | 2 => Some(()),
            3 => self.skip_bytes(1),
            4..=6 => self.number().map(drop),
            7 => self.skip_bytes(8),
            8 => {
                let length = self.number()?;
                self.skip_bytes(length)
            }
            LIST | 10 => {
                let (count, kind) = self.list()?;
                // Truth values are a byte each in a list, but the library skips none: it would go on at
                // another place, and read what was not checked. No footer or header has such a list.
                if matches!(kind, 1 | 2) {
                    return None;
                }
                (0..count).try_for_each(|_| self.skip(kind, depth))
            }
            STRUCT => {
                let mut field = 0;
                loop {
                    match self.field(&mut field)? {
                        STOP => return Some(()),
                        kind => self.skip(kind, depth)?,
                    }
                }
            }
            _ => None,
        }
    }

    fn skip_bytes(&mut self, count: u64) -> Option<()> {
        self.0 = self.0.get(usize::try_from(count).ok()?..)?;
        Some(())
    }

    fn byte(&mut self) -> Option<u8> {
        let (first, rest) = self.0.split_first()?;
        self.0 = rest;
        Some(*first)
    }

    /// Reads a number in zigzag: odd ones are negative.
    fn signed(&mut self) -> Option<i64> {
        let number = self.number()?;
        Some((number >> 1).cast_signed() ^ -i64::from(number % 2 == 1))
    }

    fn number(&mut self) -> Option<u64> {
        let mut number = 0;
        for shift in (0..64).step_by(7) {
            let byte = self.byte()?;
            number |= u64::from(byte & 0x7f) << shift;
            if byte & 0x80 == 0 {
                return Some(number);
            }
        }
        None
    }
}

const STOP: u8 = 0;
const I32: u8 = 5;
const LIST: u8 = 9;
const STRUCT: u8 = 12;
