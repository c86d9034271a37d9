//! Connections of one listener, spread over the loops by the default placement.

use std::collections::HashMap;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::sync::{Arc, Mutex};
use std::thread;

use oneloop::net::TcpListener;
use oneloop::runtime::Builder;

use crate::support::within_deadline;

/// Accepts 1,000 connections in one task, one task each, and gives how many each thread serves.
fn served_by(loops: usize) -> Vec<usize> {
    let runtime = Builder::new_multi_thread()
        .worker_threads(loops)
        .build()
        .unwrap();
    let listener = runtime.block_on(TcpListener::bind("127.0.0.1:0")).unwrap();
    let addr = listener.local_addr().unwrap();
    let counts = Arc::new(Mutex::new(HashMap::new()));
    let counting = Arc::clone(&counts);
    drop(runtime.spawn(async move {
        loop {
            let (mut stream, _) = listener.accept().await.unwrap();
            let counting = Arc::clone(&counting);
            drop(oneloop::spawn(async move {
                *counting
                    .lock()
                    .unwrap()
                    .entry(thread::current().id())
                    .or_insert(0) += 1;
                let mut buffer = [0; 64];
                while let Ok(n) = stream.read(&mut buffer).await {
                    if n == 0 || stream.write_all(&buffer[..n]).await.is_err() {
                        break;
                    }
                }
            }));
        }
    }));
    let mut clients: Vec<TcpStream> = (0..1000)
        .map(|_| TcpStream::connect(addr).unwrap())
        .collect();
    for client in &mut clients {
        client.write_all(b"here").unwrap();
        client.read_exact(&mut [0; 4]).unwrap();
    }
    // The metrics tell the same: every connection is a source of its loop.
    let mut of_metrics: Vec<u64>;
    loop {
        of_metrics = runtime
            .metrics()
            .loops()
            .iter()
            .map(|one| one.sources)
            .collect();
        if of_metrics.iter().sum::<u64>() >= 1001 {
            break;
        }
        thread::yield_now();
    }
    let mut served: Vec<usize> = counts.lock().unwrap().values().copied().collect();
    served.sort_unstable();
    println!("{loops} loops serve {served:?} connections; sources by the metrics: {of_metrics:?}");
    served
}

#[test]
fn every_loop_serves_within_a_fifth_of_an_even_share() {
    within_deadline(|| {
        for loops in [1, 2, 4] {
            let served = served_by(loops);
            assert_eq!(served.iter().sum::<usize>(), 1000);
            let even = 1000.0 / loops as f64;
            for &count in &served {
                assert!(
                    (count as f64 - even).abs() / even < 0.2,
                    "{loops} loops: {served:?}"
                );
            }
            assert_eq!(served.len(), loops);
        }
    });
}
