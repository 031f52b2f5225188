//! The authority on a socket: HTTP/1.1, a thread per connection, a connection per request.

use std::io::{BufReader, Read as _, Write};
use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, mpsc};
use std::thread;

use super::{End, Feed, Handle, PATH, Plan, Seen};
use crate::http::{read_body, read_head};

/// A listening authority; it stops with this value.
#[derive(Debug)]
pub struct Server {
    handle: Handle,
    address: SocketAddr,
    /// Tells the listening thread to look at what it should be doing.
    orders: mpsc::Sender<Order>,
}

#[derive(Debug)]
enum Order {
    Listen(mpsc::Sender<()>),
}

impl Server {
    /// Listens on a free port of the loopback interface.
    ///
    /// # Panics
    /// If there is none.
    pub fn start(handle: Handle) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a free port");
        let address = listener.local_addr().expect("a bound port");
        handle.serve();
        let (orders, inbox) = mpsc::channel();
        let shared = handle.clone();
        thread::spawn(move || serve(&shared, address, listener, &inbox));
        Self {
            handle,
            address,
            orders,
        }
    }

    /// The URL of the endpoint.
    pub fn url(&self) -> String {
        format!("http://{}{PATH}", self.address)
    }

    /// Closes the port: connections are refused.
    pub fn go_down(&self) {
        self.handle.go_down();
        // Wakes the listener, which then closes. The connection ends once it has.
        if let Ok(mut stream) = TcpStream::connect(self.address) {
            let _ = stream.read(&mut [0]);
        }
    }

    /// Opens the port again.
    pub fn come_up(&self) {
        self.handle.come_up();
        let (done, heard) = mpsc::channel();
        if self.orders.send(Order::Listen(done)).is_ok() {
            let _ = heard.recv();
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if !self.handle.is_down() {
            self.go_down();
        }
        self.handle.release();
    }
}

fn serve(handle: &Handle, address: SocketAddr, first: TcpListener, inbox: &mpsc::Receiver<Order>) {
    let mut listener = Some(first);
    loop {
        if let Some(open) = listener.take() {
            let caller = accept(handle, &open);
            drop(open);
            drop(caller);
        }
        // Down. Up again by order, or for ever if nobody can give one any more.
        let Ok(Order::Listen(done)) = inbox.recv() else {
            return;
        };
        listener = TcpListener::bind(address).ok();
        let _ = done.send(());
    }
}

/// Takes connections until the authority is down; returns the one that brought the news.
fn accept(handle: &Handle, listener: &TcpListener) -> Option<TcpStream> {
    // Connections that are never answered stay open as long as the port.
    let (park, parked) = mpsc::channel::<TcpStream>();
    let _parked = parked;
    let mut connections: Vec<(TcpStream, Arc<AtomicBool>)> = Vec::new();
    loop {
        let (stream, _) = listener.accept().ok()?;
        connections.retain(|(_, asked)| !asked.load(Ordering::Acquire));
        if handle.is_down() {
            // Clients may open connections before they need them: these must not outlive the port either.
            for (idle, _) in connections {
                let _ = idle.shutdown(Shutdown::Both);
            }
            return Some(stream);
        }
        let asked = Arc::new(AtomicBool::new(false));
        connections.push((stream.try_clone().ok()?, asked.clone()));
        let (handle, park) = (handle.clone(), park.clone());
        thread::spawn(move || {
            if let Ok(Some(stream)) = answer(&handle, stream, &asked) {
                let _ = park.send(stream);
            }
        });
    }
}

/// Answers one request; `asked` is set once it is there. Returns the connection if it must stay open.
fn answer(handle: &Handle, stream: TcpStream, asked: &AtomicBool) -> std::io::Result<Option<TcpStream>> {
    stream.set_nodelay(true)?;
    let mut reader = BufReader::new(stream);
    let Some(head) = read_head(&mut reader)? else {
        return Ok(None);
    };
    asked.store(true, Ordering::Release);
    let mut words = head.start.split(' ');
    let method = words.next().unwrap_or_default().to_owned();
    let body = read_body(&mut reader, &head.headers, false)?;
    let mut stream = reader.into_inner();
    let cors = cors(&method, &head.headers);
    if method == "OPTIONS" {
        // A browser's question whether a page may ask is no message.
        stream.write_all(format!("HTTP/1.1 204 -\r\nconnection: close\r\n{cors}\r\n").as_bytes())?;
        return Ok(None);
    }
    let seen = Seen::new(&method, head.headers, body);
    let tool = seen.name.clone();
    let plan = handle.receive(seen);
    handle.wait_until(|authority| !authority.holds(tool.as_deref()));
    let Plan::Respond {
        status,
        headers,
        chunks,
        end,
    } = plan
    else {
        if plan == Plan::Silence {
            return Ok(Some(stream));
        }
        stream.shutdown(Shutdown::Both)?;
        return Ok(None);
    };
    let mut head = format!("HTTP/1.1 {status} -\r\n{cors}");
    if end != End::Cut {
        // Some clients take what comes after this for whole, wherever it ends.
        head.push_str("connection: close\r\n");
    }
    for (name, value) in &headers {
        head.push_str(&format!("{name}: {value}\r\n"));
    }
    head.push_str("transfer-encoding: chunked\r\n\r\n");
    stream.write_all(head.as_bytes())?;
    for chunk in chunks.iter().filter(|chunk| !chunk.is_empty()) {
        write_chunk(&mut stream, chunk)?;
    }
    match end {
        End::Whole => stream.write_all(b"0\r\n\r\n")?,
        End::Cut => {}
        End::Never => return Ok(Some(stream)),
        End::Fed(number) => follow(handle, &mut stream, number)?,
    }
    stream.shutdown(Shutdown::Write)?;
    // Waits for the other end to close, so that nothing sent is lost to a reset.
    let _ = std::io::copy(&mut stream, &mut std::io::sink());
    Ok(None)
}

/// The headers that let pages of any origin ask and read (the Fetch standard, "CORS protocol"); none unless a page
/// asks.
fn cors(method: &str, headers: &[(String, String)]) -> String {
    let header = |name: &str| headers.iter().find(|(known, _)| known == name);
    if header("origin").is_none() {
        return String::new();
    }
    let mut cors = "access-control-allow-origin: *\r\n".to_owned();
    if method == "OPTIONS" {
        for (asked, granted) in [
            ("access-control-request-method", "access-control-allow-methods"),
            ("access-control-request-headers", "access-control-allow-headers"),
        ] {
            if let Some((_, value)) = header(asked) {
                cors.push_str(&format!("{granted}: {value}\r\n"));
            }
        }
    } else {
        cors.push_str("access-control-expose-headers: mcp-session-id, retry-after\r\n");
    }
    cors
}

fn write_chunk(stream: &mut TcpStream, chunk: &[u8]) -> std::io::Result<()> {
    stream.write_all(format!("{:x}\r\n", chunk.len()).as_bytes())?;
    stream.write_all(chunk)?;
    stream.write_all(b"\r\n")
}

/// Sends a subscription's stream as the test feeds it, until either end closes it.
fn follow(handle: &Handle, stream: &mut TcpStream, number: usize) -> std::io::Result<()> {
    let (mut other, watched) = (stream.try_clone()?, handle.clone());
    thread::spawn(move || {
        let _ = std::io::copy(&mut other, &mut std::io::sink());
        watched.close(number);
    });
    loop {
        match handle.wait_feed(number) {
            Feed::Chunk(chunk) => write_chunk(stream, &chunk)?,
            Feed::End(End::Whole) => return stream.write_all(b"0\r\n\r\n"),
            Feed::End(_) => return stream.shutdown(Shutdown::Both),
        }
    }
}
