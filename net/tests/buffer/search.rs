//! Ends of lines and other marks.

use oneloop_net::buffer::Buffer;

fn of(bytes: &[u8]) -> Buffer {
    Buffer::try_from(bytes).unwrap()
}

#[test]
fn finds_two_in_a_row() {
    let buffer = of(b"ab\r\n\r\ncd");
    assert_eq!(buffer.find_crlf(0), Some(2));
    assert_eq!(buffer.find_crlf(2), Some(2));
    assert_eq!(buffer.find_crlf(3), Some(4));
    assert_eq!(buffer.find_crlf(4), Some(4));
    assert_eq!(buffer.find_crlf(5), None);
    assert_eq!(buffer.find_eol(0), Some(3));
    assert_eq!(buffer.find_eol(4), Some(5));
    assert_eq!(buffer.find(b"\r\n\r\n", 0), Some(2));
    assert_eq!(buffer.find(b"\r\n\r\n", 3), None);
}

#[test]
fn finds_nothing_where_nothing_is() {
    for bytes in [&b""[..], b"abc", b"a\rb", b"\n\r", b"ab\r"] {
        assert_eq!(of(bytes).find_crlf(0), None, "{bytes:?}");
    }
    assert_eq!(of(b"ab\r").find_eol(0), None);
    assert_eq!(of(b"").find_eol(0), None);
}

#[test]
fn search_may_begin_at_the_end_and_beyond() {
    let buffer = of(b"\r\n");
    for from in [2, 3, usize::MAX] {
        assert_eq!(buffer.find_crlf(from), None);
        assert_eq!(buffer.find_eol(from), None);
        assert_eq!(buffer.find(b"\n", from), None);
    }
    assert_eq!(buffer.find(b"", 2), Some(2));
    assert_eq!(buffer.find(b"", 3), None);
}

#[test]
fn sees_readable_bytes_alone() {
    let mut buffer = of(b"\r\nab\r\n");
    buffer.consume(1);
    // The CR is taken; what is left of the old bytes must not be found either.
    assert_eq!(buffer.find_crlf(0), Some(3));
    buffer.consume(buffer.len());
    assert_eq!(buffer.find_crlf(0), None);
    assert_eq!(buffer.find_eol(0), None);
}

#[test]
fn cr_at_the_end_is_completed_later() {
    let mut buffer = of(b"line\r");
    assert_eq!(buffer.find_crlf(0), None);
    buffer.extend_from_slice(b"\n").unwrap();
    assert_eq!(buffer.find_crlf(0), Some(4));
    assert_eq!(buffer.find_crlf(4), Some(4));
}
