//! The echo of `bench-harness run net` on tokio: the same sessions, framing and load, one thread, one task per connection.

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, mpsc};

use tidegate_bench_harness::measure::{Bench, Scale};
use tidegate_bench_harness::peers::{self, Peers};
use tidegate_bench_harness::suites::net::load::{self, Load};
use tidegate_bench_harness::suites::net::{BODY, SHAPES, SHAPES_TINY, rows_of};
use tidegate_session::{Buffer, Millis, ServerConfig, Session};
use tidegate_wire::frame::{MAX_BODY, MessageReader, write_message};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

/// Bytes read at once, as the reactor does.
const READ_BYTES: usize = 64 << 10;

/// One connection until its peer ends: read, open, echo, seal, write.
async fn serve(mut stream: TcpStream, config: Arc<ServerConfig>) -> io::Result<()> {
    stream.set_nodelay(true)?;
    let now = Millis::new(0);
    let mut session = Session::server(config, None, now);
    let mut reader = MessageReader::new(MAX_BODY);
    let (mut sealed, mut plain, mut out) = (Buffer::new(), Buffer::new(), Buffer::new());
    let mut answers = Vec::new();
    let mut read = vec![0; READ_BYTES];
    loop {
        let count = stream.read(&mut read).await?;
        if count == 0 {
            return Ok(());
        }
        sealed.extend(&read[..count]);
        let taken = session
            .receive(now, sealed.bytes(), &mut plain, &mut out)
            .map_err(io::Error::other)?;
        sealed.consume(taken);
        let mut rest = plain.bytes();
        while let Some((header, body)) = reader.next(&mut rest).map_err(io::Error::other)? {
            write_message(&mut answers, header.kind, header.request, |to| to.extend_from_slice(body))
                .map_err(io::Error::other)?;
        }
        session.grant(plain.len() as u64);
        plain.clear();
        if !answers.is_empty() {
            session.send(&answers, &mut out).map_err(io::Error::other)?;
            answers.clear();
        }
        if !out.is_empty() {
            stream.write_all(out.bytes()).await?;
            out.clear();
        }
    }
}

async fn accept(listener: TcpListener, config: Arc<ServerConfig>) -> io::Result<()> {
    loop {
        let (stream, _) = listener.accept().await?;
        let config = Arc::clone(&config);
        tokio::spawn(async move {
            // A peer that resets at the end of the load is no news.
            let _gone = serve(stream, config).await;
        });
    }
}

/// The server on a thread of its own: where it listens, and the thread's number.
fn start() -> io::Result<(SocketAddr, String)> {
    let (told, hear) = mpsc::channel();
    std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_io().build()?;
        runtime.block_on(async {
            let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
            let _gone = told.send((listener.local_addr()?, load::this_thread()));
            accept(listener, load::configs().0).await
        })
    });
    hear.recv().map_err(io::Error::other)
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let arguments: Vec<String> = std::env::args().collect();
    let tiny = arguments.iter().any(|argument| argument == "--tiny");
    let millis = arguments.iter().skip_while(|argument| *argument != "--millis").nth(1);
    let millis = millis.map_or(Ok(2_000), |text| text.parse())?;
    let shapes: &[(usize, usize)] = if tiny { &SHAPES_TINY } else { &SHAPES };
    let scale = if tiny { Scale::Tiny } else { Scale::Full };
    let mut bench = Bench::new(scale, Peers::Leave);
    for &(connections, batch) in shapes {
        let load = Load {
            connections,
            batch,
            body: BODY,
            millis,
        };
        let (address, thread) = start()?;
        let outcome = load::run(&load, address, || load::thread_cpu_s(&thread))?;
        rows_of("tokio", &load, &outcome).into_iter().for_each(|row| bench.adopt(row));
    }
    peers::finish(bench);
    Ok(())
}
