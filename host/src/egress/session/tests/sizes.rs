//! Sizes: bounded after decompression, whatever the head of an answer promises.

use super::*;

/// 64 MiB of zeros in 64 KiB: `gzip` of one deflate stream, made once.
fn bomb() -> Vec<u8> {
    // A stored prefix is avoided: the fixed Huffman code for "distance 1, length 258" repeated is 13 bits, which pack
    // into the same bytes again and again.
    let mut bits = Bits::default();
    bits.put(1, 1);
    bits.put(1, 2);
    bits.literal(0);
    for _ in 0..(64 << 20) / 258 {
        bits.code(0b1100_0101, 8);
        bits.code(0, 5);
    }
    bits.code(0, 7);
    let mut out = vec![0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 255];
    out.extend(bits.bytes());
    out.extend([0; 8]);
    out
}

/// Bits as deflate packs them.
#[derive(Default)]
struct Bits {
    out: Vec<u8>,
    hold: u32,
    count: u32,
}

impl Bits {
    fn put(&mut self, value: u32, bits: u32) {
        self.hold |= value << self.count;
        self.count += bits;
        while self.count >= 8 {
            self.out.push(self.hold as u8);
            self.hold >>= 8;
            self.count -= 8;
        }
    }

    /// Huffman codes begin with their highest bit.
    fn code(&mut self, code: u32, bits: u32) {
        for bit in (0..bits).rev() {
            self.put(code >> bit & 1, 1);
        }
    }

    fn literal(&mut self, byte: u8) {
        self.code(0x30 + u32::from(byte), 8);
    }

    fn bytes(mut self) -> Vec<u8> {
        self.put(0, 7);
        self.out
    }
}

#[tokio::test]
async fn a_compressed_answer_is_bounded_by_what_it_unpacks_to() {
    let packed = bomb();
    assert!(packed.len() < 1 << 20, "{}", packed.len());
    let platform = Platform::start(move |_| Answer::new(200, packed.clone()).with("content-encoding", "gzip")).await;
    let session = session(&platform, static_recipe());
    let budget = budget();
    let error = session.send(get(&platform, "/api/x"), &budget).await.unwrap_err();
    assert_eq!(error.kind, SendErrorKind::TooLarge);
    let bytes = budget.bytes.load(Ordering::SeqCst);
    assert!(bytes < 4 << 20, "reading ended soon after the limit: {bytes}");
    assert_eq!(platform.asked().len(), 1, "what is too large is not fetched again");
    let mut stream = session.open(get(&platform, "/api/x"), &budget).await.unwrap();
    assert_eq!(stream.read(1000, &budget).await.unwrap(), vec![0; 1000], "it really unpacks");
    assert!(stream.headers.iter().all(|(name, _)| name != "content-encoding"));
}

#[tokio::test]
async fn answers_up_to_the_limit_are_whole() {
    let size = 1 << 20;
    let platform = Platform::start(move |asked| {
        let extra = usize::from(asked.uri.path().ends_with("more"));
        Answer::new(200, vec![b'x'; size + extra])
    })
    .await;
    let session = session(&platform, static_recipe());
    assert_eq!(session.send(get(&platform, "/api/x"), &budget()).await.unwrap().body.len(), size);
    let error = session.send(get(&platform, "/api/more"), &budget()).await.unwrap_err();
    assert_eq!(error.kind, SendErrorKind::TooLarge);
}

#[tokio::test]
async fn no_room_is_made_for_a_promise() {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = Address { insecure: true, hostname: "127.0.0.1".into(), port: listener.local_addr().unwrap().port() };
    let mut tasks = tokio::task::JoinSet::new();
    tasks.spawn(async move {
        let (mut socket, _) = listener.accept().await.unwrap();
        let _ = socket.read(&mut [0; 4096]).await;
        let _ = socket.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 9999999999999999\r\n\r\nbut little comes").await;
    });
    let session = egress_with(policy()).session(spec(address.clone(), static_recipe())).unwrap();
    let request = Request { method: "GET".into(), url: format!("{address}/api/x"), ..Request::default() };
    let once = Budget { retries: AtomicU32::new(0), ..budget() };
    assert_eq!(session.send(request, &once).await.unwrap_err().kind, SendErrorKind::Unavailable);
}

#[tokio::test]
async fn a_stream_gives_everything_in_order() {
    let body: Vec<u8> = (0..3_000_000_u32).map(|n| (n % 251) as u8).collect();
    let sent = body.clone();
    let platform = Platform::start(move |_| Answer::new(200, sent.clone()).with("x-a", "b")).await;
    let session = session(&platform, static_recipe());
    let budget = budget();
    let mut stream = session.open(get(&platform, "/api/x"), &budget).await.unwrap();
    assert_eq!(stream.status, 200);
    assert!(stream.headers.contains(&("x-a".to_owned(), "b".to_owned())));
    let mut read = Vec::new();
    loop {
        let piece = stream.read(65_536, &budget).await.unwrap();
        if piece.is_empty() {
            break;
        }
        read.extend_from_slice(&piece);
    }
    assert!(read == body);
    let short = Budget { max_stream: 1_000_000, ..self::budget() };
    let mut stream = session.open(get(&platform, "/api/x"), &short).await.unwrap();
    let error = loop {
        match stream.read(65_536, &short).await {
            Ok(piece) => assert!(!piece.is_empty(), "it ends before the answer does"),
            Err(error) => break error,
        }
    };
    assert_eq!(error.kind, SendErrorKind::TooLarge);
}

#[tokio::test]
async fn an_operation_that_asks_for_ever_comes_to_an_end() {
    let platform = Platform::start(|_| Answer::new(200, "ok")).await;
    let session = session(&platform, static_recipe());
    for (requests, bytes, asked) in [(9_999, 0, 1), (0, (4 << 30) - 1, 2)] {
        let budget = Budget { requests: AtomicU64::new(requests), bytes: AtomicU64::new(bytes), ..budget() };
        let first = session.send(get(&platform, "/api/x"), &budget).await;
        assert_eq!(first.is_ok(), requests > 0, "the last request is answered, the last byte is not given out");
        let error = session.send(get(&platform, "/api/x"), &budget).await.unwrap_err();
        assert_eq!((error.kind, error.kind.code()), (SendErrorKind::BudgetExhausted, "budget-exhausted"));
        assert_eq!(platform.asked().len(), asked, "what is beyond the budget never leaves");
    }
}

#[tokio::test]
async fn what_is_refused_counts_too_and_long_bodies_are_not_read() {
    let platform = Platform::start(|_| Answer::new(200, "ok")).await;
    let mut recipe = static_recipe();
    recipe["apply"]["to"][0]["body"] = json!({"at": "/statement", "verbs": ["SHOW"]});
    let session = session(&platform, recipe);
    let post = |body: String| Request {
        method: "POST".into(),
        body: Some(body.into_bytes()),
        ..get(&platform, "/api/statements")
    };
    let statement = |text: &str| post(json!({"statement": text}).to_string());
    let budget = Budget { requests: AtomicU64::new(9_994), ..budget() };
    let padded = |length: usize| post(format!("{}{{\"statement\":\"SHOW\"}}", " ".repeat(length)));
    for (refused, reason) in [
        (statement("DROP TABLE t"), "begins with a verb"),
        (padded(256 << 10), "longer than 256 KiB"),
        (padded(16 << 20), "longer than 16 MiB"),
        (Request { url: "https://elsewhere.example/".into(), ..padded(16 << 20) }, "longer than 16 MiB"),
        (Request { url: "https://elsewhere.example/".into(), ..padded(0) }, "outside of what the connector declared"),
    ] {
        let before = budget.requests.load(Ordering::Relaxed);
        let error = session.send(refused, &budget).await.unwrap_err();
        assert!(error.kind == SendErrorKind::Denied && error.message.contains(reason), "{error}");
        assert_eq!(budget.requests.load(Ordering::Relaxed), before + 1);
    }
    session.send(statement("SHOW TABLES"), &budget).await.unwrap();
    for request in [statement("DROP TABLE t"), statement("SHOW TABLES"), padded(16 << 20)] {
        let error = session.open(request.clone(), &budget).await.err().unwrap();
        assert_eq!(error.kind, SendErrorKind::BudgetExhausted);
        assert_eq!(session.send(request, &budget).await.unwrap_err().kind, SendErrorKind::BudgetExhausted);
    }
    assert_eq!(budget.requests.load(Ordering::Relaxed), 10_000);
    assert_eq!(platform.asked().len(), 1);
}
