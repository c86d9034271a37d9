//! Integers in network order.

use oneloop_net::buffer::Buffer;

macro_rules! round_trip {
    ($($Integer:ident $peek:ident $read:ident $append:ident $prepend:ident;)+) => {$({
        let mut pattern = 0x80_u8;
        let mixed = $Integer::from_be_bytes([0; size_of::<$Integer>()].map(|_: u8| {
            pattern += 1;
            pattern
        }));
        let values = [$Integer::MIN, $Integer::MAX, 0, 1, (0 as $Integer).wrapping_sub(2), mixed];
        for value in values {
            let mut buffer = Buffer::new();
            buffer.extend_from_slice(b"-").unwrap();
            buffer.$append(value).unwrap();
            buffer.$prepend(value).unwrap();
            let bytes = value.to_be_bytes();
            assert_eq!(buffer.readable(), [&bytes[..], b"-", &bytes].concat());
            assert_eq!(buffer.$peek(), Some(value));
            assert_eq!(buffer.$read(), Some(value));
            assert_eq!(buffer.read_u8(), Some(b'-'));
            assert_eq!(buffer.$peek(), Some(value));
            assert_eq!(buffer.$read(), Some(value));
            assert!(buffer.is_empty());
            // One byte too few: nothing is taken.
            buffer.extend_from_slice(&bytes[1..]).unwrap();
            assert_eq!(buffer.$peek(), None);
            assert_eq!(buffer.$read(), None);
            assert_eq!(buffer.len(), bytes.len() - 1);
        }
    })+};
}

#[test]
fn all_widths_go_in_and_come_out() {
    round_trip! {
        u8 peek_u8 read_u8 append_u8 prepend_u8;
        u16 peek_u16 read_u16 append_u16 prepend_u16;
        u32 peek_u32 read_u32 append_u32 prepend_u32;
        u64 peek_u64 read_u64 append_u64 prepend_u64;
        u128 peek_u128 read_u128 append_u128 prepend_u128;
        i8 peek_i8 read_i8 append_i8 prepend_i8;
        i16 peek_i16 read_i16 append_i16 prepend_i16;
        i32 peek_i32 read_i32 append_i32 prepend_i32;
        i64 peek_i64 read_i64 append_i64 prepend_i64;
        i128 peek_i128 read_i128 append_i128 prepend_i128;
    }
}

#[test]
fn negative_numbers_keep_their_sign() {
    let mut buffer = Buffer::new();
    buffer.append_i16(-2).unwrap();
    buffer.append_i32(-3).unwrap();
    assert_eq!(buffer.readable(), [0xff, 0xfe, 0xff, 0xff, 0xff, 0xfd]);
    assert_eq!(buffer.peek_u16(), Some(0xfffe));
    assert_eq!(buffer.read_i16(), Some(-2));
    assert_eq!(buffer.read_i32(), Some(-3));
}

#[test]
fn prepended_length_uses_the_reserve() {
    let mut buffer = Buffer::with_capacity(100);
    buffer.extend_from_slice(b"body").unwrap();
    buffer.prepend_u64(4).unwrap();
    assert_eq!(buffer.prependable_bytes(), 0);
    assert_eq!(buffer.writable_bytes(), 96);
    // Beyond the reserve the bytes are moved, and nothing is lost.
    buffer.prepend_u8(7).unwrap();
    assert_eq!(buffer.readable(), b"\x07\0\0\0\0\0\0\0\x04body");
}
