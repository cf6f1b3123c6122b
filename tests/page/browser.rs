//! The page in Chromium.

use std::path::Path;
use std::process::Command;

use super::recorded::report;

fn chromium() -> Option<String> {
    let named = std::env::var("CHROMIUM").ok();
    let usual = ["chromium", "chromium-browser", "google-chrome"].map(String::from);
    named.into_iter().chain(usual).find(|program| {
        let found = Command::new(program).arg("--version").output();
        found.is_ok_and(|output| output.status.success())
    })
}

/// What a page looks like after its scripts, and what the browser complained of.
fn browse(program: &str, path: &Path, options: &[&str]) -> (String, Vec<String>) {
    let profile = tempfile::tempdir().unwrap();
    let output = Command::new(program)
        .args([
            "--headless",
            "--no-sandbox",
            "--disable-gpu",
            "--disable-dev-shm-usage",
        ])
        .args([
            "--enable-logging=stderr",
            "--v=0",
            "--virtual-time-budget=4000",
        ])
        .arg(format!("--user-data-dir={}", profile.path().display()))
        .args(options)
        .arg("--dump-dom")
        .arg(format!("file://{}", path.display()))
        .output()
        .unwrap();
    assert!(output.status.success(), "{output:?}");
    let complaints = String::from_utf8_lossy(&output.stderr)
        .lines()
        .filter(|line| line.contains(":CONSOLE"))
        .map(String::from)
        .collect();
    (
        String::from_utf8_lossy(&output.stdout).into_owned(),
        complaints,
    )
}

/// Put behind the page's own script: does what a reader would and writes down what it saw.
const READER: &str = r#"<script>
addEventListener("load", () => {
  const seen = {};
  const hidden = (selector) => [...document.querySelectorAll(selector)].map((e) => getComputedStyle(e).display === "none");
  const press = (what, value) => document.querySelector(`button[data-switch="${what}"][data-value="${value}"]`).click();
  seen.before = hidden('.panel [data-network]').includes(true);
  press("network", "plain-20");
  seen.network = hidden('.panel [data-network="plain-20"]').every(Boolean);
  seen.others = hidden('.panel [data-network="plain-56"]').includes(true);
  seen.pressed = document.querySelector('button[data-value="plain-20"]').getAttribute("aria-pressed");
  press("kind", "paper");
  seen.paper = hidden('.panel [data-kind="paper"]').every(Boolean);
  press("network", "plain-20");
  seen.back = hidden('.panel [data-network="plain-20"][data-kind="test"]').includes(true);
  document.querySelector('button[data-switch="all"]').click();
  seen.all = hidden('.panel [data-network]').includes(true);
  const panel = document.querySelector(".panel");
  const readout = document.querySelector(".readout");
  // Chromium focuses nothing in a page without a window's focus; the keys are sent to the panel.
  const key = (name) => panel.dispatchEvent(new KeyboardEvent("keydown", { key: name, bubbles: true, cancelable: true }));
  seen.tab = panel.tabIndex;
  key("ArrowRight");
  seen.first = readout.textContent;
  key("ArrowRight");
  seen.second = readout.textContent;
  key("ArrowDown");
  seen.down = readout.textContent;
  key("Escape");
  seen.escaped = readout.textContent;
  // The pointer on the last test error of plain-20 in the first panel.
  const last = document.querySelector('.panel [data-network="plain-20"][data-kind="test"] path.sign:last-of-type');
  const box = last.getBoundingClientRect();
  panel.dispatchEvent(new PointerEvent("pointermove", { clientX: box.x + box.width / 2, clientY: box.y + box.height / 2 }));
  seen.hover = readout.textContent;
  seen.wide = document.documentElement.scrollWidth > innerWidth;
  seen.cut = [...document.querySelectorAll(".panel text:not([transform])")]
    .filter((text) => getComputedStyle(text).display !== "none")
    .filter((text) => text.getBBox().x + text.getBBox().width > text.closest("svg").viewBox.baseVal.width)
    .map((text) => text.textContent);
  seen.width = innerWidth;
  seen.ground = getComputedStyle(document.body).backgroundColor;
  seen.text = getComputedStyle(document.querySelector(".panel text")).fill;
  document.body.insertAdjacentHTML("beforeend", `<p id="seen">${JSON.stringify(seen)}</p>`);
});
</script>
</body>"#;

#[test]
fn in_a_browser_the_switches_work_and_nothing_is_complained_of() {
    let Some(program) = chromium() else {
        println!(
            "SKIPPED: no Chromium here; install one (apt-get install chromium) or name it with CHROMIUM"
        );
        return;
    };
    let folder = tempfile::tempdir().unwrap();
    let path = report(folder.path());
    let read = path.with_file_name("read.html");
    let html = std::fs::read_to_string(&path).unwrap();
    std::fs::write(&read, html.replace("</body>", READER)).unwrap();
    let see = |options: &[&str]| -> serde_json::Value {
        let (dom, complaints) = browse(&program, &read, options);
        assert_eq!(complaints, Vec::<String>::new());
        let start = dom
            .rfind("<p id=\"seen\">")
            .expect("the reader's script ran")
            + 13;
        let text = &dom[start..start + dom[start..].find("</p>").unwrap()];
        serde_json::from_str(text).unwrap()
    };
    let light = see(&[
        "--window-size=1280,1000",
        "--blink-settings=preferredColorScheme=1",
    ]);
    for (what, wanted) in [
        ("before", false),
        ("network", true),
        ("others", false),
        ("paper", true),
        ("back", false),
        ("all", false),
        ("wide", false),
    ] {
        assert_eq!(light[what], wanted, "{what}: {light:#}");
    }
    assert_eq!(light["cut"], serde_json::json!([]));
    assert_eq!(light["pressed"], "false");
    assert_eq!(light["tab"], 0);
    assert_eq!(
        light["first"],
        "plain-20, training error, iteration 2: 85.20 %"
    );
    assert_eq!(
        light["second"],
        "plain-20, training error, iteration 4: 85.00 %"
    );
    assert_eq!(
        light["hover"],
        "plain-20, test error, iteration 120: 61.50 %"
    );
    let down = light["down"].as_str().unwrap();
    assert!(
        down.starts_with("plain-20, the paper's training error"),
        "{down}"
    );
    assert_eq!(light["escaped"], "");
    // The narrowest window that Chromium makes is 500 pixels; a phone is tried in a frame.
    let dark = see(&[
        "--window-size=500,900",
        "--blink-settings=preferredColorScheme=0",
    ]);
    assert_eq!(dark["wide"], false, "{dark:#}");
    assert_ne!(dark["ground"], light["ground"]);
    assert_ne!(dark["text"], light["text"]);
    assert_eq!(light["ground"], "rgb(255, 255, 255)");
    let phone = path.with_file_name("phone.html");
    std::fs::write(
        &phone,
        "<iframe src=\"read.html\" width=\"360\" height=\"700\" style=\"border:0\"></iframe>\n\
         <script>addEventListener(\"message\", (e) => document.body.insertAdjacentHTML(\"beforeend\", `<p id=\"seen\">${e.data}</p>`));</script>",
    )
    .unwrap();
    let reader = READER.replace("document.body.insertAdjacentHTML(\"beforeend\", `<p id=\"seen\">${JSON.stringify(seen)}</p>`)", "parent.postMessage(JSON.stringify(seen), \"*\")");
    std::fs::write(&read, html.replace("</body>", &reader)).unwrap();
    let (dom, complaints) = browse(&program, &phone, &[]);
    assert_eq!(complaints, Vec::<String>::new());
    assert!(
        dom.contains("\"wide\":false") && dom.contains("\"width\":360"),
        "{dom}"
    );
    assert!(dom.contains("\"cut\":[]"), "{dom}");
    // The index complains of nothing either.
    let (dom, complaints) = browse(&program, &folder.path().join("reports/index.html"), &[]);
    assert_eq!(complaints, Vec::<String>::new());
    assert!(dom.contains("class=\"card\""));
}
