//! What every scenario finds: a browser without a past, and a server that has its owner.

use crate::chromium::Chromium;
use crate::page::Page;
use crate::server::Server;

pub const OWNER: &str = "owner";
pub const PASSWORD: &str = "spoon-ladle-whisk-grater";

pub struct World {
    pub page: Page,
    pub server: Server,
}

impl World {
    pub async fn start(chromium: Chromium) -> World {
        let server = Server::with_owner(OWNER, PASSWORD);
        World { page: Page::of(chromium).await, server }
    }

    pub fn console(&self, path: &str) -> String {
        format!("{}{path}", self.server.console)
    }

    /// Opens a page of the console as the owner, without going through the form each time.
    pub async fn open_as_owner(&self, path: &str) {
        self.open_as_owner_of(&self.server, path).await;
    }

    /// The same, of another server.
    pub async fn open_as_owner_of(&self, server: &Server, path: &str) {
        self.page.open(&format!("{}/sign-in", server.console)).await;
        let script = "return fetch('/api/session', { method: 'POST',
            headers: { 'content-type': 'application/json', 'roundtrip-console': '1' },
            body: JSON.stringify({ name: arguments[0], password: arguments[1] }) }).then((answer) => answer.status)";
        let status = self.page.run(script, vec![OWNER.into(), PASSWORD.into()]).await;
        assert_eq!(status, 200, "the owner signs in");
        self.page.open(&format!("{}{path}", server.console)).await;
    }
}
