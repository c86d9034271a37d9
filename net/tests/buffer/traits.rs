//! The buffer as `bytes` and `std::io` know it.

use std::io::{self, Write};

use bytes::{Buf, BufMut};
use oneloop_net::buffer::{Buffer, BufferFull};

use crate::support::pattern;

#[test]
fn buf_takes_from_the_front() {
    let mut buffer = Buffer::try_from(&b"\0\x01\x02\x03rest"[..]).unwrap();
    assert_eq!(buffer.remaining(), 8);
    assert_eq!(buffer.get_u16(), 1);
    assert_eq!(buffer.get_u16_le(), 0x0302);
    assert_eq!(buffer.copy_to_bytes(2), &b"re"[..]);
    assert_eq!(buffer.chunk(), b"st");
    assert!(buffer.try_get_u32().is_err());
    buffer.advance(2);
    assert!(!buffer.has_remaining());
}

#[test]
fn buf_mut_grows_as_it_is_written() {
    let mut buffer = Buffer::new();
    assert_eq!(buffer.remaining_mut(), Buffer::MAX_BYTES_DEFAULT);
    buffer.put_u32_le(0x0403_0201);
    buffer.put_bytes(9, 1000);
    buffer.put(&pattern(5000)[..]);
    assert_eq!(buffer.readable()[..4], [1, 2, 3, 4]);
    assert_eq!(buffer.readable()[4..1004], [9; 1000]);
    assert_eq!(buffer.readable()[1004..], pattern(5000));
}

#[test]
fn chunk_by_chunk_reaches_the_limit_and_no_further() {
    let mut buffer = Buffer::with_capacity(300).with_max_bytes(200);
    let mut written = 0_u8;
    while buffer.has_remaining_mut() {
        let chunk = buffer.chunk_mut();
        assert!(chunk.len() > 0, "an empty chunk where something remains");
        let count = chunk.len().min(7);
        for at in 0..count {
            chunk.write_byte(at, written);
            written += 1;
        }
        // SAFETY: that many bytes of the chunk were just written.
        unsafe { buffer.advance_mut(count) };
    }
    assert_eq!(buffer.readable(), (0..200).collect::<Vec<u8>>());
    assert_eq!(buffer.chunk_mut().len(), 0);
}

#[test]
#[should_panic(expected = "raise max_bytes")]
fn put_beyond_the_limit_is_a_broken_contract() {
    Buffer::new().with_max_bytes(3).put_slice(b"four");
}

#[test]
#[should_panic(expected = "advance_mut(5) in a buffer with room for 4 bytes")]
fn advance_beyond_the_chunk_is_refused() {
    // SAFETY: none: it is the panic that is asked for, and all of the storage is initialised.
    unsafe { Buffer::with_capacity(4).advance_mut(5) };
}

#[test]
fn formats_into_the_buffer() {
    let mut buffer = Buffer::new().with_max_bytes(10);
    write!(buffer, "+{}\r\n", 12345).unwrap();
    assert_eq!(buffer.as_ref(), b"+12345\r\n");
    buffer.flush().unwrap();
    let error = buffer.write(b"abc").unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::QuotaExceeded);
    assert!(error.get_ref().unwrap().is::<BufferFull>());
    assert_eq!(buffer.len(), 8);
}

#[test]
fn copy_from_a_slice_has_the_limit() {
    let too_many = vec![0; Buffer::MAX_BYTES_DEFAULT + 1];
    assert!(Buffer::try_from(&too_many[..]).is_err());
    assert!(Buffer::try_from(&too_many[1..]).is_ok());
}
