//! Where a page of a list ended, as a text that clients hand back unread.
//!
//! It bears a checksum over the list it belongs to: a cursor that was changed, or is used with other filters,
//! is refused. That guards against mistakes, not against forgers, who would gain nothing: what a
//! visitor may see is decided anew for each page.

use crate::domain::page::Position;
use crate::web::secret::{from_hex, hex, sha256};

/// Bytes of the checksum.
const CHECK: usize = 8;

/// `list`: the address with everything that decides what is in the list, and in what order.
pub fn write(list: &str, position: Position) -> String {
    let bytes = bytes(position);
    format!("{}{}", hex(&bytes), hex(&check(list, &bytes)))
}

/// None for what [`write()`] has not written for this list.
pub fn read(list: &str, text: &str) -> Option<Position> {
    let all = from_hex(text)?;
    let (position, sum) = all.split_at_checked(16)?;
    let number = |bytes: &[u8]| Some(i64::from_be_bytes(bytes.try_into().ok()?));
    let found = Position { key: number(&position[..8])?, number: number(&position[8..])? };
    // The text is compared, not its value: hex in capitals is none of ours either.
    (sum.len() == CHECK && write(list, found) == text).then_some(found)
}

fn bytes(position: Position) -> [u8; 16] {
    let mut bytes = [0; 16];
    bytes[..8].copy_from_slice(&position.key.to_be_bytes());
    bytes[8..].copy_from_slice(&position.number.to_be_bytes());
    bytes
}

fn check(list: &str, position: &[u8]) -> [u8; CHECK] {
    let mut sum = [0; CHECK];
    let text = [b"roundtrip cursor\n", list.as_bytes(), b"\n", position].concat();
    sum.copy_from_slice(&sha256(&text)[..CHECK]);
    sum
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn a_cursor_reads_back_for_its_own_list_alone(key: i64, number: i64) {
            let position = Position { key, number };
            let text = write("/orders?sort=placed", position);
            prop_assert_eq!(read("/orders?sort=placed", &text), Some(position));
            prop_assert_eq!(read("/orders?sort=total", &text), None);
        }

        #[test]
        fn a_cursor_with_one_character_changed_is_none(key: i64, number: i64, at in 0_usize..48, to in "[0-9a-fA-F]") {
            let text = write("/orders", Position { key, number });
            let mut changed = text.clone();
            changed.replace_range(at..=at, &to);
            prop_assume!(changed != text);
            prop_assert_eq!(read("/orders", &changed), None);
        }

        #[test]
        fn any_text_is_read_without_harm(text in "\\PC{0,60}") {
            let _ = read("/orders", &text);
        }
    }
}
