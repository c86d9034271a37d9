//! tower-http: the files of a folder, compressed.

use axum::Router;
use tower_http::compression::CompressionLayer;
use tower_http::services::ServeDir;

#[tokio::main]
async fn main() -> std::io::Result<()> {
    let folder = std::env::args().nth(1).expect("files FOLDER");
    let app = Router::new()
        .fallback_service(ServeDir::new(folder))
        .layer(CompressionLayer::new());
    axum::serve(apps::listen().await?, app)
        .with_graceful_shutdown(apps::asked_to_end())
        .await
}
