//! The gRPC service: messages, and the code that the build script makes.

/// Whom to greet, and how often.
#[derive(Clone, PartialEq, prost::Message)]
pub struct Name {
    /// Whom.
    #[prost(string, tag = "1")]
    pub name: String,
    /// How often.
    #[prost(uint32, tag = "2")]
    pub times: u32,
}

/// What is said.
#[derive(Clone, PartialEq, prost::Message)]
pub struct Greeting {
    /// The words.
    #[prost(string, tag = "1")]
    pub text: String,
}

#[allow(missing_docs, reason = "generated")]
mod generated {
    include!(concat!(env!("OUT_DIR"), "/apps.Greeter.rs"));
}

pub use generated::{greeter_client, greeter_server};
