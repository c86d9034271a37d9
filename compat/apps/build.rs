//! Makes the client and the server of the service in `src/greeter.rs`, without a `.proto` file.

use tonic_build::manual::{Builder, Method, Service};

fn main() {
    let method = |name: &str, route: &str| {
        Method::builder()
            .name(name)
            .route_name(route)
            .input_type("crate::greeter::Name")
            .output_type("crate::greeter::Greeting")
            .codec_path("tonic_prost::ProstCodec")
    };
    let service = Service::builder()
        .name("Greeter")
        .package("apps")
        .method(method("greet", "Greet").build())
        .method(method("count", "Count").server_streaming().build())
        .build();
    Builder::new().compile(&[service]);
}
