use std::{
    io::{BufRead as _, BufReader, Write as _},
    net::TcpListener,
    sync::mpsc,
    thread,
};

use super::*;

/// Serves one answer to everybody, and tells what was asked for.
fn serve(answer: impl Into<Vec<u8>>) -> (u16, mpsc::Receiver<String>) {
    let answer = answer.into();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let (seen, requests) = mpsc::channel();
    thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let mut lines = BufReader::new(stream.try_clone().unwrap()).lines();
            let request: Vec<String> =
                lines.by_ref().map(Result::unwrap).take_while(|line| !line.is_empty()).collect();
            let _ = seen.send(request.join("\n"));
            let _ = stream.write_all(&answer);
        }
    });
    (port, requests)
}

fn answer(line: &str, headers: &str, body: &str) -> String {
    format!("HTTP/1.1 {line}\r\nConnection: close\r\n{headers}\r\n{body}")
}

fn redirect(to: &str) -> String {
    answer("302 Found", &format!("Content-Length: 0\r\nLocation: {to}\r\n"), "")
}

fn web(base: &str) -> Web {
    Web::new(base, Duration::from_secs(60))
}

fn read(answer: Answer) -> io::Result<String> {
    let mut text = String::new();
    { answer.bytes }.read_to_string(&mut text)?;
    Ok(text)
}

#[test]
fn t43_no_redirect_leads_nearer_to_this_machine() {
    let (near, asked) = serve(answer("200 OK", "Content-Length: 6\r\n", "secret"));
    // By another name, by another kind of address, by another port.
    for to in [
        format!("http://localhost:{near}/"),
        format!("http://[::ffff:127.0.0.1]:{near}/"),
        format!("http://127.0.0.1:{near}/"),
    ] {
        let (port, _requests) = serve(redirect(&to));
        let base = format!("http://127.0.0.1:{port}");
        // From this machine to this machine is for its owner to want.
        let found = web(&base).from(&base, 0).unwrap().unwrap();
        assert_eq!(read(found).unwrap(), "secret", "{to}");
        asked.recv().unwrap();
        // The same server, if it were everybody's.
        let public = Web::within(&base, Duration::from_secs(60), Within::as_public(&base));
        let error = public.from(&base, 0).map(drop).unwrap_err();
        assert!(error.to_string().contains("that is not followed"), "{to}: {error}");
        assert!(asked.try_recv().is_err(), "{to} was asked");
    }
}

#[test]
fn t43_no_redirect_leads_to_where_machines_are_told_secrets() {
    for to in [
        "169.254.169.254",
        "100.100.100.200",
        "[fd00:ec2::254]",
        "[fe80::1]",
        "0.0.0.0",
        "[::ffff:169.254.169.254]",
    ] {
        let (port, _requests) = serve(redirect(&format!("http://{to}/latest/meta-data/")));
        let base = format!("http://127.0.0.1:{port}");
        let error = web(&base).from(&base, 0).map(drop).unwrap_err();
        assert!(error.to_string().contains("that is not followed"), "{to}: {error}");
    }
}

#[test]
fn what_is_not_there_is_told_from_what_could_not_be_had() {
    let ask = |answer: String, offset| {
        let (port, _requests) = serve(answer);
        let base = format!("http://127.0.0.1:{port}");
        web(&base).from(&base, offset)
    };
    assert!(ask(answer("404 Not Found", "Content-Length: 0\r\n", ""), 0).unwrap().is_none());
    for line in ["500 Oops", "403 Forbidden", "401 Who", "204 Nothing", "304 As It Was", "416 Not So Far"] {
        assert!(ask(answer(line, "Content-Length: 0\r\n", ""), 0).is_err(), "{line}");
    }
    let cut = ask(answer("200 OK", "Content-Length: 6\r\n", "hel"), 0).unwrap().unwrap();
    assert_eq!(cut.len, Some(6));
    assert!(read(cut).is_err());
    let cut = ask(answer("200 OK", "Transfer-Encoding: chunked\r\n", "3\r\nhel\r\n"), 0).unwrap().unwrap();
    assert_eq!(cut.len, None);
    assert!(read(cut).is_err());
}

#[test]
fn a_part_is_the_part_that_was_asked_for() {
    let ask = |line: &str, headers: &str, body: &str, offset| {
        let (port, requests) = serve(answer(line, headers, body));
        let base = format!("http://127.0.0.1:{port}");
        let found =
            web(&base).from(&base, offset).map(Option::unwrap).map(|found| (found.len, read(found).unwrap()));
        assert_eq!(requests.recv().unwrap().to_lowercase().contains("range: bytes=2-"), offset == 2);
        found
    };
    let part = "Content-Length: 4\r\nContent-Range: bytes 2-5/6\r\n";
    assert_eq!(ask("206 Partial Content", part, "llo\n", 2).unwrap(), (Some(6), "llo\n".to_owned()));
    // One that knows nothing of parts.
    assert_eq!(ask("200 OK", "Content-Length: 6\r\n", "hello\n", 2).unwrap(), (Some(6), "llo\n".to_owned()));
    assert!(
        ask("206 Partial Content", "Content-Length: 4\r\nContent-Range: bytes 1-4/6\r\n", "ello", 2).is_err()
    );
    assert!(ask("206 Partial Content", "Content-Length: 4\r\n", "llo\n", 2).is_err());
    assert!(ask("206 Partial Content", part, "llo\n", 0).is_err());
}
