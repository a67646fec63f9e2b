//! Follows the header blocks of an HTTP/2 connection (RFC 7541) and finds what the h2 crate drops silently: a fragment
//! in `:path`, and pseudo-header fields in trailers (RFC 9113 sections 8.1 and 8.3.1).

mod huffman;
mod payload;

use std::collections::VecDeque;

use self::huffman::{HASH, HuffmanReader, PATH};
pub(super) use self::payload::BlockPayload;

/// The largest dynamic table, in bytes: the default of `SETTINGS_HEADER_TABLE_SIZE`, which we do not change.
const LARGEST_TABLE: u32 = 4096;
/// Added to the length of each entry (RFC 7541 section 4.1).
const ENTRY_OVERHEAD: u32 = 32;
/// Entries of the static table; the first 14 are pseudo-header fields.
const STATIC_ENTRIES: u32 = 61;
const STATIC_PSEUDO_ENTRIES: u32 = 14;
/// Entries of the static table for `:path`.
const STATIC_PATHS: [u32; 2] = [4, 5];
/// The lengths of the names of the static table (RFC 7541 appendix A).
const STATIC_NAME_LENGTHS: [u8; STATIC_ENTRIES as usize] = [
    10, 7, 7, 5, 5, 7, 7, 7, 7, 7, 7, 7, 7, 7, 14, 15, 15, 13, 6, 27, 3, 5, 13, 13, 19, 16, 16, 14, 16, 13, 12, 6, 4,
    4, 6, 7, 4, 4, 8, 17, 13, 8, 19, 13, 4, 8, 12, 18, 19, 5, 7, 7, 11, 6, 10, 25, 17, 10, 4, 3, 16,
];

/// What a header block is for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum BlockKind {
    /// The head of a request.
    Head,
    /// The fields after a body.
    Trailers,
}

/// Why a connection is ended.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum BlockFault {
    /// The block cannot be decoded.
    Undecodable,
    /// A pseudo-header field in trailers.
    PseudoInTrailers,
}

/// All header blocks of a connection: they share the dynamic table, so none can be left out.
///
/// A `#` in a `:path` is overwritten with `>`, which no path has, so that h2 refuses the stream as malformed. Both are
/// one byte as a literal and twelve bits in Huffman's code.
#[derive(Debug)]
pub(super) struct HeaderBlocks {
    table: DynamicTable,
    kind: BlockKind,
    state: State,
}

/// The field that is being read.
#[derive(Clone, Copy, Debug)]
struct Field {
    name: Name,
    is_indexed: bool,
}

/// What is known of a field's name.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Name {
    kind: NameKind,
    length: u32,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum NameKind {
    Path,
    OtherPseudo,
    Regular,
}

/// What comes next in the block.
#[derive(Clone, Copy, Debug)]
enum State {
    /// The first byte of a field or of a size update.
    Start,
    /// More bytes of a number.
    Number { value: u32, shift: u32, is: NumberIs },
    /// The first byte of a string's length.
    Length(Role),
    /// This many bytes of a string.
    Text { left: u32, reader: TextReader, role: Role },
}

/// What a number stands for.
#[derive(Clone, Copy, Debug)]
enum NumberIs {
    IndexedField,
    NameOfIndexed,
    NameOfUnindexed,
    TableSize,
    Length { role: Role, is_huffman: bool },
}

/// What a string is.
#[derive(Clone, Copy, Debug)]
enum Role {
    Name { is_indexed: bool },
    Value(Field),
}

/// A string as far as it has been read.
#[derive(Clone, Copy, Debug)]
struct TextReader {
    huffman: Option<HuffmanReader>,
    /// Symbols so far.
    symbols: u32,
    /// How many of them are the beginning of `:path`; they are all of the symbols, or it is another name.
    of_path: u32,
}

impl HeaderBlocks {
    pub(super) fn new() -> Self {
        Self { table: DynamicTable::new(), kind: BlockKind::Head, state: State::Start }
    }

    /// Begins the next block.
    pub(super) fn begin(&mut self, kind: BlockKind) {
        (self.kind, self.state) = (kind, State::Start);
    }

    /// Whether the block may end here: between two fields.
    pub(super) fn may_end(&self) -> bool {
        matches!(self.state, State::Start)
    }

    /// Follows the next bytes of the block.
    pub(super) fn read(&mut self, bytes: &mut [u8]) -> Result<(), BlockFault> {
        let mut at = 0;
        while at < bytes.len() {
            if let State::Text { left, reader, role } = self.state {
                let taken = bytes.len().min(at.saturating_add(usize::try_from(left).unwrap_or(usize::MAX))) - at;
                let left = left - u32::try_from(taken).unwrap_or(left);
                let reader = reader.read(&mut bytes[at..at + taken], role)?;
                at += taken;
                self.state = State::Text { left, reader, role };
                if left == 0 {
                    self.end_text(reader, role)?;
                }
                continue;
            }
            let byte = bytes[at];
            at += 1;
            match self.state {
                State::Start => self.begin_field(byte)?,
                State::Length(role) => {
                    let is = NumberIs::Length { role, is_huffman: byte & 0x80 != 0 };
                    self.begin_number(byte, 7, is)?;
                }
                State::Number { value, shift, is } => {
                    // h2 accepts as many bytes; a number of more than 28 bits is no index and no length.
                    let more = u32::from(byte & 0x7f).checked_shl(shift).filter(|_| shift <= 21);
                    let value = more.and_then(|more| value.checked_add(more)).ok_or(BlockFault::Undecodable)?;
                    if byte & 0x80 == 0 {
                        self.end_number(value, is)?;
                    } else {
                        self.state = State::Number { value, shift: shift + 7, is };
                    }
                }
                State::Text { .. } => {}
            }
        }
        Ok(())
    }

    /// RFC 7541 section 6.
    fn begin_field(&mut self, byte: u8) -> Result<(), BlockFault> {
        match byte {
            0x80.. => self.begin_number(byte, 7, NumberIs::IndexedField),
            0x40..0x80 => self.begin_number(byte, 6, NumberIs::NameOfIndexed),
            0x20..0x40 => self.begin_number(byte, 5, NumberIs::TableSize),
            0..0x20 => self.begin_number(byte, 4, NumberIs::NameOfUnindexed),
        }
    }

    /// RFC 7541 section 5.1.
    fn begin_number(&mut self, byte: u8, prefix: u32, is: NumberIs) -> Result<(), BlockFault> {
        let most = (1_u32 << prefix) - 1;
        let value = u32::from(byte) & most;
        if value < most {
            return self.end_number(value, is);
        }
        self.state = State::Number { value, shift: 0, is };
        Ok(())
    }

    fn end_number(&mut self, value: u32, is: NumberIs) -> Result<(), BlockFault> {
        match is {
            NumberIs::IndexedField => {
                let name = self.table.name(value).ok_or(BlockFault::Undecodable)?;
                self.check(name)?;
                self.state = State::Start;
            }
            NumberIs::NameOfIndexed | NumberIs::NameOfUnindexed => {
                let is_indexed = matches!(is, NumberIs::NameOfIndexed);
                let role = if value == 0 {
                    Role::Name { is_indexed }
                } else {
                    let name = self.table.name(value).ok_or(BlockFault::Undecodable)?;
                    self.check(name)?;
                    Role::Value(Field { name, is_indexed })
                };
                self.state = State::Length(role);
            }
            NumberIs::TableSize => {
                if value > LARGEST_TABLE {
                    return Err(BlockFault::Undecodable);
                }
                self.table.resize(value);
                self.state = State::Start;
            }
            NumberIs::Length { role, is_huffman } => {
                let reader = TextReader { huffman: is_huffman.then(HuffmanReader::default), symbols: 0, of_path: 0 };
                if value == 0 {
                    return self.end_text(reader, role);
                }
                self.state = State::Text { left: value, reader, role };
            }
        }
        Ok(())
    }

    fn end_text(&mut self, reader: TextReader, role: Role) -> Result<(), BlockFault> {
        match role {
            Role::Name { is_indexed } => {
                if reader.huffman.is_some_and(|huffman| !huffman.may_end()) {
                    return Err(BlockFault::Undecodable);
                }
                let name = reader.name();
                self.check(name)?;
                self.state = State::Length(Role::Value(Field { name, is_indexed }));
            }
            Role::Value(field) => {
                if field.needs_symbols() && reader.huffman.is_some_and(|huffman| !huffman.may_end()) {
                    return Err(BlockFault::Undecodable);
                }
                if field.is_indexed {
                    self.table.insert(field.name, reader.symbols);
                }
                self.state = State::Start;
            }
        }
        Ok(())
    }

    fn check(&self, name: Name) -> Result<(), BlockFault> {
        if self.kind == BlockKind::Trailers && name.kind != NameKind::Regular {
            return Err(BlockFault::PseudoInTrailers);
        }
        Ok(())
    }
}

impl Field {
    /// Whether the symbols of the value matter; otherwise its bytes are skipped.
    fn needs_symbols(self) -> bool {
        self.is_indexed || self.name.kind == NameKind::Path
    }
}

impl TextReader {
    /// Reads bytes of the string.
    fn read(mut self, bytes: &mut [u8], role: Role) -> Result<Self, BlockFault> {
        let is_path_value = match role {
            Role::Name { .. } => false,
            Role::Value(field) if !field.needs_symbols() => return Ok(self),
            Role::Value(field) => field.name.kind == NameKind::Path,
        };
        let Some(mut huffman) = self.huffman else {
            for byte in bytes {
                self.count(b":path".get(self.symbols as usize) == Some(byte));
                if is_path_value && *byte == b'#' {
                    *byte = b'>';
                }
            }
            return Ok(self);
        };
        if matches!(role, Role::Value(_)) && !is_path_value {
            self.symbols += huffman.skip(bytes).map_err(|()| BlockFault::Undecodable)?;
            self.huffman = Some(huffman);
            return Ok(self);
        }
        for byte in bytes {
            huffman.push(*byte);
            while let Some(symbol) = huffman.next().map_err(|()| BlockFault::Undecodable)? {
                self.count(PATH.get(self.symbols as usize) == Some(&symbol));
                if is_path_value && symbol == HASH {
                    // `>` is the next code word: the last bit is one instead of zero.
                    *byte |= 1 << huffman.bits_after_symbol();
                }
            }
        }
        self.huffman = Some(huffman);
        Ok(self)
    }

    fn count(&mut self, is_of_path: bool) {
        if is_of_path && self.of_path == self.symbols {
            self.of_path += 1;
        }
        self.symbols += 1;
    }

    /// The string as a name.
    fn name(&self) -> Name {
        let kind = match self.of_path {
            5 if self.symbols == 5 => NameKind::Path,
            0 => NameKind::Regular,
            _ => NameKind::OtherPseudo,
        };
        Name { kind, length: self.symbols }
    }
}

/// The dynamic table (RFC 7541 section 2.3.2), without its texts.
#[derive(Debug)]
struct DynamicTable {
    /// Name and size of each entry, the newest first.
    entries: VecDeque<(Name, u32)>,
    size: u32,
    limit: u32,
}

impl DynamicTable {
    fn new() -> Self {
        Self { entries: VecDeque::new(), size: 0, limit: LARGEST_TABLE }
    }

    /// The name of the entry at this index of both tables; `None` if there is none.
    fn name(&self, index: u32) -> Option<Name> {
        if index > STATIC_ENTRIES {
            let place = usize::try_from(index - STATIC_ENTRIES - 1).ok()?;
            return self.entries.get(place).map(|(name, _)| *name);
        }
        let length = *STATIC_NAME_LENGTHS.get(usize::try_from(index.checked_sub(1)?).ok()?)?;
        let kind = match index {
            _ if STATIC_PATHS.contains(&index) => NameKind::Path,
            ..=STATIC_PSEUDO_ENTRIES => NameKind::OtherPseudo,
            _ => NameKind::Regular,
        };
        Some(Name { kind, length: length.into() })
    }

    fn insert(&mut self, name: Name, value: u32) {
        let size = name.length.saturating_add(value).saturating_add(ENTRY_OVERHEAD);
        self.evict(self.limit.saturating_sub(size));
        if size <= self.limit {
            self.entries.push_front((name, size));
            self.size += size;
        }
    }

    fn resize(&mut self, limit: u32) {
        self.limit = limit;
        self.evict(limit);
    }

    /// Removes the oldest entries until the rest has `most` bytes.
    fn evict(&mut self, most: u32) {
        while self.size > most
            && let Some((_, size)) = self.entries.pop_back()
        {
            self.size -= size;
        }
    }
}

#[cfg(test)]
mod tests;
