//! The redis client: `cache ADDRESS` pipelines, and waits for a message of a channel.

use futures_util::StreamExt;
use redis::AsyncCommands;

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let address = std::env::args().nth(1).expect("cache ADDRESS");
    let client = redis::Client::open(format!("redis://{address}/"))?;
    let mut connection = client.get_multiplexed_async_connection().await?;
    let _: () = connection.set("key", 41).await?;
    let value: i64 = connection.incr("key", 1).await?;
    println!("{value}");
    let mut pipeline = redis::pipe();
    for number in 0..1000 {
        pipeline.rpush("list", number).ignore();
    }
    let _: () = pipeline.query_async(&mut connection).await?;
    let length: u32 = connection.llen("list").await?;
    println!("{length}");
    let mut channel = client.get_async_pubsub().await?;
    channel.subscribe("news").await?;
    let _: () = connection.publish("news", "heard").await?;
    let message = channel.on_message().next().await.expect("a message");
    println!("{}", message.get_payload::<String>()?);
    Ok(())
}
