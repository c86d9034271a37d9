//! Random operations against a plain `Vec<u8>`.

use std::io;
use std::io::IoSliceMut;

use oneloop_net::buffer::Buffer;

use crate::support::Random;

const SEEDS: u64 = 200;
const OPERATIONS: usize = 400;

#[test]
#[allow(clippy::print_stdout, reason = "shown if the test fails")]
fn behaves_as_a_vector() {
    for seed in 0..SEEDS {
        println!("seed {seed}");
        let mut random = Random::new(seed);
        let max_bytes = [50, 1000, 100_000, usize::MAX][random.below(4)];
        let mut buffer = Buffer::with_capacity([0, 8, 1024][random.below(3)]);
        buffer.set_max_bytes(max_bytes);
        let mut model = Vec::new();
        for _ in 0..OPERATIONS {
            step(&mut random, &mut buffer, &mut model);
            assert_eq!(buffer.readable(), model);
            assert_eq!(buffer.len(), model.len());
            assert!(buffer.len() <= buffer.max_bytes());
            let sum = buffer.prependable_bytes() + buffer.len() + buffer.writable_bytes();
            assert!(sum == 0 || sum == buffer.capacity() + Buffer::PREPEND_BYTES);
        }
    }
}

fn step(random: &mut Random, buffer: &mut Buffer, model: &mut Vec<u8>) {
    // Mostly short, now and then long.
    let len_max = [1, 4, 20, 300, 3000][random.below(5)];
    let len = random.below(len_max + 1);
    let bytes = random.bytes(len);
    let fits = model.len() + len <= buffer.max_bytes();
    match random.below(10) {
        0 | 1 => {
            assert_eq!(buffer.extend_from_slice(&bytes).is_ok(), fits);
            if fits {
                model.extend_from_slice(&bytes);
            }
        }
        2 => {
            assert_eq!(buffer.prepend(&bytes).is_ok(), fits);
            if fits {
                model.splice(0..0, bytes);
            }
        }
        3 | 4 => {
            let count = len.min(model.len());
            buffer.consume(count);
            model.drain(..count);
        }
        5 => {
            let taken = (len <= model.len()).then(|| model.drain(..len).collect::<Vec<_>>());
            assert_eq!(buffer.take(len), taken.as_deref());
        }
        6 => {
            assert_eq!(buffer.reserve(len).is_ok(), fits);
            assert!(!fits || buffer.writable_bytes() >= len);
        }
        7 => {
            buffer.shrink_to(len);
            let capacity = buffer.capacity();
            assert!(capacity <= len.max(model.len()) || capacity < len);
        }
        8 => {
            let (from, byte) = (random.below(model.len() + 2), random.bytes(1)[0]);
            let expected = model.iter().skip(from).position(|&it| it == byte);
            let found = buffer.find(&[byte], from);
            assert_eq!(found, expected.map(|at| from + at));
        }
        _ => read(buffer, model, &bytes),
    }
}

/// A read of `bytes`, as much of it as there is room for.
fn read(buffer: &mut Buffer, model: &mut Vec<u8>, bytes: &[u8]) {
    let room = buffer.max_bytes() - model.len();
    let result = buffer.read_with(|room| Ok(scatter(room, bytes)));
    if room == 0 {
        assert_eq!(result.unwrap_err().kind(), io::ErrorKind::QuotaExceeded);
    } else {
        let count = bytes.len().min(room);
        assert_eq!(result.unwrap(), count);
        model.extend_from_slice(&bytes[..count]);
    }
}

/// As readv(2) does it.
pub(crate) fn scatter(room: &mut [IoSliceMut<'_>], mut bytes: &[u8]) -> usize {
    let before = bytes.len();
    for slice in room {
        let count = slice.len().min(bytes.len());
        slice[..count].copy_from_slice(&bytes[..count]);
        bytes = &bytes[count..];
    }
    before - bytes.len()
}
