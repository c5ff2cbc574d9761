//! Matching by road: a provider that answers, one that answers nonsense, one that is slow, and one that is away.

use super::matching::{SINTRA, Town, at, somebody, way};
use crate::harness::{TestDatabase, for_each_backend};
use parking_lot::Mutex;
use serde_json::{Value, json};
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tripsync::distance::{DistanceError, Distances, Osrm};

for_each_backend!(roads_decide_what_is_near, the_great_circle_stands_in);

/// What a provider says to a request for distances to so many places: status line and body; `None`: nothing, for ever.
type Says = Box<dyn Fn(usize) -> Option<(&'static str, String)> + Send + Sync>;

/// A provider on the loopback interface.
struct Provider {
    url: String,
    asked: Arc<Mutex<Vec<String>>>,
    task: tokio::task::JoinHandle<()>,
}

impl Provider {
    async fn start(says: Says) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/osrm/", listener.local_addr().unwrap());
        let (asked, says) = (Arc::new(Mutex::new(Vec::new())), Arc::new(says));
        let seen = Arc::clone(&asked);
        let task = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(answer(stream, Arc::clone(&seen), Arc::clone(&says)));
            }
        });
        Self { url, asked, task }
    }

    fn distances(&self) -> Osrm {
        Osrm::new(&self.url, Duration::from_secs(3)).unwrap()
    }

    /// The addresses that were asked for since the last time.
    fn asked(&self) -> Vec<String> {
        std::mem::take(&mut *self.asked.lock())
    }
}

impl Drop for Provider {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn answer(mut stream: TcpStream, asked: Arc<Mutex<Vec<String>>>, says: Arc<Says>) {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        match stream.read_u8().await {
            Ok(byte) => head.push(byte),
            Err(_) => return,
        }
    }
    let head = String::from_utf8(head).unwrap();
    let path = head.split(' ').nth(1).unwrap().to_owned();
    let places = path.matches(';').count();
    asked.lock().push(path);
    let Some((status, body)) = says(places) else { return std::future::pending().await };
    let text = format!("HTTP/1.1 {status}\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{body}", body.len());
    // Who has hung up needs no answer.
    let _ = stream.write_all(text.as_bytes()).await;
}

/// Every place is so far away; none: no road leads there.
fn table(metres: Option<f64>) -> Says {
    Box::new(move |places| {
        let row: Vec<Value> = std::iter::once(json!(0)).chain((0..places).map(|_| json!(metres))).collect();
        let body = json!({"code": "Ok", "distances": [row], "sources": [{"hint": "x", "location": [1.0, 2.0], "name": "Rua"}]});
        Some(("200 OK", body.to_string()))
    })
}

fn says(status: &'static str, body: &str) -> Says {
    let body = body.to_owned();
    Box::new(move |_| Some((status, body.clone())))
}

async fn roads_decide_what_is_near(database: TestDatabase) {
    let town = Town::on(&database).await;
    let one = town.ride(&somebody(), way(), 1).await;
    // A kilometre to the north, at both ends.
    let (from, to) = way();
    let shifted = (at(from.lat() + 0.009, from.lon()), at(to.lat() + 0.009, to.lon()));
    let other = town.ride(&somebody(), shifted, 1).await;
    assert_eq!(town.matched(other).await, [one]);
    for (metres, near) in [(Some(4_999.9), true), (Some(5_000.0), true), (Some(5_000.1), false), (Some(1e9), false), (None, false)] {
        let provider = Provider::start(table(metres)).await;
        let found = town.matched_by(&provider.distances(), other).await;
        assert_eq!(!found.is_empty(), near, "{metres:?}");
        let mut asked = provider.asked();
        asked.sort_unstable();
        let table = |here: (f64, f64)| {
            let (lat, lon) = here;
            format!("/osrm/table/v1/driving/{lon:.6},{:.6};{lon:.6},{lat:.6}?sources=0&annotations=distance", lat + 0.009)
        };
        let mut wanted = [table((from.lat(), from.lon())), table(SINTRA)];
        wanted.sort_unstable();
        assert_eq!(asked, wanted);
    }
    // Nobody is nearer than the birds fly, though the next road may be.
    let provider = Provider::start(table(Some(0.0))).await;
    let near = provider.distances().metres(from, &[to]).await.unwrap();
    assert_eq!(near, [Some(0.0)]);
    assert_eq!(town.metres_by(&provider.distances(), other).await, [town.metres_by(&tripsync::distance::GreatCircle, other).await[0]]);
    // Who is beyond by the great circle is not asked for.
    let far = town.ride(&somebody(), (at(from.lat() + 0.1, from.lon()), to), 1).await;
    assert_eq!(town.matched_by(&provider.distances(), far).await, []);

    // A hundred candidates are one question per end, of as many places as a provider takes.
    for _ in 0..110 {
        town.ride(&somebody(), way(), 1).await;
    }
    provider.asked();
    assert_eq!(town.matched_by(&provider.distances(), one).await.len(), 20);
    let asked = provider.asked();
    assert_eq!(asked.iter().map(|path| path.matches(';').count()).collect::<Vec<_>>(), [99, 99], "{asked:?}");
    town.end().await;
}

async fn the_great_circle_stands_in(database: TestDatabase) {
    let town = Town::on(&database).await;
    let one = town.ride(&somebody(), way(), 1).await;
    let other = town.ride(&somebody(), way(), 1).await;
    let pool = town.pool(&somebody(), way(), 600_000, 1).await;
    let broken: Vec<(&str, Says)> = vec![
        ("an error", says("400 Bad Request", r#"{"code":"NoSegment","message":"Could not find a matching segment"}"#)),
        ("a failure", says("503 Service Unavailable", "")),
        ("a redirect", says("302 Found\r\nlocation: http://127.0.0.1:9/", "")),
        ("no JSON", says("200 OK", "<html>")),
        ("no table", says("200 OK", r#"{"code":"Ok"}"#)),
        ("another code", says("200 OK", r#"{"code":"NoTable","distances":[[0,1]]}"#)),
        ("too few", says("200 OK", r#"{"code":"Ok","distances":[[0]]}"#)),
        ("too many", says("200 OK", r#"{"code":"Ok","distances":[[0,9e9,9e9,9e9]]}"#)),
        ("no numbers", says("200 OK", r#"{"code":"Ok","distances":[[0,"9e9"]]}"#)),
        ("negative ones", says("200 OK", r#"{"code":"Ok","distances":[[0,-9e9]]}"#)),
        ("too large ones", says("200 OK", r#"{"code":"Ok","distances":[[0,1e999]]}"#)),
        ("no rows", says("200 OK", r#"{"code":"Ok","distances":[]}"#)),
        ("a flood", says("200 OK", &format!("{{\"code\":\"{}\"}}", "x".repeat(1 << 20)))),
    ];
    for (name, says) in broken {
        let provider = Provider::start(says).await;
        for room in [one, pool] {
            let found = town.matched_by(&provider.distances(), room).await;
            assert_eq!(found.len(), 2, "{name}: {found:?}");
            assert_eq!(provider.asked().len(), 1, "{name}: who does not know is not asked again");
        }
    }
    assert_eq!(town.matched(other).await.len(), 2);

    // One that never answers is given up after its time, one that is not there at once; neither says where somebody lives.
    let silent = Provider::start(Box::new(|_| None)).await;
    let slow = Osrm::new(&silent.url, Duration::from_millis(50)).unwrap();
    assert_eq!(town.matched_by(&slow, one).await.len(), 2);
    assert!(matches!(slow.metres(way().0, &[way().1]).await, Err(DistanceError::Slow)));
    let away = silent.distances();
    drop(silent);
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let nobody = Osrm::new(&format!("http://{}", listener.local_addr().unwrap()), Duration::from_secs(3)).unwrap();
    drop(listener);
    for gone in [away, nobody] {
        assert_eq!(town.matched_by(&gone, one).await.len(), 2);
        let error = gone.metres(way().0, &[way().1]).await.unwrap_err();
        assert!(matches!(error, DistanceError::Unreachable(_)), "{error:?}");
        assert!(!tripsync::telemetry::chain(&error).contains("38.7"), "{error:?}");
        assert!(!format!("{error:?}").contains("38.7"), "{error:?}");
    }
    town.end().await;
}
