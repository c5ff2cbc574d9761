//! A Redis whose answers wait behind messages without end.

use super::{LIMIT, node, options};
use crate::harness::eventually;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tripsync::cluster::{RedisBus, RedisOptions};

/// Half a second of messages is no silence: a receiver that gave the connection up would lose them all, and come back to as many.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_hears_messages_does_not_give_up_over_an_answer_that_is_late() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("redis://{}", listener.local_addr().unwrap());
    // The most signs of life that were asked for over one connection.
    let asked = Arc::new(AtomicU32::new(0));
    let seen = Arc::clone(&asked);
    tokio::spawn(async move {
        while let Ok((socket, _)) = listener.accept().await {
            tokio::spawn(flood(socket, Arc::clone(&seen)));
        }
    });
    let options = RedisOptions { call_timeout: Duration::from_millis(500), ..options(&url) };
    let bus = RedisBus::new(&options, node()).unwrap();
    tokio::time::timeout(LIMIT, bus.ready()).await.expect("connected");
    eventually("it asks a second time over the same connection", LIMIT, async || asked.load(Ordering::Relaxed) >= 2).await;
}

/// One connection: everything is answered but PING, and whoever subscribes gets a message every few milliseconds.
async fn flood(mut socket: TcpStream, asked: Arc<AtomicU32>) {
    let (mut unread, mut pings, mut subscribed) = (Vec::new(), 0, false);
    loop {
        let mut answers = Vec::new();
        while let Some(command) = take_command(&mut unread) {
            match command[0].as_str() {
                "PING" => {
                    pings += 1;
                    asked.fetch_max(pings, Ordering::Relaxed);
                }
                "HELLO" => answers.extend_from_slice(b"%1\r\n$5\r\nproto\r\n:3\r\n"),
                "SUBSCRIBE" => {
                    subscribed = true;
                    let channel = &command[1];
                    answers.extend_from_slice(format!(">3\r\n$9\r\nsubscribe\r\n${}\r\n{channel}\r\n:1\r\n", channel.len()).as_bytes());
                }
                _ => answers.extend_from_slice(b"+OK\r\n"),
            }
        }
        if subscribed {
            answers.extend_from_slice(b">3\r\n$7\r\nmessage\r\n$1\r\nx\r\n$5\r\nflood\r\n");
        }
        if socket.write_all(&answers).await.is_err() {
            return;
        }
        if let Ok(Ok(0) | Err(_)) = tokio::time::timeout(Duration::from_millis(5), socket.read_buf(&mut unread)).await {
            return;
        }
    }
}

/// The first whole command of what was read: an array of bulk strings (`*1`, `$4`, `PING`).
fn take_command(unread: &mut Vec<u8>) -> Option<Vec<String>> {
    let text = String::from_utf8(unread.clone()).unwrap();
    let mut lines = text.split("\r\n");
    let count: usize = lines.next()?.strip_prefix('*')?.parse().unwrap();
    let lines: Vec<&str> = lines.collect();
    // After the last line's end comes one more, perhaps empty.
    if lines.len() <= 2 * count {
        return None;
    }
    let words: Vec<String> = lines.chunks(2).take(count).map(|pair| pair[1].to_owned()).collect();
    let taken: usize = text.split("\r\n").take(1 + 2 * count).map(|line| line.len() + 2).sum();
    unread.drain(..taken);
    Some(words)
}
