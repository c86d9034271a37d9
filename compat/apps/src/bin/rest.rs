//! axum: REST, a websocket, spans, and a graceful shutdown.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::extract::ws::{Message, WebSocket, WebSocketUpgrade};
use axum::extract::{Path, State};
use axum::response::Response;
use axum::routing::{any, get, post};
use axum::{Json, Router};
use http::StatusCode;
use serde::{Deserialize, Serialize};
use tower_http::trace::TraceLayer;
use tracing::Instrument;

#[derive(Debug, Clone, Serialize, Deserialize)]
struct Item {
    name: String,
    price: u32,
}

type Items = Arc<Mutex<Vec<Item>>>;

#[tokio::main]
async fn main() -> std::io::Result<()> {
    apps::trace();
    let app = Router::new()
        .route("/items", post(add).get(all))
        .route("/items/{index}", get(one))
        .route("/slow", get(slow))
        .route("/echo", any(upgrade))
        .layer(TraceLayer::new_for_http())
        .with_state(Items::default());
    axum::serve(apps::listen().await?, app)
        .with_graceful_shutdown(apps::asked_to_end())
        .await
}

async fn add(State(items): State<Items>, Json(item): Json<Item>) -> (StatusCode, Json<Item>) {
    items.lock().unwrap().push(item.clone());
    (StatusCode::CREATED, Json(item))
}

async fn all(State(items): State<Items>) -> Json<Vec<Item>> {
    Json(items.lock().unwrap().clone())
}

async fn one(
    State(items): State<Items>,
    Path(index): Path<usize>,
) -> Result<Json<Item>, StatusCode> {
    let item = items.lock().unwrap().get(index).cloned();
    item.map(Json).ok_or(StatusCode::NOT_FOUND)
}

/// Under way when the program is asked to end. Tells so on the standard output.
async fn slow() -> &'static str {
    let work = async {
        tracing::info!("working");
        println!("working");
        tokio::time::sleep(Duration::from_millis(500)).await;
        "done"
    };
    work.instrument(tracing::info_span!("slow")).await
}

async fn upgrade(upgrade: WebSocketUpgrade) -> Response {
    upgrade.on_upgrade(echo)
}

async fn echo(mut socket: WebSocket) {
    while let Some(Ok(message)) = socket.recv().await {
        if matches!(message, Message::Close(_)) || socket.send(message).await.is_err() {
            return;
        }
    }
}
