//! A server with a list of routers, which asks for a token.

use std::sync::{Arc, Mutex};

use super::http_stub::{HttpStub, Reply, Request};
use super::wait_for;

/// A server whose answer the test changes.
pub struct ListServer {
    pub stub: HttpStub,
    answer: Arc<Mutex<Reply>>,
}

impl ListServer {
    /// Everything but `/list` redirects there.
    pub fn start() -> ListServer {
        let answer = Arc::new(Mutex::new(Reply::status(503)));
        let theirs = answer.clone();
        let stub = HttpStub::start(move |_, request| match &*request.target {
            _ if request.headers.get("authorization").map(String::as_str) != Some("Bearer tok") => {
                Reply::status(401)
            }
            "/list" => theirs.lock().expect("an answer").clone(),
            _ => Reply::Answer(307, &[("Location", "/list")], String::new()),
        });
        ListServer { stub, answer }
    }

    pub fn answers(&self, reply: Reply) {
        *self.answer.lock().expect("an answer") = reply;
    }

    /// Answers with this list, and waits until it was read twice.
    pub fn lists(&self, text: String) {
        self.answers(Reply::message(200, &text));
        self.wait_asked();
    }

    pub fn wait_asked(&self) {
        let is_list = |request: &&Request| request.target == "/list";
        let count = || self.stub.requests().iter().filter(is_list).count();
        let before = count();
        wait_for("two more requests", || (count() >= before + 2).then_some(()));
    }
}
