//! tokio-tungstenite: echo.

use futures_util::{SinkExt, StreamExt};

#[tokio::main]
async fn main() -> std::io::Result<()> {
    let listener = apps::listen().await?;
    loop {
        let (stream, _) = tokio::select! {
            accepted = listener.accept() => accepted?,
            () = apps::asked_to_end() => return Ok(()),
        };
        tokio::spawn(async move {
            let Ok(socket) = tokio_tungstenite::accept_async(stream).await else {
                return;
            };
            let (mut output, mut input) = socket.split();
            while let Some(Ok(message)) = input.next().await {
                if message.is_close() || output.send(message).await.is_err() {
                    return;
                }
            }
        });
    }
}
