//! A server on this machine that serves a file well or badly.

use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// What the server does with one request.
#[derive(Clone, Copy)]
pub enum Answer {
    /// The file, or the range of it that is asked for.
    Serve,
    /// As many bytes as given, then the connection is cut.
    Cut(usize),
    /// The whole file, whatever range is asked for.
    IgnoreRange,
    /// A little of the file, then a byte every 10 ms.
    Stall,
    Status(u16),
    /// Sends to the server on another port of this machine.
    Redirect(u16),
}

/// Serves `content` on a port of its own, one answer a request, the last one for ever. Logs the ranges asked for.
pub struct Server {
    pub address: String,
    ranges: Arc<Mutex<Vec<Option<usize>>>>,
}

impl Server {
    pub fn start(content: Vec<u8>, answers: Vec<Answer>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = format!("http://{}/archive.tar.gz", listener.local_addr().unwrap());
        let ranges = Arc::new(Mutex::new(Vec::new()));
        let log = Arc::clone(&ranges);
        std::thread::spawn(move || {
            for (count, stream) in listener.incoming().enumerate() {
                let answer = answers[count.min(answers.len() - 1)];
                serve(stream.unwrap(), &content, answer, &log);
            }
        });
        Self { address, ranges }
    }

    pub fn sources(&self) -> Vec<String> {
        vec![self.address.clone()]
    }

    pub fn port(&self) -> u16 {
        let authority = self.address.split('/').nth(2).unwrap();
        authority.rsplit(':').next().unwrap().parse().unwrap()
    }

    pub fn ranges(&self) -> Vec<Option<usize>> {
        self.ranges.lock().unwrap().clone()
    }
}

fn serve(mut stream: TcpStream, content: &[u8], answer: Answer, log: &Mutex<Vec<Option<usize>>>) {
    let mut range = None;
    let mut reader = BufReader::new(stream.try_clone().unwrap());
    let mut line = String::new();
    while reader.read_line(&mut line).unwrap_or(0) > 2 {
        let lower = line.to_lowercase();
        if let Some(value) = lower.strip_prefix("range: bytes=") {
            range = value.trim().trim_end_matches('-').parse().ok();
        }
        line.clear();
    }
    log.lock().unwrap().push(range);
    let start = match answer {
        Answer::IgnoreRange => 0,
        _ => range.unwrap_or(0),
    };
    let head = match answer {
        Answer::Status(status) => {
            format!("HTTP/1.1 {status} No\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
        }
        Answer::Redirect(port) => format!(
            "HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1:{port}/archive.tar.gz\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
        ),
        _ => {
            let (status, extra) = if start > 0 {
                let range = format!(
                    "Content-Range: bytes {start}-{}/{}\r\n",
                    content.len() - 1,
                    content.len()
                );
                ("206 Partial Content", range)
            } else {
                ("200 OK", String::new())
            };
            format!(
                "HTTP/1.1 {status}\r\nContent-Length: {}\r\n{extra}Connection: close\r\n\r\n",
                content.len() - start
            )
        }
    };
    stream.write_all(head.as_bytes()).unwrap();
    let bytes: &[u8] = match answer {
        Answer::Status(_) | Answer::Redirect(_) => &[],
        Answer::Cut(count) => &content[start..(start + count).min(content.len())],
        Answer::Stall => {
            let (some, rest) = content[start..].split_at(1000);
            let mut sent = stream.write_all(some);
            // Until the client hangs up.
            for byte in rest {
                sent = sent.and_then(|()| stream.write_all(std::slice::from_ref(byte)));
                if sent.is_err() {
                    break;
                }
                std::thread::sleep(Duration::from_millis(10));
            }
            &[]
        }
        Answer::Serve | Answer::IgnoreRange => &content[start..],
    };
    // The client may have hung up.
    stream.write_all(bytes).ok();
    stream.flush().ok();
}
