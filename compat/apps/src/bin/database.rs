//! sqlx with SQLite: a table, concurrent writers, a transaction that is rolled back.

use sqlx::Row;
use sqlx::sqlite::{SqliteConnectOptions, SqlitePoolOptions};
use tokio::task::JoinSet;

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let file = std::env::args().nth(1).expect("database FILE");
    let options = SqliteConnectOptions::new()
        .filename(file)
        .create_if_missing(true)
        .busy_timeout(std::time::Duration::from_secs(10));
    let pool = SqlitePoolOptions::new()
        .max_connections(4)
        .connect_with(options)
        .await?;
    sqlx::query("create table numbers (value integer not null)")
        .execute(&pool)
        .await?;
    let mut writers = JoinSet::new();
    for value in 0..100_i64 {
        let pool = pool.clone();
        writers.spawn(async move {
            sqlx::query("insert into numbers values (?)")
                .bind(value)
                .execute(&pool)
                .await
        });
    }
    while let Some(written) = writers.join_next().await {
        written??;
    }
    let mut transaction = pool.begin().await?;
    sqlx::query("delete from numbers")
        .execute(&mut *transaction)
        .await?;
    transaction.rollback().await?;
    let row = sqlx::query("select count(*), sum(value) from numbers")
        .fetch_one(&pool)
        .await?;
    println!("{} {}", row.get::<i64, _>(0), row.get::<i64, _>(1));
    pool.close().await;
    Ok(())
}
