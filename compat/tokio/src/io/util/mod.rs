//! What can be done with every stream.

mod buf_reader;
mod buf_stream;
mod buf_writer;
mod buffered;
mod constant;
mod copy;
mod ext;
mod forward;
mod mem;
mod op;
mod parts;
mod reading;
mod seeking;
mod writing;

pub use buf_reader::BufReader;
pub use buf_stream::BufStream;
pub use buf_writer::BufWriter;
pub use buffered::{Lines, Split};
pub use constant::{Empty, Repeat, Sink, empty, repeat, sink};
pub use copy::{copy, copy_bidirectional, copy_bidirectional_with_sizes, copy_buf};
pub use ext::{AsyncBufReadExt, AsyncReadExt, AsyncSeekExt, AsyncWriteExt};
pub(super) use forward::{forward_buf_read, forward_read, forward_write};
pub use mem::{DuplexStream, SimplexStream, duplex, simplex};
pub use parts::{Chain, Take};

/// The size of a buffer of which nothing was said.
const BUFFER_BYTES: usize = 8 * 1024;
