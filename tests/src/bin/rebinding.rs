//! The inside of the rebinding test: a name service on loopback that answers differently every time, a place that is
//! allowed, one that is not, and a guest that asks for the name a hundred times. For a network and mount namespace only.
#![allow(clippy::print_stdout, reason = "this is the command's output")]

use std::{
    io::Write,
    net::{Ipv4Addr, TcpListener, UdpSocket},
    process::Command,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    thread,
};

use anyhow::{Context, Result, ensure};
use serde_json::json;
use wharfinger::{
    connector::Connectors,
    egress::session::{Egress, Policy},
    model::{page::Partition, path::RemotePath},
};
use wharfinger_tests::{
    guests,
    host::{TempDir, setup},
};

const RUNS: usize = 100;

/// Loopback too, but not what the operator allows.
const FORBIDDEN: Ipv4Addr = Ipv4Addr::new(127, 0, 0, 2);

/// The answers, in turn: the good one, the bad one, both, the bad one first.
const ANSWERS: [&[Ipv4Addr]; 4] =
    [&[Ipv4Addr::LOCALHOST], &[FORBIDDEN], &[Ipv4Addr::LOCALHOST, FORBIDDEN], &[FORBIDDEN, Ipv4Addr::LOCALHOST]];

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<()> {
    let dir = TempDir::new()?;
    let file = dir.path().join("resolv.conf");
    std::fs::write(&file, "nameserver 127.0.0.1\noptions timeout:1 attempts:2\n")?;
    let mounted = Command::new("mount").arg("--bind").arg(&file).arg("/etc/resolv.conf").status()?;
    ensure!(mounted.success(), "not in a mount namespace of its own");
    let asked = name_service()?;
    let good = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
    let port = good.local_addr()?.port();
    let bad = TcpListener::bind((FORBIDDEN, port))?;
    let (reached, forbidden) = (answering(good), answering(bad));

    let connector = Connectors::new(setup()?)?.load(&std::fs::read(guests::ASKS)?).await?;
    let payload = json!({
        "hostname": "http://rebinding.example", "port": port, "authenticationType": "token", "token": "canary-0123456789abcdef"
    });
    let registration = connector.descriptor.admit(&payload, None, None, true).map_err(|e| anyhow::anyhow!("{e:?}"))?;
    let policy = Policy { allow_cidrs: vec!["127.0.0.1/32".parse()?], allow_insecure_http: true, ..Policy::default() };
    let (mut answered, mut denied) = (0, 0);
    for run in 0..RUNS {
        // A session of its own, so that every run connects.
        let session = connector.trial_session(&Egress::new(policy.clone())?, &registration, None)?;
        let url = format!("http://rebinding.example:{port}/api/{run}");
        let payload = json!([{ "url": url }, { "url": url }]).to_string();
        let partition = Partition { id: "p".into(), scope: RemotePath::default(), payload, weight: 0 };
        let page = connector.read(&session, &registration.config, &partition, false, None).await.0?;
        for object in page.objects {
            match object.facts.comment.as_deref() {
                Some("200 allowed") => answered += 1,
                Some("denied: the platform's address is not allowed by the egress policy") => denied += 1,
                other => anyhow::bail!("run {run}: {other:?}"),
            }
        }
    }
    let [asked, reached, forbidden] = [asked, reached, forbidden].map(|count| count.load(Ordering::SeqCst));
    println!(
        "{RUNS} runs of two requests: {answered} answered, {denied} denied; the name was asked for {asked} times; \
         {reached} connections to the allowed address, {forbidden} to the forbidden one"
    );
    ensure!(forbidden == 0, "the forbidden address was reached");
    ensure!(answered > 0 && denied > 0 && asked >= RUNS, "nothing was proved");
    Ok(())
}

/// Takes connections, counts them, and answers each with who it is.
fn answering(listener: TcpListener) -> Arc<AtomicUsize> {
    let count = Arc::new(AtomicUsize::new(0));
    let counted = count.clone();
    thread::spawn(move || {
        for stream in listener.incoming() {
            let Ok(mut stream) = stream else { break };
            counted.fetch_add(1, Ordering::SeqCst);
            // One that goes away early has had its count.
            let _ = std::io::Read::read(&mut stream, &mut [0; 4096]);
            let _ = stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 7\r\nconnection: close\r\n\r\nallowed");
        }
    });
    count
}

/// Answers every question for an IPv4 address with the next of the answers, good for no time at all, and every other
/// question with nothing.
fn name_service() -> Result<Arc<AtomicUsize>> {
    let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 53)).context("not in a network namespace of its own")?;
    let count = Arc::new(AtomicUsize::new(0));
    let counted = count.clone();
    thread::spawn(move || {
        let mut query = [0; 512];
        while let Ok((length, from)) = socket.recv_from(&mut query) {
            if let Some((question, for_ipv4)) = question(&query[..length]) {
                let answers: &[Ipv4Addr] =
                    if for_ipv4 { ANSWERS[counted.fetch_add(1, Ordering::SeqCst) % ANSWERS.len()] } else { &[] };
                let _ = socket.send_to(&answer(&query[..2], question, answers), from);
            }
        }
    });
    Ok(count)
}

/// The question of a query, and whether it is for an IPv4 address.
fn question(query: &[u8]) -> Option<(&[u8], bool)> {
    let mut at = 12;
    while *query.get(at)? != 0 {
        at += 1 + usize::from(query[at]);
    }
    let question = query.get(12..at + 5)?;
    Some((question, question[question.len() - 4..question.len() - 2] == [0, 1]))
}

fn answer(id: &[u8], question: &[u8], answers: &[Ipv4Addr]) -> Vec<u8> {
    let mut answer = id.to_vec();
    answer.extend([0x81, 0x80, 0, 1, 0, answers.len() as u8, 0, 0, 0, 0]);
    answer.extend(question);
    for address in answers {
        // The name of the question, an IPv4 address, of the Internet, for no time.
        answer.extend([0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 0, 0, 4]);
        answer.extend(address.octets());
    }
    answer
}
