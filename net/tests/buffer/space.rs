//! Room: how much there is, how it is made, and what is kept while it is.

use std::io;

use oneloop_net::buffer::{Buffer, BufferFull};

use crate::support::pattern;

/// Readable, writable, prependable.
#[track_caller]
fn assert_sizes(buffer: &Buffer, len: usize, writable: usize, prependable: usize) {
    assert_eq!(buffer.len(), len, "readable");
    assert_eq!(buffer.readable().len(), len);
    assert_eq!(buffer.is_empty(), len == 0);
    assert_eq!(buffer.writable_bytes(), writable, "writable");
    assert_eq!(buffer.prependable_bytes(), prependable, "prependable");
}

fn filled(capacity: usize, len: usize) -> Buffer {
    let mut buffer = Buffer::with_capacity(capacity);
    buffer.extend_from_slice(&pattern(len)).unwrap();
    buffer
}

#[test]
fn new_buffer_has_the_room_it_was_asked_for() {
    assert_sizes(&Buffer::with_capacity(1024), 0, 1024, 8);
    assert_sizes(&Buffer::with_capacity(8), 0, 8, 8);
    assert_sizes(&Buffer::with_capacity(1), 0, 1, 8);
    // Nothing is allocated.
    assert_sizes(&Buffer::with_capacity(0), 0, 0, 0);
    assert_sizes(&Buffer::new(), 0, 0, 0);
    assert_sizes(&Buffer::default(), 0, 0, 0);
}

#[test]
fn appended_bytes_are_taken_in_part_and_in_whole() {
    let mut buffer = filled(1024, 200);
    assert_sizes(&buffer, 200, 824, 8);
    buffer.consume(50);
    assert_sizes(&buffer, 150, 824, 58);
    assert_eq!(buffer.readable(), &pattern(200)[50..]);
    buffer.extend_from_slice(&pattern(200)).unwrap();
    assert_sizes(&buffer, 350, 624, 58);
    buffer.consume(0);
    assert_sizes(&buffer, 350, 624, 58);
    buffer.consume(350);
    // Empty, it has all of its room again.
    assert_sizes(&buffer, 0, 1024, 8);
    buffer.extend_from_slice(&pattern(10)).unwrap();
    buffer.clear();
    assert_sizes(&buffer, 0, 1024, 8);
    buffer.extend_from_slice(&[]).unwrap();
    assert_sizes(&buffer, 0, 1024, 8);
}

#[test]
fn first_append_allocates_what_it_needs() {
    for len in [1, 8, 9, 1000] {
        let mut buffer = Buffer::with_capacity(0);
        buffer.extend_from_slice(&pattern(len)).unwrap();
        assert_sizes(&buffer, len, 0, 8);
        assert_eq!(buffer.readable(), pattern(len));
    }
}

#[test]
fn taken_bytes_stay_where_they_are() {
    let mut buffer = filled(100, 60);
    assert_eq!(buffer.take(61), None);
    assert_eq!(buffer.len(), 60);
    assert_eq!(buffer.take(20).unwrap(), &pattern(60)[..20]);
    assert_eq!(buffer.take(0).unwrap(), &[]);
    assert_eq!(buffer.take(40).unwrap(), &pattern(60)[20..]);
    assert!(buffer.is_empty());
    // The room comes back with the next use.
    buffer.extend_from_slice(&pattern(100)).unwrap();
    assert_sizes(&buffer, 100, 0, 8);
}

#[test]
#[should_panic(expected = "consume(3) of a buffer with 2 readable bytes")]
fn consuming_more_than_is_there_is_a_broken_contract() {
    filled(8, 2).consume(3);
}

#[test]
fn grows_to_twice_its_size_and_keeps_the_bytes() {
    let mut buffer = filled(400, 400);
    buffer.consume(50);
    buffer.extend_from_slice(b"x").unwrap();
    assert_eq!(buffer.readable()[..350], pattern(400)[50..]);
    assert_eq!(buffer.readable()[350..], *b"x");
    assert_sizes(&buffer, 351, 2 * 408 - 8 - 351, 8);
    // More than twice: exactly what is needed.
    let mut buffer = filled(400, 400);
    buffer.extend_from_slice(&pattern(1000)).unwrap();
    assert_sizes(&buffer, 1400, 0, 8);
    assert_eq!(buffer.readable()[400..], pattern(1000));
}

#[test]
fn moves_inside_instead_of_growing() {
    let mut buffer = filled(1024, 800);
    buffer.consume(500);
    assert_sizes(&buffer, 300, 224, 508);
    buffer.extend_from_slice(&pattern(300)).unwrap();
    assert_sizes(&buffer, 600, 424, 8);
    assert_eq!(buffer.readable()[..300], pattern(800)[500..]);
    assert_eq!(buffer.readable()[300..], pattern(300));
}

#[test]
fn reserve_moves_inside_when_that_is_just_enough() {
    for (additional, capacity) in [(724, 1024), (725, 2 * 1032 - 8)] {
        let mut buffer = filled(1024, 1000);
        buffer.consume(700);
        buffer.reserve(additional).unwrap();
        assert_eq!(buffer.capacity(), capacity, "for {additional}");
        assert!(buffer.writable_bytes() >= additional);
        assert_eq!(buffer.readable(), &pattern(1000)[700..]);
    }
    // Room that is there already moves nothing.
    let mut buffer = filled(1024, 800);
    buffer.consume(500);
    buffer.reserve(224).unwrap();
    assert_sizes(&buffer, 300, 224, 508);
}

#[test]
fn many_bytes_are_not_moved_for_few() {
    // One byte taken and one appended, again and again: it grows once instead of moving each time.
    let len = 1 << 20;
    let mut buffer = filled(len, len);
    for _ in 0..20_000 {
        buffer.consume(1);
        buffer.extend_from_slice(b"x").unwrap();
    }
    assert_eq!(buffer.len(), len);
    assert_eq!(buffer.capacity(), 2 * (len + 8) - 8);
}

#[test]
fn shrinks_to_its_bytes_or_to_what_is_asked() {
    let mut buffer = filled(2000, 2000);
    buffer.consume(1500);
    buffer.shrink_to(5000);
    assert_eq!(buffer.capacity(), 2000);
    buffer.shrink_to(700);
    assert_sizes(&buffer, 500, 200, 8);
    buffer.shrink_to(0);
    assert_sizes(&buffer, 500, 0, 8);
    assert_eq!(buffer.readable(), &pattern(2000)[1500..]);
    buffer.consume(500);
    assert_eq!(buffer.capacity(), 500);
    buffer.shrink_to(0);
    assert_sizes(&buffer, 0, 0, 0);
    // And it can be used again.
    buffer.extend_from_slice(b"again").unwrap();
    assert_eq!(buffer.readable(), b"again");
}

#[test]
fn prepends_below_at_and_above_the_reserve() {
    for len in [0, 1, 7, 8, 9, 10, 15, 16, 17, 100, 2000] {
        // Without room behind, with some, and with enough.
        for capacity in [50, 60, 4000] {
            let mut buffer = filled(capacity, 50);
            let header: Vec<u8> = (0..len).map(|at| u8::try_from(at % 251).unwrap()).collect();
            buffer.prepend(&header).unwrap();
            assert_eq!(buffer.readable()[..len], header, "{len}, {capacity}");
            assert_eq!(buffer.readable()[len..], pattern(50), "{len}, {capacity}");
            if len <= 8 {
                assert_sizes(&buffer, 50 + len, capacity - 50, 8 - len);
            } else {
                // The bytes were moved, and there is a reserve before them again.
                assert_eq!(buffer.prependable_bytes(), 8, "{len}, {capacity}");
            }
            if capacity == 4000 {
                assert_eq!(buffer.capacity(), 4000);
            }
        }
    }
}

#[test]
fn prepends_to_an_empty_buffer() {
    for len in [1, 8, 9, 100] {
        let mut buffer = Buffer::new();
        buffer.prepend(&pattern(len)).unwrap();
        assert_eq!(buffer.readable(), pattern(len));
        let mut buffer = filled(20, 20);
        assert!(buffer.take(20).is_some());
        buffer.prepend(&pattern(len)).unwrap();
        assert_eq!(buffer.readable(), pattern(len));
    }
}

type Refused = fn(&mut Buffer) -> Result<(), BufferFull>;

#[test]
fn limit_refuses_and_changes_nothing() {
    let mut buffer = Buffer::new().with_max_bytes(100);
    assert_eq!(buffer.max_bytes(), 100);
    buffer.extend_from_slice(&pattern(90)).unwrap();
    assert_eq!(buffer.remaining_bytes(), 10);
    let refused: [Refused; 5] = [
        |buffer| buffer.extend_from_slice(&[0; 11]),
        |buffer| buffer.prepend(&[0; 11]),
        |buffer| buffer.reserve(11),
        |buffer| buffer.append_u128(0),
        |buffer| buffer.reserve(usize::MAX),
    ];
    for refused in refused {
        let full = refused(&mut buffer).unwrap_err();
        assert!(full.bytes() > 100);
        assert_eq!(full.max_bytes(), 100);
        assert_eq!(buffer.readable(), pattern(90));
    }
    buffer.prepend(&[1; 5]).unwrap();
    buffer.extend_from_slice(&[2; 5]).unwrap();
    assert_eq!(buffer.remaining_bytes(), 0);
    buffer.extend_from_slice(&[]).unwrap();
    // A limit below what is there refuses the next byte alone.
    buffer.set_max_bytes(10);
    assert_eq!(buffer.len(), 100);
    let full = buffer.extend_from_slice(b"x").unwrap_err();
    assert_eq!((full.bytes(), full.max_bytes()), (101, 10));
    buffer.consume(95);
    buffer.extend_from_slice(b"12345").unwrap();
    assert_eq!(buffer.len(), 10);
}

#[test]
fn growth_stops_at_the_limit() {
    let mut buffer = Buffer::new().with_max_bytes(1000);
    buffer.extend_from_slice(&pattern(900)).unwrap();
    buffer.extend_from_slice(&[0]).unwrap();
    assert_eq!(buffer.capacity(), 1000);
    // At the limit it moves however little was taken: it cannot grow.
    buffer.extend_from_slice(&[0; 99]).unwrap();
    buffer.consume(1);
    buffer.extend_from_slice(b"x").unwrap();
    assert_eq!((buffer.len(), buffer.capacity()), (1000, 1000));
}

#[test]
fn error_says_what_and_how_much() {
    let mut buffer = Buffer::new().with_max_bytes(3);
    let full = buffer.extend_from_slice(b"four").unwrap_err();
    assert_eq!(
        full.to_string(),
        "4 bytes do not fit into a buffer of at most 3"
    );
    let error = io::Error::from(full);
    assert_eq!(error.kind(), io::ErrorKind::QuotaExceeded);
    assert!(error.get_ref().unwrap().is::<BufferFull>());
    fn assert_error<E: std::error::Error + Send + Sync + 'static>() {}
    assert_error::<BufferFull>();
    fn assert_send<T: Send + Sync>() {}
    assert_send::<Buffer>();
}

#[test]
fn clone_is_apart_and_debug_keeps_secrets() {
    let mut buffer = filled(100, 10).with_max_bytes(500);
    let clone = buffer.clone();
    buffer.readable_mut()[0] ^= 0xff;
    assert_eq!(clone.readable(), pattern(10));
    assert_eq!(clone.max_bytes(), 500);
    assert_ne!(buffer.readable(), clone.readable());
    let mut secret = Buffer::new();
    secret.extend_from_slice(b"password").unwrap();
    let shown = format!("{secret:?}");
    assert!(
        shown.contains("len: 8") && !shown.contains("pass"),
        "{shown}"
    );
    assert_eq!(Buffer::new().clone().capacity(), 0);
}
