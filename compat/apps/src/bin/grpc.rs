//! tonic: a unary and a streaming call. `grpc` serves, `grpc ADDRESS` calls.

use std::pin::Pin;
use std::time::Duration;

use apps::greeter::greeter_client::GreeterClient;
use apps::greeter::greeter_server::{Greeter, GreeterServer};
use apps::greeter::{Greeting, Name};
use futures_util::{Stream, StreamExt, stream};
use tonic::transport::Server;
use tonic::transport::server::TcpIncoming;
use tonic::{Request, Response, Status};

struct Host;

#[tonic::async_trait]
impl Greeter for Host {
    async fn greet(&self, request: Request<Name>) -> Result<Response<Greeting>, Status> {
        let name = request.into_inner().name;
        if name.is_empty() {
            return Err(Status::invalid_argument("nobody to greet"));
        }
        Ok(Response::new(Greeting {
            text: format!("hello {name}"),
        }))
    }

    type CountStream = Pin<Box<dyn Stream<Item = Result<Greeting, Status>> + Send>>;

    async fn count(&self, request: Request<Name>) -> Result<Response<Self::CountStream>, Status> {
        let Name { name, times } = request.into_inner();
        let greetings = stream::iter(0..times).then(move |number| {
            let text = format!("{name} {number}");
            async move {
                tokio::time::sleep(Duration::from_millis(1)).await;
                Ok(Greeting { text })
            }
        });
        Ok(Response::new(Box::pin(greetings)))
    }
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    match std::env::args().nth(1) {
        Some(address) => call(address).await,
        None => {
            let incoming = TcpIncoming::from(apps::listen().await?);
            Server::builder()
                .add_service(GreeterServer::new(Host))
                .serve_with_incoming_shutdown(incoming, apps::asked_to_end())
                .await?;
            Ok(())
        }
    }
}

async fn call(address: String) -> Result<(), Box<dyn std::error::Error>> {
    let mut client = GreeterClient::connect(format!("http://{address}")).await?;
    let name = |name: &str, times| Name {
        name: name.to_owned(),
        times,
    };
    println!(
        "{}",
        client.greet(name("world", 1)).await?.into_inner().text
    );
    let refused = client.greet(name("", 1)).await.expect_err("it is refused");
    println!("{}", refused.message());
    let mut greetings = client.count(name("number", 3)).await?.into_inner();
    while let Some(greeting) = greetings.next().await {
        println!("{}", greeting?.text);
    }
    Ok(())
}
