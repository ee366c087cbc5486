//! One page of the browser: opened, watched, clicked, typed into.

use std::sync::Mutex;
use std::time::{Duration, Instant};

use fantoccini::actions::{InputSource, KeyAction, KeyActions};
use fantoccini::elements::Element;
use fantoccini::key::Key;
use fantoccini::wd::WebDriverCompatibleCommand;
use fantoccini::{Client, Locator};
use hyper::Method;
use serde_json::{Value, json};
use url::Url;

use crate::chromium::Chromium;

/// How long a page may take to become what it should; generous, since only failures wait so long.
const PATIENCE: Duration = Duration::from_secs(20);
const GLANCE_EVERY: Duration = Duration::from_millis(25);

pub const PROJECTOR: (u32, u32) = (1280, 720);
pub const PHONE: (u32, u32) = (390, 844);

pub struct Page {
    client: Client,
    chromium: Mutex<Option<Chromium>>,
    /// Refusals that the scenario asks for: part of the address, and the status. Chromium logs each
    /// refused fetch as an error, whatever the page makes of it.
    refusals: Mutex<Vec<(String, u16)>>,
}

/// A command of Chromium's own, below the session's address.
#[derive(Debug)]
struct Vendor {
    path: &'static str,
    body: Value,
}

impl WebDriverCompatibleCommand for Vendor {
    fn endpoint(&self, base: &Url, session: Option<&str>) -> Result<Url, url::ParseError> {
        base.join(&format!("session/{}/{}", session.expect("a session"), self.path))
    }

    fn method_and_body(&self, _: &Url) -> (Method, Option<String>) {
        (Method::POST, Some(self.body.to_string()))
    }
}

impl Page {
    pub async fn of(chromium: Chromium) -> Page {
        let client = chromium.client.clone();
        Page { client, chromium: Mutex::new(Some(chromium)), refusals: Mutex::default() }
    }

    /// The state in which every scenario finds the browser: no cookies, nothing stored, light,
    /// no motion, a projector's window. Motion is for the scenario that looks at it.
    pub async fn begin(&self) {
        self.refusals.lock().unwrap().clear();
        self.leave().await;
        self.devtools("Network.clearBrowserCookies", json!({})).await;
        self.window(PROJECTOR).await;
        self.prefer("light", "reduce").await;
        self.log("browser").await;
        self.log("performance").await;
    }

    /// Ends the session and with it the browser.
    pub async fn close(&self) {
        let _ = self.client.clone().close().await;
        self.chromium.lock().unwrap().take();
    }

    // ---- surroundings ----

    pub async fn window(&self, (width, height): (u32, u32)) {
        let mobile = width < 760;
        let size = json!({ "width": width, "height": height, "deviceScaleFactor": 1, "mobile": mobile });
        self.devtools("Emulation.setDeviceMetricsOverride", size).await;
    }

    /// What the system asks for: "light" or "dark", and "reduce" or "no-preference" for motion.
    pub async fn prefer(&self, scheme: &str, motion: &str) {
        let features = json!([
            { "name": "prefers-color-scheme", "value": scheme },
            { "name": "prefers-reduced-motion", "value": motion },
        ]);
        self.devtools("Emulation.setEmulatedMedia", json!({ "features": features })).await;
    }

    /// Forgets what pages of `origin` have stored.
    pub async fn forget(&self, origin: &str) {
        let what = json!({ "origin": origin, "storageTypes": "local_storage" });
        self.devtools("Storage.clearDataForOrigin", what).await;
    }

    async fn devtools(&self, cmd: &str, params: Value) -> Value {
        let body = json!({ "cmd": cmd, "params": params });
        self.client.issue_cmd(Vendor { path: "goog/cdp/execute", body }).await.unwrap_or_else(|e| panic!("{cmd}: {e}"))
    }

    // ---- looking ----

    pub async fn open(&self, address: &str) {
        self.client.goto(address).await.unwrap_or_else(|error| panic!("{address}: {error}"));
    }

    /// Leaves the page, as it must be left before its server goes: an open stream would be an error.
    pub async fn leave(&self) {
        self.open("about:blank").await;
    }

    pub async fn reload(&self) {
        self.client.refresh().await.expect("the page reloads");
    }

    /// The address bar.
    pub async fn address(&self) -> Url {
        self.client.current_url().await.expect("an address")
    }

    /// Runs a script's body in the page; a promise is waited for.
    pub async fn run(&self, script: &str, arguments: Vec<Value>) -> Value {
        self.client.execute(script, arguments).await.unwrap_or_else(|error| panic!("{script}: {error}"))
    }

    /// The value of an expression in the page.
    pub async fn value(&self, expression: &str) -> Value {
        self.run(&format!("return ({expression})"), Vec::new()).await
    }

    /// Waits until an expression holds. While a page goes and another comes, it does not.
    pub async fn until(&self, what: &str, expression: &str) {
        if let Err(seen) = self.holds_within(expression, PATIENCE).await {
            let address = self.address().await;
            let text = self.value("document.body?.innerText.slice(0, 600)").await;
            panic!("not so: {what}\n  {expression}\n  at {address}\n  {seen}\n  {text}");
        }
    }

    /// What was seen last, when the expression did not come to hold.
    async fn holds_within(&self, expression: &str, patience: Duration) -> Result<(), String> {
        let began = Instant::now();
        let script = format!("return Boolean({expression})");
        loop {
            let seen = self.client.execute(&script, Vec::new()).await;
            if matches!(seen, Ok(Value::Bool(true))) {
                return Ok(());
            }
            if began.elapsed() > patience {
                return Err(format!("{seen:?}"));
            }
            tokio::time::sleep(GLANCE_EVERY).await;
        }
    }

    /// The text of the first element of a selector, as it is in the document.
    pub async fn text(&self, selector: &str) -> String {
        let text = self.run("return document.querySelector(arguments[0])?.textContent", vec![selector.into()]).await;
        text.as_str().unwrap_or_else(|| panic!("no {selector}")).split_whitespace().collect::<Vec<_>>().join(" ")
    }

    // ---- doing ----

    async fn element(&self, selector: &str) -> Element {
        let waiting = self.client.wait().at_most(PATIENCE).every(GLANCE_EVERY);
        waiting.for_element(Locator::Css(selector)).await.unwrap_or_else(|error| panic!("{selector}: {error}"))
    }

    pub async fn click(&self, selector: &str) {
        self.element(selector).await.click().await.unwrap_or_else(|error| panic!("click on {selector}: {error}"));
    }

    /// Clicks until an expression holds. After a wrong password the server asks for a second's wait,
    /// and a reader presses again.
    pub async fn click_until(&self, selector: &str, what: &str, expression: &str) {
        const ANSWERED_WITHIN: Duration = Duration::from_millis(800);
        let began = Instant::now();
        while began.elapsed() < PATIENCE {
            self.click(selector).await;
            if self.holds_within(expression, ANSWERED_WITHIN).await.is_ok() {
                return;
            }
        }
        panic!("clicked {selector} again and again, and not so: {what}");
    }

    /// Clicks the label with exactly these words: what a reader clicks of a segmented choice.
    pub async fn click_label(&self, words: &str) {
        let path = format!("//label[normalize-space()='{words}']");
        let label = self.client.find(Locator::XPath(&path)).await.unwrap_or_else(|error| panic!("{words}: {error}"));
        label.click().await.unwrap_or_else(|error| panic!("click on {words}: {error}"));
    }

    pub async fn choose(&self, selector: &str, value: &str) {
        let chosen = self.element(selector).await.select_by_value(value).await;
        chosen.unwrap_or_else(|error| panic!("{value} of {selector}: {error}"));
    }

    /// Types into a field, instead of what it holds.
    pub async fn type_into(&self, selector: &str, text: &str) {
        let field = self.element(selector).await;
        field.clear().await.unwrap_or_else(|error| panic!("{selector}: {error}"));
        field.send_keys(text).await.unwrap_or_else(|error| panic!("{selector}: {error}"));
    }

    /// Presses a key, wherever the focus is.
    pub async fn press(&self, key: Key) {
        self.press_char(key.chars().next().expect("a code")).await;
    }

    pub async fn press_char(&self, value: char) {
        let keys = KeyActions::new("keyboard".to_owned());
        let keys = keys.then(KeyAction::Down { value }).then(KeyAction::Up { value });
        self.client.perform_actions(keys).await.expect("a key can be pressed");
    }

    /// Presses Tab until the focus is on an element of a selector, as somebody without a mouse would.
    pub async fn tab_to(&self, selector: &str) {
        const STOPS_MAX: usize = 40;
        for _ in 0..STOPS_MAX {
            self.press(Key::Tab).await;
            if self.focus_is_on(selector).await {
                return;
            }
        }
        panic!("{STOPS_MAX} times Tab and never on {selector}");
    }

    pub async fn focus_is_on(&self, selector: &str) -> bool {
        self.run("return document.activeElement.matches(arguments[0])", vec![selector.into()]).await == true
    }

    // ---- what went on unseen ----

    async fn log(&self, kind: &str) -> Vec<Value> {
        let entries = self.client.issue_cmd(Vendor { path: "se/log", body: json!({ "type": kind }) }).await;
        let entries = entries.unwrap_or_else(|error| panic!("the {kind} log: {error}"));
        entries.as_array().cloned().unwrap_or_default()
    }

    /// Address and headers of every request since the scenario began, as the server got them.
    pub async fn requests(&self) -> Vec<String> {
        let entries = self.log("performance").await;
        let messages =
            entries.iter().filter_map(|entry| serde_json::from_str::<Value>(entry["message"].as_str()?).ok());
        let sent = messages.map(|message| message["message"].clone()).filter(|event| {
            ["Network.requestWillBeSent", "Network.requestWillBeSentExtraInfo"]
                .iter()
                .any(|name| event["method"] == *name)
        });
        sent.map(|event| {
            let params = &event["params"];
            format!("{} {} {}", params["request"]["url"], params["request"]["headers"], params["headers"])
        })
        .collect()
    }

    /// The scenario has this request refused on purpose.
    pub fn expect_refusal(&self, part_of_address: &str, status: u16) {
        self.refusals.lock().unwrap().push((part_of_address.to_owned(), status));
    }

    /// Nothing in the console that a developer would have to look at: no error, no violation of the policy.
    pub async fn assert_quiet(&self) {
        let entries = self.log("browser").await;
        let refusals = self.refusals.lock().unwrap().clone();
        let expected = |message: &str| {
            refusals
                .iter()
                .any(|(part, status)| message.contains(part) && message.contains(&format!("status of {status}")))
        };
        let grave = |entry: &&Value| ["SEVERE", "WARNING"].iter().any(|level| entry["level"] == *level);
        let loud: Vec<&str> = entries
            .iter()
            .filter(grave)
            .filter_map(|entry| entry["message"].as_str())
            .filter(|message| !expected(message))
            .collect();
        assert!(loud.is_empty(), "the console says:\n{}", loud.join("\n"));
    }
}
