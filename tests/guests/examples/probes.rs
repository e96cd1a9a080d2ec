//! Looks for what lies behind WASI, and tells what it found.

use std::{
    env, fs,
    net::{TcpStream, ToSocketAddrs, UdpSocket},
};

use wharfinger_guests::{Error, Guest, Outcome, passed};

struct Probes;

impl Guest for Probes {
    fn check(_config: String) -> Result<Vec<Outcome>, Error> {
        let mut found = Vec::new();
        #[allow(clippy::disallowed_methods, reason = "what it is here for")]
        found.extend(env::vars().map(|(name, _)| format!("variable {name}")));
        found.extend(env::args().map(|argument| format!("argument {argument}")));
        for path in ["/", ".", "/etc/passwd", "/proc/self/environ"] {
            if fs::metadata(path).is_ok() || fs::read_dir(path).is_ok() || fs::File::open(path).is_ok() {
                found.push(format!("file {path}"));
            }
        }
        if fs::write("/tmp/probe", "x").is_ok() {
            found.push("a file that can be written".into());
        }
        if TcpStream::connect("127.0.0.1:22").is_ok() || TcpStream::connect("127.0.0.1:8080").is_ok() {
            found.push("a connection".into());
        }
        if UdpSocket::bind("127.0.0.1:0").is_ok() {
            found.push("a datagram socket".into());
        }
        if "localhost:80".to_socket_addrs().is_ok() {
            found.push("a name service".into());
        }
        let mut line = String::new();
        if std::io::stdin().read_line(&mut line).is_ok_and(|read| read > 0) {
            found.push("standard input".into());
        }
        Ok(passed(found.join(", ")))
    }
}

wharfinger_guests::export!(Probes);
