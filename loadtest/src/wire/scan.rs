//! A cursor over MessagePack that skips what nobody asked for.

/// Deepest nesting that is skipped; the server nests far less.
const DEPTH_MAX: u32 = 128;

/// The rest of the bytes. Every reader takes one value and returns `None` when there is none of its kind.
#[derive(Clone, Copy)]
pub(crate) struct Scan<'a>(&'a [u8]);

impl<'a> Scan<'a> {
    pub(crate) const fn new(bytes: &'a [u8]) -> Self {
        Self(bytes)
    }

    /// What is left.
    pub(crate) const fn rest(&self) -> &'a [u8] {
        self.0
    }

    fn byte(&mut self) -> Option<u8> {
        let (first, rest) = self.0.split_first()?;
        self.0 = rest;
        Some(*first)
    }

    fn take(&mut self, length: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(length)?;
        self.0 = rest;
        Some(taken)
    }

    /// A big-endian number of 1 to 8 bytes.
    fn number(&mut self, bytes: usize) -> Option<u64> {
        Some(self.take(bytes)?.iter().fold(0, |sum, byte| (sum << 8) | u64::from(*byte)))
    }

    fn length(&mut self, bytes: usize) -> Option<usize> {
        usize::try_from(self.number(bytes)?).ok()
    }

    /// Pairs of a map.
    pub(crate) fn map(&mut self) -> Option<u32> {
        match self.byte()? {
            byte @ 0x80..=0x8f => Some(u32::from(byte & 0x0f)),
            0xde => u32::try_from(self.number(2)?).ok(),
            0xdf => u32::try_from(self.number(4)?).ok(),
            _ => None,
        }
    }

    /// Items of an array.
    pub(crate) fn array(&mut self) -> Option<u32> {
        match self.byte()? {
            byte @ 0x90..=0x9f => Some(u32::from(byte & 0x0f)),
            0xdc => u32::try_from(self.number(2)?).ok(),
            0xdd => u32::try_from(self.number(4)?).ok(),
            _ => None,
        }
    }

    pub(crate) fn str(&mut self) -> Option<&'a str> {
        let length = match self.byte()? {
            byte @ 0xa0..=0xbf => usize::from(byte & 0x1f),
            0xd9 => self.length(1)?,
            0xda => self.length(2)?,
            0xdb => self.length(4)?,
            _ => return None,
        };
        std::str::from_utf8(self.take(length)?).ok()
    }

    pub(crate) fn uint(&mut self) -> Option<u64> {
        match self.byte()? {
            byte @ 0..=0x7f => Some(u64::from(byte)),
            0xcc => self.number(1),
            0xcd => self.number(2),
            0xce => self.number(4),
            0xcf => self.number(8),
            _ => None,
        }
    }

    pub(crate) fn bool(&mut self) -> Option<bool> {
        match self.byte()? {
            0xc2 => Some(false),
            0xc3 => Some(true),
            _ => None,
        }
    }

    /// A UUID, which is 16 bytes.
    pub(crate) fn id(&mut self) -> Option<u128> {
        let before = *self;
        if self.byte()? == 0xc4 && self.byte()? == 16 {
            return Some(u128::from_be_bytes(self.take(16)?.try_into().ok()?));
        }
        *self = before;
        self.skip()?;
        None
    }

    /// The bytes of one value.
    pub(crate) fn value(&mut self) -> Option<&'a [u8]> {
        let start = self.0;
        self.skip()?;
        Some(&start[..start.len() - self.0.len()])
    }

    /// Passes over one value.
    pub(crate) fn skip(&mut self) -> Option<()> {
        self.skip_within(DEPTH_MAX)
    }

    fn skip_within(&mut self, depth: u32) -> Option<()> {
        let depth = depth.checked_sub(1)?;
        let (bytes, values) = match self.byte()? {
            0..=0x7f | 0xe0..=0xff | 0xc0..=0xc3 => (0, 0),
            byte @ 0x80..=0x8f => (0, u64::from(byte & 0x0f) * 2),
            byte @ 0x90..=0x9f => (0, u64::from(byte & 0x0f)),
            byte @ 0xa0..=0xbf => (usize::from(byte & 0x1f), 0),
            0xc4 | 0xd9 => (self.length(1)?, 0),
            0xc5 | 0xda => (self.length(2)?, 0),
            0xc6 | 0xdb => (self.length(4)?, 0),
            0xc7 => (self.length(1)?.checked_add(1)?, 0),
            0xc8 => (self.length(2)?.checked_add(1)?, 0),
            0xc9 => (self.length(4)?.checked_add(1)?, 0),
            0xcc | 0xd0 => (1, 0),
            0xcd | 0xd1 | 0xd4 => (2, 0),
            0xd5 => (3, 0),
            0xca | 0xce | 0xd2 => (4, 0),
            0xd6 => (5, 0),
            0xcb | 0xcf | 0xd3 => (8, 0),
            0xd7 => (9, 0),
            0xd8 => (17, 0),
            0xdc => (0, self.number(2)?),
            0xdd => (0, self.number(4)?),
            0xde => (0, self.number(2)? * 2),
            0xdf => (0, self.number(4)? * 2),
        };
        self.take(bytes)?;
        for _ in 0..values {
            self.skip_within(depth)?;
        }
        Some(())
    }
}
