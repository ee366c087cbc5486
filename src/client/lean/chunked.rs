//! Where a chunked body ends (RFC 9112, section 7.1). Its content is skipped.

/// Digits of a chunk's size: fifteen can't overflow.
const SIZE_DIGITS_MAX: u8 = 15;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum At {
    Size,
    /// After a size: an extension, or the line's end.
    SizeLine,
    Data,
    /// The line's end after a chunk's data.
    DataEnd,
    /// In the trailer section; `empty`: nothing on this line yet.
    Trailer {
        empty: bool,
    },
    Over,
}

#[derive(Debug)]
pub(super) struct Chunked {
    at: At,
    left: u64,
    digits: u8,
}

impl Default for Chunked {
    fn default() -> Self {
        Self { at: At::Size, left: 0, digits: 0 }
    }
}

impl Chunked {
    pub fn is_over(&self) -> bool {
        self.at == At::Over
    }

    /// Takes the bytes that belong to the body and says how many; None when they are no chunks.
    pub fn take(&mut self, bytes: &[u8]) -> Option<usize> {
        let mut at = 0;
        while at < bytes.len() && self.at != At::Over {
            if self.at == At::Data {
                let taken = usize::try_from(self.left).unwrap_or(usize::MAX).min(bytes.len() - at);
                self.left -= taken as u64;
                at += taken;
                if self.left == 0 {
                    self.at = At::DataEnd;
                }
                continue;
            }
            self.byte(bytes[at])?;
            at += 1;
        }
        Some(at)
    }

    /// One byte of what is not data. A bare CR means nothing here: all lines end with LF.
    fn byte(&mut self, byte: u8) -> Option<()> {
        match (self.at, byte) {
            (At::Size, _) if byte.is_ascii_hexdigit() && self.digits < SIZE_DIGITS_MAX => {
                let digit = char::from(byte).to_digit(16)?;
                self.left = self.left * 16 + u64::from(digit);
                self.digits += 1;
            }
            (At::Size, b';' | b' ' | b'\t' | b'\r') if self.digits > 0 => self.at = At::SizeLine,
            (At::Size | At::SizeLine, b'\n') if self.digits > 0 => {
                self.at = if self.left == 0 { At::Trailer { empty: true } } else { At::Data };
                self.digits = 0;
            }
            (At::SizeLine, _) => {}
            (At::DataEnd, b'\r') | (At::Trailer { .. }, b'\r') => {}
            (At::DataEnd, b'\n') => self.at = At::Size,
            (At::Trailer { empty: true }, b'\n') => self.at = At::Over,
            (At::Trailer { .. }, _) => self.at = At::Trailer { empty: byte == b'\n' },
            _ => return None,
        }
        Some(())
    }
}
