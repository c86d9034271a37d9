//! The text protocol as a pure function: bytes in, one command out.

/// The longest key.
pub(crate) const KEY_BYTES_MAX: usize = 250;
/// The longest value.
pub(crate) const VALUE_BYTES_MAX: usize = 1 << 20;
/// The longest line, which a `get` of a hundred keys fits in.
pub(crate) const LINE_BYTES_MAX: usize = 32 * 1024;

/// What stands at the beginning of the input.
#[derive(Debug, PartialEq)]
pub(crate) enum Parsed<'a> {
    /// So many bytes are needed in all, or perhaps more.
    Incomplete(usize),
    /// A command, and how many bytes it takes.
    Command(Command<'a>, usize),
    /// An answer without a command, and how many bytes to skip, which may not all be there yet.
    Refused(&'static str, usize),
    /// The same of a value that is too large: with the key, if it was to replace what is there.
    TooLarge(Option<&'a [u8]>, usize),
    /// It cannot be told where the next command begins: an answer, and the end.
    Hopeless(&'static str),
}

#[derive(Debug, PartialEq)]
pub(crate) enum Command<'a> {
    /// Keys, and whether with their cas numbers.
    Get(Vec<&'a [u8]>, bool),
    Store(Store<'a>),
    Delete(&'a [u8], Reply),
    Count {
        key: &'a [u8],
        by: u64,
        is_up: bool,
        reply: Reply,
    },
    Touch(&'a [u8], i64, Reply),
    Flush(u64, Reply),
    Stats(Part),
    Version,
    Verbosity(Reply),
    Quit,
}

#[derive(Debug, PartialEq)]
pub(crate) struct Store<'a> {
    pub(crate) mode: Mode,
    pub(crate) key: &'a [u8],
    pub(crate) flags: u32,
    pub(crate) exptime: i64,
    pub(crate) value: &'a [u8],
    pub(crate) reply: Reply,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Mode {
    Set,
    Add,
    Replace,
    Append,
    Prepend,
    Cas(u64),
}

/// A part of the statistics.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Part {
    All,
    Reset,
    /// One that a client may ask for and that has nothing here.
    Other,
}

/// Whether the client wants an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Reply {
    Wanted,
    Spared,
}

const ERROR: &str = "ERROR\r\n";
const BAD_LINE: &str = "CLIENT_ERROR bad command line format\r\n";
const BAD_CHUNK: &str = "CLIENT_ERROR bad data chunk\r\n";
const BAD_DELTA: &str = "CLIENT_ERROR invalid numeric delta argument\r\n";
/// The answer to a value that is too large.
pub(crate) const TOO_LARGE: &str = "SERVER_ERROR object too large for cache\r\n";
const TOO_LONG: &str = "CLIENT_ERROR line too long\r\n";

/// Reads the first command of the input.
pub(crate) fn parse(input: &[u8]) -> Parsed<'_> {
    let within = &input[..input.len().min(LINE_BYTES_MAX)];
    let Some(end) = within.iter().position(|&byte| byte == b'\n') else {
        return match input.len() < LINE_BYTES_MAX {
            true => Parsed::Incomplete(input.len() + 1),
            false => Parsed::Hopeless(TOO_LONG),
        };
    };
    let line = input[..end].strip_suffix(b"\r").unwrap_or(&input[..end]);
    let taken = end + 1;
    let mut words = line
        .split(|&byte| byte == b' ')
        .filter(|word| !word.is_empty());
    let Some(name) = words.next() else {
        return Parsed::Refused(ERROR, taken);
    };
    let words: Vec<&[u8]> = words.collect();
    if let Some(mode) = mode(name, &words) {
        return parse_store(input, taken, mode, &words);
    }
    match parse_line(name, &words) {
        Ok(command) => Parsed::Command(command, taken),
        Err(refusal) => Parsed::Refused(refusal, taken),
    }
}

fn mode(name: &[u8], words: &[&[u8]]) -> Option<Mode> {
    Some(match name {
        b"set" => Mode::Set,
        b"add" => Mode::Add,
        b"replace" => Mode::Replace,
        b"append" => Mode::Append,
        b"prepend" => Mode::Prepend,
        // The number is checked with the others.
        b"cas" => Mode::Cas(words.get(4).and_then(|word| number(word)).unwrap_or(0)),
        _ => return None,
    })
}

/// A command with a block of data behind its line.
fn parse_store<'a>(input: &'a [u8], line: usize, mode: Mode, words: &[&'a [u8]]) -> Parsed<'a> {
    let fixed = if matches!(mode, Mode::Cas(_)) { 5 } else { 4 };
    if words.len() < fixed {
        return Parsed::Refused(ERROR, line);
    }
    let numbers = (
        words.get(1).and_then(|word| number(word)),
        words.get(2).and_then(|word| number(word)),
        words.get(3).and_then(|word| number::<usize>(word)),
    );
    let (Some(flags), Some(exptime), Some(len)) = numbers else {
        return Parsed::Refused(BAD_LINE, line);
    };
    // From here on it is known how much to skip: the block belongs to no command.
    let Some(whole) = line.checked_add(len).and_then(|sum| sum.checked_add(2)) else {
        return Parsed::Hopeless(BAD_LINE);
    };
    let is_whole_cas = fixed == 4 || words.get(4).is_some_and(|word| is_number(word));
    if words[0].len() > KEY_BYTES_MAX || words.len() > fixed + 1 || !is_whole_cas {
        return Parsed::Refused(BAD_LINE, whole);
    }
    if len > VALUE_BYTES_MAX {
        return Parsed::TooLarge((mode == Mode::Set).then_some(words[0]), whole);
    }
    if input.len() < whole {
        return Parsed::Incomplete(whole);
    }
    if &input[whole - 2..whole] != b"\r\n" {
        // To the end of this line, so that the next command is found again.
        let rest = input[line..].iter().position(|&byte| byte == b'\n');
        return Parsed::Refused(BAD_CHUNK, rest.map_or(input.len(), |rest| line + rest + 1));
    }
    let store = Store {
        mode,
        key: words[0],
        flags,
        exptime,
        value: &input[line..line + len],
        reply: reply(words.get(fixed)),
    };
    Parsed::Command(Command::Store(store), whole)
}

fn parse_line<'a>(name: &[u8], words: &[&'a [u8]]) -> Result<Command<'a>, &'static str> {
    let key = || match words.first() {
        None => Err(ERROR),
        Some(key) if key.len() > KEY_BYTES_MAX => Err(BAD_LINE),
        Some(key) => Ok(*key),
    };
    Ok(match (name, words) {
        (b"get" | b"gets", []) => return Err(ERROR),
        (b"get" | b"gets", keys) => {
            if keys.iter().any(|key| key.len() > KEY_BYTES_MAX) {
                return Err(BAD_LINE);
            }
            Command::Get(keys.to_vec(), name == b"gets")
        }
        (b"delete", [_] | [_, b"0" | b"noreply"] | [_, b"0", b"noreply"]) => {
            Command::Delete(key()?, reply(words.last()))
        }
        (b"delete", [_, ..]) => {
            return Err("CLIENT_ERROR bad command line format.  Usage: delete <key> [noreply]\r\n");
        }
        (b"incr" | b"decr", [_, by] | [_, by, b"noreply"]) => Command::Count {
            key: key()?,
            by: number(by).ok_or(BAD_DELTA)?,
            is_up: name == b"incr",
            reply: reply(words.get(2)),
        },
        (b"touch", [_, exptime] | [_, exptime, b"noreply"]) => Command::Touch(
            key()?,
            number(exptime).ok_or("CLIENT_ERROR invalid exptime argument\r\n")?,
            reply(words.get(2)),
        ),
        (b"flush_all", [] | [b"noreply"]) => Command::Flush(0, reply(words.first())),
        (b"flush_all", [delay] | [delay, b"noreply"]) => {
            Command::Flush(number(delay).ok_or(BAD_LINE)?, reply(words.get(1)))
        }
        (b"stats", []) => Command::Stats(Part::All),
        (b"stats", [b"reset"]) => Command::Stats(Part::Reset),
        (b"stats", [b"items" | b"slabs" | b"sizes" | b"settings" | b"conns"]) => {
            Command::Stats(Part::Other)
        }
        (b"version", []) => Command::Version,
        // Without a level it is no command, and as in memcached nothing is said of it.
        (b"verbosity", [b"noreply"]) => Command::Verbosity(Reply::Spared),
        (b"verbosity", [level] | [level, _]) => {
            number::<u32>(level).ok_or(BAD_LINE)?;
            Command::Verbosity(reply(words.get(1)))
        }
        (b"quit", []) => Command::Quit,
        _ => return Err(ERROR),
    })
}

fn reply(word: Option<&&[u8]>) -> Reply {
    match word {
        Some(&b"noreply") => Reply::Spared,
        _ => Reply::Wanted,
    }
}

fn number<T: std::str::FromStr>(word: &[u8]) -> Option<T> {
    std::str::from_utf8(word).ok()?.parse().ok()
}

fn is_number(word: &[u8]) -> bool {
    number::<u64>(word).is_some()
}
